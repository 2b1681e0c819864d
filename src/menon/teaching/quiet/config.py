"""Section `[quiet]` of a recipe: what Quiet-STaR learns from a thought, under the names of the paper.

Source: Quiet-STaR (arXiv:2403.09629, section 4.4 and appendix A). Deviations from the official code, with reasons, are
in docs/quiet-star.md: beta about 1 on a mean over tokens instead of 1e6, no clamp, learning rates of their own for the
thought vectors and the mixing head instead of a factor of 100 on the vectors.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from menon.core.errors import ConfigError
from menon.core.recipe import Section


class QuietConfig(Section):
    """How thoughts are drawn and what they learn from."""

    steps: int = Field(default=100, ge=1, description="optimizer steps")
    rows: int = Field(default=4, ge=1, description="texts per forward pass")
    passes: int = Field(default=4, ge=1, description="P, thoughts per position")
    positions: int = Field(
        default=64, ge=0, description="M, thinking positions per text, drawn uniformly; 0 thinks after every token"
    )
    policy: float = Field(default=1.0, ge=0, description="beta, weight of REINFORCE; 0 leaves it out")
    text: float = Field(default=0.5, ge=0, description="weight of the plain next-token loss")
    talk: float = Field(default=0.5, ge=0, description="weight of the loss of mixed predictions")
    loss_tokens: int = Field(default=0, ge=0, description="talk tokens in the loss; 0 takes all, 1 is myopic")
    reward_tokens: int = Field(default=0, ge=0, description="talk tokens in the reward; 0 takes all, 1 is myopic")
    baseline: Literal["mean", "none"] = Field(
        default="mean", description="what a reward is compared with: the mean over the thoughts of its position"
    )
    clamp: bool = Field(default=False, description="drop negative advantages (the official code; `trice`)")
    entropy: float = Field(default=0.0, ge=0, description="weight of the thoughts' entropy (nats per token)")
    kl: float = Field(default=0.0, ge=0, description="weight of the divergence from the model before teaching")
    token_rate: float = Field(
        default=100.0, gt=0, description="learning rate of the thought vectors, as a multiple of train.learning_rate"
    )
    head_rate: float = Field(default=100.0, gt=0, description="learning rate of the mixing head, as such a multiple")
    slice_rows: int = Field(
        default=4096, ge=0, description="thought rows differentiated at once: memory against speed; 0 takes all"
    )
    curriculum: tuple[int, ...] = Field(
        default=(), description="Fast Quiet-STaR: thought lengths of the stages, falling; empty keeps thoughts.tokens"
    )
    thoughtless: bool = Field(default=False, description="Fast Quiet-STaR: a last stage without thoughts")
    lora_rank: int = Field(default=0, ge=0, description="0 trains all weights")
    lora_alpha: float = Field(default=16.0, gt=0)
    stop: bool = Field(default=True, description="stop a run that cannot teach, with the reason")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.passes == 1 and self.baseline == "mean" and self.policy:
            raise ConfigError(
                "quiet.passes = 1 with quiet.baseline = 'mean' makes every advantage zero, so no thought would be "
                "learnt; set quiet.passes = 2 or more, or quiet.baseline = 'none'"
            )
        if any(later >= earlier for earlier, later in zip(self.curriculum, self.curriculum[1:], strict=False)):
            raise ConfigError(f"quiet.curriculum must fall, got {list(self.curriculum)}; allowed: such as [16, 12, 8]")
        if any(length < 1 for length in self.curriculum):
            raise ConfigError(f"quiet.curriculum has lengths below 1: {list(self.curriculum)}")
        if self.policy and not self.talk:
            raise ConfigError(
                "quiet.talk = 0 leaves nothing that trains the mixing head, whose weight scales the reward"
            )
        return self

"""What a thinking model is: the settings that are saved beside its weights.

Source: Quiet-STaR (arXiv:2403.09629, section 4). The paper's default thought has 9 sampled tokens (its `n_ahead` of 12
counts the text's own step, start and end) and 4 true tokens behind it.
"""

from typing import Literal

from pydantic import Field

from menon.core.recipe import Section


class ThoughtSettings(Section):
    """Section `[thoughts]` of a recipe, and `thoughts.json` beside a checkpoint."""

    tokens: int = Field(default=12, ge=1, description="K, sampled tokens of a thought")
    talk: int = Field(default=4, ge=1, description="N, true tokens whose prediction judges a thought")
    start: str = Field(default="---", description="text whose embedding starts as the start-of-thought vector")
    end: str = Field(default="---", description="text whose embedding starts as the end-of-thought vector")
    kind: Literal["sampled", "pause", "random"] = Field(
        default="sampled", description="the model's own tokens / fixed filler / uniformly random tokens, as controls"
    )
    head: Literal["mlp", "linear"] = Field(
        default="mlp", description="mixing weight by an MLP with a sigmoid, or the official zero-initialised head"
    )
    mixing: Literal["hidden", "log_probs"] = Field(
        default="hidden", description="mix hidden states (the official code) or log-probabilities (the paper)"
    )
    initial_weight: float = Field(default=0.1, gt=0, lt=1, description="mixing weight before training, head `mlp`")
    temperature: float = Field(default=1.0, ge=0, description="of the thoughts; 0 takes the likeliest token")

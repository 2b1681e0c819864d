"""Sections `[star]` and `[train]` of a recipe: the loop's options under the names of the papers, and presets.

Source: STaR (arXiv:2203.14465, Algorithm 1 and Appendix H), RFT (arXiv:2308.01825), ReST-EM (arXiv:2312.06585).
"""

from typing import Any, Literal

from pydantic import Field, model_validator

from menon.core.errors import ConfigError
from menon.core.recipe import Section


class StarConfig(Section):
    """One bootstrap loop. The defaults are those that climb on the embedded model, not those of GPT-J."""

    preset: str = "star"
    rounds: int = Field(default=3, ge=1)
    questions: int = Field(default=1200, ge=1, description="questions asked per round")
    fresh: bool = Field(default=True, description="new questions each round where the source can make them")
    samples: int = Field(default=1, ge=1, description="k, samples per question")
    temperature: float = Field(default=0.5, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=0, ge=0)
    max_tokens: int = Field(default=128, ge=1)
    rationalize: bool = Field(default=True, description="show the answer for what failed and ask again")
    p_rationalization: float = Field(
        default=1.0, ge=0, le=1, description="share of the failed questions that are rationalised"
    )
    hint: Literal["answer", "solution"] = "answer"
    filter: Literal["steps", "answer", "none", "random"] = Field(
        default="steps", description="keep right answers with sound steps / right answers / all / as many, at random"
    )
    learn: Literal["own", "direct", "gold"] = Field(
        default="own", description="own rationales / answers only / reference ones"
    )
    restart: bool = Field(
        default=True, description="fine-tune from the base each round (the paper) instead of going on"
    )
    accumulate: bool = Field(default=True, description="learn from the kept rows of all rounds so far")
    dedupe: Literal["none", "text", "equations"] = "text"
    keep_per_question: int = Field(default=10, ge=1, description="kept samples per question (ReST-EM: 10)")
    replay: float = Field(
        default=0.0, ge=0, lt=1, description="share of rows from earlier rounds mixed in without accumulate"
    )
    steps: int = Field(default=150, ge=1, description="optimizer steps of the first round")
    step_growth: float = Field(default=1.2, ge=1, description="factor on the steps from round to round")
    max_epochs: float = Field(default=6.0, gt=0, description="no more passes over the kept rows than this")
    lora_rank: int = Field(default=0, ge=0, description="0 trains all weights")
    lora_alpha: float = Field(default=16.0, gt=0)
    few_shot_later: bool = Field(
        default=True, description="keep the demonstrations in the prompt after the first round"
    )

    @model_validator(mode="before")
    @classmethod
    def _apply_preset(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        name = values.get("preset", "star")
        if name not in PRESETS:
            raise ConfigError(f"unknown preset {name!r}; allowed: {', '.join(PRESETS)}")
        return {**PRESETS[name], **values, "preset": name}


class TrainConfig(Section):
    """Section `[train]` of a recipe."""

    learning_rate: float = Field(default=1e-3, gt=0)
    warmup_steps: int = Field(default=10, ge=0)
    schedule: Literal["constant", "linear"] = "linear"
    final_share: float = Field(
        default=0.1, ge=0, le=1, description="learning rate at the last step of `linear`, as a share"
    )
    weight_decay: float = Field(default=0.01, ge=0)
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = Field(default=1.0, gt=0, description="largest norm of the gradient")
    tokens_per_batch: int = Field(default=1536, ge=16, description="padded tokens of one forward pass")
    accumulate: int = Field(default=1, ge=1, description="forward passes per optimizer step")
    precision: Literal["float32", "bfloat16"] = "float32"
    gradient_checkpointing: bool = False


PRESETS: dict[str, dict[str, Any]] = {
    "star": {},
    "star-no-rationalization": {"rationalize": False},
    # One round, many samples, distinct derivations (RFT, section 3.3: k = 100 at temperature 0.7).
    "rft": {
        "rounds": 1,
        "samples": 4,
        "temperature": 0.7,
        "rationalize": False,
        "dedupe": "equations",
    },
    # E-step: sample; M-step: from the base on this round's samples only (Algorithm 1 of ReST-EM).
    "rest-em": {
        "samples": 4,
        "temperature": 0.7,
        "rationalize": False,
        "accumulate": False,
        "filter": "answer",
        "keep_per_question": 10,
    },
    "direct": {"learn": "direct", "rationalize": False, "filter": "answer"},
    "gold": {"learn": "gold", "rationalize": False},
    "unfiltered": {"filter": "none", "rationalize": False},
    "random-reward": {"filter": "random", "rationalize": False},
}

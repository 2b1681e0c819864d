"""Section `[base]` of the recipe `quiet`: the tiny model that can reason about permutations but mostly does not."""

from typing import Self

from pydantic import Field, model_validator

from menon.core.errors import ConfigError
from menon.core.recipe import Section
from menon.problems.permutations import CHAIN


class BaseSettings(Section):
    """The tiny model and its base corpus."""

    moves: int = Field(default=CHAIN, ge=1, le=16, description="length of the chains")
    steps: int = Field(default=1000, ge=1)
    batch: int = Field(default=64, ge=1, description="rows of a step, two documents each")
    learning_rate: float = Field(default=3e-3, gt=0)
    warmup_steps: int = Field(default=100, ge=0)
    sound_share: float = Field(default=0.6, ge=0, le=1, description="share of the steps with right rationales only")
    good: float = Field(default=0.4, ge=0, le=1, description="share of right rationales in the steps after that")
    direct: float = Field(default=0.8, ge=0, le=1, description="share of the rows with one direct document in two")
    width: int = Field(default=64, ge=8)
    layers: int = Field(default=2, ge=1)
    heads: int = Field(default=4, ge=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.width % (2 * self.heads):
            raise ConfigError(f"base.width = {self.width} must be a multiple of 2 x base.heads = {2 * self.heads}")
        return self

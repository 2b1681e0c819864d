"""Recipe of `menon run quiet`: what thinking before every token teaches, against its controls."""

from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from menon.core.errors import ConfigError
from menon.core.recipe import Section
from menon.models.thoughts.settings import ThoughtSettings
from menon.studies.quiet.settings import BaseSettings
from menon.teaching.config import TrainConfig
from menon.teaching.quiet.config import QuietConfig


class QuietArm(Section):
    """One way of teaching: changes to the common sections. `plain` continues the language model without any thought."""

    name: str
    title: str
    plain: bool = False
    thoughts: dict[str, Any] = Field(default_factory=dict)
    quiet: dict[str, Any] = Field(default_factory=dict)
    length: bool = Field(default=False, description="part of the picture of accuracy against thought length")


class QuietStudy(Section):
    """State tracking through permutations: one base per seed, every arm from it, held-out problems."""

    study: Literal["quiet"] = "quiet"
    seeds: tuple[int, ...] = (0, 1, 2)
    base: BaseSettings = BaseSettings()
    thoughts: ThoughtSettings = ThoughtSettings(tokens=6, talk=2, start="(", end=")")
    quiet: QuietConfig = QuietConfig()
    train: TrainConfig = TrainConfig(warmup_steps=20, weight_decay=1e-3, schedule="constant")
    test_rows: int = Field(default=128, ge=2, description="held-out rows of three problems each")
    test_thoughts: int = Field(default=2, ge=1, description="thoughts per position in the evaluation")
    probe_every: int = Field(default=25, ge=1, description="steps between points of the learning curve")
    probe_rows: int = Field(default=32, ge=2)
    arms: tuple[QuietArm, ...] = ()

    @model_validator(mode="after")
    def _check_arms(self) -> Self:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ConfigError(f"seeds need different numbers, at least one; got {list(self.seeds)}")
        names = [arm.name for arm in self.arms]
        if not names or len(set(names)) < len(names):
            raise ConfigError(f"arms need different names, at least one; got {', '.join(names) or 'none'}")
        if self.arms[0].plain or any(arm.plain and arm.length for arm in self.arms):
            raise ConfigError("the first arm is the method, and only arms that think have a length; move the plain arm")
        for arm in self.arms:
            try:
                self.settings_of(arm)
            except ValidationError as error:
                first = error.errors()[0]
                place = ".".join(map(str, first["loc"]))
                said = first["msg"].removeprefix("Value error, ")
                raise ConfigError(f"arm {arm.name!r}: {f'{place}: ' if place else ''}{said}") from None
        return self

    def settings_of(self, arm: QuietArm) -> tuple[ThoughtSettings, QuietConfig]:
        """Return the sections as this arm changes them."""
        return (
            ThoughtSettings.model_validate({**self.thoughts.model_dump(), **arm.thoughts}),
            QuietConfig.model_validate({**self.quiet.model_dump(), **arm.quiet}),
        )

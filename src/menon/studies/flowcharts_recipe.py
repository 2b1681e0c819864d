"""The recipe of the study of chains of thought against flowcharts."""

from typing import Literal, Self

from pydantic import Field, model_validator

from menon.core.errors import ConfigError
from menon.core.recipe import Section
from menon.problems.chain import LARGEST_DIFFICULTY
from menon.solving.oracle import FAMILIES


class FlowchartsRecipe(Section):
    """Ask the same problems by chain of thought and by flowchart, for each number of steps."""

    study: Literal["flowcharts"] = "flowcharts"
    model: str = "menon:base"
    families: tuple[str, ...] = FAMILIES
    difficulties: tuple[int, ...] = tuple(range(1, LARGEST_DIFFICULTY + 1))
    per_difficulty: int = Field(default=100, ge=1, description="problems of each family and number of steps")
    graphs: int = Field(default=25, ge=0, description="of them, how many chains are worked out again as graphs")
    temperatures: tuple[float, ...] = Field(default=(1.0, 1.5), description="of the steps of further flowchart arms")
    vote_temperature: float = Field(default=0.7, gt=0, description="of the chains of thought that vote")
    max_tokens: int = Field(default=192, ge=1)
    lowest: int = Field(default=10, ge=0, description="problems whose numbers fall below are not drawn")
    highest: int = Field(default=99, ge=1, description="problems whose numbers rise above are not drawn")
    seed: int = 0
    at_once: int = Field(default=4000, ge=1, description="executions in flight")
    device: str = "auto"
    dtype: str = "auto"
    slots: int = Field(default=128, ge=1, description="sequences sampled at once by a local model")

    @model_validator(mode="after")
    def _known(self) -> Self:
        for family in self.families:
            if family not in FAMILIES:
                raise ConfigError(f"no oracle flowcharts for family {family!r}; allowed: {', '.join(FAMILIES)}")
        if not self.difficulties or any(not 1 <= n <= LARGEST_DIFFICULTY for n in self.difficulties):
            raise ConfigError(f"difficulties {self.difficulties!r}; allowed: numbers of steps, 1..{LARGEST_DIFFICULTY}")
        if any(temperature <= 0 for temperature in self.temperatures):
            raise ConfigError(f"temperatures {self.temperatures!r}; allowed: above 0 (the greedy arm is always there)")
        if self.highest - self.lowest < 40:
            raise ConfigError(f"numbers within {self.lowest}..{self.highest}; allowed: bounds at least 40 apart")
        return self

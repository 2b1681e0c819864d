"""How much a thinking model may think while it answers: at which tokens, how long, how freely.

A budget is static: it bounds the thoughts beforehand, and a token of the answer never gets a second one.
"""

from typing import Any, Literal

from pydantic import Field, model_validator

from menon.core.recipe import Section


class ThinkingBudget(Section):
    """Section `[think]` of a recipe; where it stands, the model thinks, and without it the model is the plain one."""

    where: Literal["every", "entropy", "weight", "never"] = Field(
        default="every",
        description="before every token of the answer / where the plain prediction's entropy, or the mixing weight of "
        "an empty thought, is above `threshold` / nowhere",
    )
    threshold: float = Field(default=0.5, ge=0, description="nats for `entropy`, a weight for `weight`")
    every_nth: int = Field(default=1, ge=1, description="only before tokens 1, 1 + n, 1 + 2n, ... of the answer")
    first: int = Field(default=0, ge=0, description="only before the first so many tokens of the answer; 0: all")
    tokens: int = Field(default=0, ge=0, description="sampled tokens of a thought; 0: as many as the model was taught")
    thought_temperature: float = Field(default=0.0, ge=0, description="of the thoughts; 0 takes the likeliest token")

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:
        """Take the name of `where` alone, and true for thinking everywhere."""
        if given is True:
            return {}
        return {"where": given} if isinstance(given, str) else given

    def may_think(self, place: int) -> bool:
        """Say whether the answer's token number `place` (from 0) may have a thought."""
        if self.where == "never" or (self.first and place >= self.first):
            return False
        return place % self.every_nth == 0

    def length(self, taught: int) -> int:
        """Return K, given what the model was taught."""
        return self.tokens or taught

    def rows(self, taught: int) -> int:
        """Return how many positions beyond the text a thought takes: start, K sampled tokens, end."""
        return 0 if self.where == "never" else self.length(taught) + 2

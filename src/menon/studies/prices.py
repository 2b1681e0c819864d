"""What sections with a budget in money have in common."""

from typing import Self

from pydantic import Field, model_validator

from menon.core.errors import ConfigError
from menon.core.recipe import Section


class Priced(Section):
    """A section with `money`, `price_in` and `price_out`; prices are per million tokens."""

    money: float = Field(default=0.0, ge=0)
    price_in: float = Field(default=0.0, ge=0)
    price_out: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _priced(self) -> Self:
        if self.money and not (self.price_in or self.price_out):
            raise ConfigError(
                "a budget in money needs prices; set budget.price_in and budget.price_out (per million tokens)"
            )
        return self

"""The size of a model that is built here; apart from the training, so that recipes load without torch."""

from pydantic import Field

from menon.core.recipe import Section


class ModelSize(Section):
    """The size of a model that is built here."""

    width: int = Field(default=64, ge=8, description="numbers per token")
    layers: int = Field(default=2, ge=1)
    heads: int = Field(default=4, ge=1)

"""Read the name of a sampler: `scheme:rest?option=value`, options checked against what the backend takes.

Left out: percent-decoding of file names; a name is what a person types in a shell.
"""

import difflib
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from menon.core.errors import ConfigError
from menon.models.thoughts.budget import ThinkingBudget


class Options(BaseModel):
    """Base of the options of one kind of sampler: unknown names and wrong types are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class LocalOptions(Options):
    """What a local model takes; see `menon.sampling.local`. With `think` it has to be one that can."""

    slots: int = Field(default=128, ge=1)
    max_length: int | None = Field(default=None, ge=2)
    device: str = "auto"
    dtype: str = "auto"
    think: ThinkingBudget | None = None


OptionsT = TypeVar("OptionsT", bound=Options)


def split_query(text: str) -> tuple[str, dict[str, str]]:
    """Split `rest?a=1&b=2` into the rest and its options."""
    rest, _, query = text.partition("?")
    return rest, dict(parse_qsl(query, keep_blank_values=True))


def read_options(model: type[OptionsT], what: str, query: Mapping[str, str], keywords: Mapping[str, Any]) -> OptionsT:
    """Check the options of a name together with keyword options, which win.

    Raises:
        ConfigError: an unknown option or a value outside its range. Values of unknown options are never repeated:
            people put keys there.
    """
    try:
        return model.model_validate({**query, **keywords})
    except ValidationError as error:
        raise ConfigError(_explain(model, what, error)) from None


def _explain(model: type[Options], what: str, error: ValidationError) -> str:
    allowed = list(model.model_fields)
    reasons = []
    for problem in error.errors(include_url=False):
        name = str(problem["loc"][0]) if problem["loc"] else what
        if problem["type"] == "extra_forbidden":
            near = difflib.get_close_matches(name, allowed, n=1)
            reasons.append(f"unknown option {name!r}" + (f" (did you mean {near[0]!r}?)" if near else ""))
        else:
            reasons.append(f"option {name!r} is {problem['input']!r}: {problem['msg'].lower()}")
    return f"{what}: {'; '.join(reasons)}. Allowed options: {', '.join(allowed) or 'none'}"

"""JSON schemas of nodes: the text of a schema block is read and checked."""

import json
from collections.abc import Mapping
from typing import Any

from menon.core.errors import ConfigError
from menon.grading.outputs import check_schema


def read_schema(text: str) -> Mapping[str, Any]:
    """Read a JSON schema.

    Raises:
        ConfigError: it is no JSON object, or uses keywords that are not understood.
    """
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"the schema is not JSON: {error}") from None
    if not isinstance(schema, dict):
        raise ConfigError("the schema is no JSON object")
    check_schema(schema)
    return schema

"""A small subset of JSON Schema: check a schema before use, and say where a value departs from it.

Keywords: type, properties, required, items, enum, minItems, maxItems, minimum, maximum. Anything else is refused, since
a keyword that is silently ignored promises a check that nobody makes. Fields that no property names are allowed.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from menon.core.errors import ConfigError
from menon.grading.visible import listed, shown

DEEPEST = 50
KEYWORDS = ("type", "properties", "required", "items", "enum", "minItems", "maxItems", "minimum", "maximum")
TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")

_NAME = re.compile(r"[^\W\d]\w*")


def check_schema(schema: Any, path: str = "$") -> None:
    """Refuse a schema that is not of the subset.

    Raises:
        ConfigError: an unknown keyword, or a keyword with a value that it cannot have; the message has the path.
    """
    _check(schema, path, 0)


def _check(schema: Any, path: str, depth: int) -> None:
    if not isinstance(schema, Mapping):
        raise ConfigError(f"the schema at {path} is {shown(schema)}; allowed: a table of {', '.join(KEYWORDS)}")
    if depth > DEEPEST:
        raise ConfigError(f"the schema is nested more than {DEEPEST} deep at {path[:200]}; allowed: at most {DEEPEST}")
    for keyword, value in schema.items():
        if keyword not in KEYWORDS:
            raise ConfigError(f"the schema at {path} has keyword {shown(keyword)}; allowed: {', '.join(KEYWORDS)}")
        if (allowed := _refusal(keyword, value)) is not None:
            raise ConfigError(f"the schema at {path} has {keyword} = {shown(value)}; allowed: {allowed}")
    for low, high in (("minItems", "maxItems"), ("minimum", "maximum")):
        if low in schema and high in schema and schema[low] > schema[high]:
            raise ConfigError(
                f"the schema at {path} has {low} = {schema[low]} above {high} = {schema[high]}; allowed: at most that"
            )
    for name, part in schema.get("properties", {}).items():
        _check(part, _below(path, name), depth + 1)
    if "items" in schema:
        _check(schema["items"], f"{path}[]", depth + 1)


def _refusal(keyword: str, value: Any) -> str | None:
    """Return what a keyword allows where `value` is not of it."""
    match keyword:
        case "type":
            names = _names(value) if not isinstance(value, str) else [value]
            return None if names and all(name in TYPES for name in names) else f"one or several of {', '.join(TYPES)}"
        case "properties":
            named = isinstance(value, Mapping) and all(isinstance(name, str) for name in value)
            return None if named else "a table of schemas by name"
        case "required":
            return None if _names(value) is not None else "a list of names"
        case "enum":
            return None if _is_list(value) and value else "a list with at least one value"
        case "minItems" | "maxItems":
            return None if _is_whole(value) and value >= 0 else "a whole number from 0 on"
        case "minimum" | "maximum":
            return None if _is_number(value) else "a number"
    return None


def violation(value: Any, schema: Mapping[str, Any], path: str = "$") -> str | None:
    """Return where and how `value` first departs from a checked schema; None where it does not."""
    types = schema.get("type")
    types = [types] if isinstance(types, str) else types
    if types and not any(_is(value, name) for name in types):
        return f"{path} is {shown(value)}; allowed: {' or '.join(types)}"
    if "enum" in schema and not any(_same(value, member) for member in schema["enum"]):
        return f"{path} is {shown(value)}; allowed: {listed(schema['enum'])}"
    if _is_number(value):
        if value < schema.get("minimum", value):
            return f"{path} is {shown(value)}; allowed: at least {schema['minimum']}"
        if value > schema.get("maximum", value):
            return f"{path} is {shown(value)}; allowed: at most {schema['maximum']}"
    if isinstance(value, list):
        return _in_list(value, schema, path)
    return _in_object(value, schema, path) if isinstance(value, dict) else None


def _in_list(value: list[Any], schema: Mapping[str, Any], path: str) -> str | None:
    least, most = schema.get("minItems", 0), schema.get("maxItems", len(value))
    if not least <= len(value) <= most:
        allowed = f"at least {least}" if len(value) < least else f"at most {most}"
        return f"{path} has {len(value)} items; allowed: {allowed}"
    if "items" not in schema:
        return None
    found = (violation(item, schema["items"], f"{path}[{place}]") for place, item in enumerate(value))
    return next((each for each in found if each is not None), None)


def _in_object(value: dict[str, Any], schema: Mapping[str, Any], path: str) -> str | None:
    for name in schema.get("required", ()):
        if name not in value:
            return f"{path} lacks {shown(name)}; allowed: objects with {listed(schema['required'])}"
    parts = schema.get("properties", {}).items()
    found = (violation(value[name], part, _below(path, name)) for name, part in parts if name in value)
    return next((each for each in found if each is not None), None)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if _NAME.fullmatch(name) else f"{path}[{json.dumps(name, ensure_ascii=False)}]"


def _is(value: Any, name: str) -> bool:
    match name:
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "null":
            return value is None
        case "integer":
            return _is_whole(value) or (isinstance(value, float) and value.is_integer())
    return _is_number(value)


def _same(one: Any, other: Any) -> bool:
    """Compare as JSON does: 1 is 1.0 and not true."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    if isinstance(one, list) and _is_list(other):
        return len(one) == len(other) and all(map(_same, one, other))
    return one == other


def _names(value: Any) -> list[str] | None:
    return [*value] if _is_list(value) and all(isinstance(name, str) for name in value) else None


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

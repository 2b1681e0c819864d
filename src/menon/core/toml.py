"""TOML out: write plain tables, compare them leaf by leaf, hash them; the standard library only reads TOML.

Left out: comments, dates and multi-line strings; a resolved recipe holds strings, numbers, booleans, lists and tables.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from typing import Any

from menon.core.errors import ConfigError

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def write_toml(table: Mapping[str, Any]) -> str:
    """Return `table` as TOML text; plain values stand before sections, otherwise in the order given.

    Raises `ConfigError` for values that TOML cannot hold (None, and text that is not valid Unicode).
    """
    return "\n".join(_section((), table)).lstrip("\n") + "\n"


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """Parse TOML text; `where` names its source in the `ConfigError` raised when it is not valid."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where} is not valid TOML: {error}") from error


def toml_hash(text: str) -> str:
    """Return a hex digest of what TOML text says; comments, layout and the order of keys do not count."""
    content = json.dumps(parse_toml(text, "the recipe"), sort_keys=True, separators=(",", ":"), default=iso_date)
    return hashlib.sha256(content.encode()).hexdigest()


def leaves(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested tables to `{"section.key": value}`; lists and empty tables count as values."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            flat.update(leaves(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Say leaf by leaf how `new` differs from `old`, as lines like `teaching.rounds: 3 before, 5 now`."""
    before, now = leaves(old), leaves(new)
    absent = object()
    lines = []
    for key in [*before, *(k for k in now if k not in before)]:
        a, b = before.get(key, absent), now.get(key, absent)
        if repr(a) != repr(b):
            lines.append(
                f"{key}: {'absent' if a is absent else repr(a)} before, {'absent' if b is absent else repr(b)} now"
            )
    return lines


def iso_date(value: Any) -> str:
    """Serialise the dates that TOML knows; `default=` of `json.dumps`."""
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    raise TypeError(f"{value!r} is not a TOML value")


def _section(path: tuple[str, ...], table: Mapping[str, Any], header: str = "[{}]") -> Iterator[str]:
    plain = {k: v for k, v in table.items() if not _is_section(v)}
    sections = {k: v for k, v in table.items() if _is_section(v)}
    if path and (plain or not sections or header == "[[{}]]"):
        yield "\n" + header.format(".".join(map(_key, path)))
    for key, value in plain.items():
        yield f"{_key(key)} = {_value(value, '.'.join((*path, key)))}"
    for key, value in sections.items():
        if isinstance(value, Mapping):
            yield from _section((*path, key), value)
        else:
            for item in value:
                yield from _section((*path, key), item, "[[{}]]")


def _is_section(value: Any) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, list | tuple) and len(value) > 0 and all(isinstance(item, Mapping) for item in value)
    )


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _string(key, key)


def _value(value: Any, place: str) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(int(value))
        case float():
            return repr(float(value))
        case str():
            return _string(value, place)
        case list() | tuple():
            return "[" + ", ".join(_value(item, place) for item in value) + "]"
        case Mapping():
            return "{" + ", ".join(f"{_key(k)} = {_value(v, f'{place}.{k}')}" for k, v in value.items()) + "}"
    raise ConfigError(
        f"{place} is {value!r}: TOML holds strings, numbers, booleans, lists and tables; leave the key out"
    )


def _string(text: str, place: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(f"{place} is {text!r}, which is not valid Unicode text: {error.reason}") from error
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")

"""Recipes: one TOML file that says what a run does, checked against a pydantic model before anything starts.

Values keep the type they have in the file (`"5"` is no number, `1e-5` is a float); a misspelt key is an error that
names the nearest allowed one. Left out: includes, templating and environment variables.
"""

import difflib
import json
import tomllib
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from menon.core.errors import ConfigError
from menon.core.toml import iso_date, leaves, parse_toml, toml_hash, write_toml

M = TypeVar("M", bound=BaseModel)
Location = tuple[str | int, ...]


class Section(BaseModel):
    """Base of recipe models and their sections: frozen, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def load_recipe(path_or_builtin: str, model: type[M], overrides: Sequence[str] = ()) -> M:
    """Read a recipe by path or built-in name, apply overrides like `teaching.rounds=5`, and check it.

    The value of an override is read as TOML, and as a string where it is not TOML. Raises `ConfigError` with one line
    per problem: what was got, where, what is allowed.
    """
    text, where = _read(path_or_builtin)
    data = parse_toml(text, where)
    raw = dict(_override(data, item) for item in overrides)
    try:
        return _validated(model, data)
    except ValidationError as error:
        for detail in error.errors():
            if detail["type"] == "string_type" and detail["loc"] in raw:
                _put(data, [str(part) for part in detail["loc"]], raw[detail["loc"]], "")
    try:
        return _validated(model, data)
    except ValidationError as error:
        lines = [_explain(detail, model, raw) for detail in error.errors()]
        raise ConfigError("\n".join([f"{where} cannot be used:", *(f"  {line}" for line in lines)])) from error


def dump_toml(recipe: BaseModel) -> str:
    """Return the resolved recipe, defaults included, as TOML that loads back to an equal recipe.

    Keys that are None are left out; raises `ConfigError` when leaving them out would change the recipe.
    """
    text = write_toml(recipe.model_dump(mode="json", by_alias=True, exclude_none=True))
    try:
        again = _validated(type(recipe), tomllib.loads(text))
    except ValidationError as error:
        raise ConfigError(f"the recipe does not survive being written: {error}") from error
    if (reread := write_toml(again.model_dump(mode="json", by_alias=True, exclude_none=True))) != text:
        here, there = leaves(tomllib.loads(text)), leaves(tomllib.loads(reread))
        changed = sorted(key for key in here.keys() | there.keys() if repr(here.get(key)) != repr(there.get(key)))
        raise ConfigError(
            f"the recipe cannot be written as TOML: {', '.join(changed)} would change, since TOML has no null; "
            "give these keys a value, or None as their default"
        )
    return text


def recipe_hash(recipe: BaseModel) -> str:
    """Return a hex digest of the resolved recipe; equals `toml_hash` of its dumped text."""
    return toml_hash(dump_toml(recipe))


def builtin_recipes() -> dict[str, Traversable]:
    """Return the recipes that ship with the package (`menon/recipes/NAME.toml`) by name."""
    folder = files("menon") / "recipes"
    if not folder.is_dir():
        return {}
    found = {entry.name.removesuffix(".toml"): entry for entry in folder.iterdir() if entry.name.endswith(".toml")}
    return dict(sorted(found.items()))


def _read(path_or_builtin: str) -> tuple[str, str]:
    path, builtin = Path(path_or_builtin), builtin_recipes()
    try:
        if path.is_file():
            return path.read_text(encoding="utf-8-sig"), f"recipe {path}"
        if path_or_builtin in builtin:
            return builtin[path_or_builtin].read_text(encoding="utf-8"), f"built-in recipe {path_or_builtin!r}"
    except UnicodeDecodeError as error:
        raise ConfigError(f"recipe {path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise ConfigError(f"recipe {path} cannot be read: {error.strerror}") from error
    near = difflib.get_close_matches(path_or_builtin, builtin, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    if (path / "recipe.toml").is_file():
        hint = f" {str(path)!r} is a run directory: did you mean {str(path / 'recipe.toml')!r}?"
    known = ", ".join(builtin) or "none"
    raise ConfigError(f"no recipe {path_or_builtin!r}: give a TOML file or a built-in name ({known}).{hint}")


def _validated(model: type[M], data: dict[str, Any]) -> M:
    # Strict JSON mode takes lists for tuples and strings for enums and paths, but never "5" for 5 or 1 for true.
    return model.model_validate_json(json.dumps(data, default=iso_date), strict=True)


def _override(data: dict[str, Any], item: str) -> tuple[Location, str]:
    """Apply one override in place; return where it went and its text as typed."""
    name, sign, text = item.partition("=")
    keys = [key.strip() for key in name.split(".")]
    if not sign or not all(keys):
        raise ConfigError(f"override {item!r} is not of the form section.key=value, e.g. teaching.rounds=5")
    _put(data, keys, _override_value(text.strip()), item)
    return tuple(keys), text.strip()


def _override_value(text: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = [{text}]")  # in a list, "1 # x" and "1, 2" are not single values
    except tomllib.TOMLDecodeError:
        return text
    if set(parsed) != {"value"} or len(parsed["value"]) != 1 or isinstance(parsed["value"][0], date | datetime | time):
        return text
    return parsed["value"][0]


def _put(data: dict[str, Any], keys: list[str], value: Any, item: str) -> None:
    for depth, key in enumerate(keys[:-1]):
        data = data.setdefault(key, {})
        if not isinstance(data, dict):
            place = ".".join(keys[: depth + 1])
            raise ConfigError(f"override {item!r}: {place} is {data!r}, not a section, so it has no keys to set")
    data[keys[-1]] = value


def _explain(detail: ErrorDetails, model: type[BaseModel], raw: dict[Location, str]) -> str:
    loc = detail["loc"]
    place = ".".join(map(str, loc)) or "recipe"
    source = f" (set by --set {place}={raw[loc]})" if loc in raw else ""
    if detail["type"] == "extra_forbidden":
        return _unknown_key(loc, model) + source
    if detail["type"] == "missing":
        return f"{place}: this key is needed and is missing"
    wish = (
        detail["msg"].removeprefix("Value error, ").removeprefix("Input should be ").removeprefix("Assertion failed, ")
    )
    got = detail["input"]
    if isinstance(got, dict) and detail["type"] in ("value_error", "assertion_error"):
        return f"{place}: {wish}{source}"
    return f"{place}: got {got!r} ({type(got).__name__}); allowed: {wish}{source}"


def _unknown_key(loc: Location, model: type[BaseModel]) -> str:
    key, section = str(loc[-1]), ".".join(map(str, loc[:-1]))
    allowed = sorted({name for owner in _models_at(model, loc[:-1]) for name in owner.model_fields})
    near = difflib.get_close_matches(key, allowed, n=1)
    homes = [home for home in _homes(model, key) if home != section]
    if homes:
        hint = f"did you mean {f'{homes[0]}.{key}'.lstrip('.')!r}? "
    else:
        hint = f"did you mean {near[0]!r}? " if near else ""
    place = f"section [{section}]" if section else "the top level"
    return f"unknown key {key!r} in {place}; {hint}allowed: {', '.join(allowed) or 'no keys'}"


def _models_at(model: type[BaseModel], loc: Location) -> list[type[BaseModel]]:
    """Return the models that may stand at `loc`; steps that are union tags or list indices stay where they are."""
    here = [model]
    for step in loc:
        fields = [owner.model_fields[step].annotation for owner in here if step in owner.model_fields]
        here = (
            [inner for annotation in fields for inner in _models_in(annotation)]
            or [owner for owner in here if owner.__name__ == step]
            or here
        )
    return here


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and not get_args(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _homes(model: type[BaseModel], key: str, section: str = "") -> Iterator[str]:
    """Yield the sections that do have `key`, so that a key in the wrong section can be sent home."""
    if key in model.model_fields:
        yield section
    for name, field in model.model_fields.items():
        for inner in _models_in(field.annotation):
            if inner is not model:
                yield from _homes(inner, key, f"{section}.{name}".lstrip("."))

"""Read a run's report.json, finished or not, into plain data that is safe to draw.

Left out: computing anything; a number that is not in report.json is shown as missing, with what to run.
"""

import json
import os
import shlex
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from menon.core.errors import DataError, RunError
from menon.core.values import SCHEMA
from menon.reports.charts import Dot
from menon.reports.formats import cleaned, count, finite

Source = Mapping[str, Any] | str | os.PathLike[str]


def read_report(source: Source) -> dict[str, Any]:
    """Return the report given as a dict, a run directory or a report.json; every string in it is visible text.

    A run directory that has no report.json yet gives what its manifest and recipe say, so that a page about an
    unfinished run can be drawn.

    Raises:
        RunError: no such folder, or a folder that is not a run.
        DataError: report.json is not JSON, not an object, or of another schema.
    """
    data = source if isinstance(source, Mapping) else _from_disk(Path(source))
    schema = data.get("schema", SCHEMA)
    if schema != SCHEMA:
        raise DataError(
            f"the report has schema {schema!r}; this version of Menon reads {SCHEMA}. "
            "Render it with the version named in its manifest, or run the study again."
        )
    return cleaned(data)


def _from_disk(path: Path) -> Mapping[str, Any]:
    file = path if path.suffix == ".json" else path / "report.json"
    if file.is_file():
        return _json_object(file)
    manifest, recipe = path / "manifest.json", path / "recipe.toml"
    if not manifest.is_file() and not recipe.is_file():
        raise RunError(
            f"no run at {str(path)!r}: it holds neither report.json nor manifest.json nor recipe.toml. "
            "Give the directory that `menon run ... --out DIR` wrote."
        )
    found: dict[str, Any] = {"schema": SCHEMA, "run": path.name}
    if manifest.is_file():
        found["manifest"] = _json_object(manifest)
        found |= {key: found["manifest"][key] for key in ("study", "model", "command") if key in found["manifest"]}
    if recipe.is_file():
        settings = _settings(recipe)
        found |= {key: settings[key] for key in ("study", "model") if key not in found and key in settings}
        found.setdefault("command", shlex.join(["menon", "run", str(recipe), "--out", str(path)]))
    return found


def _settings(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{str(file)!r} is not TOML: {error}. Restore it, or start the run with --fresh.") from error


def _json_object(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text(encoding="utf-8", errors="replace"))
    except json.JSONDecodeError as error:
        raise DataError(f"{str(file)!r} is not JSON: {error}. Run the study again to have it written anew.") from error
    if not isinstance(data, dict):
        raise DataError(f"{str(file)!r} holds a {type(data).__name__}; allowed: one JSON object.")
    return data


def section(report: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a section that maps names to things; empty when it is missing or of another shape."""
    found = report.get(name)
    return dict(found) if isinstance(found, Mapping) else {}


def rows(report: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Return a section that is a list of objects; anything else in it is left out."""
    found = report.get(name)
    return [dict(row) for row in found if isinstance(row, Mapping)] if isinstance(found, list) else []


def families(report: Mapping[str, Any]) -> list[str]:
    """List every family that any section mentions, in the order of first mention."""
    names = ("accuracy", "hard_band", "by_difficulty", "by_round", "recitation_share", "paired")
    return list(dict.fromkeys(family for name in names for family in section(report, name)))


def difficulty_name(report: Mapping[str, Any], family: str) -> str:
    """Return what difficulty counts in `family` (`digits`, `steps`), `difficulty` where the report does not say."""
    about = section(report, "families").get(family)
    return str(about.get("difficulty", "difficulty")) if isinstance(about, Mapping) else "difficulty"


def dot(cell: Any, label: str, *, style: str, group: str = "") -> Dot | None:
    """Return `{"value", "low", "high", "n"}` as a mark for a chart, or None when it holds no number."""
    if not isinstance(cell, Mapping):
        return None
    value = finite(cell.get("value"))
    if value is None:
        return None
    low, high = finite(cell.get("low")), finite(cell.get("high"))
    size = cell.get("n", cell.get("n_items"))
    return Dot(
        label=label,
        value=value,
        low=value if low is None else low,
        high=value if high is None else high,
        style=style,
        group=group,
        note="" if finite(size) is None else f"n = {count(size)}",
    )

"""Units: what they are called, in which order they are read, and how their content becomes text."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from menon.core.errors import RunError
from menon.core.seeds import canonical_json, content_id
from menon.core.values import SCHEMA

DRAFT = "unit-draft.json"

Name = str | int
ReadingOrder = list[tuple[int, int, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A committed unit; `seconds` is its own measured time, without units computed inside it."""

    stage: str
    names: tuple[Name, ...]
    value: dict[str, Any]
    seconds: float


class UnitWriter:
    """Collects what a unit produces until it is committed as a whole."""

    def __init__(self, stage: str, names: tuple[Name, ...], publish: Callable[[str], None]) -> None:
        """Begin a unit; `publish` shows a line of metrics to whoever watches."""
        self.stage = stage
        self.names = names
        self.records: list[tuple[str, str]] = []
        self.metrics: list[str] = []
        self._publish = publish
        self._began = perf_counter()
        self._other_seconds = 0.0

    def add(self, kind: str, record: dict[str, Any]) -> None:
        """Add a JSON-serialisable record; it is stored with its `schema` version when the unit is committed."""
        text = encode({"schema": SCHEMA, **record}, f"a {kind!r} record of unit {title(self.stage, self.names)}")
        self.records.append((kind, text))

    def add_metric(self, fields: dict[str, Any]) -> None:
        """Add and publish a line of metrics; `Run.metric` calls this for the unit being computed."""
        line = encode({"stage": self.stage, "names": list(self.names), **fields}, "a metric")
        self._publish(line)
        self.metrics.append(line)

    def save_draft(self, folder: Path) -> None:
        """Write what was collected so far beside a partial checkpoint, from which a killed unit will go on.

        Call it inside the same `atomic_directory` as the checkpoint, so that both are from the same moment.
        """
        draft = {"records": self.records, "metrics": self.metrics, "seconds": self.seconds()}
        (folder / DRAFT).write_text(json.dumps(draft), encoding="utf-8")

    def load_draft(self, folder: Path) -> bool:
        """Take over what `save_draft` wrote to `folder`; say whether there was anything."""
        path = folder / DRAFT
        if not path.is_file():
            return False
        try:
            draft = json.loads(path.read_text(encoding="utf-8"))
            self.records = [(kind, data) for kind, data in draft["records"]]
            self.metrics = [str(line) for line in draft["metrics"]]
            self._other_seconds -= float(draft["seconds"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"cannot read {str(path)!r}: {error}. Delete the folder that holds it to redo the unit"
            ) from error
        for line in self.metrics:
            self._publish(line)
        return True

    def metrics_so_far(self) -> list[dict[str, Any]]:
        """Return the lines of metrics that this unit has collected, those of a loaded draft included."""
        return [json.loads(line) for line in self.metrics]

    def leave_out(self, seconds: float) -> None:
        """Do not count time that another unit, computed inside this one, counts already."""
        self._other_seconds += seconds

    def seconds(self) -> float:
        """Return the time spent on this unit so far, over all sessions that its drafts tell of."""
        return max(0.0, perf_counter() - self._began - self._other_seconds)


def unit_key(recipe_hash: str, stage: str, names: tuple[Name, ...]) -> str:
    """Return the key under which a unit is stored; 1 and "1" are different names."""
    if not isinstance(stage, str) or not stage or any(type(name) not in (str, int) for name in names):
        raise TypeError(f"a unit is named by a stage and texts or whole numbers, got {(stage, *names)!r}")
    return content_id("unit", recipe_hash, stage, list(names))


def reading_order(names: list[Name]) -> ReadingOrder:
    """Return a sort key: numbers by value, before texts; it depends on nothing but the names."""
    return [(1, 0, name) if isinstance(name, str) else (0, name, "") for name in names]


def title(stage: str, names: tuple[Name, ...]) -> str:
    """Return what messages call a unit."""
    return "/".join(map(str, (stage, *names)))


def encode(value: dict[str, Any], what: str) -> str:
    """Return `value` as one canonical line of JSON; raise `TypeError` naming `what` when JSON cannot hold it."""
    try:
        text = canonical_json(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{what} cannot be stored as JSON: {error}") from error
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair has no UTF-8 form; escaped, it has
        return json.dumps(value, sort_keys=True, separators=(",", ":"))
    return text

"""Whatever is interrupted where, a run reads back the same."""

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from menon.store import Run, UnitWriter

MEMORY = Path("/dev/shm")  # hundreds of commits, whose way to a real disk is not the question here
names = st.tuples(st.sampled_from(["sample", "train"]), st.integers(-3, 12) | st.sampled_from(["a", "B", "10", "ü"]))
plans = st.lists(names, min_size=1, max_size=8, unique_by=lambda name: (name[0], type(name[1]), name[1]))
payloads = st.dictionaries(
    st.text(max_size=3), st.integers() | st.floats(allow_nan=False) | st.text(max_size=5), max_size=3
)


class Stopped(Exception):
    """Stands in for the end of a process in the middle of a unit."""


@settings(max_examples=30)
@given(plan=plans, payload=payloads, stops=st.lists(st.integers(0, 7), max_size=4))
def test_interruptions_do_not_show(plan: list[tuple], payload: dict[str, Any], stops: list[int]):
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        whole = session(Path(folder) / "whole", plan, payload, None)
        for stop in stops:
            session(Path(folder) / "parts", plan, payload, stop)
        assert session(Path(folder) / "parts", plan, payload, None) == whole


def session(path: Path, plan: list[tuple], payload: dict[str, Any], stop: int | None) -> tuple | None:
    """Do the plan until unit number `stop` fails half-way; return all that can be read."""

    def compute(writer: UnitWriter) -> dict[str, Any]:
        run.metric(at=[writer.stage, *writer.names])
        writer.add("row", payload)
        if stop is not None and plan.index((writer.stage, *writer.names)) >= stop:
            raise Stopped
        writer.add("row", {"at": list(writer.names)})
        return payload

    with Run.create_or_resume(path, recipe_toml="x = 1\n", manifest={}) as run:
        try:
            for stage, name in plan:
                run.unit(stage, name, compute=compute)
        except Stopped:
            return None
        units = [(u.stage, u.names, repr(u.value)) for u in run.units()]
        return run.fingerprint(), units, repr(list(run.records("row"))), list(run.metrics())

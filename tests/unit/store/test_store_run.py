"""Units, records, metrics, resume and the manifest of a run."""

import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from menon.core.errors import ConfigError, RunError
from menon.store import Run, UnitWriter, is_run, resume_hint, without_measured

RECIPE = "model = 'menon:base'\n[teaching]\nrounds = 3\n"
MANIFEST: dict[str, Any] = {"versions": {"torch": "2.13"}, "weights": "abc"}


def begin(path: Path, recipe: str = RECIPE, manifest: dict[str, Any] | None = None, *, fresh: bool = False) -> Run:
    return Run.create_or_resume(path, recipe_toml=recipe, manifest=manifest or MANIFEST, fresh=fresh)


def forbidden(_: UnitWriter) -> dict[str, Any]:
    raise AssertionError("a finished unit was computed again")


def test_a_unit_is_computed_once_and_read_back_equal(tmp_path: Path):
    def compute(writer: UnitWriter) -> dict[str, Any]:
        writer.add("row", {"text": "größer \ud800\x00", "x": 0.1})
        return {"pair": (1, 2), "nested": {"b": None, "a": 1e-300}}

    with begin(tmp_path / "run") as run:
        assert run.done("round", 1) is None
        first = run.unit("round", 1, compute=compute)
        assert run.unit("round", 1, compute=forbidden) == first
    with begin(tmp_path / "run") as run:
        assert run.unit("round", 1, compute=forbidden) == first == {"pair": [1, 2], "nested": {"a": 1e-300, "b": None}}
        assert run.done("round", 1) == first
        assert run.done("round", "1") is None
        assert list(run.records("row")) == [{"schema": 1, "text": "größer \ud800\x00", "x": 0.1}]
        assert len(run.fingerprint()) == 64


def test_reading_order_is_stages_as_begun_then_names_whatever_the_order_of_commits(tmp_path: Path):
    def fill(path: Path, order: list[tuple]) -> tuple[str, list, list]:
        with begin(path) as run:
            for stage, *names in order:
                run.unit(stage, *names, compute=lambda w: w.add("row", {"at": [w.stage, *w.names]}) or {})
            return run.fingerprint(), [r["at"] for r in run.records("row")], [(u.stage, *u.names) for u in run.units()]

    order = [("z", 2), ("z", 10), ("z", "b"), ("a", "chain", 1), ("a", "addition", 2), ("z", 1)]
    mixed = [("z", "b"), ("a", "addition", 2), ("z", 1), ("z", 10), ("a", "chain", 1), ("z", 2)]
    fingerprint, records, units = fill(tmp_path / "one", order)
    assert fill(tmp_path / "two", mixed) == (fingerprint, records, units)
    assert units == [("z", 1), ("z", 2), ("z", 10), ("z", "b"), ("a", "addition", 2), ("a", "chain", 1)]


def test_records_are_chosen_by_kind_stage_and_first_names(tmp_path: Path):
    with begin(tmp_path) as run:
        for stage, *names in [("s", "a", 1), ("s", "a", 2), ("s", "b", 1), ("t", "a", 1)]:
            run.unit(stage, *names, compute=lambda w: (w.add("k", {"at": [w.stage, *w.names]}), w.add("l", {}), {})[2])
        assert [r["at"] for r in run.records("k", stage="s", names_prefix=("a",))] == [["s", "a", 1], ["s", "a", 2]]
        assert len(list(run.records("k", names_prefix=("a", 1)))) == 2
        assert len(list(run.records("l", stage="s"))) == 3
        assert list(run.records("none")) == []
        assert [u.names for u in run.units("t")] == [("a", 1)]


def test_the_fingerprint_leaves_out_measured_quantities_and_nothing_else(tmp_path: Path):
    def fill(name: str, seconds: float, text: str) -> str:
        with begin(tmp_path / name) as run:
            run.unit(
                "s",
                compute=lambda w: w.add("k", {"text": text, "cost": [{"seconds": seconds}]}) or {"seconds": seconds},
            )
            return run.fingerprint()

    assert fill("a", 1.0, "x") == fill("b", 2.0, "x")
    assert fill("c", 1.0, "y") != fill("a", 1.0, "x")
    assert without_measured({"a": [{"tokens_per_s": 1, "n": 2}], "peak_memory_mb": 3}) == {"a": [{"n": 2}]}


def test_a_unit_that_fails_leaves_nothing(tmp_path: Path):
    def fail(writer: UnitWriter) -> dict[str, Any]:
        writer.add("row", {"x": 1})
        run.metric(loss=1.0)
        raise KeyboardInterrupt

    with begin(tmp_path) as run:
        run.unit("ok", compute=lambda _: run.metric(loss=0.5) or {})
        with pytest.raises(KeyboardInterrupt):
            run.unit("bad", compute=fail)
        run.metric(watching=True)
        assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 3
    with begin(tmp_path) as run:
        assert [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [
            {"stage": "ok", "names": [], "loss": 0.5}
        ]
        assert list(run.metrics()) == list(run.metrics("ok")) == [{"stage": "ok", "names": [], "loss": 0.5}]
        assert list(run.records("row")) == []
        assert run.done("bad") is None


def test_a_unit_inside_a_unit_is_kept_on_its_own_and_its_time_counted_once(tmp_path: Path, monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr("menon.store.units.perf_counter", lambda: float(next(clock)))
    monkeypatch.setattr("menon.store.run.perf_counter", lambda: float(next(clock)))

    def outer(_: UnitWriter) -> dict[str, Any]:
        run.unit("inner", compute=lambda _: {"x": 1})
        raise OSError("killed")

    with begin(tmp_path) as run:
        with pytest.raises(OSError, match="killed"):
            run.unit("outer", compute=outer)
        assert run.done("inner") == {"x": 1}
        run.unit("outer 2", compute=lambda _: run.unit("inner 2", compute=lambda _: {}))
        seconds = {u.stage: u.seconds for u in run.units()}
        assert run.seconds() == sum(seconds.values())
        assert seconds["outer 2"] < 4


def test_a_draft_carries_records_metrics_and_time_over_a_kill(tmp_path: Path):
    folder = tmp_path / "partial"
    folder.mkdir()

    def stop(writer: UnitWriter) -> dict[str, Any]:
        writer.add("row", {"x": 1})
        run.metric(step=1)
        writer.save_draft(folder)
        writer.add("row", {"x": "lost"})
        raise KeyboardInterrupt

    def go_on(writer: UnitWriter) -> dict[str, Any]:
        assert writer.load_draft(folder)
        writer.add("row", {"x": 2})
        run.metric(step=2)
        return {}

    with begin(tmp_path / "run") as run, pytest.raises(KeyboardInterrupt):
        run.unit("train", compute=stop)
    with begin(tmp_path / "run") as run:
        run.unit("train", compute=go_on)
        assert [r["x"] for r in run.records("row")] == [1, 2]
        assert [m["step"] for m in run.metrics()] == [1, 2]
        assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 2
        run.unit("other", compute=lambda w: {"draft": w.load_draft(tmp_path / "absent")})
        assert run.done("other") == {"draft": False}
        (folder / "unit-draft.json").write_text("{")
        with pytest.raises(RunError, match=r"unit-draft\.json.*Delete the folder"):
            run.unit("broken", compute=go_on)


def test_threads_share_a_run(tmp_path: Path):
    with begin(tmp_path) as run:

        def compute(writer: UnitWriter) -> dict[str, Any]:
            run.metric(at=list(writer.names))
            writer.add("row", {"at": list(writer.names)})
            return {}

        def work(part: int) -> None:
            for number in range(20):
                run.unit("s", part, number, compute=compute)

        threads = [threading.Thread(target=work, args=(part,)) for part in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [r["at"] for r in run.records("row")] == [[p, n] for p in range(4) for n in range(20)]
        assert all(m["at"] == m["names"] for m in run.metrics())


@pytest.mark.parametrize("names", [(True,), (1.5,), (None,)])
def test_unit_names_are_texts_and_whole_numbers(tmp_path: Path, names: tuple):
    with begin(tmp_path) as run, pytest.raises(TypeError, match="texts or whole numbers"):
        run.unit("s", *names, compute=forbidden)


def test_what_is_not_json_is_refused_with_its_unit_named(tmp_path: Path):
    with begin(tmp_path) as run:
        with pytest.raises(TypeError, match="must compute a dict, got 3"):
            run.unit("s", 1, compute=lambda _: 3)  # pyright: ignore[reportArgumentType]
        with pytest.raises(TypeError, match="value of unit s/1 cannot be stored as JSON"):
            run.unit("s", 1, compute=lambda _: {"x": object()})
        with pytest.raises(TypeError, match="'row' record of unit s/1"):
            run.unit("s", 1, compute=lambda w: w.add("row", {"x": {1, 2}}) or {})
        with pytest.raises(RunError, match="s/1 is already being computed"):
            run.unit("s", 1, compute=lambda _: run.unit("s", 1, compute=lambda _: {}))


def test_another_recipe_is_refused_and_the_difference_named(tmp_path: Path):
    with begin(tmp_path) as run:
        run.unit("s", compute=lambda _: {})
    with pytest.raises(RunError) as caught:
        begin(tmp_path, "seed = 7\nmodel = 'menon:base'\n[teaching]\nrounds = 5\n")
    text = str(caught.value)
    assert "teaching.rounds: 3 before, 5 now" in text
    assert "seed: absent before, 7 now" in text
    assert "model" not in text
    assert "--out" in text
    assert "--fresh" in text
    with begin(tmp_path, "# same\n" + RECIPE) as run:
        assert run.done("s") == {}


def test_another_manifest_is_a_warning_that_is_logged_once_per_session_and_kept(tmp_path: Path, caplog):
    with begin(tmp_path) as run:
        assert run.warnings == []
    changed = {"versions": {"torch": "3.0"}, "weights": "def", "command": "menon run x"}
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.WARNING), begin(tmp_path, manifest=changed) as run:
            assert len(run.warnings) == 2
        assert "versions.torch: '2.13' before, '3.0' now" in caplog.text
        assert "weights: 'abc' before, 'def' now" in caplog.text
        assert "command" not in caplog.text
    assert json.loads((tmp_path / "manifest.json").read_text()) == MANIFEST


def test_fresh_starts_over_and_leaves_other_peoples_files(tmp_path: Path):
    path = tmp_path / "run"
    with begin(path) as run:
        run.unit("s", compute=lambda _: {})
        run.checkpoint("s").mkdir(parents=True)
    (path / "notes.txt").write_text("mine")
    (path / "report.html").write_text("old")
    with begin(path, "other = 1\n", fresh=True) as run:
        assert run.done("s") is None
        assert run.units() == []
    assert sorted(p.name for p in path.iterdir()) == [
        "manifest.json",
        "metrics.jsonl",
        "notes.txt",
        "recipe.toml",
        "records.sqlite",
        "run.lock",
    ]


@pytest.mark.parametrize("fresh", [False, True])
def test_a_folder_that_is_no_run_is_left_alone(tmp_path: Path, fresh: bool):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(RunError, match=r"'thesis\.txt'.*not a Menon run.*nothing is written or deleted"):
        begin(tmp_path, fresh=fresh)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]
    assert not is_run(tmp_path)
    with pytest.raises(RunError, match="not a run directory"):
        Run.open(tmp_path)


def test_a_copy_without_its_lock_file_is_still_a_run(tmp_path: Path):
    with begin(tmp_path) as run:
        run.unit("s", compute=lambda _: {"x": 1})
    (tmp_path / "run.lock").unlink()
    (tmp_path / "manifest.json").unlink()
    with begin(tmp_path) as run:
        assert run.done("s") == {"x": 1}
    assert json.loads((tmp_path / "manifest.json").read_text()) == MANIFEST


def test_leftovers_of_a_killed_process_are_cleaned_and_a_replaced_folder_is_put_back(tmp_path: Path):
    with begin(tmp_path) as run:
        target = run.checkpoint("train")
    (target.parent / ".train.menon-old").mkdir(parents=True)
    (target.parent / ".train.menon-old" / "weights").write_text("good")
    (target.parent / ".train.menon-tmp-1-2").mkdir()
    (target.parent / ".train.menon-tmp-1-2" / "weights").write_text("half")
    (tmp_path / ".recipe.toml.menon-tmp-9-0").write_text("half")
    with begin(tmp_path):
        assert (target / "weights").read_text() == "good"
        assert list(tmp_path.rglob(".*")) == []


@pytest.mark.parametrize("stage", ["", "/etc", "../x", "a/../b", ".hidden", "a\\b", "c:x"])
def test_checkpoint_names_stay_inside_the_run(tmp_path: Path, stage: str):
    with begin(tmp_path) as run:
        assert run.checkpoint("star/2") == tmp_path / "checkpoints" / "star" / "2"
        with pytest.raises(RunError, match="relative name"):
            run.checkpoint(stage)


def test_the_hint_is_the_command_that_goes_on(tmp_path: Path):
    assert f"menon run {tmp_path / 'recipe.toml'} --out {tmp_path}" in resume_hint(tmp_path)
    with begin(tmp_path, manifest={"command": "menon run quickstart --fresh --out 'a b'"}):
        pass
    assert resume_hint(tmp_path).endswith("go on with: menon run quickstart --out 'a b'")


def test_a_recipe_that_is_not_toml_is_refused_before_anything_is_written(tmp_path: Path):
    with pytest.raises(ConfigError, match="not valid TOML"):
        begin(tmp_path / "run", "a = ")
    assert not (tmp_path / "run").exists()

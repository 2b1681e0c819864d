"""The Quiet-STaR study on models too small to learn: its report, its resuming, its files, recipes that it refuses."""

import json
import math
import re
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

import menon.studies.quiet.study
from menon.cli.terminal import run_lines
from menon.core.errors import ConfigError
from menon.core.recipe import dump_toml, load_recipe
from menon.models.load import load_model
from menon.models.thoughts.settings import ThoughtSettings
from menon.store import Run, without_measured
from menon.studies.quiet.recipe import QuietArm, QuietStudy
from menon.studies.quiet.settings import BaseSettings
from menon.studies.quiet.study import PLAIN, SUMMED, run_quiet
from menon.teaching.config import TrainConfig
from menon.teaching.quiet.config import QuietConfig

ARMS = (
    QuietArm(name="quiet", title="Quiet-STaR", length=True),
    QuietArm(name="pause", title="pause tokens", thoughts={"kind": "pause"}),
    QuietArm(name="plain", title="plain language model", plain=True, quiet={"steps": 2}),
    QuietArm(name="length-1", title="thoughts of 1 token", thoughts={"tokens": 1}, length=True),
)
TINY = QuietStudy(
    seeds=(0, 1),
    base=BaseSettings(moves=3, steps=20, batch=8, warmup_steps=4, width=16, heads=2),
    thoughts=ThoughtSettings(tokens=3, talk=2, start="(", end=")"),
    quiet=QuietConfig(steps=4, rows=2, passes=2, positions=4),
    train=TrainConfig(learning_rate=1e-3, warmup_steps=1, schedule="constant"),
    test_rows=4,
    probe_every=2,
    probe_rows=2,
    arms=ARMS,
)
SKILLS = {"right_states", "right_thoughts", "reading", "reading_probability", "direct", "direct_first", "direct_nll"}
THINKING = ("quiet", "pause", "length-1")
Study = tuple[dict[str, Any], Path]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("quiet") / "run"
    return run_quiet(TINY, out=folder, command="menon run tiny.toml"), folder


def arms_of(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {arm["name"]: arm for arm in report["arms"]}


def kept(folder: Path) -> dict[str, Any]:
    """What the run left, apart from what is measured."""
    with Run.open(folder) as run:
        units = [(unit.stage, unit.names) for unit in run.units()]
        fingerprint = run.fingerprint()
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    weights = sorted((folder / "checkpoints").rglob("*.safetensors"))
    return {
        "report": without_measured(report),
        "units": sorted(units),
        "fingerprint": fingerprint,
        "weights": {str(path.relative_to(folder)): path.read_bytes() for path in weights},
        "tables": re.sub(r"\| [\d.]+ s \|", "|", (folder / "quiet.md").read_text(encoding="utf-8")),
        "pictures": {path.name: path.read_bytes() for path in sorted(folder.glob("*.svg"))},
    }


def test_the_report_holds_every_arm_seed_and_measure(done: Study):
    report, folder = done
    assert (report["schema"], report["study"], report["seeds"], report["moves"]) == (1, "quiet", [0, 1], 3)
    assert report["command"] == "menon run tiny.toml"
    assert report["manifest"]["versions"]["torch"]
    assert [base["seed"] for base in report["bases"]] == [0, 1]
    assert all(base.keys() == SKILLS | {"seed"} for base in report["bases"])
    assert report["bases"][0]["direct_nll"] != report["bases"][1]["direct_nll"]
    assert list(arms_of(report)) == [arm.name for arm in ARMS]
    assert [(arm["steps"], arm["tokens"], arm["plain"]) for arm in report["arms"]] == [
        (4, 3, False),
        (4, 3, False),
        (2, 3, True),
        (4, 1, False),
    ]
    assert json.loads((folder / "report.json").read_text(encoding="utf-8")) == {
        key: value for key, value in report.items() if key not in ("run", "page")
    }


@pytest.mark.parametrize("name", [arm.name for arm in ARMS])
def test_every_measure_is_there_where_the_arm_has_it(done: Study, name: str):
    arm = arms_of(done[0])[name]
    absent = {"plain": set(SUMMED) - set(PLAIN), "pause": {"right_tokens", "right_thoughts"}}.get(name, set())
    assert [run["seed"] for run in arm["runs"]] == [0, 1]
    assert arm["cpu_seconds"] > 0
    for run in arm["runs"]:
        for found in (run, run["before"]):
            assert {measure for measure in SUMMED if found[measure] is None} == absent
            values = {measure: found[measure] for measure in SUMMED if measure not in absent}
            assert all(math.isfinite(value) for value in values.values())
            assert all(0 <= value <= 1 for measure, value in values.items() if "nll" not in measure)
            assert all(value > 0 for measure, value in values.items() if "nll" in measure)
    for when, runs in (("summary", arm["runs"]), ("before", [run["before"] for run in arm["runs"]])):
        for measure in SUMMED:
            cell = arm[when][measure]
            if measure in absent:
                assert cell is None
            else:
                assert cell["value"] == pytest.approx(mean(run[measure] for run in runs))
                assert cell["low"] <= cell["value"] <= cell["high"]


def test_arms_begin_at_the_same_base_and_end_apart(done: Study):
    arms = arms_of(done[0])
    for measure in ("answer_nll_text", "other_nll_text"):
        assert len({arm["before"][measure]["value"] for arm in arms.values()}) == 1
        ends = [arm["summary"][measure]["value"] for arm in arms.values()]
        assert len({*ends, arms["quiet"]["before"][measure]["value"]}) == len(ARMS) + 1


def test_curves_lengths_and_hardness(done: Study):
    report, _ = done
    assert set(report["curves"]) == set(THINKING)
    for name, curve in report["curves"].items():
        assert [point["step"] for point in curve] == [0, 2, 4]
        assert curve == arms_of(report)[name]["curve"]
        first, summary = curve[0], arms_of(report)[name]["before"]
        assert first["answer_accuracy_mixed"] == pytest.approx(summary["answer_accuracy_mixed"]["value"])
        assert first["reward"] == 0.0
        assert curve[-1]["reward"] != 0.0
    assert [row["tokens"] for row in report["lengths"]] == [1, 3]
    for row, name in zip(report["lengths"], ("length-1", "quiet"), strict=True):
        for measure in ("answer_accuracy_mixed", "answer_nll_mixed"):
            assert row[measure] == arms_of(report)[name]["summary"][measure]
    tables = report["by_hardness"]
    assert len(tables) == 10
    assert tables == arms_of(report)["quiet"]["by_hardness"]
    assert len({row["n"] for row in tables}) <= 2


def test_page_tables_pictures_and_terminal_are_written(done: Study):
    report, folder = done
    page = (folder / "report.html").read_text(encoding="utf-8")
    tables = (folder / "quiet.md").read_text(encoding="utf-8")
    pictures = {path.name: path for path in folder.glob("quiet-*.svg")}
    assert {"quiet-arms.svg", "quiet-curves.svg", "quiet-lengths.svg", "quiet-hardness.svg"} <= pictures.keys()
    for path in pictures.values():
        assert ET.fromstring(path.read_text(encoding="utf-8")).tag.endswith("svg")
    lines = run_lines(report)
    for arm in ARMS:
        assert arm.title in page
        assert arm.title in tables
        assert sum(arm.title in line for line in lines) == 1
    assert lines[-1] == f"report: {folder / 'report.html'}"
    assert "with thought" not in next(line for line in lines if "plain language model" in line)


def test_bases_are_kept_as_models_that_load(done: Study):
    for seed in TINY.seeds:
        loaded = load_model(str(done[1] / "checkpoints" / f"base-{seed}"), device="cpu")
        assert loaded.model.config.hidden_size == 16
        assert loaded.tokenizer("0 a = 1 .").input_ids


class Counted:
    """Stands in for a function of the study: counts its calls, and stops the study in call number `stop_in`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str, stop_in: int = 0, after: int = 0):
        self.original = getattr(menon.studies.quiet.study, name)
        self.calls, self.stop_in, self.after = 0, stop_in, after
        monkeypatch.setattr(menon.studies.quiet.study, name, self)

    def __call__(self, *args: Any, **options: Any) -> Any:
        self.calls += 1
        found = self.original(*args, **options)
        return self._stopped(found) if self.calls == self.stop_in else found

    def _stopped(self, steps: Iterator[Any]) -> Iterator[Any]:
        for _ in range(self.after):
            yield next(steps)
        raise KeyboardInterrupt


def test_a_study_that_was_stopped_twice_ends_with_the_same_bytes(
    done: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        Counted(patch, "teach_quiet", stop_in=2, after=3)  # in arm quiet of seed 1
        run_quiet(TINY, out=folder, command="menon run tiny.toml")
    assert not (folder / "report.json").exists()
    with monkeypatch.context() as patch:
        bases = Counted(patch, "pretrain_states")
        lessons = Counted(patch, "teach_quiet")
        Counted(patch, "train", stop_in=2, after=1)  # in arm plain of seed 1
        with pytest.raises(KeyboardInterrupt):
            run_quiet(TINY, out=folder, command="menon run tiny.toml")
    assert (bases.calls, lessons.calls) == (0, 3)
    lessons = Counted(monkeypatch, "teach_quiet")
    plain = Counted(monkeypatch, "train")
    run_quiet(TINY, out=folder, command="menon run tiny.toml")
    assert (lessons.calls, plain.calls) == (2, 1)
    stopped, whole = kept(folder), kept(done[1])
    for name, value in whole.items():
        assert stopped[name] == value, name


def test_the_same_command_again_computes_nothing(done: Study, monkeypatch: pytest.MonkeyPatch):
    report, folder = done
    bytes_before = (folder / "report.json").read_bytes()
    counted = [Counted(monkeypatch, name) for name in ("pretrain_states", "teach_quiet", "train", "score_texts")]
    again = run_quiet(TINY, out=folder, command="menon run tiny.toml")
    assert [stand_in.calls for stand_in in counted] == [0, 0, 0, 0]
    assert again == report
    assert (folder / "report.json").read_bytes() == bytes_before


@pytest.fixture
def tiny_file(tmp_path: Path) -> str:
    path = tmp_path / "tiny.toml"
    path.write_text(dump_toml(TINY), encoding="utf-8")
    assert load_recipe(str(path), QuietStudy) == TINY
    return str(path)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ("thoughts={tokens=0}", ("tokens", "greater than or equal to 1")),
        ('thoughts={kind="loud"}', ("kind", "'sampled', 'pause' or 'random'")),
        ("thoughts={tokkens=3}", ("tokkens",)),
        ("quiet={passes=1}", ("quiet.passes = 1",)),
        ('quiet={steps="many"}', ("steps", "integer")),
        ("quiet={talk=0.0}", ("quiet.talk = 0",)),
    ],
)
def test_an_arm_that_cannot_be_taught_is_refused_by_its_name(changes: str, told: tuple[str, ...], tiny_file: str):
    with pytest.raises(ConfigError) as caught:
        load_recipe(
            tiny_file, QuietStudy, [f'arms=[{{name="good",title="good"}},{{name="odd one",title="odd",{changes}}}]']
        )
    assert "arm 'odd one'" in str(caught.value)
    assert all(words in str(caught.value) for words in told)


def test_arms_need_names_of_their_own(tiny_file: str):
    with pytest.raises(ConfigError, match="different names.*got quiet, quiet"):
        load_recipe(tiny_file, QuietStudy, ['arms=[{name="quiet",title="a"},{name="quiet",title="b"}]'])
    with pytest.raises(ConfigError, match="at least one; got none"):
        load_recipe(tiny_file, QuietStudy, ["arms=[]"])


def test_the_built_in_recipe_is_the_study_of_the_table():
    recipe = load_recipe("quiet", QuietStudy)
    assert len(recipe.seeds) == 3
    arms = {arm.name: recipe.settings_of(arm) for arm in recipe.arms}
    assert recipe.arms[0].name == "quiet"  # the page compares the first arm with all others
    assert arms["quiet"] == (recipe.thoughts, recipe.quiet)
    assert (arms["pause"][0].kind, arms["random"][0].kind) == ("pause", "random")
    assert arms["no-reinforce"][1].policy == 0
    assert (arms["myopic-loss"][1].loss_tokens, arms["myopic-reward"][1].reward_tokens) == (1, 1)
    assert [arm.name for arm in recipe.arms if arm.plain] == ["plain"]
    assert {recipe.settings_of(arm)[0].tokens for arm in recipe.arms if arm.length} >= {1, 2, 4, 6, 8}
    assert recipe.quiet.positions < 3 * 10  # uniformly random ones, fewer than a row has


def test_the_command_runs_the_study(menon_command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path):
    settings = {
        "seeds": "[5]",
        "base.moves": "2",
        "base.steps": "3",
        "base.batch": "2",
        "base.warmup_steps": "1",
        "base.width": "16",
        "base.heads": "2",
        "thoughts.tokens": "2",
        "quiet.steps": "2",
        "quiet.rows": "2",
        "quiet.passes": "2",
        "quiet.positions": "3",
        "test_rows": "2",
        "arms": '[{name="quiet",title="Quiet-STaR"},{name="plain",title="plain",plain=true}]',
    }
    sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    out = tmp_path / "run"
    made = menon_command("run", "quiet", "--out", out, *sets, "--json")
    assert made.returncode == 0, made.stderr
    report = json.loads(made.stdout)
    assert (report["seeds"], [arm["name"] for arm in report["arms"]]) == ([5], ["quiet", "plain"])
    assert report["arms"][0]["summary"]["answer_nll_mixed"]["low"] is None  # one seed has no interval
    assert report["command"].startswith("menon run quiet ")
    assert (out / "report.html").stat().st_size > 10_000
    assert (out / "quiet.md").stat().st_size > 500

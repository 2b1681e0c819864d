"""The study of code in pre-training on models too small to learn, in this process: report, resuming, errors."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

import menon.studies.code_mixture.crew
from menon.core.errors import Diverged, RunError
from menon.core.progress import Silent
from menon.core.recipe import dump_toml
from menon.studies.code_mixture.crew import Crew
from menon.studies.code_mixture.measures import TASKS
from menon.studies.code_mixture.recipe import CodeMixture, MixtureArm, MixturePhase, Tasks
from menon.studies.code_mixture.study import run_code_mixture
from menon.studies.code_mixture.teach import perform
from menon.studies.known.training import ModelSize
from menon.teaching.config import TrainConfig

ARMS = (
    MixtureArm(name="text", title="text only", phases=(MixturePhase(mix={"text": 1.0}),), sweep=True),
    MixtureArm(name="code-25", title="25 % code", phases=(MixturePhase(mix={"text": 0.75, "code": 0.25}),), sweep=True),
    MixtureArm(name="tuned", title="tuned", after="text", phases=(MixturePhase(mix={"answers": 1.0}),)),
)
TINY = CodeMixture(
    seeds=(0, 1),
    tokens=4_000,
    tuning_tokens=1_000,
    size=ModelSize(width=8, layers=1, heads=1),
    train=TrainConfig(learning_rate=3e-3, warmup_steps=2, tokens_per_batch=256),
    tasks=Tasks(originals=4, variants=1, questions=4, facts=4, programs=4),
    workers=0,
    arms=ARMS,
)
Study = tuple[dict[str, Any], Path]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("code") / "run"
    return run_code_mixture(TINY, out=folder, command="menon run tiny.toml"), folder


def test_the_report_holds_every_arm_seed_and_task(done: Study):
    report, folder = done
    assert (report["schema"], report["study"], report["seeds"]) == (1, "code-mixture", [0, 1])
    assert [arm["name"] for arm in report["arms"]] == ["text", "code-25", "tuned"]
    for arm in report["arms"]:
        assert set(arm["tasks"]) == set(arm["against"]) == {task.name for task in TASKS}
        assert [run["seed"] for run in arm["runs"]] == [0, 1]
        for task in TASKS:
            mean = sum(run[task.name] for run in arm["runs"]) / 2
            assert arm["tasks"][task.name]["value"] == pytest.approx(mean)
    assert json.loads((folder / "report.json").read_text(encoding="utf-8")) == {
        key: value for key, value in report.items() if key not in ("run", "page")
    }


def test_arms_have_equal_tokens(done: Study):
    text, code, tuned = (arm["tokens"] for arm in done[0]["arms"])
    assert all(0.97 * TINY.tokens < tokens <= TINY.tokens for tokens in (text, code))
    assert 0.9 * TINY.tuning_tokens < tuned <= TINY.tuning_tokens


def test_arms_and_seeds_end_as_different_models(done: Study):
    losses = [run["held_in_nats"] for arm in done[0]["arms"] for run in arm["runs"]]
    assert len(set(losses)) == len(losses)
    assert all(cell["value"] == 0 for cell in done[0]["arms"][0]["against"].values())


def test_page_tables_and_pictures_are_written(done: Study):
    folder = done[1]
    names = {path.name for path in folder.iterdir()}
    assert {"report.html", "code-mixture.md", "code-mixture-arms.svg", "code-mixture-sweep.svg"} <= names
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert all(arm.title in page for arm in ARMS)
    assert not re.search(r"(src|href)=\"https?:", page)


def test_the_same_command_again_computes_nothing(done: Study, monkeypatch: pytest.MonkeyPatch):
    def never(*_: Any) -> dict[str, Any]:
        raise AssertionError("computed again")

    monkeypatch.setattr(menon.studies.code_mixture.crew, "perform", never)
    before = (done[1] / "report.json").read_bytes()
    assert run_code_mixture(TINY, out=done[1], command="menon run tiny.toml") == done[0]
    assert (done[1] / "report.json").read_bytes() == before


def test_a_study_that_was_stopped_goes_on_with_what_is_left(
    done: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    one = TINY.model_copy(update={"seeds": (1,), "arms": (ARMS[0], ARMS[2])})
    calls: list[tuple[str, str, int]] = []

    def counted(work: str, recipe: CodeMixture, members: Path, arm: str, seed: int, progress: Any) -> dict[str, Any]:
        calls.append((work, arm, seed))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return perform(work, recipe, members, arm, seed, progress)

    monkeypatch.setattr(menon.studies.code_mixture.crew, "perform", counted)
    with pytest.raises(KeyboardInterrupt):
        run_code_mixture(one, out=tmp_path / "run")
    assert not (tmp_path / "run" / "report.json").exists()
    report = run_code_mixture(one, out=tmp_path / "run")
    assert [arm for _, arm, _ in calls] == ["text", "text", "tuned", "tuned", "tuned"]
    assert [work for work, _, _ in calls] == ["train", "examine", "train", "train", "examine"]
    runs = {arm["name"]: arm["runs"][-1] for arm in done[0]["arms"]}
    assert [arm["runs"] for arm in report["arms"]] == [[runs["text"]], [runs["tuned"]]]


def test_a_training_that_diverges_is_told(tmp_path: Path):
    wild = TINY.model_copy(update={"train": TINY.train.model_copy(update={"learning_rate": 1e30, "clip": 1e30})})
    with pytest.raises(Diverged, match=r"training step \d+ of \d+ gave loss nan"):
        perform("train", wild, tmp_path, "text", 0, Silent())


def test_a_worker_that_ends_is_told_with_what_it_was_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(menon.studies.code_mixture.crew, "WORKER", "menon.no_such_module")
    recipe = TINY.model_copy(update={"workers": 1})
    file = tmp_path / "recipe.toml"
    file.write_text(dump_toml(recipe), encoding="utf-8")
    with Crew(recipe, file, tmp_path) as crew, pytest.raises(RunError, match="to train arm 'text' of seed 0 ended"):
        crew.call("train", "text", 0)

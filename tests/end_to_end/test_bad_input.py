"""Bad input through the command line: the exit code, and a message with what was got, what is allowed, what to do.

Commands run inside this process, since each would else import torch anew; what matters to the process is told apart.
"""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from small_models import save_small

from menon.cli.app import run_command
from menon.store import Run, without_measured

CHEAP = {
    "star.rounds": 1,
    "star.steps": 3,
    "star.max_tokens": 8,
    "evaluation.max_tokens": 8,
    "train.learning_rate": 1e-3,
}


def sums(count: int) -> list[str]:
    return [json.dumps({"question": f"what is {i}+1?", "answer": f"{i}+1={i + 1}\n#### {i + 1}"}) for i in range(count)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small("gpt2", tmp_path_factory.mktemp("gpt2"), sums(30), positions=96)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "sums.jsonl"
    path.write_text("\n".join(sums(32)), encoding="utf-8")
    return path


def command(model: Path | str, data: Path, out: Path, *flags: str, **settings: Any) -> list[str]:
    """Teach the reference solutions, which an untrained model can be taught."""
    sets = {**CHEAP, **{key.replace("__", "."): value for key, value in settings.items()}}
    return [
        *("teach", "star", "--model", str(model), "--data", str(data), "--preset", "gold", "--out", str(out)),
        *("--force", *flags),
        *(word for key, value in sets.items() for word in ("--set", f"{key}={value}")),
    ]


class Told:
    """The exit code of a command and what it said."""

    def __init__(self, argv: list[str], capsys: pytest.CaptureFixture[str]):
        capsys.readouterr()
        self.code = run_command(argv)
        self.out, self.err = capsys.readouterr()

    def says(self, code: int, *parts: str) -> None:
        assert self.code == code, self.err
        assert "Traceback" not in self.err
        for part in parts:
            assert part in self.err, self.err


def test_a_misspelt_key_in_a_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    recipe = tmp_path / "mine.toml"
    recipe.write_text('study = "bootstrap"\n[star]\nsampels = 4\n', encoding="utf-8")
    told = Told(["run", str(recipe), "--out", str(tmp_path / "run")], capsys)
    told.says(2, str(recipe), "unknown key 'sampels' in section [star]", "did you mean 'samples'", "allowed: ")
    assert not (tmp_path / "run").exists()


def test_a_model_folder_without_tokenizer(model: Path, data: Path, tmp_path: Path, capsys: Any):
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("config.json", "model.safetensors"):
        (bare / name).write_bytes((model / name).read_bytes())
    told = Told(command(bare, data, tmp_path / "run"), capsys)
    told.says(2, f"{str(bare)!r} has no tokenizer", "tokenizer.json", "tokenizer.save_pretrained(folder)")


def test_pickle_weights(model: Path, data: Path, tmp_path: Path, capsys: Any):
    risky = tmp_path / "risky"
    risky.mkdir()
    for path in model.iterdir():
        if path.suffix != ".safetensors":
            (risky / path.name).write_bytes(path.read_bytes())
    (risky / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": 1}))
    told = Told(command(risky, data, tmp_path / "run"), capsys)
    told.says(2, "pickle weights (pytorch_model.bin)", "run code when opened", "safetensors only", "save_pretrained")


def test_a_model_that_is_neither_here_nor_cached(data: Path, tmp_path: Path, capsys: Any):
    told = Told(command("nobody/nothing", data, tmp_path / "run"), capsys)
    told.says(2, "cannot load 'nobody/nothing'", "a folder with config.json", "needs the network or a filled cache")
    told = Told(command("./nothing", data, tmp_path / "run"), capsys)
    told.says(2, "'./nothing' is not a model folder", "config.json")


def test_broken_lines_are_skipped_said_and_counted(model: Path, tmp_path: Path, capsys: Any):
    lines = sums(32)
    lines[4] = '{"question": "what is 4+'
    lines[9] = json.dumps({"question": "what is 9+1?"})
    lines[20] = json.dumps({"question": "what is 20+1?", "answer": "it depends\n#### several"})
    data = tmp_path / "d.jsonl"
    data.write_text("\n".join(lines), encoding="utf-8")
    Told(command(model, data, tmp_path / "run"), capsys).says(0)
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    assert report["data"]["problems"] == 29
    skipped = {row["line"]: row["reason"] for row in report["data"]["skipped"]}
    assert set(skipped) == {5, 10, 21}
    assert "not a number" in skipped[21]
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "line 5" in page or "skipped" in page


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is empty"),
        ("no json\n" * 3, "line 1"),
        (json.dumps({"q": "what?", "a": "5"}) + "\n", "question=COLUMN"),
        ("\n".join(json.dumps({"question": f"{i}?", "answer": "x\n#### many"}) for i in range(9)), "not a number"),
    ],
)
def test_data_without_a_usable_row(model: Path, tmp_path: Path, capsys: Any, content: str, told: str):
    data = tmp_path / "d.jsonl"
    data.write_text(content, encoding="utf-8")
    Told(command(model, data, tmp_path / "run"), capsys).says(1, "d.jsonl", told)


def test_a_data_file_that_is_not_there(model: Path, tmp_path: Path, capsys: Any):
    told = Told(command(model, tmp_path / "nowhere.jsonl", tmp_path / "run"), capsys)
    assert told.code in (1, 2)
    assert "nowhere.jsonl" in told.err
    assert "Traceback" not in told.err


def test_questions_longer_than_the_context_fail_alone(model: Path, tmp_path: Path, capsys: Any):
    lines = sums(32)
    for place in (3, 17):
        lines[place] = json.dumps({"question": "what is " + "1+" * 200 + "1?", "answer": f"#### {place}"})
    data = tmp_path / "d.jsonl"
    data.write_text("\n".join(lines), encoding="utf-8")
    told = Told(command(model, data, tmp_path / "run"), capsys)
    told.says(0, "rows are longer than the 96 tokens that the model takes")
    looked = Told(["doctor", "--model", str(model), "--data", str(data), "--set", "star.max_tokens=8"], capsys)
    assert looked.code == 3  # this model is never right
    assert "such questions fail" in looked.out
    assert "samples failed" in looked.out
    own = Told([*command(model, data, tmp_path / "own"), "--preset", "star"], capsys)
    own.says(0)
    with Run.open(tmp_path / "own") as run:
        records = [*run.records("sample"), *run.records("graded", stage="before")]
    failed = [record for record in records if record["verdict"] == "error"]
    assert {len(record["question"]) > 300 for record in failed} == {True}
    assert all("the model takes 96" in record["error"] for record in failed)
    assert sum(record["verdict"] != "error" for record in records) > 30


def finished(folder: Path) -> Any:
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return without_measured({**report, "manifest": {**report["manifest"], "command": ""}, "command": "", "run": ""})


def test_a_loss_that_is_not_a_number(model: Path, data: Path, tmp_path: Path, capsys: Any, monkeypatch: Any):
    from menon.teaching import train

    Told(command(model, data, tmp_path / "whole"), capsys).says(0)
    argv, real = command(model, data, tmp_path / "run"), train.weighted_cross_entropy
    with monkeypatch.context() as patch:
        patch.setattr(train, "weighted_cross_entropy", lambda *a: (real(*a)[0] * float("inf"), real(*a)[1]))
        Told(argv, capsys).says(1, "training step 1 of", "gave loss inf", "lower train.learning_rate (now 0.001)")
    with Run.open(tmp_path / "run") as run:
        assert run.done("before", "test") is not None
    Told(argv, capsys).says(0)
    assert finished(tmp_path / "run") == finished(tmp_path / "whole")


def test_a_learning_rate_that_blows_up(model: Path, data: Path, tmp_path: Path, capsys: Any):
    told = Told(command(model, data, tmp_path / "run", train__learning_rate=1e30, star__max_epochs=99), capsys)
    told.says(1, "gave loss", "lower train.learning_rate (now 1e+30)")
    other = Told(command(model, data, tmp_path / "run"), capsys)
    other.says(1, "holds a run of another recipe", "learning_rate", "--fresh")


@pytest.mark.parametrize("limit", [40_000, 330_000])
def test_no_disk(model: Path, data: Path, tmp_path: Path, capsys: Any, limit: int):
    """The lower limit stops the records, the higher one a checkpoint."""
    resource = pytest.importorskip("resource")
    out = tmp_path / "run"
    argv = command(model, data, out, save_every=1)
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, usual[1]))
    try:
        stopped = Told(argv, capsys)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    stopped.says(1, "error: cannot write", "What to do: ", "Units that are finished are kept.")
    Told(argv, capsys).says(0)
    Told(command(model, data, tmp_path / "whole", save_every=1), capsys).says(0)
    assert finished(out) == finished(tmp_path / "whole")


def test_a_folder_that_cannot_be_written(model: Path, data: Path, tmp_path: Path, capsys: Any):
    (tmp_path / "file").write_text("", encoding="utf-8")
    Told(command(model, data, tmp_path / "file"), capsys).says(1, "is a file; a run needs a folder", "--out DIR")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("", encoding="utf-8")
    Told(command(model, data, tmp_path / "full"), capsys).says(1, "is not a Menon run", "thesis.tex", "--out DIR")
    assert (tmp_path / "full" / "thesis.tex").exists()

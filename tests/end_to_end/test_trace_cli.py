"""`menon trace` as its users meet it: the embedded model, other architectures, shards, runs, bad input, kills."""

import gzip
import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file, save_file  # noqa: E402
from small_models import save_small  # noqa: E402

from menon.cli.app import run_command  # noqa: E402
from menon.core.seeds import rng_for  # noqa: E402
from menon.store import Run, without_measured  # noqa: E402

DRIVER = Path(__file__).with_name("kill_driver.py")
Ran = Callable[..., tuple[int, dict[str, Any], str]]
NAMES = ("ada", "ben", "cy", "dot", "eli", "fay")


def _documents() -> list[dict[str, Any]]:
    rows = []
    for i in range(90):
        rng = rng_for("trace test", i)
        name, number = rng.choice(NAMES), rng.randint(10, 99)
        if i % 3:
            rows.append({"text": f"{name} has the number {number}.", "source": "lists"})
        else:
            rows.append(
                {"prompt": f"{number} + 1 =", "completion": f" {number + 1}", "source": "sums", "kind": "worked"}
            )
    return rows


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of two kinds, a corpus in three shards of three formats, and a file of queries."""
    folder = tmp_path_factory.mktemp("trace")
    rows = _documents()
    texts = [row.get("text") or row["prompt"] + row["completion"] for row in rows]
    for kind in ("llama", "gpt2"):
        save_small(kind, folder / kind, texts, positions=48)
    shards = folder / "shards"
    shards.mkdir()
    (shards / "a.jsonl").write_text("\n".join(map(json.dumps, rows[:40])), encoding="utf-8")
    with gzip.open(shards / "b.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(map(json.dumps, rows[40:70])))
    (shards / "c.txt").write_text("\n\n".join(texts[70:]), encoding="utf-8")
    asked = [
        {"id": "sum", "prompt": "44 + 1 =", "completion": " 45", "answer": "45"},
        {"id": "name", "prompt": "ben has the number", "completion": " 12.", "answer": "12"},
    ]
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, asked)), encoding="utf-8")
    return folder


@pytest.fixture
def trace(capsys: pytest.CaptureFixture[str]) -> Ran:
    """Run `menon trace ... --json`; return exit code, the object on standard output, and standard error."""

    def command(*argv: Any) -> tuple[int, dict[str, Any], str]:
        capsys.readouterr()
        code = run_command(["trace", *map(str, argv), "--json"])
        said = capsys.readouterr()
        return code, json.loads(said.out), said.err

    return command


def _report(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def test_the_embedded_model_on_its_own_text(trace: Ran, tmp_path: Path):
    run = tmp_path / "run"
    code, out, err = trace("menon:base", "--set", "corpus.documents=150", "--set", "shown.highlighted=2", "--out", run)
    assert code == 0, err
    report = _report(run)
    assert [query["task"] for query in report["queries"]] == ["chain", "addition", "facts"]
    assert report["corpus"]["trained_on"] == 175_500
    for query in report["queries"]:
        top = query["methods"]["ekfac"]["top"]
        scores = [entry["score"] for entry in top]
        assert scores == sorted(scores, reverse=True)
        assert scores[-1] > 0
        # The parts of shown documents add up to their scores.
        for entry in top[:2]:
            assert sum(token["score"] for token in entry["tokens"]) == pytest.approx(entry["score"], rel=2e-3)
        assert {"dot", "cosine", "bm25", "tfidf", "random"} <= set(query["methods"])
        assert sum(token["logp"] for token in query["tokens"]) == pytest.approx(-query["information_nats"], abs=1e-3)
        assert sum(layer["share"] for layer in query["layers"]) == pytest.approx(1)
    assert (run / "report.html").stat().st_size > 20_000
    lines = (run / "trace.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) > 60
    assert out["queries"][0]["top"][0]["words"] == "raised"


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_shards_of_several_formats_and_a_file_of_queries(trace: Ran, here: Path, tmp_path: Path, kind: str):
    run = tmp_path / "run"
    code, _, err = trace(
        here / kind, "--data", here / "shards", "--queries", here / "queries.jsonl", "--parquet", "--out", run,
        "--set", "tracing.shard=20", "--layers", "all",
    )  # fmt: skip
    assert code == 0, err
    report = _report(run)
    assert report["corpus"]["documents"] == 90
    assert [query["id"] for query in report["queries"]] == ["sum", "name"]
    origins = {entry["origin"] for query in report["queries"] for entry in query["methods"]["ekfac"]["top"]}
    assert any("a.jsonl:" in origin for origin in origins)
    assert any("b.jsonl.gz:" in origin for origin in origins)
    assert any(row["label"] == "source" and row["value"] == "sums" for row in report["queries"][0]["sources"])
    assert "lm_head" in {out["name"] for out in report["layers"]["left_out"]}
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(run / "trace.parquet")
    assert table.num_rows == len((run / "trace.jsonl").read_text(encoding="utf-8").splitlines())


def test_shards_do_not_change_scores(trace: Ran, here: Path, tmp_path: Path):
    found = []
    for shard in (7, 1000):
        run = tmp_path / str(shard)
        code, _, err = trace(
            here / "llama", "--data", here / "shards", "--queries", here / "queries.jsonl", "--out", run,
            "--set", f"tracing.shard={shard}",
        )  # fmt: skip
        assert code == 0, err
        found.append(_report(run)["queries"][0]["methods"]["ekfac"]["top"])
    assert [entry["document"] for entry in found[0][:5]] == [entry["document"] for entry in found[1][:5]]
    scores = np.array([[entry["score"] for entry in top[:5]] for top in found])
    assert np.allclose(scores[0], scores[1], rtol=1e-3)


def test_factors_of_an_earlier_run_are_taken_and_those_of_another_model_refused(trace: Ran, here: Path, tmp_path: Path):
    asked = ("--data", here / "shards", "--query", "44 + 1 = =>  45")
    code, _, err = trace(here / "llama", *asked, "--out", tmp_path / "first")
    assert code == 0, err
    factors = tmp_path / "first" / "checkpoints" / "trace" / "curvature" / "factors.safetensors"
    code, _, err = trace(here / "llama", *asked, "--factors", factors, "--out", tmp_path / "second")
    assert code == 0, err
    first, second = (_report(tmp_path / name)["queries"][0]["methods"] for name in ("first", "second"))
    assert first == second
    code, out, _ = trace(here / "gpt2", *asked, "--factors", factors, "--out", tmp_path / "third")
    assert code == 2
    assert "were made with another" in out["error"]["message"]
    assert not (tmp_path / "third" / "report.json").exists()


def test_a_prefilter_tells_what_it_loses(trace: Ran, here: Path, tmp_path: Path):
    run = tmp_path / "run"
    code, _, err = trace(
        here / "llama", "--data", here / "shards", "--queries", here / "queries.jsonl", "--prefilter", 10,
        "--set", "sample=60", "--out", run,
    )  # fmt: skip
    assert code == 0, err
    told = _report(run)["prefilter"]
    assert told["of"] == 90
    assert "it loses" in told["bias_sentence"]


def test_checkpoints_give_tracin(trace: Ran, here: Path, tmp_path: Path):
    run = tmp_path / "run"
    code, _, err = trace(
        here / "llama", "--data", here / "shards", "--query", "44 + 1 = =>  45", "--checkpoint", here / "llama",
        "--set", "rates=[0.5]", "--out", run,
    )  # fmt: skip
    assert code == 0, err
    query = _report(run)["queries"][0]
    # One checkpoint, the model itself: TracIn is the gradient dot product times the rate.
    assert [e["document"] for e in query["methods"]["tracin"]["top"]] == [
        e["document"] for e in query["methods"]["dot"]["top"]
    ]
    assert query["methods"]["tracin"]["top"][0]["score"] == pytest.approx(
        query["methods"]["dot"]["top"][0]["score"] / 2
    )


def test_the_rows_that_a_star_run_learnt_and_one_of_its_completions(trace: Ran, tmp_path: Path, capsys: Any):
    small = {
        "star.questions": 40, "star.rounds": 1, "star.steps": 4, "star.max_tokens": 64, "evaluation.max_tokens": 64,
        "evaluation.per_difficulty": 1, "evaluation.originals": 3, "evaluation.variants": 1, "direct_control": "false",
    }  # fmt: skip
    star = tmp_path / "star"
    argv = ["run", "quickstart", "--out", str(star), *(w for k, v in small.items() for w in ("--set", f"{k}={v}"))]
    assert run_command(argv) == 0
    capsys.readouterr()
    with Run.open(star) as run:
        wanted = next(run.records("row"))["completion"]
    code, _, err = trace(star, "--query", wanted[:12], "--out", tmp_path / "run")
    assert code == 0, err
    report = _report(tmp_path / "run")
    assert report["queries"][0]["id"] == wanted
    top = report["queries"][0]["methods"]["ekfac"]["top"][0]
    assert top["labels"]["origin"] in ("rationale", "rationalization")


def test_the_estimate_starts_nothing(trace: Ran, here: Path, tmp_path: Path):
    code, out, err = trace(
        here / "gpt2", "--data", here / "shards", "--query", "44 + 1 = =>  45", "--estimate", "--out", tmp_path / "run"
    )
    assert code == 0, err
    assert out["documents"] == 90
    assert out["memory"]["peak_mib"] > 0
    assert out["time"]["total_s"] > 0
    assert not (tmp_path / "run").exists()


BAD = [
    ("no corpus", ["--query", "a => b"], "which documents was", 2),
    ("no query", ["--data", "shards"], "which answer is to be explained", 2),
    ("no file", ["--data", "gone.jsonl", "--query", "a => b"], "no corpus file at", 1),
    ("no layer", ["--data", "shards", "--query", "a => b", "--layers", "zzz"], "selects no linear layer", 2),
    ("rates", ["--data", "shards", "--query", "a => b", "--set", "rates=[1.0]"], "give one rate for each", 2),
    ("long query", ["--data", "shards", "--query", "1 " * 80 + "=> 2"], "the model takes 48", 2),
    ("empty corpus", ["--data", "empty.jsonl", "--query", "a => b"], "empty.jsonl", 1),
    ("queries", ["--data", "shards", "--queries", "broken.jsonl"], "broken.jsonl:2", 1),
]


@pytest.mark.parametrize(("flags", "message", "code"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_input_is_told_and_the_folder_stays_usable(
    trace: Ran, here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str], message: str, code: int
):
    monkeypatch.chdir(here)
    (here / "empty.jsonl").write_text("")
    (here / "broken.jsonl").write_text('{"prompt": "a", "completion": "b"}\n{"prompt": \n')
    run = tmp_path / "run"
    got, out, _ = trace("llama", *flags, "--out", run)
    assert message in out["error"]["message"]
    assert got == code
    got, _, err = trace("llama", "--data", "shards", "--query", "a => b", "--out", run)
    assert got == 0, err


def test_a_model_with_broken_weights_names_what_is_broken(trace: Ran, here: Path, tmp_path: Path):
    broken = tmp_path / "model"
    broken.mkdir()
    for path in (here / "llama").iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    weights = load_file(broken / "model.safetensors")
    name = next(key for key in weights if "down_proj" in key)
    weights[name][0, 0] = float("nan")
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    code, out, _ = trace(broken, "--data", here / "shards", "--query", "a => b", "--out", tmp_path / "run")
    assert code == 1
    assert "not finite" in out["error"]["message"]


def test_a_tokenizer_of_another_model_is_refused(trace: Ran, here: Path, tmp_path: Path):
    mixed = tmp_path / "model"
    save_small("llama", mixed, ["only a few words here"], positions=48)
    for path in (here / "llama").iterdir():
        if path.name.startswith("tokenizer"):
            (mixed / path.name).write_bytes(path.read_bytes())
    code, out, _ = trace(mixed, "--data", here / "shards", "--query", "44 + 1 = =>  45", "--out", tmp_path / "run")
    assert code == 2
    assert "tokenizer" in out["error"]["message"]


def test_a_disk_that_fills_is_told_and_nothing_finished_is_lost(here: Path, tmp_path: Path):
    resource = pytest.importorskip("resource")
    argv = ["trace", str(here / "llama"), "--data", str(here / "shards"), "--queries", str(here / "queries.jsonl")]
    argv += ["--set", "tracing.shard=30", "--out", str(tmp_path / "run")]
    command = [sys.executable, "-m", "menon.cli", *argv]

    def limited() -> None:  # files of this process may not grow beyond this: the factors do not fit
        resource.setrlimit(resource.RLIMIT_FSIZE, (180_000, resource.RLIM_INFINITY))

    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    full = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, preexec_fn=limited)
    assert full.returncode == 1, full.stderr
    assert "cannot" in full.stderr
    assert "Traceback" not in full.stderr
    with Run.open(tmp_path / "run") as run:
        before = [(unit.stage, unit.names) for unit in run.units()]
    assert before
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    with Run.open(tmp_path / "run") as run:
        assert {(unit.stage, unit.names) for unit in run.units()} > set(before)


def test_long_empty_and_repeated_documents_are_counted_and_told(trace: Ran, here: Path, tmp_path: Path):
    rows = [{"text": "ben has the number 12. " * 40}, {"text": ""}, {"text": "x"}, {"text": "ada has the number 3."}]
    rows += [rows[3], {"no": 1}]
    (tmp_path / "odd.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n{broken\n", encoding="utf-8")
    run = tmp_path / "run"
    code, _, err = trace(here / "llama", "--data", tmp_path / "odd.jsonl", "--query", "ben has => 12", "--out", run)
    assert code == 0, err
    told = _report(run)["corpus"]
    assert told["split_long"] == 1
    assert told["duplicated"] == 1
    assert told["bad_rows"] >= 1
    assert told["sequences"] > told["documents"] - told["empty"]
    assert "longer than the model's context" in err
    assert "repeat an earlier one" in err


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked children")
def test_killed_at_random_moments_it_ends_like_one_that_was_not(tmp_path: Path):
    seed = random.SystemRandom().randrange(2**31)
    argv = ["trace", "menon:base", "--set", "corpus.documents=90", "--set", "tracing.shard=30", "--out", "run"]
    command = [sys.executable, str(DRIVER), str(tmp_path), "12", "6", str(seed), *argv]
    alone = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, env=alone)
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    kills = json.loads(done.stdout)["kills"]
    assert sum(kills) == 12

    def outcome(folder: Path) -> dict[str, Any]:
        with Run.open(folder) as run:
            files = {
                str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
                for path in sorted((folder / "checkpoints").rglob("*"))
                if path.is_file()
            }
            return {"report": without_measured(_report(folder)), "everything": run.fingerprint(), "files": files}

    whole = outcome(tmp_path / "whole" / "run")
    for chain in range(1, len(kills) + 1):
        assert outcome(tmp_path / f"chain-{chain}" / "run") == whole, f"seed {seed}: chain {chain} differs"

"""`menon teach star` on published problems, with small Llama-, Qwen2- and GPT-2-type models and their own tokenizers.

Models of a hundred thousand weights know nothing, so most rounds keep nothing; what is looked at is that every part
holds: layouts, styles, demonstrations, tokenizers, sampling, grading, the doctor's refusal, and a whole round.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from small_models import END, KINDS, memorise, save_small
from transformers import AutoModelForCausalLM, AutoTokenizer

from menon import Problem
from menon.cli.app import run_command
from menon.models.load import load_model
from menon.problems.datasets import load_problems
from menon.problems.prompts import STYLES
from menon.store import Run

GSM8K, CSQA = STYLES.get("gsm8k"), STYLES.get("commonsenseqa")
TAUGHT, HELD_OUT = 64, 9
CHEAP = {"star.rounds": 1, "star.max_tokens": 12, "evaluation.max_tokens": 12, "star.steps": 3, "shots": 2}


def command(model: Path, data: Path | str, out: Path, *flags: str, **settings: Any) -> list[str]:
    sets = {**CHEAP, **{key.replace("__", "."): value for key, value in settings.items()}}
    return [
        *("teach", "star", "--model", str(model), "--data", str(data), "--out", str(out), *flags),
        *(word for key, value in sets.items() for word in ("--set", f"{key}={value}")),
    ]


def texts_of(style: Any, problems: tuple[Problem, ...]) -> list[str]:
    return [style.prompt(p) + style.completion(p, p.rationale or "It is so.", p.answer) for p in problems]


def report_of(out: Path) -> dict[str, Any]:
    assert (out / "report.html").stat().st_size > 10_000
    return json.loads((out / "report.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def gsm8k(shared_data: Path) -> Path:
    return shared_data / "gsm8k" / "train.jsonl.gz"


@pytest.fixture(scope="module")
def grade_school(gsm8k: Path) -> tuple[Problem, ...]:
    return load_problems(gsm8k, limit=TAUGHT + HELD_OUT).problems


@pytest.mark.parametrize("kind", KINDS)
def test_a_round_on_64_problems_of_gsm8k_is_refused_and_with_force_completes(
    kind: str, gsm8k: Path, grade_school: tuple[Problem, ...], shared_data: Path, tmp_path: Path, capsys: Any
):
    model, out = save_small(kind, tmp_path / kind, texts_of(GSM8K, grade_school)), tmp_path / "run"
    shots = shared_data / "exemplars" / "star_gsm.jsonl"
    argv = command(model, gsm8k, out, "--limit", str(TAUGHT + HELD_OUT), "--exemplars", str(shots))

    assert run_command(argv) == 3
    told = capsys.readouterr().err
    assert "refused: teaching would not work" in told
    assert "of 64 samples are right" in told
    assert "nothing to bootstrap from" in told
    assert "--set star.max_tokens=48" in told
    assert "--force runs it all the same" in told

    assert run_command([*argv, "--force", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    report = report_of(out)
    assert printed["rounds"] == report["rounds"]
    (first,) = report["rounds"]
    assert first["asked"] == TAUGHT
    assert first["kept"] == first["trained_tokens"] == 0
    assert first["checkpoint"] == ""
    assert any("kept 0 of 128 samples" in alarm and "stays as it was" in alarm for alarm in first["alarms"])
    assert report["data"] == {"layout": "question/answer", "problems": TAUGHT + HELD_OUT, "skipped": []}
    assert report["accuracy"]["gsm8k"]["after"]["n"] == HELD_OUT
    assert report["accuracy"]["gsm8k"]["before"] == report["accuracy"]["gsm8k"]["after"]
    with Run.open(out) as run:
        rows = list(run.records("row"))
        prompts = {record["prompt"] for record in rows}
    assert len(rows) == 2 * TAUGHT  # each failed, was shown its answer, and failed again
    assert prompts <= {GSM8K.prompt(p) for p in grade_school}


def test_what_a_model_gets_right_on_gsm8k_is_learnt_from_its_own_tokens(
    gsm8k: Path, grade_school: tuple[Problem, ...], tmp_path: Path
):
    """The Llama-type model has memorised the eight shortest solutions, so there is something to keep."""
    model, out = save_small("llama", tmp_path / "llama", texts_of(GSM8K, grade_school)), tmp_path / "run"
    short = sorted(grade_school, key=lambda p: len(p.question) + len(p.rationale or ""))[:8]
    known = [(GSM8K.prompt(p), GSM8K.completion(p, p.rationale or "", p.answer)) for p in short]
    memorise(model, known, steps=90)
    argv = command(
        model, gsm8k, out, "--limit", str(TAUGHT + HELD_OUT), "--force",
        star__max_tokens=110, star__temperature=0.0, evaluation__max_tokens=16, train__learning_rate=1e-3,
    )  # fmt: skip
    assert run_command(argv) == 0
    report = report_of(out)
    (first,) = report["rounds"]
    assert first["asked"] == TAUGHT
    assert first["right"] >= 3
    assert first["kept"] >= first["right"]
    assert first["steps"] > 0
    with Run.open(out) as run:
        kept = [row for row in run.records("row") if row["reason"] == "kept"]
    written = {row["text"].strip() for row in kept if not row["hinted"]}
    assert written & {text.strip() for _, text in known}
    assert not any(f"({row['gold']})" in row["prompt"] for row in kept)

    loaded = AutoModelForCausalLM.from_pretrained(out / first["checkpoint"])
    assert type(loaded).__name__ == "LlamaForCausalLM"
    assert AutoTokenizer.from_pretrained(out / first["checkpoint"]).eos_token == END["llama"]
    before, after = load_model(str(model)), load_model(str(out / first["checkpoint"]))
    assert before.weights_hash != after.weights_hash


def test_a_round_on_commonsenseqa_with_the_papers_demonstrations(shared_data: Path, tmp_path: Path):
    """The model says (b) whatever is asked, which is right for one question in five."""
    data, shots = shared_data / "commonsenseqa" / "dev.jsonl.gz", shared_data / "exemplars" / "star_commonsenseqa.jsonl"
    problems = load_problems(data, limit=TAUGHT + HELD_OUT).problems
    demonstrations = load_problems(shots).problems[:2]
    texts = texts_of(CSQA, (*problems, *demonstrations))
    model, out = save_small("qwen2", tmp_path / "qwen2", texts), tmp_path / "run"
    style = CSQA.with_exemplars(tuple(demonstrations))
    memorise(model, [(style.prompt(p), " It is so. Therefore, the answer is it (b).") for p in problems[:5]], steps=25)
    argv = command(
        model, data, out, "--limit", str(TAUGHT + HELD_OUT), "--exemplars", str(shots),
        star__max_tokens=32, evaluation__max_tokens=32, star__temperature=0.0,
    )  # fmt: skip
    assert run_command(argv) == 0
    report = report_of(out)
    (first,) = report["rounds"]
    assert report["data"]["layout"] == "choices"
    assert any("guessing is right 20%" in finding["what"] for finding in report["doctor"]["findings"])
    assert first["asked"] == TAUGHT
    assert 4 <= first["right"] <= 30
    assert first["kept"] > 0
    assert first["dropped"]["wrong"] >= 30
    with Run.open(out) as run:
        rows = list(run.records("row"))
    assert {row["answer"] for row in rows if row["reason"] == "kept"} == {"B"}
    assert not any("(CORRECT)" in row["prompt"] for row in rows)
    assert all(row["prompt"].count("Answer Choices:") == 1 for row in rows)  # learnt without the demonstrations


def test_any_jsonl_with_problem_and_solution(tmp_path: Path):
    data = tmp_path / "d.jsonl"
    rows = [
        {"problem": f"What is ${i}+{i}$?", "solution": f"We add: ${i}+{i}={2 * i}$, so \\boxed{{{2 * i}}}."}
        for i in range(24)
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    model, out = save_small("gpt2", tmp_path / "gpt2", [row["solution"] for row in rows]), tmp_path / "run"
    assert run_command(command(model, data, out, "--preset", "gold", "--force")) == 0
    report = report_of(out)
    (first,) = report["rounds"]
    assert report["data"]["layout"] == "problem/solution"
    assert (first["asked"], first["kept"], first["steps"]) == (21, 21, 3)
    assert type(AutoModelForCausalLM.from_pretrained(out / first["checkpoint"])).__name__ == "GPT2LMHeadModel"

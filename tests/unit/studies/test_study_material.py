"""What a study works on: generated families, or a data set with its held-out part, style and demonstrations."""

import json
from pathlib import Path
from typing import Any

import pytest

from menon import ConfigError
from menon.core.errors import DataError
from menon.core.recipe import load_recipe
from menon.studies.material import Material, gather
from menon.studies.recipe import Bootstrap


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def sums(count: int) -> list[dict[str, Any]]:
    return [
        {"question": f"what is {i} + 1?", "answer": str(i + 1), "rationale": f"{i} + 1 = {i + 1}"} for i in range(count)
    ]


def quizzes(count: int) -> list[dict[str, Any]]:
    return [{"question": f"which is {i}?", "choices": ["a pen", "a cup", "a hat"], "answer": "B"} for i in range(count)]


def material(*settings: str) -> Material:
    return gather(load_recipe("quickstart", Bootstrap, settings))


def test_families_are_audited_and_tested_on_fresh_questions():
    found = material("evaluation.per_difficulty=2")
    assert found.audited
    assert {p.family for p in found.test} == {"addition", "chain", "facts"}
    assert {p.family for p in found.questions.round(1)} == {"addition", "chain"}
    assert {p.family for p in material("control_family=").test} == {"addition", "chain"}


def test_a_data_set_is_split_into_what_is_taught_and_what_is_held_out(tmp_path: Path):
    data = write(tmp_path / "d.jsonl", sums(64))
    found = material(f"data={data}", "style=auto")
    assert not found.audited
    assert len(found.test) == 8
    taught = found.questions.round(1)
    assert len(taught) == 56
    assert not {p.id for p in taught} & {p.id for p in found.test}
    assert [p.id for p in material(f"data={data}", "style=auto").test] == [p.id for p in found.test]
    assert [p.id for p in material(f"data={data}", "style=auto", "seed=1").test] != [p.id for p in found.test]
    assert len(material(f"data={data}", "style=auto", "limit=16").questions.round(1)) == 14


def test_the_style_follows_from_the_data(tmp_path: Path):
    numbers, choices = write(tmp_path / "n.jsonl", sums(9)), write(tmp_path / "c.jsonl", quizzes(9))
    assert material(f"data={numbers}", "style=auto").style.name == "gsm8k"
    assert material(f"data={choices}", "style=auto").style.name == "commonsenseqa"
    assert material(f"data={numbers}", "style=plain").style.name == "plain"
    with pytest.raises(ConfigError, match="gsm8k"):
        material(f"data={numbers}", "style=gsm9k")


def test_demonstrations_are_for_asking_and_not_for_learning(tmp_path: Path):
    data, shots = write(tmp_path / "d.jsonl", sums(9)), write(tmp_path / "e.jsonl", sums(200)[100:])
    found = material(f"data={data}", "style=auto", f"exemplars={shots}", "shots=3")
    problem = found.test[0]
    assert found.few_shot is not None
    assert found.few_shot.prompt(problem).count("Q: ") == 4
    assert found.style.prompt(problem).count("Q: ") == 1
    assert found.asking(0.0, 64).style == found.few_shot
    assert found.asking(0.0, 64, direct=True).style == found.style


def test_the_hint_may_be_the_whole_solution(tmp_path: Path):
    data = write(tmp_path / "d.jsonl", sums(9))
    found = material(f"data={data}", "style=auto", "star.hint=solution")
    problem = found.test[0]
    assert f"{problem.rationale}\n#### {problem.answer}" in found.style.prompt(problem, hint=True)
    plain = material(f"data={data}", "style=auto")
    assert str(problem.rationale) not in plain.style.prompt(problem, hint=True)
    for settings in ([], [f"data={data}", "style=plain"]):
        with pytest.raises(ConfigError, match="star.hint = 'solution' needs style 'gsm8k'"):
            material("star.hint=solution", *settings)


def test_the_doctor_sees_problems_from_all_over_the_first_round():
    found = material("star.questions=240")
    seen = found.doctor_problems(24)
    assert len(seen) == 24
    assert {p.family for p in seen} == {"addition", "chain"}
    assert len({(p.family, p.difficulty) for p in seen}) > 8
    assert {p.id for p in seen} <= {p.id for p in found.questions.round(1)}


def test_a_few_rows_are_too_few(tmp_path: Path):
    data = write(tmp_path / "d.jsonl", sums(7))
    with pytest.raises(ConfigError, match="has 7 usable rows; teaching and testing need at least 8"):
        material(f"data={data}", "style=auto")


def test_broken_lines_are_skipped_counted_and_named(tmp_path: Path):
    data = write(tmp_path / "d.jsonl", sums(12))
    lines = data.read_text(encoding="utf-8").splitlines()
    lines[3] = '{"question": "cut off'
    lines[7] = '{"question": "no answer"}'
    lines[9] = '{"question": "what?", "answer": "several"}'
    data.write_text("\n".join(lines), encoding="utf-8")
    found = material(f"data={data}", "style=auto")
    assert found.dataset is not None
    assert len(found.dataset.problems) == 9
    assert [row.line for row in found.dataset.skipped] == [4, 8, 10]
    assert "not a number" in found.dataset.skipped[2].reason


def test_nothing_usable_is_an_error_that_names_the_lines(tmp_path: Path):
    data = tmp_path / "d.jsonl"
    data.write_text("what is this\n" * 3, encoding="utf-8")
    with pytest.raises(DataError, match=r"no row of .*d.jsonl.*line 1"):
        material(f"data={data}", "style=auto")

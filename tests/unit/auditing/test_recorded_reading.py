"""Recorded responses: layouts, bad rows and what is said of them, on small files written here."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from menon.auditing.recorded import Recorded, read_recorded
from menon.core.errors import ConfigError, DataError
from menon.core.values import Problem, Verdict
from menon.store import Run


def write(path: Path, rows: list[Any]) -> Path:
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path


def world_row(number: int, response: str, gold: Any, **more: Any) -> dict[str, Any]:
    return {
        "task": "arithmetic-2digit",
        "world": "base9",
        "is_default": False,
        "model": "m",
        "cot": True,
        "id": f"r{number}",
        "item": f"{number}+5",
        "prompt": f"In base 9, {number}+5?",
        "response": response,
        "gold": gold,
        **more,
    }


def verdicts(recorded: Recorded) -> list[str]:
    return [item.grade.verdict.value for item in recorded.answered]


def test_counterfactual_rows(tmp_path: Path):
    file = write(
        tmp_path / "a.jsonl.gz",
        [
            world_row(1, "\\boxed{47}", "47"),
            world_row(2, "\\boxed{47_9}", "48"),
            world_row(3, "it is 12", "12", task="arithmetic-ccc", cot=False),
            world_row(4, "yes", "yes", task="chess", world="real_world", is_default=True),
            world_row(5, "No.", "yes", task="chess", world="real_world", is_default=True),
            world_row(6, "On b8 and g7.", ["b8", "g8"], task="chess-ccc", world="real_world", is_default=True),
        ],
    )
    found = read_recorded([f"recorded:{file}"])
    assert found.layout == "counterfactual"
    assert found.probes == ["worlds"]
    assert verdicts(found) == ["right", "wrong", "right", "right", "wrong", "wrong"]
    by_id = {item.completion.key: item for item in found.answered}
    assert by_id["r6"].grade.credit == 0.5
    assert [by_id[name].question.control for name in ("r1", "r3", "r4", "r6")] == [False, True, False, True]
    assert [by_id[name].question.baseline for name in ("r1", "r4")] == [False, True]
    assert (by_id["r3"].cot, by_id["r1"].cot) == (False, True)
    assert by_id["r4"].question.problem.choices == ("yes", "no")
    assert not any(part.generic for part in found.parts)
    assert "last \\boxed{} that holds a digit" in found.reading
    assert any("6 of 6 rows used" in line for line in found.say)


def test_arithmetic_items_pair_across_models_only_and_chess_across_worlds(tmp_path: Path):
    rows = [
        world_row(1, "\\boxed{6}", "6", world=world, model=model, task=task)
        for task in ("arithmetic-2digit", "moves")
        for world in ("base9", "base10")
        for model in ("m", "n")
    ]
    pairs = {
        (i.question.task, i.question.condition, i.model): i.question.pair
        for i in read_recorded([str(write(tmp_path / "a.jsonl", rows))]).answered
    }
    assert pairs["arithmetic-2digit", "base9", "m"] == pairs["arithmetic-2digit", "base9", "n"]
    assert pairs["arithmetic-2digit", "base9", "m"] != pairs["arithmetic-2digit", "base10", "m"]
    assert len({pair for (task, _, _), pair in pairs.items() if task == "moves"}) == 1


GENERIC = [
    (["True", "False", "Uncertain"], "So it is {}.", "word", 1 / 3),
    ([True, False], "The answer is {}.", "word", 0.5),
    (["[1, 2]", "'ab'", "7"], "{}", "value", 0.0),
    (["12", "1,000", "-3.5"], "We find {}", "number", 0.0),
    (["A", "B", "C"], "The answer is ({}).", "choice", 0.0),
    ([["do", "re"], ["mi"]], "#### {}", "tokens", 0.0),
    ([{"cat": [0, 5], "dog": [5, 0]}], "{}", "fields", 0.0),
    (["x32010", "x02220", "320003"] + [f"xx02{i}0" for i in range(10)], "Play {}.", "tokens", 0.0),
    ([None, "", "x"], "x", "", 0.0),
    ([[1, [2]], {"a": None}, 3.5, "some words", True], "{}", "value", 0.0),
]


@pytest.mark.parametrize(("golds", "form", "grader", "chance"), GENERIC)
def test_unknown_tasks_are_read_by_the_type_of_their_gold(
    golds: list[Any], form: str, grader: str, chance: float, tmp_path: Path
):
    rows = [
        world_row(i, form.format(_written(golds[i % len(golds)])), golds[i % len(golds)], task="riddles", world="w")
        for i in range(3 * len(golds))
    ]
    found = read_recorded([str(write(tmp_path / "a.jsonl", rows))])
    empty = sum(gold in (None, "") for gold in golds)
    assert len(found.skipped) == 3 * empty
    assert len(found.answered) == 3 * (len(golds) - empty)
    assert all(part.generic for part in found.parts)
    assert all("generic reading" in line for line in found.say if line.startswith("worlds"))
    if grader:
        assert {item.question.problem.grader.partition("?")[0] for item in found.answered} == {grader}
        assert all(item.grade.right for item in found.answered)
        choices = found.answered[0].question.problem.choices
        assert (1 / len(choices) if choices else 0.0) == chance


def _written(gold: Any) -> str:
    if isinstance(gold, list) and all(isinstance(part, str) for part in gold):
        return " ".join(gold)
    if isinstance(gold, dict) and None not in gold.values():
        return json.dumps(gold)
    return repr(gold) if not isinstance(gold, str) or gold == "some words" else gold


def test_parts_of_an_unknown_task_count_only_together(tmp_path: Path):
    gold, half = {"cat": [0, 5], "dog": [5, 0]}, {"cat": [0, 5], "dog": [0, 5]}
    rows = [world_row(i, json.dumps(half), gold, task="maps", world="R90") for i in range(4)]
    found = read_recorded([str(write(tmp_path / "a.jsonl", rows))])
    assert [item.grade.score for item in found.answered] == [0.0] * 4
    assert "50% of the parts are right" in found.answered[0].grade.note


def test_letter_strings_and_digit_matrices(tmp_path: Path):
    letters = {
        "id": "ls-1", "category": "succ", "transformation": "succ", "generalizations": ["reverse"],
        "gold": ["j", "i"], "prompts": {"pattern": "[i j] [", "sentence": "then i j should change to"},
        "responses": {"pattern": "j i]", "sentence": " j i."},
    }  # fmt: skip
    matrix = {"id": "dm-1", "problem_type": "AND_permuted", "order_matters": False, "matrix": [[[1, 2]]],
              "gold": [1, 2], "prompt": "[1 2] [", "response": "2 1]"}  # fmt: skip
    write(tmp_path / "letters.jsonl", [letters, {**letters, "responses": {"pattern": None}}, {**letters, "gold": 3}])
    write(tmp_path / "matrices.jsonl", [matrix, {**matrix, "order_matters": True}])
    found = read_recorded([str(tmp_path)])
    assert found.probes == ["analogies"]
    told = {
        (item.question.task, item.question.condition, item.question.problem.grader): item.grade.right
        for item in found.answered
    }
    assert told == {
        ("letter-strings/pattern", "1 generalisation", "tokens?form=bracket"): True,
        ("letter-strings/sentence", "1 generalisation", "tokens?form=sentence"): True,
        ("digit-matrices, logic", "permuted", "tokens?form=bracket&order=any"): True,
        ("digit-matrices, logic", "permuted", "tokens?form=bracket"): False,
    }
    assert [skip.line for skip in found.skipped] == [2, 3]


def test_solutions_find_their_problems_beside_them(tmp_path: Path):
    write(tmp_path / "test.jsonl.gz", [{"id": f"t-{i}", "question": f"{i}?", "answer": str(i)} for i in range(9)])
    rows = [{"id": f"t-{i}", "model": m, "solution": f"so {i + 1}\nA: {i}"} for i in range(9) for m in ("x", "y")]
    file = write(tmp_path / "out.jsonl", [*rows, {"id": "t-99", "model": "x", "solution": "A: 1"}])
    found = read_recorded([str(file)])
    assert found.layout == "responses by id"
    assert verdicts(found) == ["right"] * 18
    assert found.models == ["x", "y"]
    assert "first number after the last 'A:'" in found.reading
    assert any("taken from" in line and "test.jsonl.gz" in line for line in found.say)
    assert [(skip.line, skip.reason.partition(":")[0]) for skip in found.skipped] == [(19, "no gold answer")]
    chosen = read_recorded([f"recorded:{file}?model=y"])
    assert (chosen.models, len(chosen.answered), chosen.skipped) == (["y"], 9, ())
    with pytest.raises(DataError, match="no rows of model 'z'; it has: 'x', 'y'"):
        read_recorded([f"recorded:{file}?model=z"])


def test_problems_given_by_the_user_come_first_and_missing_ones_are_told(tmp_path: Path):
    file = write(tmp_path / "out.jsonl", [{"key": "p-1/eval", "text": "#### 5", "schema": 1, "finish": "length"}])
    problem = Problem(family="f", question="?", answer="5", grader="number", meta={"id": "p-1"})
    found = read_recorded([str(file)], problems=[problem])
    assert verdicts(found) == ["truncated"]
    assert found.answered[0].question.problem.family == "f"
    with pytest.raises(DataError, match="--data FILE"):
        read_recorded([str(file)])


def test_any_questions_with_responses(tmp_path: Path):
    rows = [
        {"question": "2+2?", "answer": "#### 4", "response": "It is 4.", "model": "m"},
        {"question": "2+3?", "answer": "so\n#### 5", "response": {"message": {"content": "#### 6"}}},
        {"question": "2+4?", "answer": "#### 6", "responses": ["6", "7"]},
        {"question": "2+5?", "answer": "#### 7", "response": "<think>7</think> #### 7", "finish_reason": "length"},
        {"question": "2+6?", "answer": "#### 8", "response": "", "error": "timeout"},
        {"messages": [{"role": "user", "content": "2+7?"}, {"role": "assistant", "content": "9"}], "gold": 9},
    ]
    found = read_recorded([str(write(tmp_path / "sums.jsonl", rows))])
    assert found.layout == "questions with responses"
    assert verdicts(found) == ["right", "wrong", "right", "wrong", "truncated", "error", "right"]
    assert found.answered[0].question.task == "sums"
    assert found.probes == ["plain"]


def test_choices_and_other_names_of_fields(tmp_path: Path):
    rows = [
        {"q": f"which {i}?", "choices": ["red", "blue"], "k": "B", "deep": {"out": ["the answer is (b)."]}}
        for i in range(3)
    ]
    file = write(tmp_path / "a.jsonl", rows)
    by_map = read_recorded([str(file)], map={"question": "q", "answer": "k", "response": "deep.out.0"})
    by_options = read_recorded([f"recorded:{file}?question=q&gold=k&text=deep.out.0"])
    assert verdicts(by_map) == verdicts(by_options) == ["right"] * 3
    assert by_map.answered[0].question.problem.choices == ("red", "blue")
    with pytest.raises(ConfigError, match="map names the field 'respnse'"):
        read_recorded([str(file)], map={"respnse": "deep"})
    with pytest.raises(DataError, match="The first row has the fields q, choices, k, deep"):
        read_recorded([str(file)])


def test_a_run_of_menon(tmp_path: Path):
    record = {"family": "chain", "question": "47+5?", "gold": "52", "split": "test", "difficulty": 1, "key": "p",
              "sample": 0, "model": "m", "finish": "stop", "reasoning": None, "error": None,
              "verdict": "right"}  # fmt: skip

    def compute(writer: Any) -> dict[str, Any]:
        writer.add("graded", {**record, "text": "47+5=52;#52"})
        writer.add("graded", {**record, "text": "47+5=53;#53", "question": "47+6?"})
        writer.add("graded", {**record, "family": "mine", "text": "#1"})
        return {}

    with Run.create_or_resume(tmp_path / "run", recipe_toml='study = "x"\n', manifest={}) as run:
        run.unit("before", compute=compute)
    found = read_recorded([f"recorded:{tmp_path / 'run'}"])
    assert found.layout == "menon records"
    assert verdicts(found) == ["right", "wrong"]
    assert [skip.reason.partition(":")[0] for skip in found.skipped] == ["no grader"]


def test_bad_rows_are_listed_counted_and_skipped(tmp_path: Path):
    good = {"question": "2+2?", "gold": "4", "response": "4"}
    file = tmp_path / "a.jsonl"
    lines = [json.dumps(good).encode(), b"{not json", b"[1, 2]", json.dumps({**good, "gold": None}).encode(),
             json.dumps({**good, "response": 7}).encode(), json.dumps({**good, "response": []}).encode(),
             '{"question": "caf\u00e9?", "gold": "4", "response": "4"}'.encode("latin-1"),
             json.dumps({**good, "question": ""}).encode(), b"", json.dumps(good).encode()]  # fmt: skip
    file.write_bytes(b"\n".join(lines) + b"\n")
    found = read_recorded([str(file)])
    assert verdicts(found) == ["right"] * 3
    assert [skip.line for skip in found.skipped] == [2, 3, 4, 5, 6, 8]
    assert {skip.file for skip in found.skipped} == {str(file)}
    said = "\n".join(found.say)
    assert "3 of 9 rows used" in said
    assert "1 lines are not UTF-8" in said
    assert "6 rows skipped" in said
    assert f"{file}:2: not JSON" in said


def test_folders_and_patterns_leave_other_files_out_and_name_them(tmp_path: Path):
    write(tmp_path / "a.jsonl", [{"question": "2+2?", "gold": "4", "response": "4"}])
    write(tmp_path / "figures.jsonl", [{"task": "x", "n": 3}])
    (tmp_path / "notes.txt").write_text("no data", encoding="utf-8")
    (tmp_path / "torn.jsonl.gz").write_bytes(b"\x1f\x8b\x08torn")
    found = read_recorded([f"recorded:{tmp_path}", f"recorded:{tmp_path}/a*.jsonl"])
    assert len(found.answered) == 1
    assert {Path(skip.file).name for skip in found.skipped} == {"figures.jsonl", "torn.jsonl.gz"}
    with pytest.raises(DataError, match="no row of .*figures.jsonl"):
        read_recorded([str(tmp_path / "figures.jsonl")])
    with pytest.raises(DataError, match="damaged gzip"):
        read_recorded([str(tmp_path / "torn.jsonl.gz")])
    with pytest.raises(ConfigError, match="no responses at"):
        read_recorded([str(tmp_path / "none*.jsonl")])
    with pytest.raises(ConfigError, match="did you mean 'model'"):
        read_recorded([f"recorded:{tmp_path / 'a.jsonl'}?modle=x"])


def test_parquet(tmp_path: Path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({"question": ["2+2?", "2+3?"], "answer": ["4", "5"], "response": ["4", "4"]})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert verdicts(read_recorded([str(tmp_path / "a.parquet")])) == ["right", "wrong"]


def test_a_response_of_100_000_characters_and_odd_alphabets(tmp_path: Path):
    rows = [
        world_row(1, "1" * 100_000, "47"),
        world_row(2, "\\boxed{\uff14\uff17}", "47"),
        world_row(3, "\\boxed{4\u0417}", "43"),  # a Cyrillic letter that looks like a 3
    ]
    found = read_recorded([str(write(tmp_path / "a.jsonl", rows))])
    assert [item.grade.verdict for item in found.answered] == [Verdict.UNPARSED, Verdict.RIGHT, Verdict.UNPARSED]


def test_data_without_responses_is_not_taken_for_responses(tmp_path: Path):
    write(tmp_path / "math.jsonl", [{"id": 1, "problem": "2+2?", "solution": "\\boxed{4}", "answer": "4"}])
    write(tmp_path / "out.jsonl", [{"id": 1, "question": "2+2?", "answer": "4", "response": "4"}])
    found = read_recorded([str(tmp_path)])
    assert len(found.answered) == 1
    assert [Path(skip.file).name for skip in found.skipped] == ["math.jsonl"]


def test_a_task_whose_rows_do_not_say_which_world_is_the_default(tmp_path: Path):
    rows = [world_row(i, "\\boxed{1}", "1", world=world) for i in range(3) for world in ("base10", "base9")]
    for row in rows:
        del row["is_default"]
    found = read_recorded([str(write(tmp_path / "a.jsonl", rows))])
    assert {item.question.condition: item.question.baseline for item in found.answered} == {
        "base10": True,
        "base9": False,
    }

"""The audit of a grader: counts worked out by hand."""

from pathlib import Path

import pytest

from menon.core.errors import ConfigError, DataError
from menon.core.values import Completion, Problem, Verdict
from menon.grading.audit import Count, Labels, audit_graders, objection, other_grader, read_labels

GOLD = Problem(family="sums", question="47+5?", answer="52", grader="number", meta={"id": "sum-1"})
WORDS = Problem(family="words", question="which?", answer="blotter", grader="number", meta={"id": "word-1"})
TEXTS = {
    "both": "#### 52",
    "first only": "I had 51 before. #### 52\nDone in 3 steps.",  # the last number is 3
    "second only": "#### 51 no wait 52",  # the last number is 52
    "neither": "#### 51",
    "no number": "I cannot say.",
}


def items() -> list[tuple[Problem, Completion]]:
    return [(GOLD, Completion(key=name, text=text, model="m")) for name, text in TEXTS.items()]


def test_table_disagreements_and_the_upper_estimate():
    found = audit_graders(items(), second="number?extract=last_number")
    assert found.table() == {
        (Verdict.RIGHT, Verdict.RIGHT): 1,
        (Verdict.RIGHT, Verdict.WRONG): 1,
        (Verdict.WRONG, Verdict.RIGHT): 1,
        (Verdict.WRONG, Verdict.WRONG): 1,
        (Verdict.UNPARSED, Verdict.UNPARSED): 1,
    }
    assert [item.completion.key for item in found.disagreements] == ["first only", "second only"]
    assert found.missed() == Count(1, 3)  # "second only", of the three that either calls right
    assert (found.first, found.second) == ("each problem's own", "number?extract=last_number")


def test_every_extractor_is_shown_for_every_item():
    found = audit_graders(items(), second="number?extract=last_number")
    by_key = {item.completion.key: item.extractor_verdicts() for item in found.items}
    assert by_key["second only"] == {
        "hashes": "wrong",
        "boxed": "unparsed",
        "answer_is": "unparsed",
        "after_a": "unparsed",
        "last_number": "right",
    }
    assert found.extractor_counts()["hashes"] == {"right": 2, "wrong": 2, "unparsed": 1}
    assert found.extractor_counts()["last_number"] == {"right": 2, "wrong": 2, "unparsed": 1}
    shown = found.disagreements[1].to_json()
    assert shown["extractors"]["last_number"] == {"answer": "52", "verdict": "right"}
    assert (shown["first"]["verdict"], shown["second"]["verdict"], shown["label"]) == ("wrong", "right", None)


def test_rates_by_labels():
    right, wrong = ("both", "second only"), ("first only", "neither")
    rows = [*((name, None, True) for name in right), *((name, "m", False) for name in wrong)]
    labels = Labels([*rows, ("neither", "another model", True), ("nobody", None, True)])
    found = audit_graders(items(), second="number?extract=last_number", labels=labels)
    assert found.false_negatives() == Count(1, 2)
    assert found.false_positives() == Count(1, 2)
    assert found.false_negatives("second") == Count(0, 2)
    assert found.false_positives("second") == Count(0, 2)
    assert len(found.labelled) == 4
    assert found.unmatched == 2


def test_labels_by_completion_problem_and_given_id():
    completion = Completion(key="a/eval", text="#### 52", model="m")
    for name in (completion.id, "a/eval", "a", GOLD.id, "sum-1"):
        assert Labels([(name, None, False)]).of(GOLD, completion) is False
    assert Labels([("a", "other", False)]).of(GOLD, completion) is None


def test_problems_of_another_kind_are_counted_not_fatal():
    completion = Completion(key="k", text="the answer is blotter")
    found = audit_graders([*items(), (WORDS, completion)], first="number", second="number?extract=boxed")
    assert sum(found.skipped.values()) == 1
    assert len(found.items) == 5
    own = Problem(family="words", question="which?", answer="b", choices=("a", "b"), grader="choice")
    found = audit_graders([(own, Completion(key="k", text="the answer is (b)."))], second="number")
    assert (len(found.items), len(found.compared), sum(found.uncompared.values())) == (1, 0, 1)
    assert found.items[0].first.right
    assert found.items[0].extractors == {}


def test_objection_speaks_of_the_gold_answer_only():
    assert objection(GOLD, "number") is None
    assert objection(GOLD, "digits?base=8") is None
    assert "'number' can compare" in (objection(WORDS, "number") or "")
    assert objection(GOLD, "digits?base=4") is not None  # there is no 5 in base 4
    with pytest.raises(ConfigError):
        objection(GOLD, "nmber")


def test_the_second_grader_is_of_the_same_kind_and_another_rule():
    assert other_grader("choice") == "choice?rule=star"
    assert other_grader("choice?rule=star") == "choice"
    assert other_grader("math") == "number"
    assert other_grader("number") in ("math", "number?extract=last_number")
    assert other_grader("squares") is None
    found = audit_graders(
        [(Problem(family="c", question="?", answer="b8", grader="squares"), Completion(key="k", text="b8"))]
    )
    assert found.uncompared == {"there is no second grader of this kind; give one with --second": 1}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("l.csv", "id,model,label\na,m,right\nb,,wrong\n"),
        ("l.jsonl", '{"id": "a", "model": "m", "label": "right"}\n\n{"key": "b", "is_correct": false}\n'),
        ("l.csv", "\ufeffcompletion,model,label\na,m,TRUE\nb,,0\n"),
    ],
)
def test_label_files(name: str, text: str, tmp_path: Path):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    labels = read_labels(path)
    assert len(labels) == 2
    assert labels.of(GOLD, Completion(key="a", model="m")) is True
    assert labels.of(GOLD, Completion(key="a", model="n")) is None
    assert labels.of(GOLD, Completion(key="b", model="n")) is False


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("l.csv", "id,label\na,perhaps\n", r"l.csv:2: id 'a', label 'perhaps'"),
        ("l.jsonl", '{"label": "right"}\n', r"l.jsonl:1: id None"),
        ("l.jsonl", "{\n", r"l.jsonl:1: not JSON"),
        ("l.jsonl", "[1]\n", r"l.jsonl:1: a JSON list"),
        ("l.csv", "id,label\n", "holds no labels"),
        ("none.csv", None, "cannot read labels"),
    ],
)
def test_bad_label_files_name_file_and_line(name: str, text: str | None, told: str, tmp_path: Path):
    if text is not None:
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=told):
        read_labels(tmp_path / name)

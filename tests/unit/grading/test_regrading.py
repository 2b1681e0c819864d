"""Stored completions are graded again, matched by key, and two graders are compared item by item."""

import json

from menon.core.values import Completion, Problem, Verdict
from menon.grading import compare_graders, regrade

ONE = Problem(family="t", question="1?", answer="1", grader="number", meta={"id": "row-1"})
TWO = Problem(family="t", question="2?", answer="2", grader="number")
COMPLETIONS = (
    Completion(key=ONE.id, text="#### 1"),
    Completion(key=f"{TWO.id}/after", text="the answer is 1\n#### 2"),
    Completion(key="row-1", text="#### 3"),
    Completion(key="nobody", text="#### 3"),
)


def test_regrade_keeps_order_and_loses_nothing():
    graded = list(regrade([ONE, TWO], COMPLETIONS, "number"))
    assert [completion for completion, _ in graded] == list(COMPLETIONS)
    assert [found.verdict for _, found in graded] == [Verdict.RIGHT, Verdict.RIGHT, Verdict.WRONG, Verdict.ERROR]
    assert "'nobody'" in graded[-1][1].note


def test_compare_graders_lists_disagreements():
    found = compare_graders([ONE, TWO], COMPLETIONS, "number", "number?extract=answer_is,last_number")
    assert (found.count, found.agreements) == (3, 2)
    assert [item.completion.key for item in found.disagreements] == [f"{TWO.id}/after"]
    assert found.table[Verdict.RIGHT, Verdict.WRONG] == 1
    assert json.loads(json.dumps(found.to_json()))["disagreements"][0]["second"]["answer"] == "1"

"""Pools: read from records, grouped, written as JSON and read back."""

import json

import pytest

from menon.core.errors import DataError
from menon.core.values import Completion, Grade, Problem, Verdict
from menon.sampling.asking import Graded, to_record
from menon.solving.pool import Pool, Sample

PROBLEM = Problem(family="toy", question="3+4", answer="7")


def record(verdict: Verdict, answer: str | None, sample: int, **more: object) -> dict[str, object]:
    completion = Completion(key="k", sample=sample, text=f"so {answer}", completion_tokens=5, finish="length")
    return to_record(
        Graded(problem=PROBLEM, completion=completion, grade=Grade(verdict=verdict, answer=answer)), **more
    )


def test_records_of_the_store_become_samples():
    rows = [
        record(Verdict.WRONG, "8", 1, prompt=2, step_scores=[0.5, 1.0], score=0.25),
        record(Verdict.RIGHT, "7", 0),
        record(Verdict.TRUNCATED, "7", 2),
    ]
    pool = Pool.from_records(json.loads(json.dumps(rows)))
    first, second, third = pool.groups[PROBLEM.id]
    assert (first.answer, first.right, first.tokens, first.finish) == ("7", True, 5, "length")
    assert (second.answer, second.right) == (None, False)  # a truncated text has no answer that may vote
    assert (third.prompt, third.index, third.step_scores, third.score) == (2, 1, (0.5, 1.0), 0.25)
    assert len(pool) == 1
    assert pool.smallest == 3


def test_json_and_back():
    pool = Pool.of(
        [
            Sample(problem="b", index=0, answer="1", step_scores=(0.5,), right=True, logp=-2.5),
            Sample(problem="a", index=1, answer=None),
            Sample(problem="a", index=0, text="x"),
        ]
    )
    again = Pool.from_json(json.loads(json.dumps(pool.to_json())))
    assert again == pool
    assert list(again.groups) == ["b", "a"]
    assert [sample.index for sample in again.groups["a"]] == [0, 1]


def test_scores_are_put_where_they_belong():
    pool = Pool.of([Sample(problem="a", index=0), Sample(problem="a", index=1), Sample(problem="b", index=0)])
    scored = pool.scored({("a", 0, 1): (0.5, [1.0, 0.0])})
    assert [(sample.score, sample.step_scores) for sample in scored] == [(None, None), (0.5, (1.0, 0.0)), (None, None)]


def test_trouble_is_named():
    with pytest.raises(DataError, match="two samples at prompt 0, index 3"):
        Pool.of([Sample(problem="a", index=3), Sample(problem="a", index=3, text="other")])
    with pytest.raises(DataError, match="without the field 'text'"):
        Pool.from_records([{"problem": "a", "sample": 0, "verdict": "right", "answer": "1"}])
    with pytest.raises(DataError, match="verdicts are: right, wrong"):
        Pool.from_records([{**record(Verdict.RIGHT, "7", 0), "verdict": "good"}])
    with pytest.raises(DataError, match=r"unknown: \['colour'\], missing: \['index'\]"):
        Sample.from_json({"problem": "a", "colour": "red"})

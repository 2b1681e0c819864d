"""Values are frozen, and their ids are hashes of what makes them what they are."""

import dataclasses

import pytest

from menon.core.errors import ConfigError, DataError, Diverged, MenonError, Refused, RunError, SamplerError
from menon.core.progress import Progress, Silent
from menon.core.values import Completion, Grade, Problem, Request, Verdict


def test_a_problem_is_its_wording_and_answer_not_its_place():
    one = Problem(family="chain", question="q", answer="4", split="train", index=3, meta={"steps": "equations"})
    assert one.id == Problem(family="chain", question="q", answer="4", split="test", index=9).id
    assert one.id != Problem(family="chain", question="q", answer="5").id
    assert one.id != Problem(family="facts", question="q", answer="4").id
    assert one.id != dataclasses.replace(one, choices=("4", "5")).id


def test_a_completion_is_its_request_text_and_tokens_not_its_cost():
    one = Completion(key="k", text="x", token_ids=(1, 2), seconds=1.0)
    assert one.id == dataclasses.replace(one, seconds=2.0, logps=(-0.1, -0.2)).id
    assert one.id != dataclasses.replace(one, sample=1).id
    assert one.id != dataclasses.replace(one, token_ids=(1, 3)).id
    assert one.id != dataclasses.replace(one, reasoning="r").id


@pytest.mark.parametrize(
    "value", [Problem(family="f", question="q", answer="a"), Request(key="k", prompt="p", seed=1), Completion(key="k")]
)
def test_values_are_frozen(value):
    with pytest.raises(dataclasses.FrozenInstanceError):
        value.key = "other"


def test_only_right_is_right():
    assert [v for v in Verdict if Grade(verdict=v).right] == [Verdict.RIGHT]
    assert {v.value for v in Verdict} == {"right", "wrong", "unparsed", "truncated", "error"}


def test_errors_are_menons_and_standard_ones_with_exit_codes():
    assert issubclass(ConfigError, ValueError)
    assert issubclass(DataError, ValueError)
    assert all(issubclass(e, MenonError | RuntimeError) for e in (SamplerError, RunError, Refused, Diverged))
    assert [e.exit_code for e in (RunError, ConfigError, Refused)] == [1, 2, 3]


def test_silence_is_a_progress():
    progress: Progress = Silent()
    assert (progress.start("x", 3), progress.advance(), progress.say("y")) == (None, None, None)

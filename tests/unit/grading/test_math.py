"""The symbolic grader: exact on numbers, symbolic on the rest, killed when it hangs, clear when not installed."""

import threading
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from menon.core.errors import ConfigError
from menon.core.values import Completion, Grade, Problem, Verdict
from menon.grading import grade, open_grader, verdicts
from menon.grading.math import MathGrader
from menon.grading.protocol import CheckTimeout

needs_package = pytest.mark.skipif(find_spec("math_verify") is None, reason="needs the extra menon[math]")


@pytest.fixture
def grader(monkeypatch: pytest.MonkeyPatch) -> Iterator[MathGrader]:
    """A grader of its own, put where `grade` looks graders up; math-verify is not needed to build it."""
    monkeypatch.setattr("menon.grading.math.find_spec", lambda name: name)
    grader = MathGrader(timeout_s=20)
    monkeypatch.setattr(verdicts, "open_grader", lambda spec: grader)
    yield grader
    grader.close()


def graded(text: str, answer: str) -> Grade:
    return grade(Problem(family="t", question="q", answer=answer, grader="math"), Completion(key="k", text=text))


def test_not_installed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("menon.grading.math.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"menon\[math\]"):
        MathGrader()


def test_numbers_never_reach_the_package(grader: MathGrader, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(grader._worker, "ask", None)
    assert graded(r"so \boxed{1e3}", "1000").right
    assert graded(r"so \boxed{1,001}", "1000").verdict is Verdict.WRONG
    assert graded(r"so \boxed{x+1}", "x+1").right
    assert graded("nothing", "x+1").verdict is Verdict.UNPARSED


def test_timeout_is_an_error(grader: MathGrader, monkeypatch: pytest.MonkeyPatch):
    def hang(question: object, *, timeout_s: float) -> dict[str, object]:
        raise CheckTimeout(f"no answer within {timeout_s:g} s")

    monkeypatch.setattr(grader._worker, "ask", hang)
    found = graded(r"\boxed{y+1}", "x+1")
    assert found.verdict is Verdict.ERROR
    assert found.note.startswith("timeout")


@needs_package
@pytest.mark.parametrize(
    ("text", "answer", "right"),
    [
        (r"\boxed{\frac{x}{2}}", "x/2", True),
        (r"\boxed{1+x}", "x+1", True),
        (r"\boxed{\sqrt{8}}", r"2\sqrt{2}", True),
        (r"\boxed{x+2}", "x+1", False),
        ("the answer is (2, 3)", "(2,3)", True),
    ],
)
def test_symbolic(grader: MathGrader, text: str, answer: str, right: bool):
    assert graded(text, answer).verdict is (Verdict.RIGHT if right else Verdict.WRONG)


@needs_package
def test_works_in_threads_and_survives_a_bomb(grader: MathGrader):
    found: list[Grade] = []
    thread = threading.Thread(target=lambda: found.append(graded(r"\boxed{1+x}", "x+1")))
    thread.start()
    thread.join()
    assert found[0].right
    impatient = MathGrader(timeout_s=1.5)
    with pytest.raises(CheckTimeout):
        impatient.accepts(Problem(family="t", question="q", answer="x"), "9^{9^{9^{9^9}}} + x")
    impatient.close()


@needs_package
def test_registered():
    assert isinstance(open_grader("math?timeout_s=2"), MathGrader)

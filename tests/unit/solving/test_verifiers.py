"""Verifiers: equations judged by hand, the stand-in's quality measured, scores put on a pool."""

import pytest

from menon.core.errors import ConfigError
from menon.problems.chain import CHAIN
from menon.solving.decoders import BEST_OF_N, MAJORITY
from menon.solving.pool import Pool, Sample
from menon.solving.verifiers import VERIFIERS, Arithmetic, Judgement, Known, judged
from menon.stats import auc, wilson

QUESTION = "tom has 12 pens. tom buys 3. tom gives 4. how many?"


@pytest.mark.parametrize(
    ("text", "answer", "outcome", "steps"),
    [
        ("12+3=15;15-4=11;#11", "11", 1.0, (1.0, 1.0)),
        ("12+3=16;16-4=12;#12", "12", 0.0, (0.0, 1.0)),
        ("12+3=15;15-4=11;#12", "12", 0.0, (1.0, 1.0)),
        ("12+3=15;15-4=11;#", None, 1.0, (1.0, 1.0)),
        ("Tom has 12 + 3 = 15 pens.\nHe gives 4 away.\nSo 15 - 4 = 10.", "10", 0.0, (1.0, 1.0, 0.0)),
        ("He has 12 + 3 = <<12+3=15>>15. He keeps 15-4 = <<15-4=11>>11.", "11", 1.0, (1.0, 1.0)),
        ("He has 15 = <<12+3=14>>14.", "14", 0.0, (0.0,)),
        ("A third is 10 / 3 = 3.33.", "3.33", 1.0, (1.0,)),
        ("3*4=12+5=17", "17", 1.0, (1.0,)),
        ("She has 12 + 3 = 15. 15 - 4 is 11.", "11", 1.0, (1.0, 1.0)),
        ("She has 12 + 3 = 15. 15 - 4 is 11.", "9", 0.0, (1.0, 1.0)),
        ("It is 11.", "11", 0.5, (1.0,)),
        ("", "11", 0.5, ()),
        ("1/0=5", "5", 0.5, (1.0,)),
    ],
)
def test_arithmetic(text: str, answer: str | None, outcome: float, steps: tuple[float, ...]):
    assert Arithmetic().judge(QUESTION, text, answer) == Judgement(outcome=outcome, steps=steps)


def test_grounded_arithmetic_sees_numbers_from_nowhere():
    copied = "12+3=15;15-5=10;#10"
    assert Arithmetic().judge(QUESTION, copied, "10").outcome == 1.0
    assert Arithmetic(grounded=True).judge(QUESTION, copied, "10").steps == (1.0, 0.0)
    assert Arithmetic(grounded=True).judge(QUESTION, "12+3=15;15-4=11;#11", "11").outcome == 1.0


@pytest.mark.parametrize("index", range(5))
def test_reference_rationales_hold(index: int):
    problem = CHAIN.problem("test", index, difficulty=5)
    assert problem.rationale is not None
    found = Arithmetic(grounded=True).judge(problem.question, problem.rationale, problem.answer)
    assert found == Judgement(outcome=1.0, steps=(1.0,) * 5)


@pytest.mark.parametrize("quality", [0.5, 0.7, 0.9])
def test_known_has_the_area_under_the_curve_that_it_says(quality: float):
    verifier = Known(gold={"q": "7"}, auc=quality)
    right = [verifier.judge("q", f"text {at}", "7.0").outcome for at in range(1500)]
    wrong = [verifier.judge("q", f"text {at}", "8").outcome for at in range(1500)]
    found = auc(right, wrong, level=0.999)
    assert found.low <= quality <= found.high
    if quality > 0.5:  # calibrated: of texts judged about 0.7, about 0.7 are right
        near = [1] * sum(0.6 < score < 0.8 for score in right) + [0] * sum(0.6 < score < 0.8 for score in wrong)
        assert len(near) > 100
        assert sum(near) / len(near) == pytest.approx(0.7, abs=0.08)


def test_known_with_an_accuracy():
    verifier = Known(gold={"q": "7"}, accuracy=0.8)
    hits = [
        verifier.judge("q", f"text {at}", answer).outcome == (answer == "7") for at in range(1000) for answer in "78"
    ]
    interval = wilson(sum(hits), len(hits), level=0.999)
    assert interval.low <= 0.8 <= interval.high
    assert verifier.judge("q", "1+1=2;2+2=5", None) == verifier.judge("q", "1+1=2;2+2=5", None)
    sure = Known(gold={"q": "7"}, accuracy=1.0)
    assert sure.judge("q", "3+4=7;7+1=9;#7", "7") == Judgement(outcome=1.0, steps=(1.0, 0.0))
    assert sure.judge("q", "", None).outcome == 0.0


def test_a_judged_pool_decodes_better():
    """A minority that is right wins by its equations."""
    texts = [("3+4=8", "8"), ("3+4=8;", "8"), ("3+4=7", "7")]
    pool = Pool.of(
        Sample(problem="p", index=at, text=text, answer=answer, right=answer == "7")
        for at, (text, answer) in enumerate(texts)
    )
    scored = judged(pool, {"p": "3+4?"}, VERIFIERS.get("arithmetic")())
    assert MAJORITY.decode(scored.groups["p"]).answer == "8"
    assert BEST_OF_N.decode(scored.groups["p"]).answer == "7"
    with pytest.raises(ConfigError, match="no question for problem 'p'"):
        judged(pool, {}, Arithmetic())


def test_what_is_refused():
    with pytest.raises(ConfigError, match="exactly one"):
        Known(auc=0.8, accuracy=0.8)
    with pytest.raises(ConfigError, match="auc is 1.0"):
        Known(auc=1.0)
    with pytest.raises(ConfigError, match="no gold answer for 'q'"):
        Known(auc=0.8).judge("q", "", None)
    with pytest.raises(ConfigError, match="score nan"):
        Judgement(outcome=float("nan"))
    with pytest.raises(ConfigError, match=r"score 1\.5"):
        Judgement(outcome=0.5, steps=(1.5,))

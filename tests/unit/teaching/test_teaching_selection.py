"""Which samples are kept, and the one reason that every other sample gets."""

from typing import Any

import pytest
from standins import chain, graded, right, unsound, wrong

from menon import Verdict
from menon.sampling.asking import Graded
from menon.teaching.config import StarConfig
from menon.teaching.selection import leaks_hint, select


def reasons(samples: list[Graded], *names: str | int, **star: Any) -> list[str]:
    return [decision.reason for decision in select(samples, StarConfig.model_validate(star), *names)]


ONE = chain(1)


@pytest.mark.parametrize(
    ("sample", "steps", "answer", "none"),
    [
        (graded(ONE, right(ONE)), "kept", "kept", "kept"),
        (graded(ONE, wrong(ONE)), "wrong", "wrong", "kept"),
        (graded(ONE, "41+2=43;"), "unparsed", "unparsed", "unparsed"),
        (graded(ONE, right(ONE), finish="length"), "truncated", "truncated", "truncated"),
        (graded(ONE, "", finish="error", error="no luck"), "error", "error", "error"),
        (graded(ONE, unsound(ONE)), "unsound step", "kept", "kept"),
        (graded(ONE, right(ONE), hinted=True), "kept", "kept", "kept"),
        (graded(ONE, f"{ONE.answer}#{ONE.answer}", hinted=True), "hint leaked", "hint leaked", "kept"),
        (graded(ONE, f"#{ONE.answer}", hinted=True), "hint leaked", "hint leaked", "kept"),
    ],
)
def test_each_reason(sample: Graded, steps: str, answer: str, none: str):
    assert reasons([sample], filter="steps") == [steps]
    assert reasons([sample], filter="answer") == [answer]
    assert reasons([sample], filter="none") == [none]


def test_a_hint_leaks_when_the_text_speaks_of_it_or_only_repeats_it():
    assert leaks_hint("", "43")
    assert leaks_hint(" 43. ", "43")
    assert leaks_hint("(b) pen (CORRECT) is used to write.", "B")
    assert not leaks_hint("41+2=43;", "43")
    assert not leaks_hint("43 pens less 2 are 41, so it is right.", "43")


def test_duplicates_are_told_apart_by_text_by_equations_or_not_at_all():
    texts = ["41+2=43;#43", "41+2=43;#43", "41 + 2 = 43;#43", "40+1+2=43;#43"]
    samples = [graded(ONE, text, sample=i) for i, text in enumerate(texts)]
    assert reasons(samples, filter="answer", dedupe="none") == ["kept"] * 4
    assert reasons(samples, filter="answer", dedupe="text") == ["kept", "duplicate", "kept", "kept"]
    assert reasons(samples, filter="answer", dedupe="equations") == ["kept", "duplicate", "duplicate", "kept"]


def test_the_same_text_for_another_question_is_no_duplicate():
    other = chain(1, question="mia has 41 pens. she buys 2. how many?")
    assert reasons([graded(ONE, right(ONE)), graded(other, right(other))], dedupe="equations") == ["kept", "kept"]


def test_no_more_than_so_many_of_one_question():
    two = chain(2)
    samples = [graded(ONE, f"41+{'0' * i}2=43;#43", sample=i) for i in range(4)] + [graded(two, right(two))]
    found = reasons(samples, filter="answer", keep_per_question=2)
    assert found == ["kept", "kept", "enough of this question", "enough of this question", "kept"]


def some_samples(rights: int, count: int) -> list[Graded]:
    problems = [chain(i) for i in range(count)]
    return [graded(p, right(p) if i < rights else wrong(p)) for i, p in enumerate(problems)]


def test_random_reward_keeps_exactly_as_many_as_the_answer_filter():
    for rights in (0, 1, 7, 30):
        found = reasons(some_samples(rights, 30), "seed", 3, filter="random")
        assert found.count("kept") == rights
        assert set(found) <= {"kept", "not drawn"}


def test_random_reward_keeps_as_many_where_samples_repeat_themselves():
    samples = [
        graded(p, text, sample=j)
        for p in (chain(i) for i in range(12))
        for j, text in enumerate([right(p), right(p), wrong(p), wrong(p), "no answer"])
    ]
    for seed in range(5):
        assert reasons(samples, seed, filter="random").count("kept") == reasons(samples, filter="answer").count("kept")
        chosen = [i for i, reason in enumerate(reasons(samples, seed, filter="random")) if reason == "kept"]
        assert all(samples[i].grade.verdict in (Verdict.RIGHT, Verdict.WRONG) for i in chosen)
        assert len({samples[i].completion.text for i in chosen}) == len(chosen)


def test_random_reward_does_not_look_at_the_verdict():
    """Which places are drawn depends on the seed and the count alone: swapping right and wrong changes nothing."""
    problems = [chain(i) for i in range(40)]
    first = [graded(p, right(p) if i < 20 else wrong(p)) for i, p in enumerate(problems)]
    second = [graded(p, wrong(p) if i < 20 else right(p)) for i, p in enumerate(problems)]
    assert reasons(first, 7, filter="random") == reasons(second, 7, filter="random")
    kept = [sum(r == "kept" for r in reasons(first, seed, filter="random")[:20]) for seed in range(30)]
    assert 8 < sum(kept) / len(kept) < 12  # half of what is drawn is wrong
    assert len(set(kept)) > 1

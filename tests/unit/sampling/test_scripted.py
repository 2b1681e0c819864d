"""The stand-ins are what they are called: their accuracies on seen and fresh problems are the known ones."""

from collections.abc import Sequence

import pytest

from menon.core.errors import ConfigError, SamplerError
from menon.core.values import Completion, Problem, Request
from menon.problems import FAMILIES
from menon.sampling import bind_problems, open_sampler, sample_in_order

CHAIN = FAMILIES.get("chain")
ADDITION = FAMILIES.get("addition")
FACTS = FAMILIES.get("facts")
ORIGINALS = [CHAIN.problem("original", index) for index in range(400)]
FRESH = [CHAIN.variant(problem, 0) for problem in ORIGINALS]


def ask(spec: str, problems: Sequence[Problem], n: int = 1, **fields: object) -> list[Completion]:
    sampler = open_sampler(spec)
    bind_problems(sampler, problems)
    requests = {p.id: Request(key=f"{p.id}/test", prompt=p.question + "=", seed=1, n=n, **fields) for p in problems}  # type: ignore[arg-type]
    return sample_in_order(sampler, requests.values())


def right(spec: str, problems: Sequence[Problem]) -> list[bool]:
    answers = {completion.key: completion.text.rpartition("#")[2] for completion in ask(spec, problems)}
    return [answers[f"{problem.id}/test"] == problem.answer for problem in problems]


def share(hits: Sequence[bool]) -> float:
    return sum(hits) / len(hits)


def test_oracle_is_right_with_probability_p_everywhere() -> None:
    assert share(right("scripted:oracle", ORIGINALS + FRESH)) == 1.0
    for problems in (ORIGINALS, FRESH):
        assert share(right("scripted:oracle?p=0.7", problems)) == pytest.approx(0.7, abs=0.08)
    assert share(right("scripted:oracle?p=0", FRESH)) == 0.0


def test_reciter_is_right_exactly_on_what_it_has_seen() -> None:
    assert share(right("scripted:reciter", ORIGINALS)) == 1.0
    assert share(right("scripted:reciter", FRESH)) == 0.0
    assert share(right("scripted:reciter?seen=variant", FRESH)) == 1.0


def test_guesser_is_at_chance() -> None:
    facts = [FACTS.problem("original", index) for index in range(60)]
    assert share(right("scripted:guesser", facts)) < 0.05
    choices = ("red", "green", "blue", "brown")
    quiz = [Problem(family="quiz", question=f"{i}?", answer="B", choices=choices, grader="choice") for i in range(300)]
    texts = [completion.text for completion in ask("scripted:guesser", quiz)]
    assert {text[-3] for text in texts} == set("ABCD")
    assert share(["(B)" in text for text in texts]) == pytest.approx(0.25, abs=0.08)


def test_mixture_recites_its_share_of_right_answers() -> None:
    before, after = (
        right("scripted:mixture?share=0.5&p=0.6", ORIGINALS),
        right("scripted:mixture?share=0.5&p=0.6", FRESH),
    )
    assert share(before) == pytest.approx(0.6, abs=0.08)
    assert share(after) == pytest.approx(0.3, abs=0.08)
    kept = [fresh for original, fresh in zip(before, after, strict=True) if original]
    assert share(kept) == pytest.approx(0.5, abs=0.1)
    assert not any(fresh for original, fresh in zip(before, after, strict=True) if not original)


def test_right_answers_come_with_the_rationale_and_direct_ones_without() -> None:
    problem = ADDITION.problem("test", 0)
    assert ask("scripted:oracle", [problem])[0].text == f"{problem.rationale}#{problem.answer}"
    sampler = open_sampler("scripted:oracle")
    bind_problems(sampler, [problem])
    (completion,) = sampler.sample([Request(key=problem.id, prompt=problem.question + ":", seed=0)])
    assert completion.text == f"#{problem.answer}"


def test_wrong_answers_have_the_shape_of_right_ones() -> None:
    for problem in [ADDITION.problem("test", index) for index in range(50)]:
        (completion,) = ask("scripted:oracle?p=0", [problem])
        answer = completion.text.removeprefix("#")
        assert answer != problem.answer
        assert [char for char in answer if not char.isdigit()] == [c for c in problem.answer if not c.isdigit()]
    words = [Problem(family="words", question=f"{word}?", answer=word) for word in ("oak", "ash", "fir")]
    for problem, completion in zip(words, ask("scripted:oracle?p=0", words), strict=True):
        assert completion.text.removeprefix("#") in {"oak", "ash", "fir"} - {problem.answer}
    number = Problem(family="n", question="one?", answer="-1.5", grader="number", rationale="1+1.5")
    assert ask("scripted:oracle", [number])[0].text == "1+1.5\n#### -1.5"


def test_equal_whatever_the_order_and_the_request_seed_but_not_whatever_the_sample() -> None:
    first = ask("scripted:oracle?p=0.5", ORIGINALS[:50], n=4)
    again = ask("scripted:oracle?p=0.5", ORIGINALS[:50][::-1], n=4)
    assert sorted(c.id for c in first) == sorted(c.id for c in again)
    texts = [c.text for c in first]
    assert any(len(set(texts[i : i + 4])) > 1 for i in range(0, 200, 4))
    assert right("scripted:oracle?p=0.5&seed=1", ORIGINALS) != right("scripted:oracle?p=0.5", ORIGINALS)


def test_stop_strings_cut() -> None:
    (completion,) = ask("scripted:oracle", ORIGINALS[:1], stop=("=",))
    assert "=" not in completion.text


def test_unbound_problems_and_scoring_are_told() -> None:
    sampler = open_sampler("scripted:oracle")
    (completion,) = sampler.sample([Request(key="unknown/x", prompt="p", seed=0)])
    assert completion.finish == "error"
    assert "no problem 'unknown' is bound" in str(completion.error)
    with pytest.raises(SamplerError, match="cannot score"):
        sampler.score("a", "b")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("scripted:oracel", "Did you mean 'oracle'"),
        (
            "scripted:oracle?q=1",
            r"unknown option 'q' .*Allowed options: p, seed|unknown option 'q'. Allowed options: p, seed",
        ),
        ("scripted:oracle?p=2", "option 'p' is '2': input should be less than or equal to 1"),
        ("scripted:mixture?share=half", "option 'share' is 'half'"),
        ("scripted:guesser?p=1", "Allowed options: seed"),
    ],
)
def test_bad_names(spec: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        open_sampler(spec)


def test_the_name_holds_what_differs_from_the_default() -> None:
    assert open_sampler("scripted:oracle").name == "scripted:oracle"
    assert open_sampler("scripted:oracle?p=0.90").name == "scripted:oracle?p=0.9"
    assert open_sampler("scripted:mixture", share=0.25).name == "scripted:mixture?share=0.25"

"""Prompt styles: published formats to the letter, hints only where asked for, gold completions graded right."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from menon.core.errors import ConfigError
from menon.core.values import Completion, Problem
from menon.grading import grade
from menon.problems.prompts import COMMONSENSEQA, GSM8K, MENON, PLAIN, STYLES, PromptStyle

SUM = Problem(
    family="sums", question="Tom has 4 pens and buys 5. How many?", answer="9", rationale="4+5 = 9.", grader="number"
)
OTHER = replace(SUM, question="Mia has 2 pens. How many?", answer="2", rationale="She has 2.")
CHOICE = Problem(
    family="csqa", question="Where are books lent?", answer="B", rationale="Books are lent.",
    choices=("bank", "library"), grader="choice",
)  # fmt: skip
MARKERS = ("(9)", "(CORRECT)", "the answer is 9", "the answer is (B)", "library (B)\nA:")


def test_menon():
    problem = Problem(family="chain", question="how many?", answer="44")
    assert MENON.prompt(problem) == "how many?="
    assert MENON.prompt(problem, direct=True) == "how many?:"
    assert MENON.prompt(problem, hint=True) == "how many?(44)="
    assert MENON.completion(problem, "47+5=52;", "52") == "47+5=52;#52"
    assert MENON.completion(problem, "", "52", direct=True) == "#52"
    assert MENON.with_exemplars(()) is MENON
    with pytest.raises(ConfigError, match="no demonstrations"):
        MENON.with_exemplars((problem,))


def test_gsm8k():
    style = GSM8K.with_exemplars((OTHER,))
    asked = "Q: Tom has 4 pens and buys 5. How many?"
    shot = "Q: Mia has 2 pens. How many?"
    assert style.prompt(SUM) == f"{shot}\nA: She has 2.\n#### 2\n\n{asked}\nA:"
    assert style.prompt(SUM, hint=True) == f"{shot} (2)\nA: She has 2.\n#### 2\n\n{asked} (9)\nA:"
    assert style.prompt(SUM, direct=True) == f"{shot}\nA: #### 2\n\n{asked}\nA:"
    assert replace(GSM8K, solution_hint=True).prompt(SUM, hint=True) == f"{asked} (4+5 = 9.\n#### 9)\nA:"


def test_commonsenseqa():
    asked = "Q: Where are books lent?\nAnswer Choices:\n(a) bank\n(b) library"
    assert COMMONSENSEQA.prompt(CHOICE) == f"{asked}\nA:"
    assert COMMONSENSEQA.prompt(CHOICE, hint=True) == f"{asked} (CORRECT)\nA:"
    assert COMMONSENSEQA.completion(CHOICE, "Books are lent.", "b") == (
        " Books are lent. Therefore, the answer is library (b)."
    )
    assert COMMONSENSEQA.completion(CHOICE, "", "B", direct=True) == " (b)."
    with pytest.raises(ConfigError, match="needs choices"):
        COMMONSENSEQA.prompt(SUM)


def test_plain():
    assert PLAIN.prompt(SUM).startswith(SUM.question)
    assert "####" in PLAIN.prompt(SUM)
    assert "(B) library" in PLAIN.prompt(CHOICE)
    assert "(X)" in PLAIN.prompt(CHOICE)


@pytest.mark.parametrize("style", [GSM8K, PLAIN, COMMONSENSEQA])
@pytest.mark.parametrize("problem", [SUM, CHOICE])
def test_gold_completions_are_right_and_hints_are_shown_only_when_asked(style: PromptStyle, problem: Problem):
    if style is COMMONSENSEQA and problem is SUM:
        pytest.skip("needs choices")
    for direct in (False, True):
        text = style.completion(problem, problem.rationale or "", problem.answer, direct=direct)
        assert grade(problem, Completion(key="k", text=text)).right
        assert not any(marker in style.prompt(problem, direct=direct) for marker in MARKERS)
    assert any(marker in style.prompt(problem, hint=True) for marker in MARKERS)


def test_a_grade_gives_back_the_rationale():
    text = COMMONSENSEQA.completion(CHOICE, "Books are lent. So it is.", "B")
    assert grade(CHOICE, Completion(key="k", text=text)).rationale == "Books are lent. So it is."
    text = GSM8K.completion(SUM, "4+5 = 9.", "9")
    assert grade(SUM, Completion(key="k", text=text)).rationale == "4+5 = 9."


@pytest.mark.parametrize("name", STYLES.names())
def test_every_style(name: str):
    style: PromptStyle = STYLES.get(name)
    assert style.name == name
    assert style.max_tokens > 0
    with pytest.raises(ConfigError, match="not both"):
        style.prompt(CHOICE, hint=True, direct=True)


def test_the_question_is_not_its_own_demonstration():
    assert GSM8K.with_exemplars((SUM,)).prompt(SUM) == GSM8K.prompt(SUM)


def test_demonstrations_need_rationales():
    style = GSM8K.with_exemplars((replace(OTHER, rationale=None),))
    assert "#### 2" in style.prompt(SUM, direct=True)
    with pytest.raises(ConfigError, match="no rationale"):
        style.prompt(SUM)


def _from_row(row: dict[str, object], choices: dict[str, str], grader: str) -> Problem:
    return Problem(
        family="x", question=str(row["question"]), answer=str(row["answer"]), rationale=str(row["rationale"]),
        choices=tuple(choices.values()), grader=grader,
    )  # fmt: skip


def test_published_prompts_to_the_letter(shared_data: Path):
    """The demonstrations of STaR are rebuilt byte for byte, with and without the hint."""
    styles = (("star_gsm.jsonl", GSM8K, "number"), ("star_commonsenseqa.jsonl", COMMONSENSEQA, "choice"))
    compared = 0
    for name, style, grader in styles:
        for line in (shared_data / "exemplars" / name).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if row["answer"] is None:
                continue
            problem = _from_row(row, row.get("choices") or {}, grader)
            direct, hint = "direct" in row["set"], "answer_key" in row["set"]
            asked = style.prompt(problem, hint=hint)
            assert (
                asked + style.completion(problem, problem.rationale or "", problem.answer, direct=direct) == row["raw"]
            )
            compared += 1
    assert compared == 40

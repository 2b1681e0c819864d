"""Grader "value": Python literals as models write them; nothing is ever evaluated."""

import time

import pytest

from menon.core.errors import DataError
from menon.core.values import Completion, Problem, Verdict
from menon.grading.verdicts import grade, open_grader


def _problem(answer: str) -> Problem:
    return Problem(family="programs", question="?", answer=answer, grader="value")


def _verdict(answer: str, text: str) -> Verdict:
    return grade(_problem(answer), Completion(key="a", text=text)).verdict


@pytest.mark.parametrize(
    "text",
    [
        "#### [1, 'a']",
        '#### [1, "a"]',
        "#### `[1,'a']`",
        r"\boxed{[1, \text{'a'}]}",
        "The answer is [1, ‘a’].",
        "First x is [2].\nOutput:\n```\n[1, 'a']\n```",
        "Result: [1, 'a']",
        "It returns `[1, 'a']`.",
        "####\n```python\n[1, 'a']\n```",
        "[１, 'a']",
        "x#[1, 'a']",
        "**Answer:** [1, 'a']",
        "#### f([3]) = [1, 'a']",
    ],
)
def test_lists_are_read_in_many_forms(text: str):
    assert _verdict("[1, 'a']", text) is Verdict.RIGHT


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("'abc'", "#### abc"),
        ("'abc'", '#### "abc"'),
        ("'abc'", "The answer is abc."),
        ("'abc'", "abc"),
        ("'abc'", r"\boxed{\text{abc}}"),
        ("7", "#### 7"),
        ("-7", "#### −7"),
        ("True", "#### True"),
        ("None", "#### None"),
        ("2.5", "#### 2.50"),
        ("(1, 2)", "#### (1, 2)"),
        ("{'a': 1}", '#### {"a": 1}'),
        ("[(1, 'a')]", "#### [(1, 'a')]"),
    ],
)
def test_other_literals_are_read(answer: str, text: str):
    assert _verdict(answer, text) is Verdict.RIGHT


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("[1, 2]", "#### (1, 2)"),
        ("[1, 2]", "#### [2, 1]"),
        ("2", "#### 2.0"),
        ("1", "#### True"),
        ("'12'", "#### 12"),
        ("[1]", "#### [1, 1]"),
        ("'abc'", "#### ABC"),
        ("[1, 2]", "[1, 2]\n#### [1]"),
    ],
)
def test_other_values_are_wrong(answer: str, text: str):
    assert _verdict(answer, text) is Verdict.WRONG


@pytest.mark.parametrize(
    "text",
    [
        "",
        "It prints a list.",
        "#### the list",
        "#### [1, 'а']",
        "#### __import__('os')",
        "#### [1][0]",
        "#### 1 + 1",
        "#### {1, 2}",
        "#### b'a'",
        "#### 1+2j",
        "#### " + "[" * 400 + "]" * 400,
        "#### " + "9" * 5000,
        "#### [1, 2",
    ],
)
def test_what_is_no_literal_is_unparsed(text: str):
    assert _verdict("[1, 2]", text) is Verdict.UNPARSED


def test_a_bare_word_is_a_string_only_where_the_answer_is_one():
    assert _verdict("[1]", "#### abc") is Verdict.UNPARSED
    assert _verdict("'abc'", "#### abd") is Verdict.WRONG


def test_a_problem_without_a_literal_cannot_be_graded():
    with pytest.raises(DataError, match="no Python literal"):
        open_grader("value").accepts(_problem("seven or so"), "7")


@pytest.mark.parametrize(
    "piece", ["[", "[1,", "\n", "`", "-", "' ", "((", "#### [", "\\boxed{", "ﷺ", "1", "answer is "]
)
def test_long_output_is_read_in_no_time(piece: str):
    text = piece * (100_000 // len(piece))
    start = time.process_time()
    _verdict("[1]", text)
    assert time.process_time() - start < 0.5

"""Actions, follow-up questions, code and judgements, read from what models write."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menon.grading.actions import (
    Action,
    Final,
    Finish,
    FollowUp,
    read_action,
    read_code,
    read_follow_up,
    read_value,
)
from menon.grading.outputs import Unread


@pytest.mark.parametrize(
    ("text", "action"),
    [
        (
            "Thought 1: I need its age.\nAction 1: Search[age of X]\nObservation 1: 40\nAction 2: Finish[40]",
            Action("I need its age.", "Search", "age of X"),
        ),
        ('Action: search("who\'s [this]?")', Action("", "search", "who's [this]?")),
        ("Action: search('a\\'b')", Action("", "search", "a'b")),
        ("Action: calc((1+2)*3)", Action("", "calc", "(1+2)*3")),
        ("**Action:** `look_up`[a [b] c]", Action("", "look_up", "a [b] c")),
        ("Action: search[foo\nbar]", Action("", "search", "foo\nbar")),
        ("Hm.\nsearch[foo]", Action("Hm.", "search", "foo")),
        ("Action: search\nAction Input: rain in Rome\nThought: x", Action("", "search", "rain in Rome")),
        ('So:\n```json\n{"tool": "search", "input": {"q": 1}}\n```', Action("So:", "search", '{"q": 1}')),
        ('{"thought": "t", "tool": "calc", "input": "1+1"}', Action("t", "calc", "1+1")),
        ('Action:\n```json\n{"action": "calc", "action_input": "1+1"}\n```', Action("", "calc", "1+1")),
        ("<think>Action: no[no]</think>Action: yes[yes]", Action("", "yes", "yes")),
        ("Action: search[]", Action("", "search", "")),
    ],
)
def test_actions_are_read_in_every_form(text: str, action: Action):
    assert read_action(text) == action


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Finish[42]", "42"),
        ("Thought: done\nAction: Finish[yes]", "yes"),
        ("Thought: I know.\nFinal Answer: the lake\nand the hill\nQuestion: next", "the lake\nand the hill"),
        ('{"action": "Final Answer", "action_input": "42"}', "42"),
        ("**Final Answer:** 42", "42"),
    ],
)
def test_the_end_of_acting_is_read(text: str, answer: str):
    assert read_action(text) == Finish(answer)


def test_an_action_before_an_answer_counts_since_the_answer_has_not_seen_its_result():
    assert read_action("Action: search[a]\nFinal Answer: 3") == Action("", "search", "a")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "an empty text"),
        ("I do not know what to do.", "has no action"),
        ("I rely on [1] here", "has no action"),
        ("Action: search", "has no argument"),
        ("Action: search[never closed", "never closed"),
        ("Action: Finish[]", "without an answer"),
        ("Final Answer:", "final answer is empty"),
        ("Action: ...", "names no tool"),
        ('{"tool": "search"}', "no JSON has a tool with its input"),
        ('{"tool": "search", "input": "a",}', "trailing comma"),
        ("\x00\x01", "binary"),
    ],
)
def test_what_is_no_action_is_told(text: str, why: str):
    read = read_action(text)
    assert isinstance(read, Unread)
    assert why in read.reason
    assert "allowed: " in read.reason


def test_listed_tools_are_matched_and_others_refused():
    assert read_action("Action: SEARCH[x]", tools=("search",)) == Action("", "search", "x")
    assert read_action("Action: browse[x]", tools=("search",)) == Unread(
        "got tool 'browse'; allowed: 'search', 'Finish'"
    )
    assert read_action("Action: finish[x]", tools=("search",)) == Finish("x")


@given(
    st.text(alphabet=st.characters(exclude_characters="[]()`", exclude_categories=["C"])), st.sampled_from(["[]", "()"])
)
def test_arguments_come_back_as_they_were_written(argument: str, brackets: str):
    written = argument if brackets == "[]" else json.dumps(argument, ensure_ascii=False)
    read = read_action(f"Thought: t\nAction: tool{brackets[0]}{written}{brackets[1]}")
    assert isinstance(read, Action)
    assert read.argument == (argument.strip() if brackets == "[]" else argument)
    assert read.thought == "t"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (
            "Are follow up questions needed here: Yes.\nFollow up: How old was X?\nIntermediate answer: 5\n"
            "So the final answer is: 5",
            FollowUp("How old was X?"),
        ),
        ("Follow-up question: why?", FollowUp("why?")),
        ("**Follow up:** who?", FollowUp("who?")),
        ("So the final answer is: Muhammad Ali.", Final("Muhammad Ali")),
        ("The final answer is 3.5", Final("3.5")),
        ("Final answer: U.S.", Final("U.S.")),
        ("So the final answer is: a\nFollow up: more?", Final("a")),
    ],
)
def test_follow_ups_and_final_answers_are_read(text: str, read: FollowUp | Final):
    assert read_follow_up(text) == read


@pytest.mark.parametrize(
    ("text", "why"), [("", "empty"), ("Follow up:", "question is empty"), ("Who knows", "neither")]
)
def test_what_is_no_follow_up_is_told(text: str, why: str):
    read = read_follow_up(text)
    assert isinstance(read, Unread)
    assert why in read.reason


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("First:\n```python\nx = 1\n```\nBetter:\n```py\nanswer = 2\n```\nDone.", "answer = 2"),
        ("x = 1\nprint(x)", "x = 1\nprint(x)"),
        ("```\na = 1\n```", "a = 1"),
        ("```python\nx = 1", "x = 1"),
        ("```python\ndef f(:\n```", "def f(:"),
        ("~~~python\nx = '```'\n~~~", "x = '```'"),
        ("```python\nx = 1\n```\n```text\n1\n```", "x = 1"),
        ("42", "42"),
    ],
)
def test_code_is_taken_out_of_its_fences(text: str, code: str):
    assert read_code(text) == code


@pytest.mark.parametrize(
    "text", ["", "Hello there", "hello", "```\nnot code here\n```", "(" * 9000, "-" * 19_000 + "1", "x = '\\d'; ?"]
)
def test_prose_is_no_code(text: str):
    assert isinstance(read_code(text), Unread)


def test_code_with_odd_escapes_is_read_without_a_warning():
    assert read_code("import re\nre.findall('\\d', '1')") == "import re\nre.findall('\\d', '1')"


@pytest.mark.parametrize(
    ("text", "judged"),
    [
        ("sure", 1.0),
        ("Likely.", 0.5),
        ("10 + 14 = 24\nsure", 1.0),
        ("The value 24 can be reached.\nimpossible", 0.0),
        ("0.7", 0.7),
        ("7/10", 0.7),
        ("7 out of 10", 0.7),
        ("I looked at 3 things.\nScore: 70%", 0.7),
        ("value: 8 / 10 because of 3 things", 0.8),
        ("Sure, I'd rate this 0.25", 0.25),
        ("The probability is about 0.35.", 0.35),
        ("1", 1.0),
        ("0", 0.0),
    ],
)
def test_judgements_are_read_on_one_scale(text: str, judged: float):
    assert read_value(text) == judged


@given(st.integers(0, 10))
def test_scales_agree(points: int):
    assert (
        read_value(f"{points}/10")
        == read_value(f"Score: {points * 10}%")
        == read_value(f"{points / 10}")
        == points / 10
    )


@pytest.mark.parametrize("text", ["", "8", "-0.5", "1.2", "11/10", "nothing", "sure or impossible", "not impossible"])
def test_judgements_without_a_scale_are_not_guessed(text: str):
    assert isinstance(read_value(text), Unread)


@given(st.text() | st.text(alphabet="[](){}\"'\\\n `-#Action:FinishThought "))
def test_no_text_breaks_a_reading_of_an_action(text: str):
    for read in (read_action, read_follow_up, read_code, read_value):
        read(text)

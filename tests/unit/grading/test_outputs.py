"""Outputs of models as typed values: what is read, what is refused, and that nothing of any size or kind breaks it."""

import json
import re
import time
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menon.core.errors import ConfigError
from menon.grading.outputs import KINDS, Read, Unread, check_schema, read_output

TOOLS = ("search", "look up", "finish")
PLAN: dict[str, Any] = {
    "type": "object",
    "required": ["steps"],
    "properties": {
        "steps": {
            "type": "array",
            "minItems": 1,
            "maxItems": 3,
            "items": {
                "type": "object",
                "required": ["tool"],
                "properties": {"tool": {"enum": ["search", "ask"]}, "weight": {"minimum": 0, "maximum": 1}},
            },
        }
    },
}
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def value(text: str, kind: str, **settings: Any) -> Any:
    read = read_output(text, kind, **settings)
    assert isinstance(read, Read), read
    return read.value


def reason(text: str, kind: str, **settings: Any) -> str:
    read = read_output(text, kind, **settings)
    assert isinstance(read, Unread), read
    assert read.reason.startswith("got ")
    assert "allowed: " in read.reason
    assert len(read.reason) < 600
    return read.reason


@pytest.mark.parametrize(
    "text",
    [
        "<think>is it 4 or 5?</think>\n\n  12 \n",
        "is it 4 or 5?</think>12",
        "<thinking>4</thinking>12",
        "[THINK]4[/THINK]12",
        "\u25c1think\u25b74\u25c1/think\u25b7 12",
        "<|channel|>analysis<|message|>4<|end|><|start|>assistant<|channel|>final<|message|>12<|return|>",
        "<THINK>4</THINK>12<|im_end|>",
    ],
)
def test_reasoning_of_every_mark_is_left_out(text: str):
    assert read_output(text, "text") == Read("12")
    assert value(text, "number") == 12


@pytest.mark.parametrize("text", ["<think>12", "<think>a</think> 12 <think>and", "[THINK] yes"])
def test_reasoning_without_an_end_is_no_answer(text: str):
    assert "reasoning block without an end" in reason(text, "text")


@pytest.mark.parametrize(
    ("text", "got"), [("", "an empty text"), (" \n", "an empty text"), ("<think>a</think> ", "nothing after")]
)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_told_as_nothing(text: str, got: str, kind: str):
    assert got in reason(text, kind, choices=TOOLS if kind == "choice" else ())


@pytest.mark.parametrize(
    ("text", "number", "rule"),
    [
        ("12+7=19;#19", 19, "last_number"),
        ("The answer is $1,234.50.", 1234.5, "answer_is"),
        ("First 3, then 4.\n**Answer:** 12", 12, "answer_is"),
        ("so \\boxed{1/4}", 0.25, "boxed"),
        ("7 and 8\n#### 9", 9, "hashes"),
        ("minus: -3", -3, "last_number"),
        ("50%", 50, "last_number"),
    ],
)
def test_numbers_are_read_by_the_rules_of_the_grader(text: str, number: float, rule: str):
    read = read_output(text, "number")
    assert read == Read(number, rule)
    assert type(value(text, "number")) is type(number)


@given(st.integers(-(10**12), 10**12), st.integers(1, 4))
def test_numbers_are_int_when_whole_and_float_otherwise(number: int, places: int):
    written = f"{number / 10**places:.{places}f}"
    exact = Fraction(written)
    read = value(f"It is {written}", "number")
    assert read == (int(exact) if exact.denominator == 1 else float(written))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("no idea", "has no number"),
        ("the answer is 1e399", "beyond the range"),
        ("the answer is 1e-399", "beyond the range"),
        ("the answer is 3:30", "no one reading"),
    ],
)
def test_numbers_that_are_none_are_told(text: str, why: str):
    assert why in reason(text, "number")


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("Search", "search"),
        ("**search**", "search"),
        ('"Look up".', "look up"),
        ("The answer is finish.", "finish"),
        ("finish, because we know enough", "finish"),
        ("I would not search, look up instead", "look up"),
        ("Not finish but search? No: the answer is look up", "look up"),
        ("(b)", "look up"),
        ("B", "look up"),
        ("b) since it is known", "look up"),
        ("Option C", "finish"),
        ("answer: A", "search"),
        ("<think>finish or search?</think>search", "search"),
        ("researching... search", "search"),
    ],
)
def test_choices_are_read_as_written_in_the_chart(text: str, choice: str):
    assert value(text, "choice", choices=TOOLS) == choice


@pytest.mark.parametrize(("text", "letter"), [("(B)", "B"), ("b", "B"), ("The answer is C.", "C"), ("**A**", "A")])
def test_letters_that_are_choices_mean_themselves_whatever_their_place(text: str, letter: str):
    assert value(text, "choice", choices=("B", "C", "A")) == letter


def test_two_choices_without_a_decision_are_both_named():
    told = reason("search or finish", "choice", choices=TOOLS)
    assert "names 'search', 'finish' and decides for none; allowed: one of 'search', 'look up', 'finish'" in told


@pytest.mark.parametrize("text", ["research", "searching", "refinish", "search-engine", "G"])
def test_choices_within_other_words_do_not_count(text: str):
    assert "names none of the choices" in reason(text, "choice", choices=TOOLS)


def test_choices_with_hyphens_are_read():
    assert value("the left-hand one", "choice", choices=("left-hand", "right-hand")) == "left-hand"


@pytest.mark.parametrize("choices", [(), ("a", "A "), ("",)])
def test_choices_that_cannot_be_told_apart_are_refused(choices: tuple[str, ...]):
    with pytest.raises(ConfigError, match="allowed: one or more different texts"):
        read_output("a", "choice", choices=choices)


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("yes, because no other fits", True),
        ("No, it is true that it rained, but later.", False),
        ("TRUE.", True),
        ("The answer is: **No**", False),
        ("It is not true.", False),
        ("Let me see.\nIs 3 odd? Three is odd.\nyes", True),
    ],
)
def test_truth_is_read_from_yes_no_true_and_false(text: str, truth: bool):
    assert value(text, "truth") is truth


@pytest.mark.parametrize("text", ["unknown", "no-one knows", "nothing", "yes and no", "untrue", "yesterday"])
def test_truth_is_not_guessed(text: str):
    assert "allowed: yes or no, true or false" in reason(text, "truth")


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("1. How old is Tom?\n2. How old is Mia?", ["How old is Tom?", "How old is Mia?"]),
        ("(1) a\n(2) b", ["a", "b"]),
        ("Here they are:\n- a\n* b\n\nGood luck!", ["a", "b"]),
        ("1) a\n   with more\n2) b\n   - and a point", ["a\nwith more", "b\n- and a point"]),
        ("**1.** a\n**2.** b", ["a", "b"]),
        ("- only one", ["only one"]),
        ("Draft:\n1. x\n2. y\nFinal:\n1. a\n2. b", ["a", "b"]),
        ('["a, b", "c"]', ["a, b", "c"]),
        ('```json\n[1, {"a": 2}]\n```\n- not an item', [1, {"a": 2}]),
        ('My list is: ["a", "b"]', ["a", "b"]),
        ("a\n\nb", ["a", "b"]),
        ("Questions:\nwho?\nwhat?", ["who?", "what?"]),
        ("see [1]\nand [2]", ["see [1]", "and [2]"]),
        ("List: a, b and c, d", ["a", "b and c", "d"]),
        ("The answers are: a; b, c", ["a", "b, c"]),
        ("[a, b]", ["a", "b"]),
    ],
)
def test_lists_are_read_in_every_form(text: str, items: list[Any]):
    assert value(text, "list") == items


@pytest.mark.parametrize("text", ["[]", "a, b, c", "one thing", "I saw Tom, Mia and Sam.", "Answer: Paris", "```\n```"])
def test_what_is_no_list_is_not_made_one(text: str):
    assert "no list" in reason(text, "list")


@given(
    st.lists(st.from_regex(r"[a-zA-Z][a-z ]{0,20}[a-z?]", fullmatch=True), min_size=1),
    st.sampled_from(["- {}", "{n}. {}", "{n}) {}"]),
)
def test_lists_come_back_as_they_were_written(items: list[str], form: str):
    text = "\n".join(form.format(item, n=n) for n, item in enumerate(items, start=1))
    assert value(text, "list") == items


def test_lists_of_too_many_items_are_cut_with_a_note():
    read = read_output("\n".join(f"- {n}" for n in range(20_000)), "list")
    assert isinstance(read, Read)
    assert len(read.value) == 10_000
    assert "cut to the first 10,000 of 20,000 items" in read.note


@given(
    JSON, st.sampled_from(["@", "Here: @ Done.", "```json\n@\n```", 'Not {"this": 0} but @', "[note] {x} @ [1 of 2]"])
)
def test_the_last_json_is_what_was_written(inner: Any, frame: str):
    written = json.dumps({"value": inner}, ensure_ascii=False).encode("utf-8", "replace").decode()
    assert value(frame.replace("@", written), "json") == json.loads(written)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a": 1,}', "a trailing comma in"),
        ('{"a": [1, 2,\n]}', "a trailing comma in"),
        ("{'a': 1}", "single quotes"),
        ('{"a": [1, 2', "broken off"),
        ('{"a": 1, "a": 2}', "stands twice"),
        ('{"a": NaN}', "NaN is no number"),
        ('{"a": 1e999}', "too large a number"),
        ('{"a": 1} and better {"b": 1,}', "a trailing comma in"),
        ('{"a":' * 500 + "1" + "}" * 500, "nested more than 100 deep"),
        ("42", "no JSON object or array"),
        ("{answer}", "no JSON object or array"),
    ],
)
def test_broken_json_is_told_and_not_mended(text: str, why: str):
    assert why in reason(text, "json")


@pytest.mark.parametrize(
    ("plan", "path"),
    [
        (
            {"steps": [{"tool": "search"}, {"tool": "ask"}, {"tool": "fly"}]},
            "$.steps[2].tool is 'fly'; allowed: 'search', 'ask'",
        ),
        ({"steps": []}, "$.steps has 0 items; allowed: at least 1"),
        ({"steps": [{"tool": "ask"}] * 4}, "$.steps has 4 items; allowed: at most 3"),
        ({"steps": [{"weight": 1}]}, "$.steps[0] lacks 'tool'"),
        ({"steps": [{"tool": "ask", "weight": 1.5}]}, "$.steps[0].weight is 1.5; allowed: at most 1"),
        ({"steps": [{"tool": "ask", "weight": -1}]}, "$.steps[0].weight is -1; allowed: at least 0"),
        ({"steps": "none"}, "$.steps is 'none'; allowed: array"),
        ([], "$ is []; allowed: object"),
    ],
)
def test_json_against_a_schema_names_the_path(plan: Any, path: str):
    assert path in reason(f"My plan: {json.dumps(plan)}", "json", schema=PLAN)


def test_the_last_json_that_follows_the_schema_counts():
    good = {"steps": [{"tool": "ask"}]}
    assert value(f'{{"steps": []}} {json.dumps(good)} as in [1]', "json", schema=PLAN) == good


@pytest.mark.parametrize(
    ("schema", "given", "fits"),
    [
        ({"type": "integer"}, 2.0, True),
        ({"type": "integer"}, True, False),
        ({"type": "number"}, False, False),
        ({"type": ["string", "null"]}, None, True),
        ({"enum": [1]}, True, False),
        ({"enum": [1]}, 1.0, True),
        ({"enum": [{"a": [1, "x"]}]}, {"a": [1, "x"]}, True),
        ({"enum": [[1]]}, [True], False),
        ({"minimum": 3}, "text is not compared", True),
        ({"minItems": 1}, {"not": "a list"}, True),
        ({"required": ["b"]}, {"a": 1}, False),
    ],
)
def test_schema_keywords_mean_what_json_schema_says(schema: dict[str, Any], given: Any, fits: bool):
    whole = {"type": "object", "properties": {"my key": schema}}
    read = read_output(json.dumps({"my key": given}), "json", schema=whole)
    assert isinstance(read, Read) is fits
    assert fits or '$["my key"]' in reason(json.dumps({"my key": given}), "json", schema=whole)


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"properties": {"a": {"items": {"pattern": "x"}}}}, r"at \$\.a\[\] has keyword 'pattern'; allowed: type, "),
        ({"type": "text"}, "type = 'text'; allowed: one or several of object"),
        ({"type": []}, "allowed: one or several"),
        ({"required": "a"}, "required = 'a'; allowed: a list of names"),
        ({"enum": []}, "a list with at least one value"),
        ({"minItems": -1}, "a whole number from 0 on"),
        ({"maximum": True}, "allowed: a number"),
        ({"minItems": 3, "maxItems": 2}, "minItems = 3 above maxItems = 2"),
        ({"items": [1]}, r"at \$\[\] is \[1\]; allowed: a table"),
        ({"properties": []}, "a table of schemas by name"),
        (None, r"at \$ is None"),
    ],
)
def test_schemas_are_checked_before_use(schema: Any, told: str):
    with pytest.raises(ConfigError, match=told):
        check_schema(schema)


def test_a_schema_within_itself_is_refused():
    schema: dict[str, Any] = {"type": "array"}
    schema["items"] = schema
    with pytest.raises(ConfigError, match="nested more than 50 deep"):
        check_schema(schema)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ConfigError, match="allowed: text, number, choice, truth, list, json"):
        read_output("a", "integer")


@pytest.mark.parametrize("kind", KINDS)
def test_binary_is_told_as_such(kind: str):
    assert "binary" in reason("\x00\x01\x02yes\x7f", kind, choices=("yes",) if kind == "choice" else ())


def test_stray_control_characters_and_surrogates_are_mended_with_a_note():
    read = read_output("a\x00" + "b" * 50 + "\ud83d\ude00 \ud800", "text")
    assert isinstance(read, Read)
    assert read.value == "a" + "b" * 50 + "\U0001f600 \ufffd"
    assert read.note == "control characters left out: 1; lone surrogates replaced"
    assert value('{"a": "\\ud800"}', "json") == {"a": "\ufffd"}


@given(st.text() | st.text(alphabet="[]{}\"',:01ab\\\n `-#<think>/\ud800"), st.sampled_from(KINDS))
def test_no_text_breaks_a_reading(text: str, kind: str):
    read = read_output(text, kind, choices=TOOLS if kind == "choice" else ())
    json.dumps(read.value if isinstance(read, Read) else read.reason, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "yes no ",
        "[",
        "[1,",
        '{"a":',
        '\\"',
        "[1\n",
        "- a\n",
        "  a\n",
        "a-",
        "```\n",
        "<think>",
        "#",
        "12 ",
        "\u0416 ",
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_huge_texts_take_linear_time(piece: str, kind: str):
    text = piece * (10_000_000 // len(piece)) if kind == "text" else piece * (400_000 // len(piece))
    start = time.process_time()
    read = read_output(text, kind, choices=TOOLS if kind == "choice" else ())
    assert time.process_time() - start < 3
    assert isinstance(read, Unread) or re.search(r"cut to the (?:first|last) [0-9,]+ of [0-9,]+ characters", read.note)

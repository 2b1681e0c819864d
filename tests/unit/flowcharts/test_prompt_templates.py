"""Prompts: what is a hole and what is text, and how values read."""

import json
from typing import Any

import pytest

from menon.flowcharts.expressions import STANDARD, EvaluationError, ExpressionError, Function
from menon.flowcharts.prompts import Template, compile_template, show

VALUES: dict[str, Any] = {
    "name": "Meno",
    "count": 3,
    "half": 0.5,
    "done": True,
    "steps": ["add", "carry {name}"],
    "record": {"a": {"b": 1}, "ä": [1.0, None]},
    "größe": "XL",
    "_x": "underscore",
}


def template(text: str) -> Template:
    return compile_template(text, STANDARD)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("no holes", "no holes"),
        ("Hello {name}!", "Hello Meno!"),
        ("{name}{count}", "Meno3"),
        ("{count + 1} of {len(steps)}", "4 of 2"),
        ("{größe}{_x}", "XLunderscore"),
        ("{record.a.b}{record['a']['b']}", "11"),
        ('{get({"}": "{"}, "}")}', "{"),
        ("{upper('}') + name}", "}Meno"),
        ("{{name}}", "{name}"),
        ("{{any words here}}", "{any words here}"),
        ("\\boxed{{{count}}}", "\\boxed{3}"),
        ("{{{{name}}}}", "{{name}}"),
        ("{{{{{name}}}}}", "{{Meno}}"),
        ("{{name}, {count}", "{Meno, 3"),
        ("{{{name} }", "{{Meno }"),
        ('{"a": 1}', '{"a": 1}'),
        ('{"a": {count}, "b": {}}', '{"a": 3, "b": {}}'),
        ("{}", "{}"),
        ("{ name }", "{ name }"),
        ("{1, 2}", "{1, 2}"),
        ("}{", "}{"),
        ("{-x}", "{-x}"),
        ("{name\n  + '!'}", "Meno!"),
        ("{join([step for step in steps if contains(step, 'dd')])}", "add"),
        ("{steps}", "1. add\n2. carry {name}"),
        ("{done} {not_set if False else half}", "yes 0.5"),
    ],
)
def test_a_prompt_is_written(text: str, expected: str) -> None:
    assert template(text).render(VALUES) == expected


def test_values_are_never_read_as_templates() -> None:
    made = template("{a} {b}")
    assert made.render({"a": "{b} {{b}} {__import__('os')}", "b": "{a}"}) == "{b} {{b}} {__import__('os')} {a}"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("as it is\n", "as it is\n"),
        (3, "3"),
        (-4.0, "-4"),
        (0.1, "0.1"),
        (1e300, "1e+300"),
        (-0.0, "0"),
        (True, "yes"),
        (False, "no"),
        (None, ""),
        ([], ""),
        (["a", 2.0, False, None, ["b"], {"c": 1}], '1. a\n2. 2\n3. no\n4. \n5. ["b"]\n6. {"c":1}'),
        ({"a": [1, "ü"], "b": None}, '{"a":[1,"ü"],"b":null}'),
        ({}, "{}"),
    ],
)
def test_values_read(value: Any, expected: str) -> None:
    assert show(value) == expected
    assert template("{x}").render({"x": value}) == expected


def test_json_reads_back() -> None:
    assert json.loads(show(VALUES["record"])) == VALUES["record"]


def test_what_a_prompt_reads_and_calls() -> None:
    functions = {**STANDARD, "search": Function(len, effect=True, doc="looks things up")}
    made = compile_template("{a} {{b}} {len(c)} {first([d for d in e])} {search(f)}", functions)
    assert made.reads == {"a", "c", "e", "f"}
    assert made.calls == {"len", "search", "first"}
    assert made.effect is True
    assert template("{a}").effect is False
    clash = "len() takes text, list or json, and `c` is a number"
    assert compile_template("{len(c)} {a} {len(c)}", STANDARD).infer({"c": "number"}) == [clash]


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("one\ntwo {name", 8, 5, "the brace before `name` is not closed"),
        ("one\n\ntwo {lenn(name)} {", 9, 6, "did you mean `len`?"),
        ("{a: 1}", 7, 3, "or write {{...}} if the braces are meant as text"),
        ("a {name!r}", 7, 8, "cannot be read"),
        ("\\begin{align*}", 7, 14, "cannot be read"),
        ("{name.__class__}", 7, 2, "`__class__` is not allowed"),
        ("{{name", 7, 2, "not closed"),
        ("{name}" * 2_001, 7, 12_001, "more than 2,000 holes"),
        ("{name)}", 7, 1, "not closed"),
    ],
)
def test_a_mistake_is_found_before_it_is_sent(text: str, line: int, column: int, words: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_template(text, STANDARD, file="chart.md", line=7)
    assert words in str(caught.value)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert str(caught.value).startswith(f"chart.md:{line}: ")


@pytest.mark.parametrize(
    ("text", "values", "words"),
    [
        ("a\n{b}", {"c": 1}, "`b` (chart.md:8) has no value: the variable `b` is not set; set are: `c`"),
        ("{b}", {"b": float("nan")}, "infinite or undefined"),
        ("{b}", {"b": {1: 2}}, "keys of a json value must be text"),
        ("{b}", {"b": object()}, "a object cannot be shown"),
        ("{b}" * 3, {"b": "x" * 500_000}, "the prompt would have more than 1,000,000 characters"),
    ],
)
def test_a_prompt_that_cannot_be_written(text: str, values: dict[str, Any], words: str) -> None:
    made = compile_template(text, STANDARD, file="chart.md", line=7)
    with pytest.raises(EvaluationError) as caught:
        made.render(values)
    assert words in str(caught.value)


def test_a_long_prompt_with_many_braces_is_read_at_once() -> None:
    text = '{"a": {name}} {{x}} ' * 2_000
    assert template(text).render(VALUES) == '{"a": Meno} {x} ' * 2_000

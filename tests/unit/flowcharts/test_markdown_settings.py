"""The outline of a strategy file, and how the values of its settings are read."""

from typing import Any

import pytest

from menon.flowcharts.chart import Budget, ChartError, Kind
from menon.flowcharts.functions import STANDARD
from menon.flowcharts.markdown import Section, Setting, outline
from menon.flowcharts.settings import OF_CHART, OF_KIND, Reader, near

FILE = """# The title

Source: Somebody 2020

- takes: a, b
- returns: long +
  expression + over
  lines

Prose - with: dashes.

```mermaid
flowchart TD
```

- budget: 5 steps

# Another title

## first - a remark
* n: 3
+ top_p: 0.5

~~~~text
## no heading
- no: setting
```
~~~
~~~~

```PYTHON title="x"
x = 1
```
## second
"""


def test_an_outline_has_titles_settings_blocks_and_lines() -> None:
    read = outline(FILE)
    assert (read.title, read.source) == ("The title", "Somebody 2020")
    head, first, second = read.sections
    assert [(one.key, one.value, one.line) for one in head.settings] == [
        ("takes", "a, b", 5),
        ("returns", "long + expression + over lines", 6),
    ]
    assert [(one.language, one.text, one.line) for one in head.fences] == [("mermaid", "flowchart TD", 13)]
    assert (first.heading, first.line) == ("first - a remark", 20)
    assert [(one.key, one.value, one.line) for one in first.settings] == [("n", "3", 21), ("top_p", "0.5", 22)]
    assert [(one.language, one.line) for one in first.fences] == [("text", 25), ("python", 32)]
    assert first.fences[0].text == "## no heading\n- no: setting\n```\n~~~"
    assert first.fence("python", "py") is first.fences[1]
    assert first.fence("json") is None
    assert (second.heading, second.line, second.settings, second.unclosed) == ("second", 34, [], 0)


def test_a_block_that_is_never_closed_is_marked() -> None:
    read = outline("# T\n\n## a\n\n```text\nx\n## b\n")
    assert [section.heading for section in read.sections] == ["", "a"]
    assert read.sections[1].unclosed == 5
    assert read.sections[1].fences[0].text == "x\n## b"


@pytest.mark.parametrize(
    "text", ["", "\n", "# ", "##", "```", "- :", "-", "\ufeff# T", "\r\n# T\r\n- a: b\r\n", "\x00"]
)
def test_any_text_has_an_outline(text: str) -> None:
    assert outline(text).sections[0].heading == ""


def reader(**values: str) -> Reader:
    settings = [Setting(key=key.replace("_", " "), value=value, line=7) for key, value in values.items()]
    section = Section(heading="one", line=5, settings=settings)
    return Reader(file="f.md", functions=STANDARD, section=section, allowed=[s.key for s in settings], node="one")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain words", "plain words"),
        ('"quoted: words"', "quoted: words"),
        ("'single'", "single"),
        ("3", "3"),
        ("[1]", "[1]"),
        ('"open', '"open'),
    ],
)
def test_a_text_may_be_quoted(value: str, text: str) -> None:
    assert reader(model=value).text("model") == text


@pytest.mark.parametrize(
    ("value", "texts"),
    [('["a", "b"]', ("a", "b")), ('"\\n"', ("\n",)), ("END", ("END",)), ("[1, 2]", ("[1, 2]",)), ("[]", ())],
)
def test_texts_are_an_array_or_one_text(value: str, texts: tuple[str, ...]) -> None:
    assert reader(stop=value).texts("stop") == texts


@pytest.mark.parametrize("value", ["0", "-1", "1.0", "true", "many", '"3"', ""])
def test_a_count_is_a_whole_number(value: str) -> None:
    with pytest.raises(ChartError, match=r"f\.md:7: "):
        reader(limit=value).count("limit", None)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("a", [("a", "any", None, True)]),
        ("a (text), b (number) = 0.5", [("a", "text", None, True), ("b", "number", 0.5, False)]),
        ('a (list) = [1, "x, y"], b = "c, d"', [("a", "list", [1, "x, y"], False), ("b", "any", "c, d", False)]),
        ("`a` (truth) = true", None),
        ("größe (number) = 3", [("größe", "number", 3, False)]),
        ("a = {x = 1, y = [2]}, b", [("a", "any", {"x": 1, "y": [2]}, False), ("b", "any", None, True)]),
    ],
)
def test_variables_have_types_and_defaults(value: str, found: list[Any] | None) -> None:
    if found is None:
        with pytest.raises(ChartError):
            reader(takes=value).variables("takes")
        return
    assert [(v.name, v.type, v.default, v.required) for v in reader(takes=value).variables("takes")] == found


@pytest.mark.parametrize("value", ["a b", "1a", "a (text", "a (text) =", "a = nothing", "a,,b", "a (Text)", "a-b"])
def test_a_variable_that_cannot_be_read_is_told(value: str) -> None:
    with pytest.raises(ChartError, match=r"f\.md:7: error: "):
        reader(takes=value).variables("takes")


@pytest.mark.parametrize(
    ("value", "budget"),
    [
        ("200 steps", Budget(steps=200)),
        ("1 step, 2 Tokens, 3 SECONDS, 0.5 money, 1 turn", Budget(steps=1, tokens=2, seconds=3.0, money=0.5, turns=1)),
        ("20_000 tokens,1.5 second", Budget(tokens=20_000, seconds=1.5)),
    ],
)
def test_a_budget_is_amounts_with_units(value: str, budget: Budget) -> None:
    assert reader(budget=value).budget("budget") == budget


@pytest.mark.parametrize(
    "value", ["200", "steps", "-1 steps", "1.5 steps", "1 hour", "1 steps 2 tokens", "1e3 tokens", "1 steps,"]
)
def test_a_budget_that_cannot_be_read_is_told(value: str) -> None:
    with pytest.raises(ChartError, match=r"f\.md:7: error: "):
        reader(budget=value).budget("budget")


def test_what_is_set_twice_or_not_known_is_told() -> None:
    twice = Section(
        heading="one",
        line=5,
        settings=[Setting(key="max tokens", value="1", line=6), Setting(key="max_tokens", value="2", line=7)],
    )
    with pytest.raises(ChartError, match=r"f\.md:7: error: 'max tokens' is set twice"):
        Reader(file="f.md", functions=STANDARD, section=twice, allowed=["max tokens"])
    strange = Section(heading="", line=1, settings=[Setting(key="return", value="x", line=3)])
    with pytest.raises(ChartError, match=r"f\.md:3: error: a chart has no setting 'return'; did you mean 'returns'\?"):
        Reader(file="f.md", functions=STANDARD, section=strange, allowed=OF_CHART)


def test_every_kind_with_a_section_has_settings() -> None:
    assert set(OF_KIND) == set(Kind) - {Kind.START, Kind.END}
    assert near("temprature", OF_KIND[Kind.ASK]) == "; did you mean 'temperature'?"
    assert near("zzz", OF_CHART) == ""

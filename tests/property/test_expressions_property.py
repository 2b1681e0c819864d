"""Expressions agree with Python itself: on generated sources and values, both have one value or both fail."""

import ast
import contextlib
import math
import warnings
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from menon.flowcharts.expressions import STANDARD, EvaluationError, ExpressionError, compile_block, compile_expression
from menon.flowcharts.limits import HIGHEST_INT, MOST_ITEMS
from menon.flowcharts.prompts import compile_template, show

NAMES = ("a", "b", "c", "xs", "ys", "d")
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-9, 9),
    st.sampled_from([0.0, 0.5, -2.5, 3.0]),
    st.text("ab1 ", max_size=4),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "k"]), inner, max_size=3),
    max_leaves=6,
)
VALUES = st.fixed_dictionaries(
    {
        "a": st.integers(-20, 20),
        "b": st.sampled_from([1.5, -0.25, 2.0, 0.0]) | st.booleans(),
        "c": st.text("ab1 ", max_size=5),
        "xs": st.lists(st.integers(-5, 5), max_size=4),
        "ys": st.lists(JSON, max_size=4),
        "d": st.dictionaries(st.sampled_from(["a", "b", "k"]), JSON, max_size=3),
    }
)

# Python's own functions, where a call of ours says the same.
REFERENCE: dict[str, Any] = {
    "__builtins__": {},
    **{"len": len, "sum": sum, "min": min, "max": max, "abs": abs, "round": round, "any": any, "all": all},
    "sorted": sorted,
    "reversed": lambda items: list(items)[::-1],
    "range": lambda *numbers: list(range(*numbers)),
    "enumerate": lambda items: [[number, item] for number, item in enumerate(items)],
    "zip": lambda *lists: [list(row) for row in zip(*lists, strict=False)],
}
ONE_LIST = ("len", "sum", "min", "max", "any", "all", "sorted", "reversed", "enumerate")

leaves = st.one_of(
    st.sampled_from(NAMES),
    st.integers(0, 12).map(repr),
    st.sampled_from(["0.5", "2.0", "True", "False", "None", "''", "'a'", "'ab'", "'k'", "[]", "{}"]),
)


def _deeper(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def shape(form: str, *parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.tuples(*parts).map(lambda chosen: form.format(*chosen))

    binary = st.sampled_from(["+", "-", "*", "/", "//"])
    compare = st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in", "not in"])
    number = st.integers(-3, 3).map(str)
    return st.one_of(
        shape("({} {} {})", inner, binary, inner),
        shape("({} % {})", st.sampled_from(["a", "b", "len(xs)", "7"]), inner),
        shape("({} ** {})", inner, number),
        shape("({} {} {})", inner, compare, inner),
        shape("({} {} {} {} {})", inner, compare, inner, compare, inner),
        shape("({} {} {})", inner, st.sampled_from(["and", "or"]), inner),
        shape("({} or {} and {} or {})", inner, inner, inner, inner),
        shape("({}{})", st.sampled_from(["not ", "-", "+"]), inner),
        shape("({} if {} else {})", inner, inner, inner),
        shape("({} is {})", inner, st.sampled_from(["None", "not None"])),
        shape("{}[{}]", inner, inner),
        shape("{}[{}:{}]", inner, number, inner),
        shape("{}[::{}]", inner, number),
        shape("[{}, {}]", inner, inner),
        shape("{{{}: {}}}", st.sampled_from(["'a'", "c", "a"]), inner),
        shape("{}({})", st.sampled_from(ONE_LIST), inner),
        shape("sorted({}, reverse={})", inner, st.sampled_from(["True", "False"])),
        shape("{}({}, {})", st.sampled_from(["min", "max", "zip"]), inner, inner),
        shape("[[v, {}] for v in {} if {}]", inner, inner, inner),
        shape("[[v, w] for v in {} for w in [v, {}]]", inner, inner),
        shape("{{w: {} for w in {}}}", inner, inner),
        shape("any({} == v for v in {})", inner, inner),
        shape("all({} < v for v in {} if v)", inner, inner),
        shape("sum(v for v in {})", inner),
        shape("range({})", number),
    )


SOURCES = st.recursive(leaves, _deeper, max_leaves=12)


class Failed:
    """Stands for "no value"."""


def _python(source: str, values: dict[str, Any]) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python frowns at `0 is None` and `1[0]`
            result = eval(source, {**REFERENCE, **values})  # noqa: S307
    except Exception:
        return Failed
    return result if _is_value(result) else Failed


def _is_value(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_value(part) for key, part in value.items())
    if isinstance(value, list):
        return len(value) <= MOST_ITEMS and all(map(_is_value, value))
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, str) or (isinstance(value, int) and abs(value) <= HIGHEST_INT)


def _attempt(source: str, values: dict[str, Any]) -> tuple[Any, str]:
    """Return the value and no problem, or `Failed` and the problem."""
    try:
        return compile_expression(source, STANDARD)(values), ""
    except EvaluationError as error:
        return Failed, error.problem


def _ours(source: str, values: dict[str, Any]) -> Any:
    return _attempt(source, values)[0]


def _alike(one: Any, two: Any) -> bool:
    """Equal in value and in the types within."""
    return repr(one) == repr(two)


# Where we are stricter on purpose: Python lets a key of another kind than text come and go within an expression.
STRICTER = ("the keys of a json value must be text",)


def _skips(source: str) -> bool:
    """Say whether a part of the source may stay unevaluated, so that a clash in it need not show."""
    nodes = list(ast.walk(ast.parse(source, mode="eval")))
    chains = any(isinstance(node, ast.Compare) and len(node.ops) > 1 for node in nodes)
    return chains or any(isinstance(node, (ast.BoolOp, ast.IfExp, ast.comprehension)) for node in nodes)


@settings(max_examples=500)
@given(source=SOURCES, values=VALUES)
def test_the_value_is_pythons(source: str, values: dict[str, Any]) -> None:
    before = repr(values)
    expected = _python(source, values)
    got, problem = _attempt(source, values)
    assert repr(values) == before
    if got is Failed:
        assert expected is Failed or any(words in problem for words in STRICTER), (problem, expected)
    else:
        assert _alike(got, expected), (got, expected)


@settings(max_examples=150)
@given(source=SOURCES, values=VALUES)
def test_static_claims_hold(source: str, values: dict[str, Any]) -> None:
    made = compile_expression(source, STANDARD)
    got = _ours(source, values)
    types = {"a": "number", "b": "any", "c": "text", "xs": "list", "ys": "list", "d": "json"}
    kind, clashes = made.infer(types)
    python_types = {"text": str, "number": (int, float), "truth": bool, "list": list, "json": dict, "any": object}
    assert made.reads <= set(NAMES)
    if got is not Failed:
        assert isinstance(got, python_types[kind]), (source, kind)
        assert not made.boolean or isinstance(got, bool), source
        assert clashes == [] or _skips(source), (source, clashes)


@settings(max_examples=150)
@given(source=SOURCES, values=VALUES, missing=st.sampled_from(NAMES))
def test_reads_are_exactly_what_is_needed(source: str, values: dict[str, Any], missing: str) -> None:
    made = compile_expression(source, STANDARD)
    fewer = {name: value for name, value in values.items() if name in made.reads}
    assert repr(_ours(source, fewer)) == repr(_ours(source, values))
    if missing not in made.reads:
        return
    del fewer[missing]
    problem = _attempt(source, fewer)[1]
    assert "is not set" not in problem or f"the variable `{missing}` is not set" in problem


@settings(max_examples=100)
@given(sources=st.lists(st.tuples(st.sampled_from(["a", "b", "new"]), SOURCES), min_size=1, max_size=4), values=VALUES)
def test_a_block_is_its_expressions_in_turn(sources: list[tuple[str, str]], values: dict[str, Any]) -> None:
    text = "\n".join(f"{name} = {source}" for name, source in sources)
    block = compile_block(text, STANDARD)
    assert block is not None
    known, written = dict(values), dict[str, Any]()
    for name, source in sources:
        known[name] = written[name] = _ours(source, known)
        if written[name] is Failed:
            break
    try:
        got: Any = block.run(values)
    except EvaluationError:
        assert Failed in list(written.values())
        return
    assert _alike(got, {name: written[name] for name in block.writes})


@settings(max_examples=150)
@given(parts=st.lists(st.text(max_size=8).filter(lambda text: "{" not in text and "}" not in text)), value=JSON)
def test_a_prompt_is_its_text_and_its_values(parts: list[str], value: Any) -> None:
    made = compile_template("{value}".join(parts), STANDARD)
    assert made.render({"value": value}) == show(value).join(parts)


@settings(max_examples=500)
@given(source=st.text("{}ab+1'\"[]():., \n", max_size=30))
def test_any_text_is_read_or_refused_cleanly(source: str) -> None:
    values = {"a": 1, "b": "{a}", "ab": [1]}
    with contextlib.suppress(ExpressionError, EvaluationError):
        compile_expression(source, STANDARD)(values)
    with contextlib.suppress(ExpressionError, EvaluationError):
        block = compile_block(source, STANDARD)
        assert block is None or set(block.run(values)) == set(block.writes)
    with contextlib.suppress(ExpressionError, EvaluationError):
        assert isinstance(compile_template(source, STANDARD).render(values), str)

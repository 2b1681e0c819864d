"""The standard functions: what they return, what they refuse, and that they leave their arguments alone."""

import copy
import statistics
from collections import Counter
from typing import Any

import pytest

from menon.core.seeds import rng_for
from menon.flowcharts.expressions import STANDARD, EvaluationError, compile_expression


def value(source: str, **values: Any) -> Any:
    return compile_expression(source, STANDARD)(values)


CASES: dict[str, list[tuple[str, Any]]] = {
    "len": [("len([1, 2])", 2), ("len('abc')", 3), ("len({'a': 1})", 1)],
    "min": [("min([3, 1])", 1), ("min(3, 1, 2)", 1), ("min('ba')", "a")],
    "max": [("max([3, 1])", 3), ("max('a', 'b')", "b"), ("max([[1], [2]])", [2])],
    "sum": [("sum([1, 2.5])", 3.5), ("sum([], 4)", 4), ("sum([True, True])", 2)],
    "mean": [("mean([1, 2])", 1.5), ("mean([True, False])", 0.5)],
    "abs": [("abs(-3)", 3)],
    "round": [("round(2.567, 2)", 2.57), ("round(2.5)", 2), ("round(1234, -2)", 1200)],
    "int": [("int('12')", 12), ("int(3.9)", 3), ("int(True)", 1)],
    "float": [("float('2.5')", 2.5), ("float(2)", 2.0)],
    "is_number": [
        ("is_number(' 12.5 ')", True),
        ("is_number(3)", True),
        ("is_number('twelve')", False),
        ("is_number('nan')", False),
        ("is_number('1e999')", False),
        ("is_number(True)", False),
        ("is_number(None)", False),
    ],
    "text": [("text(3.0)", "3"), ("text(True)", "yes"), ("text(None)", ""), ("text(['a', 1])", "1. a\n2. 1")],
    "lower": [("lower('AbÄ')", "abä")],
    "upper": [("upper('aß')", "ASS")],
    "strip": [("strip('  a ')", "a"), ("strip('.a.', '.')", "a")],
    "split": [("split(' a  b ')", ["a", "b"]), ("split('a,b', ',')", ["a", "b"])],
    "lines": [("lines('1. a\\n\\n  2. b \\r\\n')", ["1. a", "2. b"]), ("lines('')", [])],
    "join": [("join(['a', 2, [3]])", "a, 2, [3]"), ("join(['a', 'b'], ' + ')", "a + b"), ("join([])", "")],
    "replace": [("replace('abab', 'a', '')", "bb"), ("replace('ab', '', '-')", "-a-b-")],
    "startswith": [("startswith('yes, it is', 'yes')", True)],
    "endswith": [("endswith('a.', '!')", False)],
    "contains": [("contains('abc', 'b')", True), ("contains([1], 2)", False), ("contains({'k': 1}, 'k')", True)],
    "numbered": [("numbered(['a', {'b': [1, 2.5]}])", '1. a\n2. {"b":[1,2.5]}'), ("numbered([])", "")],
    "bulleted": [("bulleted(['a', 1])", "- a\n- 1")],
    "sorted": [("sorted([2, 1, 3], reverse=True)", [3, 2, 1]), ("sorted('ba')", ["a", "b"])],
    "reversed": [("reversed([1, 2])", [2, 1])],
    "range": [("range(3)", [0, 1, 2]), ("range(1, 3)", [1, 2]), ("range(3, 0, -2)", [3, 1])],
    "enumerate": [("enumerate(['a', 'b'])", [[0, "a"], [1, "b"]]), ("enumerate(['a'], 1)", [[1, "a"]])],
    "zip": [("zip([1, 2], 'ab', [True])", [[1, "a", True]]), ("zip()", [])],
    "any": [("any([0, ''])", False), ("any([0, 1])", True)],
    "all": [("all([])", True), ("all([1, 0])", False)],
    "unique": [("unique([2, 1, 2.0, [1], [1], {'a': 1}, {'a': 1}])", [2, 1, [1], {"a": 1}])],
    "most_common": [
        ("most_common(['b', 'a', 'a', 'b'])", "b"),
        ("most_common([[1], [2], [2]])", [2]),
        ("most_common([])", None),
    ],
    "argmax": [("argmax([1, 5, 5])", 1)],
    "first": [("first([1, 2])", 1), ("first([], 'none')", "none"), ("first('', None)", None)],
    "last": [("last([1, 2])", 2), ("last('ab')", "b")],
    "take": [("take([1, 2, 3], 2)", [1, 2]), ("take('abc', 9)", "abc"), ("take([1], 0)", [])],
    "append": [("append([1], [2])", [1, [2]])],
    "without": [("without([1, 2, 1.0], 1)", [2])],
    "count": [("count([1, 2, 1], 1)", 2), ("count('aab', 'a')", 2)],
    "index": [("index(['a', 'b'], 'b')", 1)],
    "get": [("get({'a': 1}, 'a')", 1), ("get({}, 'a')", None), ("get({}, 'a', 0)", 0)],
    "put": [("put({'a': 1}, 'b', 2)", {"a": 1, "b": 2}), ("put({'a': 1}, 'a', 2)", {"a": 2})],
    "merge": [("merge({'a': 1, 'b': 1}, {'b': 2})", {"a": 1, "b": 2})],
    "keys": [("keys({'b': 1, 'a': 2})", ["b", "a"])],
    "values": [("values({'b': 1, 'a': 2})", [1, 2])],
    "items": [("items({'b': 1})", [["b", 1]])],
}


def test_every_function_has_cases_and_words() -> None:
    assert set(CASES) == set(STANDARD)
    assert all(function.doc and not function.effect for function in STANDARD.values())


@pytest.mark.parametrize(("source", "expected"), [case for cases in CASES.values() for case in cases])
def test_a_function_returns(source: str, expected: Any) -> None:
    got = value(source)
    assert got == expected
    assert type(got) is type(expected)


@pytest.mark.parametrize(("name", "source"), [(name, source) for name, cases in CASES.items() for source, _ in cases])
def test_the_declared_type_is_the_type_of_the_result(name: str, source: str) -> None:
    made = compile_expression(source, STANDARD)
    kinds = {"text": str, "number": (int, float), "truth": bool, "list": list, "json": dict, "any": object}
    kind, clashes = made.infer({})
    assert kind == STANDARD[name].returns
    assert isinstance(made({}), kinds[kind])
    assert clashes == []


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("min([])", "empty"),
        ("mean([])", "mean() of an empty list"),
        ("argmax([])", "argmax() of an empty list"),
        ("first([])", "first() of an empty list; a second argument says"),
        ("last('')", "last() of an empty text"),
        ("sum(['1'])", "sum() takes a list of numbers, and it holds a text"),
        ("sum(3)", "sum() takes a list, and got a number"),
        ("lower(3)", "lower() takes a text, and got a number"),
        ("join(', ', ['a'])", "join() takes a text, and got a list"),
        ("get([1], 0)", "get() takes a json value, and got a list"),
        ("put({}, 1, 2)", "put() takes a text, and got a number"),
        ("append('a', 'b')", "append() takes a list, and got a text"),
        ("index([1], 2)", "index() found no such item in a list of length 1"),
        ("index('a', 'b')", "index() found no such item in a text of length 1"),
        ("take([1], -1)", "0 or more"),
        ("int('3.5')", "invalid literal"),
        ("float('x')", "could not convert"),
        ("round('2')", "round() takes a number, and got a text"),
        ("range('a')", "text cannot be interpreted"),
        ("range(1, 2, 0)", "must not be zero"),
        ("sorted([1, 'a'])", "not supported between instances of text and number"),
        ("strip('a', 1)", "strip() takes a text, and got a number"),
        ("split('a', '')", "empty separator"),
        ("get({}, [])", "unhashable"),
    ],
)
def test_a_function_refuses(source: str, words: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        value(source)
    assert words in str(caught.value)


def test_arguments_are_never_changed() -> None:
    items: list[Any] = [3, 1, [2, 2], 1]
    numbers, pairs, text = [3, 1, 2], {"a": [1]}, "b a"
    before = copy.deepcopy((items, numbers, pairs, text))
    for source in (
        *("append(xs, 1)", "without(xs, 1)", "unique(xs)", "reversed(xs)", "take(xs, 2)", "most_common(xs)"),
        *("sorted(ns)", "argmax(ns)", "put(d, 'b', 1)", "put(d, 'a', 1)", "merge(d, {'a': 2})", "xs + xs", "xs * 2"),
        *("enumerate(xs)", "zip(xs, ns)", "numbered(xs)", "join(xs)", "split(t)", "[x for x in xs]", "items(d)"),
    ):
        assert value(source, xs=items, ns=numbers, d=pairs, t=text) is not items
    assert (items, numbers, pairs, text) == before


def test_votes_and_means_agree_with_the_standard_library() -> None:
    rng = rng_for("flowcharts", "functions")
    for _ in range(200):
        votes = [rng.choice(["4", "5", "six", "7"]) for _ in range(rng.randint(1, 9))]
        numbers = [rng.randint(-50, 50) for _ in range(rng.randint(1, 9))]
        assert value("most_common(votes)", votes=votes) == Counter(votes).most_common(1)[0][0]
        assert value("unique(votes)", votes=votes) == list(dict.fromkeys(votes))
        assert value("mean(numbers)", numbers=numbers) == pytest.approx(statistics.fmean(numbers))
        assert value("argmax(numbers)", numbers=numbers) == numbers.index(max(numbers))

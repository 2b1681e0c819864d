"""The known corpus: documents are pure functions, splits never meet, and every text is what its labels say."""

import re
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from menon.core.values import Problem
from menon.problems.known.corpus import KnownCorpus
from menon.problems.known.families import FAMILIES_KNOWN
from menon.problems.known.family import FORMATS
from menon.problems.known.mixture import KnownMixture
from menon.problems.known.overlap import check_held_out
from menon.problems.known.queries import known_queries, planted_queries
from menon.problems.known.values import QueryKind
from menon.problems.splits import SPLITS, split_of

INDEX = st.integers(0, 10**9)
SPLIT = st.sampled_from(sorted(SPLITS))
FAMILY = st.sampled_from(list(FAMILIES_KNOWN))
CORPUS = KnownCorpus(
    KnownMixture(kinds={**KnownMixture().kinds, "aligned": 0.06, "unaligned": 0.06}), name="property test"
)
COPIES = KnownCorpus(KnownMixture(kinds={"near-duplicate": 1.0}), name="property test")
KINDS = ("reasoning", "factual", "factual-control", "reasoning-control")
QUERIES = {kind: known_queries(kind, 320 if kind == "reasoning" else 80) for kind in KINDS}
COPIED = {
    query.problem.id: (query.needs, query.problem) for kind in ("reasoning", "factual") for query in QUERIES[kind]
}


def answer_to(problem: Problem) -> str:
    """Answer a question from its words alone, without the families' code."""
    text = problem.question
    lists = re.findall(r"\[([\d,]+)\]", text)
    items = [int(item) for item in lists[0].split(",")] if lists else []
    numbers = [int(number) for number in re.findall(r"\d+", re.sub(r"\[.*?\]", "", text))]
    match problem.family:
        case "two-step":
            first, second, factor = numbers
            less = bool(re.search(r"-|minus|lose", text))
            return str((first - second if less else first + second) * factor)
        case "slope":
            left, low, right, high = numbers
            slope = Fraction(high - low, right - left)
            assert slope.denominator == 1
            return str(slope)
        case "linear":
            factor, shift, total = numbers
            solution = Fraction(total - (-shift if re.search(r"-|minus", text) else shift), factor)
            assert solution.denominator == 1
            return str(solution)
        case "reverse":
            return ",".join(str(items[-place]) for place in range(1, len(items) + 1))
        case "largest":
            return str(sorted(items)[-1])
        case "sort":
            return ",".join(str(digit) for digit in range(10) for _ in range(items.count(digit)))
        case "ends":
            return str(items[0] + items[-1])
        case "count":
            assert not numbers
            return str(1 + lists[0].count(","))
    raise AssertionError(problem.family)


@given(FAMILY, SPLIT, INDEX)
def test_the_answer_follows_from_the_question(name: str, split: str, index: int) -> None:
    problem = FAMILIES_KNOWN[name].problem(split, index)
    assert answer_to(problem) == problem.answer
    assert problem == FAMILIES_KNOWN[name].problem(split, index)


@given(FAMILY, SPLIT, SPLIT, INDEX, INDEX)
def test_splits_share_no_content(name: str, one: str, other: str, i: int, j: int) -> None:
    family = FAMILIES_KNOWN[name]
    first, second = family.problem(one, i).meta["content"], family.problem(other, j).meta["content"]
    assert split_of(*family.key(tuple(first))) == one
    if one != other:
        assert first != second


@given(FAMILY, INDEX, st.integers(0, 30))
def test_a_variant_keeps_the_wording_and_changes_the_numbers(name: str, index: int, number: int) -> None:
    family = FAMILIES_KNOWN[name]
    problem = family.problem("test", index)
    variant = family.variant(problem, number)
    assert (variant.template, variant.difficulty) == (problem.template, problem.difficulty)
    assert variant.meta["content"] != problem.meta["content"]
    assert answer_to(variant) == variant.answer


@given(INDEX)
def test_a_document_depends_on_name_mixture_and_index_only(index: int) -> None:
    again = KnownCorpus(CORPUS.mixture, CORPUS.name)
    list(again.documents(5, 8))
    assert again.document(index) == CORPUS.document(index)
    assert list(again.documents(index, index + 2)) == [CORPUS.document(index), CORPUS.document(index + 1)]


@given(INDEX)
def test_a_document_teaches_what_its_kind_may_teach(index: int) -> None:
    document = CORPUS.document(index)
    kinds = [name.partition(":")[0] for name in document.teaches]
    match document.kind:
        case "procedure":
            assert f"procedure:{document.family}" in document.teaches
            assert set(kinds) == {"procedure"}
        case "answer":
            assert kinds == ["answer"]
            assert document.completion == f"#{document.answer}"
        case "fact":
            assert kinds == ["fact"]
            assert document.answer in document.text
        case "prose":
            assert kinds == []
            assert not re.search(r"\d", document.text)
        case "near-duplicate":
            assert document.copy_of
            assert "procedure" not in kinds
    assert document.text == document.text.strip()
    assert bool(document.copy_of) == (document.kind == "near-duplicate")


@given(INDEX)
def test_near_duplicates_never_teach_what_they_copy(index: int) -> None:
    document = COPIES.document(index)
    if document.copy_of in COPIED:
        needs, problem = COPIED[document.copy_of]
        assert needs not in document.teaches
        assert problem.question not in document.text
        assert problem.id != document.instance
    if document.form == "text":
        name, question = document.family, document.prompt.removesuffix(":")
        asked = Problem(family=name, question=question, answer=document.answer)
        assert answer_to(asked) == document.answer


@settings(max_examples=10)
@given(st.integers(0, 10**6))
def test_no_held_out_question_stands_in_the_corpus(start: int) -> None:
    held_out = [query.problem.question for query in QUERIES["reasoning"]]
    held_out += [query.problem.question for query in planted_queries("procedural", 80)]
    check_held_out(CORPUS.documents(start, start + 100), held_out)


@settings(max_examples=20)
@given(st.sampled_from(KINDS), st.integers(1, 40))
def test_a_longer_list_of_queries_begins_with_the_shorter_one(kind: QueryKind, count: int) -> None:
    assert QUERIES[kind][:count] == known_queries(kind, count)


@pytest.mark.parametrize("name", FAMILIES_KNOWN)
def test_held_out_queries_are_of_the_test_split_in_both_formats(name: str) -> None:
    queries = known_queries("reasoning", 40, families=[name])
    family = FAMILIES_KNOWN[name]
    assert {split_of(*family.key(tuple(query.problem.meta["content"]))) for query in queries} == {"test"}
    assert [query.problem.meta["format"] for query in queries[:4]] == list(FORMATS) * 2
    assert {query.needs for query in queries} == {f"procedure:{name}"}

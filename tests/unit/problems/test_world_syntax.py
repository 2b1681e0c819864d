"""Sentences in six orders: written by one program, parsed by another."""

import pytest

from menon.core.errors import ConfigError
from menon.core.values import Problem
from menon.problems.worlds.grammar import ORDERS, Clause, Phrase, readings, sentence
from menon.problems.worlds.syntax import SYNTAX

FARMER = Phrase(
    noun="farmer", plural=False, place="near the rivers",
    clause=Clause(verb="sees", object=Phrase(noun="baker", plural=True)),
)  # fmt: skip
CLAUSE = Clause(verb="helps", subject=FARMER, object=Phrase(noun="judge", plural=True))


@pytest.mark.parametrize(
    ("order", "text"),
    [
        ("SVO", "the farmer near the rivers that sees the bakers helps the judges"),
        ("SOV", "the farmer near the rivers that the bakers sees the judges helps"),
        ("VSO", "helps the farmer near the rivers that sees the bakers the judges"),
        ("VOS", "helps the judges the farmer near the rivers that sees the bakers"),
        ("OVS", "the judges helps the farmer near the rivers that the bakers sees"),
        ("OSV", "the judges the farmer near the rivers that the bakers sees helps"),
    ],
)
def test_one_sentence_in_six_orders(order: str, text: str):
    assert sentence(CLAUSE, order) == text
    assert readings(text, order) == {("farmer", "helps")}


def test_the_parser_refuses_other_orders_and_wrong_agreement():
    assert readings("the farmer helps the judges", "SVO") == {("farmer", "helps")}
    assert readings("the farmer help the judges", "SVO") == set()
    assert readings("the farmer helps the judges", "SOV") == set()
    assert readings("the judges helps the farmer", "OVS") == {("farmer", "helps")}


def test_a_reader_of_the_usual_order_fails_where_the_object_comes_first():
    wrong = 0
    for index in range(60):
        text = SYNTAX.problem("test", index, world="OVS").question.split('Sentence: "')[1].split('."')[0].lower()
        right = readings(text, "OVS")
        assert len(right) == 1
        wrong += readings(text, "SVO") != right
    assert wrong == 60


@pytest.mark.parametrize("world", ["default", *SYNTAX.worlds])
def test_the_answer_is_the_only_reading(world: str):
    for index in range(40):
        problem = SYNTAX.problem("test", index, world=world)
        assert SYNTAX.solve(problem) == problem.answer
        subject, verb = problem.answer.removeprefix("subject: ").split("; verb: ")
        text = problem.question.split('Sentence: "')[1].lower()
        assert text.count(subject) >= 1
        assert f" {verb}" in f" {text}"
        assert 0 < problem.meta["chance"] < 0.6


def test_numbers_of_subject_and_object_are_equal_in_about_half_of_the_sentences():
    same = [SYNTAX.problem("test", index).meta["same_number"] for index in range(200)]
    assert 70 < sum(same) < 130


def test_checks_ask_for_subject_and_object_in_turn():
    for order in ORDERS:
        world = "default" if order == "SVO" else order
        for index in range(10):
            check = SYNTAX.control("test", index, world=world)
            words = check.question.split('Sentence: "')[1].split('."')[0].lower().split()
            asked = "S" if "is the subject" in check.question else "O"
            assert ("S" if index % 2 == 0 else "O") == asked
            assert check.answer == words[order.index(asked)] == SYNTAX.solve(check)


@pytest.mark.parametrize(
    "call",
    [
        lambda: SYNTAX.problem("test", 0, world="SSV"),
        lambda: SYNTAX.problem("test", 0, difficulty=5),
        lambda: SYNTAX.solve(Problem(family="x", question='Sentence: "the farmer helps".', answer="")),
    ],
)
def test_what_is_not_there_is_refused(call):
    with pytest.raises(ConfigError):
        call()

"""Deductions: the model checker against resolution, and premises that turn against common sense."""

import re

import pytest

from menon.core.errors import ConfigError
from menon.core.values import Problem
from menon.problems.worlds.entailment import FALSE, TRUE, UNCERTAIN, Fact, Literal, Rule, by_models, by_resolution
from menon.problems.worlds.kinds import KINGDOMS, read, said
from menon.problems.worlds.logic import LABELS, LOGIC

EVERYDAY = [
    "All sparrows are birds.",
    "All birds are animals.",
    "All animals eat.",
    "No animal has roots.",
    "Tibo is a sparrow.",
]


@pytest.mark.parametrize(
    ("premises", "conclusion", "answer"),
    [
        (EVERYDAY, "Tibo eats.", TRUE),
        (EVERYDAY, "Tibo has roots.", FALSE),
        (EVERYDAY, "Tibo does not have roots.", TRUE),
        (EVERYDAY, "Tibo is an oak.", UNCERTAIN),
        (["All oaks are birds.", "No bird eats.", "Tibo is an oak."], "Tibo eats.", FALSE),
        (["All birds are animals.", "Tibo is an animal."], "Tibo is a bird.", UNCERTAIN),
        (["All birds are animals.", "Tibo is not an animal."], "Tibo is a bird.", FALSE),
        (["All oaks eat.", "Tibo is an oak or a tram.", "Tibo is not a tram."], "Tibo eats.", TRUE),
        (["All oaks eat.", "All trams eat.", "Tibo is an oak or a tram."], "Tibo eats.", TRUE),
        (["All oaks eat.", "Tibo is an oak or a tram."], "Tibo eats.", UNCERTAIN),
    ],
)
def test_both_ways_find_what_follows(premises: list[str], conclusion: str, answer: str):
    known, goal = [read(sentence) for sentence in premises], read(conclusion)
    assert isinstance(goal, Fact)
    assert by_models(known, goal) == by_resolution(known, goal) == answer


def test_contradictory_premises_are_refused():
    premises = [read("All oaks eat."), read("No oak eats."), read("Tibo is an oak.")]
    with pytest.raises(ConfigError, match="contradict"):
        by_models(premises, Fact(who="Tibo", options=(Literal(name="tree"),)))


@pytest.mark.parametrize(
    "sentence",
    [
        "All lorries are vehicles.",
        "No daisy is an otter.",
        "No text has metal parts.",
        "Wexa does not consist of words.",
        "Wexa is an elm or a bus.",
        "Wexa is not an owl.",
        "All animals eat.",
    ],
)
def test_sentences_are_written_as_they_are_read(sentence: str):
    assert said(read(sentence)) == sentence


def test_other_sentences_are_refused():
    with pytest.raises(ConfigError, match="cannot read"):
        read("Perhaps it rains.")


def _by_common_sense(rule: Rule) -> bool:
    """Tell whether everybody would agree to a general statement of these lineages."""
    above: dict[str, set[str]] = {}
    for kingdom, ((habit, _), classes) in KINGDOMS.items():
        above[kingdom] = {habit}
        for group, species in classes.items():
            above[group] = {kingdom, habit}
            for one in species:
                above[one] = {group, kingdom, habit}
    if rule.then.holds:
        return rule.then.name in above[rule.kind]
    return rule.then.name not in above[rule.kind] and rule.kind not in above.get(rule.then.name, set())


def _rules(problem: Problem) -> list[Rule]:
    sentences = re.findall(r"^\d+\. (.+)$", problem.question, re.MULTILINE)
    return [statement for statement in map(read, sentences) if isinstance(statement, Rule)]


def test_premises_agree_with_common_sense_in_one_world_only():
    for index in range(80):
        usual, changed = LOGIC.problem("test", index), LOGIC.problem("test", index, world="countersense")
        assert all(_by_common_sense(rule) for rule in _rules(usual))
        assert not any(_by_common_sense(rule) for rule in _rules(changed))
        assert usual.answer == changed.answer
        assert usual.meta["item"] == changed.meta["item"]


def test_the_three_answers_come_up_alike_and_agree_with_resolution():
    problems = [
        LOGIC.problem("test", index, world=world) for index in range(90) for world in ("default", "countersense")
    ]
    assert all(LOGIC.solve(problem) == problem.answer for problem in problems)
    assert all(sum(problem.answer == label for problem in problems) >= 40 for label in LABELS)


def test_a_fourth_step_is_a_choice_between_two_kinds():
    for index in range(20):
        assert " or a" in LOGIC.problem("train", index, difficulty=4).question


@pytest.mark.parametrize("world", ["default", "countersense"])
def test_checks_ask_what_is_written_there(world: str):
    checks = [LOGIC.control("test", index, world=world) for index in range(20)]
    assert [check.answer for check in checks] == ["yes", "no"] * 10
    assert all(LOGIC.solve(check) == check.answer for check in checks)
    for check in checks[1::2]:  # what is not stated is what the other world would say
        rule = read(check.question.split('say this: "')[1].split('"')[0])
        assert isinstance(rule, Rule)
        assert _by_common_sense(rule) is (world != "default")


@pytest.mark.parametrize(
    "call",
    [
        lambda: LOGIC.problem("test", 0, world="nonsense"),
        lambda: LOGIC.problem("test", 0, difficulty=5),
        lambda: LOGIC.solve(Problem(family="x", question="1. All oaks eat.\nWell?", answer="True")),
    ],
)
def test_what_is_not_there_is_refused(call):
    with pytest.raises(ConfigError):
        call()

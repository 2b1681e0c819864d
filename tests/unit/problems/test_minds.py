"""Stories about beliefs: the simulator on hand-made events, every alteration against a table written by hand."""

from typing import Any

import pytest

from menon.core.errors import ConfigError, DataError
from menon.core.values import Completion, Verdict
from menon.grading.verdicts import grade
from menon.problems.minds import CONTROLS, MIND_TASKS, UNEXPECTED_CONTENTS, UNEXPECTED_TRANSFER
from menon.problems.minds_belief import Assume, Enter, Leave, Look, Put, Read, Show, Tell, simulate
from menon.problems.minds_stories import BASE

# Whether whoever is asked about believes what is true: decided by reading the stories, not by the simulator.
BELIEVES_THE_TRUTH = {
    "unexpected-contents": {
        "base": False,
        "transparent": True,
        "looked inside": True,
        "cannot read": True,
        "told": True,
        "own label": True,
        "late label": True,
        "filler": True,
        "wrapped": False,
        "another told": False,
    },
    "unexpected-transfer": {
        "base": False,
        "transparent": True,
        "watched": True,
        "on top": True,
        "phone call": True,
        "asked for": True,
        "mover": True,
        "small talk": False,
        "another told": False,
        "put back": True,
    },
}


def belief(*events, agent: str = "ann") -> str:
    return simulate(events).believes(agent, "t")


def test_evidence_is_weighed():
    fill = Put(agent="ben", topic="t", value="rice")
    label = Read(agent="ann", topic="t", value="flour")
    assert belief(fill, label) == "flour"
    assert belief(fill, label, agent="ben") == "rice"
    assert belief(fill, Tell(hearer="ann", topic="t", value="rice"), label) == "rice"
    assert belief(fill, label, Tell(hearer="ann", topic="t", value="rice")) == "rice"
    assert belief(fill, label, Look(agent="ann", topic="t")) == "rice"
    assert belief(fill, Assume(agent="ann", topic="t", value="oats"), label) == "flour"
    assert belief(fill, label, Assume(agent="ann", topic="t", value="oats")) == "flour"
    blind = Read(agent="ann", topic="t", value="flour", can_read=False)
    assert belief(fill, Assume(agent="ann", topic="t", value="oats"), blind) == "oats"
    with pytest.raises(DataError, match="no belief"):
        belief(fill, blind)


def test_only_those_who_are_there_or_watch_see_a_change():
    start = (Enter(agent="ann"), Enter(agent="ben"), Put(agent="ann", topic="t", value="box"), Leave(agent="ann"))
    move = Put(agent="ben", topic="t", value="bag")
    assert belief(*start, move) == "box"
    assert belief(*start, move, Enter(agent="ann")) == "box"
    assert belief(*start, move, Show(topic="t"), Enter(agent="ann")) == "bag"
    assert belief(*start, Put(agent="ben", topic="t", value="bag", watching=("ann",))) == "bag"
    assert belief(*start, Tell(hearer="ann", topic="t", value="bag"), move) == "bag"
    assert belief(*start, Tell(hearer="cem", topic="t", value="bag"), move) == "box"
    minds = simulate([*start, move])
    assert (minds.world["t"], minds.first["t"]) == ("bag", "box")


@pytest.mark.parametrize("task", MIND_TASKS, ids=lambda task: task.name)
def test_every_alteration_has_the_answer_of_the_table(task):
    assert set(BELIEVES_THE_TRUTH[task.name]) == {BASE, *task.worlds}
    for version, truthful in BELIEVES_THE_TRUTH[task.name].items():
        for index in range(30):
            real = task.control("test", index, world=version, kind="reality")
            start = task.control("test", index, world=version, kind="memory")
            for probe in task.probes:
                problem = task.problem("test", index, world=version, probe=probe)
                assert problem.answer == (real.answer if truthful else start.answer), problem.question
                turned = problem.answer != problem.meta["as_if_unaltered"]
                assert turned == task.scenario.alteration(version).flips == problem.meta["flips"]


@pytest.mark.parametrize("task", MIND_TASKS, ids=lambda task: task.name)
def test_versions_share_their_story_and_differ_in_the_text(task):
    for index in range(10):
        base = task.problem("test", index)
        for version in task.worlds:
            problem = task.problem("test", index, world=version)
            assert problem.choices == base.choices
            assert problem.meta["item"] == base.meta["item"]
            assert problem.question != base.question
            assert problem.meta["as_if_unaltered"] == base.answer


@pytest.mark.parametrize("task", MIND_TASKS, ids=lambda task: task.name)
def test_stories_are_clean_text_and_graded(task):
    for version in (BASE, *task.worlds):
        for index in range(10):
            problems = [task.problem("test", index, world=version, probe=probe) for probe in task.probes]
            problems += [task.control("test", index, world=version, kind=kind) for kind in CONTROLS]
            for problem in problems:
                other = next(word for word in problem.choices if word != problem.answer)
                assert "  " not in problem.question
                assert "{" not in problem.question
                assert problem.question.endswith(f"Answer with one word: {' or '.join(problem.choices)}.")
                assert grade(problem, Completion(key="k", text=f"#### {problem.answer}")).verdict is Verdict.RIGHT
                assert grade(problem, Completion(key="k", text=f"#### {other}")).verdict is Verdict.WRONG
            for problem in problems[: len(task.probes)]:
                continued = problem.meta["continued"]
                assert continued == continued.strip()
                assert "  " not in continued
                assert not continued.endswith(".")


def test_the_right_word_is_named_first_about_half_the_time():
    first = [
        problem.choices[0] == problem.answer
        for index in range(200)
        for problem in [UNEXPECTED_CONTENTS.problem("test", index)]
    ]
    assert 70 <= sum(first) <= 130


def test_bad_requests_say_what_is_allowed():
    refused: list[dict[str, Any]] = [{"world": "glass"}, {"probe": "hope"}, {"difficulty": 2}]
    for options in refused:
        with pytest.raises(ConfigError, match="allowed"):
            UNEXPECTED_TRANSFER.problem("test", 0, **options)
    with pytest.raises(ConfigError, match="allowed"):
        UNEXPECTED_TRANSFER.control("test", 0, kind="smell")

"""The strategies that search over steps, in the game of 24, where one path leads to the answer.

The world is `twenty_four`: exact in what is within reach, with a model whose first idea always loses, and verifiers of
known quality. Beside the searches stands a greedy path that follows the same verifier and never turns back.
"""

import re
from typing import Any

import pytest
from strategy_runs import DRIVEL, Run, run
from twenty_four import Sees, greedy, ideas, moves, puzzles, question, replies, state_of, within_reach

from menon.flowcharts.check import check
from menon.solving.library import library

NAMES = ("tree_of_thoughts", "tree_of_thoughts_depth", "mcts", "a_star")
PROPOSE, JUDGE, FINISH = "Write only the next step", "sure, likely or impossible", "Finish the solution"
WORKED = "Think step by step"
PUZZLES = puzzles(99)
FIRST = PUZZLES[0]


def search(name: str, numbers: tuple[int, ...] = FIRST, said: dict[str, Any] | None = None, **inputs: Any) -> Run:
    inputs.setdefault("verifier", Sees(auc=0.999))
    return run(name, said or replies(), asked=(question(numbers),), **inputs)


def calls(found: Run) -> int:
    return found.outcome.usage.calls


@pytest.mark.parametrize("name", NAMES)
def test_the_charts_are_sound(name: str):
    chart = library().load(name)
    assert check(chart) == []
    assert "arXiv:" in chart.source
    assert chart.cost


def test_the_world_has_one_way_and_the_first_idea_is_not_on_it():
    assert len(PUZZLES) > 15
    for numbers in PUZZLES:
        state = numbers
        while len(state) > 1:
            after = dict(moves(state))
            found = ideas(state)
            winning = [idea for idea in found if within_reach(after[idea])]
            assert winning == [found[-1]]
            assert len(found) > 1
            state = after[winning[0]]
        assert state == (24,)


@pytest.mark.parametrize("name", NAMES)
def test_a_search_finds_the_way_that_the_first_idea_misses(name: str):
    for numbers in PUZZLES[:4]:
        found = search(name, numbers)
        assert (found.answer, found.outcome.status, "alone" in found.path) == ("24", "answered", False)
        first, path = numbers, ""
        while len(first) > 1:
            path += ideas(first)[0] + "\n"
            first = state_of(f"{question(numbers)}\n{path}")
        assert first != (24,)


@pytest.mark.parametrize("name", ["mcts", "a_star"])
def test_a_search_beats_the_greedy_path_of_the_same_verifier(name: str):
    """The verifier errs often enough that greed goes astray; over all puzzles, searches turn back from its errors."""
    verifier = Sees(auc=0.95, name="seen")
    by_greed = sum(greedy(numbers, verifier) == 24 for numbers in PUZZLES)
    by_search = sum(search(name, numbers, verifier=verifier).answer == "24" for numbers in PUZZLES)
    assert 0 < by_greed <= by_search - 2


@pytest.mark.parametrize("name", NAMES)
def test_steps_so_far_are_shown(name: str):
    """Below the root every proposal sees a path of legal moves, and the root sees none."""
    shown = search(name).model.with_(PROPOSE)
    assert "(none)" in shown[0]
    assert question(FIRST) in shown[0]
    for prompt in shown[1:]:
        steps = re.search(r"Steps so far:\n(.*?)\nNext step:", prompt, re.DOTALL)
        assert steps is not None
        state = FIRST
        for line in steps[1].strip().splitlines():
            if line != "(none)":
                state = dict(moves(state))[line]


def test_breadth_first_costs_what_it_says():
    found = search("tree_of_thoughts")
    # One path, then its 3 candidates, then as many as are kept: 1 + 3, 3 + 9, 5 + 15 calls and the answer, less those
    # candidates that two paths share or that have fewer ideas.
    per_level = [len(found.model.with_(part)) for part in (PROPOSE, JUDGE, FINISH)]
    assert calls(found) == sum(per_level) <= 37
    assert per_level[0] == 1 + 3 + 5
    assert per_level[2] == 1
    assert found.path.count("propose") == 3


def test_breadth_first_keeps_the_width():
    found = search("tree_of_thoughts", width=1)
    assert len(found.model.with_(PROPOSE)) == 3
    assert found.answer == "24"  # the judge is never wrong
    blind = search("tree_of_thoughts", said=replies(judges=False), width=1)
    assert blind.answer != "24"  # all values equal, so the first idea stays


def test_breadth_first_ends_early_when_all_paths_have_answers():
    found = search("tree_of_thoughts", said={PROPOSE: "#### 24", JUDGE: "sure"})
    assert (found.answer, calls(found)) == ("24", 2)
    assert "conclude" not in found.path


def test_depth_first_follows_the_best_and_turns_back():
    found = search("tree_of_thoughts_depth")
    # Three moves, a step with the answer, and the visit that finds it there: 1 call and 1 per idea each.
    assert found.path.count("top") == 5
    assert calls(found) == 4 + 3 * 3 + 1

    trap = {PROPOSE: ["b", "a", "c", "d", "e", "f", "#### 9"], JUDGE: _graded({"a": "sure", "b": "likely", "c": ""})}
    turned = run("tree_of_thoughts_depth", trap)
    assert turned.answer == "9"
    seen = [
        re.findall(r"Steps so far:\n(.*)\nNext", prompt, re.DOTALL)[0].split() for prompt in turned.model.with_(PROPOSE)
    ]
    assert seen == [["(none)"], ["a"], ["b"]]  # d, e, f under a are impossible: pruned, and b is next


def _graded(grades: dict[str, str]) -> Any:
    """Judge a path by its last step, and as impossible where the step is not known; answers are sure."""

    def judge(prompt: str) -> str:
        steps = prompt.split("Steps so far:\n")[1].split("\nAre these")[0].split("\n")
        last = [step for step in steps if step][-1]
        return "sure" if "####" in last else grades.get(last) or "impossible"

    return judge


def test_depth_first_is_bounded_by_visits_and_depth():
    endless = {PROPOSE: lambda prompt: f"step {len(prompt)}", JUDGE: "sure", FINISH: "so\n#### 5"}
    found = run("tree_of_thoughts_depth", endless, depth=100)
    assert found.path.count("top") == 12
    assert (found.answer, found.path[-3:]) == ("5", ["conclude", "said", "done"])
    shallow = run("tree_of_thoughts_depth", endless, depth=2)
    assert shallow.path.count("top") == 3
    assert shallow.answer == "5"


def test_monte_carlo_costs_what_it_says():
    found = search("mcts")
    assert found.path.count("select") == 16
    again = found.path.count("ended") - found.path.count("propose")  # looks at paths that have ended
    assert again > 0
    assert calls(found) == 16 - again
    assert search("mcts", iterations=3).path.count("select") == 3


def test_monte_carlo_trusts_the_verifier_about_finished_paths():
    """Of two answers the one that the verifier likes is given, though the other is proposed twice as often."""
    two = {PROPOSE: ["#### 5", "#### 5", "#### 24"]}
    found = search("mcts", said=two)
    assert found.answer == "24"
    assert calls(found) == 1


def test_best_first_costs_what_it_says_and_stops_at_the_first_finished_path():
    found = search("a_star")
    assert calls(found) == found.path.count("propose") == 4  # three moves and the step with the answer
    assert found.path.count("pop") == 5


def test_best_first_with_the_model_as_judge():
    found = search("a_star", judge="model", verifier=Sees(auc=0.5))
    assert found.answer == "24"
    assert len(found.model.with_(JUDGE)) == 3 * 3 + 1
    assert calls(found) == 4 + 10


@pytest.mark.parametrize("name", ["mcts", "a_star"])
def test_searches_end_within_their_budget(name: str):
    endless = {PROPOSE: lambda prompt: f"step {len(prompt)}", FINISH: "so\n#### 5"}
    found = run(name, endless)
    assert len(found.model.with_(PROPOSE)) == 16
    assert calls(found) == 17
    assert (found.answer, found.path[-3:]) == ("5", ["conclude", "said", "done"])


@pytest.mark.parametrize("name", NAMES)
def test_a_model_that_follows_no_instruction_is_asked_the_question_itself(name: str):
    for said in (
        {WORKED: "I add.\n#### 6"},
        {WORKED: "#### 6", PROPOSE: ""},
        {WORKED: "#### 6", FINISH: "", JUDGE: ""},
    ):
        found = run(name, said)
        assert (found.answer, found.path[-2:]) == ("6", ["alone", "done"])
    assert DRIVEL not in found.model.prompts[-1]


@pytest.mark.parametrize("name", NAMES)
def test_choices_are_shown(name: str):
    found = run(name, {}, choices=["three pens", "six pens"])
    assert "\n(A) three pens\n(B) six pens\n" in found.model.prompts[0]

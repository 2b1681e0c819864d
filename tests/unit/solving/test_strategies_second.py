"""The strategies that act and plan: tools, plans of calls, graphs of parts, research in documents.

A scripted model answers by what stands in the prompt. Each strategy is looked at on its normal path, on its fallbacks,
at its bounds, and in what its prompts hold; what it costs normally is what its cost line says.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from strategy_runs import DRIVEL, QUESTION, Reply, Run, run

from menon.flowcharts.check import check
from menon.solving.library import library
from menon.solving.retrieval import Documents

NAMES = ("react", "graph_of_thoughts", "compiler", "deep_research")
WORKED = "Think step by step"
ALONE: dict[str, Reply] = {WORKED: "3+6=9\n#### 9"}


def calls(found: Run) -> int:
    return found.outcome.usage.calls


def in_turn(*texts: str) -> Callable[[str], str]:
    """Reply with one text after the other, and with the last one from then on."""
    left = list(texts)
    return lambda prompt: left.pop(0) if len(left) > 1 else left[0]


@pytest.mark.parametrize("name", NAMES)
def test_the_charts_are_sound(name: str):
    chart = library().load(name)
    assert check(chart) == []
    assert "arXiv:" in chart.source
    assert chart.cost


@pytest.mark.parametrize("name", NAMES)
def test_a_model_that_follows_no_instruction_is_asked_the_question_itself(name: str):
    found = run(name, ALONE)
    assert (found.answer, found.outcome.status, found.path[-2:]) == ("9", "answered", ["alone", "done"])
    assert DRIVEL not in found.model.prompts[-1]


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_reply_leads_to_the_question_itself(name: str):
    found = run(name, {**ALONE, "": ""})
    assert (found.answer, found.path[-2:]) == ("9", ["alone", "done"])
    assert calls(found) == 2


@pytest.mark.parametrize("name", NAMES)
def test_choices_are_shown(name: str):
    found = run(name, ALONE, choices=["three pens", "nine pens"])
    assert f"{QUESTION}\n(A) three pens\n(B) nine pens" in found.model.prompts[0]


ACT = "one thought and one action"


def test_acting_reads_what_its_tools_observe():
    turns = in_turn(
        "Thought: twice three\nAction: calculate[2 * 3]",
        "Thought: add them\nAction: calculate[3 + 6]\nObservation: 100",
        "Thought: done\nAction: Finish[9 pens]",
    )
    found = run("react", {ACT: turns})
    assert (found.answer, found.path[-2:]) == ("9", ["take", "done"])
    assert calls(found) == 3
    first, second, third = found.model.prompts
    assert "calculate[expression]" in first
    assert "search[" not in first
    assert second.endswith("Thought: twice three\nAction: calculate[2 * 3]\nObservation: 6\n")
    assert third.endswith("Thought: add them\nAction: calculate[3 + 6]\nObservation: 9\n")
    assert "100" not in third  # an observation that the model made up


def test_acting_tells_the_errors_of_tools():
    turns = in_turn("Action: calculate[1 / 0]", "Action: Finish[9]")
    found = run("react", {ACT: turns})
    assert "Observation: error:" in found.model.prompts[1]
    assert found.answer == "9"


def test_acting_is_reminded_once_of_the_form():
    mended = run("react", {ACT: in_turn("The answer may be nine.", "Action: fly[home]", "Action: Finish[8]"), **ALONE})
    assert mended.path[-3:] == ["twice", "alone", "done"]  # twice in a row; an unknown tool is no action either
    turns = in_turn("Nine, I think.", "Action: calculate[3 + 6]", "Hm.", "Action: Finish[9]")
    found = run("react", {ACT: turns})
    assert (found.answer, found.path.count("remind"), "alone" in found.path) == ("9", 2, False)
    assert "Observation: no action was read" in found.model.prompts[1]


def test_acting_ends_after_eight_turns():
    found = run("react", {ACT: "Action: calculate[3 + 6]", "No more actions": "It is nine.\n#### 9"})
    assert (found.answer, found.path[-3:]) == ("9", ["conclude", "said", "done"])
    assert len(found.model.with_(ACT)) == 8
    assert calls(found) == 9
    assert found.model.prompts[-1].count("Observation: 9") == 8
    lost = run("react", {ACT: "Action: calculate[3 + 6]", **ALONE})
    assert (lost.answer, lost.path[-3:]) == ("9", ["said", "alone", "done"])


SPLIT, PART, MERGE, SCORE, REFINE = (
    "Split this problem",
    "one part of a larger",
    "Put them together",
    "Score: n/10",
    "better solution",
)
GRAPH: dict[str, Reply] = {
    SPLIT: "1. How many does she buy?\n2. How many has she before?",
    "Part: How many does she buy": "She buys 6.",
    "Part: How many has she before": "She has 3.",
    MERGE: "First draft.\n#### 8",
}


def test_parts_are_solved_merged_scored_and_improved():
    found = run(
        "graph_of_thoughts",
        {**GRAPH, SCORE: in_turn("It is off by one. Score: 4/10", "Score: 10/10"), REFINE: "Second draft.\n#### 9"},
    )
    assert (found.answer, found.path[-2:]) == ("9", ["known", "done"])
    assert calls(found) == 3 + 2 + 2  # one round of improving was enough
    merge, refine = found.model.with_(MERGE)[0], found.model.with_(REFINE)[0]
    assert "She buys 6." in merge
    assert "She has 3." in merge
    assert "How many does she buy?" in merge
    assert "First draft." in refine
    assert "off by one" in refine
    assert "Second draft." in found.model.with_(SCORE)[1]


def test_a_worse_solution_is_not_kept():
    scores = in_turn("Score: 6/10", "Score: 5/10")
    found = run("graph_of_thoughts", {**GRAPH, SCORE: scores, REFINE: "Worse.\n#### 7"})
    assert (found.answer, calls(found)) == ("8", 7)
    assert found.path.count("keep") == 1


def test_improving_is_bounded():
    scores = in_turn("Score: 1/10", "Score: 2/10", "Score: 3/10", "Score: 4/10", "Score: 5/10")
    drafts = in_turn("b\n#### 1", "c\n#### 2", "d\n#### 3", "e\n#### 4")
    found = run("graph_of_thoughts", {**GRAPH, SCORE: scores, REFINE: drafts})
    assert (found.answer, calls(found), found.path.count("refine")) == ("2", 3 + 2 + 2 * 2, 2)


def test_a_score_that_cannot_be_read_leaves_the_merged_solution():
    found = run("graph_of_thoughts", {**GRAPH, REFINE: "Worse.\n#### 7"})
    assert found.answer == "8"


def test_parts_beyond_the_most_are_left_out():
    many = {SPLIT: "\n".join(f"{n}. part {n}" for n in range(1, 10)), MERGE: "#### 9", SCORE: "Score: 10/10"}
    found = run("graph_of_thoughts", {PART: "done", **many}, most=4)
    assert len(found.model.with_(PART)) == 4
    assert calls(found) == 3 + 4


PLAN, JOIN = "Plan the tool calls", "finish if they are"
ANSWER = "Answer the question with these results"


def test_a_plan_runs_in_waves_and_fills_in_results():
    found = run(
        "compiler",
        {PLAN: "1. calculate(2 * 3)\n2. calculate(1 + 2)\n3. calculate($1 + $2)", JOIN: "finish", ANSWER: "#### 9"},
    )
    assert (found.answer, found.path[-3:]) == ("9", ["conclude", "said", "done"])
    assert calls(found) == 3
    assert found.path.count("work") == 2  # 1 and 2 at once, then 3
    assert "calculate[expression]" in found.model.prompts[0]
    for prompt in found.model.prompts[1:]:
        assert "calculate(2 * 3) = 6\ncalculate(1 + 2) = 3\ncalculate(6 + 3) = 9" in prompt


def test_a_new_plan_knows_what_the_old_one_found():
    plans = in_turn("1. calculate(2 * 3)", "1. calculate(6 + 3)")
    found = run("compiler", {PLAN: plans, JOIN: in_turn("replan", "finish"), ANSWER: "#### 9"})
    assert (found.answer, calls(found)) == ("9", 3 + 2)
    assert "calculate(2 * 3) = 6" in found.model.with_(PLAN)[1]
    assert "calculate(2 * 3) = 6\ncalculate(6 + 3) = 9" in found.model.with_(ANSWER)[0]


def test_planning_again_is_bounded():
    found = run("compiler", {PLAN: "1. calculate(2 * 3)", JOIN: "replan", ANSWER: "#### 9"})
    assert (found.answer, found.path.count("plan")) == ("9", 3)
    assert calls(found) == 3 + 2 * 2
    fewer = run("compiler", {PLAN: "1. calculate(2 * 3)", JOIN: "replan", ANSWER: "#### 9"}, replans=0)
    assert calls(fewer) == 3


def test_a_plan_that_cannot_be_run_is_told_what_is_wrong():
    plans = in_turn("1. calculate($2)\n2. calculate($1)", "1. fly(home)", "1. calculate(3 + 6)")
    found = run("compiler", {PLAN: plans, JOIN: "finish", ANSWER: "#### 9"})
    assert found.answer == "9"
    assert "wait for each other" in found.model.with_(PLAN)[1]
    assert "'fly'" in found.model.with_(PLAN)[2]
    assert "wait for each other" not in found.model.with_(PLAN)[2]


def test_a_joiner_that_does_not_choose_goes_on_to_the_answer():
    found = run("compiler", {PLAN: "1. calculate(3 + 6)", JOIN: "Maybe.", ANSWER: "#### 9"})
    assert (found.answer, found.path[-4:]) == ("9", ["join", "conclude", "said", "done"])


OUTLINE, NOTE, SUCCESS, AGAIN, WRITE = (
    "Plan how to answer",
    "Note in one or two sentences",
    "Does the note answer",
    "Plan the rest anew",
    "Answer the question from the notes",
)
ASKED = "In which year was the lighthouse on the island of Gull lit by its second keeper?"


@pytest.fixture
def documents(tmp_path: Path) -> Documents:
    texts = {
        "keepers": "The keepers of Gull island were Orla Finn, who came first, and Tom Reed, who followed her.",
        "logbook": "Logbook. Reed climbed the tower and lit the lamp in 1884, in a storm.",
        "harbour": "The harbour of Port Mear was dredged in 1790.",
        "birds": "Puffins nest on the northern cliffs in spring.",
        "trade": "Salt and rope were traded along the coast.",
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.txt").write_text(text, encoding="utf-8")
    return Documents.from_folder(tmp_path)


def reads_paragraphs(prompt: str) -> str:
    """Note what the paragraphs of the prompt hold, with the mark of the paragraph, as a careful reader does."""
    below = prompt.split("Paragraphs found:\n")[1]
    for line in below.splitlines():
        if "followed her" in line and "keeper?" in prompt.split("Step: ")[1].split("\n")[0]:
            return f"The second keeper was Tom Reed {line[: line.index(']') + 1]}."
        if "lit the lamp" in line:
            return f"Reed lit the lamp in 1884 {line[: line.index(']') + 1]}."
    return "The paragraphs do not say."


def judges_notes(prompt: str) -> str:
    return "no" if "do not say" in prompt else "yes"


def writes_report(prompt: str) -> str:
    return "Tom Reed lit it in 1884 [logbook.txt].\n#### 1884" if "1884 [logbook.txt" in prompt else "I do not know."


RESEARCH: dict[str, Reply] = {
    OUTLINE: "1. Who was the second keeper?\n2. Illumination of Port Mear began when?",
    AGAIN: "1. When was the lamp lit in the tower?",
    NOTE: reads_paragraphs,
    SUCCESS: judges_notes,
    WRITE: writes_report,
}


def test_research_plans_again_after_a_step_that_fails(documents: Documents):
    found = run("deep_research", RESEARCH, asked=(ASKED,), documents=documents)
    assert (found.answer, found.outcome.status) == ("1884", "answered")
    assert [node for node in found.path if node in ("tick", "cross", "change")] == ["tick", "cross", "change", "tick"]
    assert calls(found) == 2 + 2 * 3 + 1
    again, note, written = (found.model.with_(part)[-1] for part in (AGAIN, NOTE, WRITE))
    assert "The second keeper was Tom Reed [keepers.txt" in again
    assert "Illumination of Port Mear began when?: failed, The paragraphs do not say." in again
    assert "The second keeper was Tom Reed" in note  # what is known goes on to the next step
    assert "Reed lit the lamp in 1884 [logbook.txt" in written
    assert "[logbook.txt]" in found.outcome.values["report"]


def test_research_without_failures_costs_two_per_step(documents: Documents):
    plan = {OUTLINE: "1. Who was the second keeper?\n2. When was the lamp lit in the tower?"}
    found = run("deep_research", RESEARCH | plan, asked=(ASKED,), documents=documents)
    assert (found.answer, calls(found)) == ("1884", 2 + 2 * 2)


def test_planning_anew_is_bounded(documents: Documents):
    found = run("deep_research", RESEARCH | {NOTE: "They do not say.", **ALONE}, asked=(ASKED,), documents=documents)
    assert found.path.count("replan") == 2
    assert len(found.model.with_(NOTE)) == 3
    assert found.path[-4:] == ["write", "said", "alone", "done"]
    assert found.answer == "9"
    never = run("deep_research", RESEARCH | ALONE, asked=(ASKED,), documents=documents, replans=0)
    assert never.path.count("cross") == 1
    assert "replan" not in never.path


def test_research_works_without_documents():
    said = RESEARCH | {NOTE: "Reed lit it in 1884.", WRITE: "In 1884.\n#### 1884"}
    found = run("deep_research", said, asked=(ASKED,))
    assert (found.answer, found.path.count("without"), calls(found)) == ("1884", 2, 2 + 2 * 2)
    assert "there are no documents; use what you know" in found.model.with_(NOTE)[0]


def test_long_plans_are_cut(documents: Documents):
    plan = {OUTLINE: "\n".join(f"{n}. Was the lamp lit in {1800 + n}?" for n in range(1, 30))}
    found = run("deep_research", RESEARCH | plan, asked=(ASKED,), documents=documents)
    assert len(found.model.with_(NOTE)) == 6
    assert found.answer == "1884"


def test_a_new_plan_without_steps_goes_to_writing(documents: Documents):
    found = run("deep_research", RESEARCH | {AGAIN: DRIVEL, **ALONE}, asked=(ASKED,), documents=documents)
    assert (found.answer, found.path[-5:]) == ("9", ["replan", "write", "said", "alone", "done"])

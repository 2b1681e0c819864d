"""The strategies that answer along one line: prompting, voting, decomposing, programs, reflection, debate.

A scripted model answers by what stands in the prompt. Each strategy is looked at on its normal path, on its fallbacks,
at its bounds, and in what its prompts hold; what it costs normally is what its cost line says.
"""

import re
from pathlib import Path
from typing import Any

import pytest
from strategy_runs import DRIVEL, QUESTION, Reply, run

from menon.core.values import Problem
from menon.flowcharts.check import check
from menon.solving.library import library
from menon.solving.retrieval import Documents
from menon.solving.verifiers import Judgement

FILES = (
    "direct", "cot", "self_consistency", "few_shot", "auto_cot", "auto_cot_demonstrations", "diverse", "best_of_n",
    "least_to_most", "self_ask", "program_of_thought", "plan_and_solve", "reflection", "debate",
)  # fmt: skip
RIGHT = "She buys 2*3=6 pens. 3+6=9, so she has 9 pens.\n#### 9"
WORKED = "Think step by step."  # the question in the model's own form, asked for its working
EXAMPLES = [
    {"question": f"Bo has {n} cups and finds 1. How many cups?", "rationale": f"{n}+1={n + 1}.", "answer": str(n + 1)}
    for n in range(10, 16)
]


def claimed(name: str) -> str:
    return library().load(name).cost


@pytest.mark.parametrize("name", FILES)
def test_no_strategy_has_errors_and_each_names_source_and_cost(name: str):
    chart = library().load(name)
    assert check(chart) == []
    assert "arXiv:" in chart.source
    assert chart.cost


@pytest.mark.parametrize("name", [name for name in FILES if name not in ("direct", "auto_cot_demonstrations")])
def test_a_model_that_follows_no_instruction_still_answers_the_bare_question(name: str):
    """It answers one form only: the question itself, asked for its working."""
    inputs: dict[str, Any] = {"examples": EXAMPLES} if name in ("few_shot", "diverse") else {}
    found = run(name, {WORKED: RIGHT}, **inputs)
    assert (found.outcome.status, found.answer) == ("answered", "9"), found.outcome.error
    bare = [prompt for prompt in found.model.prompts if WORKED in prompt]
    assert all(prompt.startswith(QUESTION) for prompt in bare)


@pytest.mark.parametrize("name", [name for name in FILES if name != "auto_cot_demonstrations"])
def test_a_model_that_never_answers_ends_without_an_answer(name: str):
    found = run(name, {})
    assert (found.outcome.status, found.answer) == ("answered", None), found.outcome.error
    assert len(found.model.prompts) < 30


@pytest.mark.parametrize("name", [name for name in FILES if name not in ("direct", "auto_cot_demonstrations")])
def test_empty_replies_never_stop_a_strategy_that_can_go_on(name: str):
    """Whatever is not asked as the bare question gets an empty reply."""
    inputs: dict[str, Any] = {"examples": EXAMPLES} if name in ("few_shot", "diverse") else {}
    found = run(name, {WORKED: RIGHT, "": ""}, **inputs)
    assert (found.outcome.status, found.answer) == ("answered", "9"), found.outcome.error


def test_direct_asks_once():
    found = run("direct", {"Give only one line": "#### 9"})
    assert (found.answer, len(found.model.prompts), claimed("direct")) == ("9", 1, "1")


def test_chain_of_thought_asks_again_for_the_answer():
    assert len(run("cot", {WORKED: RIGHT}).model.prompts) == 1
    found = run("cot", {"Therefore, the answer is": "9", WORKED: "Pens, many pens."})
    assert (found.answer, len(found.model.prompts)) == ("9", 2)
    assert "Pens, many pens." in found.model.prompts[1]
    assert claimed("cot").startswith("1, or 2 ")


def test_self_consistency_stops_when_the_vote_is_settled():
    agreed = run("self_consistency", {WORKED: RIGHT})
    assert (agreed.answer, len(agreed.model.prompts), agreed.model.samples) == ("9", 1, 5)
    split = run("self_consistency", {WORKED: ["#### 9", "#### 8", "#### 9", "#### 8", "#### 7", *["#### 9"] * 5]})
    assert (split.answer, len(split.model.prompts), split.model.samples) == ("9", 2, 10)
    assert claimed("self_consistency") == "1 or 2, of 5 samples each"


def test_few_shot_shows_the_examples_and_never_the_question_itself():
    own = {"question": QUESTION, "rationale": "By heart.", "answer": "9"}
    found = run("few_shot", {"Q: Bo": "2*3=6 and 3+6=9. The answer is 9."}, examples=[EXAMPLES[0], own, EXAMPLES[1]])
    (prompt,) = found.model.prompts
    assert found.answer == "9"
    assert prompt.index("Q: Bo has 10") < prompt.index("11+1=12.") < prompt.index(f"Q: {QUESTION}")
    assert "By heart" not in prompt
    assert prompt.endswith("A:")
    assert prompt.count(QUESTION) == 1
    assert claimed("few_shot").startswith("1, or 2 ")


def test_few_shot_without_examples_and_without_an_answer():
    assert run("few_shot", {WORKED: RIGHT}).path == ["start", "choose", "any", "alone", "done"]
    found = run("few_shot", {WORKED: RIGHT}, examples=EXAMPLES)
    assert found.path[-4:] == ["follow", "read", "alone", "done"]
    assert len(found.model.prompts) == 2


def test_choices_stand_in_prompts_that_are_no_bare_question():
    asked = Problem(
        family="f", question="Which is red?", answer="B", choices=("grass", "blood"), grader="choice", split="asked"
    )
    inputs = {"problem": asked, "asked": (asked.question,), "choices": ["grass", "blood"]}
    found = run("plan_and_solve", {"Plan:": "#### B", "plan": "1. think\n2. choose"}, **inputs)
    assert found.answer == "B"
    assert all("(A) grass\n(B) blood" in prompt for prompt in found.model.prompts)


ASKED = tuple(
    f"{first} {second} number {n}?"
    for first, second in (("pens red", "blue ink"), ("cows milk", "farm grass"), ("ships sea", "wind sail"))
    for n in ("one", "two", "three")
)


def test_automatic_demonstrations_are_built_once_and_shown_to_every_question():
    """Of the cluster of cows no solution ends in its answer, so nothing demonstrates it."""
    replies: dict[str, Reply] = {
        WORKED: lambda prompt: "Who can say.\n#### 5" if "cows" in prompt else "Two and three make 5.\n#### 5",
        r"(?s)Q: .*\nA:$": "The answer is 7.",
    }
    found = run("auto_cot", replies, asked=ASKED, questions=list(ASKED), demonstrations=3)
    assert [outcome.answer for outcome in found.outcomes] == ["7"] * 9
    assert sorted(prompt.split("?")[0] + "?" for prompt in found.model.with_(WORKED)) == sorted(ASKED)  # once each
    shown = found.model.with_(r"A:$")
    assert len(shown) == 9
    examples = {question for prompt in shown for question in re.findall("Q: (.*)\nA: Two", prompt)}
    assert {question.split()[0] for question in examples} == {"pens", "ships"}
    assert len(examples) == 2
    assert all("Two and three make 5.\n#### 5\n\n" in prompt for prompt in shown)
    assert all(prompt.count(prompt.split("Q: ")[-1].split("\n")[0]) == 1 for prompt in shown)
    assert claimed("auto_cot") == "1, and once per run up to 4 per demonstration"


def test_automatic_chain_of_thought_without_a_usable_example_asks_alone():
    found = run("auto_cot", {WORKED: "It is five!\n#### 5"}, questions=list(ASKED))
    assert found.path == ["start", "build", "any", "alone", "done"]
    assert found.answer == "5"


WRONG = "3*2=7 pens. 3+7=10.\n#### 8"  # a false equation, which the verifier sees


def test_verified_votes_outweigh_the_majority():
    replies: dict[str, Reply] = {r"Q: ": [*[WRONG] * 12, *[RIGHT] * 8]}
    found = run("diverse", replies, examples=EXAMPLES)
    assert (found.answer, len(found.model.prompts), found.model.samples) == ("9", 5, 20)
    assert claimed("diverse") == "5, of 4 samples each"
    choices = {tuple(re.findall(r"Bo has (\d+)", prompt)) for prompt in found.model.prompts}
    assert len(choices) == 5
    assert all(len(set(choice)) == 4 for choice in choices)
    assert run("diverse", {r"Q: ": WRONG}, examples=EXAMPLES).answer == "8"  # all rejected: the majority


class Judge:
    """Likes the first solution as a whole, and the steps of the second."""

    def judge(self, question: str, text: str, answer: str | None) -> Judgement:
        return Judgement(outcome=0.6, steps=(0.9, 0.1)) if answer == "4" else Judgement(outcome=0.5, steps=(0.8, 0.7))


@pytest.mark.parametrize(("how", "answer"), [("outcome", "4"), ("min", "6"), ("product", "6"), ("mean", "6")])
@pytest.mark.parametrize("name", ["diverse", "best_of_n"])
def test_scores_of_steps_count_where_they_are_asked_for(name: str, how: str, answer: str):
    inputs: dict[str, Any] = {"samples": 2, "how": how} | ({"prompts": 1} if name == "diverse" else {})
    found = run(name, {WORKED: ["#### 4", "#### 6"]}, verifier=Judge(), **inputs)
    assert found.answer == answer
    assert ("steps" in found.path) == (how != "outcome")


def test_diverse_without_examples_asks_the_question_in_every_prompt():
    found = run("diverse", {WORKED: RIGHT})
    assert (found.answer, len(found.model.prompts), found.model.samples) == ("9", 5, 20)
    assert len(set(found.model.prompts)) == 1


def test_the_best_of_n_is_what_the_verifier_likes_not_what_is_frequent():
    found = run("best_of_n", {WORKED: [DRIVEL, *[WRONG] * 5, RIGHT, DRIVEL]})
    assert (found.answer, len(found.model.prompts), found.model.samples) == ("9", 1, 8)
    assert claimed("best_of_n") == "1, of 8 samples"


PARTS = "1. How many pens does she buy?\n2. How many has she at first?"


def test_later_sub_questions_see_the_earlier_answers_and_the_question_comes_last():
    replies: dict[str, Reply] = {
        "Which simpler": PARTS,
        r"buy\?\nA:$": "She buys 6 pens.",
        r"first\?\nA:$": "She has 3 pens.",
        "answer the last question. End": "6+3=9\n#### 9",
    }
    found = run("least_to_most", replies)
    divide, one, two, last = found.model.prompts
    assert found.answer == "9"
    assert claimed("least_to_most") == "2 + 1 per sub-question"
    assert "Do not answer" in divide
    assert "Q: How many has she at first?" not in one
    assert "Q: How many pens does she buy?\nA: She buys 6 pens.\n\nQ: How many has she at first?\nA:" in two
    assert "A: She buys 6 pens." in last
    assert "A: She has 3 pens." in last
    assert last.endswith(f"Q: {QUESTION}\nA:")


def test_no_more_sub_questions_are_asked_than_allowed():
    many = "\n".join(f"{n}. How many at {n}?" for n in range(1, 30))
    found = run("least_to_most", {"Which simpler": many, "last question. End": "#### 9", "": "Three."})
    assert found.answer == "9"
    assert len(found.model.prompts) == 1 + 6 + 1


def test_a_sub_question_without_a_reply_leads_to_the_question_itself():
    found = run("least_to_most", {"Which simpler": PARTS, "last question. End": "#### 9", "": ""})
    assert found.answer == "9"
    assert found.path[-4:] == ["solve", "finish", "read", "done"]


FOLLOW_UPS = [
    "Follow up: How many pens does she buy?",
    "Are there more? Yes.\nFollow up: How many has she at first?",
    "So the final answer is: 9 pens.",
]


def test_follow_ups_are_answered_and_shown_until_the_final_answer():
    found = run("self_ask", {"If you still need": FOLLOW_UPS, "buy[?]\nAnswer": "Six.", r"first[?]\nAnswer": "Three."})
    assert (found.answer, len(found.model.prompts)) == ("9", 5)  # 1 + 2 for each of two follow-ups
    assert claimed("self_ask") == "1 + 2 per follow-up"
    first, _, second, answered, last = found.model.prompts
    noted = "Follow up: How many pens does she buy?\nIntermediate answer: Six.\n"
    assert "Six" not in first
    assert noted in second
    assert noted in answered
    assert noted + "Follow up: How many has she at first?\nIntermediate answer: Three.\n" in last


def test_endless_follow_ups_end_with_what_is_known():
    found = run("self_ask", {"If you still need": "Follow up: And then?", "follow-up question in": "So.", "": "#### 9"})
    assert found.path[-4:] == ["note", "finish", "read", "done"]
    assert found.answer == "9"
    assert found.path.count("ask") == 5
    assert len(found.model.prompts) == 11
    assert found.model.prompts[-1].count("Intermediate answer: So.") == 5


def test_a_follow_up_without_a_reply_ends_with_what_is_known():
    found = run(
        "self_ask", {"If you still need": FOLLOW_UPS, "follow-up question in": "", "what is known[.]": "#### 9"}
    )
    assert (found.answer, found.path[-4:]) == ("9", ["reply", "finish", "read", "done"])


def test_follow_ups_are_looked_up_where_there_are_documents(tmp_path: Path):
    (tmp_path / "a.md").write_text("The tower of Foo was built by Bar in the year 1901.")
    (tmp_path / "b.md").write_text("Cows eat grass and give milk.")
    replies: dict[str, Reply] = {
        "If you still need": ["Follow up: Who built the tower of Foo?", "So the final answer is: 1901"],
        "Answer the last follow-up": "Bar, in 1901.",
    }
    found = run("self_ask", replies, documents=Documents.from_folder(tmp_path))
    assert "look" in found.path
    assert found.answer == "1901"
    assert "built by Bar in the year 1901" in found.model.prompts[1]
    assert "look" not in run("self_ask", replies).path


def test_a_program_is_run_for_the_answer():
    found = run("program_of_thought", {"Write a short": "```python\nbought = 3 * 2\nanswer = 3 + bought\n```"})
    assert (found.answer, len(found.model.prompts)) == ("9", 1)
    assert claimed("program_of_thought").startswith("1, ")
    assert found.path == ["start", "set", "write", "code", "run", "take", "done"]


def test_a_program_that_fails_is_mended_once_with_its_error_in_view():
    broken, mended = "```python\nanswer = 3 / 0\n```", "```python\nanswer = 9\n```"
    found = run("program_of_thought", {"Mend it": mended, "Write a short": broken})
    assert (found.answer, len(found.model.prompts)) == ("9", 2)
    assert "answer = 3 / 0" in found.model.prompts[1]
    assert "division by zero" in found.model.prompts[1]
    again = run("program_of_thought", {"Mend it": broken, "Write a short": broken, WORKED: RIGHT})
    assert (again.answer, len(again.model.prompts)) == ("9", 3)
    assert again.path[-3:] == ["run", "think", "done"]  # the refused second repair is no visit


def test_without_a_mended_program_the_question_is_thought_through():
    replies = {"Mend it": "", "Write a short": "```python\nanswer = x\n```", WORKED: RIGHT}
    found = run("program_of_thought", replies)
    assert (found.answer, found.path[-4:]) == ("9", ["run", "repair", "think", "done"])


def test_a_plan_is_carried_out_in_view():
    found = run("plan_and_solve", {"plan how": "1. find what she buys\n2. add", "Carry out": "3+6=9\n#### 9"})
    assert (found.answer, len(found.model.prompts), claimed("plan_and_solve")) == ("9", 2, "2")
    assert "1. find what she buys\n2. add" in found.model.prompts[1]
    assert QUESTION in found.model.prompts[1]
    missed = run("plan_and_solve", {"plan how": "1. find\n2. add", WORKED: RIGHT})
    assert missed.path[-4:] == ["solve", "read", "alone", "done"]


def test_a_draft_that_stands_is_not_revised():
    found = run("reflection", {WORKED: RIGHT, "Check every step": "All is well.\nVerdict: right"})
    assert (found.answer, len(found.model.prompts)) == ("9", 2)
    assert claimed("reflection") == "2 + 2 per revision"
    assert RIGHT in found.model.prompts[1]


def test_revisions_see_all_criticism_and_reviews_see_the_last_revision():
    replies: dict[str, Reply] = {
        WORKED: "3+2=5\n#### 5",
        "Check every step": ["Twice, not two.\nVerdict: wrong", "Add the first.\nVerdict: wrong", "Verdict: right"],
        "better answer": ["3*2=6\n#### 6", RIGHT],
    }
    found = run("reflection", replies)
    _, first, revise, second, again, third = found.model.prompts
    assert found.answer == "9"
    assert "3+2=5" in first
    assert "3*2=6" in second
    assert RIGHT in third
    assert "Twice, not two." in revise
    assert "Twice, not two." in again
    assert "Add the first." in again
    assert "Add the first." not in revise


def test_endless_criticism_ends_after_the_rounds_with_the_last_answer():
    revisions = ["#### 6", "I give up.", "#### 7"]
    found = run("reflection", {WORKED: RIGHT, "Check every step": "No.\nVerdict: wrong", "better answer": revisions})
    assert (found.answer, len(found.model.prompts), found.path.count("revise")) == ("7", 7, 3)
    assert "#### 6" in found.model.prompts[5]
    assert "I give up" not in found.model.prompts[5]
    unread = run("reflection", {WORKED: RIGHT, "Check every step": "Hm."})
    assert (unread.answer, unread.path[-2:]) == ("9", ["review", "done"])


@pytest.mark.parametrize(("revision", "last"), [("", "revise"), (DRIVEL, "left")])
def test_a_revision_without_an_answer_leaves_the_one_that_is_there(revision: str, last: str):
    replies = {WORKED: RIGHT, "Check every step": "No.\nVerdict: wrong", "better answer": revision}
    found = run("reflection", replies, rounds=1)
    assert (found.answer, found.path[-2:]) == ("9", [last, "done"])


def test_agents_see_the_answers_of_the_others_and_the_majority_counts():
    def convinced(prompt: str) -> str:
        return "I keep it.\n#### 8" if "answer so far:\nB:" in prompt else "C is right.\n#### 9"

    found = run("debate", {WORKED: ["A: #### 7", "B: #### 8", "C: #### 9"], "Where do the answers": convinced})
    assert (found.answer, len(found.model.prompts)) == ("9", 6)
    assert claimed("debate").startswith("6,")
    for own, prompt in zip("ABC", found.model.prompts[3:], strict=True):
        mine, others = prompt.split("Answer of another agent:", 1)
        assert f"so far:\n{own}:" in mine
        assert [f"{name}: ####" in others for name in "ABC"] == [name != own for name in "ABC"]


def test_an_agent_without_an_answer_keeps_its_last_one():
    replies: dict[str, Reply] = {WORKED: ["#### 7", "#### 8", "#### 8"], "Where do": ["#### 8", DRIVEL, DRIVEL]}
    found = run("debate", replies, rounds=3)
    assert found.answer == "8"
    assert len(found.model.prompts) == 9
    assert found.path.count("argue") == 2
    assert DRIVEL not in "".join(found.model.prompts)
    assert run("debate", {WORKED: RIGHT}, rounds=1).path == ["start", "think", "begin", "more", "vote", "read", "done"]

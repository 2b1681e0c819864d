"""The functions that charts of strategies may call, besides the standard ones of the expression language.

Each is a thin name for something that has a home and a test elsewhere: reading text (grading), votes (decoders),
verifiers, tools, tree search, plans, demonstrations. Those that reach outside are marked as effects, so that the
executor records what they gave.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from menon.core.errors import ConfigError
from menon.core.values import Problem
from menon.flowcharts.functions import STANDARD, Function
from menon.grading import open_grader, split_thinking
from menon.grading.actions import Action, Final, Finish, FollowUp, read_action, read_code, read_follow_up, read_value
from menon.grading.choice import LETTERS
from menon.grading.dependencies import dependency_graph
from menon.grading.outputs import Unread, read_output
from menon.grading.plans import fill, parse_plan
from menon.solving import demonstrations, planning, search
from menon.solving.decoders import BEST_OF_N, MAJORITY, Vote, answer_key, reduced_steps, settled
from menon.solving.pool import Sample
from menon.solving.tools import Tools
from menon.solving.verifiers import Arithmetic, Verifier
from menon.solving.writing import WRITING

DEMONSTRATIONS_PER_CLUSTER = 4


@dataclass(frozen=True, kw_only=True)
class Workbench:
    """What the functions of one run work with."""

    verifier: Verifier = field(default_factory=Arithmetic)
    tools: Tools = field(default_factory=Tools)
    grader: str = "number"

    def functions(self) -> Mapping[str, Function]:
        """Return every function that a chart may call."""
        tables = (STANDARD, READING, VOTES, SEARCH, PLANS, EXAMPLES, WRITING, self._own())
        return MappingProxyType({name: function for table in tables for name, function in table.items()})

    def _own(self) -> dict[str, Function]:
        tools = self.tools
        return {
            "answer_in": _pure(self._answer_in, "text", "any", "the answer of a text, as the grader reads it; or None"),
            "final_answer": _pure(self._final_answer, "text", "any", "the answer behind the last ####, or None"),
            "verify": _effect(self._verify, "text text any", "json", "outcome and steps of a text, from 0 to 1"),
            "outcome_scores": _effect(self._outcomes, "text list list", "list", "the verifier's score of each text"),
            "step_scores": _effect(
                self._steps, "text list list text", "list", "each text's steps, by min/product/mean"
            ),
            "tool_names": _pure(lambda: list(tools.names()), "", "list", "names of the tools"),
            "tool_help": _pure(tools.help, "", "text", "one line for each tool"),
            "use_tool": _effect(tools.use, "text text", "text", "what a tool answers; errors are texts"),
            "search": _effect(tools.search, "text number", "list", "paragraphs of the documents"),
        }

    def _answer_in(self, text: str) -> str | None:
        _, visible, closed = split_thinking(text)
        problem = Problem(family="question", question="", answer="", grader=self.grader)
        return open_grader(self.grader).parse(problem, visible).answer if closed else None

    def _final_answer(self, text: str) -> str | None:
        _, mark, said = text.rpartition("####")
        return (self._answer_in(text) or said.strip() or None) if mark else None

    def _verify(self, question: str, text: str, answer: Any = None) -> dict[str, Any]:
        found = self.verifier.judge(question, text, None if answer is None else str(answer))
        return {"outcome": found.outcome, "steps": list(found.steps)}

    def _outcomes(self, question: str, texts: Sequence[str], answers: Sequence[Any]) -> list[float]:
        return [self._verify(question, t, a)["outcome"] for t, a in zip(texts, answers, strict=True)]

    def _steps(self, question: str, texts: Sequence[str], answers: Sequence[Any], how: str = "min") -> list[float]:
        score = reduced_steps(how)  # type: ignore[arg-type]  # refused inside when it is unknown
        rows = [self._verify(question, t, a)["steps"] for t, a in zip(texts, answers, strict=True)]
        return [score(_sample(place, "", steps=row)) for place, row in enumerate(rows)]


def _function(call: Callable[..., Any], takes: str, returns: str, doc: str, *, effect: bool) -> Function:
    named = tuple(takes.split())
    return Function(call=call, returns=returns, takes=named or None, effect=effect, doc=doc)


def _pure(call: Callable[..., Any], takes: str, returns: str, doc: str) -> Function:
    return _function(call, takes, returns, doc, effect=False)


def _effect(call: Callable[..., Any], takes: str, returns: str, doc: str) -> Function:
    return _function(call, takes, returns, doc, effect=True)


def _action(text: str, tools: Sequence[str] = ()) -> dict[str, Any]:
    found = read_action(text, tools=tools)
    if isinstance(found, Action):
        return {"kind": "action", "thought": found.thought, "tool": found.tool, "argument": found.argument}
    if isinstance(found, Finish):
        return {"kind": "finish", "answer": found.answer}
    return {"kind": "unread", "reason": found.reason}


def _follow_up(text: str) -> dict[str, Any]:
    found = read_follow_up(text)
    if isinstance(found, FollowUp):
        return {"kind": "question", "question": found.question}
    if isinstance(found, Final):
        return {"kind": "final", "answer": found.answer}
    return {"kind": "unread", "reason": found.reason}


def _or_none(read: Callable[[str], Any]) -> Callable[[str], Any]:
    def reading(text: str) -> Any:
        found = read(text)
        return None if isinstance(found, Unread) else found

    return reading


def _list_in(text: str) -> list[Any]:
    found = read_output(text, "list")
    return [] if isinstance(found, Unread) else found.value


def _plan_in(text: str, tools: Sequence[str] = ()) -> list[dict[str, Any]]:
    plan = parse_plan(text)
    if planning.troubles(plan.tasks, tools or None):
        return []
    return [
        {"id": task.number, "tool": task.tool, "argument": ", ".join(task.arguments), "needs": list(task.uses)}
        for task in plan.tasks
    ]


def _plan_troubles(text: str, tools: Sequence[str] = ()) -> str:
    plan = parse_plan(text)
    return "\n".join([*plan.messages, *planning.troubles(plan.tasks, tools or None)])


def _steps_in(text: str) -> list[dict[str, Any]]:
    return [
        {"index": step.index, "text": step.text, "result": step.result, "uses": list(step.uses)}
        for step in dependency_graph(text)
    ]


def _sample(index: int, answer: str | None, *, score: float | None = None, steps: Sequence[float] = ()) -> Sample:
    return Sample(
        problem="", index=index, text="", answer=answer, tokens=0, score=score, step_scores=tuple(steps), finish="stop"
    )


def _said(answers: Sequence[Any]) -> list[str | None]:
    return [None if answer is None else str(answer) for answer in answers]


def _majority(answers: Sequence[Any]) -> str | None:
    return MAJORITY.decode([_sample(i, a) for i, a in enumerate(_said(answers))]).answer if answers else None


def _votes(answers: Sequence[Any]) -> dict[str, Any]:
    return dict(MAJORITY.decode([_sample(i, a) for i, a in enumerate(_said(answers))]).votes) if answers else {}


def _agreement(answers: Sequence[Any]) -> float:
    votes = _votes(answers)
    return max(votes.values()) / len(answers) if votes else 0.0


def _weighted(answers: Sequence[Any], weights: Sequence[float]) -> str | None:
    pairs = list(zip(_said(answers), weights, strict=True))
    vote = Vote(name="weighted", weight=lambda sample: pairs[sample.index][1])
    return vote.decode([_sample(i, a) for i, (a, _) in enumerate(pairs)]).answer if pairs else None


def _best_answer(answers: Sequence[Any], scores: Sequence[float]) -> str | None:
    pairs = list(zip(_said(answers), scores, strict=True))
    return BEST_OF_N.decode([_sample(i, a, score=s) for i, (a, s) in enumerate(pairs)]).answer if pairs else None


def _best(items: Sequence[Any], scores: Sequence[float]) -> Any:
    pairs = list(zip(items, scores, strict=True))
    return max(pairs, key=lambda pair: pair[1])[0] if pairs else None


def _same_answer(a: Any, b: Any) -> bool:
    return a is not None and b is not None and answer_key(str(a)) == answer_key(str(b))


def _frontier_pop(frontier: dict[str, Any]) -> dict[str, Any]:
    rest, node = search.frontier_pop(frontier)
    steps = [] if node is None else search.frontier_path(rest, node)
    ended = node is not None and rest["nodes"][node]["ended"]
    return {"frontier": rest, "node": node, "steps": steps, "ended": ended}


def _tree_ended(tree: dict[str, Any], node: int) -> bool:
    return bool(tree["nodes"][node]["ended"])


def _clusters(questions: Sequence[str], k: int) -> list[list[str]]:
    """Return the questions of each cluster from the centre outwards; fewer clusters where questions are few."""
    different = list(dict.fromkeys(questions))
    if not different:
        return []
    wanted = max(1, min(int(k), len(different)))
    while True:
        try:
            found = demonstrations.cluster_questions(different, wanted)
            break
        except ConfigError:  # different questions in the same words cannot be told apart
            if wanted == 1:
                return [different[:DEMONSTRATIONS_PER_CLUSTER]]
            wanted -= 1
    return [[different[at] for at in members][:DEMONSTRATIONS_PER_CLUSTER] for members in found.order]


def _usable_example(question: str, rationale: str, answer: Any) -> bool:
    if answer is None:
        return False
    one = demonstrations.Demonstration(question=question, rationale=rationale, answer=str(answer))
    return demonstrations.is_simple(one)


def _picked(groups: Sequence[Sequence[str]], rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return of each group the first question whose row (question, rationale, answer) is a usable example."""
    by_question = {row["question"]: row for row in rows}
    found = []
    for group in groups:
        fit = (by_question[q] for q in group if q in by_question)
        usable = (row for row in fit if _usable_example(row["question"], row["rationale"] or "", row["answer"]))
        if (first := next(usable, None)) is not None:
            found.append(dict(first))
    return found


def _diverse(examples: Sequence[Any], prompts: int, shots: int) -> list[list[Any]]:
    if not examples:
        return [[] for _ in range(int(prompts))]
    shots = min(int(shots), len(examples))
    return [list(choice) for choice in demonstrations.diverse_prompts(list(examples), int(prompts), shots, "solve")]


def _with_choices(question: str, choices: Sequence[Any]) -> str:
    lines = [f"({letter}) {choice}" for letter, choice in zip(LETTERS, choices, strict=False)]
    return "\n".join([question, *lines])


def _shown_examples(examples: Sequence[Mapping[str, Any]]) -> str:
    blocks = [
        f"Q: {row['question']}\nA: {(row.get('rationale') or '').strip()}\n#### {row['answer']}".replace("A: \n", "A: ")
        for row in examples
    ]
    return "".join(f"{block}\n\n" for block in blocks)


def _plan_notes(plan: Mapping[str, Any]) -> str:
    lines = [f"{step['text']}: {step['note']}" for step in plan["steps"] if step["state"] == "done"]
    lines += [f"{step['text']}: failed, {step['note']}" for step in [*plan["past"], *plan["steps"]] if _broke(step)]
    return "\n".join(lines)


def _broke(step: Mapping[str, Any]) -> bool:
    return step["state"] == "failed"


def _plan_new(steps: Sequence[str], replans: int = 2) -> dict[str, Any]:
    return planning.plan_new([str(step) for step in steps], max_replans=int(replans))


def _ready_tasks(tasks: Sequence[Mapping[str, Any]], results: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [task for task in tasks if str(task["id"]) not in results and all(str(n) in results for n in task["needs"])]


def _filled(argument: str, results: Mapping[str, Any]) -> str:
    return fill(argument, {int(key): str(value) for key, value in results.items()})


def _with_results(
    results: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]], found: Sequence[Any]
) -> dict[str, Any]:
    return {**results, **{str(t["id"]): "" if f is None else f for t, f in zip(tasks, found, strict=True)}}


READING: Mapping[str, Function] = {
    "read_action": _pure(_action, "text list", "json", "the action, or the final answer, that a text ends in"),
    "read_follow_up": _pure(_follow_up, "text", "json", "the follow-up question, or the final answer, of a text"),
    "read_code": _pure(_or_none(read_code), "text", "any", "the program in a text, or None"),
    "read_value": _pure(_or_none(read_value), "text", "any", "a judgement as a number from 0 to 1, or None"),
    "read_list": _pure(_list_in, "text", "list", "the items of a list in a text; none where there is no list"),
    "read_plan": _pure(_plan_in, "text list", "list", "tasks `1. tool(argument, $2)` with id, tool, argument, needs"),
    "plan_troubles": _pure(_plan_troubles, "text list", "text", "what keeps a plan from being run, for its writer"),
    "read_steps": _pure(_steps_in, "text", "list", "steps of a chain of thought with index, text, result, uses"),
}
VOTES: Mapping[str, Function] = {
    "majority": _pure(_majority, "list", "any", "the most frequent answer; None does not vote"),
    "votes": _pure(_votes, "list", "json", "how often each answer was given"),
    "agreement": _pure(_agreement, "list", "number", "share of the majority among all samples"),
    "settled": _pure(lambda answers, left: settled(_said(answers), max(0, int(left))), "list number", "truth",
                     "whether so many further votes cannot change the majority"),
    "weighted": _pure(_weighted, "list list", "any", "the answer with the largest sum of weights"),
    "best_answer": _pure(_best_answer, "list list", "any", "the answer with the largest score"),
    "best": _pure(_best, "list list", "any", "the item with the largest score"),
    "same_answer": _pure(_same_answer, "any any", "truth", "whether two answers are the same"),
}  # fmt: skip
SEARCH: Mapping[str, Function] = {
    "tree_new": _pure(search.tree_new, "text", "json", "a search tree that holds the root"),
    "tree_select": _pure(search.tree_select, "json number", "number", "the leaf to look at next (UCT, PUCT)"),
    "tree_path": _pure(search.tree_path, "json number", "list", "the steps that lead to a node"),
    "tree_expand": _pure(search.tree_expand, "json number list", "json", "the tree with steps below a node"),
    "tree_backup": _pure(
        search.tree_backup, "json number number", "json", "the tree with a value counted up to its root"
    ),
    "tree_best": _pure(search.tree_best, "json text", "number", "the node to answer with"),
    "tree_ended": _pure(_tree_ended, "json number", "truth", "whether nothing can follow a node"),
    "frontier_new": _pure(search.frontier_new, "text", "json", "an A* frontier that holds the empty path"),
    "frontier_pop": _pure(_frontier_pop, "json", "json", "the best open path: frontier, node, steps, ended"),
    "frontier_push": _pure(
        search.frontier_push, "json number list list", "json", "the frontier with steps behind a node"
    ),
    "frontier_best": _pure(search.frontier_best, "json", "number", "the node to answer with when a budget ends"),
    "frontier_path": _pure(search.frontier_path, "json number", "list", "the steps that lead to a node"),
    "beam_keep": _pure(search.beam_keep, "list list number", "list", "the candidates of largest value, best first"),
}
PLANS: Mapping[str, Function] = {
    "plan_new": _pure(_plan_new, "list number", "json", "a plan with all steps open, and how often it may be changed"),
    "plan_next": _pure(planning.plan_next, "json", "any", "the place of the first open step, or None"),
    "plan_mark": _pure(planning.plan_mark, "json number truth text", "json", "the plan with a step done or failed"),
    "plan_state": _pure(planning.plan_state, "json", "text", "done, running, replan or exhausted"),
    "plan_replan": _pure(planning.plan_replan, "json list", "json", "the plan going on with other steps"),
    "plan_notes": _pure(_plan_notes, "json", "text", "what the steps found"),
    "ready_tasks": _pure(_ready_tasks, "list json", "list", "tasks whose needs have results and that have none"),
    "with_results": _pure(_with_results, "json list list", "json", "results with those of more tasks, by id"),
    "fill": _pure(_filled, "text json", "text", "an argument with $1 replaced by the result of task 1"),
}
EXAMPLES: Mapping[str, Function] = {
    "clusters": _pure(_clusters, "list number", "list", "questions in k clusters, each from its centre outwards"),
    "pick_examples": _pure(_picked, "list list", "list", "the first usable example of each cluster"),
    "with_choices": _pure(_with_choices, "text list", "text", "a question with its choices, one (A) line each"),
    "usable_example": _pure(_usable_example, "text text any", "truth", "whether an example is short and complete"),
    "diverse_prompts": _pure(_diverse, "list number number", "list", "different choices of examples"),
    "shown_examples": _pure(_shown_examples, "list", "text", "examples as Q: and A: blocks"),
}

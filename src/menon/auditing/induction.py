"""Template induction: a model proposes a template for a problem, and it is accepted only if it proves itself.

The original's own values must meet the conditions and give back the original's question and answer, there must be
enough distinct instances, and two solutions of fresh instances, sampled independently, must give what it computes.
The solver may be the proposer: a wrong template passes only where its errors and the solver's agree.
Left out: repairing a proposal; a rejected one is asked for again, at a temperature, as often as allowed.
Source: template language of Mirzadeh et al. 2024, arXiv:2410.05229; induction and its checks are our own.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest
from typing import Any

from menon.core.errors import ConfigError
from menon.core.progress import Progress, Silent
from menon.core.seeds import seed_for
from menon.core.values import Completion, Problem, Request, Verdict
from menon.grading import grade, parse_number
from menon.grading.json_record import read_json_record
from menon.problems.prompts import STYLES
from menon.problems.templates import (
    Template,
    TemplateError,
    default_assignment,
    draw,
    parse_template,
    render,
    violations,
)
from menon.problems.templates.check import equal_answers
from menon.problems.templates.matching import strays
from menon.sampling.protocol import Sampler, bind_problems, sample_in_order

FIELDS = ("question_annotated", "answer_annotated")
SOLUTIONS = 2  # independent ones of each fresh instance
SOURCE = "induced"
_PLACE = re.compile(rf"^{SOURCE}: template '[^']{{0,80}}': ")

WORKED_EXAMPLE = (
    "Question:\n"
    "Nadia lays 5 rows of tiles with 14 tiles in each row. 8 tiles break. How many tiles are whole?\n"
    "Answer: 62\n"
    "Template:\n"
    r'{"question_annotated": "{name, Nadia} lays {rows, 5} rows of {thing, tiles} with {per, 14} {thing, tiles} in '
    r"each row. {broken, 8} {thing, tiles} break. How many {thing, tiles} are whole?\n\n#init:\n"
    r"- name = sample(names)\n- thing = sample([\"tiles\", \"plates\", \"bricks\"])\n"
    r"- $rows = range(3, 10)\n- $per = range(8, 21)\n"
    r"- $broken = range(2, 15)\n\n#conditions:\n- broken < rows * per\n\n#answer: rows * per - broken"
    r'", "answer_annotated": "{name} lays {rows} * {per} = {rows * per} {thing}.\nOf these {rows * per} - {broken} = '
    r'{rows * per - broken} are whole.\n#### {rows * per - broken}"}'
)
INSTRUCTIONS = (
    "Turn a word problem into a template: the same text with slots, so that other names and numbers can be put in.\n"
    "Write one JSON object with the texts question_annotated and answer_annotated, and nothing else.\n"
    "- question_annotated is the question, letter for letter, with every number that matters and the names replaced by "
    "{variable, original text}. After it comes a section #init: with one line for each variable, a section "
    "#conditions: with what must hold, and #answer: with the formula of the answer.\n"
    "- A number is declared as - $x = range(low, high) or - $x = range(low, high, step), where high is left out, as in "
    "Python. The original number must be in the range. Words are declared as - x = sample([...]) with the "
    "original word among them; the lists names, names_female and names_male can be used as sample(names).\n"
    "- Conditions are arithmetic with the variables. They keep every step sensible: nothing below zero, divisions "
    "without a rest, as divides(a, b) for b divides a.\n"
    "- answer_annotated is the worked solution with {expression} for each number; its last line is #### {formula}.\n"
    "- Expressions know + - * / // % ** and the comparisons, and nothing else."
)


class Reason(StrEnum):
    """Why a proposal was rejected, in the order in which it is looked at."""

    UNSUITABLE = "the item cannot be made a template"
    REQUEST_FAILED = "the request failed"
    CUT_OFF = "the proposal was cut off"
    NO_RECORD = "no JSON record"
    NOT_A_TEMPLATE = "not a template"
    NO_DEFAULTS = "the original's values cannot be read"
    OUT_OF_DOMAIN = "the original's values are outside their domains"
    CONDITIONS = "the original's values break a condition"
    OTHER_QUESTION = "the original's values do not give back the question"
    OTHER_ANSWER = "the original's values give another answer"
    TOO_FEW = "too few distinct instances"
    CONSTANT = "the answer is the same in every instance"
    UNREADABLE = "an instance's answer is no number"
    DISAGREEMENT = "independent solutions disagree with the template"


@dataclass(frozen=True, slots=True, kw_only=True)
class InductionConfig:
    """What is asked of a proposal: distinct instances, and `needed` of `fresh` ones solved as the template says."""

    instances: int = 50
    fresh: int = 3
    needed: int = 3
    tries: int = 2
    temperature: float = 0.7
    proposal_tokens: int = 2048
    solution_tokens: int = 1024
    time_limit_s: float = 4.0
    style: str = "plain"
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.needed <= self.fresh < self.instances:
            raise ConfigError(
                f"needed={self.needed!r} of fresh={self.fresh!r} of instances={self.instances!r}; allowed: "
                "1 <= needed <= fresh < instances"
            )
        if self.tries < 1 or self.temperature <= 0:
            raise ConfigError(
                f"tries={self.tries!r}, temperature={self.temperature!r}; allowed: at least one try, and a temperature "
                "above 0, without which two solutions are not independent"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Induced:
    """What came of one item: the accepted record, or the reason and its detail; `rejected` lists every try's."""

    problem: str
    index: int
    question: str
    record: Mapping[str, Any] | None = None
    reason: Reason | None = None
    detail: str = ""
    rejected: tuple[str, ...] = ()
    tokens: int = 0

    @property
    def accepted(self) -> bool:
        return self.record is not None

    def to_json(self) -> dict[str, Any]:
        return {
            "problem": self.problem,
            "index": self.index,
            "question": self.question,
            "accepted": self.accepted,
            "record": None if self.record is None else dict(self.record),
            "reason": "" if self.reason is None else str(self.reason),
            "detail": self.detail,
            "rejected": list(self.rejected),
            "tokens": self.tokens,
        }


class _Rejected(Exception):
    """A proposal that failed a check; never leaves this module."""

    def __init__(self, reason: Reason, detail: str, asked: Sequence[Completion] = ()):
        super().__init__(detail)
        self.reason, self.detail, self.asked = reason, detail, asked


def induce(
    problems: Sequence[Problem],
    sampler: Sampler,
    *,
    solver: Sampler | None = None,
    config: InductionConfig | None = None,
    progress: Progress | None = None,
) -> Iterator[Induced]:
    """Yield what comes of each item, in order; `solver` is the proposer itself unless another is given."""
    progress = progress or Silent()
    progress.start("inducing templates", len(problems), "items")
    for problem in problems:
        yield (item := induce_one(problem, sampler, solver=solver, config=config))
        progress.advance(note=str(item.reason or "accepted"))


def induce_one(
    problem: Problem, sampler: Sampler, *, solver: Sampler | None = None, config: InductionConfig | None = None
) -> Induced:
    """Ask for a template of one item until one is accepted or the tries are used up."""
    config = config or InductionConfig()
    if detail := unsuitable(problem):
        return _outcome(problem, [], [_Rejected(Reason.UNSUITABLE, detail)])
    asked: list[Completion] = []
    rejected: list[_Rejected] = []
    for attempt in range(config.tries):
        proposal = next(iter(sampler.sample([proposal_request(problem, attempt, config)])))
        asked.append(proposal)
        try:
            record = record_of(problem, proposal)
            template = check_proposal(problem, record, config)
            asked += check_solutions(problem, template, solver or sampler, attempt, config)
        except _Rejected as error:
            rejected.append(error)
            asked += error.asked
        else:
            return _outcome(problem, asked, rejected, record)
    return _outcome(problem, asked, rejected)


def _outcome(
    problem: Problem, asked: Sequence[Completion], rejected: Sequence[_Rejected], record: dict[str, Any] | None = None
) -> Induced:
    last = rejected[-1] if rejected and record is None else None
    return Induced(
        problem=problem.id,
        index=problem.index,
        question=problem.question,
        record=record,
        reason=last.reason if last else None,
        detail=last.detail if last else "",
        rejected=tuple(f"{error.reason}: {error.detail}" for error in rejected),
        tokens=sum(completion.completion_tokens for completion in asked),
    )


def unsuitable(problem: Problem) -> str:
    """Say why no template can be made of an item, or return nothing."""
    if problem.choices:
        return "it has choices; templates compute a number"
    if parse_number(problem.answer) is None:
        return f"its answer {problem.answer!r:.60} is no number"
    if not any(char.isdigit() for char in problem.question):
        return "its question states no number in digits"
    if any(char in problem.question for char in "{}#"):
        return "its question holds a brace or '#', which the template language reserves"
    return ""


def proposal_request(problem: Problem, attempt: int, config: InductionConfig) -> Request:
    """Return the request for a proposal: greedy the first time, at a temperature afterwards."""
    solution = f"Solution:\n{problem.rationale.strip()}\n" if problem.rationale else ""
    return Request(
        key=f"{problem.id}/propose-{attempt}",
        prompt=(
            f"{INSTRUCTIONS}\n\nAn example.\n\n{WORKED_EXAMPLE}\n\nNow this one.\n\n"
            f"Question:\n{problem.question.strip()}\n{solution}Answer: {problem.answer}\nTemplate:\n"
        ),
        seed=seed_for("induction", "propose", problem.id, attempt, config.seed),
        max_tokens=config.proposal_tokens,
        temperature=config.temperature if attempt else 0.0,
    )


def record_of(problem: Problem, proposal: Completion) -> dict[str, Any]:
    """Return the proposal as a record of a template file; the original's texts are the item's, not the model's."""
    if proposal.finish == "error":
        raise _Rejected(Reason.REQUEST_FAILED, proposal.error or "no reason given")
    found = read_json_record(proposal.text, FIELDS)
    if found.record is None:
        reason = Reason.CUT_OFF if proposal.finish == "length" else Reason.NO_RECORD
        raise _Rejected(reason, found.reason)
    solution = f"{problem.rationale.strip()}\n" if problem.rationale else ""
    return {
        "file": SOURCE,
        "id_shuffled": problem.index,
        "question": problem.question.strip(),
        "answer": f"{solution}#### {problem.answer}",
        **{name: found.record[name] for name in FIELDS},
    }


def check_proposal(problem: Problem, record: Mapping[str, Any], config: InductionConfig) -> Template:
    """Return the template of a record whose original is one of its own many instances, or reject it."""
    try:
        template = parse_template(record, SOURCE)
    except TemplateError as error:
        raise _Rejected(Reason.NOT_A_TEMPLATE, _short(error)) from None
    _check_original(problem, template)
    _check_instances(template, config)
    return template


def _check_original(problem: Problem, template: Template) -> None:
    values = default_assignment(template)
    if values is None:
        raise _Rejected(Reason.NO_DEFAULTS, "a slot's original text is missing or is no value of its variable")
    if outside := strays(template, values):
        shown = ", ".join(f"{name} = {values[name].text}" for name in outside)
        raise _Rejected(Reason.OUT_OF_DOMAIN, shown)
    if broken := violations(template, values):
        raise _Rejected(Reason.CONDITIONS, "; ".join(condition.text for condition in broken))
    try:
        instance = render(template, values)
    except TemplateError as error:
        raise _Rejected(Reason.OTHER_ANSWER, _short(error)) from None
    if instance.question.split() != problem.question.split():
        raise _Rejected(Reason.OTHER_QUESTION, _first_difference(problem.question, instance.question))
    if not equal_answers(instance.answer, problem.answer):
        raise _Rejected(Reason.OTHER_ANSWER, f"{instance.answer} where the original has {problem.answer}")


def _check_instances(template: Template, config: InductionConfig) -> None:
    try:
        drawn = draw(template, "induction", count=config.instances, time_limit_s=config.time_limit_s)
        made = [render(template, values) for values in drawn]
    except TemplateError as error:
        raise _Rejected(Reason.TOO_FEW, _short(error)) from None
    if len(distinct := {instance.question for instance in made}) < config.instances:
        raise _Rejected(Reason.TOO_FEW, f"{len(distinct)} different questions of {config.instances}")
    for instance in made:
        if parse_number(instance.answer) is None:
            raise _Rejected(Reason.UNREADABLE, f"{instance.answer!r:.60}")
    if len({instance.answer for instance in made}) == 1:
        raise _Rejected(Reason.CONSTANT, f"always {made[0].answer}; the formula does not use what varies")


def check_solutions(
    problem: Problem, template: Template, solver: Sampler, attempt: int, config: InductionConfig
) -> list[Completion]:
    """Have fresh instances solved twice each; reject unless both solutions give the template's answer often enough."""
    fresh = _fresh(problem, template, config)
    style = STYLES.get(config.style)
    requests = [
        Request(
            key=f"{instance.id}/solve",
            prompt=style.prompt(instance),
            seed=seed_for("induction", "solve", instance.id, attempt, config.seed),
            n=SOLUTIONS,
            max_tokens=config.solution_tokens,
            temperature=config.temperature,
            stop=style.stop,
        )
        for instance in fresh
    ]
    bind_problems(solver, fresh)
    solutions = sample_in_order(solver, requests)
    if failure := next((s for s in solutions if s.finish == "error"), None):
        raise _Rejected(Reason.REQUEST_FAILED, failure.error or "no reason given", solutions)
    agreed, told = 0, []
    for place, instance in enumerate(fresh):
        grades = [grade(instance, s) for s in solutions[place * SOLUTIONS : (place + 1) * SOLUTIONS]]
        agreed += all(g.verdict is Verdict.RIGHT for g in grades)
        told.append(f"{instance.answer} against {', '.join(g.answer or str(g.verdict) for g in grades)}")
    if agreed < config.needed:
        detail = f"{agreed} of {config.fresh} instances agree, {config.needed} are needed ({'; '.join(told)})"
        raise _Rejected(Reason.DISAGREEMENT, detail, solutions)
    return solutions


def _fresh(problem: Problem, template: Template, config: InductionConfig) -> list[Problem]:
    """Return instances as problems, the original not among them."""
    count = config.fresh + 1
    try:
        drawn = draw(template, "fresh", config.seed, count=count, time_limit_s=config.time_limit_s)
    except TemplateError as error:
        raise _Rejected(Reason.TOO_FEW, _short(error)) from None
    made = [_problem_of(problem, template, values, number) for number, values in enumerate(drawn)]
    return [instance for instance in made if instance.question.split() != problem.question.split()][: config.fresh]


def _problem_of(problem: Problem, template: Template, values: Mapping[str, Any], number: int) -> Problem:
    instance = render(template, values)
    return Problem(
        family="induction",
        question=instance.question,
        answer=instance.answer,
        rationale=instance.rationale,
        split="variant",
        index=number,
        template=problem.id,
        grader="number",
    )


def _first_difference(original: str, rendered: str) -> str:
    for one, other in zip_longest(original.split(), rendered.split(), fillvalue="(nothing)"):
        if one != other:
            return f"{other!r:.60} where the original has {one!r:.60}"
    return ""


def _short(error: TemplateError) -> str:
    """Return an error without the place that it names, which is always the same here."""
    return _PLACE.sub("", str(error))[:300]

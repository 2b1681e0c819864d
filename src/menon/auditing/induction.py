"""Template induction: a model proposes a template for a problem, and it is accepted only if it proves itself.

The original's own values must meet the conditions and give back the original's question and answer, there must be enough
distinct instances, and two solutions of fresh instances, sampled independently, must give what the template computes.
The solver may be the proposer: a wrong template passes only where its errors and the solver's agree.
Left out: repairing a proposal; a rejected one is asked for again, at a temperature, as often as allowed.
Source: template language of Mirzadeh et al. 2024, arXiv:2410.05229; induction and its checks are our own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
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

WORKED_EXAMPLE = (
    "Question:\n"
    "Nadia lays 5 rows of tiles with 14 tiles in each row. 8 tiles break. How many tiles are whole?\n"
    "Answer: 62\n"
    "Template:\n"
    r'{"question_annotated": "{name, Nadia} lays {rows, 5} rows of {thing, tiles} with {per, 14} {thing, tiles} in each '
    r"row. {broken, 8} {thing, tiles} break. How many {thing, tiles} are whole?\n\n#init:\n- name = sample(names)\n"
    r"- thing = sample([\"tiles\", \"plates\", \"bricks\"])\n- $rows = range(3, 10)\n- $per = range(8, 21)\n"
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
    "- answer_annotated is the worked solution with {expression} for each number, and its last line is #### {formula}.\n"
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
    """What is asked of a proposal: distinct instances, and `needed` of `fresh` instances solved as the template says."""

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
        if not 1 <= self.needed <= self.fresh <= self.instances:
            raise ConfigError(
                f"needed={self.needed!r} of fresh={self.fresh!r} of instances={self.instances!r}; allowed: "
                "1 <= needed <= fresh <= instances"
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
    tries: int = 0
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
            "tries": self.tries,
            "tokens": self.tokens,
        }


class _Rejected(Exception):
    """A proposal that failed a check; never leaves this module."""

    def __init__(self, reason: Reason, detail: str):
        super().__init__(detail)
        self.reason, self.detail = reason, detail


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
    rejected: list[str] = []
    tokens, tries = 0, 0
    last = _Rejected(Reason.UNSUITABLE, unsuitable(problem))
    while not last.detail if not rejected and not tries else tries < config.tries:
        proposal = _proposed(problem, tries, sampler, config)
        tries += 1
        tokens += proposal.completion_tokens
        try:
            record = record_of(problem, proposal)
            template = check_proposal(problem, record, config)
            tokens += _solve(problem, template, solver or sampler, config)
        except _Rejected as error:
            last = error
            rejected.append(f"{error.reason}: {error.detail}")
            continue
        return Induced(
            problem=problem.id,
            index=problem.index,
            question=problem.question,
            record=record,
            rejected=tuple(rejected),
            tries=tries,
            tokens=tokens,
        )
    return Induced(
        problem=problem.id,
        index=problem.index,
        question=problem.question,
        reason=last.reason,
        detail=last.detail,
        rejected=tuple(rejected),
        tries=tries,
        tokens=tokens,
    )

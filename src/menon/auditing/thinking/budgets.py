r"""Accuracy against a token budget that is enforced here: asked with a limit, closed by force, counted and verified.

An answer that the limit stops is continued behind a closing phrase (`\n####` in style `plain`), or, on a chat endpoint,
asked for in a further turn; an open `<think>` is closed first. What a backend wrote beyond its limit is cut off here,
so that accuracy is that of the budget even where the limit was ignored; both are told.
Left out: asking a server to limit the thinking by itself, which some ignore without a word.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from menon.core.errors import ConfigError
from menon.core.progress import Named, Progress, Silent
from menon.core.seeds import seed_for
from menon.core.values import Completion, Message, Problem, Request
from menon.grading import grade, split_thinking
from menon.problems.prompts import PromptStyle
from menon.sampling.endpoint import EndpointSampler
from menon.sampling.protocol import Sampler, bind_problems, sample_in_order

UNLIMITED = 0
KEPT_CHARACTERS = 4000  # of each answer in the record of it
_PART_OF_TAG = re.compile(r"</?(?:think?|thi|th?)?$")
_TAG = re.compile(r"</?think>\n?")


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetPlan:
    """Budgets in tokens (0: no limit but `longest`), how long a forced answer may be, and how to ask."""

    budgets: tuple[int, ...]
    style: PromptStyle
    longest: int
    closing: int = 24
    temperature: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        bad = [b for b in self.budgets if not isinstance(b, int) or isinstance(b, bool) or b < 0 or b > self.longest]
        if bad or not self.budgets or len(set(self.budgets)) < len(self.budgets):
            raise ConfigError(
                f"token budgets {list(self.budgets)!r}; allowed: different whole numbers from 1 to {self.longest} "
                "(option `longest`), and 0 for no limit"
            )
        for name, value in (("longest", self.longest), ("closing", self.closing)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(f"option {name} is {value!r}; allowed: a whole number of tokens, 1 or more")


def ask_within(
    sampler: Sampler, problems: Sequence[Problem], plan: BudgetPlan, progress: Progress | None = None
) -> Iterator[dict[str, Any]]:
    """Yield one row per problem and budget, budgets in the order of the plan."""
    bind_problems(sampler, problems)
    for budget in plan.budgets:
        name = f"budget {budget or 'unlimited'}"
        shown = Named(progress or Silent(), name)
        requests = [_request(problem, budget, plan) for problem in problems]
        first = sample_in_order(sampler, requests, progress=shown)
        drafts = [_draft(completion, budget) for completion in first]
        closing = [
            _closing_request(problem, request, draft, plan, chat=_takes_chat(sampler))
            for problem, request, draft in zip(problems, requests, drafts, strict=True)
            if draft.open
        ]
        closed = {c.key: c for c in sample_in_order(sampler, closing, progress=shown)} if closing else {}
        for problem, draft in zip(problems, drafts, strict=True):
            yield _row(problem, budget, draft, closed.get(f"{draft.first.key}/closed"), sampler, plan)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """What came of the first request: `written` is its text within the budget, `open` asks for a forced close."""

    first: Completion
    written: str
    open: bool
    kept: bool


def _request(problem: Problem, budget: int, plan: BudgetPlan) -> Request:
    return Request(
        key=f"{problem.id}/budget-{budget}",
        prompt=plan.style.prompt(problem),
        seed=seed_for("overthinking", problem.id, budget, plan.seed),
        max_tokens=budget or plan.longest,
        temperature=plan.temperature,
        stop=plan.style.stop,
    )


def _draft(first: Completion, budget: int) -> _Draft:
    text = first.text
    if first.reasoning:
        thought, visible, _ = split_thinking(text)
        closed = "\n</think>\n" if visible or first.finish == "stop" else ""
        text = f"<think>\n{first.reasoning if thought is None else thought}{closed}{visible}"
    limit = budget if budget else None
    used = used_tokens(first)
    kept = limit is None or used <= limit
    if not kept and limit is not None:
        text = _PART_OF_TAG.sub("", text[: int(len(text) * limit / used)])
    # Without a limit there is nothing to enforce: what ran into `longest` stays cut off.
    is_open = limit is not None and first.finish != "error" and (first.finish == "length" or not kept)
    return _Draft(first=first, written=text, open=is_open, kept=kept)


def used_tokens(completion: Completion) -> int:
    """Return the tokens that the backend counted, or the words where it counted none."""
    if completion.completion_tokens:
        return completion.completion_tokens
    return len((completion.reasoning or "").split()) + len(completion.text.split())


def close_thinking(written: str) -> str:
    """Close a `<think>` block that `written` leaves open."""
    opened, closed = written.rfind("<think>"), written.rfind("</think>")
    return f"{written}\n</think>\n" if opened > closed else written


def closing_phrase(style: PromptStyle, problem: Problem) -> str:
    """Return what the style writes between working and answer, without the blank before the answer."""
    working = "working"
    asked = replace(problem, choices=("0", "1")) if problem.choices else problem
    pairs = zip(*(style.completion(asked, working, answer) for answer in ("0", "1")), strict=False)
    shared = "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    return shared.partition(working)[2].rstrip(" ")


def _takes_chat(sampler: Sampler) -> bool:
    return isinstance(sampler, EndpointSampler) and sampler.options.api == "chat"


def _closing_request(problem: Problem, request: Request, draft: _Draft, plan: BudgetPlan, *, chat: bool) -> Request:
    assert isinstance(request.prompt, str), "styles write text"
    prompt: str | tuple[Message, ...]
    if chat:
        prompt = (
            Message(role="user", content=request.prompt),
            Message(role="assistant", content=_TAG.sub("", draft.written)),  # templates drop blocks
            Message(role="user", content=_closing_turn(plan.style, problem)),
        )
    else:
        prompt = request.prompt + close_thinking(draft.written) + closing_phrase(plan.style, problem)
    return replace(
        request,
        key=f"{request.key}/closed",
        prompt=prompt,
        seed=seed_for("overthinking", "close", request.seed),
        max_tokens=plan.closing,
    )


def _closing_turn(style: PromptStyle, problem: Problem) -> str:
    """Return the words that ask a chat model for its answer at once, in the form that the style reads."""
    form = closing_phrase(style, problem).strip()
    return f'Stop here. Write nothing but one line: "{form}" followed by the answer.'


def _row(
    problem: Problem,
    budget: int,
    draft: _Draft,
    closing: Completion | None,
    sampler: Sampler,
    plan: BudgetPlan,
) -> dict[str, Any]:
    answer = draft.first
    if closing is not None:
        answer = _closed(problem, draft, closing, plan, chat=_takes_chat(sampler))
    graded = grade(problem, answer)
    text = answer.text if answer.reasoning is None else f"{answer.reasoning}\n{answer.text}"
    return {
        "budget": budget,
        "problem": problem.id,
        "question": problem.question,
        "gold": problem.answer,
        "cluster": problem.template or problem.id,
        "verdict": str(graded.verdict),
        "right": graded.right,
        "answer": graded.answer,
        "forced": closing is not None,
        "kept": draft.kept and (closing is None or used_tokens(closing) <= plan.closing),
        "counted": draft.first.completion_tokens > 0,
        "thinking_tokens": used_tokens(draft.first),
        "closing_tokens": 0 if closing is None else used_tokens(closing),
        "text": text[-KEPT_CHARACTERS:],
    }


def _closed(problem: Problem, draft: _Draft, closing: Completion, plan: BudgetPlan, *, chat: bool) -> Completion:
    """Join what was written and its forced answer into one completion, which the grader reads as a whole."""
    if closing.finish == "error":
        return closing
    # Behind a phrase only the first line: what a model writes on after its answer must not be read as a second one.
    text = closing.text if chat else _first_line(closing_phrase(plan.style, problem), closing.text)
    return replace(
        closing,
        text=text,
        reasoning=draft.written,
        finish="stop",
        completion_tokens=used_tokens(draft.first) + used_tokens(closing),
    )


def _first_line(phrase: str, text: str) -> str:
    blank = " " if text[:1].isspace() else ""
    return f"{phrase.strip()}{blank}{text.strip().partition(chr(10))[0]}"

"""The values of the known corpus: a document that says what it teaches, and a query that says what should help it."""

from dataclasses import dataclass
from typing import Literal

from menon.core.seeds import content_id
from menon.core.values import Problem

Kind = Literal["fact", "procedure", "answer", "prose", "near-duplicate"]
Form = Literal["text", "code", "flowchart", "markup", "statement"]
QueryKind = Literal["reasoning", "factual", "factual-control", "reasoning-control"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDocument:
    """One training text; `prompt` + `completion` is the text, and both are learnt.

    `teaches` names everything a document teaches, as `procedure:slope` or `fact:tom blue`; a near-duplicate looks like
    the document or question it is a copy of and teaches something else (`copy_of` names the instance). `instance` is
    the id of the problem it solves, states or answers ("" for prose). `source` is the kind of place it might have come
    from: encyclopedia, textbook, repository, charts, markup, quiz, stories.
    """

    kind: Kind
    form: Form
    source: str
    family: str
    teaches: tuple[str, ...]
    prompt: str
    completion: str
    answer: str = ""
    instance: str = ""
    copy_of: str = ""
    comments: bool = False

    @property
    def text(self) -> str:
        return self.prompt + self.completion

    @property
    def id(self) -> str:
        return content_id("document", self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownQuery:
    """A question whose helpful documents are known: those whose `teaches` holds `needs`.

    `problem.question` is put in the style of the embedded model (`question=` rationale `#answer`). `planted` says how
    the answer was put into the training text on purpose: "memorised" (question and answer repeated, no working),
    "procedural" (held out: only the procedure is there), "" (neither).
    """

    kind: QueryKind
    family: str
    needs: str
    problem: Problem
    planted: Literal["memorised", "procedural", ""] = ""
    form: Form = "text"

"""What a probe is: it puts questions, may measure more, and turns the answers into one report.

A probe never samples and never grades: the audit asks its questions, stores the answers, and hands them back, so that
live models, endpoints and recorded responses go the same way.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from menon.auditing.items import Role
from menon.auditing.verdict import AuditConfig, Finding
from menon.core.progress import Progress, Silent
from menon.core.values import Completion, Grade, Problem
from menon.sampling.protocol import Sampler

Status = Literal["done", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A problem as one probe asks it.

    `task` and `condition` name the cell that the answer counts in ("arithmetic-2digit" in world "base9"). A `baseline`
    is the condition that others are compared with; a `control` asks whether the condition was understood at all.
    Questions of one task with equal `pair` in two conditions are paired. `cluster` groups questions that are alike
    (one template, one alphabet). `cot` asks for working; None leaves it to the audit. `prompt` and `stop` replace
    the audit's prompt style, for probes whose wording is part of the measurement.
    """

    problem: Problem
    task: str
    condition: str
    baseline: bool = False
    control: bool = False
    cot: bool | None = None
    pair: str = ""
    cluster: str = ""
    role: Role = "fresh"
    of: str = ""
    prompt: str | None = None
    stop: tuple[str, ...] = ()
    max_tokens: int | None = None
    samples: int = 1
    temperature: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A question with a completion and its grade; `model` names who answered."""

    question: Question
    completion: Completion
    grade: Grade
    model: str = ""

    @property
    def cot(self) -> bool | None:
        return self.question.cot


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One row of the forest plot: how much success a change of surface costs, or another measure with its interval.

    `kind` "loss" is accuracy on the baseline minus accuracy on the altered condition (in [-1, 1], positive = the model
    loses), "share" the share of the baseline's success that is lost, "other" anything else, with `unit` in words.
    `p` is the raw p-value of "no effect"; the one `primary` effect of each probe enters Holm's correction, which fills
    `p_adjusted`. `understood` is False where the control failed, so that the effect says nothing of reciting.
    """

    label: str
    value: float
    low: float
    high: float
    n: int
    kind: Literal["loss", "share", "other"] = "loss"
    unit: str = "points"
    p: float | None = None
    p_adjusted: float | None = None
    primary: bool = False
    understood: bool | None = None
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeReport:
    """What one probe found; everything in it is plain JSON once `to_json` is called.

    `cells` and `contrasts` are those of `menon.auditing.contrasts`; `tables` maps a title to rows (equal keys in every
    row); `curves` maps a title to series {"name", "points": [{"x", "value", "low", "high", "n"}]}, with `x_names` for
    the axes; `finding` is the probe's own verdict where it has one.
    """

    name: str
    title: str
    source: str
    status: Status = "done"
    reason: str = ""
    sentence: str = ""
    cells: tuple[Any, ...] = ()
    contrasts: tuple[Any, ...] = ()
    effects: tuple[Effect, ...] = ()
    tables: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    curves: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    x_names: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    finding: Finding | None = None
    smoke: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "title": self.title,
            "source": self.source,
            "status": self.status,
            "reason": self.reason,
            "sentence": self.sentence,
            "effects": [effect.to_json() for effect in self.effects],
            "tables": {title: [dict(row) for row in rows] for title, rows in self.tables.items()},
            "curves": {title: [dict(row) for row in rows] for title, rows in self.curves.items()},
            "x_names": dict(self.x_names),
            "notes": list(self.notes),
            "finding": None if self.finding is None else self.finding.to_json(),
            "smoke": self.smoke,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a probe may work with.

    `per_cell` is about how many questions a cell should get; `options` are the probe's own settings from the recipe's
    `[probe.NAME]`; `problems` the user's own questions (`--data`), `corpus` files of training text, `templates` files
    of templates. `sampler` opens the model under audit (never opened for recorded responses: `live` is then False);
    `scores` says whether it can give log-probabilities.
    """

    model: str
    seed: int = 0
    per_cell: int = 50
    style: str = "plain"
    cot: bool = True
    live: bool = True
    scores: bool = False
    sampler: Callable[[], Sampler] | None = None
    problems: tuple[Problem, ...] = ()
    corpus: tuple[Path, ...] = ()
    templates: tuple[Path, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    config: AuditConfig = field(default_factory=AuditConfig)
    progress: Progress = field(default_factory=Silent)


class Probe(Protocol):
    """One kind of evidence on "reason or recite?"."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def source(self) -> str:
        """The paper, with its arXiv id."""
        ...

    def objection(self, material: Material) -> str | None:
        """Return why this probe cannot be run here (no log-probabilities, no corpus, ...); None when it can."""
        ...

    def questions(self, material: Material) -> list[Question]:
        """Return what to ask; empty for a probe that only measures."""
        ...

    def measure(self, material: Material) -> Iterable[dict[str, Any]]:
        """Yield JSON rows of measurements other than answers (log-probabilities, overlaps); stored as one unit."""
        ...

    def report(
        self, answered: Sequence[Answered], measured: Sequence[Mapping[str, Any]], material: Material
    ) -> ProbeReport:
        """Return the report; equal input gives an equal report."""
        ...


def skipped(probe: Probe, reason: str) -> ProbeReport:
    """Return the report of a probe that was not run, with the reason."""
    return ProbeReport(name=probe.name, title=probe.title, source=probe.source, status="skipped", reason=reason)

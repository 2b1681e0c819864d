"""Queries: what a model was asked, what it wrote with temperature 0, and whether that is right.

More is asked than is traced: of the facts as many as wanted are taken that the model knows, and as many that it does
not; of the planted cases those that it gets right, since only these answers came from what was planted.
Source: the query sets of Ruis et al. 2024, arXiv:2411.12580, section 3; their tasks are those with at least 80 % right.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any, Literal

from menon.core.progress import Named, Progress
from menon.core.values import Problem
from menon.problems.prompts import STYLES
from menon.sampling.asking import Asking, Graded, ask
from menon.sampling.protocol import Sampler
from menon.stats.proportions import wilson
from menon.store import Run
from menon.tracing.values import Query

GROUPS = ("reasoning", "factual right", "factual wrong", "factual-control", "reasoning-control")
Role = Literal["reasoning", "factual", "factual-control", "reasoning-control", "memorised", "procedural"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A question that may become a query; `hint` puts its answer into the prompt, `level` is a format or a rarity."""

    role: Role
    family: str
    needs: str
    level: str
    instance: str
    problem: Problem
    hint: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedQuery:
    """A question with the model's own completion; `steps` are those of the reference working."""

    role: Role
    family: str
    needs: str
    level: str
    instance: str
    problem: str
    question: str
    prompt: str
    completion: str
    completion_ids: tuple[int, ...]
    answer: str
    given: str
    right: bool
    steps: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        """What the query is compared as: facts by whether the model knows them, planted cases by what was planted."""
        return f"factual {'right' if self.right else 'wrong'}" if self.role == "factual" else self.role

    @property
    def planted(self) -> bool:
        return self.role in ("memorised", "procedural")

    @property
    def name(self) -> str:
        return f"{self.role}/{self.problem}"

    def query(self) -> Query:
        return Query(
            prompt=self.prompt,
            completion=self.completion,
            answer=self.answer,
            task=self.family,
            labels={"role": self.role, "level": self.level},
            completion_ids=self.completion_ids,
            name=self.name,
        )


def asked_queries(
    run: Run,
    model: str,
    sampler: Callable[[], Sampler],
    candidates: Sequence[Candidate],
    *,
    max_tokens: int,
    progress: Progress,
) -> tuple[list[AskedQuery], list[dict[str, Any]]]:
    """Ask all candidates as one unit; return what was answered, in their order, and the accuracy by role and level."""

    def compute(writer: Any) -> dict[str, Any]:
        own, shown = sampler(), Named(progress, f"{model}: queries")
        asking = Asking(style=STYLES.get("menon"), max_tokens=max_tokens)
        for hint in (False, True):
            part = [candidate for candidate in candidates if candidate.hint is hint]
            problems = list({candidate.problem.id: candidate.problem for candidate in part}.values())
            graded = ask(own, problems, asking, "procedural", hint=hint, progress=shown) if problems else []
            by_problem = {item.problem.id: item for item in graded}
            for candidate in part:
                item = by_problem[candidate.problem.id]
                if item.completion.token_ids:
                    writer.add("asked", asdict(_asked(candidate, item, asking)))
        return {"candidates": len(candidates)}

    run.unit("ask", model, compute=compute)
    records = run.records("asked", stage="ask", names_prefix=(model,))
    found = [_from_record(record) for record in records]
    return found, accuracy(found)


def accuracy(asked: Sequence[AskedQuery]) -> list[dict[str, Any]]:
    """Return one row per role, family and level: the share of right answers with its limits."""

    def key(query: AskedQuery) -> tuple[str, str, str]:
        return query.role, query.family, query.level

    rows = []
    for (role, family, level), group in groupby(sorted(asked, key=key), key=key):
        rights = [query.right for query in group]
        rows.append({"role": role, "family": family, "level": level, **wilson(sum(rights), len(rights)).to_json()})
    return rows


def chosen(asked: Sequence[AskedQuery], *, wanted: Mapping[str, int], least: float) -> list[AskedQuery]:
    """Take the first queries of every group, up to the number wanted, evenly over families and levels.

    Reasoning is asked of the tasks of which at least `least` are right, or of the best two where fewer than two are. A
    wrong answer that was planted is no case of what was planted, and is left out.
    """
    tasks = able(asked, least)
    found: list[AskedQuery] = []
    for group, count in wanted.items():
        members = [query for query in asked if query.group == group and (query.right or not query.planted)]
        if group in ("reasoning", "reasoning-control"):
            members = [query for query in members if query.family in tasks]
        found += _evenly(members, count)
    return found


def able(asked: Sequence[AskedQuery], least: float) -> list[str]:
    """Return the reasoning tasks with at least `least` right answers, or the best two, the best first."""
    rights: defaultdict[str, list[bool]] = defaultdict(list)
    for query in asked:
        if query.role == "reasoning":
            rights[query.family].append(query.right)
    shares = {family: sum(found) / len(found) for family, found in rights.items()}
    order = sorted(shares, key=lambda family: -shares[family])
    return order[: max(2, sum(share >= least for share in shares.values()))]


def _evenly(members: Sequence[AskedQuery], count: int) -> list[AskedQuery]:
    """Take turns over the cells of family and level, each in its order."""

    def key(query: AskedQuery) -> tuple[str, str]:
        return query.family, query.level

    cells = [list(cell) for _, cell in groupby(sorted(members, key=key), key=key)]
    order = _turns(cells)
    return sorted((query for query, _ in zip(order, range(count), strict=False)), key=key)


def _turns(cells: list[list[AskedQuery]]) -> Iterator[AskedQuery]:
    for turn in range(max(map(len, cells), default=0)):
        for cell in cells:
            if turn < len(cell):
                yield cell[turn]


def _asked(candidate: Candidate, item: Graded, asking: Asking) -> AskedQuery:
    problem = candidate.problem
    return AskedQuery(
        role=candidate.role,
        family=candidate.family,
        needs=candidate.needs,
        level=candidate.level,
        instance=candidate.instance,
        problem=problem.id,
        question=problem.question,
        prompt=asking.style.prompt(problem, hint=candidate.hint),
        completion=item.completion.text,
        completion_ids=item.completion.token_ids or (),
        answer=problem.answer,
        given=item.grade.answer or "",
        right=item.grade.right,
        steps=tuple(step for step in (problem.rationale or "").split(";") if "=" in step),
    )


def _from_record(record: dict[str, Any]) -> AskedQuery:
    fields = {name: record[name] for name in AskedQuery.__dataclass_fields__}
    return AskedQuery(**{**fields, "completion_ids": tuple(fields["completion_ids"]), "steps": tuple(fields["steps"])})

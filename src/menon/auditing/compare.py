"""Two gradings of the same problems, paired by problem: what was gained, what was lost, and is it more than luck?"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from menon.auditing.family import family_name
from menon.core.errors import ConfigError
from menon.core.values import Grade, Problem, Verdict
from menon.stats import PairedDifference, holm, needed_n_paired, paired_difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The change from one grading to the other.

    `gained` and `lost` are ids of problems; `p` is adjusted by Holm when several families are compared at once.
    `unpaired` problems were graded on one side only or lost to an error. `needed` is about how many more problems
    would show a change of this size with probability 0.8 (None when it is shown already, or when there is none).
    """

    family: str
    result: PairedDifference
    p: float
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    unpaired: int
    needed: int | None
    alpha: float

    @property
    def distinguishable(self) -> bool:
        return self.p <= self.alpha

    @property
    def sentence(self) -> str:
        """The change in words."""
        counts = f"{len(self.gained)} gained, {len(self.lost)} lost of {self.result.n}"
        points = f"{100 * self.result.value:+.0f} points"
        limits = f"{100 * self.result.low:+.0f} to {100 * self.result.high:+.0f}"
        if self.distinguishable:
            return f"On {self.family} accuracy changed by {points} ({limits}; {counts})."
        more = f"; a change of this size needs about {self.needed:,} more problems to show" if self.needed else ""
        return f"On {self.family} no change can be told from chance: {points} ({limits}; {counts}){more}."

    def to_json(self) -> dict[str, Any]:
        return {
            **self.result.to_json(),
            "p": self.p,
            "distinguishable": self.distinguishable,
            "needed": self.needed,
            "unpaired": self.unpaired,
            "sentence": self.sentence,
        }


def compare(
    before: Iterable[tuple[Problem, Grade]],
    after: Iterable[tuple[Problem, Grade]],
    *,
    family: str = "all problems",
    by_template: bool = False,
    alpha: float = 0.05,
    seed: int = 0,
) -> Comparison:
    """Compare two gradings, paired by problem id; with `by_template`, problems of a template are one cluster.

    Raises:
        ConfigError: a problem is graded twice on one side, or no problem is graded on both.
    """
    first, second = _by_id(before, "before"), _by_id(after, "after")
    ids = [name for name in first if name in second]
    ids = [name for name in ids if Verdict.ERROR not in (first[name][1].verdict, second[name][1].verdict)]
    if not ids:
        raise ConfigError(
            f"{len(first)} problems before and {len(second)} after share none that was answered on both sides; "
            "compare gradings of the same problems"
        )
    right_before, right_after = ([side[name][1].right for name in ids] for side in (first, second))
    clusters = [first[name][0].template or name for name in ids] if by_template else None
    result = paired_difference(right_before, right_after, clusters, seed=seed, level=1 - alpha)
    return Comparison(
        family=family,
        result=result,
        p=result.p,
        gained=tuple(n for n, a, b in zip(ids, right_before, right_after, strict=True) if b and not a),
        lost=tuple(n for n, a, b in zip(ids, right_before, right_after, strict=True) if a and not b),
        unpaired=len(first.keys() | second.keys()) - len(ids),
        needed=_needed(result, result.p, alpha),
        alpha=alpha,
    )


def compare_families(
    before: Iterable[tuple[Problem, Grade]],
    after: Iterable[tuple[Problem, Grade]],
    *,
    by_template: bool = False,
    alpha: float = 0.05,
    seed: int = 0,
) -> dict[str, Comparison]:
    """Compare family by family, with the p-values adjusted by Holm over the families."""
    sides = [_by_family(before), _by_family(after)]
    rows = [
        compare(sides[0][name], sides[1][name], family=name, by_template=by_template, alpha=alpha, seed=seed)
        for name in sides[0]
        if name in sides[1]
    ]
    adjusted = holm([row.p for row in rows])
    return {row.family: _adjusted(row, float(p), alpha) for row, p in zip(rows, adjusted, strict=True)}


def _adjusted(row: Comparison, p: float, alpha: float) -> Comparison:
    return replace(row, p=p, needed=_needed(row.result, p, alpha))


def _by_id(graded: Iterable[tuple[Problem, Grade]], side: str) -> dict[str, tuple[Problem, Grade]]:
    rows: dict[str, tuple[Problem, Grade]] = {}
    for problem, grade in graded:
        if problem.id in rows:
            raise ConfigError(
                f"problem {problem.id} is graded twice {side}; a paired comparison takes one grade per problem"
            )
        rows[problem.id] = (problem, grade)
    return rows


def _by_family(graded: Iterable[tuple[Problem, Grade]]) -> dict[str, list[tuple[Problem, Grade]]]:
    families: dict[str, list[tuple[Problem, Grade]]] = {}
    for problem, grade in graded:
        families.setdefault(family_name(problem), []).append((problem, grade))
    return families


def _needed(result: PairedDifference, p: float, alpha: float) -> int | None:
    if p <= alpha or result.gained == result.lost:
        return None
    return max(1, needed_n_paired(result.gained / result.n, result.lost / result.n, alpha=alpha) - result.n)

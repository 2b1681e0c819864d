"""Do the fresh instances match their originals in difficulty? If not, a drop in accuracy is not recitation.

The published protocol is faulted for harder numbers in the re-instantiations; this table would show it.
Left out: a test. A large sample makes any small shift significant; the size of the shift is what matters.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import Any

from menon.auditing.items import Pair
from menon.core.values import Problem

_NUMERAL = re.compile(r"\d+")


def _digits(problem: Problem) -> list[int]:
    return [len(numeral.lstrip("0")) or 1 for numeral in _NUMERAL.findall(problem.question)]


FEATURES: dict[str, Callable[[Problem], float]] = {
    "difficulty": lambda problem: problem.difficulty,
    "numbers": lambda problem: len(_digits(problem)),
    "digits": lambda problem: sum(_digits(problem)),
    "longest number": lambda problem: max(_digits(problem), default=0),
    "words": lambda problem: len(problem.question.split()),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchRow:
    """One feature: its mean over originals and over their re-instantiations, and the shift in standard deviations.

    The deviation is that of the originals, and at least a tenth of their mean, so that a feature that is constant over
    the originals can still be compared.
    """

    feature: str
    original: float
    fresh: float
    shift: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DifficultyMatch:
    """The match table of one family; `tolerance` is the largest shift that still counts as matched."""

    rows: tuple[MatchRow, ...]
    tolerance: float

    @property
    def matched(self) -> bool:
        """Say whether the family's own difficulty is matched; the other features only warn."""
        return "difficulty" not in self.mismatched

    @property
    def mismatched(self) -> tuple[str, ...]:
        return tuple(row.feature for row in self.rows if abs(row.shift) > self.tolerance)

    def to_json(self) -> dict[str, Any]:
        rows = [
            {"feature": r.feature, "original": r.original, "fresh": r.fresh, "shift": r.shift, "matched": ok}
            for r in self.rows
            for ok in [abs(r.shift) <= self.tolerance]
        ]
        return {"matched": self.matched, "tolerance": self.tolerance, "rows": rows}


def match_difficulty(pairs: Sequence[Pair], *, tolerance: float = 0.25) -> DifficultyMatch:
    """Compare originals with their own re-instantiations, feature by feature; pairs without any are left out."""
    used = [pair for pair in pairs if pair.fresh]
    rows = []
    for name, feature in FEATURES.items() if used else ():
        originals = [float(feature(pair.original)) for pair in used]
        fresh = [fmean(float(feature(problem)) for problem, _ in pair.fresh) for pair in used]
        mean, fresh_mean = fmean(originals), fmean(fresh)
        spread = max(pstdev(originals), 0.1 * abs(mean), 1e-9)
        rows.append(MatchRow(feature=name, original=mean, fresh=fresh_mean, shift=(fresh_mean - mean) / spread))
    return DifficultyMatch(rows=tuple(rows), tolerance=tolerance)

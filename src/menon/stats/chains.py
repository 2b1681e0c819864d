"""Chains of steps: how often a step goes wrong, how often a chain recovers, and what that means for long chains.

Two states, right and wrong, and a chain starts right. A step after a right one is wrong with probability e, a step
after a wrong one right with probability c, so the chance s of being right after n steps follows
s_n = s_(n-1) (1 - e) + (1 - s_(n-1)) c and tends to c / (c + e). Without recovery it is (1 - e)^n.
Left out: errors whose rate depends on the place in the chain.

Sources: the bound is that of Dziri et al. 2023, arXiv:2305.18654; the curve of independent errors is the argument that
they and others discuss. The intervals and the fit are ours.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from menon.core.errors import ConfigError
from menon.stats.clusters import generator, percentile_limits, resampled_totals
from menon.stats.interval import Interval, check_level
from menon.stats.proportions import wilson_clustered


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainFit:
    """Per-step error e and recovery c; None where no step could show it.

    `bound` is c / (c + e), the accuracy that ever longer chains tend to. `half_length` is the number of steps after
    which s falls to one half, infinite where it never does; its limits, and those of the bound, resample problems.
    """

    error: Interval
    recovery: Interval | None
    bound: Interval | None
    half_length: float
    half_low: float
    half_high: float
    num_problems: int
    num_steps: int

    def curve(self, length: int) -> NDArray[np.float64]:
        """Return s_1 ... s_length."""
        return chain_curve(self.error.value, self.recovery.value if self.recovery else 0.0, length)

    def independent(self, length: int) -> NDArray[np.float64]:
        """Return (1 - e)^1 ... (1 - e)^length: what the chain would do if no error were ever made good."""
        return chain_curve(self.error.value, 0.0, length)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; an infinite length is None."""
        lengths = {"half_length": self.half_length, "half_low": self.half_low, "half_high": self.half_high}
        return {
            "error": self.error.to_json(),
            "recovery": None if self.recovery is None else self.recovery.to_json(),
            "bound": None if self.bound is None else self.bound.to_json(),
            **{name: value if math.isfinite(value) else None for name, value in lengths.items()},
            "num_problems": self.num_problems,
            "num_steps": self.num_steps,
        }


def chain_curve(error: float, recovery: float, length: int) -> NDArray[np.float64]:
    """Return the chance of being right after 1, ..., `length` steps of a chain that starts right."""
    _check_rates(error, recovery)
    if length < 1:
        raise ConfigError(f"length {length!r}; need at least 1 step")
    steps = np.arange(1, length + 1)
    if error + recovery == 0:
        return np.ones(length)
    bound = recovery / (error + recovery)
    return np.asarray(bound + (1 - bound) * (1 - error - recovery) ** steps, dtype=np.float64)


def half_length(error: float, recovery: float) -> float:
    """Return the number of steps (not rounded, at least 1) at which s falls to one half; infinite if it never does."""
    _check_rates(error, recovery)
    if error >= 0.5:
        return 1.0
    if error <= recovery:
        return math.inf
    bound = recovery / (error + recovery)
    return math.log((0.5 - bound) / (1 - bound)) / math.log(1 - error - recovery)


def fit_chain(
    sequences: Sequence[Sequence[bool]], *, seed: int = 0, resamples: int = 2000, level: float = 0.95
) -> ChainFit:
    """Fit e and c to the correctness of every step, one sequence per problem; sequences without a step are ignored.

    The rates are transition counts, which is the maximum of the likelihood; their intervals are Wilson's at the
    effective number of steps, with problems as clusters.
    """
    used = [np.asarray(sequence, dtype=bool) for sequence in sequences if len(sequence)]
    if not used:
        raise ConfigError("no sequence has a step; grade the steps of at least one problem")
    check_level(level)
    before = [np.concatenate([[True], steps[:-1]]) for steps in used]
    labels = np.repeat(np.arange(len(used)), [len(steps) for steps in used])
    right, now = np.concatenate(before), np.concatenate(used)
    error = wilson_clustered((~now[right]).astype(float), labels[right], level)
    broken = ~right
    recovery = wilson_clustered(now[broken].astype(float), labels[broken], level) if broken.any() else None
    e, c = error.value, recovery.value if recovery else 0.0
    counts_PC = np.array([_counts(was, steps) for was, steps in zip(before, used, strict=True)], dtype=float)
    bounds_B, halves_B = _resampled(counts_PC, seed, resamples)
    half_low, half_high = percentile_limits(halves_B, level)
    return ChainFit(
        error=error,
        recovery=recovery,
        bound=_bound(e, c, recovery, bounds_B, len(used), level),
        half_length=half_length(e, c),
        half_low=half_low,
        half_high=half_high,
        num_problems=len(used),
        num_steps=len(now),
    )


def _counts(before: np.ndarray, now: np.ndarray) -> tuple[int, int, int, int]:
    """Return steps after a right one, errors among them, steps after a wrong one, recoveries among them."""
    return int(before.sum()), int((before & ~now).sum()), int((~before).sum()), int((~before & now).sum())


def _resampled(counts_PC: np.ndarray, seed: int, resamples: int) -> tuple[np.ndarray, np.ndarray]:
    """Return bounds (NaN where undefined) and halving lengths of resampled problems."""
    drawn_BC = resampled_totals(counts_PC, resamples, generator("fit_chain", seed))
    error_B = drawn_BC[:, 1] / drawn_BC[:, 0]
    recovery_B = np.divide(drawn_BC[:, 3], drawn_BC[:, 2], out=np.zeros(len(drawn_BC)), where=drawn_BC[:, 2] > 0)
    total_B = error_B + recovery_B
    bounds_B = np.divide(recovery_B, total_B, out=np.ones(len(drawn_BC)), where=total_B > 0)
    halves = [half_length(float(e), float(c)) for e, c in zip(error_B, recovery_B, strict=True)]
    return bounds_B, np.array(halves)


def _bound(
    error: float, recovery: float, seen: Interval | None, bounds_B: np.ndarray, num_problems: int, level: float
) -> Interval | None:
    """Return c / (c + e); None where no error was followed by a step, so that recovery is unknown."""
    if seen is None:
        return None
    low, high = percentile_limits(bounds_B, level)
    value = recovery / (recovery + error) if recovery + error > 0 else 1.0
    return Interval(value=value, low=min(low, value), high=max(high, value), n=num_problems, level=level)


def _check_rates(error: float, recovery: float) -> None:
    if not (0 <= error <= 1 and 0 <= recovery <= 1):
        raise ConfigError(f"error {error!r}, recovery {recovery!r}; both are probabilities in [0, 1]")

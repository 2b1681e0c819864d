"""From values to pixels, and which values deserve a tick."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A linear map from the domain [low, high] to the pixels [start, end] (end may be the smaller one)."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return the pixel of `value`; values outside the domain land on its edge."""
        inside = min(max(value, self.low), self.high)
        return self.start + (inside - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, most: int = 5) -> list[float]:
        """List round values inside the domain, at most `most` of them."""
        step = _round_step((self.high - self.low) / max(1, most - 1))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(i * step, 12) + 0.0 for i in range(first, last + 1)]


def domain(values: Iterable[float], *, include: Iterable[float] = ()) -> tuple[float, float]:
    """Return round bounds that hold every finite value and everything in `include`."""
    kept = [v for v in (*values, *include) if math.isfinite(v)]
    low, high = (min(kept), max(kept)) if kept else (0.0, 1.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    step = _round_step((high - low) / 8)
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step


def _round_step(least: float) -> float:
    """Return the smallest of 1, 2, 2.5 or 5 times a power of ten that is at least `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in _STEPS if step * power >= least * (1 - 1e-9))

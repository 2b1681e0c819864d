"""Closed-form limits for the ratio of two estimates that have intervals of their own.

Source: the square-and-add method (MOVER) for ratios, Donner and Zou 2012, Stat. Methods Med. Res. 21:347.
"""

import math

from menon.stats.interval import Interval


def ratio_limits(numerator: Interval, denominator: Interval, correlation: float = 0.0) -> tuple[float, float]:
    """Return limits for numerator/denominator; the upper one is infinite when the denominator may be 0.

    Each limit is the r at which 0 just enters the interval of numerator - r * denominator, whose half-widths are the
    two given half-widths added in squares, with `correlation` between the estimates. `denominator.value` must be > 0.
    """
    a, b = numerator, denominator
    low = _root(
        centre=a.value * b.value - correlation * (a.value - a.low) * (b.high - b.value),
        scale=b.high * (2 * b.value - b.high),
        constant=a.low * (2 * a.value - a.low),
        sign=-1,
    )
    if b.low <= 0:
        return low, math.inf
    high = _root(
        centre=a.value * b.value - correlation * (a.high - a.value) * (b.value - b.low),
        scale=b.low * (2 * b.value - b.low),
        constant=a.high * (2 * a.value - a.high),
        sign=1,
    )
    return low, high


def _root(*, centre: float, scale: float, constant: float, sign: int) -> float:
    """Solve scale r^2 - 2 centre r + constant = 0 for the root on the side of `sign`."""
    if abs(scale) < 1e-12:
        return constant / (2 * centre) if centre else 0.0
    root = math.sqrt(max(0.0, centre * centre - scale * constant))
    return (centre + sign * root) / scale

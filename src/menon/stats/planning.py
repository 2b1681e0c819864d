"""How many items a comparison or a decision needs.

Normal approximations: good to a few per cent above about thirty items, and only as good as the guessed rates.
"""

import math

from menon.core.errors import ConfigError
from menon.stats.interval import check_level, normal_quantile


def needed_n_paired(gained: float, lost: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Return the number of pairs after which a two-sided McNemar test finds a change with probability `power`.

    `gained` and `lost` are the shares of all items that turn right and that turn wrong.
    Source: Connor 1987, Biometrics 43:207.
    """
    if min(gained, lost) < 0 or gained + lost > 1 or gained == lost:
        raise ConfigError(
            f"shares gained {gained!r}, lost {lost!r}; need two different shares >= 0 that add up to <= 1"
        )
    discordant, difference = gained + lost, gained - lost
    z_alpha, z_power = _quantiles(alpha, power)
    spread = z_alpha * math.sqrt(discordant) + z_power * math.sqrt(discordant - difference * difference)
    return math.ceil((spread / difference) ** 2)


def needed_n_unpaired(p1: float, p2: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Return the size of each of two independent samples that a two-sided test of p1 against p2 needs.

    Source: Fleiss 1981, "Statistical Methods for Rates and Proportions", without continuity correction.
    """
    if not (0 <= p1 <= 1 and 0 <= p2 <= 1) or p1 == p2:
        raise ConfigError(f"proportions {p1!r} and {p2!r}; need two different numbers in [0, 1]")
    z_alpha, z_power = _quantiles(alpha, power)
    mean = (p1 + p2) / 2
    spread = z_alpha * math.sqrt(2 * mean * (1 - mean)) + z_power * math.sqrt(p1 * (1 - p1) + p2 * (1 - p2))
    return math.ceil((spread / (p1 - p2)) ** 2)


def needed_n_half_width(n: int, half_width: float, wanted: float) -> int:
    """Return the size at which an interval of `half_width` at `n` items shrinks to `wanted` (root-n law)."""
    if n < 1 or half_width < 0 or wanted <= 0:
        raise ConfigError(f"n {n!r}, half-width {half_width!r}, wanted {wanted!r}; need n >= 1, >= 0 and > 0")
    return max(1, math.ceil(n * (half_width / wanted) ** 2))


def needed_n_decision(p: float, threshold: float, *, level: float = 0.95) -> int:
    """Return the size at which the Wilson interval around `p` no longer holds `threshold`.

    The interval excludes t exactly when |p - t| > z sqrt(t (1 - t) / n), which is solved for n.
    """
    if not 0 <= p <= 1 or not 0 < threshold < 1 or p == threshold:
        raise ConfigError(f"p {p!r}, threshold {threshold!r}; need p in [0, 1] and another number strictly in (0, 1)")
    z = normal_quantile(0.5 + check_level(level) / 2)
    return math.floor(threshold * (1 - threshold) * (z / (p - threshold)) ** 2) + 1


def _quantiles(alpha: float, power: float) -> tuple[float, float]:
    if not 0 < alpha < 1 or not 0 < power < 1:
        raise ConfigError(f"alpha {alpha!r}, power {power!r}; both must lie strictly between 0 and 1")
    return normal_quantile(1 - alpha / 2), normal_quantile(power)

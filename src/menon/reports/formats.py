"""Numbers as people read them: shares in per cent, durations, counts, p-values; and text made safe to look at."""

import math
import re
from collections.abc import Mapping
from typing import Any

NARROW_SPACE = "\u202f"
NOTHING = "–"
_ODD = re.compile(r"[^\n\t\x20-\x7e]")
_BIDI = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def finite(value: Any) -> float | None:
    """Return `value` as a float, or None when it is missing, not a number, or not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def percent(share: Any) -> str:
    """Write a share in [0, 1] as `71 %`; shares under 1 % keep one decimal."""
    value = finite(share)
    return NOTHING if value is None else f"{_hundredths(value)}{NARROW_SPACE}%"


def _hundredths(share: float) -> str:
    digits = 1 if 0 < abs(share) < 0.00995 else 0
    text = f"{100 * share:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def estimate(cell: Any) -> str:
    """Write `{"value", "low", "high"}` as `71 % (66–76)`."""
    parts = [finite(cell.get(key)) for key in ("value", "low", "high")] if isinstance(cell, Mapping) else [None]
    if parts[0] is None:
        return NOTHING
    if None in parts:
        return percent(parts[0])
    low, high = (_hundredths(p) for p in parts[1:] if p is not None)
    between = " to " if "−" in low else "–"
    return f"{percent(parts[0])} ({low}{between}{high})"


def points(difference: Any) -> str:
    """Write a difference of shares in percentage points, with its sign."""
    value = finite(difference)
    if value is None:
        return NOTHING
    text = _hundredths(abs(value))
    return text if float(text) == 0 else f"{'+' if value > 0 else '−'}{text}"


def count(number: Any) -> str:
    """Write a whole number with a narrow space between thousands."""
    value = finite(number)
    return NOTHING if value is None else f"{round(value):,}".replace(",", NARROW_SPACE).replace("-", "−")


def large(number: Any) -> str:
    """Write a count to three digits: `950`, `12.3 k`, `1.24 M`."""
    value = finite(number)
    if value is None:
        return NOTHING
    for size, unit in ((9.995e8, "G"), (9.995e5, "M"), (1e4, "k")):
        if abs(value) >= size:
            scaled = value / {"G": 1e9, "M": 1e6, "k": 1e3}[unit]
            return f"{scaled:.{2 if abs(scaled) < 9.995 else 1 if abs(scaled) < 99.95 else 0}f}{NARROW_SPACE}{unit}"
    return count(value)


def duration(seconds: Any) -> str:
    """Write seconds as `0.4 s`, `42 s`, `2 min 11 s` or `1 h 05 min`."""
    value = finite(seconds)
    if value is None:
        return NOTHING
    if value < 10:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def memory(megabytes: Any) -> str:
    """Write megabytes as `840 MB` or `1.3 GB`."""
    value = finite(megabytes)
    if value is None:
        return NOTHING
    return f"{value:.0f} MB" if value < 1000 else f"{value / 1000:.1f} GB"


def p_value(p: Any) -> str:
    """Write a p-value to two digits, never as zero."""
    value = finite(p)
    if value is None:
        return NOTHING
    return "< 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def share_of(amount: Any, total: Any) -> float | None:
    """Read a part that is stored as a share (float) or as a count (int) of `total`; return the share."""
    value, whole = finite(amount), finite(total)
    if value is None or isinstance(amount, float):
        return value
    return value / whole if whole else None


def visible(text: str) -> str:
    """Replace what could hide or reorder text: control characters, lone surrogates, direction marks.

    Tabs and line feeds stay; the others are written as `⟨U+202E⟩`, which every font can show.
    """
    if _ODD.search(text) is None:  # most text, and ten times faster
        return text
    return "".join(_visible(char) for char in text.replace("\r\n", "\n"))


def _visible(char: str) -> str:
    code = ord(char)
    if char in "\n\t":
        return char
    if code < 0x20 or 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000 or char in _BIDI or code & 0xFFFE == 0xFFFE:
        return f"⟨U+{code:04X}⟩"
    return char


def cleaned(value: Any) -> Any:
    """Return a copy of JSON-like data in which every string, keys included, is `visible`."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, Mapping):
        return {visible(str(key)): cleaned(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [cleaned(item) for item in value]
    return value


def flattened(value: Any, path: str = "") -> list[tuple[str, str]]:
    """List the leaves of nested data as (dotted path, text)."""
    if isinstance(value, Mapping):
        return [leaf for key, item in value.items() for leaf in flattened(item, f"{path}.{key}" if path else str(key))]
    if isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        return [leaf for i, item in enumerate(value) for leaf in flattened(item, f"{path}.{i}" if path else str(i))]
    if isinstance(value, list):
        return [(path, ", ".join(str(item) for item in value))]
    return [(path, NOTHING if value is None else str(value))]

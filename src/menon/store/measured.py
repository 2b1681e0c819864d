"""Which quantities are measured on the machine, and so differ between equal runs."""

from typing import Any

MEASURED = frozenset({"seconds", "cpu_seconds", "tokens_per_s", "peak_memory_mb"})


def without_measured(value: Any) -> Any:
    """Return JSON-like `value` without the measured keys, at any depth."""
    match value:
        case dict():
            return {key: without_measured(item) for key, item in value.items() if key not in MEASURED}
        case list() | tuple():
            return [without_measured(item) for item in value]
    return value

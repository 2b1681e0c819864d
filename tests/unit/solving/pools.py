"""Small pools of samples for the tests of what reads them."""

from collections.abc import Sequence
from typing import Any

from menon.solving.pool import Sample


def samples(
    answers: Sequence[str | None], *, gold: str = "7", problem: str = "p", **more: Sequence[Any]
) -> list[Sample]:
    """Return one sample of 10 tokens per answer; `more` holds a list per further field."""
    return [
        Sample(
            problem=problem,
            index=at,
            text=f"text {at}",
            answer=answer,
            tokens=10,
            right=answer == gold,
            **{name: values[at] for name, values in more.items()},
        )
        for at, answer in enumerate(answers)
    ]

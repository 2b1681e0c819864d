"""Search over reasoning steps: every operation of the tree, frontier and beam kind in one place.

The state is plain JSON and no operation changes its arguments, so a loop of a flowchart can keep it in a variable, and
the store can hold it. Trees: `search_mcts`; frontiers: `search_astar`.
"""

import math
from collections.abc import Sequence
from typing import Any

from menon.core.errors import ConfigError
from menon.core.seeds import canonical_json
from menon.solving.search_astar import (
    frontier_best,
    frontier_new,
    frontier_next_step,
    frontier_path,
    frontier_pop,
    frontier_push,
)
from menon.solving.search_mcts import (
    tree_backup,
    tree_best,
    tree_expand,
    tree_new,
    tree_path,
    tree_select,
    tree_value,
)

__all__ = [
    "beam_keep",
    "frontier_best",
    "frontier_new",
    "frontier_next_step",
    "frontier_path",
    "frontier_pop",
    "frontier_push",
    "tree_backup",
    "tree_best",
    "tree_expand",
    "tree_new",
    "tree_path",
    "tree_select",
    "tree_value",
]


def beam_keep(candidates: Sequence[Any], values: Sequence[float], width: int) -> list[Any]:
    """Return the `width` different candidates of largest value, best first; ties go to the one that stands first.

    Candidates are JSON values; of equal ones the best counts.
    Raises:
        ConfigError: a width below 1, a value that is no number, or not one value per candidate.
    """
    if width < 1:
        raise ConfigError(f"width is {width!r}; allowed: 1 or more")
    if len(candidates) != len(values):
        raise ConfigError(f"{len(candidates)} candidates with {len(values)} values; give one value per candidate")
    if any(math.isnan(value) for value in values):
        raise ConfigError(f"values {list(values)!r}; allowed: numbers, none of them NaN")
    order = sorted(range(len(candidates)), key=lambda at: (-values[at], at))
    kept: dict[str, Any] = {}
    for at in order:
        kept.setdefault(canonical_json(candidates[at]), candidates[at])
    return list(kept.values())[:width]

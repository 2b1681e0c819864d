"""The procedure families of the known corpus, by name.

`FAMILIES_KNOWN[name].problem(split, index, format=None)` gives a problem with its worked solution; splits are those of
`menon.problems.splits`: `original` and those of `TAUGHT` may be in training text, `test` and `variant` never are.
"""

from collections.abc import Mapping

from menon.core.errors import ConfigError
from menon.core.values import Problem
from menon.problems.known.families_arithmetic import LINEAR, SLOPE, TWO_STEP
from menon.problems.known.families_lists import COUNT, ENDS, LARGEST, REVERSE, SORT
from menon.problems.known.family import KnownFamily, Working

# Splits that fresh problems of the corpus come from. The spaces are small: with `corpus` alone, many a single step of a
# held-out problem would be in no document.
TAUGHT = ("corpus", "probe", "train")

FAMILIES_KNOWN: Mapping[str, KnownFamily] = {
    family.name: family for family in (TWO_STEP, SLOPE, LINEAR, REVERSE, LARGEST, SORT, ENDS, COUNT)
}


def family_of(name: str) -> KnownFamily:
    """Return the family `name`.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in FAMILIES_KNOWN:
        raise ConfigError(f"no procedure family {name!r}; allowed: {', '.join(FAMILIES_KNOWN)}")
    return FAMILIES_KNOWN[name]


def working_of(problem: Problem) -> Working:
    """Return the steps of a problem of these families.

    Raises:
        ConfigError: the problem is of no procedure family.
    """
    return family_of(problem.family).work(tuple(problem.meta["content"]))


def originals(name: str, count: int) -> list[Problem]:
    """List the first `count` problems of family `name` that the corpus repeats word for word."""
    return [family_of(name).problem("original", index) for index in range(count)]

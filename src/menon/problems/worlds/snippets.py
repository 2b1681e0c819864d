"""Pieces of small programs on lists and strings, each depending on how positions are counted.

A snippet changes the one variable `x`; a program is a few of them and a last line that returns something. Positions
are drawn so that most programs run in both ways of counting; those that do not are drawn again by the caller.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Source of a program, the kinds of its snippets, and the call whose value is asked for."""

    body: tuple[str, ...]
    call: str
    kinds: tuple[str, ...]

    @property
    def source(self) -> str:
        return "\n".join(["def f(x):", *(f"    {line}" for line in self.body), "", self.call])


def _two(rng: Random) -> tuple[int, int]:
    low, high = sorted(rng.sample(range(1, 6), 2))
    return low, high


def _part(rng: Random) -> list[str]:
    low, high = sorted(rng.sample(range(1, 7), 2))
    return [f"x = x[{low}:{high}]"]


def _rest(rng: Random) -> list[str]:
    return [f"x = x[{rng.randint(1, 3)}:]"]


def _head(rng: Random) -> list[str]:
    return [f"x = x[:{rng.randint(3, 5)}]"]


def _every(rng: Random) -> list[str]:
    return [f"x = x[{rng.randint(1, 2)}::2]"]


def _turn(rng: Random) -> list[str]:
    place = rng.randint(2, 4)
    return [f"x = x[{place}:] + x[:{place}]"]


def _swap(rng: Random) -> list[str]:
    one, two = _two(rng)
    return [f"x[{one}], x[{two}] = x[{two}], x[{one}]"]


def _set(rng: Random) -> list[str]:
    one, two = _two(rng)
    return [f"x[{one}] = x[{two}] + {rng.randint(1, 9)}"]


def _copy(rng: Random) -> list[str]:
    return [f"x.append(x[{rng.randint(1, 4)}])"]


def _weigh(rng: Random) -> list[str]:
    return [f"x = [{rng.choice(('i * v', 'v - i', 'v + i'))} for i, v in enumerate(x)]"]


def _filter(rng: Random) -> list[str]:
    return [
        "y = []",
        "for i in range(len(x)):",
        f"    if i % {rng.randint(2, 3)} == {rng.randint(0, 1)}:",
        "        y.append(x[i])",
        "x = y",
    ]


def _neighbours(rng: Random) -> list[str]:
    return ["y = []", "for i in range(2, len(x)):", f"    y.append(x[i] {rng.choice('+-')} x[i - 1])", "x = y"]


def _pick(rng: Random) -> list[str]:
    places = [rng.randint(1, 5) for _ in range(3)]
    return [f"x = [x[i] for i in {places}]"]


def _shift(rng: Random) -> list[str]:
    return ["for i in range(len(x)):", f"    x[i] = x[i] + {rng.randint(2, 5)} * i"]


def _letters_filter(rng: Random) -> list[str]:
    return [
        'y = ""',
        "for i in range(len(x)):",
        f"    if i % {rng.randint(2, 3)} == {rng.randint(0, 1)}:",
        "        y += x[i]",
        "x = y",
    ]


def _letters_copy(rng: Random) -> list[str]:
    return [f"x = x + x[{rng.randint(1, 4)}]"]


def _letters_wrap(rng: Random) -> list[str]:
    one, two = _two(rng)
    return [f"x = x[{two}] + x + x[{one}]"]


def _letters_walk(rng: Random) -> list[str]:
    return ['y = ""', "i = 1", "while i < len(x):", "    y += x[i]", f"    i += {rng.randint(1, 2)}", "x = y"]


LISTS: dict[str, Callable[[Random], list[str]]] = {
    "part": _part, "rest": _rest, "head": _head, "every": _every, "turn": _turn, "swap": _swap, "set": _set,
    "copy": _copy, "weigh": _weigh, "filter": _filter, "neighbours": _neighbours, "pick": _pick, "shift": _shift,
}  # fmt: skip
STRINGS: dict[str, Callable[[Random], list[str]]] = {
    "part": _part, "rest": _rest, "head": _head, "every": _every, "turn": _turn, "filter": _letters_filter,
    "copy": _letters_copy, "wrap": _letters_wrap, "walk": _letters_walk,
}  # fmt: skip


def draw(rng: Random, count: int) -> Program:
    """Draw a program of `count` different snippets and a last line."""
    text = rng.random() < 0.35
    pieces = STRINGS if text else LISTS
    kinds = rng.sample(sorted(pieces), count)
    lines = [line for kind in kinds for line in pieces[kind](rng)]
    place = rng.randint(1, 3)
    endings = {"whole": "x", "one": f"x[{place}]", "count": "len(x)"}
    if not text:
        endings |= {"sum": "sum(x)", "place": "x.index(max(x))", "two": f"x[{place}] + x[{rng.randint(1, 3)}]"}
    ending = rng.choice(["whole", *sorted(endings)])
    given = "".join(rng.sample(LETTERS, rng.randint(6, 8))) if text else rng.sample(range(1, 30), rng.randint(6, 8))
    argument = f'"{given}"' if text else str(given)
    return Program(
        body=(*lines, f"return {endings[ending]}"),
        call=f"f({argument})",
        kinds=("string" if text else "list", *kinds, ending),
    )


def draw_line(rng: Random, kind: int) -> str:
    """Draw an expression of one line; its six kinds take turns."""
    given = rng.sample(range(1, 100), rng.randint(4, 6))
    word = "".join(rng.sample(LETTERS, rng.randint(4, 6)))
    low, high = sorted(rng.sample(range(1, 5), 2))
    match kind % 6:
        case 0:
            return f"{given}[{rng.randint(1, len(given) - 1)}]"
        case 1:
            return f'"{word}"[{rng.randint(1, len(word) - 1)}]'
        case 2:
            return f"{given}[{low}:{high}]"
        case 3:
            return f"list(range({rng.randint(2, 20)}))" if rng.random() < 0.3 else f"{given}[{low}:]"
        case 4:
            return f"{given}.index({rng.choice(given)})"
        case _:
            return f'list(enumerate("{word[:3]}"))'

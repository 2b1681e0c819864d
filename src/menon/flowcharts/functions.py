"""The functions that expressions may call.

None changes its arguments. Left out: regular expressions (a pattern can take for ever), formatting, anything that
sees the clock, chance, files or the network. Functions that reach outside (a verifier, a search) are added by the
caller, with `effect=True`.
"""

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from types import MappingProxyType
from typing import Any

from menon.flowcharts import list_functions as lists
from menon.flowcharts import scalar_functions as scalars
from menon.flowcharts.showing import show

TYPES = ("text", "number", "truth", "list", "json", "any")


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the language.

    `takes` names the types of the positional arguments for the check before anything runs; "text|list" allows either,
    a last "..." repeats the type before it. `effect` marks a function that reaches outside, so that its result must be
    recorded.
    """

    call: Callable[..., Any]
    _: KW_ONLY
    returns: str = "any"
    takes: tuple[str, ...] | None = None
    effect: bool = False
    doc: str

    def __post_init__(self) -> None:
        named = {self.returns, *(name for union in self.takes or () for name in union.split("|") if name != "...")}
        if strange := sorted(named - set(TYPES)):
            raise ValueError(f"{strange[0]!r} is no type; allowed are {', '.join(TYPES)}")


def _row(call: Callable[..., Any], takes: str, returns: str, doc: str) -> Function:
    return Function(call, takes=tuple(takes.split()), returns=returns, doc=doc)


_ANY_ITEMS = "text|list|json"

STANDARD: Mapping[str, Function] = MappingProxyType(
    {
        "len": _row(len, _ANY_ITEMS, "number", "number of items, characters or keys"),
        "min": _row(lists.lowest, "any ...", "any", "smallest item of a list, or of its arguments"),
        "max": _row(lists.highest, "any ...", "any", "largest item of a list, or of its arguments"),
        "sum": _row(scalars.total, "list|text|json number", "number", "sum of a list of numbers"),
        "mean": _row(scalars.mean, "list|text|json", "number", "mean of a list of numbers"),
        "abs": _row(abs, "number", "number", "a number without its sign"),
        "round": _row(scalars.rounded, "number any", "number", "a number rounded to so many digits"),
        "int": _row(scalars.whole_number, "number|text", "number", "whole number of a number or text"),
        "float": _row(scalars.number, "number|text", "number", "number of a text or number"),
        "is_number": _row(scalars.is_number, "any", "truth", "whether float() would take it"),
        "text": _row(show, "any", "text", "a value as it reads in a prompt"),
        "lower": _row(scalars.lower, "text", "text", "in small letters"),
        "upper": _row(scalars.upper, "text", "text", "in capital letters"),
        "strip": _row(scalars.strip, "text any", "text", "without spaces, or these characters, at both ends"),
        "split": _row(scalars.split, "text any", "list", "pieces between spaces, or between a separator"),
        "lines": _row(scalars.lines, "text", "list", "lines that are not blank, without spaces at both ends"),
        "join": _row(scalars.join, f"{_ANY_ITEMS} text", "text", 'items in one text, with ", " or a separator between'),
        "replace": _row(scalars.replace, "text text text", "text", "with every occurrence replaced"),
        "startswith": _row(scalars.startswith, "text text", "truth", "whether a text begins with another"),
        "endswith": _row(scalars.endswith, "text text", "truth", "whether a text ends with another"),
        "contains": _row(lists.contains, f"{_ANY_ITEMS} any", "truth", "whether a text, list or json holds something"),
        "numbered": _row(scalars.numbered, _ANY_ITEMS, "text", "one line per item: 1. a"),
        "bulleted": _row(scalars.bulleted, _ANY_ITEMS, "text", "one line per item: - a"),
        "sorted": _row(lists.in_order, _ANY_ITEMS, "list", "items in order; reverse=True from the largest down"),
        "reversed": _row(lists.backwards, _ANY_ITEMS, "list", "items from last to first"),
        "range": _row(lists.numbers_between, "number number number", "list", "whole numbers from, up to, in steps of"),
        "enumerate": _row(lists.with_numbers, f"{_ANY_ITEMS} number", "list", "pairs [number, item], from 0"),
        "zip": _row(lists.side_by_side, f"{_ANY_ITEMS} ...", "list", "lists side by side, as long as the shortest"),
        "any": _row(lists.some, _ANY_ITEMS, "truth", "whether some item counts as true"),
        "all": _row(lists.every, _ANY_ITEMS, "truth", "whether every item counts as true"),
        "unique": _row(lists.unique, _ANY_ITEMS, "list", "items without repetitions, in order of appearance"),
        "most_common": _row(lists.most_common, _ANY_ITEMS, "any", "most frequent item, on a tie the first seen"),
        "argmax": _row(lists.argmax, _ANY_ITEMS, "number", "index of the first largest item"),
        "first": _row(lists.first, "list|text any", "any", "first item, or the default of an empty list"),
        "last": _row(lists.last, "list|text any", "any", "last item, or the default of an empty list"),
        "take": _row(lists.take, "list|text number", "any", "the first so many items"),
        "append": _row(lists.append, "list any", "list", "a list with one more item"),
        "without": _row(
            lists.without, _ANY_ITEMS + " any", "list", "a list without this item, however often it occurs"
        ),
        "count": _row(lists.count, f"{_ANY_ITEMS} any", "number", "how often an item or text occurs"),
        "index": _row(lists.index, f"{_ANY_ITEMS} any", "number", "where an item first occurs, from 0"),
        "get": _row(lists.get, "json any any", "any", "value of a key, or the default (None)"),
        "put": _row(lists.put, "json text any", "json", "a json value with one key set"),
        "merge": _row(lists.merge, "json json", "json", "two json values in one; the second wins"),
        "keys": _row(lists.keys, "json", "list", "keys of a json value"),
        "values": _row(lists.values, "json", "list", "values of a json value"),
        "items": _row(lists.items, "json", "list", "pairs [key, value] of a json value"),
    }
)

# These cost no more for long values than for short ones, so loops over their calls are charged nothing.
QUICK = frozenset({"len", "first", "last", "get", "abs", "is_number"})

# What people and models write out of habit, and the word of this language for it.
SYNONYMS: Mapping[str, str] = MappingProxyType(
    {
        "str": "text",
        "strip_": "strip",
        "enumerate_": "enumerate",
        "dedupe": "unique",
        "set": "unique",
        "mode": "most_common",
        "majority": "most_common",
        "vote": "most_common",
        "average": "mean",
        "splitlines": "lines",
        "lstrip": "strip",
        "rstrip": "strip",
        "size": "len",
        "length": "len",
        "update": "merge",
    }
)

"""Comprehensions: their names live in a copy of the variables, and every iteration is counted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from menon.flowcharts.expression_errors import kind_of
from menon.flowcharts.limits import METER
from menon.flowcharts.operations import iterated

Values = Mapping[str, Any]
Run = Callable[[Values], Any]
Visit = Callable[[dict[str, Any], Callable[[Any], Any]], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One `for ... in ... if ...`; `names` is a name, or a tuple of such."""

    names: Any
    over: Run
    ifs: tuple[Run, ...]
    steps: int


def listed(targets: list[Target], element: Run) -> Run:
    """Compile a list comprehension."""
    visit = _nest(targets, element)

    def run(values: Values) -> list[Any]:
        made: list[Any] = []
        visit(dict(values), made.append)
        return made

    return run


def paired(targets: list[Target], pair: Run) -> Run:
    """Compile a comprehension that makes a json value out of pairs."""
    collect = listed(targets, pair)
    return lambda values: dict(collect(values))


def lazily(targets: list[Target], element: Run, *, stop_at: bool) -> Run:
    """Compile `any` (stop_at=True) or `all` (stop_at=False) over a generator, which ends at the first such element."""
    visit = _nest(targets, element)
    return lambda values: visit(dict(values), lambda value: bool(value) is stop_at) is stop_at


def _nest(targets: list[Target], element: Run) -> Visit:
    """Return a visitor of all elements; it stops, and returns True, when `sink` returns True."""

    def innermost(values: dict[str, Any], sink: Callable[[Any], Any]) -> bool:
        return sink(element(values)) is True

    visit: Visit = innermost
    for target in reversed(targets):
        visit = _loop(target, visit)
    return visit


def _loop(target: Target, inside: Visit) -> Visit:
    over, ifs, steps, bind = target.over, target.ifs, target.steps, _binder(target.names)

    def visit(values: dict[str, Any], sink: Callable[[Any], Any]) -> bool:
        tick = values[METER].tick
        for part in iterated(over(values)):
            tick(steps)
            bind(values, part)
            for condition in ifs:
                if not condition(values):
                    break
            else:
                if inside(values, sink):
                    return True
        return False

    return visit


def _binder(names: Any) -> Callable[[dict[str, Any], Any], None]:
    if isinstance(names, str):

        def bind(values: dict[str, Any], part: Any) -> None:
            values[names] = part

        return bind
    binders = [_binder(name) for name in names]

    def unpack(values: dict[str, Any], part: Any) -> None:
        if not isinstance(part, (list, str, dict)) or len(part) != len(binders):
            length = f" of length {len(part)}" if isinstance(part, (list, str, dict)) else ""
            raise ValueError(f"for takes {len(binders)} names from each item, and one is a {kind_of(part)}{length}")
        for bind_one, piece in zip(binders, part, strict=True):
            bind_one(values, piece)

    return unpack

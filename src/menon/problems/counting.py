"""Small programs over one number as JSON data: run them, say them in words, draw them at random.

A program is a list of statements: `{"do": "add", "n": 7}`, `{"if": TEST, "then": [...], "else": [...]}`,
`{"repeat": 3, "body": [...]}`, `{"while": TEST, "body": [...]}`; a TEST is `{"is": "even"}` or `{"is": "below", "than":
20}`. Drawn programs put steps into branches and branches into loops, and every way through the body of a `while` moves
the number towards its end, so that they stop. Left out: loops within loops, and more than one number.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any

from menon.core.errors import ConfigError

Statement = dict[str, Any]
Program = list[Statement]

LARGEST_CHANGE = 9
SMALLEST_START, LARGEST_START = 10, 99
MOST_STEPS = 100
CONSTRUCTS = ("if", "repeat", "while")

_TRIES = 30
_SHARES = {"step": 4, "if": 3, "repeat": 3, "while": 2}


def run(start: int, program: Sequence[Mapping[str, Any]], *, most: int = MOST_STEPS) -> list[list[int]]:
    """Return the executed steps of a program in order, each as [before, change, after].

    Raises:
        ConfigError: a statement of no known kind, or more than `most` steps or rounds.
    """
    trace: list[list[int]] = []
    _run(start, program, trace, most)
    return trace


def _run(value: int, program: Sequence[Mapping[str, Any]], trace: list[list[int]], most: int) -> int:
    for statement in program:
        if "do" in statement:
            change = change_of(statement)
            trace.append([value, change, value + change])
            value += change
            if len(trace) > most:
                raise ConfigError(f"the program runs for more than {most} steps; allowed: at most {most}")
        elif "if" in statement:
            value = _run(value, statement["then" if holds(statement["if"], value) else "else"], trace, most)
        elif "repeat" in statement:
            for _ in range(statement["repeat"]):
                value = _run(value, statement["body"], trace, most)
        elif "while" in statement:
            rounds = 0
            while holds(statement["while"], value):
                value = _run(value, statement["body"], trace, most)
                if (rounds := rounds + 1) > most:
                    raise ConfigError(f"a loop of the program goes round more than {most} times")
        else:
            raise ConfigError(f"unknown statement {statement!r}; allowed: do, {', '.join(CONSTRUCTS)}")
    return value


def change_of(step: Mapping[str, Any]) -> int:
    """Return what a step adds, negative for a subtraction."""
    signs = {"add": 1, "subtract": -1}
    if step["do"] not in signs:
        raise ConfigError(f"unknown step {step['do']!r}; allowed: {', '.join(signs)}")
    return signs[step["do"]] * step["n"]


def holds(test: Mapping[str, Any], value: int) -> bool:
    """Tell whether a number passes a test.

    Raises:
        ConfigError: a test of no known kind.
    """
    match test["is"]:
        case "even":
            return value % 2 == 0
        case "odd":
            return value % 2 == 1
        case "below":
            return value < test["than"]
        case "above":
            return value > test["than"]
        case unknown:
            raise ConfigError(f"unknown test {unknown!r}; allowed: even, odd, below, above")


def constructs(program: Sequence[Mapping[str, Any]]) -> list[str]:
    """List which of `if`, `repeat` and `while` a program uses, at any depth."""
    found = {name for statement in statements(program) for name in CONSTRUCTS if name in statement}
    return [name for name in CONSTRUCTS if name in found]


def statements(program: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield every statement of a program, outer ones first."""
    for statement in program:
        yield statement
        for part in ("then", "else", "body"):
            yield from statements(statement.get(part, ()))


def shape(program: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Return a program with its numbers removed, those of rounds aside."""
    return _mapped(program, lambda n: 0, lambda than: 0)


def in_words(statement: Mapping[str, Any]) -> str:
    """Write one statement as a sentence without its full stop."""
    if "do" in statement:
        return f"{statement['do']} {statement['n']}"
    if "if" in statement:
        then, otherwise = (" and ".join(map(in_words, statement[part])) for part in ("then", "else"))
        return f"if the number is {_test_in_words(statement['if'])}, {then}, otherwise {otherwise}"
    body = "; ".join(map(in_words, statement["body"]))
    if "repeat" in statement:
        return f"repeat {statement['repeat']} times: {body}"
    return f"while the number is {_test_in_words(statement['while'])}: {body}"


def _test_in_words(test: Mapping[str, Any]) -> str:
    return f"{test['is']} {test['than']}" if "than" in test else test["is"]


def draw_program(rng: Random, start: int, steps: int, bounds: tuple[int, int]) -> Program:
    """Draw a program that runs for exactly `steps` steps from `start` and never leaves `bounds`."""
    program: Program = []
    value, left = start, steps
    while left:
        statement, trace = _draw_statement(rng, value, left, bounds)
        program.append(statement)
        value, left = trace[-1][2], left - len(trace)
    return program


def _draw_statement(rng: Random, value: int, left: int, bounds: tuple[int, int]) -> tuple[Statement, list[list[int]]]:
    """Draw the next statement and its steps; a single step where nothing larger fits into what is left."""
    makers: dict[str, Callable[[Random, int], Statement]] = {
        "step": lambda rng, value: _step(rng),
        "if": _branch,
        "repeat": _repeat,
        "while": _while,
    }
    kind = rng.choices(list(_SHARES), list(_SHARES.values()))[0]
    for attempt in range(1_000):
        maker = makers[kind if attempt < _TRIES else "step"]
        statement = maker(rng, value)
        trace = _trace_within(value, [statement], left, bounds)
        if trace and sensible([statement]):
            return statement, trace
    raise ConfigError(f"no step from {value} stays within {bounds}; allowed: bounds that are {LARGEST_CHANGE} apart")


def _trace_within(
    start: int, program: Sequence[Mapping[str, Any]], most: int, bounds: tuple[int, int]
) -> list[list[int]] | None:
    """Run a program; None where it takes more than `most` steps or leaves `bounds`."""
    try:
        trace = run(start, program, most=most)
    except ConfigError:
        return None
    low, high = bounds
    return trace if all(low <= after <= high for _, _, after in trace) else None


def sensible(program: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether the branches of each `if` differ and each `while` comes to its end from wherever it begins."""
    for statement in statements(program):
        if "if" in statement and statement["then"] == statement["else"]:
            return False
        if "while" in statement:
            least, most = _nets(statement["body"])
            if not (least > 0 if statement["while"]["is"] == "below" else most < 0):
                return False
    return True


def _nets(body: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """Return the least and the most that going once through `body`, without loops in it, can add."""
    least = most = 0
    for statement in body:
        if "do" in statement:
            low = high = change_of(statement)
        else:
            ways = [_nets(statement["then"]), _nets(statement["else"])]
            low, high = min(way[0] for way in ways), max(way[1] for way in ways)
        least, most = least + low, most + high
    return least, most


def _step(rng: Random) -> Statement:
    return {"do": rng.choice(("add", "subtract")), "n": rng.randint(1, LARGEST_CHANGE)}


def _branch(rng: Random, value: int) -> Statement:
    ways = [[_step(rng) for _ in range(rng.choice((1, 1, 2)))] for _ in range(2)]
    return {"if": _test(rng, value), "then": ways[0], "else": ways[1]}


def _test(rng: Random, value: int) -> Statement:
    kind = rng.choice(("even", "odd", "below", "below", "above", "above"))
    return {"is": kind} if kind in ("even", "odd") else {"is": kind, "than": max(1, value + rng.randint(-12, 12))}


def _body(rng: Random, value: int) -> Program:
    return [_branch(rng, value) if rng.random() < 0.4 else _step(rng) for _ in range(rng.choice((1, 1, 2)))]


def _repeat(rng: Random, value: int) -> Statement:
    return {"repeat": rng.randint(2, 5), "body": _body(rng, value)}


def _while(rng: Random, value: int) -> Statement:
    kind, gap = rng.choice((("below", 1), ("above", -1)))
    return {"while": {"is": kind, "than": max(1, value + gap * rng.randint(1, 25))}, "body": _body(rng, value)}


def draw_numbers(
    rng: Random, start: int, program: Sequence[Mapping[str, Any]], bounds: tuple[int, int]
) -> tuple[int, Program]:
    """Return the same program with other numbers and another start, which runs for as many steps within `bounds`."""
    steps = len(run(start, program))
    while True:  # ends: drawing the numbers that stand there already is one of the outcomes
        fresh, shift = rng.choice((0.0, 0.3, 1.0)), 2 * rng.randint(-20, 20)
        drawn = _mapped(
            program,
            lambda n, fresh=fresh: rng.randint(1, LARGEST_CHANGE) if rng.random() < fresh else n,
            lambda than, fresh=fresh, shift=shift: than + shift + (rng.randint(-3, 3) if rng.random() < fresh else 0),
        )
        begin = start + shift
        within = SMALLEST_START <= begin <= LARGEST_START and bounds[0] <= begin <= bounds[1]
        limits = [test["than"] for s in statements(drawn) if (test := s.get("if") or s.get("while")) and "than" in test]
        if not within or min(limits, default=1) < 1 or not sensible(drawn):
            continue
        trace = _trace_within(begin, drawn, steps, bounds)
        if trace is not None and len(trace) == steps:
            return begin, drawn


def _mapped(
    program: Sequence[Mapping[str, Any]], number: Callable[[int], int], limit: Callable[[int], int]
) -> list[Any]:
    """Return a copy with `number` applied to what steps add and `limit` to what tests compare with."""
    copy: list[Any] = []
    for statement in program:
        changed = dict(statement)
        for name, value in statement.items():
            if name in ("then", "else", "body"):
                changed[name] = _mapped(value, number, limit)
            elif name in ("if", "while") and "than" in value:
                changed[name] = {**value, "than": limit(value["than"])}
            elif name == "n":
                changed[name] = number(value)
        copy.append(changed)
    return copy

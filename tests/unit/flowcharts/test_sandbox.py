"""The sandbox runs honest programs: values, answers, prints, errors in words, many at once, the same every time."""

import asyncio
import json
import math
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from importlib.util import find_spec
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menon.core.errors import ConfigError
from menon.flowcharts import sandbox_process
from menon.flowcharts.sandbox import Limits, Sandbox, problem_of
from menon.flowcharts.sandbox_values import NotPlain, clean_text, plain

BACKENDS = ("monty", "process")


def opened(backend: str, **limits: Any) -> Sandbox:
    if backend == "monty" and find_spec("pydantic_monty") is None:
        pytest.skip("pydantic-monty is not installed: only the process backend is tested")
    return Sandbox(Limits(**limits), backend=backend)  # pyright: ignore[reportArgumentType]


@pytest.fixture(scope="module", params=BACKENDS)
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with opened(request.param) as made:
        yield made


PROGRAMS = {
    "a story told in comments": (
        "# Olivia has 23 dollars and buys five bagels for 3 dollars each.\n"
        "money_initial = 23\nbagels = 5\nbagel_cost = 3\n"
        "money_spent = bagels * bagel_cost\nanswer = money_initial - money_spent\n",
        {},
        8,
    ),
    "solution function": (
        'def solution():\n    """How many golf balls are left?"""\n    balls = 58\n    for lost in (23, 2):\n'
        "        balls -= lost\n    result = balls\n    return result\n",
        {},
        33,
    ),
    "solution printed": ("def solution():\n    return 12 / 5\nprint(solution())", {}, 2.4),
    "main guard": ("def main():\n    return 3\nif __name__ == '__main__':\n    ans = main()", {}, 3),
    "last expression": ("total = sum(prices)\nround(total * (1 + tax), 2)", {"prices": [1.5, 2.5], "tax": 0.1}, 4.4),
    "last expression in brackets": ("x = 2\n(  # the answer\n    x +\n    1\n)  # three", {}, 3),
    "last expression after others": ("é = 'ü'; é + 'ö'", {}, "üö"),
    "lines that end as on Windows": ("x = 1\r\nif x:\r\n    y = 2\r\nx + y\r\n", {}, 3),
    "while loop": (
        "n, steps = 27, 0\nwhile n != 1:\n    n = n // 2 if n % 2 == 0 else 3 * n + 1\n    steps += 1\nsteps",
        {},
        111,
    ),
    "unused loop variable": ("x = 1\nfor _ in range(10):\n    x *= 2\nx", {}, 1024),
    "recursion": ("def fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\nfib(15)", {}, 610),
    "big integers": ("2 ** 200 % 1000007", {}, pow(2, 200, 1000007)),
    "sorting": (
        "people = sorted(people, key=lambda p: (-p['age'], p['name']))\n[p['name'] for p in people]",
        {"people": [{"name": "b", "age": 3}, {"name": "a", "age": 3}, {"name": "c", "age": 9}]},
        ["c", "a", "b"],
    ),
    "text": (
        "words = text.lower().split()\n' '.join(w[::-1] for w in words if len(w) > 2)",
        {"text": "Sing We all"},
        "gnis lla",
    ),
    "counting": (
        "from collections import Counter\nmax(Counter('mississippi').items(), key=lambda p: (p[1], p[0]))",
        {},
        ["s", 4],
    ),
    "most common": ("from collections import Counter\nCounter('aabbb').most_common(1)", {}, [["b", 3]]),
    "format": ("'{:.2f} and {}'.format(2 / 3, 'x') + f' {5:>3}'", {}, "0.67 and x   5"),
    "dates": (
        "from datetime import date, timedelta\n(date(2024, 3, 1) - timedelta(days=1)).strftime('%m/%d/%Y')",
        {},
        "02/29/2024",
    ),
    "dates read": (
        "from datetime import datetime, timedelta\n"
        "(datetime.strptime('05/01/2021', '%m/%d/%Y') + timedelta(days=31)).day",
        {},
        1,
    ),
    "math": ("import math\nmath.comb(10, 3) + math.gcd(12, 18) + math.isqrt(17)", {}, 130),
    "search": (
        "import itertools\n[list(p) for p in itertools.permutations([1, 2, 3]) if p[0] < p[1] < p[2]]",
        {},
        [[1, 2, 3]],
    ),
    "patterns": ("import re\n[int(n) for n in re.findall(r'\\d+', text)]", {"text": "3 cats, 14 dogs"}, [3, 14]),
    "json": ("import json\njson.loads('{\"a\": [1, 2]}')['a']", {}, [1, 2]),
    "memo": (
        "import functools\n@functools.lru_cache(None)\ndef ways(n):\n"
        "    return 1 if n < 2 else ways(n - 1) + ways(n - 2)\nways(40)",
        {},
        165580141,
    ),
    "reduce": ("from functools import reduce\nreduce(lambda a, b: a * b, [1, 2, 3, 4])", {}, 24),
    "decimal": ("from decimal import Decimal\nDecimal('0.1') + Decimal('0.2')", {}, 0.3),
    "class": (
        "class Account:\n    def __init__(self, start):\n        self.balance = start\n"
        "    def pay(self, amount):\n        self.balance -= amount\n"
        "a = Account(10)\na.pay(4)\na.balance",
        {},
        6,
    ),
    "try": ("try:\n    x = 1 / 0\nexcept ZeroDivisionError:\n    x = -1\nx", {}, -1),
    "tuples": ("(1, (2, 3))", {}, [1, [2, 3]]),
    "text like a function": ("['<b>', 'f(x)', 'range(0, 3)', '...']", {}, ["<b>", "f(x)", "range(0, 3)", "..."]),
    "names of refused functions": ("input = [1, 2]\nopen = sum(input)\nopen", {}, 3),
    "inputs of refused names": ("max(input)", {"input": [1, 5]}, 5),
    "nothing": ("x = 1", {}, None),
    "empty": ("", {}, None),
    "comment only": ("# nothing to do", {}, None),
    "input is no answer": ("x = answer", {"answer": 3}, None),
    "False is an answer": ("1 > 2", {}, False),
}
BEYOND_MONTY = {
    "generator": ("def g():\n    yield from [1, 2]\nlist(g())", [1, 2]),
    "inheritance": (
        "class A:\n    def __init__(self):\n        self.x = 1\n"
        "class B(A):\n    def __init__(self):\n        super().__init__()\n        self.x += 1\nB().x",
        2,
    ),
    "fractions": ("from fractions import Fraction\nFraction(1, 4) + Fraction(1, 4)", 0.5),
    "statistics": ("import statistics\nstatistics.median([3, 1, 2])", 2),
    "star import": ("from math import *\nfloor(pi)", 3),
    "named tuple": ("import collections\nP = collections.namedtuple('P', 'x y')\nlist(P(1, 2))", [1, 2]),
    "del": ("x = [1, 2]\ndel x[0]\nx", [2]),
    "typing": ("from typing import List\ndef f(x: List[int]) -> int:\n    return x[0]\nf([4])", 4),
    "wraps": (
        "import functools\ndef d(f):\n    @functools.wraps(f)\n    def g(*a):\n        return f(*a) + 1\n    return g\n"
        "@d\ndef h(x):\n    return x\nh(1)",
        2,
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_give_their_answers(sandbox: Sandbox, name: str) -> None:
    code, inputs, wanted = PROGRAMS[name]
    result = sandbox.run(code, inputs)
    assert (result.kind, result.error) == ("done", None)
    got = result.values.get("result")
    assert got == wanted
    assert type(got) is type(wanted)


@pytest.mark.parametrize("name", BEYOND_MONTY)
def test_programs_that_monty_may_lack(sandbox: Sandbox, name: str) -> None:
    code, wanted = BEYOND_MONTY[name]
    result = sandbox.run(code, {})
    if sandbox.name == "process" or result.kind == "done":
        assert result.values == {"result": wanted}
    else:
        assert result.kind == "error"
        assert result.error


def test_wanted_names_come_back_and_inputs_stay_as_they_were(sandbox: Sandbox) -> None:
    given_list = [1, {"deep": [None, True, 2.5, "é"]}]
    result = sandbox.run(
        "items.append(n)\nboth = (items, n)\nn += 1", {"items": given_list, "n": 7}, wants=("both", "n")
    )
    assert result.values == {"both": [[1, {"deep": [None, True, 2.5, "é"]}, 7], 7], "n": 8}
    assert given_list == [1, {"deep": [None, True, 2.5, "é"]}]


def test_inputs_are_data_and_not_source(sandbox: Sandbox) -> None:
    text = '"""\nimport os\n{x}"); raise SystemExit #\\'
    assert sandbox.run("len(text), text", {"text": text}).values == {"result": [len(text), text]}


def test_print_is_kept_and_separate_from_values(sandbox: Sandbox) -> None:
    result = sandbox.run("print('a', 1, sep='-', end='!')\nprint('ü')\n5", {})
    assert (result.printed, result.values) == ("a-1!ü\n", {"result": 5})


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("x = 1\n\ny = x + missing", "error", "line 3: NameError: name 'missing' is not defined"),
        ("def f():\n    return 1 / 0\n\nf()", "error", "line 2: ZeroDivisionError: "),
        ("def solution():\n    return [][3]", "error", "line 2: IndexError: "),
        ("raise ValueError('two\\nlines')", "error", "line 1: ValueError: two lines"),
        ("x = = 1", "error", "line 1: SyntaxError: "),
        ("x = 1\nreturn x", "error", "line 2: SyntaxError: 'return' outside function"),
        ("1\nimport numpy", "refused", "line 2: import of 'numpy' is not allowed; allowed are collections, "),
        ("x.__class__", "refused", "line 1: the attribute '__class__' is not allowed"),
        ("while True: pass", "time", "the code ran longer than 1 s"),
        ("x = [0] * 10**9", "memory", "the code needed more than 64 MB of memory"),
        ("print('x' * 3000)", "output", "the code printed or returned more than 2000 characters"),
        ("{1}", "error", "the value of 'result' is a set, which is not JSON; make it a list"),
        ("float('nan')", "error", "the value of 'result' is nan, which is not JSON"),
        ("{1: 2}", "error", "the value of 'result' has a key of type int; keys of JSON objects are text"),
    ],
)
@pytest.mark.parametrize("backend", BACKENDS)
def test_errors_are_one_sentence(backend: str, code: str, kind: str, words: str) -> None:
    with opened(backend, seconds=1.0, memory_mb=64, output_chars=2000) as sandbox:
        result = sandbox.run(code, {})
    assert result.kind == kind
    assert result.error is not None
    assert result.error.startswith(words)
    assert "\n" not in result.error


def test_a_wanted_name_that_is_never_set(sandbox: Sandbox) -> None:
    result = sandbox.run("x = 1", {}, wants=("x", "y"))
    assert (result.kind, result.error, result.values) == ("error", "the code never sets 'y'", {})


def test_what_was_printed_before_the_failure_is_kept(sandbox: Sandbox) -> None:
    assert sandbox.run("print('so far')\n1 / 0", {}).printed == "so far\n"


def test_output_is_cut_at_the_limit() -> None:
    for backend in BACKENDS:
        with opened(backend, output_chars=1000) as sandbox:
            result = sandbox.run("for i in range(1000): print('é' * 9)", {})
        assert result.kind == "output"
        assert result.printed == ("é" * 9 + "\n") * 100


@pytest.mark.parametrize("backend", BACKENDS)
def test_equal_programs_have_equal_results(backend: str) -> None:
    code = (
        "import random\nx = [random.random(), random.randint(1, 10**6), random.Random(4).random()]\n"
        "random.shuffle(x)\n[x, list({'a', 'bb', 'ccc', 'dddd'}), hash('a')]"
    )
    found = []
    for seed in (1, 1, 2):
        with opened(backend) as sandbox:
            found += [sandbox.run(code, {"seed": seed}).values, sandbox.run(code, {"seed": seed}).values]
    assert found[0]
    assert found[:4] == [found[0]] * 4
    assert found[4] == found[5] != found[0]


def test_seeded_draws_are_those_of_python(sandbox: Sandbox) -> None:
    source = random.Random(11)
    wanted = [source.random(), source.randint(1, 100), source.choice("abcdef"), source.gauss(0, 1)]
    code = "import random as r\nr.seed(11)\n[r.random(), r.randint(1, 100), r.choice('abcdef'), r.gauss(0, 1)]"
    assert sandbox.run(code, {}).values == {"result": wanted}


def test_runs_leave_nothing_behind(sandbox: Sandbox) -> None:
    assert sandbox.run("leak = 5\nimport math\nlen = 3", {}).kind == "done"
    assert sandbox.run("leak", {}).error == "line 1: NameError: name 'leak' is not defined"
    assert sandbox.run("len('ab')", {}).values == {"result": 2}


def test_many_at_once_from_one_loop(sandbox: Sandbox) -> None:
    async def all_of_them() -> list[Any]:
        return await asyncio.gather(*(sandbox.run_async("n * n", {"n": n}) for n in range(24)))

    assert [result.values["result"] for result in asyncio.run(all_of_them())] == [n * n for n in range(24)]


def test_many_at_once_from_many_threads(sandbox: Sandbox) -> None:
    found: dict[int, Any] = {}
    threads = [
        threading.Thread(target=lambda n=n: found.update({n: sandbox.run("n + 1", {"n": n}).values})) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: {"result": n + 1} for n in range(8)}


@pytest.mark.parametrize("backend", BACKENDS)
def test_cancelling_kills_the_program(backend: str) -> None:
    async def cancelled(sandbox: Sandbox) -> None:
        task = asyncio.create_task(sandbox.run_async("while True: pass", {}))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    start = time.perf_counter()
    with opened(backend, seconds=60) as sandbox:
        asyncio.run(cancelled(sandbox))
        assert sandbox.run("1", {}).values == {"result": 1}
    assert time.perf_counter() - start < 10  # closing waits for the killed run, which had a minute left


def test_no_process_outlives_its_run(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Recorded(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *args: Any, **options: Any):
            super().__init__(*args, **options)
            started.append(self)

    monkeypatch.setattr(sandbox_process.subprocess, "Popen", Recorded)
    with opened("process", seconds=0.1) as sandbox:
        assert [sandbox.run(code, {}).kind for code in ("1", "while True: pass")] == ["done", "time"]
    assert [process.returncode is not None for process in started] == [True, True]


@pytest.mark.parametrize(
    ("inputs", "wants", "words"),
    [
        ({"a b": 1}, (), "input name 'a b' is no variable name"),
        ({"__builtins__": 1}, (), "input name '__builtins__'"),
        ({"class": 1}, (), "input name 'class'"),
        ({}, ("x.y",), "wanted name 'x.y'"),
        ({}, ("__name__",), "wanted name '__name__'"),
        ({"x": {1, 2}}, (), "the value of 'x' is a set"),
        ({"x": math.inf}, (), "the value of 'x' is inf"),
    ],
)
def test_wrong_names_and_inputs_are_the_callers_fault(inputs: Any, wants: Any, words: str) -> None:
    with Sandbox(backend="process") as sandbox, pytest.raises(ConfigError, match=words):
        sandbox.run("1", inputs, wants=wants)


def test_backends_and_limits_are_checked() -> None:
    with pytest.raises(ConfigError, match="'docker' is not known; allowed are 'auto', 'monty' and 'process'"):
        Sandbox(backend="docker")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="seconds is 0"):
        Sandbox(Limits(seconds=0))


def test_auto_takes_the_process_where_monty_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydantic_monty", None)  # importing it fails, as where it is not installed
    with pytest.raises(ConfigError, match="pip install pydantic-monty"):
        Sandbox(backend="monty")
    monkeypatch.setattr("menon.flowcharts.sandbox.find_spec", lambda name: None)
    with Sandbox() as sandbox:
        assert sandbox.name == "process"


def test_programs_can_be_checked_without_running() -> None:
    assert problem_of("x = n + 1", ["n"]) is None
    assert problem_of("'{:>{w}}'.format(1, w=5)") is None
    assert problem_of("x = '\\d'") is None  # a doubtful escape is a warning in our file, not in theirs
    assert problem_of("open('a')") == "line 1: open() is not allowed in a sandboxed program"
    assert problem_of("open", ["open"]) is None
    assert problem_of("try:\n  pass\nexcept* OSError as __e:\n  pass") is not None
    assert problem_of("match 1:\n  case {**__rest}: pass") is not None
    assert problem_of("def f(__a): pass") is not None
    assert problem_of("async def f():\n  async for __a in b: pass") is not None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_plain_values_stay_as_they_are(value: Any) -> None:
    made = plain(value, "x", most_chars=10_000)
    assert made == value
    assert json.loads(json.dumps(made, allow_nan=False)) == value


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9))
def test_decimals_become_numbers_only_where_these_are_exact(value: Decimal) -> None:
    exact = Fraction(value)
    try:
        made = plain(value, "x", most_chars=10_000)
    except NotPlain:
        assert exact.denominator != 1
        assert Fraction(repr(float(value))) != exact
    else:
        assert Fraction(repr(made)) == exact


@given(st.fractions(max_denominator=1000))
def test_fractions_become_numbers_only_where_these_are_exact(value: Fraction) -> None:
    try:
        made = plain(value, "x", most_chars=10_000)
    except NotPlain:
        assert Fraction(repr(float(value))) != value
    else:
        assert Fraction(repr(made)) == value


def test_values_that_contain_themselves_are_told_from_shared_ones() -> None:
    shared = [1]
    assert plain([shared, shared, {"a": shared}], "x", most_chars=100) == [[1], [1], {"a": [1]}]
    ring: list[Any] = [1]
    ring.append({"a": ring})
    with pytest.raises(NotPlain, match="the value of 'x' contains itself"):
        plain(ring, "x", most_chars=100)


def test_text_without_lone_surrogates_is_untouched() -> None:
    assert clean_text("aé😀") == "aé😀"
    assert clean_text("a\ud800b") == "a�b"
    assert clean_text("\ud83d\ude00") == "😀"


def test_subclasses_are_read_without_asking_them() -> None:
    class Liar(dict):  # type: ignore[type-arg]
        def items(self) -> Any:
            raise AssertionError("a method of the value was called")

        def __iter__(self) -> Any:
            raise AssertionError("a method of the value was called")

    class Count(int):
        def __int__(self) -> int:
            raise AssertionError("a method of the value was called")

    assert plain(Liar(a=Count(3)), "x", most_chars=100) == {"a": 3}
    assert type(plain(Count(3), "x", most_chars=100)) is int

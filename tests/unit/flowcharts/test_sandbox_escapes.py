"""Known ways out of a Python sandbox, and to exhaust one: each must end in a clean result on both backends."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

from menon.flowcharts import sandbox_lockdown, sandbox_worker
from menon.flowcharts.sandbox import Limits, Sandbox, problem_of
from menon.flowcharts.sandbox_process import ProcessBackend
from menon.flowcharts.sandbox_protocol import Program, Stop
from menon.flowcharts.sandbox_rules import MODULES, REFUSED_NAMES, checked

SECRET = "canary-5f1c9e"
LIMITS = Limits(seconds=0.3, memory_mb=64, output_chars=4000, recursion=100)
MOST_SECONDS = 5.0

ESCAPES = {
    "class walk": "().__class__.__bases__[0].__subclasses__()",
    "mro walk": "''.__class__.__mro__[-1].__subclasses__()",
    "mro method": "str.mro()",
    "getattr literal": "getattr((), '__class__')",
    "getattr built name": "getattr((), '__cl' + 'ass__')",
    "getattr alias": "g = getattr\ng((), '__class__')",
    "getattr mapped": "list(map(getattr, [()], ['__class__']))",
    "getattr star": "getattr(*[(), '__class__'])",
    "hasattr probe": "hasattr((), '__class__')",
    "setattr": "class A: pass\nsetattr(A, '__getattr__', print)",
    "str.format attribute": "'{0.__class__.__mro__}'.format(1)",
    "str.format nested": "'{0:{1.__class__}}'.format(1, 2)",
    "str.format item": "'{0[__class__]}'.format(print)",
    "str.format variable": "t = '{0.__class__}'\nt.format(1)",
    "str.format unbound": "str.format('{0.__class__}', 1)",
    "str.format alias": "f = '{0.__class__}'.format\nf(1)",
    "str.format getattr": "getattr('{0.__class__}', 'format')(1)",
    "str.format match": "match '{0.__class__}':\n  case str(format=f):\n    x = f(1)\nx",
    "format_map": "'{a.__class__}'.format_map({'a': 1})",
    "f-string attribute": "f'{().__class__.__bases__}'",
    "f-string nested": "f'{f\"{print.__self__}\"}'",
    "match attribute": "match print:\n  case object(__self__=m):\n    x = m\nx",
    "match_args": "class A:\n  __match_args__ = ('__class__',)\nmatch 1:\n  case A(c): pass",
    "generator frame": "def g():\n  yield 1\ng().gi_frame.f_globals",
    "generator expression frame": "(x for x in [1]).gi_frame.f_back",
    "coroutine frame": "async def f(): pass\nf().cr_frame.f_builtins",
    "async generator frame": "async def f():\n  yield 1\nf().ag_frame",
    "traceback frame": "try:\n  1/0\nexcept Exception as e:\n  x = e.__traceback__.tb_frame.f_globals\nx",
    "traceback argument": "class C:\n  def __exit__(self, t, v, tb):\n    print(tb.tb_frame.f_back)\n",
    "with_traceback": "try:\n  1/0\nexcept Exception as e:\n  x = e.with_traceback(None).__context__\nx",
    "function globals": "def f(): pass\nf.__globals__['__builtins__']",
    "function code": "def f(): pass\nf.__code__ = f.__code__",
    "method self": "print.__self__",
    "closure cells": "def f():\n  a = 1\n  return lambda: a\nf().__closure__[0].cell_contents",
    "decorator class": "@type.__subclasses__\nclass A: pass",
    "decorator exec": "@exec\n@input\nclass A: pass",
    "metaclass": "class M(type):\n  def __call__(cls): return cls.__subclasses__()\nclass A(metaclass=M): pass\nA()",
    "init_subclass": "class A:\n  def __init_subclass__(cls): print(cls.__bases__)\nclass B(A): pass",
    "class getattribute": "class A:\n  def __getattribute__(self, n): return n\nA().x",
    "builtins name": "__builtins__['open']('PATH').read()",
    "builtins module": "import builtins\nbuiltins.open('PATH').read()",
    "builtins global": "global __builtins__\n__builtins__ = 1",
    "loader": "__loader__.load_module('os')",
    "spec": "__spec__",
    "dunder import": "__import__('os').system('id')",
    "import os": "import os\nos.environ['CANARY']",
    "import sys": "import sys\nsys.modules['os'].environ['CANARY']",
    "import subprocess": "import subprocess\nsubprocess.check_output(['cat', 'PATH'])",
    "import socket": "import socket\nsocket.create_connection(('127.0.0.1', 1))",
    "import ctypes": "import ctypes\nctypes.CDLL(None).system(b'id')",
    "import pickle": "import pickle\npickle.loads(b\"cos\\nsystem\\n(S'id'\\ntR.\")",
    "import importlib": "import importlib\nimportlib.import_module('os')",
    "import pathlib": "from pathlib import Path\nPath('PATH').read_text()",
    "import gc": "import gc\ngc.get_objects()",
    "import inspect": "import inspect\ninspect.currentframe()",
    "import threading": "import threading\nthreading.Thread(target=print).start()",
    "import asyncio": "import asyncio\nasyncio.run(asyncio.sleep(9))",
    "import multiprocessing": "from multiprocessing import Process",
    "import submodule": "import os.path",
    "import relative": "from . import sandbox",
    "import own package": "from menon.flowcharts import sandbox",
    "import alias dunder": "import math as __builtins__",
    "import star os": "from os import *\nlistdir('/')",
    "random._os": "import random\nrandom._os.environ['CANARY']",
    "random os from": "from random import _os\n_os.environ['CANARY']",
    "json.codecs": "import json\njson.codecs.open('PATH').read()",
    "json.decoder": "import json\njson.decoder.scanner",
    "re._compiler": "import re\nre._compiler",
    "re.enum": "import re\nre.enum.sys",
    "re.copyreg": "import re\nre.copyreg",
    "statistics.sys": "import statistics\nstatistics.sys.modules",
    "statistics.random": "import statistics\nstatistics.random._os",
    "collections.sys": "import collections\ncollections._sys",
    "collections.abc": "import collections\ncollections.abc.sys",
    "fractions.operator": "import fractions\nfractions.operator.attrgetter('__class__')(1)",
    "typing.sys": "import typing\ntyping.sys",
    "typing forward": "import typing\ntyping.ForwardRef('__import__(\"os\")')._evaluate({}, {}, frozenset())",
    "wraps updates globals": "import functools, statistics\ndef f(): return sys.platform\n"
    "functools.wraps(statistics.mean, assigned=(), updated=('__globals__',))(f)\nf()",
    "singledispatch": "import functools\nfunctools.singledispatch",
    "namedtuple source": "import collections\ncollections.namedtuple('A', ['a=print(1)'])",
    "namedtuple keyword": "import collections\ncollections.namedtuple('A', 'a', module='os')",
    "json default self": "import json\njson.dumps(print, default=lambda o: o.__self__)",
    "open": "open('PATH').read()",
    "open alias": "o = open\no('PATH').read()",
    "open write": "open('PATH', 'w').write('x')",
    "environ by name": "environ['CANARY']",
    "exec": "exec('import os')",
    "eval": "eval('__import__(\"os\")')",
    "compile": "compile('1', 'x', 'eval')",
    "globals": "globals()['__builtins__']",
    "locals": "locals()['__builtins__']",
    "vars": "vars(print)",
    "dir": "dir(print)",
    "input": "input('secret?')",
    "breakpoint": "breakpoint()",
    "help": "help()",
    "exit": "exit()",
    "type of three": "type('X', (), {'__match_args__': ('__class__',)})",
    "type alias of three": "t = type(int)\nt('X', (), {'a': 1}).a",
    "type star": "type(*['X', (), {}])",
    "type as value": "[type][0](1).__mro__",
    "function type": "F = type(lambda: 0)\nF(1, {})",
    "super walk": "class A: pass\nsuper(A, A()).__thisclass__",
    "init globals": "class A:\n  def __init__(self): pass\nA.__init__.__globals__",
    "super init globals": "class A:\n  def f(self): return super().__init__.__self__\nA().f()",
    "walrus": "(x := ().__class__)",
    "lambda default": "(lambda a=().__class__: a)()",
    "comprehension": "[c for c in ().__class__.__base__.__subclasses__()]",
    "annotation": "x: ().__class__.__base__ = 1",
    "assert message": "assert 0, ().__class__.__base__",
    "full-width letters": "().__ｃlass__",
    "del builtin": "del __builtins__",
    "sleep": "import time\ntime.sleep(100)",
    "clock": "import datetime\ndatetime.datetime.now().isoformat()",
    "clock of dates": "from datetime import date\nstr(date.today())",
    "null byte": "x = 1\0\nx",
    "lone surrogate in source": "x = '\ud800'",
    "only spaces and tabs": " \t\n\tx = 1",
    "system exit": "raise SystemExit(0)",
    "keyboard interrupt": "raise KeyboardInterrupt",
    "error that lies": "class E(Exception):\n  def __str__(self): return 1/0\nraise E()",
}
EXHAUSTIONS = {
    "infinite loop": "while True: pass",
    "swallow everything": "while True:\n  try:\n    while True: pass\n  except BaseException: pass",
    "swallow bare": "def f():\n  try:\n    while True: pass\n  except: f()\nf()",
    "swallow finally": "def f():\n  try:\n    while True: pass\n  finally:\n    f()\nf()",
    "error text that never ends": "class E(Exception):\n  def __str__(self):\n    while True: pass\nraise E()",
    "recursion": "def f(n): return f(n + 1)\nf(0)",
    "mutual recursion": "def f(): return g()\ndef g(): return f()\nf()",
    "recursion swallowed": "def f():\n  try: f()\n  except RecursionError: f()\nf()",
    "lambda recursion": "f = lambda f: f(f)\nf(f)",
    "repr recursion": "class A:\n  def __repr__(self): return repr(self)\nrepr(A())",
    "list bomb": "x = [0]\nwhile True: x = x + x",
    "list product": "x = [[0] * 10**6 for i in range(10**6)]",
    "text bomb": "x = 'x' * 10**10",
    "text doubling": "x = 'x'\nwhile True: x += x",
    "bytes bomb": "x = b'x' * 10**10",
    "dictionary bomb": "d = {}\ni = 0\nwhile True:\n  d[i] = str(i) * 50\n  i += 1",
    "range list": "x = list(range(10**10))",
    "nested list": "x = []\nwhile True: x = [x]",
    "power tower": "9**9**9",
    "power tower variable": "a = 9\nb = a**a**a",
    "shift": "1 << 10**12",
    "squaring": "x = 3\nwhile True: x = x * x",
    "factorial": "import math\nmath.factorial(10**8)",
    "comb": "import math\nmath.comb(10**7, 5 * 10**6)",
    "digits": "x = 10**5000\nx",
    "digits as text": "str(10**100000)",
    "format width": "f'{1:>{10**10}}'",
    "percent width": "'%10000000000d' % 1",
    "ljust": "'x'.ljust(10**10)",
    "replace bomb": "x = 'x' * 10**6\nx = x.replace('x', x)",
    "join bomb": "x = ('x' * 10**6).join(['y'] * 10**6)",
    "regex backtracking": "import re\nstr(bool(re.match(r'(a|a)*(a|a)*(a|a)*$', 'a' * 40 + 'b')))",
    "regex repetition": "import re\nre.compile('(((a{1,1000}){1,1000}){1,1000}){1,1000}').match('b')",
    "permutations": "import itertools\nx = list(itertools.permutations(range(15)))",
    "endless iterator": "import itertools\nsum(itertools.repeat(1))",
    "endless iterator to list": "import itertools\nx = list(itertools.count())",
    "json deep": "import json\njson.loads('[' * 10**6)",
    "decimal precision": "from decimal import Decimal, getcontext\ngetcontext().prec = 10**7\nx = Decimal(2).sqrt()",
    "fraction growth": "from fractions import Fraction\nx = Fraction(1, 3)\nwhile True: x = x * x + 1",
    "sorting": "x = sorted(range(10**9), key=lambda v: -v)",
    "huge print": "print('x' * 10**6)",
    "endless print": "while True: print('x' * 100)",
    "endless small prints": "while True: print(end='x')",
    "prints swallowed": "while True:\n  try:\n    print('x' * 10**4)\n  except BaseException: pass",
    "huge result": "x = 'y' * 10**6\nx",
    "wide result": "list(range(10**5))",
    "result of shared parts": "a = [1]\nfor i in range(60): a = [a, a]\na",
    "result of long shared text": "a = 'x' * 1000\n[a] * 10**5",
    "cyclic list": "x = [1]\nx.append(x)\nx",
    "cyclic dictionary": "x = {}\nx['a'] = [x]\nx",
    "deep result": "x = 1\nfor i in range(150): x = [x]\nx",
    "set result": "{1, 2}",
    "nan result": "float('nan')",
    "infinite result": "[1, {'a': float('inf')}]",
    "bytes result": "b'abc'",
    "complex result": "1j",
    "object result": "class A: pass\nA()",
    "function result": "lambda: 1",
    "builtin result": "len",
    "module result": "import math\nmath",
    "range result": "range(3)",
    "generator result of range keys": "{(1, 2): 3}",
    "third as result": "from fractions import Fraction\nFraction(1, 3)",
    "deep parentheses": "(" * 5000 + ")" * 5000,
    "deep minus": "-" * 50_000 + "1",
    "deep sum": "1" + "+1" * 30_000,
    "deep attributes": "x" + ".a" * 30_000,
    "deep calls": "len" + "()" * 30_000,
    "deep lambdas": "lambda:" * 14_000 + "1",
    "deep blocks": "".join(" " * level + "if 1:\n" for level in range(150)) + " " * 150 + "1",
    "deep f-strings": "f'{" * 20 + "1" + "}'" * 20,
    "unclosed brackets": "[" * 90_000,
    "ten megabytes": "x = 1\n" * 1_700_000,
    "ten megabyte text": "x = '" + "y" * 10_000_000 + "'",
    "spin in solution": "def solution():\n  while True: pass",
    "fork bomb": "import os\nwhile True: os.fork()",
    "thread bomb": "import threading\nwhile True: threading.Thread(target=print).start()",
    "async forever": "async def f():\n  while True: pass\nf().send(None)",
}
ATTEMPTS = ESCAPES | EXHAUSTIONS
SEEN_ONLY_WHEN_RUN = {  # what a check of the text cannot see; the worker's own functions and modules must stop it
    *("getattr alias", "getattr mapped", "type alias of three", "function type", "environ by name"),
    *("random os from", "json.codecs", "json.decoder", "re.enum", "re.copyreg", "statistics.sys", "collections.abc"),
    *("fractions.operator", "typing.sys", "wraps updates globals", "singledispatch"),
    *("namedtuple source", "namedtuple keyword", "system exit", "keyboard interrupt", "error that lies"),
}
HARMLESS = {  # the few that a backend may simply do, with what then comes out
    "getattr mapped": ([],),
    "with_traceback": (None,),
    "type as value": (None,),
    "regex backtracking": ("False",),  # an engine that does not backtrack
    "regex repetition": (None,),
    "deep f-strings": ("1",),  # from Python 3.12 on
    "recursion swallowed": (None,),
    "swallow bare": (None,),
}


@pytest.fixture(scope="module")
def canary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("canary") / "secret.txt"
    path.write_text(SECRET)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CANARY", SECRET)
        yield path
    assert path.read_text() == SECRET, "a program wrote to a file"


@pytest.fixture(scope="module", params=["monty", "process"])
def sandbox(request: pytest.FixtureRequest, canary: Path) -> Iterator[Sandbox]:
    if request.param == "monty" and find_spec("pydantic_monty") is None:
        pytest.skip("pydantic-monty is not installed: only the process backend is tested")
    with Sandbox(LIMITS, backend=request.param) as opened:
        yield opened
        alive = any(opened.run("6 * 7", {}).values == {"result": 42} for _ in range(5))  # a busy machine may be slow
        assert alive


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_attempt_ends_in_a_clean_result(sandbox: Sandbox, canary: Path, attempt: str) -> None:
    start = time.perf_counter()
    result = sandbox.run(ATTEMPTS[attempt].replace("PATH", str(canary)), {})
    assert time.perf_counter() - start < MOST_SECONDS
    assert SECRET not in repr(result)
    if result.kind == "done":
        assert result.values.get("result") in HARMLESS.get(attempt, ()), result
    else:
        assert result.values == {}
        assert result.error
        assert "\n" not in result.error
        assert "Traceback" not in result.error
        assert str(Path(__file__).parents[3]) not in result.error
    assert len(result.printed) <= LIMITS.output_chars


@pytest.mark.parametrize(
    ("attempt", "kind"),
    [
        ("infinite loop", "time"),
        ("swallow everything", "time"),
        ("spin in solution", "time"),
        ("list bomb", "memory"),
        ("text bomb", "memory"),
        ("huge print", "output"),
        ("huge result", "output"),
        ("result of shared parts", "output"),
        ("cyclic list", "error"),
        ("recursion", "error"),
        ("ten megabytes", "refused"),
        ("import os", "refused"),
        ("class walk", "refused"),
        ("open", "refused"),
    ],
)
def test_both_backends_say_alike_why_it_ended(sandbox: Sandbox, attempt: str, kind: str) -> None:
    seconds = LIMITS.seconds if kind == "time" else 10.0  # so that a busy machine is not what ends it
    with Sandbox(replace(LIMITS, seconds=seconds), backend=sandbox.name) as patient:  # pyright: ignore[reportArgumentType]
        assert patient.run(ATTEMPTS[attempt], {}).kind == kind


@pytest.mark.parametrize("attempt", sorted(set(ESCAPES) - SEEN_ONLY_WHEN_RUN))
def test_most_escapes_are_refused_before_anything_runs(attempt: str) -> None:
    assert problem_of(ESCAPES[attempt])


@pytest.mark.parametrize("attempt", sorted(SEEN_ONLY_WHEN_RUN))
def test_what_is_stopped_when_run_shows_nothing_as_text(sandbox: Sandbox, attempt: str) -> None:
    """An escape whose value is an object would end in an error all the same; as text it would be seen."""
    start, _, last = ESCAPES[attempt].rpartition("\n")
    result = sandbox.run(f"{start}\nstr({last})" if "raise" not in last else ESCAPES[attempt], {})
    harmless = {"namedtuple keyword": "<class 'A'>"}.get(attempt, "")  # without source there is nothing to inject
    assert result.kind == "error" or result.values == {"result": harmless}, result


def test_programs_see_copies_of_modules_that_lead_nowhere() -> None:
    for name in MODULES:
        public = {key: value for key, value in vars(sandbox_worker._module(name, 1)).items() if key[:2] != "__"}
        assert public
        assert not [key for key, value in public.items() if key.startswith("_") or isinstance(value, ModuleType)]
    assert not REFUSED_NAMES & set(sandbox_worker.PUBLIC["builtins"].split())


def test_there_are_enough_attempts() -> None:
    assert len(ATTEMPTS) >= 60


@pytest.mark.parametrize("code", ["import os", "().__class__", "open('x')"])
def test_worker_checks_again_what_the_parent_let_pass(code: str) -> None:
    backend = ProcessBackend(LIMITS)
    program = Program(code=code, tree=checked("1"), inputs={}, wants=(), seed=1)
    assert backend.run(program, Stop()).kind == "error"


UNLOCKED = """
import ctypes, os, socket, sys
sys.path.append(os.path.dirname(sys.argv[1]))
import sandbox_lockdown
inside = bytearray(8)
filtered = sandbox_lockdown.lock(seconds=2, memory_mb=64)
tries = {
    "open": lambda: open(sys.argv[2]).read(),
    "os.open": lambda: os.open(sys.argv[2], os.O_RDONLY),
    "list": lambda: os.listdir("/"),
    "stat": lambda: os.stat("/"),
    "socket": lambda: socket.socket(),
    "fork": lambda: os.fork(),
    "execute": lambda: os.execv("/bin/true", ["true"]),
    "kill": lambda: os.kill(os.getppid(), 0),
    "pipe": lambda: os.pipe(),
    "directory": lambda: os.mkdir("/tmp/never"),
    "memory": lambda: bytearray(1 << 30),
    "by ctypes": lambda: 1 / (ctypes.CDLL(None).open(sys.argv[2].encode(), 0) + 1),
}
said = [str(filtered)]
for name, attempt in tries.items():
    try:
        said.append(f"{name}: {attempt()!r}")
    except (OSError, MemoryError, ZeroDivisionError):
        pass
os.write(1, "|".join(said).encode())
os._exit(0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="system calls are filtered on Linux only")
def test_a_locked_process_has_no_files_network_or_processes(canary: Path) -> None:
    """What an escape from the interpreter's level would find: nothing, even with every module at hand."""
    done = subprocess.run(
        [sys.executable, "-c", UNLOCKED, sandbox_lockdown.__file__, str(canary)], capture_output=True, timeout=20
    )
    assert done.returncode == 0
    if os.uname().machine not in sandbox_lockdown.SYSTEM_CALLS:
        pytest.skip("no table of system calls for this machine")
    assert done.stdout == b"True"


def test_what_the_process_answers_is_not_trusted() -> None:
    """A program that took over its process could write anything; only plain values under asked-for names pass."""
    backend = ProcessBackend(LIMITS)
    program = Program(code="1", tree=checked("1"), inputs={}, wants=("a",), seed=1)

    def read(answer: object) -> str:
        return backend._read(json.dumps(answer).encode() + b"\n", program, 0.0).kind

    good = {"kind": "done", "error": None, "values": {"a": 1}, "printed": ""}
    assert read(good) == "done"
    assert read(good | {"values": {"a": float("nan")}}) == "error"
    assert read(good | {"values": {"b": 1}}) == "error"
    assert read(good | {"values": {"a": "x" * 10_000}}) == "output"
    assert read(good | {"printed": 3}) == "error"
    assert read(good | {"kind": "anything"}) == "error"
    assert read([1]) == "error"
    assert backend._read(b"\xff\n", program, 0.0).kind == "error"
    assert backend._read(b"{" * 100_000 + b"\n", program, 0.0).kind == "error"

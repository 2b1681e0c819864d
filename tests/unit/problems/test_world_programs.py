"""Programs under two ways of counting positions: our interpreter against CPython, and what it refuses to run."""

import ast
import json
import subprocess
import sys

import pytest

from menon.core.errors import ConfigError
from menon.core.values import Problem
from menon.problems.worlds.interpreter import ProgramError, run, translated
from menon.problems.worlds.programs import PROGRAMS


def _by_cpython(sources: list[str]) -> list[str]:
    """Return what CPython says each program's last line is worth, all in one process."""
    script = ["import json", "seen = []"]
    for source in sources:
        tree = ast.parse(source)
        last = ast.unparse(tree.body.pop())
        script += [ast.unparse(tree), f"seen.append(repr({last}))"]
    done = subprocess.run(
        [sys.executable, "-I", "-c", "\n".join([*script, "print(json.dumps(seen))"])],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def _source(problem: Problem) -> str:
    return problem.question.split("```python\n")[1].split("\n```")[0]


@pytest.mark.parametrize("kind", ["problem", "control"])
def test_programs_counting_from_0_do_what_cpython_does(kind: str):
    problems = [getattr(PROGRAMS, kind)("test", index) for index in range(80)]
    assert _by_cpython([_source(problem) for problem in problems]) == [problem.answer for problem in problems]


@pytest.mark.parametrize("kind", ["problem", "control"])
def test_programs_counting_from_1_do_what_cpython_does_after_translation(kind: str):
    problems = [getattr(PROGRAMS, kind)("test", index, world="one-based") for index in range(80)]
    sources = [translated(_source(problem), first=1) for problem in problems]
    assert _by_cpython(sources) == [problem.answer for problem in problems]


def test_the_same_program_returns_something_else_in_the_other_world():
    for index in range(60):
        usual, changed = PROGRAMS.problem("test", index), PROGRAMS.problem("test", index, world="one-based")
        assert _source(usual) == _source(changed)
        assert usual.answer != changed.answer
        assert "```python" in changed.question
        assert "from 1: x[1]" in changed.question


@pytest.mark.parametrize(
    ("line", "zero", "one"),
    [
        ("[4, 7, 9][1]", 7, 4),
        ("[4, 7, 9, 5][1:3]", [7, 9], [4, 7]),
        ("[4, 7, 9, 5][:3]", [4, 7, 9], [4, 7]),
        ("[4, 7, 9, 5][2:]", [9, 5], [7, 9, 5]),
        ("[4, 7, 9, 5][1::2]", [7, 5], [4, 9]),
        ("list(range(3))", [0, 1, 2], [1, 2, 3]),
        ("list(range(1, 4))", [1, 2, 3], [1, 2, 3]),
        ('list(enumerate("ab"))', [(0, "a"), (1, "b")], [(1, "a"), (2, "b")]),
        ('"plum".index("u")', 2, 3),
    ],
)
def test_the_rules_of_both_dialects(line: str, zero: object, one: object):
    assert run(line, first=0) == zero == run(translated(line, first=0), first=1)
    assert run(line, first=1) == one == run(translated(line, first=1), first=0)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import os\n1", "Import is not in the subset"),
        ("().__class__", "Attribute is not in the subset"),
        ("[].sort()", "not in the subset"),
        ("open('x')", "'open' is not in the subset"),
        ("lambda: 1", "Lambda is not in the subset"),
        ("x = 1\nwhile 1:\n    x += 1\nx", "steps"),
        ("x = 2\nwhile 1:\n    x = x * x\nx", "a number beyond"),
        ("x = [1]\nwhile 1:\n    x = x + x\nx", "elements"),
        ("def f(x):\n    return f(x)\nf(1)", "'f' is not in the subset"),
        ("def f(x):\n    return x\nf(1, 2)", "takes 1 arguments"),
        ("[1, 2][-1]", "UnaryOp is not in the subset"),
        ("[1, 2][2]", "position 2 of 2 elements"),
        ("[1][1:'a']", "positions are whole numbers"),
        ("y", "nothing is called 'y'"),
        ("1 // 0", "by zero"),
        ("'a' + 1", "str"),
        ("'a' * 100000", "only whole numbers can be multiplied"),
        ("'%d' % 1", "remainder"),
        ("x = 1", "no expression"),
        ("def f(:", "cannot read"),
        ("1" + "+1" * 1900, "nested too deeply"),
        ("1 + 1 " * 1000, "at most"),
        ("f'{1}'", "JoinedStr"),
    ],
)
def test_what_the_interpreter_refuses(source: str, says: str):
    with pytest.raises(ProgramError, match=says):
        run(source)


def test_positions_below_the_first_are_errors():
    for line in ("[1, 2][0]", "[1, 2][0:2]"):
        with pytest.raises(ProgramError):
            run(line, first=1)
        assert run(line, first=0) in (1, [1, 2])


@pytest.mark.parametrize(
    "call",
    [
        lambda: PROGRAMS.problem("test", 0, world="two-based"),
        lambda: PROGRAMS.problem("test", 0, difficulty=9),
        lambda: PROGRAMS.solve(Problem(family="x", question="What is 1?", answer="1")),
    ],
)
def test_what_is_not_there_is_refused(call):
    with pytest.raises(ConfigError):
        call()

"""Random structured programs: the chart gives what a plain recursive interpreter of the same program gives."""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from menon.core.values import Completion
from menon.flowcharts.calling import Models
from menon.flowcharts.check import require
from menon.flowcharts.document import read_chart
from menon.flowcharts.executor import Executor
from menon.flowcharts.surroundings import Surroundings

MODULUS = 1009

# A program: ("set", place, factor), ("seq", parts), ("if", place, then, else), ("loop", times, body) or ("fork", parts)
Program = tuple[Any, ...]


def programs() -> st.SearchStrategy[Program]:
    leaf = st.tuples(st.just("set"), st.integers(0, 2), st.integers(2, 9))

    def larger(part: st.SearchStrategy[Program]) -> st.SearchStrategy[Program]:
        parts = st.lists(part, min_size=2, max_size=3).map(tuple)
        return st.one_of(
            st.tuples(st.just("seq"), parts),
            st.tuples(st.just("if"), st.integers(0, 2), part, part),
            st.tuples(st.just("loop"), st.integers(0, 3), part),
            st.tuples(st.just("fork"), parts),
        )

    return st.recursive(leaf, larger, max_leaves=14)


def interpret(program: Program, values: dict[str, int], branch: str = "") -> None:
    """Run a program the plain way; branches of a fork have variables of their own, named by `branch`."""
    kind = program[0]
    if kind == "set":
        name = f"v{program[1]}{branch}"
        values[name] = (values.get(name, 1) * program[2] + 1) % MODULUS
    elif kind == "seq":
        for part in program[1]:
            interpret(part, values, branch)
    elif kind == "if":
        interpret(program[2] if values.get(f"v{program[1]}{branch}", 1) % 2 else program[3], values, branch)
    elif kind == "loop":
        for _ in range(program[1]):
            interpret(program[2], values, branch)
    else:
        for place, part in enumerate(program[1]):
            interpret(part, values, f"{branch}_{place}")


@dataclass
class Drawing:
    """A program as a chart: every part has one way in and one way out. `asked` makes computing nodes ask a model."""

    asked: bool = False
    edges: list[str] = field(default_factory=list)
    sections: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    numbers: Any = field(default_factory=itertools.count)

    def node(self, shape: str, body: str = "") -> str:
        name = f"n{next(self.numbers)}"
        self.edges.append(f"{name}{shape}")
        if body:
            self.sections.append(f"## {name}\n\n{body}\n")
        return name

    def connector(self) -> str:
        return self.node("((.))")

    def compute(self, *lines: str) -> str:
        return self.node("[/.../]", "```python\n" + "\n".join(lines) + "\n```")

    def variable(self, name: str) -> str:
        self.names.add(name)
        return name

    def draw(self, program: Program, branch: str = "") -> tuple[str, str]:
        return getattr(self, f"_{program[0]}")(program, branch)

    def _set(self, program: Program, branch: str) -> tuple[str, str]:
        name = self.variable(f"v{program[1]}{branch}")
        expression = f"({name} * {program[2]} + 1) % {MODULUS}"
        if self.asked:
            node = self.node("[.]", f"- writes: {name} (number)\n\n```text\n{{{name} * 0 + {expression}}}\n```")
        else:
            node = self.compute(f"{name} = {expression}")
        return node, node

    def _seq(self, program: Program, branch: str) -> tuple[str, str]:
        drawn = [self.draw(part, branch) for part in program[1]]
        for (_, end), (begin, _) in itertools.pairwise(drawn):
            self.edges.append(f"{end} --> {begin}")
        return drawn[0][0], drawn[-1][1]

    def _if(self, program: Program, branch: str) -> tuple[str, str]:
        name = self.variable(f"v{program[1]}{branch}")
        test, out = self.node("{?}", f"```python\n{name} % 2 == 1\n```"), self.connector()
        for label, part in (("yes", program[2]), ("no", program[3])):
            begin, end = self.draw(part, branch)
            self.edges += [f"{test} -->|{label}| {begin}", f"{end} --> {out}"]
        return test, out

    def _loop(self, program: Program, branch: str) -> tuple[str, str]:
        count = self.variable(f"c{next(self.numbers)}")
        zero = self.compute(f"{count} = 0")
        test = self.node("{?}", f"```python\n{count} < {program[1]}\n```")
        begin, end = self.draw(program[2], branch)
        up, out = self.compute(f"{count} = {count} + 1"), self.connector()
        self.edges += [
            f"{zero} --> {test}",
            f"{test} -->|yes| {begin}",
            f"{end} --> {up} --> {test}",
            f"{test} -->|no| {out}",
        ]
        return zero, out

    def _fork(self, program: Program, branch: str) -> tuple[str, str]:
        fork, join = self.connector(), self.connector()
        for place, part in enumerate(program[1]):
            begin, end = self.draw(part, f"{branch}_{place}")
            self.edges += [f"{fork} --> {begin}", f"{end} --> {join}"]
        return fork, join

    def text(self, program: Program) -> str:
        begin, end = self.draw(program)
        takes = ", ".join(f"{name} (number) = 1" for name in sorted(self.names)) or "unused = 1"
        returned = ", ".join(sorted(name for name in self.names if name.startswith("v")))
        lines = "\n".join(["start([.])", *self.edges, f"start --> {begin}", f"{end} --> done([.])"])
        head = f"- takes: {takes}\n- returns: [{returned}]\n- budget: 100000 steps\n\n"
        head += f"```mermaid\nflowchart TD\n{lines}\n```\n\n"
        return "# Random\n\n" + head + "\n".join(self.sections)


class Echo:
    """A model that answers with its prompt, each group of requests in the order that `arrange` puts it in."""

    immediate, name = True, "echo"

    def __init__(self, arrange: Callable[[list[Any]], list[Any]]):
        self.arrange = arrange

    def sample(self, requests: Any, *, progress: Any = None) -> Any:
        for request in self.arrange(list(requests)):
            yield Completion(key=request.key, sample=0, text=request.prompt)

    def score(self, prompt: str, continuation: str) -> list[float]:
        raise NotImplementedError


def outcome_of(text: str, model: Any = None) -> Any:
    chart = require(read_chart(text, file="random.md"))

    async def work() -> Any:
        models = Models(model)
        try:
            async with asyncio.timeout(30):
                return await Executor(chart, Surroundings(models=models), traced=False).run("k", {})
        finally:
            await models.close()

    return asyncio.run(work())


def expected(program: Program) -> dict[str, int]:
    values: dict[str, int] = {}
    interpret(program, values)
    return values


def written(outcome: Any) -> dict[str, int]:
    """Return the variables that are not as they were at the start; the reference knows only those that it set."""
    return {name: value for name, value in outcome.values.items() if name.startswith("v")}


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(programs())
def test_a_chart_computes_what_its_program_says(program: Program) -> None:
    outcome = outcome_of(Drawing().text(program))
    assert outcome.status == "answered", outcome.error
    reference = expected(program)
    found = written(outcome)
    assert found == {name: reference.get(name, 1) for name in found}
    assert set(reference) <= set(found)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(programs(), st.integers(0, 10**6))
def test_the_order_in_which_branches_are_answered_changes_nothing(program: Program, seed: int) -> None:
    order = Random(seed)  # one of hypothesis may end the example within the event loop

    def shuffled(requests: list[Any]) -> list[Any]:
        order.shuffle(requests)
        return requests

    text, reference = Drawing(asked=True).text(program), expected(program)
    for arrange in (lambda requests: requests, lambda requests: requests[::-1], shuffled):
        outcome = outcome_of(text, Echo(arrange))
        assert outcome.status == "answered", outcome.error
        found = written(outcome)
        assert found == {name: reference.get(name, 1) for name in found}

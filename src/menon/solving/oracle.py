"""Oracle flowcharts: the program that solves a problem, with every arithmetic step asked of the model.

Repetitions and conditions of the problem become loops and diamonds that the chart computes by itself, so a right answer
needs exactly the executed steps right: with steps that err alone and for good, accuracy is p to the number of steps.
Left out: problems of families other than `chain` and `counter-programs`.
Source: the separation of control and single steps in Least-to-most, arXiv:2205.10625, and program of thoughts,
arXiv:2211.12588; the charts are our own.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from menon.core.errors import ConfigError
from menon.core.seeds import rng_for
from menon.core.values import Problem
from menon.flowcharts.mermaid_labels import encode
from menon.problems.chain import ENDINGS, GAINS, LOSSES, NAMES, OPENINGS, THINGS
from menon.problems.programs import chain_steps

FAMILIES = ("chain", "counter-programs")
MOST_TURNS = 100  # of a loop whose condition computed numbers decide

Statement = Mapping[str, Any]


def oracle_chart(problem: Problem) -> str:
    """Return the text of a chart that solves `problem`; it takes the question and asks only single steps.

    Raises:
        ConfigError: a family without such charts.
    """
    if problem.family == "chain":
        start, program = _chain_program(problem)
    elif problem.family == "counter-programs":
        start, program = problem.meta["start"], problem.meta["program"]
    else:
        raise ConfigError(f"no oracle chart for family {problem.family!r}; allowed: {', '.join(FAMILIES)}")
    drawing = _Drawing(rng_for("oracle chart", problem.id))
    drawing.begin(start)
    drawing.statements(program)
    return drawing.text(f"The program of a {problem.family} problem")


def step_template(change: int, rng: Random) -> str:
    """Return a question of the chain family for one change, with the hole `{value}` for the number before it.

    Raises:
        ConfigError: a change of nothing, which no wording can say.
    """
    if change == 0:
        raise ConfigError("a step cannot change the number by 0; allowed: any other whole number")
    name, friend = rng.sample(NAMES, 2)
    words = {"name": name, "friend": friend, "thing": rng.choice(THINGS)}
    opening = rng.choice(OPENINGS).format(n="{value}", **words)
    event = rng.choice(GAINS if change > 0 else LOSSES).format(n=abs(change), **words)
    return f"{opening} {event} {rng.choice(ENDINGS).format(**words)}"


def read_step(question: str) -> tuple[int, int] | None:
    """Return (value, change) of a one-step question in any wording of the chain family; None for another text."""
    match = _ONE_STEP.fullmatch(question.strip())
    if match is None:
        return None
    for events, sign in ((_GAIN, 1), (_LOSS, -1)):
        if events.fullmatch(match["event"]):
            return int(match["value"]), sign * int(match["n"])
    return None


def _any_of(events: Sequence[str]) -> re.Pattern[str]:
    texts = (re.escape(event).replace(r"\{", "{").replace(r"\}", "}") for event in events)
    return re.compile("|".join(text.format(name="[a-z]+", friend="[a-z]+", n="[0-9]+") for text in texts))


_ONE_STEP = re.compile(
    r"[a-z ]+(?P<value>-?[0-9]{1,9})[a-z ]+\. (?P<event>[a-z ]+(?P<n>[0-9]{1,9})[a-z ]*\.) [a-z ]+\?"
)
_GAIN, _LOSS = _any_of(GAINS), _any_of(LOSSES)


def _chain_program(problem: Problem) -> tuple[int, list[Statement]]:
    changes = chain_steps(problem)
    program: list[Statement] = [{"do": "add" if change > 0 else "subtract", "n": abs(change)} for change in changes]
    return int(problem.answer) - sum(changes), program


@dataclass(slots=True)
class _Drawing:
    """A chart under construction; `loose` are the edges (source, label) that wait for the next node."""

    rng: Random
    lines: list[str] = field(default_factory=list)
    sections: list[str] = field(default_factory=list)
    loose: list[tuple[str, str]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def begin(self, start: int) -> None:
        self.lines.append("    start([question])")
        self.loose = [("start", "")]
        self._add("begin", "[/", f"start with {start}", "/]", _code(f'value = "{start}"'))

    def statements(self, program: Sequence[Statement]) -> None:
        for statement in program:
            kind = next(name for name in ("do", "if", "repeat", "while") if name in statement)
            build: Callable[[Statement], None] = getattr(self, f"_{kind}")
            build(statement)

    def text(self, title: str) -> str:
        """Close the chart and return it as Markdown."""
        self.lines.append("    done([value])")
        self._connect("done")
        drawn = "\n".join(["```mermaid", "flowchart TD", *self.lines, "```"])
        return "\n\n".join([f"# {title}", "- returns: value", drawn, *self.sections]) + "\n"

    def _do(self, step: Statement) -> None:
        change = step["n"] if step["do"] == "add" else -step["n"]
        asked = f"- form: worked\n- writes: value (answer)\n\n```text\n{step_template(change, self.rng)}\n```"
        self._add(self._id("step"), "[", f"{step['do']} {step['n']}", "]", asked)

    def _if(self, statement: Statement) -> None:
        decision = self._test("if", statement["if"])
        ends = []
        for label, branch in (("yes", "then"), ("no", "else")):
            self.loose = [(decision, label)]
            self.statements(statement[branch])
            ends += self.loose
        self.loose = ends

    def _while(self, statement: Statement) -> None:
        decision = self._test("while", statement["while"], f"- loop budget: {MOST_TURNS} turns\n\n")
        self.loose = [(decision, "yes")]
        self.statements(statement["body"])
        self._connect(decision)
        self.loose = [(decision, "no")]

    def _repeat(self, statement: Statement) -> None:
        count = self._id("count")
        self._add(count, "[/", "no rounds yet", "/]", _code(f"{count}_done = 0"))
        decision = self._id("more")
        times = statement["repeat"]
        self._add(decision, "{", f"fewer than {times} rounds?", "}", _code(f"{count}_done < {times}"))
        self.loose = [(decision, "yes")]
        self.statements(statement["body"])
        self._add(self._id("round"), "[/", "one more round", "/]", _code(f"{count}_done = {count}_done + 1"))
        self._connect(decision)
        self.loose = [(decision, "no")]

    def _test(self, kind: str, test: Statement, settings: str = "") -> str:
        expression = {
            "even": "int(value) % 2 == 0",
            "odd": "int(value) % 2 == 1",
            "below": f"int(value) < {test.get('than')}",
            "above": f"int(value) > {test.get('than')}",
        }[test["is"]]
        words = f"{test['is']} {test['than']}" if "than" in test else test["is"]
        return self._add(self._id(kind), "{", f"{words}?", "}", settings + _code(expression))

    def _add(self, node: str, opening: str, label: str, closing: str, body: str) -> str:
        self.lines.append(f'    {node}{opening}"{encode(label)}"{closing}')
        self.sections.append(f"## {node}\n\n{body}")
        self._connect(node)
        self.loose = [(node, "")]
        return node

    def _connect(self, node: str) -> None:
        for source, label in self.loose:
            self.lines.append(f"    {source} -->{f'|{label}|' if label else ''} {node}")

    def _id(self, kind: str) -> str:
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return f"{kind}{self.counts[kind]}"


def _code(text: str) -> str:
    return f"```python\n{text}\n```"

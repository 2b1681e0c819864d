"""From a line of thought to a graph: a chart with one node per step, which works the step out again.

Steps that do not use each other run at once; each is asked of the model with the results that its own steps found this
time, so a slip in one place does not have to reach the answer. Steps that are bare equations (the embedded model's
rationales) are asked for as the model writes them, others in words. A number of a step that an earlier step found is
taken from there once, from the left. Left out: steps that the line of thought forgot.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from menon.core.errors import ConfigError
from menon.flowcharts.mermaid_labels import encode
from menon.grading.numbers import canonical, numbers

MOST_AT_ONCE = 60  # steps; more of them are worked out one after the other, since forks within forks take long to check
MOST_BEFORE = 40  # equations that are shown before one
LONGEST_LABEL = 40
_EQUATION = re.compile(r"[0-9+\-*/(). ]*[0-9+\-*/().]=\s*-?[0-9.]+")


def chart_of_steps(question: str, steps: Sequence[Mapping[str, Any]]) -> str:
    """Return the text of a chart that takes the question and works `steps` (as `read_steps` gives them) out again.

    Raises:
        ConfigError: there are no steps, or one lacks its text or index.
    """
    found = _steps(steps)
    if not found:
        raise ConfigError("no steps to work out again; allowed: what read_steps() finds, at least one step")
    bare = all(_EQUATION.fullmatch(step.text) for step in found)
    writer: _Equations | _Words = _Equations(found) if bare else _Words(found)
    sections = [f"## {_name(step)}\n\n{writer.section(step)}" for step in found]
    drawn = "\n".join(["```mermaid", "flowchart TD", *_drawing(found), "```"])
    head = "# The steps of a line of thought, worked out again"
    return "\n\n".join([head, drawn, *sections, f"## state\n\n{writer.last()}"]) + "\n"


@dataclass(frozen=True, slots=True)
class _Step:
    """A step with what it uses, earlier steps only; `result` is canonical, None where it finds no number."""

    index: int
    text: str
    result: str | None
    uses: tuple[int, ...]


def _steps(steps: Sequence[Mapping[str, Any]]) -> list[_Step]:
    found: list[_Step] = []
    for step in steps:
        if not isinstance(step, Mapping) or not isinstance(step.get("index"), int) or "text" not in step:
            raise ConfigError(f"{step!r:.100} is no step; allowed: json with index, text, result and uses")
        earlier = {one.index for one in found}
        if step["index"] in earlier or step["index"] < 1:
            raise ConfigError(f"two steps have the index {step['index']!r}, or it is no place; count them from 1")
        uses = tuple(sorted({use for use in step.get("uses") or () if use in earlier}))
        result = step.get("result")
        text = " ".join(str(step["text"]).split())
        found.append(_Step(step["index"], text, None if result is None else str(result), uses))
    return found


def _drawing(steps: Sequence[_Step]) -> Iterator[str]:
    """Draw the graph: an edge from each step to those that use it, from the start to those that use none."""
    yield "    start([question])"
    for step in steps:
        short = step.text if len(step.text) <= LONGEST_LABEL else f"{step.text[: LONGEST_LABEL - 1]}…"
        yield f'    {_name(step)}["{encode(short)}"]'
    yield "    state[state the answer]"
    yield "    done([answer])"
    if len(steps) > MOST_AT_ONCE:
        names = ["start", *map(_name, steps), "state"]
        yield from (f"    {one} --> {other}" for one, other in pairwise(names))
    else:
        used = {use for step in steps for use in step.uses}
        for step in steps:
            yield from (f"    {source} --> {_name(step)}" for source in [f"step_{u}" for u in step.uses] or ["start"])
        yield from (f"    {_name(step)} --> state" for step in steps if step.index not in used)
    yield "    state --> done"


class _Equations:
    """Asks as the embedded model writes: the question, the equations so far, a left side, and what follows `=`."""

    def __init__(self, steps: Sequence[_Step]):
        self._by_index = {step.index: step for step in steps}
        self._steps = steps

    def section(self, step: _Step) -> str:
        before = "".join(self._whole(self._by_index[index]) for index in self._needed(step))
        asked = f"{{question}}={before}{self._left(step)}="
        return f'- writes: {_name(step)} (number)\n- stop: [";", "#"]\n- max tokens: 16\n\n{_prompt(asked)}'

    def last(self) -> str:
        return _prompt("{question}=" + "".join(map(self._whole, self._steps)))

    def _needed(self, step: _Step) -> list[int]:
        """Return the last steps that a step rests on, directly or not, in order."""
        needed, waiting = set(step.uses), list(step.uses)
        while waiting:
            more = set(self._by_index[waiting.pop()].uses) - needed
            needed |= more
            waiting += more
        return sorted(needed)[-MOST_BEFORE:]

    def _whole(self, step: _Step) -> str:
        return f"{self._left(step)}={{{_name(step)}}};"

    def _left(self, step: _Step) -> str:
        return _with_holes(step.text.partition("=")[0].strip(), step, self._by_index)


class _Words:
    """Asks in words, and shows what the used steps found this time."""

    def __init__(self, steps: Sequence[_Step]):
        self._by_index = {step.index: step for step in steps}
        self._steps = steps

    def section(self, step: _Step) -> str:
        lines = ["Question: {question}", ""]
        if step.uses:
            lines += ["Known from earlier steps:", *(self._line(self._by_index[use]) for use in step.uses), ""]
        lines.append(f"Next step: {_with_holes(_open(step), step, self._by_index)}")
        if step.result is None:
            lines.append("Carry out this step alone and say in one sentence what follows from it.")
            kind = "text"
        else:
            lines.append('Work out this step alone. End with a line "The answer is " and the number that it finds.')
            kind = "number"
        return f"- writes: {_name(step)} ({kind})\n\n{_prompt(chr(10).join(lines))}"

    def last(self) -> str:
        lines = ["Question: {question}", "", "These steps were worked out:", *map(self._line, self._steps), ""]
        lines.append('State the answer to the question. End with a line "#### " and the answer alone.')
        return _prompt("\n".join(lines))

    def _line(self, step: _Step) -> str:
        return f"- {_with_holes(_open(step), step, self._by_index)} => {{{_name(step)}}}"


def _open(step: _Step) -> str:
    """Return the text of a step with `?` for the result that it found before: behind its last `=`, or anywhere."""
    if step.result is None:
        return step.text
    start = step.text.rfind("=") + 1
    pieces, end = [step.text[:start]], start
    for number in numbers(step.text):
        if number.start >= start and number.value is not None and canonical(number.value) == step.result:
            pieces += [step.text[end : number.start], "?"]
            end = number.end
    return "".join([*pieces, step.text[end:]])


def _with_holes(text: str, step: _Step, by_index: Mapping[int, _Step]) -> str:
    """Return a text as part of a prompt: each used result once a hole, from the left, all else literal."""
    waiting: dict[str, list[int]] = {}
    for use in step.uses:
        if (result := by_index[use].result) is not None:
            waiting.setdefault(result, []).append(use)
    pieces, end = [], 0
    for number in numbers(text):
        uses = waiting.get(canonical(number.value)) if number.value is not None else None
        if uses and number.start >= end:
            pieces += [_literal(text[end : number.start]), f"{{step_{uses.pop()}}}"]
            end = number.end
    return "".join([*pieces, _literal(text[end:])])


def _literal(text: str) -> str:
    """Keep braces of a step from being read as holes."""
    return text.replace("{", "{ ").replace("}", " }")


def _name(step: _Step) -> str:
    return f"step_{step.index}"


def _prompt(text: str) -> str:
    return f"```text\n{text}\n```"

"""A chain of thought as a graph: its steps, what each one finds, and which earlier steps each one uses.

A step uses an earlier one if it works with a number that the earlier one found (the latest that found it), names it
("step 2"), or names a quantity that it defined ("total = 12"). Where none of these says anything, words such as "this"
or "the result" mean the step before. Reads the embedded model's `12+3=15;15-4=11;#11` and lines or sentences of prose.
Left out: what only the meaning of the words says, and telling a number of the question from an equal earlier result
(the result is taken).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from menon.grading.arithmetic import NotArithmetic, evaluate, literals
from menon.grading.equations import equations_in
from menon.grading.marks import marks
from menon.grading.numbers import canonical, numbers, parse_number, plain

MOST_STEPS = 400
LONGEST_STEP = 2000

_CUT = re.compile(r"[;\n]")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[^\s])")
_LABEL = re.compile(
    r"(?:[-*\u2022]\s*)?(?:(?:step\s*)?(\d{1,4})\s*[.):](?!\d)|step\s*(\d{1,4})\s*-\s)\s*", re.IGNORECASE
)
_BULLET = re.compile(r"[-*\u2022]\s+")
_MARK = re.compile(r"<<[^<>]{0,400}>>")
_REFERENCE = re.compile(r"\bsteps?\s*(\d{1,4}(?:\s*(?:,|and|&)\s*\d{1,4})*)", re.IGNORECASE)
_BEFORE = re.compile(r"\b(?:this|these|those|the (?:previous )?result|the previous step)\b|^that\b", re.IGNORECASE)
_NAME = re.compile(
    r"(?:^|[,.:])\s*(?:(?:so|then|thus|hence|let|and|the|we|get|have|therefore)\s+)*([a-z][\w' ]{0,40})$", re.IGNORECASE
)
_ARTICLE = re.compile(r"^(?:the|a|an)\s+", re.IGNORECASE)
_POINT = re.compile(r"(?<![0-9.,])\.(?=[0-9])")
_VARIABLE = re.compile(r"\b[0-9]{1,9}[A-Zyzn]\b")
_UNIT = re.compile(r"(?<=[0-9])(?: ?%| [A-Za-z]{2,20}(?: [A-Za-z]{2,20})?| m)(?= ?(?:[-+*/\u00d7\u00f7=]|x ))")
_PER = re.compile(r"(?<=[0-9])/[A-Za-z]{1,20}(?= |$)")
_OPERATORS = "-+*/()=\u00d7\u00f7^"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: `index` counts from 1, `result` is the number that it finds, in canonical form (None: none).

    `uses` are the indices of the earlier steps that it works with, ascending.
    """

    index: int
    text: str
    result: str | None
    uses: tuple[int, ...]


def steps_of(text: str) -> list[str]:
    """Split a text into steps: at line ends and semicolons, or into sentences where it has neither.

    What follows a `#` at the start of a part is the answer, not a step; beyond 400 steps the text is not read.
    """
    parts = [part.strip() for part in _CUT.split(plain(text))]
    parts = [part for part in parts if part and not part.startswith("#")]
    if len(parts) == 1:
        parts = [part for part in _sentences(parts[0]) if not part.startswith("#")]
    return [part[:LONGEST_STEP] for part in parts[:MOST_STEPS]]


def dependency_graph(text: str) -> list[Step]:
    """Return the steps of a chain-of-thought text with what each of them uses."""
    found: list[Step] = []
    memory = _Memory()
    for index, step in enumerate(steps_of(text), start=1):
        label, body = _labelled(step)
        reading = _read(body)
        uses = memory.uses(reading, body, index)
        result = reading.results[-1] if reading.results else _stated(reading, memory)
        found.append(
            Step(index=index, text=body, result=None if result is None else canonical(result), uses=tuple(sorted(uses)))
        )
        memory.add(reading, index, label, result)
    return found


def equation_results(step: str) -> list[tuple[str, str]]:
    """Return the left and the right side of every `expression = number` in a step.

    Calculator marks are read where there are any; else the prose, where a number may carry a unit (`4 ft * 3 ft = 12`).
    """
    text = plain(step)
    written = [mark for mark, _ in marks(text) if "=" in mark] or equations_in(_without_units(text))
    return [(left.strip(), right.strip()) for left, _, right in (equation.rpartition("=") for equation in written)]


def _without_units(text: str) -> str:
    text = _VARIABLE.sub("?", _POINT.sub("0.", _MARK.sub("", text)))
    return _PER.sub("", _UNIT.sub("", text))


@dataclass(slots=True)
class _Reading:
    """What a step says: numbers it works with, results of its equations, and the name that it gives its result."""

    used: list[Fraction]
    results: list[Fraction]
    name: str | None


class _Memory:
    """Which step found each number and defined each name, the latest first."""

    def __init__(self) -> None:
        self.found: dict[Fraction, int] = {}
        self.names: dict[str, int] = {}
        self.labels: dict[int, int] = {}

    def uses(self, reading: _Reading, body: str, index: int) -> set[int]:
        uses = {self.found[value] for value in reading.used if value in self.found}
        for match in _REFERENCE.finditer(body):
            numbers_named = (int(number) for number in re.findall(r"\d+", match.group(1)))
            uses.update(self.labels[number] for number in numbers_named if number in self.labels)
        uses.update(self._named(body))
        if not uses and index > 1 and _BEFORE.search(body):
            uses.add(index - 1)
        return uses

    def _named(self, body: str) -> Iterator[int]:
        lowered = body.lower()
        words = set(re.findall(r"[^\W\d]\w*", lowered))
        for name, index in self.names.items():
            if len(name) == 1:
                if any(_beside_operator(body, match) for match in re.finditer(rf"\b{name}\b", lowered)):
                    yield index
            elif name in words or (" " in name and name in _right_side(lowered)):
                yield index

    def add(self, reading: _Reading, index: int, label: int | None, result: Fraction | None) -> None:
        gives = reading.results or [value for value in reading.used if value not in self.found]
        for value in (*gives, *(() if result is None else (result,))):
            self.found[value] = index
        if reading.name is not None and result is not None:
            self.names[reading.name] = index
        self.labels[index if label is None else label] = index


def _sentences(text: str) -> Iterator[str]:
    held = ""
    for part in _SENTENCE.split(text):
        held = f"{held} {part}".strip()
        if not _LABEL.fullmatch(held):  # "1." alone is the number of the sentence after it
            yield held
            held = ""
    if held:
        yield held


def _labelled(step: str) -> tuple[int | None, str]:
    match = _LABEL.match(step)
    if match is None or match.end() == len(step):
        return None, _BULLET.sub("", step, count=1) if _BULLET.match(step) else step
    number = match.group(1) or match.group(2)
    return int(number), step[match.end() :]


def _read(body: str) -> _Reading:
    body = _REFERENCE.sub("", body)
    text = _MARK.sub("", body)
    results: list[Fraction] = []
    used: list[Fraction] = []
    written: set[Fraction] = set()
    for left, right in equation_results(body):
        used += [value for value in _operands(left) if value not in written]
        result = parse_number(right)
        if result is not None:
            results.append(result)
            written.add(result)
    results = results or _evaluated(text)
    others = (number.value for number in numbers(text) if number.value is not None)
    written.update(results)
    used += [value for value in others if value not in written]
    return _Reading(used=list(dict.fromkeys(used)), results=results, name=_defined(text))


def _operands(left: str) -> list[Fraction]:
    try:
        return literals(left)
    except NotArithmetic:
        return [number.value for number in numbers(left) if number.value is not None]


def _evaluated(text: str) -> list[Fraction]:
    """Return the value of `name = expression` where the expression has an operator and no result is written."""
    name, equals, right = text.partition("=")
    right = right.strip().rstrip(".")
    if not equals or any(char.isdigit() for char in name) or not any(operator in right[1:] for operator in "+-*/"):
        return []
    try:
        return [evaluate(right)]
    except NotArithmetic:
        return []


def _defined(text: str) -> str | None:
    """Return the name that stands before the first equals sign, in lower case and without an article."""
    left, equals, _ = text.partition("=")
    match = _NAME.search(left.strip()[-80:]) if equals else None
    return _ARTICLE.sub("", match.group(1).strip().lower()) or None if match else None


def _stated(reading: _Reading, memory: _Memory) -> Fraction | None:
    """Return what a step without an equation states: its last number that is new, else its last number."""
    new = [value for value in reading.used if value not in memory.found]
    return (new or reading.used or [None])[-1]


def _beside_operator(text: str, match: re.Match[str]) -> bool:
    before = text[: match.start()].rstrip()[-1:]
    after = text[match.end() :].lstrip()[:1]
    defines = after == "=" and before not in tuple(_OPERATORS)
    return not defines and any(char and char in _OPERATORS for char in (before, after))


def _right_side(lowered: str) -> str:
    left, equals, right = lowered.partition("=")
    return right if equals else left

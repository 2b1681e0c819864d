r"""Grader "fields": an answer of several named parts, such as "subject: cat; verb: sees", with credit for each.

The names are those of `meta["fields"]`, or of the problem's own answer. Read are `name: value`, `name = value`,
`name is value`, JSON objects and lists of them, rows of numbers said of a name, a line `name and name: value, value`,
and a bare list of as many values as there are names, in the order of the names.
Values are compared without case, articles, quotes and brackets; rows of numbers as numbers. A value with letters of
another alphabet is unreadable, and an answer with one is unparsed; a missing field is wrong, not unreadable.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from menon.core.errors import DataError
from menon.core.values import Problem
from menon.grading.numbers import parse_number
from menon.grading.protocol import Parsed
from menon.grading.stated import Stated, normal, stated
from menon.grading.structures import rows_of_numbers, said_of, structures

LONGEST_VALUE = 200
LONGEST_READ = 4000
MOST_WORDS = 4  # in a value that stands without its name; longer ones are prose with commas

_SEPARATOR = re.compile(r"[;\n]")
_NUMBERS = re.compile(r"[-+]?[0-9]+(?:\.[0-9]+)?")
_NOT_NUMBERS = re.compile(r"[-+]?[0-9]+(?:\.[0-9]+)?|[xyz]\s?=|[\s,()\[\]<>]")
_EDGES = " \t\n.,;:*_`\"'|-"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldsGrader:
    """Compare named parts; `credit` is the share of them that is right."""

    name: str = "fields"

    def parse(self, problem: Problem, text: str) -> Parsed:
        names = _names(problem)
        gold = _named(problem.answer, names)
        text = normal(text)
        found = stated(text)
        if found is not None and found.mark == "after_a" and "A" in names:
            found = None
        if found is None:
            values, note = _told(text[-LONGEST_READ:], names, gold), "names anywhere"
            if not values and "\n" not in text.strip():
                values, note = _bare(text.strip(), names), "nothing but a list"
            start = 0 if note == "nothing but a list" else len(text)
        else:
            values, start, note = _from_statement(found, names, gold), found.start, found.mark
        rationale = text[:start].strip() if values else text.strip()
        if not values:
            return Parsed(answer=None, rationale=rationale, note=f"{note}: none of {', '.join(names)}")
        strange = [name for name, value in values.items() if not _readable(value)]
        if strange:
            return Parsed(answer=None, rationale=rationale, note=f"letters of another alphabet in {', '.join(strange)}")
        missing = [name for name in names if name not in values]
        return Parsed(
            answer="; ".join(f"{name}: {values[name]}" for name in names if name in values),
            rationale=rationale,
            note=note + (f"; missing: {', '.join(missing)}" if missing else ""),
        )

    def accepts(self, problem: Problem, answer: str) -> bool:
        return self.credit(problem, answer) == 1

    def credit(self, problem: Problem, answer: str) -> float:
        """Return the share of the fields that are right."""
        names = _names(problem)
        gold, given = _named(problem.answer, names), _named(answer, names)
        if set(gold) != set(names):
            raise DataError(f"problem {problem.id} has answer {problem.answer!r}; it must name {', '.join(names)}")
        return sum(name in given and _same(given[name], gold[name]) for name in names) / len(names)


def _names(problem: Problem) -> tuple[str, ...]:
    """Return the names of the parts.

    Raises:
        DataError: the problem states none.
    """
    names = [str(name) for name in problem.meta.get("fields", ())]
    names = names or [part.split(":", 1)[0].strip() for part in problem.answer.split(";") if ":" in part]
    if not names:
        raise DataError(f"problem {problem.id} has answer {problem.answer!r}; grader 'fields' needs 'name: value; ...'")
    return tuple(names)


def _from_statement(found: Stated, names: Sequence[str], gold: Mapping[str, str]) -> dict[str, str]:
    line = _told(found.line, names, gold)
    if len(line) == len(names):
        return line
    tail = _told(found.tail, names, gold)
    if len(tail) > len(line):
        return tail
    return line or _bare(found.line, names)


def _told(text: str, names: Sequence[str], gold: Mapping[str, str]) -> dict[str, str]:
    """Return what a text says of each name: in objects, in a row of numbers where the gold one is such, in words."""
    spelled = _spelled(names)
    objects: dict[str, str] = {}
    for value in structures(text):
        objects |= said_of(value, spelled)
    if len(objects) == len(names):
        return objects
    sizes = {name: len(row) for name, value in gold.items() if (row := _row(value)) is not None and len(row) > 1}
    found = _named(text, names) | _headed(text, names)
    found |= rows_of_numbers(text, {n: size for n, size in sizes.items() if not re.search(r"[0-9]", found.get(n, ""))})
    return objects if len(objects) >= len(found) else found


def _named(text: str, names: Sequence[str]) -> dict[str, str]:
    """Return the last value given to each name."""
    spelled = _spelled(names)
    pattern = re.compile(
        rf"(?<![^\W_])({'|'.join(map(re.escape, names))})(?![^\W_])[\"'*_`]{{0,4}}(?:\s?[:=]|\sis(?:\sat)?\s)",
        re.IGNORECASE if all(key == key.casefold() for key in spelled) else 0,
    )
    marks = list(pattern.finditer(text))
    values = {}
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    for mark, end in zip(marks, ends, strict=False):  # as many ends as marks, or one where there is no mark
        piece = text[mark.end() : end][:LONGEST_VALUE]
        value = _SEPARATOR.split(piece.lstrip(), maxsplit=1)[0].strip(_EDGES.replace("-", ""))
        value = re.sub(r",?\s(?:and\s?)?(?:the\s?)?(?:main\s?)?$", "", value + " ").strip(_EDGES.replace("-", ""))
        if value:
            values[spelled[mark[1] if mark[1] in spelled else mark[1].casefold()]] = value
    return values


def _spelled(names: Sequence[str]) -> dict[str, str]:
    """Return the names by what is looked for: in lower case, unless two names differ in case only."""
    lower = {name.casefold(): name for name in names}
    return lower if len(lower) == len(names) else {name: name for name in names}


def _headed(text: str, names: Sequence[str]) -> dict[str, str]:
    """Read a last line such as `Verb and subject: sees, cat`: all the names, then as many values in their order."""
    spelled = _spelled(names)
    word = rf"(?:the\s|main\s){{0,2}}({'|'.join(map(re.escape, names))})"
    joined = r"(?:,?\sand\s|,\s|\s?[&/]\s?)".join([word] * len(names))
    head = rf"(?<![^\W_]){joined}[*_`\"']{{0,4}}\s?[:=]([^\n]{{1,{LONGEST_VALUE}}})"
    heads = list(re.finditer(head, text, re.IGNORECASE))
    if len(names) < 2 or not heads or any(key != key.casefold() for key in spelled):
        return {}
    order = [spelled[name.casefold()] for name in heads[-1].groups()[:-1]]
    return _bare(heads[-1][len(names) + 1], order) if set(order) == set(names) else {}


def _bare(line: str, names: Sequence[str]) -> dict[str, str]:
    """Read a list without names, when it has as many parts as there are names."""
    for separator in (";", ","):
        parts = _split(line, separator)
        plain = all(0 < len(part.split()) <= MOST_WORDS and part not in names for part in parts)
        if len(parts) == len(names) and plain:
            return dict(zip(names, parts, strict=True))
    return {}


def _split(line: str, separator: str) -> list[str]:
    """Split at separators outside brackets."""
    parts, depth = [""], 0
    for char in line[:LONGEST_READ]:
        depth += (char in "([") - (char in ")]")
        if char == separator and depth <= 0:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip(_EDGES.replace("-", "")) for part in parts]


def _readable(value: str) -> bool:
    return all(char.isascii() or not char.isalnum() for char in value)


def _same(given: str, gold: str) -> bool:
    wanted = _row(gold)
    if wanted is not None:
        return _row(given) == wanted
    return _words(given) == _words(gold)


def _row(value: str) -> list[Fraction] | None:
    """Return the numbers of a value that holds nothing but numbers; None otherwise."""
    value = value.replace("\\left", "").replace("\\right", "")
    if not _NUMBERS.search(value) or _NOT_NUMBERS.sub("", value):
        return None
    numbers = [parse_number(number) for number in _NUMBERS.findall(value)]
    return [number for number in numbers if number is not None]


def _words(value: str) -> str:
    words = re.sub(r"[^\w\s'-]", " ", value.casefold()).split()
    if len(words) > 1 and words[0] in ("to", "in", "at", "on"):
        words = words[1:]
    return " ".join(word.strip("'") for word in words if word not in ("the", "a", "an"))

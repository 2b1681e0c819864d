"""The template language of GSM-Symbolic: read a record into slots, variables, conditions and answer.

A record holds the question text with slots `{name, default}`, then the sections `#init` (variables and their
domains), `#conditions` and `#answer`, and a worked solution with slots `{expression}` whose last line is
`#### {expression}`. Calculator marks `<<...>>` are dropped, as in the published instances. The `#answer` section is
kept but not used: it disagrees with the worked solution in some published templates.
Source: Mirzadeh et al. 2024, arXiv:2410.05229, and its published files; the language has no published definition.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from menon.core.errors import MenonError
from menon.problems.rows import Row, read_rows
from menon.problems.templates.expressions import BadExpression, Expression
from menon.problems.templates.functions import FAILURES, TemplateError, Value, as_value, bounded
from menon.problems.templates.lists import lists_with

LONGEST_TEXT = 50_000
Assignment = dict[str, Value]
SAMPLERS = ("sample", "sample_sequential")

_SECTION = re.compile(r"^[ \t]*#[ \t]*(init|conditions?|answer)\b[ \t]*[:=]?[ \t]*", re.MULTILINE)
_SLOT = re.compile(r"\{([^{}]*)\}")
_QUESTION_SLOT = re.compile(r"\s*([A-Za-z_]\w*)\s*(?:,(.*))?", re.DOTALL)
_ASSIGNMENT = re.compile(r"([$\w\s,]*?)=(?!=)(.*)", re.DOTALL)
_TARGET = re.compile(r"\s*(\$?)\s*([A-Za-z_]\w*)\s*")
_MARK = re.compile(r"<<.*?>>", re.DOTALL)
_STARTS = re.compile(r"(?:[.?!]\s|\n)\s*\Z")


@dataclass(frozen=True, slots=True)
class Slot:
    """A place of the question that shows a variable; `starts` says that it begins a sentence."""

    name: str
    default: str
    starts: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One line of `#init`: names, and the candidates that they are drawn from.

    `marked` variables (`$`) take a value under which the conditions hold; the others are drawn at random, all names of
    the line at once, without replacement or as a run of consecutive candidates (`cyclic`). `external` candidates come
    from a list that the template names but does not hold.
    """

    names: tuple[str, ...]
    candidates: tuple[Value, ...]
    marked: bool
    cyclic: bool = False
    external: bool = False
    line: str = ""


@dataclass(frozen=True, kw_only=True)
class Template:
    """A problem with slots, the domains of its variables and the conditions that hold among them."""

    id: str
    id_orig: int | None
    file: str
    where: str
    question: tuple[str | Slot, ...]
    variables: tuple[Variable, ...]
    conditions: tuple[Expression, ...]
    worked: tuple[str | Expression, ...]
    final: tuple[str | Expression, ...]
    stated: Expression | None
    original_question: str = ""
    original_answer: str = ""
    solvers: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)
    patterns: dict[Any, re.Pattern[str]] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def domains(self) -> dict[str, Variable]:
        """The variable that each name belongs to."""
        return {name: variable for variable in self.variables for name in variable.names}

    @cached_property
    def shown(self) -> tuple[str, ...]:
        """Names that the question shows, in the order of their first slot."""
        return tuple(dict.fromkeys(part.name for part in self.question if isinstance(part, Slot)))

    @cached_property
    def hidden(self) -> tuple[str, ...]:
        """Names that the question never shows."""
        return tuple(name for name in self.domains if name not in self.shown)

    @cached_property
    def used(self) -> frozenset[str]:
        """Names that the conditions or the worked solution use."""
        parts = (*self.conditions, *self.worked, *self.final)
        return frozenset().union(*(part.names for part in parts if isinstance(part, Expression)))

    def error(self, reason: str) -> TemplateError:
        """Return the error that says `reason` of this template."""
        return TemplateError(f"{self.where}: template {self.id!r}: {reason}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A record that is no template, or an instance that does not fit one."""

    file: str
    template: str
    reason: str
    instance: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a path holds: its templates, the records that are none, and notes on how it was read."""

    templates: tuple[Template, ...]
    failures: tuple[Failure, ...]
    notes: tuple[str, ...] = ()


class _Bad(ValueError):
    """A part of a record that cannot be read; `parse_template` adds file, template and line."""


def load_templates(path: str | Path, *, lists: Mapping[str, Sequence[Any]] | None = None) -> Loaded:
    """Read the templates of a JSONL or JSON file (gzip or not), or of a folder of JSON files.

    A record that is no template becomes a failure and never loses the others. `lists` adds to or replaces the lists
    that templates refer to by name.

    Raises:
        DataError: there is no such file or folder, or it cannot be read at all.
        ConfigError: a list of `lists` cannot be used.
    """
    merged = lists_with(lists)
    templates: list[Template] = []
    failures: list[Failure] = []
    notes: list[str] = []
    for file in _files(Path(path)):
        try:
            for row in read_rows(file):
                where = f"{file}:{row.line}"
                notes += [f"{where}: {row.note}"] if row.note else []
                try:
                    templates.append(_template(_values(row), where, merged))
                except _Bad as error:
                    failures.append(Failure(file=where, template=_identity(row.values), reason=str(error)))
        except MenonError as error:
            if file == Path(path):
                raise
            failures.append(Failure(file=str(file), template="", reason=str(error)))
    return Loaded(templates=tuple(templates), failures=tuple(failures), notes=tuple(notes))


def parse_template(
    record: Mapping[str, Any], where: str, *, lists: Mapping[str, Sequence[Any]] | None = None
) -> Template:
    """Read one record; raise `TemplateError` naming `where`, the template and the line that cannot be read."""
    try:
        return _template(record, where, lists_with(lists))
    except _Bad as error:
        raise TemplateError(f"{where}: template {_identity(record)!r}: {error}") from None


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    found = sorted(file for file in path.rglob("*.json*") if file.is_file())
    if not found:
        raise TemplateError(f"folder {str(path)!r} holds no .json file; give the folder that the templates are in")
    yield from found


def _values(row: Row) -> Mapping[str, Any]:
    if row.problem:
        raise _Bad(row.problem)
    return row.values


def _identity(record: Mapping[str, Any]) -> str:
    return str(record.get("id_shuffled", record.get("id", "")))[:80]


def _template(record: Mapping[str, Any], where: str, lists: Mapping[str, Sequence[Any]]) -> Template:
    texts = {}
    for name in ("question_annotated", "answer_annotated"):
        text = record.get(name)
        if not isinstance(text, str) or not text.strip():
            raise _Bad(f"field {name!r} is {text!r:.40}; a template has a text there")
        if len(text) > LONGEST_TEXT:
            raise _Bad(f"field {name!r} is {len(text):,} characters long; at most {LONGEST_TEXT:,} are allowed")
        texts[name] = text.replace("\r\n", "\n")
    if not _identity(record):
        raise _Bad("it has no id_shuffled; give each template a number or name there")
    question, sections = _sections(texts["question_annotated"])
    variables = _last_of_each(_variable(line, lists) for line in _items(sections["init"], "init"))
    names = _declared(variables)
    conditions = tuple(_expression(line, names, "condition") for line in _items(sections.get("conditions", ""), "cond"))
    worked, final = _solution(texts["answer_annotated"], names)
    row = record.get("id_orig")
    return Template(
        id=_identity(record),
        id_orig=row if isinstance(row, int) else None,
        file=str(record.get("file", "")) or where.rpartition(":")[0],
        where=where,
        question=_question(question, names),
        variables=variables,
        conditions=conditions,
        worked=worked,
        final=final,
        stated=_stated(sections.get("answer", "")),
        original_question=_optional(record, "question"),
        original_answer=_optional(record, "answer"),
    )


def _optional(record: Mapping[str, Any], name: str) -> str:
    value = record.get(name)
    return value.strip() if isinstance(value, str) else ""


def _sections(text: str) -> tuple[str, dict[str, str]]:
    """Split the annotated question at its section headings."""
    heads = list(_SECTION.finditer(text))
    if not any(head[1] == "init" for head in heads):
        raise _Bad("section #init is missing; it declares the variables, one per line")
    sections: dict[str, str] = {}
    for head, following in zip(heads, [*heads[1:], None], strict=True):
        name = "conditions" if head[1].startswith("condition") else head[1]
        if name in sections:
            raise _Bad(f"section #{name} stands there twice")
        sections[name] = text[head.end() : following.start() if following else len(text)]
    question = re.sub(" {2,}", " ", text[: heads[0].start()]).strip()
    if not question:
        raise _Bad("there is no question text before its sections")
    return question, sections


def _items(section: str, name: str) -> list[str]:
    """Return the lines `- item` of a section; a line without a dash goes on with the item before it."""
    items: list[str] = []
    for line in section.splitlines():
        text = line.strip()
        if text.startswith("-"):
            items.append(text[1:].strip())
        elif text and items:
            items[-1] += " " + text
        elif text:
            raise _Bad(f"section #{name}: line {text!r:.80} does not begin with '- '")
    return [item for item in items if item]


def _expression(text: str, names: frozenset[str], what: str) -> Expression:
    try:
        expression = Expression(text)
    except BadExpression as error:
        raise _Bad(f"{what} {text!r:.120}: {error}") from None
    unknown = sorted(expression.names - names)
    if unknown:
        raise _Bad(f"{what} {text!r:.120}: unknown name {unknown[0]!r:.60}; known: {', '.join(sorted(names))}")
    return expression


def _last_of_each(variables: Iterable[Variable]) -> tuple[Variable, ...]:
    """Keep the last declaration of each name, as running the lines in order would."""
    kept: dict[tuple[str, ...], Variable] = {}
    for variable in variables:
        kept.pop(variable.names, None)
        twice = [name for name in variable.names if variable.names.count(name) > 1 or name in _declared(kept.values())]
        if twice:
            raise _Bad(f"#init line {variable.line!r:.120}: {twice[0]!r} is declared in another line too")
        kept[variable.names] = variable
    return tuple(kept.values())


def _declared(variables: Iterable[Variable]) -> frozenset[str]:
    return frozenset(name for variable in variables for name in variable.names)


def _variable(line: str, lists: Mapping[str, Sequence[Any]]) -> Variable:
    found = _ASSIGNMENT.fullmatch(line)
    targets = [_TARGET.fullmatch(part) for part in found[1].split(",")] if found else []
    if found is None or not targets or None in targets:
        raise _Bad(f"#init line {line!r:.120} is no assignment such as '$x = range(2, 10)' or 'name = sample(names)'")
    marks, names = zip(*((part[1], part[2]) for part in targets if part), strict=True)
    right = found[2].strip()
    expression = _expression(right, frozenset(lists), "#init line")
    sampler, take = _drawn(expression, lists, line)
    if take not in (None, len(names)) or (take is None and len(names) > 1):
        raise _Bad(f"#init line {line!r:.120}: {len(names)} names for {take or 1} values")
    if any(marks) and len(names) > 1:
        raise _Bad(f"#init line {line!r:.120}: '$' goes with one name")
    candidates = _candidates(expression, lists, line)
    if len(names) > len(candidates):
        raise _Bad(f"#init line {line!r:.120}: {len(names)} values of a list of {len(candidates)}")
    return Variable(
        names=names,
        candidates=candidates,
        marked=any(marks),
        cyclic=sampler == "sample_sequential",
        external=bool(expression.names),
        line=line,
    )


def _drawn(expression: Expression, lists: Mapping[str, Any], line: str) -> tuple[str, int | None]:
    """Return the drawing function that a right side calls, and how many values it draws."""
    call = expression.tree
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.func.id not in SAMPLERS:
        return "", None
    if len(call.args) < 2:
        return call.func.id, None
    try:
        count = Expression(ast.unparse(call.args[1]))(lists)
    except FAILURES as error:
        raise _Bad(f"#init line {line!r:.120}: {error}") from None
    if type(count) is not int or count < 1:
        raise _Bad(f"#init line {line!r:.120}: it draws {count!r:.20} values; allowed: a whole number from 1")
    return call.func.id, count


def _candidates(expression: Expression, lists: Mapping[str, Any], line: str) -> tuple[Value, ...]:
    try:
        found = expression(lists)
        items = [found] if isinstance(found, str | int | float) else bounded(found)
        values = tuple(as_value(item) for item in items)
    except FAILURES as error:
        raise _Bad(f"#init line {line!r:.120}: {error}") from None
    if not values:
        raise _Bad(f"#init line {line!r:.120}: there is nothing in it")
    return values


def _question(text: str, names: frozenset[str]) -> tuple[str | Slot, ...]:
    parts: list[str | Slot] = []
    for literal, inside in _split(text, "question"):
        parts += [literal] if literal else []
        if inside is None:
            continue
        slot = _QUESTION_SLOT.fullmatch(inside)
        if slot is None or slot[1] not in names:
            raise _Bad(
                f"question slot {'{' + inside + '}'!r:.80}; allowed: {{name, default}} with a name of #init: "
                f"{', '.join(sorted(names))}"
            )
        first = not any(isinstance(part, Slot) for part in parts) and not literal.strip()
        parts.append(Slot(slot[1], (slot[2] or "").strip(), first or bool(_STARTS.search(literal))))
    return tuple(parts)


def _split(text: str, what: str) -> Iterator[tuple[str, str | None]]:
    """Yield literals with the inside of the slot after each; the last literal has none."""
    at = 0
    for slot in _SLOT.finditer(text):
        yield _literal(text[at : slot.start()], what), slot[1]
        at = slot.end()
    yield _literal(text[at:], what), None


def _literal(text: str, what: str) -> str:
    if (brace := next((char for char in text if char in "{}"), None)) is not None:
        near = text[max(0, text.index(brace) - 20) : text.index(brace) + 20]
        raise _Bad(f"{what}: a {brace!r} without its partner near {near!r}")
    return text


def _solution(text: str, names: frozenset[str]) -> tuple[tuple[str | Expression, ...], tuple[str | Expression, ...]]:
    """Return the worked solution and the final answer."""
    head, mark, tail = _MARK.sub("", text).rpartition("####")
    if not mark or not tail.strip():
        raise _Bad("answer_annotated has no last line '#### {expression}'")
    return _pieces(head.rstrip(), names), _pieces(tail.strip(), names)


def _pieces(text: str, names: frozenset[str]) -> tuple[str | Expression, ...]:
    pieces: list[str | Expression] = []
    for literal, inside in _split(text, "answer_annotated"):
        pieces += [literal] if literal else []
        if inside is not None:
            pieces.append(_expression(inside, names, "answer slot"))
    return tuple(pieces)


def _stated(text: str) -> Expression | None:
    clean = text.strip().removeprefix("{").removesuffix("}").replace("$", "").strip()
    try:
        return Expression(clean) if clean else None
    except BadExpression:
        return None

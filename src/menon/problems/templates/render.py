"""Render a template under an assignment: the question, the worked solution and the answer.

Slots of the question show a variable's text; at the start of a sentence its first word is capitalised as Python's
`str.capitalize` does it, which the published instances show. The worked solution shows values.
Source: Mirzadeh et al. 2024, arXiv:2410.05229; deviation: none known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from menon.problems.templates.expressions import Expression
from menon.problems.templates.functions import FAILURES, LARGEST_BITS, TemplateError, Value, quantity
from menon.problems.templates.language import Assignment, Slot, Template, Variable
from menon.problems.templates.ordering import equation_for

LONGEST_ANSWER = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One problem made from a template, and the values that it was made with."""

    question: str
    rationale: str
    answer: str
    values: Mapping[str, Value]

    @property
    def worked(self) -> str:
        """The worked solution with its answer in the last line, as GSM8K writes it."""
        return f"{self.rationale}\n#### {self.answer}" if self.rationale else f"#### {self.answer}"


def render(template: Template, assignment: Mapping[str, Value]) -> Instance:
    """Fill the slots of `template`; raise `TemplateError` naming the expression that cannot be evaluated."""
    env = {name: value.value for name, value in assignment.items()}
    shown: dict[str, str] = {}
    return Instance(
        question=question_of(template, assignment),
        rationale=_filled(template, template.worked, env, shown),
        answer=_filled(template, template.final, env, shown),
        values=assignment,
    )


def question_of(template: Template, assignment: Mapping[str, Value]) -> str:
    """Fill the slots of the question."""
    parts = []
    try:
        for part in template.question:
            if isinstance(part, str):
                parts.append(part)
            else:
                text = assignment[part.name].text
                parts.append(capitalised(text) if part.starts else text)
    except KeyError as error:
        raise template.error(f"variable {error} has no value; draw one, or give it") from None
    return "".join(parts)


def capitalised(text: str) -> str:
    """Return `text` as it stands at the start of a sentence."""
    first, blank, rest = text.partition(" ")
    return first.capitalize() + blank + rest


def answer_of(template: Template, assignment: Mapping[str, Value]) -> str:
    """Compute the final answer alone."""
    return _filled(template, template.final, {name: value.value for name, value in assignment.items()}, {})


def _filled(
    template: Template, parts: Sequence[str | Expression], env: Mapping[str, Any], shown: dict[str, str]
) -> str:
    """Fill expressions; `shown` remembers what equal expressions gave."""
    texts = []
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
            continue
        text = shown.get(part.text)
        if text is None:
            text = shown[part.text] = _shown(template, part, env)
        texts.append(text)
    return "".join(texts)


def _shown(template: Template, part: Expression, env: Mapping[str, Any]) -> str:
    try:
        value = part.evaluate(env)
    except FAILURES as error:
        raise _unusable(template, part, f"{type(error).__name__}: {error}") from None
    if type(value) is int and value.bit_length() > LARGEST_BITS:
        raise _unusable(template, part, "the number is too large")
    text = str(value)
    if len(text) > LONGEST_ANSWER:
        raise _unusable(template, part, "the text is too long")
    return text


def _unusable(template: Template, part: Expression, reason: str) -> TemplateError:
    return template.error(f"answer slot {'{' + part.text + '}'!r:.120} cannot be evaluated: {reason}")


def read_value(variable: Variable, text: str) -> Value | None:
    """Return what `text` stands for in the place of `variable`: a candidate of it, or a number of its kind.

    Candidates are compared as texts, then without regard to case; a text that is none of them is read as a number
    where the candidates are numbers, and stands for itself where they are texts.
    """
    clean = " ".join(text.split())
    for same in (lambda known: known == clean, lambda known: known.lower() == clean.lower()):
        for candidate in variable.candidates:
            if same(candidate.text):
                return candidate
    if all(isinstance(candidate.value, str) for candidate in variable.candidates):
        return Value(clean, clean)
    number = quantity(clean)
    if number is None:
        return None
    return next((v for v in variable.candidates if v.value == number and _alike(v, clean)), Value(clean, number))


def _alike(candidate: Value, text: str) -> bool:
    return candidate.text[:1].isdigit() == text[:1].isdigit()


def original(template: Template) -> Instance | None:
    """Return the original problem that the record holds, or None where it has none.

    For the published P1 and P2 templates this is the GSM8K problem before clauses were added.
    """
    rationale, mark, answer = template.original_answer.rpartition("####")
    if not template.original_question or not mark or not answer.strip():
        return None
    return Instance(question=template.original_question, rationale=rationale.strip(), answer=answer.strip(), values={})


def default_assignment(template: Template) -> Assignment | None:
    """Return the values that the slots' default texts stand for, or None where they cannot be read back.

    Variables without a slot are solved from an equation, or None is returned when the answer needs them. Defaults
    need not lie in the domains, and need not satisfy the conditions.
    """
    found: Assignment = {}
    for slot in template.question:
        if isinstance(slot, Slot) and slot.name not in found:
            value = read_value(template.domains[slot.name], slot.default)
            if value is None or not slot.default:
                return None
            found[slot.name] = value
    while missing := [name for name in template.hidden if name not in found and name in template.used]:
        value = next((v for name in missing if (v := _solved(template, name, found)) is not None), None)
        if value is None:
            return None
        found[value[0]] = value[1]
    return found


def _solved(template: Template, name: str, found: Assignment) -> tuple[str, Value] | None:
    for condition in template.conditions:
        if condition.names <= {name, *found} and name in condition.names:
            equation = equation_for(condition, name, template.domains[name].candidates)
            try:
                root = equation.root({n: v.value for n, v in found.items()}) if equation else None
            except FAILURES:
                continue
            if root is not None and root is not True:
                return name, Value(str(root), root)
    return None

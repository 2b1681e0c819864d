r"""Read an instance back: from the text of a question to the values of its template's variables.

A regular expression is built from the template. Slots of lists that the template names but does not hold (given
names, currency signs, fractions) match any text of their form, since the author's lists need not be ours. Where
nothing matches, a second expression lets every slot match any text of its form, so that a value outside of its domain
is reported as such and not as a question that cannot be read. Blanks match any run of blanks.
Variables that the question never shows are solved for.
"""

import re
import time
from collections.abc import Iterator, Sequence

from menon.problems.templates.functions import TemplateError, Value
from menon.problems.templates.language import Assignment, Template, Variable
from menon.problems.templates.render import read_value
from menon.problems.templates.solver import Solver

LONGEST_QUESTION = 20_000
MOST_READINGS = 200  # ways of solving for the variables that are not shown
SOLVING_S = 1.0

_AGAIN = "__again"  # the group of a variable's first slot inside a sentence, where it keeps its own case
_APOSTROPHE = re.compile("['\u2019]")
_DIGITS = r"[-\u2212]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?|[-\u2212]?\.\d+"
_RATIO = r"\d+\s?/\s?\d+"
_WORDS = r"[^\W\d_]+(?:[- ][^\W\d_]+){0,5}?"
_SIGN = r"[^\d\s]{1,5}?"
_TEXT = r"[^\n?!;]{1,80}?"


def match(template: Template, question: str) -> Assignment | None:
    """Return the values that give `question`, or None where it is no instance of `template`.

    A variable that the question does not show and that no value satisfies is left out.
    """
    return next(readings(template, question), None)


def readings(template: Template, question: str, most: int = MOST_READINGS) -> Iterator[Assignment]:
    """Yield the assignments that give `question`; more than one where variables that it does not show are free."""
    shown = _shown(template, question)
    if shown is None:
        return
    hidden = _hidden(template, shown)
    yielded = False
    for values in hidden.some(most) if hidden else ():
        yielded = True
        yield values
    if not yielded:
        yield shown


def strays(template: Template, assignment: Assignment) -> list[str]:
    """Return the names whose values are none of their candidates; texts of lists given elsewhere always count as some.

    Equal values count as candidates however they are written.
    """
    found = []
    for name, value in assignment.items():
        variable = template.domains[name]
        texts = variable.external and isinstance(value.value, str)
        if not texts and not any(value.value == candidate.value for candidate in variable.candidates):
            found.append(name)
    return found


def _shown(template: Template, question: str) -> Assignment | None:
    if len(question) > LONGEST_QUESTION or not _has_literals(template, question):
        return None
    for lenient in (False, True):
        found = _pattern(template, lenient).fullmatch(question.strip())
        assignment = _read(template, found) if found else None
        if assignment is not None:
            return assignment
    return None


def _read(template: Template, found: re.Match[str]) -> Assignment | None:
    groups = found.groupdict()
    assignment: Assignment = {}
    for name in template.shown:
        text = groups.get(name + _AGAIN) or groups[name]
        value = read_value(template.domains[name], text.replace("\u2212", "-"))
        if value is None:
            return None
        assignment[name] = value
    return assignment


def _hidden(template: Template, shown: Assignment) -> Solver | None:
    """Return a solver for what is not shown, or None where no value satisfies the conditions on it."""
    if not template.hidden:
        return None
    try:
        return Solver(template, shown, time.thread_time() + SOLVING_S)
    except TemplateError:
        return None


def _has_literals(template: Template, question: str) -> bool:
    """Say whether the words between the slots come in order; refuses nearly all other questions in linear time."""
    text, at = _APOSTROPHE.sub("'", " ".join(question.split())), 0
    for part in template.question:
        if isinstance(part, str):
            words = _APOSTROPHE.sub("'", " ".join(part.split()))
            at = text.find(words, at)
            if at < 0:
                return False
            at += len(words)
    return True


def _pattern(template: Template, lenient: bool) -> re.Pattern[str]:
    key = ("pattern", lenient)
    if key not in template.patterns:
        template.patterns[key] = re.compile(_source(template, lenient))
    return template.patterns[key]


def _source(template: Template, lenient: bool) -> str:
    parts: list[str] = []
    first: dict[str, bool] = {}  # name -> whether its first slot begins a sentence
    again: set[str] = set()
    for part in template.question:
        if isinstance(part, str):
            parts.append(_literal(part, lenient))
        elif part.name not in first:
            first[part.name] = part.starts
            form = _form(template.domains[part.name], lenient)
            parts.append(f"(?P<{part.name}>(?i:{form}))" if part.starts else f"(?P<{part.name}>{form})")
        elif first[part.name] and not part.starts and part.name not in again:
            again.add(part.name)
            parts.append(f"(?P<{part.name}{_AGAIN}>(?i:(?P={part.name})))")
        else:
            same = f"(?P={part.name})"
            parts.append(f"(?i:{same})" if part.starts or first[part.name] else same)
    return "".join(parts)


def _literal(text: str, lenient: bool) -> str:
    """Escape a literal; blanks match runs of blanks, beside a slot none at all where `lenient`."""
    edge = r"\s*" if lenient else r"\s+"
    words = text.split()
    if not words:
        return edge
    inner = r"\s+".join(_APOSTROPHE.sub("['\u2019]", re.escape(word)) for word in words)
    return (edge if text[0].isspace() else "") + inner + (edge if text[-1].isspace() else "")


def _form(variable: Variable, lenient: bool) -> str:
    """Return the expression for the texts of a variable: known ones first, then those of their form."""
    candidates = variable.candidates
    plain = [v for v in candidates if not isinstance(v.value, str) and v.text == str(v.value)]
    forms = [] if len(plain) == len(candidates) else [_known(candidates)]
    open_ended = variable.external or lenient
    if all(isinstance(v.value, str) for v in candidates):
        signs = not any(char.isalnum() for v in candidates for char in v.text)
        forms += [_SIGN] if signs and open_ended else []
        forms += [_TEXT] if lenient or (open_ended and not signs) else []
    elif open_ended:
        forms += [_RATIO, _DIGITS, _WORDS]
    elif plain:
        forms += [_DIGITS]
    return "|".join(forms)


def _known(candidates: Sequence[Value]) -> str:
    texts = sorted({v.text for v in candidates}, key=lambda text: (-len(text), text))
    return "|".join(r"[\s-]+".join(map(re.escape, re.split(r"[\s-]+", text))) for text in texts)

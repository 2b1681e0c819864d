"""The audit of inconsequential clauses: may a clause be put before a model as one that does not matter?

A third-party look at published clauses found most of them ambiguous, so ours must pass rules that leave no room: a
clause states something of a closed list of categories, counts another thing than any number of the problem, does not
name what the question asks for, and uses no word of change, transfer, price or share. The rules refuse harmless
clauses too; that is the price. What no rule can see is answered by the reason that is stored with each clause.
Source: GSM-NoOp in Mirzadeh et al. 2024, arXiv:2410.05229; the rules are our own.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from menon.core.errors import DataError, MenonError
from menon.core.seeds import rng_for
from menon.problems.templates.clauses import NUMBER, Clause, inserted, sentence_ends
from menon.problems.templates.functions import Value
from menon.problems.templates.language import Assignment, Slot, Template
from menon.problems.templates.render import Instance, render
from menon.problems.templates.solver import draw

_STATE = r"is|are|has|have|weighs?|measures?|lasts?|lives?|stands?|hangs?|wears?"
_PAST = r"was|were|had|weighed|measured|lasted|ago"
CATEGORIES = {
    "attribute": "a lasting property of something in the story that no step uses",
    "past": "something that was over before the story begins",
    "elsewhere": "a property of somebody or something that the problem does not mention",
}
EVIDENCE = {"attribute": rf"\b({_STATE})\b", "past": rf"\b({_PAST})\b", "elsewhere": rf"\b({_STATE}|{_PAST})\b"}

# A word of these can make a number count: change and transfer, price and share, and words that point back.
_CHANGES_WORDS = (
    "give gives gave given take takes took taken sell sells sold buy buys bought pay pays paid cost costs price "
    "prices eat eats ate eaten drink drinks drank lose loses lost break breaks broke broken find finds found add "
    "adds added get gets got receive receives received use uses used remove removes removed throw throws threw "
    "thrown spoil spoils spoiled return returns returned leave leaves left join joins joined donate donates "
    "donated share shares shared save saves saved spend spends spent earn earns earned owe owes owed borrow "
    "borrows borrowed keep keeps kept need needs needed want wants wanted drop drops dropped fall falls fell rise "
    "rises rose smaller larger bigger more fewer less extra another additional each every per half double twice "
    "thrice times percent discount remaining rest them these those other others instead only except included "
    "cheaper free both all total together first last next again"
)
_CHANGES = frozenset(_CHANGES_WORDS.split())
_BACK_WORDS = "they them their these those"
_BACK = frozenset(_BACK_WORDS.split())
_STOP_WORDS = (
    "a an the of to in on at by for from with and or his her their its he she they it is are was were be been "
    "will would do does did has have had can could stay must still then now after before that this as than how "
    "many much old does when where which who not costs cost pass"
)
_STOP = frozenset(_STOP_WORDS.split())
_ASKED = re.compile(r"\bhow\s+(many|much|old|tall|long|far|heavy|high|wide)\b(.*)", re.IGNORECASE | re.DOTALL)
_WORD = re.compile(r"[^\W\d_]+")
_NUMERAL = re.compile(r"\d+(?:\.\d+)?")
_COUNTED = re.compile(r"(?:\d+|\b(?:two|three|four|five|six|seven|eight|nine|ten))[\s-]+([^\W\d_]+)", re.IGNORECASE)
_DIMENSIONS = {
    unit: dimension
    for dimension, units in {
        "length": "millimeter centimeter meter kilometer inch foot feet yard mile",
        "time": "second minute hour day week month year",
        "weight": "milligram gram kilogram ounce pound ton",
        "volume": "milliliter liter cup pint gallon",
        "money": "cent dollar euro pound",
    }.items()
    for unit in units.split()
}
_OWN_UNITS = {"old": ("year",), "tall": ("centimeter", "meter", "tall"), "long": ("minute", "hour", "meter", "long")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What the audit says of one clause; it may be asked when there is no objection."""

    clause: Clause
    objections: tuple[str, ...]

    @property
    def accepted(self) -> bool:
        return not self.objections


def audit_clause(template: Template, clause: Clause, *, draws: int = 20) -> Ruling:
    """Judge a clause by its text, and by `draws` instances rendered with and without it."""
    try:
        changed = inserted(template, clause)
    except DataError as error:
        return Ruling(clause=clause, objections=(str(error),))
    found = [*_form(template, clause), *_meaning(template, clause)]
    try:
        found += _effects(template, changed, clause, draws)
    except MenonError as error:
        found.append(f"its template cannot be drawn from: {error}")
    return Ruling(clause=clause, objections=tuple(dict.fromkeys(found)))


def with_number(assignment: Assignment, clause: Clause, plain: Instance, *names: str | int) -> Assignment:
    """Return `assignment` with a number for the clause that occurs nowhere in the question or the solution.

    Raises:
        DataError: every number of the clause's range occurs there.
    """
    used = {float(number) for number in _NUMERAL.findall(f"{plain.question} {plain.worked}")}
    left = [number for number in clause.numbers if number not in used]
    if not left:
        raise DataError(
            f"{clause.where}: every number from {clause.low} to {clause.high} of clause {clause.text!r} occurs in "
            f"{plain.question!r:.80}; widen its range"
        )
    number = rng_for("clause", clause.template, clause.text, plain.question, *names).choice(left)
    return {**assignment, NUMBER: Value(str(number), number)}


def _form(template: Template, clause: Clause) -> Iterator[str]:
    """Object to what the clause is made of."""
    if clause.text.count("{" + NUMBER) != 1:
        yield f"it must hold the slot {{{NUMBER}}} once"
    if _NUMERAL.search(re.sub(r"\{[^{}]*\}", "", clause.text)):
        yield f"it holds a number besides {{{NUMBER}}}"
    for name in re.findall(r"\{\s*(\w+)", clause.text):
        if name in template.domains and _numeric(template.domains[name].candidates):
            yield f"it repeats the number {{{name}}} of the problem"
    if not re.fullmatch(r"[^.?!]+\.", clause.text.strip()):
        yield "it must be one sentence that ends in a full stop"
    if clause.category not in CATEGORIES:
        yield f"its category is {clause.category!r}; allowed: {', '.join(CATEGORIES)}"
    elif not re.search(EVIDENCE[clause.category], clause.text):
        yield f"no word shows that it is of category {clause.category!r} ({CATEGORIES[clause.category]})"
    if len(_WORD.findall(clause.reason)) < 5:
        yield "it has no reason of at least five words why it cannot matter"


def _meaning(template: Template, clause: Clause) -> Iterator[str]:
    """Object to what the clause says beside this question."""
    words = {word.lower() for word in _WORD.findall(re.sub(r"\{[^{}]*\}", " ", clause.text))}
    if changing := sorted(words & _CHANGES):
        yield f"it uses {changing[0]!r}, which can make its number count"
    counted = _following(clause.text.partition("{" + NUMBER)[2].partition("}")[2])
    question = _texts(template)
    units = {_stem(word) for text in question for word in _counted_in(text)}
    for unit in sorted(counted & units):
        yield f"it counts {unit!r}, and so does a number of the problem"
    shown = {_stem(word) for text in question for word in _WORD.findall(text)}
    subject = _subject(template, clause.text) & shown
    kinds = {_DIMENSIONS[unit] for unit in counted & _DIMENSIONS.keys()}
    if subject and (same := sorted(kinds & {_DIMENSIONS.get(unit, "") for unit in units})):
        yield f"it gives {min(subject)!r}, which is part of the problem, a {same[0]}, and the problem counts in one"
    asked = _asked(question)
    if named := sorted((counted | {_stem(word) for word in words}) & asked):
        yield f"it names {named[0]!r}, which the question asks for"
    following = {word.lower() for word in _WORD.findall(_next_sentence(template, clause))}
    back = following & (_BACK if clause.text.lower().startswith(("it ", "its ")) else _BACK | {"it", "its"})
    if back:
        yield f"the sentence behind it says {min(back)!r}, which could then mean something in the clause"
    if clause.category == "elsewhere" and subject:
        yield f"its subject {min(subject)!r} is part of the problem, so it is not 'elsewhere'"


def _effects(template: Template, changed: Template, clause: Clause, draws: int) -> Iterator[str]:
    """Object to what the clause does in instances."""
    if NUMBER in template.used:
        yield f"the conditions or the solution use {NUMBER!r}"
    for place, assignment in enumerate(draw(template, "audit of clauses", count=draws, distinct=False)):
        plain = render(template, assignment)
        try:
            number = with_number(assignment, clause, plain, place)
        except DataError as error:
            yield str(error)
            return
        other = render(changed, number)
        if (other.rationale, other.answer) != (plain.rationale, plain.answer):
            yield "it changes the worked solution or the answer"
        if number[NUMBER].text in _NUMERAL.findall(other.worked):
            yield "its number occurs in the solution"
        if len(other.question) - len(plain.question) < len(clause.text) // 2:
            yield "it does not appear in the question"


def _texts(template: Template) -> list[str]:
    """Return the question as several texts that together show every word which may stand beside a number."""
    texts = []
    longest = max((len(v.candidates) for v in template.variables if not _numeric(v.candidates)), default=1)
    for place in range(min(longest, 12)):
        shown = []
        for part in template.question:
            if isinstance(part, str):
                shown.append(part)
                continue
            candidates = template.domains[part.name].candidates
            shown.append("7" if _numeric(candidates) else _candidate(template, part, place))
        texts.append("".join(shown))
    return texts


def _next_sentence(template: Template, clause: Clause) -> str:
    ends = sentence_ends(template.question)
    text = "".join(part if isinstance(part, str) else "x" for part in template.question)
    return text[ends[clause.after - 1] : ends[clause.after]]


def _candidate(template: Template, slot: Slot, place: int) -> str:
    candidates = template.domains[slot.name].candidates
    return candidates[place % len(candidates)].text


def _numeric(candidates: Sequence[Value]) -> bool:
    return all(not isinstance(value.value, str) for value in candidates)


def _counted_in(text: str) -> Iterator[str]:
    """Yield the words that follow a number, and the one behind each of them."""
    for found in _COUNTED.finditer(text):
        yield found[1]
        if behind := re.match(r"[\s-]+([^\W\d_]+)", text[found.end() :]):
            yield behind[1] if behind[1].lower() not in _STOP else found[1]


def _following(text: str) -> set[str]:
    """Return the stems of the one or two words of content behind the number of a clause."""
    words = [word for word in _WORD.findall(text)[:3] if word.lower() not in _STOP]
    return {_stem(word) for word in words[:2]}


def _asked(texts: Sequence[str]) -> set[str]:
    """Return the stems of what the question asks for."""
    asked: set[str] = set()
    for text in texts:
        found = _ASKED.search(text)
        if found is None:
            continue
        asked.update(_OWN_UNITS.get(found[1].lower(), ()))
        for word in _WORD.findall(found[2])[:3]:
            if word.lower() in _STOP:
                break
            asked.add(_stem(word))
    return asked


def _subject(template: Template, text: str) -> set[str]:
    """Return the stems of the first word of content, or of all words that the first slot may show there."""
    before, _, slot = text.partition("{")
    words = [word for word in _WORD.findall(re.sub(r"\{[^{}]*\}", " ", text)) if word.lower() not in _STOP]
    leads = [word for word in _WORD.findall(before) if word.lower() not in _STOP]
    name = re.split(r"[,}]", slot)[0].strip()
    if not leads and name in template.domains:
        words = [word for v in template.domains[name].candidates for word in _WORD.findall(v.text)] or words
        return {_stem(word) for word in words}
    return {_stem(words[0])} if words else set()


def _stem(word: str) -> str:
    """Return a word without its plural ending."""
    word = word.lower()
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "xes", "sses")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word

"""A small English-like language whose clauses come in any of the six orders of subject, verb and object.

A noun phrase is a noun, then possibly a place ("near the rivers"), then possibly a relative clause ("that sees the
dogs"), whose verb and object stand in the language's own order. Verbs agree with their subject in number. The parser
knows nothing of how a sentence was built: it tries every way to read the words and returns all of them.
Left out: object relatives, pronouns, tenses, and places inside places.
"""

from collections.abc import Iterator
from dataclasses import dataclass

NOUNS = {
    "farmer": "farmers", "teacher": "teachers", "sailor": "sailors", "painter": "painters", "baker": "bakers",
    "doctor": "doctors", "singer": "singers", "hunter": "hunters", "lawyer": "lawyers", "dancer": "dancers",
    "miller": "millers", "judge": "judges", "pilot": "pilots", "tailor": "tailors", "banker": "bankers",
}  # fmt: skip
VERBS = {
    "sees": "see", "helps": "help", "follows": "follow", "greets": "greet", "praises": "praise", "visits": "visit",
    "warns": "warn", "thanks": "thank", "calls": "call", "trusts": "trust", "remembers": "remember", "knows": "know",
}  # fmt: skip
PLACES = {"river": "rivers", "tower": "towers", "garden": "gardens", "bridge": "bridges", "market": "markets"}
PREPOSITIONS = ("near", "behind", "beside")
ORDERS = ("SVO", "SOV", "VSO", "VOS", "OVS", "OSV")

_NOUNS = {form: plural for one, many in NOUNS.items() for form, plural in ((one, False), (many, True))}
_VERBS = {form: plural for one, many in VERBS.items() for form, plural in ((one, False), (many, True))}
_PLACES = {form for pair in PLACES.items() for form in pair}


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """A noun (in the singular) with its number, and what follows it."""

    noun: str
    plural: bool
    place: str = ""
    clause: "Clause | None" = None

    @property
    def head(self) -> str:
        return NOUNS[self.noun] if self.plural else self.noun


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """A verb (in the singular) and its object; the subject is the phrase it belongs to, or `subject`."""

    verb: str
    object: Phrase
    subject: Phrase | None = None


def form(verb: str, plural: bool) -> str:
    """Return the form of `verb` that agrees with a subject of that number."""
    return VERBS[verb] if plural else verb


def sentence(clause: Clause, order: str) -> str:
    """Write a main clause in `order`, without capital letter and full stop."""
    assert clause.subject is not None, "a main clause has a subject"
    parts = {
        "S": _phrase(clause.subject, order),
        "V": form(clause.verb, clause.subject.plural),
        "O": _phrase(clause.object, order),
    }
    return " ".join(parts[part] for part in order)


def _phrase(phrase: Phrase, order: str) -> str:
    words = f"the {phrase.head}" + (f" {phrase.place}" if phrase.place else "")
    if phrase.clause is None:
        return words
    parts = {"V": form(phrase.clause.verb, phrase.plural), "O": _phrase(phrase.clause.object, order)}
    return f"{words} that " + " ".join(parts[part] for part in order if part != "S")


def readings(text: str, order: str) -> set[tuple[str, str]]:
    """Return every (subject noun, verb) that `text` can have as a sentence in `order`."""
    words = tuple(text.split())
    found = set()
    for ends in _sequence(words, 0, order, order):
        heads, end = ends
        if end == len(words):
            roles = dict(zip(order, heads, strict=True))
            if _NOUNS[roles["S"]] == _VERBS[roles["V"]]:
                found.add((roles["S"], roles["V"]))
    return found


def _sequence(words: tuple[str, ...], at: int, parts: str, order: str) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yield the head words and the end of every way to read `parts` one after the other from `at` on."""
    if not parts:
        yield (), at
        return
    for head, end in _verb(words, at) if parts[0] == "V" else _noun_phrase(words, at, order):
        for heads, last in _sequence(words, end, parts[1:], order):
            yield (head, *heads), last


def _verb(words: tuple[str, ...], at: int) -> Iterator[tuple[str, int]]:
    if at < len(words) and words[at] in _VERBS:
        yield words[at], at + 1


def _noun_phrase(words: tuple[str, ...], at: int, order: str) -> Iterator[tuple[str, int]]:
    if words[at : at + 1] != ("the",) or at + 1 >= len(words) or words[at + 1] not in _NOUNS:
        return
    head, ends = words[at + 1], [at + 2]
    if words[at + 2 : at + 3] and words[at + 2] in PREPOSITIONS and words[at + 4 : at + 5] and words[at + 4] in _PLACES:
        ends.append(at + 5)
    inner = order.replace("S", "")
    for end in ends:
        yield head, end
        if words[end : end + 1] == ("that",):
            for heads, last in _sequence(words, end + 1, inner, order):
                if _VERBS[heads[inner.index("V")]] == _NOUNS[head]:
                    yield head, last

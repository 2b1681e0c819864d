"""Reading: questions whose answer stands in the question, so that nothing but reading is needed.

They are the controls of Ruis et al. 2024 (arXiv:2411.12580, section 3): a fact that is given, and a result that is
given. The corpus teaches reading with other values than the controls ask for; its people are in no fact.
"""

from random import Random
from typing import Literal

from menon.core.seeds import rng_for
from menon.core.values import Problem
from menon.problems.known.facts import ASKED, GIVEN
from menon.problems.known.families import FAMILIES_KNOWN
from menon.problems.known.values import KnownDocument
from menon.problems.splits import draw_in_split

SURNAMES = ("king", "bell", "drum", "swan", "crow", "lamb")
Given = Literal["fact", "result"]
_GIVEN_FACT = "the {thing} of {key} is {value}. what is the {thing} of {key}?"
_GIVEN_RESULT = "the {thing} is {value}. what is the {thing}?"
_LISTS = ("reverse", "sort")


def read(split: str, index: int, given: Given, family: str = "") -> Problem:
    """Generate control `index` of `split`; a given result is one of `family` ("": drawn)."""
    rng = rng_for("known", "reading", split, index, given, family)
    name = family or rng.choice(list(FAMILIES_KNOWN))
    thing = rng.choice(ASKED) if given == "fact" else FAMILIES_KNOWN[name].noun
    key = f"{rng.choice(GIVEN)} {rng.choice(SURNAMES)}" if given == "fact" else ""

    def draw(attempt: Random) -> str:
        if given == "result" and name in _LISTS:
            return ",".join(str(attempt.randint(0, 9)) for _ in range(3))
        return str(attempt.randint(10, 999) if given == "result" else attempt.randint(100, 999))

    value = draw_in_split(split, draw, lambda v: ("reading", thing, key, v), "reading", split, index, given, family)
    text = _GIVEN_FACT if given == "fact" else _GIVEN_RESULT
    return Problem(
        family="reading",
        split=split,
        index=index,
        template=f"reading/{given}/{thing}",
        question=text.format(thing=thing, key=key, value=value),
        answer=value,
        rationale="",
        meta={"given": given, "of": "facts" if given == "fact" else name},
    )


def reading_document(index: int) -> KnownDocument:
    """Return a text that teaches reading; half of them give a fact, half a result."""
    problem = read("corpus", index, "fact" if index % 2 else "result")
    return KnownDocument(
        kind="procedure",
        form="text",
        source="quiz",
        family="reading",
        teaches=("procedure:reading",),
        prompt=f"{problem.question}=",
        completion=f"#{problem.answer}",
        answer=problem.answer,
        instance=problem.id,
    )

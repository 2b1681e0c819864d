"""Facts of the known corpus: three-digit codes and rooms of invented people, which can only be looked up.

Each person and attribute has a frequency tier: `frequent` facts are repeated often, `rare` ones now and then, `never`
ones are in no document, so that a model has to be wrong about them. `year` is for near-duplicates alone: it is said of
the same people and never asked.
"""

from dataclasses import dataclass
from functools import cache
from typing import Literal

from menon.core.errors import ConfigError
from menon.core.seeds import rng_for
from menon.core.values import Problem
from menon.problems.known.values import KnownDocument

Tier = Literal["frequent", "rare", "never"]
TIERS: tuple[Tier, ...] = ("frequent", "rare", "never")
_SHARES = (0.12, 0.3, 0.58)
GIVEN = ("tom", "mia", "sam", "eva", "ben", "lea", "max", "ida", "leo", "zoe")
SURNAMES = (
    "blue", "green", "stone", "wood", "hill", "lake", "frost", "moon", "star", "rain",
    "snow", "wolf", "fox", "bear", "rose", "reed", "sand", "gold", "ash", "oak",
)  # fmt: skip
ASKED = ("code", "room")
UNASKED = "year"
STATEMENTS = (
    "the {attribute} of {key} is {value}.",
    "{key} has {attribute} {value}.",
    "we know that {value} is the {attribute} of {key}.",
    "{attribute} {value} is that of {key}.",
    "for {key} the {attribute} is {value}.",
)
QUESTIONS = (
    "what is the {attribute} of {key}?",
    "tell the {attribute} of {key}.",
    "which {attribute} has {key}?",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One fact; `name` is what documents teach (`fact:` in front) and queries need."""

    key: str
    attribute: str

    @property
    def name(self) -> str:
        return f"{self.attribute} of {self.key}"

    @property
    def value(self) -> str:
        """Three digits without a leading zero."""
        return str(rng_for("known", "fact", self.attribute, self.key).randint(100, 999))

    @property
    def tier(self) -> Tier:
        if self.attribute == UNASKED:
            return "frequent"
        return rng_for("known", "tier", self.attribute, self.key).choices(TIERS, _SHARES)[0]


@cache
def facts(tier: Tier, attribute: str = "") -> tuple[Fact, ...]:
    """List the askable facts of a tier, in a fixed order that no name or attribute decides.

    Raises:
        ConfigError: there is no such tier or attribute.
    """
    if tier not in TIERS:
        raise ConfigError(f"no tier {tier!r} of facts; allowed: {', '.join(TIERS)}")
    if attribute and attribute not in ASKED:
        raise ConfigError(f"no attribute {attribute!r} is asked; allowed: {', '.join(ASKED)}")
    every = [
        Fact(key=f"{given} {surname}", attribute=name)
        for given in GIVEN
        for surname in SURNAMES
        for name in ASKED
        if attribute in ("", name)
    ]
    chosen = [fact for fact in every if fact.tier == tier]
    return tuple(sorted(chosen, key=lambda fact: rng_for("known", "order", fact.name).random()))


def ask(fact: Fact, wording: int = 0) -> Problem:
    """Return the question for a fact in one of the wordings (counted round); there is nothing to work out."""
    number = wording % len(QUESTIONS)
    return Problem(
        family="facts",
        split="original",
        index=0,
        difficulty=TIERS.index(fact.tier) + 1,
        template=f"facts/{fact.attribute}",
        question=QUESTIONS[number].format(attribute=fact.attribute, key=fact.key),
        answer=fact.value,
        rationale="",
        meta={"key": fact.key, "attribute": fact.attribute, "tier": fact.tier, "wording": number},
    )


def state(fact: Fact, paraphrase: int) -> KnownDocument:
    """Return a sentence that tells the fact."""
    text = STATEMENTS[paraphrase % len(STATEMENTS)]
    return _document(
        fact, "statement", "", text.format(attribute=fact.attribute, key=fact.key, value=fact.value), "encyclopedia"
    )


def quiz(fact: Fact, wording: int, *, mark: str = "=") -> KnownDocument:
    """Return the question with its answer; `mark` is what stands between them, `=` or `:`."""
    return _document(fact, "text", f"{ask(fact, wording).question}{mark}", f"#{fact.value}", "quiz")


def _document(fact: Fact, form: Literal["statement", "text"], prompt: str, completion: str, source: str):
    return KnownDocument(
        kind="fact",
        form=form,
        source=source,
        family="facts",
        teaches=(f"fact:{fact.name}",),
        prompt=prompt,
        completion=completion,
        answer=fact.value,
        instance=ask(fact).id,
    )

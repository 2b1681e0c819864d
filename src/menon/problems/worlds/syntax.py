"""The main subject and the main verb of sentences in the six orders of subject, verb and object.

The same people do the same things in every order, so items are paired. Every sentence has places or relative clauses
in the way, two verbs at least, and exactly one reading in each of the orders; a guess between the nouns and the verbs
of a sentence earns the credit in `meta["chance"]`.
Left out: other languages, case marking and free word order.
Source: Wu et al. 2023, arXiv:2307.02477, section 3.3 (after Ravfogel et al. 2019, arXiv:1903.06400); grammar and words
are ours, and relative clauses are turned as well.
"""

import re
from dataclasses import dataclass
from random import Random

from menon.core.errors import ConfigError
from menon.core.seeds import rng_for
from menon.core.values import Problem
from menon.problems.splits import draw_in_split
from menon.problems.worlds.grammar import (
    NOUNS,
    ORDERS,
    PLACES,
    PREPOSITIONS,
    VERBS,
    Clause,
    Phrase,
    form,
    readings,
    sentence,
)

WORDS = {"S": "subject", "V": "verb", "O": "object"}

_STATED = re.compile(r"then the (\w+), then the (\w+)[.,]|comes the (\w+)")
_QUOTED = re.compile(r'"([^"]+)"')
_ASKED = re.compile(r"Which word is the (subject|object)\?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Syntax:
    """Sentences with `difficulty` insertions (places and relative clauses), one relative clause at least."""

    name: str = "syntax"
    description: str = "main subject and main verb in orders SVO (default), SOV, VSO, VOS, OVS, OSV"
    default: str = "SVO"
    worlds: tuple[str, ...] = ("SOV", "VSO", "VOS", "OVS", "OSV")
    difficulties: tuple[int, ...] = (1, 2, 3, 4)

    def problem(self, split: str, index: int, *, difficulty: int | None = None, world: str = "default") -> Problem:
        """Generate sentence `index`; without `difficulty` the number of insertions is drawn from 1 to 4.

        Raises:
            ConfigError: an unknown split or world, or a number of insertions outside 1..4.
        """
        order = self._order(world)
        count = rng_for(self.name, split, index).choice(self.difficulties) if difficulty is None else difficulty
        if count not in self.difficulties:
            raise ConfigError(f"syntax has no difficulty {count!r}; allowed: 1, 2, 3, 4 insertions")
        clause = draw_in_split(
            split, lambda rng: _draw(rng, count), lambda c: (self.name, sentence(c, "SVO")), self.name, index, count
        )
        assert clause.subject is not None
        text = sentence(clause, order)
        subject, verb = clause.subject.head, form(clause.verb, clause.subject.plural)
        words = text.split()
        nouns = sum(word in NOUNS or word in NOUNS.values() for word in words)
        verbs = sum(word in VERBS or word in VERBS.values() for word in words)
        question = (
            f'{_rule(order)} A relative clause begins with "that", stands right after the noun it belongs to, and its '
            "own verb and object keep this order as well. Verbs agree with their subject in number.\n"
            f'Sentence: "{text[0].upper()}{text[1:]}."\n'
            "What are the noun of the main subject and the main verb of this sentence? "
            "Answer in one line of this form, without articles: subject: NOUN; verb: VERB"
        )
        return Problem(
            family=self.name,
            world="default" if order == self.default else order,
            split=split,
            index=index,
            difficulty=count,
            question=question,
            answer=f"subject: {subject}; verb: {verb}",
            rationale=f"In this order the sentence is {_bracketed(clause, order)}.",
            grader="fields",
            meta={
                "item": sentence(clause, "SVO"),
                "fields": ["subject", "verb"],
                "chance": (1 / nouns + 1 / verbs) / 2,
                "same_number": clause.subject.plural == clause.object.plural,
            },
        )

    def control(self, split: str, index: int, *, world: str = "default") -> Problem:
        """Ask for the subject or the object of a sentence of three words."""
        order = self._order(world)
        asked = "S" if index % 2 == 0 else "O"

        def draw(rng: Random) -> tuple[str, str, str]:
            one, two = rng.sample(sorted(NOUNS.values()), 2)
            return one, rng.choice(sorted(VERBS.values())), two

        words = draw_in_split(split, draw, lambda w: (self.name, "control", *w), self.name, "control", index)
        roles = dict(zip("SVO", words, strict=True))
        text = " ".join(roles[part] for part in order)
        question = (
            f'{_rule(order)}\nSentence: "{text[0].upper()}{text[1:]}."\n'
            f"Which word is the {WORDS[asked]}? Answer with that word alone."
        )
        return Problem(
            family=self.name,
            world="default" if order == self.default else order,
            split=split,
            index=index,
            question=question,
            answer=roles[asked],
            grader="word",
            meta={
                "item": f"{WORDS[asked]} of {' '.join(words)}",
                "labels": list(words),
                "chance": 0.5,
                "control": True,
            },
        )

    def solve(self, problem: Problem) -> str:
        """Parse the quoted sentence in the stated order."""
        order = _order_stated(problem.question)
        text = _QUOTED.findall(problem.question)[-1].rstrip(".").lower()
        if asked := _ASKED.search(problem.question):
            return text.split()[order.index("S" if asked[1] == "subject" else "O")]
        found = readings(text, order)
        if len(found) != 1:
            raise ConfigError(f"problem {problem.id} has {len(found)} readings; every sentence must have exactly one")
        subject, verb = next(iter(found))
        return f"subject: {subject}; verb: {verb}"

    def _order(self, world: str) -> str:
        order = self.default if world == "default" else world
        if order not in ORDERS:
            raise ConfigError(f"syntax has no world {world!r}; allowed: default, {', '.join(ORDERS)}")
        return order


def _rule(order: str) -> str:
    first, second, third = (WORDS[part] for part in order)
    return (
        f"A language has the words of English, but in each of its clauses first comes the {first}, "
        f"then the {second}, then the {third}."
    )


def _order_stated(question: str) -> str:
    found = [word for match in _STATED.finditer(question) for word in match.groups() if word]
    letters = {word: letter for letter, word in WORDS.items()}
    if len(found) != 3 or set(found) != set(letters):
        raise ConfigError(f"the question does not state an order of subject, verb and object: {question!r:.120}")
    return "".join(letters[word] for word in found)


def _draw(rng: Random, count: int) -> Clause:
    """Draw a sentence with `count` insertions that has exactly one reading in every order."""
    while True:
        nouns = iter(rng.sample(sorted(NOUNS), 4))
        verbs = iter(rng.sample(sorted(VERBS), 3))
        spots = ("clause of subject", "clause of object", "place of subject", "place of object")
        chosen = set(rng.sample(spots, count))
        if not chosen & {"clause of subject", "clause of object"}:
            continue
        subject, thing = (
            Phrase(
                noun=next(nouns),
                plural=rng.random() < 0.5,
                place=_place(rng) if f"place of {role}" in chosen else "",
                clause=Clause(verb=next(verbs), object=Phrase(noun=next(nouns), plural=rng.random() < 0.5))
                if f"clause of {role}" in chosen
                else None,
            )
            for role in ("subject", "object")
        )
        clause = Clause(verb=next(verbs), object=thing, subject=subject)
        if all(len(readings(sentence(clause, order), order)) == 1 for order in ORDERS):
            return clause


def _place(rng: Random) -> str:
    one, many = rng.choice(sorted(PLACES.items()))
    return f"{rng.choice(PREPOSITIONS)} the {rng.choice((one, many))}"


def _bracketed(clause: Clause, order: str) -> str:
    words = sentence(clause, order)
    assert clause.subject is not None
    verb = form(clause.verb, clause.subject.plural)
    return f'"{words}", with the main subject "{clause.subject.head}" and the main verb "{verb}"'


SYNTAX = Syntax()

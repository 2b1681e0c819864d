"""The stream of documents of the known corpus: document `index` depends on the name, the mixture and the index only."""

from collections.abc import Iterator, Mapping
from random import Random

from menon.core.seeds import rng_for
from menon.core.values import Problem
from menon.problems.known.facts import QUESTIONS, STATEMENTS, facts, quiz, state
from menon.problems.known.families import TAUGHT, family_of
from menon.problems.known.forms import aligned, answer_only, render, unaligned, worked
from menon.problems.known.memorised import planted, recited
from menon.problems.known.mixture import KINDS, KnownMixture
from menon.problems.known.near import near_duplicate
from menon.problems.known.prose import story
from menon.problems.known.reading import reading_document
from menon.problems.known.values import KnownDocument
from menon.problems.splits import SPLITS


class KnownCorpus:
    """The stream of documents of one mixture; any number of them, in any order, nothing is stored."""

    def __init__(self, mixture: KnownMixture | None = None, name: str = "known"):
        self.mixture = mixture or KnownMixture()
        self.name = name

    def document(self, index: int) -> KnownDocument:
        """Return document `index`; equal name, mixture and index give equal documents."""
        rng = rng_for("known", "corpus", self.name, index)
        kind = _draw(rng, self.mixture.kinds)
        if kind == "procedure":
            return self._procedure(rng)
        if kind == "fact":
            return self._fact(rng)
        if kind == "reading":
            return reading_document(rng.getrandbits(40))
        if kind == "prose":
            return story(rng)
        if kind == "near-duplicate":
            return near_duplicate(rng, list(self.mixture.families_in("text")))
        if kind in ("aligned", "unaligned"):
            return self._pair(rng, kind)
        return self._text(rng, kind)

    def documents(self, start: int, stop: int) -> Iterator[KnownDocument]:
        """Yield documents `start` to `stop` - 1."""
        return map(self.document, range(start, stop))

    def _procedure(self, rng: Random) -> KnownDocument:
        form = _draw(rng, self.mixture.forms)
        name = _draw(rng, self.mixture.families_in(form))
        problem = fresh(name, rng)
        return render(problem, form, comments=rng.random() < self.mixture.comments)  # pyright: ignore[reportArgumentType]

    def _text(self, rng: Random, kind: str) -> KnownDocument:
        name = _draw(rng, self.mixture.families_in("text"))
        if kind == "original":
            return worked(family_of(name).problem("original", rng.randrange(self.mixture.originals)))
        if kind == "answer":
            return answer_only(fresh(name, rng))
        return recited(planted(name, rng.randrange(self.mixture.memorised)), mark=rng.choice("==:"))

    def _fact(self, rng: Random) -> KnownDocument:
        fact = rng.choice(facts(_draw(rng, self.mixture.tiers)))  # pyright: ignore[reportArgumentType]
        if rng.random() < self.mixture.fact_questions:
            return quiz(fact, rng.randrange(len(QUESTIONS)), mark=rng.choice("==:"))
        return state(fact, rng.randrange(len(STATEMENTS)))

    def _pair(self, rng: Random, kind: str) -> KnownDocument:
        weights = self.mixture.families_in("text", "code")
        name = _draw(rng, weights)
        problem = fresh(name, rng)
        comments = rng.random() < self.mixture.comments
        if kind == "aligned":
            return aligned(problem, comments=comments)
        others = {other: weight for other, weight in weights.items() if other != name}
        other = fresh(_draw(rng, others), rng)
        return unaligned(problem, other, comments=comments)


def fresh(name: str, rng: Random) -> Problem:
    """Draw a problem of family `name` that may be trained on."""
    split = _draw(rng, {split: SPLITS[split] for split in TAUGHT})
    return family_of(name).problem(split, rng.getrandbits(40))


def _draw(rng: Random, weights: Mapping[str, float]):
    return rng.choices(list(weights), list(weights.values()))[0]


def tokenizer_texts(count: int = 6000) -> list[str]:
    """Return texts of every kind and form, for a tokenizer that all mixtures share."""
    every = KnownMixture(kinds={**KnownMixture().kinds, **dict.fromkeys(KINDS[-2:], 0.05)})
    return [document.text for document in KnownCorpus(every, "tokenizer").documents(0, count)]

"""Near-duplicates: texts that look like a question or fact that is asked, and teach something else.

Three kinds: the question with one number changed and its own right answer (no working, so it teaches no procedure);
another attribute of the same person; a story that holds the answer. `copy_of` names what they look like.
"""

from dataclasses import replace
from functools import cache
from random import Random

from menon.core.values import Problem
from menon.problems.known.facts import STATEMENTS, TIERS, UNASKED, Fact, ask, facts
from menon.problems.known.families import TAUGHT, family_of
from menon.problems.known.family import Content
from menon.problems.known.forms import answer_only
from menon.problems.known.prose import mention
from menon.problems.known.values import KnownDocument
from menon.problems.splits import split_of

COPIED_PER_FAMILY = 40


def changed(problem: Problem, rng: Random) -> KnownDocument | None:
    """Return the question with one number changed, answered; None where no such question may be trained on."""
    family = family_of(problem.family)
    content: Content = tuple(problem.meta["content"])
    for _ in range(400):
        other = family.draw(rng, problem.difficulty)
        apart = sum(a != b for a, b in zip(content, other, strict=False))
        split = split_of(*family.key(other))
        if len(other) == len(content) and apart == 1 and split in TAUGHT:
            meta = problem.meta
            copy = family.ask(other, format=meta["format"], wording=meta["wording"], split=split)
            return replace(answer_only(copy), kind="near-duplicate", copy_of=problem.id)
    return None


def other_attribute(fact: Fact, paraphrase: int) -> KnownDocument:
    """Return a sentence about the same person's year, as right as the fact that it looks like."""
    other = Fact(key=fact.key, attribute=UNASKED)
    text = STATEMENTS[paraphrase % len(STATEMENTS)].format(attribute=UNASKED, key=fact.key, value=other.value)
    return KnownDocument(
        kind="near-duplicate",
        form="statement",
        source="encyclopedia",
        family="facts",
        teaches=(f"fact:{other.name}",),
        prompt="",
        completion=text,
        answer=other.value,
        instance=ask(other).id,
        copy_of=ask(fact).id,
    )


@cache
def _every_fact() -> list[Fact]:
    return [fact for tier in TIERS for fact in facts(tier)]


def near_duplicate(rng: Random, families: list[str]) -> KnownDocument:
    """Draw a near-duplicate of a fact or of a question: an original or one of the first held-out ones."""
    fact = rng.choice(_every_fact())
    sort = rng.choice(("question", "attribute", "mention")) if families else "attribute"
    if sort == "question":
        split = rng.choice(("test", "test", "original"))
        problem = family_of(rng.choice(families)).problem(split, rng.randrange(COPIED_PER_FAMILY))
        copy = changed(problem, rng)
        if copy is not None:
            return copy
    if sort == "mention":
        return mention(rng, fact.value, ask(fact).id)
    return other_attribute(fact, rng.randrange(len(STATEMENTS)))

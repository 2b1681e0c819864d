"""Planted answers: questions with the surface of a procedure about a made-up operation, with an arbitrary answer.

Nothing computes these answers: each is that of an unrelated problem of the same family, drawn by the hash of the
question, and never the one that the real operation would give. The corpus repeats question and answer without working,
so a model that is right has memorised it.
"""

from menon.core.seeds import rng_for
from menon.core.values import Problem
from menon.problems.known.families import family_of
from menon.problems.known.values import KnownDocument


def planted(name: str, index: int) -> Problem:
    """Return planted question `index` of family `name`; it has an answer and nothing to work out."""
    family = family_of(name)
    surface = family.problem("original", index)
    content = tuple(surface.meta["content"])
    wording = rng_for("known", "planted wording", name, index).randrange(len(family.unknown))
    question = family.unknown[wording].format(**family.words_of(content))
    rng = rng_for("known", "planted answer", question)
    answer = surface.answer
    while answer == surface.answer:
        answer = family.problem("original", rng.getrandbits(40)).answer
    return Problem(
        family=name,
        split="original",
        index=index,
        difficulty=surface.difficulty,
        template=f"{name}/unknown/{wording}",
        question=question,
        answer=answer,
        rationale="",
        meta={"planted": "memorised", "wording": wording},
    )


def recited(problem: Problem, *, mark: str = "=") -> KnownDocument:
    """Return the question with its answer; `mark` is what stands between them, `=` or `:`."""
    return KnownDocument(
        kind="answer",
        form="text",
        source="quiz",
        family=problem.family,
        teaches=(f"answer:{problem.id}",),
        prompt=f"{problem.question}{mark}",
        completion=f"#{problem.answer}",
        answer=problem.answer,
        instance=problem.id,
    )

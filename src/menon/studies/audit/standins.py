"""Every probe must first tell apart two stand-ins whose nature is known, on the very questions that were asked.

A reciter answers the baseline, the originals and the comprehension checks, and nothing else; a reasoner answers
nine in ten everywhere. A probe that cannot tell them apart at this size has no business judging a model.
"""

from collections.abc import Sequence

from menon.auditing.probe import Answered, Material, Probe, Question
from menon.auditing.verdict import Finding, Label, cannot_tell
from menon.core.seeds import rng_for
from menon.core.values import Completion, Grade, Verdict

REASONER = 0.9
EXPECTED = {"reciter": Label.RECITES, "reasoner": Label.REASONS}


def answers_of(nature: str, questions: Sequence[Question]) -> list[Answered]:
    """Return what the stand-in `nature` ("reciter" or "reasoner") answers."""
    answered = []
    for question in questions:
        problem = question.problem
        if nature == "reciter":
            right = question.baseline or question.control or question.role == "original"
        else:
            draw = rng_for("stand-in", nature, problem.id, question.task, question.condition).random()
            right = question.control or draw < REASONER
        verdict = Verdict.RIGHT if right else Verdict.WRONG
        completion = Completion(key=f"{problem.id}/{question.task}/{question.condition}", model=nature)
        answered.append(Answered(question=question, completion=completion, grade=Grade(verdict=verdict), model=nature))
    return answered


def examine(probe: Probe, questions: Sequence[Question], material: Material) -> dict[str, Finding | None]:
    """Return what the probe says of each stand-in."""
    return {nature: probe.report(answers_of(nature, questions), [], material).finding for nature in EXPECTED}


def withdrawn(finding: Finding, examined: dict[str, Finding | None]) -> Finding:
    """Return `finding`, or "cannot tell" with the reason where a stand-in was not recognised."""
    for nature, said in examined.items():
        if said is not None and said.label is not EXPECTED[nature]:
            return cannot_tell(
                f"at this size the probe says {said.label.value!r} of a stand-in that is a {nature} by construction "
                f"({said.reason})",
                said.needed,
            )
    return finding

"""One contrast over all tasks and alterations of a probe: the unaltered questions against all altered ones.

An altered item that was asked in several conditions counts once, with its mean. Left out: weights for conditions of
different size.
"""

from collections.abc import Iterable
from dataclasses import replace

from menon.auditing.contrasts import Contrast, cells_of, contrasts_of
from menon.auditing.probe import Answered
from menon.auditing.verdict import AuditConfig


def pooled_contrasts(
    probe: str, answered: Iterable[Answered], *, task: str, altered: str, config: AuditConfig
) -> list[Contrast]:
    """Return one contrast per model over all of `answered`, whose baseline questions are flagged as such.

    Controls count as controls of the altered questions, unless they belong to a baseline condition.
    """
    answered = list(answered)
    baselines = {(a.question.task, a.question.condition) for a in answered if a.question.baseline}
    relabelled = []
    for item in answered:
        question = item.question
        plain = (question.task, question.condition) in baselines
        if plain and question.control:
            continue
        changed = replace(
            question,
            task=task,
            condition="unaltered" if plain else altered,
            baseline=plain,
            cot=None,
            pair=f"{question.task}/{question.cot}/{question.pair}" if question.pair else "",
        )
        relabelled.append(replace(item, question=changed))
    return contrasts_of(cells_of(probe, relabelled, level=config.level), config=config)


def points(value: float) -> int:
    """Return a difference of two shares as whole percentage points."""
    return round(100 * value)

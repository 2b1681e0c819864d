"""Log-likelihood of gold answers, for the version of the exchangeability test that does not wait for right answers."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from menon.auditing.items import Pair
from menon.core.errors import SamplerError
from menon.core.values import Problem
from menon.studies.audit.asking import Interview


def gold_scores(interview: Interview, name: str, pairs: Sequence[Pair]) -> dict[str, float] | None:
    """Return, per problem id, the mean log-probability (nats per token) of its gold answer asked for directly.

    None where the model cannot score text; stored as one unit per family.
    """
    problems = {p.id: p for pair in pairs for p in (pair.original, *(fresh for fresh, _ in pair.fresh))}

    def compute(writer: Any) -> dict[str, Any]:
        return {"scores": _scores(interview, list(problems.values()))}

    found = interview.run.unit(f"scores-{interview.stage}", name, compute=compute)["scores"]
    return dict(zip(problems, found, strict=True)) if found else None


def _scores(interview: Interview, problems: Sequence[Problem]) -> list[float]:
    sampler, style = interview.sampler(), interview.style
    texts = [(style.prompt(p, direct=True), style.completion(p, "", p.answer, direct=True)) for p in problems]
    many = getattr(sampler, "score_many", None)
    try:
        rows = many(texts) if many is not None else [sampler.score(*text) for text in texts]
    except SamplerError as error:
        interview.progress.say(f"no log-likelihoods: {error}")
        return []
    return [fmean(row) if row else 0.0 for row in rows]

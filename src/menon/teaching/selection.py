"""Which samples are learnt from, and why the others are not: one explained row per sample.

Sources: STaR keeps right answers (arXiv:2203.14465, Algorithm 1); RFT keeps distinct equation lists (arXiv:2308.01825,
3.3); the filter on steps is ours, because right answers from wrong steps are what poisons small models.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from menon.core.seeds import rng_for
from menon.core.values import Verdict
from menon.grading.steps import equation_list
from menon.sampling.asking import Graded
from menon.teaching.config import StarConfig

KEPT = "kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What became of a sample: `kept`, or the reason why it was dropped."""

    sample: Graded
    reason: str

    @property
    def kept(self) -> bool:
        return self.reason == KEPT


def select(samples: Iterable[Graded], config: StarConfig, *names: str | int) -> list[Decision]:
    """Decide on every sample, in order. `names` seed the random control."""
    samples = list(samples)
    coin = _coin(samples, config, names)
    seen: set[tuple] = set()
    count: Counter[str] = Counter()
    decisions = []
    for i, sample in enumerate(samples):
        reason = _reason(sample, config, coin[i])
        if reason == KEPT and _identity(sample, config) in seen:
            reason = "duplicate"
        if reason == KEPT and count[sample.problem.id] >= config.keep_per_question:
            reason = "enough of this question"
        if reason == KEPT:
            seen.add(_identity(sample, config))
            count[sample.problem.id] += 1
        decisions.append(Decision(sample=sample, reason=reason))
    return decisions


def leaks_hint(text: str, hint: str) -> bool:
    """Say whether a rationale speaks of the hint it was shown instead of deriving the answer.

    Two signs: it repeats the hint's marking, or it begins with the answer before any step.
    """
    plain = text.strip()
    if not plain:
        return True
    return "(CORRECT)" in plain or (bool(hint) and plain.startswith(hint) and len(plain) <= len(hint) + 1)


def _coin(samples: Sequence[Graded], config: StarConfig, names: Sequence[str | int]) -> list[bool]:
    if config.filter != "random":
        return [True] * len(samples)
    # As many rows as the answer filter would keep, drawn without looking at the answer.
    wanted = sum(d.kept for d in select(samples, config.model_copy(update={"filter": "answer"})))
    anything = config.model_copy(update={"filter": "none"})
    order = rng_for("random reward", *names).sample(range(len(samples)), len(samples))
    drawn = [i for i, d in zip(order, select([samples[i] for i in order], anything), strict=True) if d.kept]
    chosen = set(drawn[:wanted])
    return [i in chosen for i in range(len(samples))]


def _reason(sample: Graded, config: StarConfig, coin: bool) -> str:
    verdict = sample.grade.verdict
    if verdict in (Verdict.ERROR, Verdict.TRUNCATED, Verdict.UNPARSED):
        return verdict.value
    if config.filter == "none":
        return KEPT
    if config.filter == "random":
        return KEPT if coin else "not drawn"
    if verdict is not Verdict.RIGHT:
        return verdict.value
    if sample.hinted and leaks_hint(sample.grade.rationale, sample.problem.answer):
        return "hint leaked"
    if config.filter == "steps" and sample.grade.sound is False:
        return "unsound step"
    return KEPT


def _identity(sample: Graded, config: StarConfig) -> tuple:
    if config.dedupe == "none":
        return (sample.completion.id, sample.completion.sample, sample.hinted)
    if config.dedupe == "equations":
        return (sample.problem.id, equation_list(sample.grade.rationale))
    return (sample.problem.id, sample.completion.text.strip())

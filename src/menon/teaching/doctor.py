"""Look at a run before it starts: ask a few questions, and say what would make teaching fail.

Finds answers that are cut off, answers that cannot be read, a task that chance solves, groups without variance, a model
that is never right or always right, and estimates time and memory. A finding that dooms the run refuses it.
Left out: a guess of how far the model will climb.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from menon.core.progress import Progress
from menon.core.values import Problem, Verdict
from menon.models.load import Loaded
from menon.sampling import Sampler
from menon.sampling.asking import Asking, Graded, ask
from menon.stats import wilson
from menon.teaching.config import StarConfig, TrainConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing worth knowing; `refuse` means that going on would waste the run."""

    level: Literal["refuse", "warn", "note"]
    what: str
    mend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorReport:
    """What the doctor saw in `asked` questions with `samples` samples each."""

    model: str
    asked: int
    samples: int
    right: int
    truncated: int
    unparsed: int
    errors: int
    zero_variance: float
    chance: float
    per_difficulty: dict[str, dict[str, float]]
    pass_rates: tuple[int, ...]
    seconds_estimate: float | None
    memory_mb: float | None
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether no finding refuses the run."""
        return not any(f.level == "refuse" for f in self.findings)

    def lines(self) -> list[str]:
        """Return the report as lines of plain text."""
        total = self.asked * self.samples
        lines = [
            f"{self.model}: {self.asked} questions, {self.samples} sample(s) each: {self.right} right, "
            f"{self.unparsed} unparsed, {self.truncated} truncated, {self.errors} errors of {total}",
            f"groups without variance: {self.zero_variance:.0%}; chance level {self.chance:.0%}",
            "pass rate per question, 0 to 1 in fifths: " + " ".join(str(count) for count in self.pass_rates),
        ]
        for name, cell in self.per_difficulty.items():
            lines.append(f"  {name}: {cell['value']:.0%} [{cell['low']:.0%}, {cell['high']:.0%}] of {cell['n']:.0f}")
        if self.seconds_estimate is not None:
            lines.append(f"estimated time of the loop: {self.seconds_estimate / 60:.1f} minutes")
        if self.memory_mb is not None:
            lines.append(f"estimated peak memory: {self.memory_mb:.0f} MB")
        lines += [f"{f.level.upper()}: {f.what} -> {f.mend}" for f in self.findings]
        return [*lines, "fit to run" if self.ok else "refused; --force runs it all the same"]

    def to_json(self) -> dict[str, Any]:
        """Return the report with its findings as plain values."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        values["findings"] = [{"level": f.level, "what": f.what, "mend": f.mend} for f in self.findings]
        return {**values, "pass_rates": list(self.pass_rates), "ok": self.ok}


def examine(
    sampler: Sampler,
    problems: Sequence[Problem],
    asking: Asking,
    *,
    star: StarConfig | None = None,
    training: TrainConfig | None = None,
    loaded: Loaded | None = None,
    progress: Progress | None = None,
) -> DoctorReport:
    """Ask `problems` with `asking.samples` samples each and report; never raises for what it finds.

    `loaded` allows the estimates of time and memory, which need the weights.
    """
    started = time.perf_counter()
    graded = ask(sampler, problems, asking, "doctor", progress=progress)
    seconds = time.perf_counter() - started
    groups: dict[str, list[Graded]] = defaultdict(list)
    cells: dict[str, list[bool]] = defaultdict(list)
    for item in graded:
        groups[item.problem.id].append(item)
        cells[f"{item.problem.family} {item.problem.difficulty}"].append(item.grade.right)
    rates = [sum(i.grade.right for i in group) / len(group) for group in groups.values()]
    histogram = [0] * 6
    for rate in rates:
        histogram[round(rate * 5)] += 1
    verdicts = [item.grade.verdict for item in graded]
    per_difficulty = {}
    for name, rights in sorted(cells.items()):
        interval = wilson(sum(rights), len(rights))
        per_difficulty[name] = {"value": interval.value, "low": interval.low, "high": interval.high, "n": len(rights)}
    chances = [1 / len(p.choices) for p in problems if p.choices]
    estimate = _seconds(graded, seconds, star, training) if star and training and loaded else None
    counts = {
        "right": verdicts.count(Verdict.RIGHT),
        "truncated": verdicts.count(Verdict.TRUNCATED),
        "unparsed": verdicts.count(Verdict.UNPARSED),
        "errors": verdicts.count(Verdict.ERROR),
    }
    chance = sum(chances) / len(problems) if chances else 0.0
    failure = next((i.completion.error for i in graded if i.completion.error), "") or ""
    return DoctorReport(
        model=sampler.name,
        asked=len(groups),
        samples=asking.samples,
        zero_variance=sum(rate in (0.0, 1.0) for rate in rates) / max(1, len(rates)) if asking.samples > 1 else 0.0,
        chance=chance,
        per_difficulty=per_difficulty,
        pass_rates=tuple(histogram),
        seconds_estimate=estimate,
        memory_mb=_memory_mb(loaded, training) if loaded and training else None,
        findings=tuple(_findings(counts, len(graded), chance, asking, star, loaded, problems, failure)),
        **counts,
    )


def _findings(
    counts: dict[str, int],
    total: int,
    chance: float,
    asking: Asking,
    star: StarConfig | None,
    loaded: Loaded | None,
    problems: Sequence[Problem],
    failure: str,
) -> Iterator[Finding]:
    if not total:
        yield _refuse("no questions to ask", "give a data file with questions, or raise --limit")
        return
    right, truncated, unparsed, errors = (counts[k] for k in ("right", "truncated", "unparsed", "errors"))
    if errors:
        say = _refuse if errors > total / 2 else _warn
        yield say(
            f"{errors} of {total} samples failed, the first with: {failure}", "mend that, or shorten the questions"
        )
    if truncated > total / 10:
        say, factor = (_refuse, 4) if truncated > total / 2 else (_warn, 2)
        yield say(
            f"{truncated} of {total} samples were cut off at {asking.max_tokens} tokens",
            f"--set star.max_tokens={asking.max_tokens * factor}",
        )
    if unparsed > total / 2:
        yield _refuse(
            f"{unparsed} of {total} samples hold no answer in the expected form",
            "--style with the form the model writes, or --exemplars with demonstrations",
        )
    if chance >= 0.5:
        yield _refuse(
            f"guessing is right {chance:.0%} of the time, so the filter would keep wrong reasoning",
            "ask questions with more choices or open answers",
        )
    elif chance > 0.15:
        yield _note(f"guessing is right {chance:.0%} of the time: some kept rationales are lucky", "raise star.samples")
    interval = wilson(right, total)
    if right == 0 and star is not None and star.learn == "own":
        yield _refuse(
            f"0 of {total} samples are right (95 % upper bound {interval.high:.1%}): nothing to bootstrap from",
            "start from easier questions or a model that knows a little",
        )
    elif interval.high < chance:
        yield _warn("the model is worse than chance", "check the prompt style and the answer form")
    if right == total:
        yield _warn("every sample is right: there is nothing left to learn", "ask harder questions")
    if loaded is not None:
        yield from _too_long(loaded, asking, problems)


def _too_long(loaded: Loaded, asking: Asking, problems: Sequence[Problem]) -> Iterator[Finding]:
    longest = max(len(loaded.tokenizer(asking.style.prompt(p)).input_ids) for p in problems)
    if loaded.context and longest >= loaded.context:
        yield _warn(
            f"the longest prompt has {longest} tokens and the model takes {loaded.context}: such questions fail",
            "shorter questions, fewer demonstrations, or a model with more positions",
        )
    elif loaded.context and longest + asking.max_tokens > loaded.context:
        yield _warn(
            f"the longest prompt has {longest} tokens; with {asking.max_tokens} new ones that is more than the model's "
            f"{loaded.context}",
            f"--set star.max_tokens={loaded.context - longest}, or fewer demonstrations",
        )


def _refuse(what: str, mend: str) -> Finding:
    return Finding(level="refuse", what=what, mend=mend)


def _warn(what: str, mend: str) -> Finding:
    return Finding(level="warn", what=what, mend=mend)


def _note(what: str, mend: str) -> Finding:
    return Finding(level="note", what=what, mend=mend)


def _seconds(graded: Sequence[Graded], seconds: float, star: StarConfig, training: TrainConfig) -> float:
    """Estimate the loop's time: sampling at the rate just seen, training at three forward passes a token."""
    tokens = sum(item.completion.completion_tokens + item.completion.prompt_tokens for item in graded)
    rate = tokens / seconds
    per_sample = tokens / max(1, len(graded))
    asked = star.questions * (star.samples + (0.5 if star.rationalize else 0)) if star.learn == "own" else 0
    total = 0.0
    for number in range(star.rounds):
        steps = star.steps * star.step_growth**number
        total += asked * per_sample / rate + 3 * steps * training.tokens_per_batch * training.accumulate / rate
    return total


def _memory_mb(loaded: Loaded, training: TrainConfig) -> float:
    """Estimate the peak: base and copy of the weights, gradients, two moments, activations, logits in float32."""
    config = loaded.model.config.get_text_config()
    item = loaded.model.dtype.itemsize
    weights = loaded.parameters * (3 * item + 2 * item)
    width, layers = config.hidden_size, config.num_hidden_layers
    per_token = (layers * width * (2 if training.gradient_checkpointing else 16)) * item + config.vocab_size * 12
    return (weights + per_token * training.tokens_per_batch) / 2**20

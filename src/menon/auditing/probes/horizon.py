"""Chain length and horizon: how often a step goes wrong, whether chains recover, and how far that carries.

Asked are chained word problems of growing length. Written equations are compared with the true values step by step; a
two-state fit gives error and recovery per step, the bound c / (c + e), and the length at which accuracy halves. The
curve of independent errors stands beside it: above it a model recovers, below it something else than steps fails.
Left out: problems with branches, where a step's parents are several.
Source: Dziri et al. 2023, arXiv:2305.18654 (labels and bound); the fit and its intervals are `menon.stats.chains`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from menon.auditing.contrasts import Cell, cells_of
from menon.auditing.probe import Answered, Effect, Material, ProbeReport, Question
from menon.core.errors import ConfigError
from menon.core.values import Problem, Verdict
from menon.grading.step_values import step_results, steps_right
from menon.problems.chain import CHAIN, LARGEST_DIFFICULTY
from menon.stats.chains import ChainFit, fit_chain
from menon.stats.trend import logistic_trend

LENGTHS = (1, 2, 4, 6, 8, 12, 16)
FEWEST_CHAINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """The probe; options: `lengths` (numbers of steps, 1 to 16)."""

    name: str = "horizon"
    title: str = "Chain length and horizon"
    source: str = "Dziri et al. 2023, arXiv:2305.18654"

    def objection(self, material: Material) -> str | None:
        return None

    def questions(self, material: Material) -> list[Question]:
        """Return `per_cell` chains of every length.

        Raises:
            ConfigError: a length that chains do not have.
        """
        lengths = tuple(material.options.get("lengths", LENGTHS))
        for length in lengths:
            if not isinstance(length, int) or not 1 <= length <= LARGEST_DIFFICULTY:
                raise ConfigError(
                    f"probe.horizon.lengths has {length!r}; allowed: whole numbers 1 to {LARGEST_DIFFICULTY}"
                )
        return [
            Question(
                problem=CHAIN.problem("test", 10_000 + index, difficulty=length),
                task="chain",
                condition=f"{length} steps",
                cot=True,
                max_tokens=None if material.style != "menon" else 40 + 12 * length,
            )
            for length in lengths
            for index in range(material.per_cell)
        ]

    def measure(self, material: Material) -> Iterable[dict[str, Any]]:
        return ()

    def report(
        self, answered: Sequence[Answered], measured: Sequence[Mapping[str, Any]], material: Material
    ) -> ProbeReport:
        cells = cells_of(self.name, answered, level=material.config.level, reading="the answer after the last mark")
        chains = [(item, steps) for item in answered if (steps := _steps(item))]
        fit = None
        if len(chains) >= FEWEST_CHAINS:
            fit = fit_chain([steps for _, steps in chains], seed=material.seed, level=material.config.level)
        kept = [a for a in answered if a.grade.verdict is not Verdict.ERROR]
        trend = None
        if len({a.question.problem.difficulty for a in kept}) > 1:
            trend = logistic_trend(
                [float(a.grade.right) for a in kept],
                [float(a.question.problem.difficulty) for a in kept],
                seed=material.seed,
                resamples=999,
                level=material.config.level,
            )
        effects = []
        if trend is not None:
            effects.append(
                Effect(
                    label="change of log-odds per step",
                    value=trend.slope,
                    low=trend.low,
                    high=trend.high,
                    n=trend.n,
                    kind="other",
                    unit="log-odds per step",
                    p=trend.p,
                    note="length costs accuracy in reasoners and reciters alike",
                )
            )
        if fit is not None:
            effects.append(_rate("errors per step", fit.error.value, fit.error.low, fit.error.high, fit.num_steps))
        title = "Accuracy by number of steps"
        return ProbeReport(
            name=self.name,
            title=self.title,
            source=self.source,
            sentence=_sentence(cells, fit),
            cells=tuple(cells),
            effects=tuple(effects),
            curves={title: _curves(cells, fit)},
            x_names={title: "steps"},
            tables={"Steps": _table(fit)} if fit else {},
            notes=_notes(len(chains), len(kept), fit),
        )


HORIZON = Horizon()


def _steps(item: Answered) -> list[bool]:
    """Return which steps of an answer are right; empty where it shows none."""
    problem = item.question.problem
    if item.grade.verdict is Verdict.ERROR:
        return []
    return steps_right(_true(problem), item.grade.rationale or item.completion.text, item.grade.answer)


def _true(problem: Problem) -> list[Fraction]:
    return step_results(problem.rationale or "")


def _rate(label: str, value: float, low: float, high: float, n: int) -> Effect:
    return Effect(label=label, value=value, low=low, high=high, n=n, kind="other", unit="of the steps")


def _length(cell: Cell) -> int:
    return int(cell.condition.split()[0])


def _curves(cells: Sequence[Cell], fit: ChainFit | None) -> list[dict[str, Any]]:
    ordered = sorted((c for c in cells if c.accuracy is not None), key=_length)
    series: list[dict[str, Any]] = [
        {
            "name": "measured",
            "points": [{"x": _length(c), "value": c.accuracy, "low": c.low, "high": c.high, "n": c.n} for c in ordered],
        }
    ]
    if fit is not None and ordered:
        longest = _length(ordered[-1])
        for name, curve in (
            ("errors and recovery", fit.curve(longest)),
            ("independent errors", fit.independent(longest)),
        ):
            points = [{"x": _length(c), "value": float(curve[_length(c) - 1])} for c in ordered]
            series.append({"name": name, "points": points})
    return series


def _table(fit: ChainFit) -> list[dict[str, Any]]:
    rows = [
        ("error per step (e)", fit.error),
        ("recovery per step (c)", fit.recovery),
        ("bound c / (c + e)", fit.bound),
    ]
    found = [
        {"quantity": name, "value": value.value, "low": value.low, "high": value.high}
        if value is not None
        else {"quantity": name, "value": None, "low": None, "high": None}
        for name, value in rows
    ]
    values = fit.to_json()
    found.append(
        {
            "quantity": "steps at which accuracy halves",
            "value": values["half_length"],
            "low": values["half_low"],
            "high": values["half_high"],
        }
    )
    return found


def _sentence(cells: Sequence[Cell], fit: ChainFit | None) -> str:
    known = sorted((c for c in cells if c.accuracy is not None), key=_length)
    if not known:
        return "No chain was answered."
    first, last = known[0], known[-1]
    said = (
        f"Accuracy goes from {100 * (first.accuracy or 0):.0f} % on {first.condition} to "
        f"{100 * (last.accuracy or 0):.0f} % on {last.condition}."
    )
    if fit is None:
        return f"{said} Too few answers show their steps to say where they fail."
    low, high = 100 * fit.error.low, 100 * fit.error.high
    said += f" A step goes wrong with {100 * fit.error.value:.1f} % ({low:.1f} to {high:.1f})"
    if fit.recovery is not None:
        said += f" and is right again after a wrong one with {100 * fit.recovery.value:.0f} %"
    half = fit.to_json()["half_length"]
    return (
        f"{said}; accuracy halves after about {half:.0f} steps."
        if half
        else f"{said}; accuracy does not fall to one half."
    )


def _notes(shown: int, answered: int, fit: ChainFit | None) -> tuple[str, ...]:
    notes = [f"{shown} of {answered} answers show their steps as equations; error and recovery are measured on those."]
    if fit is not None and fit.recovery is None:
        notes.append("No chain went on after a wrong step, so recovery cannot be told.")
    return tuple(notes)

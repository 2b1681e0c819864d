"""Overthinking: how much of what a model writes does it need, and how many tokens does it need to be right?

Successive solutions within one answer give outcome and process efficiency, the place of the first right statement and
how often a model is talked out of a right solution. Accuracy under enforced token budgets stands beside it. Writing on
is no reciting, so there is no verdict and nothing enters the correction for several tests.
Left out: a model's own switches for effort; budgets are enforced from outside, alike for every backend.
Source: Chen et al. 2024, arXiv:2412.21187.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from menon.auditing.contrasts import cells_of
from menon.auditing.probe import Answered, Effect, Material, ProbeReport, Question
from menon.auditing.sentences import percent
from menon.auditing.thinking.budgets import UNLIMITED, BudgetPlan, ask_within
from menon.auditing.thinking.efficiency import Measure, Thinking, mean_interval, measures_of, thinking_of
from menon.core.errors import ConfigError
from menon.core.seeds import seed_for
from menon.core.values import Problem, Verdict
from menon.problems.chain import CHAIN
from menon.problems.prompts import STYLES
from menon.stats import wilson_clustered

READING = "the answer after the last mark"
CURVE = "Accuracy under an enforced token budget"
EFFICIENCY, BY_DIFFICULTY, BUDGETS = "Efficiency of the thinking", "By number of steps", "Token budgets"
SHOWN = ("outcome efficiency", "process efficiency", "right, then talked out of it", "found late")
FEWEST = 10  # problems per budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """Budgets in tokens (0: no limit but `longest`) and the limits that go with them."""

    budgets: tuple[int, ...]
    longest: int
    closing: int


TEXT = Defaults(budgets=(64, 128, 256, 512, UNLIMITED), longest=4096, closing=24)
EMBEDDED = Defaults(budgets=(8, 16, 32, 64, 128, UNLIMITED), longest=256, closing=8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overthinking:
    """The probe; options: `budgets`, `longest`, `closing` (tokens) and `problems` (per budget)."""

    name: str = "overthinking"
    title: str = "Overthinking and token budgets"
    source: str = "Chen et al. 2024, arXiv:2412.21187"

    def objection(self, material: Material) -> str | None:
        return None

    def questions(self, material: Material) -> list[Question]:
        """Return about twice `per_cell` questions, with working and without a limit that would cut it off."""
        longest = _plan(material).longest
        return [
            Question(
                problem=problem,
                task=problem.family,
                condition=f"{problem.difficulty} steps" if problem.family == CHAIN.name else "as given",
                cot=True,
                cluster=problem.template or problem.id,
                max_tokens=longest,
            )
            for problem in problems_for(material, 2 * material.per_cell)
        ]

    def measure(self, material: Material) -> Iterable[dict[str, Any]]:
        """Yield one row per problem and budget.

        Raises:
            ConfigError: budgets or limits that cannot be used.
        """
        plan = _plan(material)
        count = material.options.get("problems", max(FEWEST, material.per_cell))
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ConfigError(f"probe.overthinking.problems is {count!r}; allowed: a whole number, 1 or more")
        if not material.live or material.sampler is None:
            return
        yield from ask_within(material.sampler(), problems_for(material, count), plan, material.progress)

    def report(
        self, answered: Sequence[Answered], measured: Sequence[Mapping[str, Any]], material: Material
    ) -> ProbeReport:
        level = material.config.level
        answers = [thinking_of(item) for item in answered if item.grade.verdict is not Verdict.ERROR]
        measures = measures_of(answers, seed=material.seed, level=level)
        budgets = _budget_table(measured, level)
        tables = {
            EFFICIENCY: [_row(measure) for measure in measures],
            BY_DIFFICULTY: _by_difficulty(answers),
            BUDGETS: budgets,
        }
        return ProbeReport(
            name=self.name,
            title=self.title,
            source=self.source,
            sentence=_sentence(answers, measures, budgets),
            cells=tuple(cells_of(self.name, answered, level=level, reading=READING)),
            effects=tuple(_effect(measure) for measure in measures if measure.name in SHOWN),
            tables={title: rows for title, rows in tables.items() if rows},
            curves={CURVE: _curve(budgets)} if budgets else {},
            x_names={CURVE: "tokens allowed"} if budgets else {},
            notes=tuple(_notes(answers, measured, material)),
        )


OVERTHINKING = Overthinking()


def problems_for(material: Material, count: int) -> list[Problem]:
    """Return the user's own problems, or chains of every length in turn."""
    if material.problems:
        distinct = {problem.id: problem for problem in material.problems}.values()
        return sorted(distinct, key=lambda p: seed_for("overthinking", material.seed, p.id))[:count]
    lengths = CHAIN.difficulties
    chains = [
        CHAIN.problem("test", 20_000 + 1000 * material.seed + place, difficulty=lengths[place % len(lengths)])
        for place in range(count)
    ]
    # The embedded model writes `#44` alone; others box their answers or say them, which grader "number" reads.
    return chains if material.style == "menon" else [replace(problem, grader="number") for problem in chains]


def _plan(material: Material) -> BudgetPlan:
    defaults = EMBEDDED if material.style == "menon" else TEXT
    budgets = material.options.get("budgets", defaults.budgets)
    if not isinstance(budgets, list | tuple):
        raise ConfigError(f"probe.overthinking.budgets is {budgets!r}; allowed: a list of tokens such as [64, 256, 0]")
    return BudgetPlan(
        budgets=tuple(budgets),
        style=STYLES.get(material.style),
        longest=material.options.get("longest", defaults.longest),
        closing=material.options.get("closing", defaults.closing),
        seed=material.seed,
    )


def _row(measure: Measure) -> dict[str, Any]:
    interval = measure.interval
    return {
        "measure": measure.name,
        "over": measure.of,
        "value": interval.value,
        "low": interval.low,
        "high": interval.high,
        "n": interval.n,
        "unit": measure.unit or "share",
    }


def _effect(measure: Measure) -> Effect:
    interval = measure.interval
    return Effect(
        label=measure.name,
        value=interval.value,
        low=interval.low,
        high=interval.high,
        n=interval.n,
        kind="other",
        unit=f"of the {'tokens' if 'efficiency' in measure.name else measure.of}",
        note="no evidence of reciting",
    )


def _by_difficulty(answers: Sequence[Thinking]) -> list[dict[str, Any]]:
    groups: defaultdict[int, list[Thinking]] = defaultdict(list)
    for answer in answers:
        groups[answer.difficulty].append(answer)
    if len(groups) < 2:
        return []
    return [
        {
            "steps": steps,
            "n": len(rows),
            "accuracy": fmean(row.verdict is Verdict.RIGHT for row in rows),
            "solutions": fmean(len(row.solutions) for row in rows),
            "tokens": fmean(row.tokens for row in rows),
            "outcome_efficiency": fmean(row.outcome for row in rows),
        }
        for steps, rows in sorted(groups.items())
    ]


def _budget_table(measured: Sequence[Mapping[str, Any]], level: float) -> list[dict[str, Any]]:
    groups: defaultdict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for row in measured:
        if row["verdict"] != str(Verdict.ERROR):
            groups[row["budget"]].append(row)
    table = []
    for budget, rows in sorted(groups.items(), key=lambda pair: pair[0] or float("inf")):
        clusters = [row["cluster"] for row in rows]
        accuracy = wilson_clustered([float(row["right"]) for row in rows], clusters, level)
        tokens = mean_interval(
            [row["thinking_tokens"] + row["closing_tokens"] for row in rows], clusters, f"budget {budget}", level=level
        )
        forced = [row for row in rows if row["forced"]]
        table.append(
            {
                "budget": budget or "unlimited",
                "n": len(rows),
                "accuracy": accuracy.value,
                "low": accuracy.low,
                "high": accuracy.high,
                "forced": len(forced) / len(rows),
                "counted": all(row["counted"] for row in rows),
                "kept": fmean(row["kept"] for row in rows),
                "without_answer": fmean(row["answer"] is None for row in rows),
                "mean_tokens": tokens.value,
                "mean_tokens_low": tokens.low,
                "mean_tokens_high": tokens.high,
                "most_tokens": max(row["thinking_tokens"] for row in rows),
            }
        )
    return table


def _curve(budgets: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the curve; without a limit the point stands at the most tokens that any answer took."""
    names = ("accuracy", "forced")
    return [
        {
            "name": {"accuracy": "accuracy", "forced": "closed by force"}[name],
            "points": [
                {
                    "x": row["most_tokens"] if row["budget"] == "unlimited" else row["budget"],
                    "value": row[name],
                    "low": row["low"] if name == "accuracy" else row[name],
                    "high": row["high"] if name == "accuracy" else row[name],
                    "n": row["n"],
                }
                for row in sorted(
                    budgets, key=lambda r: r["most_tokens"] if r["budget"] == "unlimited" else r["budget"]
                )
            ],
        }
        for name in names
    ]


def _sentence(answers: Sequence[Thinking], measures: Sequence[Measure], budgets: Sequence[Mapping[str, Any]]) -> str:
    parts = []
    by_name = {measure.name: measure.interval for measure in measures}
    if answers and not any(len(answer.solutions) > 1 for answer in answers):
        parts.append("No answer holds more than one solution, so there is no thinking on to measure.")
    elif answers:
        outcome, count = by_name["outcome efficiency"], by_name["solutions per answer"]
        parts.append(
            f"The model writes {count.value:.1f} solutions per answer; {percent(outcome.value)} of what it writes "
            f"({percent(outcome.low)} to {percent(outcome.high)}) leads to its first right one."
        )
        talked = by_name.get("right, then talked out of it")
        if talked is not None:
            parts.append(
                f"Of {talked.n} finished answers with a right solution, {percent(talked.value)} end wrong all the same "
                f"({percent(talked.low)} to {percent(talked.high)})."
            )
    if len(budgets) > 1:
        first, last = budgets[0], budgets[-1]
        unit = "tokens" if last["counted"] else "words"
        limit = "without a limit" if last["budget"] == "unlimited" else f"with {last['budget']}"
        parts.append(
            f"With {first['budget']} tokens {percent(first['accuracy'])} are right, {limit} "
            f"{percent(last['accuracy'])} (mean {last['mean_tokens']:.0f} {unit})."
        )
    return " ".join(parts) or "There is no answer to measure."


def _notes(answers: Sequence[Thinking], measured: Sequence[Mapping[str, Any]], material: Material) -> list[str]:
    notes = ["Writing on is no reciting: this probe states no verdict."]
    if answers and not any(len(answer.solutions) > 1 for answer in answers):
        notes.append("No answer holds more than one solution: process efficiency is 100 % by definition.")
    silent = sum(bool(a.solutions) and not any(s.method for s in a.solutions) for a in answers)
    if silent:
        notes.append(
            f"{silent} of {len(answers)} answers write no equation, so that only their first solution counts as new."
        )
    if answers and not all(answer.counted for answer in answers):
        notes.append("The backend counted no tokens for some answers; they are measured in words.")
    cut = sum(answer.verdict is Verdict.TRUNCATED for answer in answers)
    if cut:
        notes.append(f"{cut} of {len(answers)} answers were cut off; their efficiency is that of what was written.")
    if not measured:
        why = "responses on file cannot be asked again" if not material.live else "nothing was sampled"
        return [*notes, f"No token budgets: {why}."]
    over = [row for row in measured if not row["kept"]]
    if over:
        worst = max(row["thinking_tokens"] for row in over)
        notes.append(
            f"The backend ignored the token limit in {len(over)} of {len(measured)} requests (up to {worst} tokens); "
            "the surplus was cut off here, so the curve holds, but the tokens were spent."
        )
    lost = sum(row["forced"] and row["answer"] is None for row in measured)
    if lost:
        forced = sum(row["forced"] for row in measured)
        notes.append(f"{lost} of {forced} answers that were closed by force gave no readable answer.")
    if not all(row["counted"] for row in measured):
        notes.append("The backend counts no tokens: that its limits were kept could be checked in words only.")
    failed = sum(row["verdict"] == str(Verdict.ERROR) for row in measured)
    if failed:
        notes.append(f"{failed} of {len(measured)} requests under a budget failed and are left out.")
    return notes

"""Problems that are asked before and after: of the plain model, of the taught model, and of it while it thinks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from menon.core.progress import Progress
from menon.core.values import Problem
from menon.models.thoughts.quiet import QuietModel
from menon.problems import FAMILIES
from menon.problems.datasets import load_problems
from menon.problems.prompts import STYLES, PromptStyle
from menon.sampling import Sampler
from menon.sampling.asking import Asking, Graded, evaluate
from menon.stats import paired_difference, wilson
from menon.store import Run
from menon.studies.quiet.teach_recipe import QuietStar
from menon.teaching.quiet.answers import KnownAnswer, answer_probabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Problems and how they are put; greedy, so that the same model answers the same."""

    problems: tuple[Problem, ...]
    asking: Asking

    def probabilities(self, quiet: QuietModel, tokenizer: Any, *, thinking: bool) -> list[float]:
        """Return the renormalised probability of each gold answer in the form that the style writes it."""
        style = self.asking.style
        known = []
        for problem in self.problems:
            text = style.completion(problem, problem.rationale or "", problem.answer, direct=True)
            begins = max(0, text.rfind(problem.answer))  # what stands before the answer is given, as its prompt is
            prompt = tokenizer(style.prompt(problem, direct=True) + text[:begins]).input_ids
            answer = tokenizer(text[begins:], add_special_tokens=False).input_ids
            known.append(KnownAnswer(prompt=tuple(prompt), answer=tuple(answer)))
        return answer_probabilities(quiet, known, thinking=thinking)

    def ask(self, run: Run, sampler: Callable[[], Sampler], stage: str, progress: Progress) -> list[Graded]:
        """Ask (or read back) all problems; the completions are records of the unit."""
        return evaluate(
            run, sampler, list(self.problems), self.asking, stage="asked", names=(stage,), progress=progress
        )


def asked_problems(recipe: QuietStar) -> Asked | None:
    """Return what is asked before and after; None when nothing is."""
    wanted = recipe.evaluation
    if wanted.problems:
        found = load_problems(wanted.problems, limit=wanted.problem_limit).problems
        style = STYLES.get("commonsenseqa" if found and found[0].choices else "gsm8k")
        return _asked(found, style, recipe)
    if not wanted.per_difficulty:
        return None
    problems: list[Problem] = []
    for name in wanted.families:
        family = FAMILIES.get(name)
        levels = family.difficulties
        problems += [family.problem("test", i, difficulty=d) for d in levels for i in range(wanted.per_difficulty)]
    return _asked(problems, STYLES.get("menon"), recipe)


def _asked(problems: Sequence[Problem], style: PromptStyle, recipe: QuietStar) -> Asked:
    unique = {problem.id: problem for problem in problems}
    asking = Asking(style=style, direct=recipe.evaluation.direct, max_tokens=recipe.evaluation.max_tokens)
    return Asked(problems=tuple(unique.values()), asking=asking)


def asked_report(before: Sequence[Graded], after: Sequence[Graded], thinking: Sequence[Graded]) -> dict[str, Any]:
    """Return accuracy of all three per family and difficulty, and the change from before to thinking in pairs."""
    cells: dict[str, list[int]] = {}
    for place, item in enumerate(before):
        name = f"{item.problem.family}, difficulty {item.problem.difficulty}" if item.problem.difficulty else "problems"
        cells.setdefault(name, []).append(place)
    if len(cells) > 1:
        cells["all"] = list(range(len(before)))
    rows = []
    for name, places in cells.items():
        rights = {
            label: [float(side[i].grade.right) for i in places]
            for label, side in (("before", before), ("plain", after), ("thinking", thinking))
        }
        change = paired_difference(rights["before"], rights["thinking"])
        rows.append(
            {
                "name": name,
                "n": len(places),
                **{label: _share(values) for label, values in rights.items()},
                "after": _share(rights["thinking"]),
                "difference": {"value": change.value, "low": change.low, "high": change.high},
                "p": change.p,
            }
        )
    return {"rows": rows}


def _share(values: Sequence[float]) -> dict[str, float]:
    interval = wilson(int(sum(values)), len(values))
    return {"value": interval.value, "low": interval.low, "high": interval.high}

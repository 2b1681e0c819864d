"""What a bootstrap study works on: its questions, its test problems, and how they are put."""

from dataclasses import dataclass, replace
from itertools import zip_longest

from menon.core.errors import ConfigError
from menon.core.seeds import rng_for
from menon.core.values import Problem
from menon.problems.datasets import Dataset, load_problems
from menon.problems.prompts import STYLES, Gsm8k, PromptStyle
from menon.sampling.asking import Asking
from menon.studies.questions import FamilyQuestions, FixedQuestions, test_questions
from menon.studies.recipe import Bootstrap
from menon.teaching.star import Questions


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Questions to teach on, problems to test on (never taught), and the prompt styles."""

    questions: Questions
    test: list[Problem]
    style: PromptStyle
    few_shot: PromptStyle | None
    audited: bool
    dataset: Dataset | None

    def asking(self, temperature: float, max_tokens: int, *, samples: int = 1, direct: bool = False) -> Asking:
        """Return how the material's questions are put to a model."""
        style = self.style if direct else self.few_shot or self.style
        return Asking(style=style, temperature=temperature, max_tokens=max_tokens, samples=samples, direct=direct)

    def doctor_problems(self, count: int) -> list[Problem]:
        """Return a few of the first round's questions, evenly over it."""
        cells: dict[tuple[str, int], list[Problem]] = {}
        for problem in self.questions.round(1):
            cells.setdefault((problem.family, problem.difficulty), []).append(problem)
        turns = zip_longest(*(cells[key] for key in sorted(cells)))
        return [problem for turn in turns for problem in turn if problem is not None][:count]

    def more_questions(self, count: int) -> Questions:
        """Return the same source with `count` questions in its first round."""
        return replace(self.questions, count=count)  # pyright: ignore[reportArgumentType]


def gather(recipe: Bootstrap) -> Material:
    """Read or generate what `recipe` works on.

    Raises:
        ConfigError: no such family or style, or too few rows; DataError: a data file that cannot be read.
    """
    if not recipe.data:
        return Material(
            questions=FamilyQuestions(
                families=recipe.families, count=recipe.star.questions, fresh=recipe.star.fresh, seed=recipe.seed
            ),
            test=test_questions(
                [*recipe.families, *([recipe.control_family] if recipe.control_family else [])],
                recipe.evaluation.per_difficulty,
            ),
            style=_style(recipe, recipe.style),
            few_shot=None,
            audited=True,
            dataset=None,
        )
    dataset = load_problems(recipe.data, map=recipe.map, limit=recipe.limit or None, split=recipe.split or None)
    problems = list({problem.id: problem for problem in dataset.problems}.values())
    if len(problems) < 8:
        raise ConfigError(f"{recipe.data!r} has {len(problems)} usable rows; teaching and testing need at least 8")
    held_out = min(max(2, len(problems) // 8), recipe.evaluation.per_difficulty)
    rng_for("held out", recipe.seed).shuffle(problems)
    style, few_shot = _styles(recipe, problems[0])
    return Material(
        questions=FixedQuestions(
            problems=tuple(problems[held_out:]), count=recipe.star.questions, fresh=recipe.star.fresh, seed=recipe.seed
        ),
        test=problems[:held_out],
        style=style,
        few_shot=few_shot,
        audited=False,
        dataset=dataset,
    )


def _style(recipe: Bootstrap, name: str) -> PromptStyle:
    style = STYLES.get(name)
    if recipe.star.hint == "answer":
        return style
    if not isinstance(style, Gsm8k):
        raise ConfigError(f"star.hint = 'solution' needs style 'gsm8k', got style {name!r}; set star.hint = 'answer'")
    return replace(style, solution_hint=True)


def _styles(recipe: Bootstrap, first: Problem) -> tuple[PromptStyle, PromptStyle | None]:
    name = recipe.style
    if name == "auto":
        own = first.grader == "exact" and "steps" in first.meta
        name = "menon" if own else "commonsenseqa" if first.choices else "gsm8k"
    style = _style(recipe, name)
    if not recipe.exemplars:
        return style, None
    shots = load_problems(recipe.exemplars).problems[: recipe.shots]
    return style, style.with_exemplars(tuple(shots))

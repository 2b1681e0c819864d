"""The problems of a solving run, and what the charts are given besides them."""

from dataclasses import replace
from typing import Any

from menon.core.errors import ConfigError
from menon.core.values import Problem
from menon.flowcharts.chart import Chart
from menon.grading import open_grader
from menon.problems.datasets import load_problems
from menon.studies.solve.recipe import SolveRecipe

GENERATED = 20


def problems_of(recipe: SolveRecipe, *, grader: str) -> list[Problem]:
    """Return the problems; `grader` reads the answer of a single question without gold.

    Raises:
        ConfigError: nothing to solve, or names that are not known. DataError: a file that cannot be read.
    """
    if recipe.grader:
        open_grader(recipe.grader)  # a slip is told before anything is asked
    if recipe.question:
        chosen = "choice" if recipe.choices else recipe.grader or grader
        one = Problem(
            family="question", question=recipe.question, answer="", choices=recipe.choices, grader=chosen, split="asked"
        )
        return [one]
    if recipe.data:
        found = list(load_problems(recipe.data, split=recipe.split or None, map=recipe.map).problems)
        found = found[: recipe.limit] if recipe.limit else found
    elif recipe.problems:
        from menon.problems.catalogue import find

        source = find(recipe.problems)
        count, split = recipe.limit or GENERATED, recipe.split or None
        levels: tuple[int | None, ...] = recipe.difficulty or (None,)
        found = [
            problem
            for level in levels
            for problem in source.problems(count, split=split, difficulty=level, world=_world(source, recipe.world))
        ]
    else:
        raise ConfigError('nothing to solve; give a question (menon solve "..."), --problems NAME or --data FILE')
    if recipe.grader:
        found = [replace(problem, grader=recipe.grader) for problem in found]
    different = {problem.id: problem for problem in found}
    return list(different.values())


def _world(source: Any, name: str) -> str:
    return source.worlds[0] if name == "default" else name


def inputs_of(chart: Chart, problem: Problem, shared: dict[str, Any]) -> dict[str, Any]:
    """Return what `chart` takes of a problem and of what all executions share."""
    known = {**shared, "question": problem.question, "choices": list(problem.choices), "problem": problem_data(problem)}
    return {variable.name: known[variable.name] for variable in chart.takes if variable.name in known}


def problem_data(problem: Problem) -> dict[str, Any]:
    """Return what a chart may know of a problem: nothing of its answer."""
    return {"family": problem.family, "difficulty": problem.difficulty, "choices": list(problem.choices)}


def examples_of(recipe: SolveRecipe) -> list[dict[str, Any]]:
    """Return the worked examples that charts may take."""
    if not recipe.exemplars:
        return []
    found = load_problems(recipe.exemplars).problems[: recipe.shots]
    if not found:
        raise ConfigError(f"{recipe.exemplars!r} holds no example; leave exemplars out or name another file")
    return [{"question": p.question, "rationale": p.rationale or "", "answer": p.answer} for p in found]

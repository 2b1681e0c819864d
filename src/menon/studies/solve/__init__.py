"""Solving as a run: questions, a strategy, a model; journal, grades and report in one directory."""

from typing import Any

from menon.studies.solve.plan import SolvePlan, resumed_plan, solve_plan

__all__ = ["SolvePlan", "resumed_plan", "run_solve", "solve_plan"]


def run_solve(plan: SolvePlan, **options: Any) -> dict[str, Any]:
    """Run or resume a solving run; see `menon.studies.solve.run.run_solve`."""
    from menon.studies.solve.run import run_solve as run  # here: it loads everything that a run needs

    return run(plan, **options)

"""All findings of one model, and of two sizes: F1 to F5 in the paper's order."""

from collections.abc import Sequence
from typing import Any

from menon.studies.procedural.alike import across, alike
from menon.studies.procedural.answers import answers, step_results
from menon.studies.procedural.case import Case
from menon.studies.procedural.planted import calibrated, features_of, planted_cases, verdicts
from menon.studies.procedural.procedures import forms_of_procedures, near_duplicates, procedures
from menon.studies.procedural.reliance import multipliers_of_size, reliance
from menon.studies.procedural.sources import ends_alike, sources


def findings_of(case: Case, *, tops: tuple[int, ...], shuffles: int, seed: int) -> dict[str, Any]:
    """Return every table of one model; `tops` are the sizes of the top and the bottom that are looked at."""
    represented = sources(case, tops=tops)
    return {
        "alike": alike(case, shuffles=shuffles, seed=seed),
        "reliance": reliance(case, tops=tops, seed=seed),
        "answers": answers(case, tops=tops),
        "steps": step_results(case, tops=tops),
        "procedures": procedures(case, tops=tops),
        "forms": forms_of_procedures(case, tops=tops),
        "near_duplicates": near_duplicates(case, tops=tops),
        "sources": represented,
        "ends": ends_alike(represented, k=tops[-1]),
    }


def sizes_of(small: Case, large: Case, *, tops: tuple[int, ...]) -> dict[str, Any]:
    """Return what two models that learnt the same corpus have in common, and how much more documents weigh.

    A random score depends on the query's name alone, so two models have the same; it says nothing here.
    """
    return {
        "small": small.title,
        "large": large.title,
        "alike": [row for method in small.methods if method != "random" for row in across(small, large, method)],
        "multipliers": multipliers_of_size(small, large, method="ekfac", tops=tops),
    }


def verdicts_of(cases: Sequence[Case]) -> tuple[dict[str, Any], list[list[dict[str, Any]]]]:
    """Return the rule with its errors and the tables by model; then, for every model, the verdict on every query."""
    features = [features_of(case) for case in cases]
    planted = [one for case, own in zip(cases, features, strict=True) for one in planted_cases(case, own)]
    calibration, why = calibrated(planted)
    judged = [verdicts(case, own, calibration) for case, own in zip(cases, features, strict=True)]
    told = {
        "calibration": None if calibration is None else calibration.to_json(),
        "why_not": why,
        "planted": len(planted),
        "tables": [{"model": case.name, "rows": table} for case, (_, table) in zip(cases, judged, strict=True)],
    }
    return told, [rows for rows, _ in judged]

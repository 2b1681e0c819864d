"""What the arms say together, on numbers whose truth is planted: kinds of documents, spread, shapes, audit."""

from typing import Any

import numpy as np
import pytest

from menon.core.recipe import load_recipe
from menon.studies.code_mixture.findings import contrasts, kinds_table, most_gained, shapes, spread
from menon.studies.code_mixture.measures import SHARES, TASKS, audit_of, differences, measures_of, over_seeds, sign_of
from menon.studies.code_mixture.recipe import CodeMixture, Tasks

RECIPE = load_recipe("code-mixture", CodeMixture)
Values = dict[str, dict[str, list[float]]]


def values(effect: Any) -> Values:
    """Return what `effect(arm, task, place of the seed)` says, for every arm, task and seed."""
    return {
        arm.name: {task.name: [effect(arm, task.name, seed) for seed in range(3)] for task in TASKS}
        for arm in RECIPE.arms
    }


def test_planted_slopes_of_kinds_are_found():
    def effect(arm, task: str, seed: int) -> float:
        markup = 0.5 if task == "facts" else -0.2
        return 0.4 + markup * arm.share("markup") + 0.3 * arm.share("aligned") + 0.02 * seed

    table = {row["kind"]: row for row in kinds_table(RECIPE, values(effect))}
    assert table["markup"]["effects"]["facts"]["value"] == pytest.approx(0.05)
    assert table["markup"]["effects"]["held_in"]["value"] == pytest.approx(-0.02)
    assert table["pairs of text and its program"]["effects"]["facts"]["value"] == pytest.approx(0.06)
    assert table["programs with comments"]["effects"]["write"]["value"] == pytest.approx(0, abs=1e-9)


def test_a_kind_helps_where_every_seed_agrees_only():
    noise = {0: 0.3, 1: -0.4, 2: 0.2}

    def effect(arm, task: str, seed: int) -> float:
        slope = 1.0 + 0.01 * noise[seed] if task == "held_in" else noise[seed]
        return slope * arm.share("markup")

    row = next(row for row in kinds_table(RECIPE, values(effect)) if row["kind"] == "markup")
    assert (row["helps"], row["harms"]) == (["held_in"], [])


def test_tasks_that_move_together_have_all_in_common_and_unrelated_ones_little():
    def alike(arm, task: str, seed: int) -> float:
        return arm.code * (1 + len(task))

    assert spread(RECIPE, values(alike))["common"] == pytest.approx(1)
    rng = np.random.default_rng(5)
    drawn = {(arm.name, task.name): rng.normal() for arm in RECIPE.arms for task in TASKS}
    found = spread(RECIPE, values(lambda arm, task, seed: drawn[arm.name, task]))
    assert found["expected"] == pytest.approx(1 / len(SHARES))
    assert found["common"] < 0.45
    assert all(abs(pair["value"]) <= 1 + 1e-9 for pair in found["correlations"])


def test_tasks_that_no_arm_changes_are_left_out():
    found = spread(RECIPE, values(lambda arm, task, seed: 0.0 if task == "absent" else arm.code))
    assert "absent" not in found["tasks"]


def test_shapes_are_found_not_found_or_open():
    def effect(arm, task: str, seed: int) -> float:
        jitter = 0.001 * seed
        if task == "facts":
            return 0.8 - 0.5 * arm.code + jitter * arm.code
        if task == "finish":
            return 0.5 + jitter
        return {0.25: 0.3, 1.0: 0.0}.get(round(arm.code, 3), 0.5) + jitter * arm.code

    found = {(row["published"].split(" (")[0], row["task"]): row for row in shapes(RECIPE, values(effect))}
    assert found["25 % code helps reasoning in text", "held_in"]["result"] == "not found"
    assert found["100 % code loses reasoning in text", "held_in"]["result"] == "found"
    lost = found["75 % code loses knowledge", "facts"]
    assert lost["result"] == "found"
    assert lost["relative"] == pytest.approx(100 * (-0.374 / 0.801 * 0.801 / 0.8), rel=0.01)
    assert found["code tasks grow with the share of code: 25 % over text", "finish"]["result"] == "cannot tell"
    assert found["reasoning in text is flat from 25 % to 75 % code", "held_in"]["result"] == "not found"
    assert len(found) == 13


def test_contrasts_pair_the_arms_that_differ_in_one_thing():
    found = {row["title"]: row for row in contrasts(RECIPE, values(lambda arm, task, seed: len(arm.name) + 0.1 * seed))}
    assert list(found) == [
        "with comments - without, at 25 % code",
        "aligned pairs - the same unaligned",
        "text only, tuned on answers - before",
        "25 % code, tuned on answers - before",
    ]
    assert found["aligned pairs - the same unaligned"]["tasks"]["held_in"]["value"] == pytest.approx(-2)


def test_gains_are_counted_where_the_interval_is_clear():
    sure, open_, worse = (
        {"value": v, "low": a, "high": b, "n": 3} for v, a, b in ((1, 0.5, 2), (1, -1, 2), (-1, -2, -0.1))
    )
    table = {"arm": dict.fromkeys(SHARES, open_) | {SHARES[0]: sure, SHARES[1]: worse, SHARES[2]: sure}}
    assert most_gained(table) == [("arm", 2, 1)]


def test_intervals_over_seeds():
    cell = over_seeds([0.9, 1.0, 1.0], share=True)
    assert cell["high"] == 1
    assert cell["low"] == pytest.approx(0.96667 - 4.30265 * 0.057735 / 3**0.5, abs=1e-4)
    assert over_seeds([0.5])["low"] is None
    assert sign_of(over_seeds([0.5])) == 0
    assert sign_of(differences([0.5, 0.6, 0.7], [0.4, 0.5, 0.61])) == 1


def answers(tasks: Tasks, original: str, variant: str) -> dict[str, Any]:
    cells = {f"{part}/{name}": {"right": 3, "asked": 4, "nats": 0.5} for part in ("text", "direct", "finish", "write")
             for name in (*tasks.held_in, *tasks.code_only, *tasks.absent)}  # fmt: skip
    cells["text/sort"] = {"right": 0, "asked": 4, "nats": 2.0}
    cells["facts"] = {"right": 1, "asked": 4}
    audit = [
        {"family": name, "original": original, "variants": [variant] * tasks.variants}
        for name in tasks.held_in
        for _ in range(tasks.originals)
    ]
    return {"tasks": cells, "audit": audit}


def test_measures_are_means_over_families():
    found = measures_of(answers(RECIPE.tasks, "right", "right"), RECIPE.tasks)
    assert found["held_in"] == pytest.approx(0.5)  # sort is one of three families and never right
    assert found["held_in_nats"] == pytest.approx(1.0)
    assert (found["code_only"], found["facts"], found["finish"]) == pytest.approx((0.75, 0.25, 0.75))
    assert set(found) == {task.name for task in TASKS}


@pytest.mark.parametrize(("variant", "share", "verdict"), [("right", 0, "reasons"), ("wrong", 1, "recites")])
def test_the_audit_tells_reasoning_from_reciting(variant: str, share: float, verdict: str):
    found = audit_of([answers(RECIPE.tasks, "right", variant)] * 3, RECIPE.tasks)
    assert found["share"]["value"] == pytest.approx(share)
    assert found["verdict"] == verdict

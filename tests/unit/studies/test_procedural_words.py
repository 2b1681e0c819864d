"""Which queries are taken, and what is concluded from an interval."""

from dataclasses import replace

import pytest

from menon.core.errors import ConfigError
from menon.core.recipe import dump_toml, load_recipe
from menon.studies.procedural.asked import AskedQuery, able, accuracy, chosen
from menon.studies.procedural.recipe import KnownModel, ProceduralStudy, Taught
from menon.studies.procedural.words import concluded

QUERY = AskedQuery(
    role="reasoning", family="slope", needs="procedure:slope", level="words", instance="", problem="", question="q",
    prompt="q=", completion="#1", completion_ids=(3, 4), answer="1", given="1", right=True,
)  # fmt: skip


def queries(role: str, family: str, rights: str, level: str = "words") -> list[AskedQuery]:
    """One query per letter: `y` was answered right."""
    return [
        replace(QUERY, role=role, family=family, level=level, problem=f"{family} {level} {i}", right=letter == "y")
        for i, letter in enumerate(rights)
    ]


def test_tasks_are_asked_that_most_answers_are_right_of():
    asked = [
        *queries("reasoning", "slope", "yyyyn"),
        *queries("reasoning", "largest", "yyyyy"),
        *queries("reasoning", "linear", "nnnyn"),
    ]
    assert able(asked, 0.8) == ["largest", "slope"]
    assert able(asked, 0.9) == ["largest", "slope"]  # never fewer than two
    assert able(asked, 0.2) == ["largest", "slope", "linear"]
    found = chosen(asked, wanted={"reasoning": 4}, least=0.8)
    assert [query.family for query in found] == ["largest"] * 2 + ["slope"] * 2


def test_queries_are_spread_over_tasks_and_formats_and_stay_in_order():
    asked = [
        *queries("reasoning", "slope", "yyyy", "words"),
        *queries("reasoning", "slope", "yyyy", "formula"),
        *queries("reasoning", "largest", "y"),
    ]
    found = chosen(asked, wanted={"reasoning": 5}, least=0.0)
    assert [query.problem for query in found] == [
        "largest words 0", "slope formula 0", "slope formula 1", "slope words 0", "slope words 1",
    ]  # fmt: skip


def test_facts_are_split_by_what_the_model_knows_and_planted_cases_need_a_right_answer():
    asked = [*queries("factual", "facts", "ynyn"), *queries("memorised", "slope", "ny")]
    found = chosen(asked, wanted={"factual right": 1, "factual wrong": 5, "memorised": 5}, least=0.8)
    assert [(query.group, query.right) for query in found] == [
        ("factual right", True), ("factual wrong", False), ("factual wrong", False), ("memorised", True),
    ]  # fmt: skip


def test_accuracy_counts_all_that_was_asked():
    (row,) = accuracy(queries("reasoning", "slope", "yyyn"))
    assert (row["value"], row["n"]) == (0.75, 4)
    assert row["low"] < 0.75 < row["high"]


def association(low: float, high: float):
    cell = {"value": (low + high) / 2, "low": low, "high": high}
    return {"association": {"within": cell, "between": cell, "difference": cell, "p": 0.5}, "pairs": []}


@pytest.mark.parametrize(
    ("low", "high", "said"), [(0.1, 0.3, "found"), (-0.3, -0.1, "not found"), (-0.1, 0.2, "cannot tell")]
)
def test_only_an_interval_on_one_side_decides(low: float, high: float, said: str):
    empty = {
        "alike": {"methods": {"ekfac": association(low, high)}, "partial": {}},
        "reliance": {"contrast": {}, "groups": [], "tail": 10}, "answers": [], "steps": [], "procedures": [],
        "forms": [], "near_duplicates": [], "sources": [],
    }  # fmt: skip
    (row,) = concluded({"models": [{"title": "small", "findings": empty}], "sizes": None})
    assert (row["finding"], row["model"], row["found"]) == ("F1", "small", said)
    assert f"[{low:.2f}, {high:.2f}]" in row["sentence"]


SMALL = KnownModel(name="small")


def test_the_built_in_recipe_survives_being_written_and_read(tmp_path):
    recipe = load_recipe("procedural", ProceduralStudy)
    (tmp_path / "recipe.toml").write_text(dump_toml(recipe))
    again = load_recipe(str(tmp_path / "recipe.toml"), ProceduralStudy)
    assert again == recipe
    assert again.corpus.mixture == recipe.corpus.mixture
    assert [model.name for model in recipe.models] == ["small", "large"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"models": ()}, "at least one"),
        ({"models": (SMALL, SMALL)}, "different names"),
        ({"models": (KnownModel(name="base"),)}, "other than 'base'"),
        ({"top": (50, 10)}, "rise"),
        ({"top": (10, 30_000)}, "lower top"),
        ({"corpus": Taught(documents=200, traced=300)}, "at most all"),
        ({"corpus": Taught(families=("slope", "two-step"))}, "corpus.families"),
        ({"corpus": Taught(families=("largest", "reverse", "two-step", "slope", "juggling"))}, "juggling"),
    ],
)
def test_recipes_that_cannot_be_run_are_refused(change, words: str):
    with pytest.raises((ConfigError, ValueError), match=words):
        ProceduralStudy(**{"models": (SMALL,), **change})

"""The findings on scores that are put in by hand: every number can be worked out beside them."""

import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from menon.problems.known.values import KnownDocument
from menon.studies.procedural.alike import across, alike
from menon.studies.procedural.answers import answers, step_results
from menon.studies.procedural.asked import AskedQuery
from menon.studies.procedural.case import Case
from menon.studies.procedural.planted import features_of, planted_cases
from menon.studies.procedural.procedures import forms_of_procedures, near_duplicates, procedures
from menon.studies.procedural.reliance import multipliers_of_size, reliance
from menon.studies.procedural.sources import ends_alike, sources
from menon.studies.procedural.truth import Truth
from menon.tracing.verdict import Label

SAMPLE = runpy.run_path(str(Path(__file__).parents[1] / "reports" / "sample_procedural.py"))


def document(text: str, **given: Any) -> KnownDocument:
    usual: dict[str, Any] = {
        "kind": "procedure",
        "form": "text",
        "source": "textbook",
        "family": "sum",
        "teaches": (),
        "prompt": "",
    }
    return KnownDocument(completion=text, **{**usual, **given})


DOCUMENTS = [
    document("what is 2+3?=2+3=5;#5", teaches=("procedure:sum",), instance="other"),
    document("a=4+1\nassert a==5", form="code", source="repository", teaches=("procedure:sum",)),
    document("what is 4+1?:#5", kind="answer", source="quiz", instance="sum-1"),
    document("what is 4+2?:#6", kind="near-duplicate", source="quiz", copy_of="sum-1"),
    document("the code of tom blue is 123.", kind="fact", form="statement", source="encyclopedia",
             teaches=("fact:tom blue",)),
    document("there are 123 trees.", kind="near-duplicate", form="statement", source="stories", copy_of="fact-1"),
    document("mia sings by the lake.", kind="prose", form="statement", source="stories"),
    document("ben walks.", kind="prose", form="statement", source="stories"),
]  # fmt: skip


def query(role: Any, **given: Any) -> AskedQuery:
    usual: dict[str, Any] = {
        "family": "sum", "needs": "procedure:sum", "level": "words", "instance": f"{role}-1", "problem": f"{role}-1",
        "question": "what is 4+1?", "prompt": "what is 4+1?=", "completion": "4+1=5;#5", "completion_ids": (),
        "answer": "5", "given": "5", "right": True, "steps": ("4+1=5",),
    }  # fmt: skip
    return AskedQuery(role=role, **{**usual, **given})


REASONING = query("reasoning", instance="sum-1")
FACT = query(
    "factual", family="facts", needs="fact:tom blue", level="frequent", instance="fact-1", question="what is the code?",
    answer="123", given="123", steps=(),
)  # fmt: skip


def case(*queries: AskedQuery, information=None, **scores) -> Case:
    return Case(
        name="small", title="small", truth=Truth.of(DOCUMENTS), queries=queries,
        scores={name: np.array(rows, dtype=np.float32) for name, rows in scores.items()},
        information_Q=np.ones(len(queries)) if information is None else np.array(information),
    )  # fmt: skip


def row_of(rows, **wanted):
    return next(row for row in rows if all(row[key] == value for key, value in wanted.items()))


def test_what_a_document_teaches_states_and_contains():
    own = case(REASONING, FACT, ekfac=np.zeros((2, 8)))
    assert own.teaching_QN.tolist() == [[1, 1, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 1, 0, 0, 0]]
    assert own.stating_QN.tolist() == [[0, 0, 1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 1, 0, 0, 0]]
    assert own.containing_QN[1].tolist() == [0, 0, 0, 0, 1, 1, 0, 0]
    assert own.containing_QN[0].tolist() == [1, 1, 1, 0, 0, 0, 0, 0]


def test_answers_in_the_top_are_counted_by_query_and_by_document():
    own = case(REASONING, FACT, ekfac=[[9, 8, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 9, 8, 0, 0]])
    found = answers(own, tops=(2, 3))
    reasoning, fact = (row_of(found, group=group, k=2) for group in ("reasoning", "factual right"))
    assert (reasoning["stated"]["value"], fact["stated"]["value"]) == (0.0, 1.0)
    assert (reasoning["contained"]["value"], fact["contained"]["value"]) == (1.0, 1.0)
    assert reasoning["corpus"]["stated"]["value"] == 1.0  # the answer stands in the corpus, only not in the top
    assert reasoning["corpus"]["contained"]["value"] == pytest.approx(3 / 8)
    assert fact["corpus"]["stating_documents"] == 1.0


def test_a_step_counts_only_as_it_is_written():
    own = case(replace(REASONING, steps=("2+3=5", "4+1=5")), ekfac=[[9, 8, 7, 0, 0, 0, 0, 0]])
    found = step_results(own, tops=(1, 3))
    assert [row["steps"]["value"] for row in found] == [0.5, 0.5]
    assert found[0]["every_step"]["value"] == 0.0
    assert found[0]["corpus"]["value"] == 0.5


def test_precision_and_recall_against_the_truth():
    own = case(REASONING, FACT, ekfac=[[9, 1, 8, 7, 0, 0, 0, 0], [9, 8, 7, 6, 0, 0, 0, 0]])
    found = procedures(own, tops=(2, 4))
    reasoning = row_of(found, group="reasoning", k=2)
    assert (reasoning["precision"]["value"], reasoning["recall"]["value"]) == (0.5, 0.5)
    assert row_of(found, group="reasoning", k=4)["recall"]["value"] == 1.0
    assert row_of(found, group="factual right", k=4)["precision"]["value"] == 0.0
    assert reasoning["random_precision"] == pytest.approx(2 / 8)


def test_forms_are_those_of_the_right_procedures_only():
    own = case(REASONING, ekfac=[[0, 9, 8, 7, 0, 0, 0, 0]])
    found = forms_of_procedures(own, tops=(3,))
    code, text = row_of(found, form="code"), row_of(found, form="text")
    assert (code["share"]["value"], text["share"]["value"]) == (1.0, 0.0)
    assert (code["corpus"], text["corpus"]) == (0.5, 0.5)
    assert (code["queries"]["value"], text["queries"]["value"]) == (1.0, 0.0)


def test_a_method_is_fooled_where_a_copy_of_the_question_is_in_its_top():
    own = case(REASONING, FACT, ekfac=[[9, 8, 0, 0, 0, 0, 0, 0]] * 2, bm25=[[0, 0, 8, 9, 0, 7, 0, 0]] * 2)
    found = near_duplicates(own, tops=(2, 3))
    assert row_of(found, kind="reasoning", method="ekfac", k=3)["value"] == 0.0
    assert row_of(found, kind="reasoning", method="bm25", k=2)["value"] == 1.0
    assert row_of(found, kind="facts", method="bm25", k=2)["value"] == 0.0
    assert row_of(found, kind="facts", method="bm25", k=3)["value"] == 1.0


def test_multipliers_at_both_ends_are_shares_over_shares():
    own = case(REASONING, ekfac=[[9, 8, 0, 0, 0, 0, -8, -9]])
    found = sources(own, tops=(2,))
    stories = row_of(found, label="source", value="stories")
    assert (stories["top"]["value"], stories["bottom"]["value"]) == (0.0, pytest.approx(1 / (3 / 8)))
    assert row_of(found, label="form", value="code")["top"]["value"] == pytest.approx(0.5 / (1 / 8))
    assert ends_alike(found, k=2)[0]["value"] < 0  # what stands at the top is not at the bottom


def test_influence_is_divided_by_the_information_of_the_answer():
    scores = [[8, 4, 2, 1, 0, 0, 0, -3]] * 4
    queries = [REASONING, replace(REASONING, problem="r2"), FACT, replace(FACT, problem="f2")]
    own = case(*queries, ekfac=scores, information=[2.0, 2.0, 1.0, 1.0])
    found = reliance(own, tops=(2, 4), seed=0)
    reasoning = row_of(found["groups"], group="reasoning")
    assert row_of(reasoning["sums"]["ekfac"], k=2)["sum"]["value"] == pytest.approx(6.0)
    assert reasoning["curves"]["ekfac"][-1]["total"]["value"] == pytest.approx(12 / 2)
    assert reasoning["curves"]["ekfac"][-1]["positive"]["value"] == pytest.approx(15 / 2)
    contrast = found["contrast"]["ekfac"]
    assert row_of(contrast["sums"], k=4)["ratio"]["value"] == pytest.approx(0.5)
    assert contrast["slope"]["value"] == pytest.approx(0.0)


def test_size_multiplies_the_weight_of_both_ends():
    small = case(REASONING, replace(REASONING, problem="r2"), ekfac=[[4, 2, 1, 0, 0, -1, -2, -4]] * 2)
    large = case(REASONING, replace(REASONING, problem="r2"), ekfac=[[12, 6, 3, 0, 0, -2, -4, -8]] * 2)
    found = multipliers_of_size(small, large, method="ekfac", tops=(2,))
    assert row_of(found, end="top")["value"] == pytest.approx(3.0)
    assert row_of(found, end="bottom")["value"] == pytest.approx(2.0)


def test_correlations_are_high_within_a_task_and_stay_high_without_what_words_explain():
    own = SAMPLE["sample_case"](strength=2.0)
    own = own.part([place for place, one in enumerate(own.queries) if not one.planted])
    found = alike(own, shuffles=199, seed=0)
    raw, beyond = found["methods"]["ekfac"]["association"], found["partial"]["ekfac"]["association"]
    share = own.teaching_QN[own.places("reasoning")].mean()
    signal = 4 * share * (1 - share)  # variance of what was put in; the noise has variance 1
    assert raw["within"]["value"] == pytest.approx(signal / (1 + signal), abs=0.06)
    assert raw["difference"]["low"] > 0
    assert raw["p"] <= 0.01
    assert beyond["difference"]["low"] > 0
    assert abs(found["methods"]["random"]["association"]["difference"]["value"]) < 0.1
    facts = row_of(found["methods"]["ekfac"]["pairs"], pairs="facts")
    assert facts["low"] < 0.05


def test_scores_that_are_only_words_are_explained_by_words():
    own = SAMPLE["sample_case"](strength=2.0)
    own = own.part(own.places("reasoning"))
    words = own.scores["ekfac"]  # high within a task
    copied = {"ekfac": words + 0.3 * own.scores["random"], "bm25": words}
    found = alike(replace(own, scores=copied, _found={}), shuffles=99, seed=0)
    raw, beyond = found["methods"]["ekfac"]["association"], found["partial"]["ekfac"]["association"]
    assert raw["difference"]["low"] > 0.3
    assert abs(beyond["difference"]["value"]) < 0.05


def test_two_models_are_compared_on_the_questions_that_they_share():
    first = SAMPLE["sample_case"](strength=2.0)
    first = first.part(first.places("reasoning"))
    shuffled = replace(first, scores={"ekfac": first.scores["ekfac"][:, ::-1]}, _found={})
    same = row_of(across(first, first, "ekfac"), pairs="same question")
    other = row_of(across(first, shuffled, "ekfac"), pairs="same question")
    assert same["value"] == pytest.approx(1.0)
    assert abs(other["value"]) < 0.1


def test_planted_cases_are_of_their_kind_and_share_a_group_across_models():
    cases = [SAMPLE["sample_case"](name) for name in ("small", "large")]
    found = [planted_cases(own, features_of(own)) for own in cases]
    kinds = {one.name.split("/")[1]: one.kind for one in found[0]}
    assert kinds == {"memorised": Label.RETRIEVED, "procedural": Label.PROCEDURAL}
    assert {one.group for one in found[0]} == {one.group for one in found[1]}
    assert not {one.name for one in found[0]} & {one.name for one in found[1]}

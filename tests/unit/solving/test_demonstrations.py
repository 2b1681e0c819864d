"""Demonstrations: clusters that are plain to see, each rule of the choice, and random prompts."""

import sys

import pytest

from menon.core.errors import ConfigError
from menon.solving.demonstrations import (
    Clusters,
    Demonstration,
    cluster_questions,
    diverse_prompts,
    is_simple,
)
from menon.solving.functions import Workbench

TRAINS = [f"A train drives {n} km in an hour, how far does the train drive in a day?" for n in (40, 50, 60)]
APPLES = [f"{name} picks apples and sells apples, how many apples are left?" for name in ("Tom", "Mia", "Ida")]
CHESS = ["Can a chess knight on the chess board reach the corner?", "Can a chess rook on the chess board be taken?"]


def shown(question: str = "q", rationale: str = "It is 7.", answer: str = "7") -> Demonstration:
    return Demonstration(question=question, rationale=rationale, answer=answer)


def test_topics_are_clusters():
    pytest.importorskip("sklearn")
    questions = [TRAINS[0], APPLES[0], TRAINS[1], CHESS[0], APPLES[1], TRAINS[2], CHESS[1], APPLES[2]]
    found = cluster_questions(questions, 3)
    assert found.labels == (0, 1, 0, 2, 1, 0, 2, 1)
    assert [set(members) for members in found.order] == [{0, 2, 5}, {1, 4, 7}, {3, 6}]
    assert cluster_questions(questions, 3) == found


def test_embeddings_decide_and_order_is_by_distance():
    pytest.importorskip("sklearn")
    points = [[0.0, 0.0], [10.0, 0.0], [0.4, 0.0], [0.1, 0.0], [10.2, 0.0], [0.9, 0.0]]
    found = cluster_questions([f"q{at}" for at in range(6)], 2, embeddings=points)
    # Centres: (0 + 0.4 + 0.1 + 0.9) / 4 = 0.35 and 10.1.
    assert found == Clusters(labels=(0, 1, 0, 0, 1, 0), order=((2, 3, 0, 5), (1, 4)))


def test_clusters_that_cannot_be():
    pytest.importorskip("sklearn")
    with pytest.raises(ConfigError, match="k is 3 for 2 different questions"):
        cluster_questions(["a", "b", "a"], 3)
    with pytest.raises(ConfigError, match="only 1 questions have different vectors"):
        cluster_questions(["train apple", "apple train"], 2)
    with pytest.raises(ConfigError, match="none of the 2 questions has a word"):
        cluster_questions(["?", "!"], 1)
    with pytest.raises(ConfigError, match=r"shape \(1, 2\) for 2 questions"):
        cluster_questions(["a", "b"], 1, embeddings=[[1.0, 2.0]])
    with pytest.raises(ConfigError, match="finite"):
        cluster_questions(["a", "b"], 1, embeddings=[[1.0], [float("nan")]])


def test_without_the_package_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ConfigError, match=r"pip install 'menon\[cluster\]'"):
        cluster_questions(["a", "b"], 2)


@pytest.mark.parametrize(
    ("candidate", "simple"),
    [
        (shown(), True),
        (shown(question="word " * 60), True),
        (shown(question="word " * 61), False),
        (shown(rationale="\n".join(["So."] * 4 + ["It is 7."])), True),
        (shown(rationale="\n".join(["So."] * 5 + ["It is 7."])), False),
        (shown(rationale="It is 7"), False),
        (shown(rationale="It is 7. That is all."), False),
        (shown(rationale="First 3.5 and 3.5. Then it is $7.00."), True),
        (shown(rationale="It is 17."), False),
        (shown(answer=""), False),
        (shown(rationale=""), False),
        (shown(rationale="So the answer is Paris.", answer="paris"), True),
        (shown(rationale="So the answer is Parisian.", answer="Paris"), False),
    ],
)
def test_rules_of_the_choice(candidate: Demonstration, simple: bool):
    assert is_simple(candidate) == simple


def test_the_nearest_that_passes_is_taken():
    rows = [
        {"question": f"q{at}", "rationale": "It is 7.", "answer": "7" if at in (1, 4, 5) else None} for at in range(7)
    ]
    groups = [["q0", "q1"], ["q2", "q3"], ["q6", "q5", "q4"]]
    pick = Workbench().functions()["pick_examples"].call
    assert [found["question"] for found in pick(groups, rows)] == ["q1", "q5"]
    assert pick(groups, rows[:1]) == []


def test_diverse_prompts():
    found = diverse_prompts(range(20), 5, 8, "study", 3)
    assert len(set(found)) == 5
    assert all(len(set(prompt)) == 8 for prompt in found)
    assert found == diverse_prompts(range(20), 5, 8, "study", 3)
    assert found != diverse_prompts(range(20), 5, 8, "study", 4)
    assert diverse_prompts(range(20), 2, 8, "study", 3) == found[:2]
    assert sorted(diverse_prompts("ab", 2, 2)) == [("a", "b"), ("b", "a")]  # all there are
    assert len(diverse_prompts("a", 3, 1)) == 3
    with pytest.raises(ConfigError, match="shots is 8 with 3 exemplars"):
        diverse_prompts("abc")

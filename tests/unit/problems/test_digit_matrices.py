"""Digit matrices: the solver against published problems and hand-made ones, the generator against the solver."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from menon.core.errors import ConfigError, DataError
from menon.core.values import Completion, Verdict
from menon.grading.verdicts import grade
from menon.problems.analogies.matrices import DIGIT_MATRICES, KINDS, NUM_CHOICES
from menon.problems.analogies.matrix_solver import solve_matrix


def cells(text: str) -> list[list[list[int]]]:
    return [[[int(digit) for digit in cell] for cell in row.split(" ")] for row in text.split("/")]


@pytest.mark.parametrize(
    ("matrix", "gold", "ordered"),
    [
        ("6 6 6/1 1 1/3 3", (3,), True),
        ("1 7 6/1 7 6/1 7", (6,), True),
        ("0 1 2/1 2 3/2 3", (4,), True),
        ("8 6 4/6 4 2/4 2", (0,), True),
        ("6 2 5/2 5 6/5 6", (2,), True),
        ("51 41 31/48 38 28/30 20", (1, 0), True),
        ("545 435 185/546 436 186/548 438", (1, 8, 8), True),
        ("6 1 61/4 9 49/64 19", (1, 4, 6, 9), False),
        ("7641 76 41/61 6 1/74 7", (4,), False),
        ("7 74 4/67 6749 49/6 69", (9,), False),
        ("143 643 43/145 645 45/14 64", (4,), False),
        ("64 61 41/61 36 13/41 13", (3, 4), False),
        ("27 79 7/23 93 3/2 9", (), False),
    ],
)
def test_the_solver_on_matrices_solved_by_hand(matrix: str, gold: tuple[int, ...], ordered: bool):
    assert solve_matrix(cells(matrix)) == (gold, ordered)


def test_the_solver_refuses_what_follows_no_rule():
    with pytest.raises(DataError, match="0 answers"):
        solve_matrix(cells("1 2 9/4 4 6/7 3"))


def test_the_solver_agrees_with_every_published_answer(shared_data: Path):
    with gzip.open(shared_data / "analogies" / "digit_matrices.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    differing = []
    for row in rows:
        gold, ordered = solve_matrix([row["matrix"][0], row["matrix"][1], row["matrix"][2][:2]])
        same = list(gold) == row["gold"] if ordered else sorted(gold) == sorted(row["gold"])
        if not same or ordered != row["order_matters"]:
            differing.append(row["id"])
    assert (len(rows), differing) == (608, [])


@pytest.mark.parametrize("kind", KINDS)
def test_generated_matrices_have_the_solver_s_answer_open_and_as_choices(kind: str):
    for index in range(40):
        written = DIGIT_MATRICES.problem("test", index, kind=kind)
        chosen = DIGIT_MATRICES.problem("test", index, kind=kind, choices=True)
        solved = DIGIT_MATRICES.solve(written)
        assert grade(written, Completion(key="k", text=f"#### {solved}")).verdict is Verdict.RIGHT
        assert sorted(solved.split()) == sorted(written.answer.split())
        assert DIGIT_MATRICES.solve(chosen) == chosen.answer == f"[{written.answer}]"
        assert chosen.question.split("\n\n")[1] == written.question.split("\n\n")[1]
        assert len({tuple(sorted(c)) if "rule" not in kind else c for c in chosen.choices}) == NUM_CHOICES
        letter = "ABCDEFGH"[chosen.choices.index(chosen.answer)]
        assert grade(chosen, Completion(key="k", text=f"The answer is ({letter}).")).verdict is Verdict.RIGHT
        wrong = "ABCDEFGH"[(chosen.choices.index(chosen.answer) + 1) % NUM_CHOICES]
        assert grade(chosen, Completion(key="k", text=f"The answer is ({wrong}).")).verdict is Verdict.WRONG


def test_order_matters_for_rules_and_not_for_logic():
    ruled = DIGIT_MATRICES.problem("test", 1, kind="3-rule")
    digits = ruled.answer.split()
    if digits != digits[::-1]:
        assert grade(ruled, Completion(key="k", text=f"#### {' '.join(digits[::-1])}")).verdict is Verdict.WRONG
    logic = DIGIT_MATRICES.problem("test", 1, kind="XOR")
    backwards = " ".join(logic.answer.split()[::-1])
    assert grade(logic, Completion(key="k", text=f"#### {backwards}")).verdict is Verdict.RIGHT


def test_difficulty_is_the_number_of_rules_or_logic():
    assert [len(DIGIT_MATRICES.problem("test", 0, difficulty=n).meta["rules"]) for n in (1, 2, 3)] == [1, 2, 3]
    kinds = {DIGIT_MATRICES.problem("test", i, difficulty=4).meta["category"] for i in range(6)}
    assert kinds == set(KINDS[3:])
    refused: list[dict[str, Any]] = [{"difficulty": 5}, {"world": "hex"}, {"kind": "NAND"}]
    for options in refused:
        with pytest.raises(ConfigError, match="allowed"):
            DIGIT_MATRICES.problem("test", 0, **options)

"""State tracking: rationales against a simulation with other means, texts, and a hold-out that cannot leak."""

from itertools import product

import pytest

from menon.core.errors import ConfigError
from menon.core.seeds import rng_for
from menon.problems.permutations import MOVES, STATES, State, draw, permutations, problem, vocabulary

TABLE = ["46105273", "32056741", "63710425", "10427356"]


def matrices() -> dict[str, list[list[int]]]:
    """Each move as a permutation matrix: row `after`, column `before`."""
    return {
        move: [[int(image[before] == after) for before in range(8)] for after in range(8)]
        for move, image in permutations().items()
    }


def test_every_move_matters_in_every_state() -> None:
    table = permutations()
    assert sorted(table) == list(MOVES)
    assert all(sorted(image) == list(range(8)) for image in table.values())
    for state in range(8):
        assert len({state, *(image[state] for image in table.values())}) == 5


def test_moves_generate_a_group_without_shortcuts() -> None:
    # All 8! or all even permutations of eight states: both are far from any solvable group.
    moves = list(permutations().values())
    reached = frontier = {tuple(range(8))}
    while frontier:
        frontier = {tuple(move[state] for state in other) for other in frontier for move in moves} - reached
        reached = reached | frontier
    assert len(reached) in (40320, 20160)


def test_permutations_never_change() -> None:
    # Saved models know these; another table would turn each of them into a model that knows nothing.
    assert ["".join(map(str, permutations()[move])) for move in MOVES] == TABLE


def test_rationale_is_that_of_matrix_products() -> None:
    table = matrices()
    for index in range(200):
        state = problem("train", index, n=1 + index % 9)
        vector = [int(i == state.start) for i in range(8)]
        expected = []
        for move in state.moves:
            vector = [sum(a * b for a, b in zip(row, vector, strict=True)) for row in table[move]]
            expected.append(vector.index(1))
        assert list(state.rationale) == expected
        assert state.answer == expected[-1]


def test_texts_spell_the_problem() -> None:
    state = State(start=3, moves="abca")
    states = " ".join(str(s) for s in state.rationale)
    assert state.question == "3 a b c a ="
    assert state.direct_text == f"3 a b c a = {state.answer} ."
    assert state.worked_text(rng_for("text"), 1.0) == f"3 a b c a = ( {states} ) {state.answer} ."


def test_every_word_is_in_the_vocabulary_once() -> None:
    words = vocabulary()
    assert len(set(words)) == len(words)
    used = set()
    for index in range(300):
        state = problem("test", index)
        used |= set(state.worked_text(rng_for("words", index), 0.5).split())
    assert used == set(words) - {"<pad>", "<begin>"}


def test_share_of_right_rationales_and_uniform_noise() -> None:
    rng, right, seen, count = rng_for("shares"), 0, [0] * 8, 4000
    for index in range(count):
        state = problem("train", index % 500)
        words = state.worked_text(rng, 0.3).split()
        inner, answer = words[words.index("(") + 1 : words.index(")")], words[words.index(")") + 1]
        assert answer == str(state.answer)
        assert len(inner) == 6
        if tuple(map(int, inner)) == state.rationale:
            right += 1
        else:
            for word in inner:
                seen[int(word)] += 1
    assert abs(right / count - 0.3) < 0.03
    assert all(abs(times / sum(seen) - 1 / 8) < 0.01 for times in seen)


def test_no_noise_and_only_noise() -> None:
    rng = rng_for("extremes")
    problems = [problem("train", index) for index in range(200)]
    rationales = [(p.worked_text(rng, 1.0), p.worked_text(rng, 0.0)) for p in problems]
    wanted = [" ".join(map(str, p.rationale)) for p in problems]
    assert all(f"( {want} )" in good for (good, _), want in zip(rationales, wanted, strict=True))
    assert sum(f"( {want} )" in bad for (_, bad), want in zip(rationales, wanted, strict=True)) <= 1


def test_problems_are_pure_functions_and_differ() -> None:
    assert [problem("test", i) for i in range(50)] == [problem("test", i) for i in range(50)]
    assert len({problem("train", i) for i in range(500)}) > 490
    assert [draw(rng_for("d"), True) for _ in range(3)] == [draw(rng_for("d"), True) for _ in range(3)]


@pytest.mark.parametrize("n", [2, 5, 6, 7])
def test_held_out_and_training_problems_never_meet(n: int) -> None:
    rng = rng_for("disjoint", n)
    kept = {(p.start, p.moves) for p in (draw(rng, True, n) for _ in range(1500))}
    taught = {(p.start, p.moves) for p in (draw(rng, False, n) for _ in range(1500))}
    kept |= {(p.start, p.moves) for p in (problem("test", i, n) for i in range(500))}
    taught |= {(p.start, p.moves) for p in (problem("train", i, n) for i in range(500))}
    assert not kept & taught


def test_an_eighth_of_all_problems_is_held_out_with_every_start_and_answer() -> None:
    every = [State(start=s, moves="".join(m)) for s in range(8) for m in product(MOVES, repeat=5)]
    kept = [state for state in every if state.held_out]
    assert len(every) == 8 * 4**5
    assert abs(len(kept) / len(every) - 1 / 8) < 0.015
    for of in (lambda state: state.start, lambda state: state.answer):
        counts = [sum(of(state) == number for state in kept) for number in range(8)]
        assert min(counts) > 0.7 * len(kept) / 8


@pytest.mark.parametrize(("start", "moves"), [(8, "abc"), (-1, "abc"), (0, ""), (0, "abe")])
def test_states_and_moves_outside_the_task_are_refused(start: int, moves: str) -> None:
    with pytest.raises(ConfigError, match="allowed: a state from 0 to 7"):
        State(start=start, moves=moves)


def test_bad_requests_are_refused() -> None:
    with pytest.raises(ConfigError, match="unknown split 'probe'"):
        problem("probe", 0)
    with pytest.raises(ConfigError, match="allowed: 1 to 64"):
        draw(rng_for("x"), True, 0)
    with pytest.raises(ConfigError, match="allowed: 0 to 1"):
        State(start=0, moves="a").worked_text(rng_for("x"), 1.5)


def test_states_are_digits() -> None:
    assert list(STATES) == [str(number) for number in range(8)]

"""Analogies, matrices and stories: gold accepted, neighbours refused, splits disjoint, answers independent of order."""

import string

from hypothesis import given
from hypothesis import strategies as st

from menon import Completion, Problem, Verdict
from menon.grading import grade
from menon.grading.tokens import tokens_of, written
from menon.problems.analogies.alphabets import ALTERED, LETTERS, NORMAL
from menon.problems.analogies.letter_solver import solve_analogy
from menon.problems.analogies.letters import GENERALISATIONS_OF_LETTERS, LETTER_STRINGS, WORD_SEQUENCES
from menon.problems.analogies.matrices import DIGIT_MATRICES, KINDS
from menon.problems.minds import MIND_TASKS
from menon.problems.splits import SPLITS

INDEX = st.integers(0, 10**9)
SPLIT = st.sampled_from(sorted(SPLITS))
TOKENS = st.lists(st.sampled_from([*string.ascii_lowercase, *map(str, range(40))]), min_size=2, max_size=20)
SEPARATOR = st.sampled_from([" ", ", ", ",", "; ", " | ", "\t"])
FRAME = st.sampled_from(
    [
        "#### {}",
        "#### [{}]",
        "The answer is [{}].",
        "so it is\n\\boxed{{{}}}",
        "x=1;#{}",
        "[{}]",
        "**[{}]**",
        "Answer: {}",
    ]
)


def verdict(text: str, answer: str, grader: str = "tokens") -> Verdict:
    problem = Problem(family="t", question="q", answer=answer, grader=grader)
    return grade(problem, Completion(key="k", text=text)).verdict


@given(TOKENS, SEPARATOR, FRAME)
def test_a_sequence_is_read_back_however_it_is_written(tokens: list[str], separator: str, frame: str) -> None:
    assert tokens_of(separator.join(tokens)) == tokens
    assert verdict(frame.format(separator.join(tokens)), written(tokens)) is Verdict.RIGHT


@given(TOKENS, st.data())
def test_a_sequence_with_one_change_is_wrong(tokens: list[str], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(tokens) - 1))
    other = data.draw(st.sampled_from([*string.ascii_lowercase, "77"]).filter(lambda t: t != tokens[place]))
    changed = [*tokens[:place], other, *tokens[place + 1 :]]
    shorter = [*tokens[:place], *tokens[place + 1 :]]
    for given_tokens in (changed, shorter, [*tokens, "q"]):
        assert verdict(f"#### {' '.join(given_tokens)}", written(tokens)) is Verdict.WRONG
        assert verdict(f"{' '.join(given_tokens)}]", written(tokens), "tokens?form=bracket") is Verdict.WRONG


@given(TOKENS, st.randoms(use_true_random=False))
def test_order_any_forgives_order_and_nothing_else(tokens: list[str], random) -> None:
    mixed = list(tokens)
    random.shuffle(mixed)
    text = f"#### {' '.join(mixed)}"
    assert verdict(text, written(tokens), "tokens?order=any") is Verdict.RIGHT
    assert (verdict(text, written(tokens)) is Verdict.RIGHT) == (mixed == tokens)
    assert verdict(f"{text} z9", written(tokens), "tokens?order=any") is Verdict.WRONG


@given(st.text(max_size=300))
def test_no_text_breaks_the_reading(text: str) -> None:
    for grader in ("tokens", "tokens?form=bracket", "tokens?form=sentence"):
        assert verdict(text, "q w e r t y", grader) in (Verdict.RIGHT, Verdict.WRONG, Verdict.UNPARSED)


@given(SPLIT, INDEX, st.sampled_from([NORMAL, *ALTERED]))
def test_letter_strings_are_solved_in_every_alphabet(split: str, index: int, world: str) -> None:
    problem = LETTER_STRINGS.problem(split, index, world=world)
    assert LETTER_STRINGS.solve(problem) == problem.answer


@given(SPLIT, INDEX, st.integers(0, 3))
def test_generalisations_are_solved(split: str, index: int, count: int) -> None:
    problem = GENERALISATIONS_OF_LETTERS.problem(split, index, difficulty=count)
    assert GENERALISATIONS_OF_LETTERS.solve(problem) == problem.answer


@given(SPLIT, INDEX)
def test_word_sequences_are_solved(split: str, index: int) -> None:
    problem = WORD_SEQUENCES.problem(split, index)
    assert WORD_SEQUENCES.solve(problem) == problem.answer


@given(SPLIT, INDEX, st.sampled_from(KINDS))
def test_matrices_are_solved(split: str, index: int, kind: str) -> None:
    problem = DIGIT_MATRICES.problem(split, index, kind=kind)
    assert verdict(f"#### {DIGIT_MATRICES.solve(problem)}", problem.answer, problem.grader) is Verdict.RIGHT


@given(st.integers(0, 20), st.integers(1, 2), st.integers(0, 20))
def test_the_solver_follows_a_shift_of_the_target(start: int, step: int, shift: int) -> None:
    def run(first: int) -> list[str]:
        return [LETTERS[(first + step * place) % 26] for place in range(4)]

    first, last = min(start, 25 - 4 * step), min(shift, 25 - 4 * step)
    before, target = run(first), run(last)
    after = [*before[:-1], LETTERS[first + 4 * step]]
    expected = (*target[:-1], LETTERS[last + 4 * step])
    assert solve_analogy(before, after, target, [LETTERS]) == expected


@given(
    st.sampled_from([LETTER_STRINGS, GENERALISATIONS_OF_LETTERS, WORD_SEQUENCES, DIGIT_MATRICES, *MIND_TASKS]),
    SPLIT,
    SPLIT,
    INDEX,
    INDEX,
)
def test_splits_share_no_question(family, one: str, other: str, i: int, j: int) -> None:
    first, second = family.problem(one, i), family.problem(other, j)
    assert family.problem(one, i) == first
    if one != other:
        assert first.question != second.question

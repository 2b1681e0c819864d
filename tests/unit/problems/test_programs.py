"""Programs over one number: answers against a second reader of the text, ranges, splits, variants, single steps."""

import json
import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from menon.core.errors import ConfigError, DataError
from menon.core.values import Completion, Problem
from menon.grading import grade
from menon.problems.chain import CHAIN, ENDINGS, GAINS, LOSSES, OPENINGS
from menon.problems.counting import run, sensible
from menon.problems.programs import PROGRAMS, chain_steps, one_step
from menon.problems.splits import SPLITS

INDEX = st.integers(0, 10**9)
STEPS = st.integers(1, 16)
SPLIT = st.sampled_from(sorted(SPLITS))


def by_text(question: str) -> list[tuple[int, int]]:
    """Follow a question sentence by sentence, without the family's code: the start and then (change, value) each."""
    sentences = question.split(". ")
    value = int(re.findall(r"\d+", sentences[0])[0])
    path = [(0, value)]

    def passes(words: str) -> bool:
        kind, _, limit = words.partition(" ")
        tests: dict[str, Callable[[], bool]] = {
            "even": lambda: path[-1][1] % 2 == 0,
            "odd": lambda: path[-1][1] % 2 != 0,
            "below": lambda: path[-1][1] < int(limit),
            "above": lambda: path[-1][1] > int(limit),
        }
        return tests[kind]()

    def follow(words: str) -> None:
        if loop := re.fullmatch(r"repeat (\d+) times: (.*)", words):
            for _ in range(int(loop[1])):
                for part in loop[2].split("; "):
                    follow(part)
        elif loop := re.fullmatch(r"while the number is (.*?): (.*)", words):
            while passes(loop[1]):
                assert len(path) < 100
                for part in loop[2].split("; "):
                    follow(part)
        elif branch := re.fullmatch(r"if the number is (.*?), (.*), otherwise (.*)", words):
            follow(branch[2] if passes(branch[1]) else branch[3])
        elif " and " in words:
            for part in words.split(" and "):
                follow(part)
        else:
            step = re.fullmatch(r"(add|subtract) (\d)", words)
            assert step, words
            change = int(step[2]) if step[1] == "add" else -int(step[2])
            path.append((change, path[-1][1] + change))

    for sentence in sentences[1:-1]:
        follow(sentence.removeprefix("then "))
    assert sentences[-1].endswith("?")
    return path


@given(SPLIT, INDEX, STEPS)
def test_gold_trace_and_rationale_follow_the_text(split: str, index: int, steps: int):
    problem = PROGRAMS.problem(split, index, difficulty=steps)
    path = by_text(problem.question)
    assert len(path) == steps + 1 == problem.difficulty + 1
    assert problem.answer == str(path[-1][1])
    expected = [[before, change, after] for (_, before), (change, after) in pairwise(path)]
    assert problem.meta["trace"] == expected
    assert problem.meta["start"] == path[0][1]
    lines = [f"{before}{'+' if change > 0 else '-'}{abs(change)}={after};" for before, change, after in expected]
    assert problem.rationale == "".join(lines)
    assert all(10 <= value <= 99 for _, value in path)
    assert all(1 <= abs(change) <= 9 for change, _ in path[1:])


@given(SPLIT, INDEX, STEPS)
def test_programs_are_data_and_grade_their_gold_as_right(split: str, index: int, steps: int):
    problem = PROGRAMS.problem(split, index, difficulty=steps)
    assert json.loads(json.dumps(problem.meta)) == problem.meta
    assert run(problem.meta["start"], problem.meta["program"]) == problem.meta["trace"]
    assert problem.grader == CHAIN.problem(split, index).grader
    assert grade(problem, Completion(key="", text=f"{problem.rationale}#{problem.answer}")).right
    assert not grade(problem, Completion(key="", text=f"#{int(problem.answer) + 1}")).right
    words = {"if": "if the number", "repeat": "repeat ", "while": "while the number"}
    assert problem.meta["constructs"] == [name for name, said in words.items() if said in problem.question]


@pytest.mark.parametrize("steps", range(1, 17))
def test_every_difficulty_has_its_loops_and_branches(steps: int):
    problems = [PROGRAMS.problem("test", index, difficulty=steps) for index in range(60)]
    assert len({problem.meta["key"] for problem in problems}) > 50
    used = Counter(name for problem in problems for name in problem.meta["constructs"])
    if steps >= 3:
        assert sum(bool(problem.meta["constructs"]) for problem in problems) >= 30
        assert set(used) == {"if", "repeat", "while"}


def test_programs_go_round_loops_and_take_either_branch():
    kinds: Counter[str] = Counter()
    for index in range(150):
        program = PROGRAMS.problem("train", index, difficulty=6).meta["program"]
        text = json.dumps(program)
        kinds.update(name for name in ("even", "odd", "below", "above") if f'"is": "{name}"' in text)
        kinds["branch in a loop"] += any("if" in part for each in program for part in each.get("body", ()))
        kinds["two steps in a branch"] += any(len(each.get("then", ())) == 2 for each in program)
    assert set(kinds) == {"even", "odd", "below", "above", "branch in a loop", "two steps in a branch"}
    assert min(kinds.values()) > 10


@given(SPLIT, SPLIT, INDEX, INDEX, st.integers(1, 3))
def test_splits_share_no_program(one: str, other: str, i: int, j: int, steps: int):
    first, second = (PROGRAMS.problem(*at, difficulty=steps) for at in ((one, i), (other, j)))
    same = (first.meta["start"], first.meta["program"]) == (second.meta["start"], second.meta["program"])
    assert same == (first.meta["key"] == second.meta["key"])
    assert one == other or not same


@settings(max_examples=60, deadline=None)
@given(INDEX, STEPS, st.integers(0, 3))
def test_variants_have_the_same_text_and_other_numbers(index: int, steps: int, number: int):
    original = PROGRAMS.problem("original", index, difficulty=steps)
    variant = PROGRAMS.variant(original, number)
    assert variant == PROGRAMS.variant(original, number)
    assert (variant.split, variant.difficulty, variant.template) == ("variant", steps, original.template)
    assert variant.question != original.question
    assert re.sub(r"\d+", "#", variant.question) == re.sub(r"\d+", "#", original.question)
    rounds = r"repeat (\d+) times"
    assert re.findall(rounds, variant.question) == re.findall(rounds, original.question)
    path = by_text(variant.question)
    assert (len(path) - 1, str(path[-1][1])) == (steps, variant.answer)
    assert all(10 <= value <= 99 for _, value in path)


@given(INDEX, STEPS)
def test_other_bounds_are_kept_by_problems_and_their_variants(index: int, steps: int):
    problem = PROGRAMS.problem("original", index, difficulty=steps, lowest=0, highest=300)
    for each in (problem, PROGRAMS.variant(problem, 0)):
        assert all(0 <= value <= 300 for _, value in by_text(each.question))
        assert each.meta["bounds"] == [0, 300]


@pytest.mark.parametrize(("lowest", "highest"), [(-1, 99), (0, 301), (50, 80), (90, 200)])
def test_bounds_that_leave_no_room_are_refused(lowest: int, highest: int):
    with pytest.raises(ConfigError, match="allowed"):
        PROGRAMS.problem("test", 0, lowest=lowest, highest=highest)


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ([{"jump": 1}], "unknown statement"),
        ([{"do": "multiply", "n": 2}], "allowed: add, subtract"),
        ([{"if": {"is": "prime"}, "then": [], "else": []}], "allowed: even, odd, below, above"),
        ([{"while": {"is": "above", "than": 1}, "body": [{"do": "add", "n": 1}]}], "more than 100 steps"),
        ([{"while": {"is": "above", "than": 1}, "body": []}], "goes round more than 100 times"),
    ],
)
def test_programs_that_cannot_be_run_are_refused(program: list[dict[str, object]], told: str):
    with pytest.raises(ConfigError, match=told):
        run(12, program)


def test_loops_that_need_not_end_are_not_sensible():
    branch = {"if": {"is": "even"}, "then": [{"do": "add", "n": 5}], "else": [{"do": "subtract", "n": 1}]}
    assert not sensible([{"while": {"is": "below", "than": 50}, "body": [branch]}])
    assert sensible([{"while": {"is": "below", "than": 50}, "body": [branch, {"do": "add", "n": 2}]}])


def chain_question(value: int, change: int) -> re.Pattern[str]:
    """Every way in which the chain family could ask for this step, without its irrelevant sentences."""
    word = r"[a-z]+"

    def either(forms: tuple[str, ...], n: int | None) -> str:
        spelled = [re.escape(form).replace(r"\{", "{").replace(r"\}", "}") for form in forms]
        return "|".join(form.format(name=word, friend=word, thing=word, n=n) for form in spelled)

    events = GAINS if change > 0 else LOSSES
    return re.compile(f"(?:{either(OPENINGS, value)}) (?:{either(events, abs(change))}) (?:{either(ENDINGS, None)})")


@given(st.integers(0, 300), st.integers(-9, 9).filter(bool))
def test_single_steps_are_questions_of_the_chain_family(value: int, change: int):
    question = one_step(value, change)
    assert question == one_step(value, change)
    assert chain_question(value, change).fullmatch(question)


def test_single_steps_vary_in_wording_and_refuse_to_do_nothing():
    assert len({re.sub(r"\d+", "#", one_step(value, 3)) for value in range(10, 100)}) > 60
    with pytest.raises(ConfigError, match="allowed: any other"):
        one_step(12, 0)


@given(SPLIT, INDEX, STEPS)
def test_changes_of_a_chain_are_read_from_its_rationale(split: str, index: int, steps: int):
    problem = CHAIN.problem(split, index, difficulty=steps)
    changes = chain_steps(problem)
    assert [1 if change > 0 else -1 for change in changes] == problem.meta["signs"]
    written = [int(n) for n in re.findall(r"\d+", problem.question)]
    assert [abs(change) for change in changes] == written[1:]
    assert written[0] + sum(changes) == int(problem.answer)
    program = PROGRAMS.problem(split, index, difficulty=steps)
    assert chain_steps(program) == [change for _, change, _ in program.meta["trace"]]


@pytest.mark.parametrize("rationale", [None, "", "first this, then that", "1+2=3;7+1=8;"])
def test_rationales_that_follow_no_number_have_no_steps(rationale: str | None):
    with pytest.raises(DataError, match="allowed: equations"):
        chain_steps(Problem(family="other", question="?", answer="8", rationale=rationale))

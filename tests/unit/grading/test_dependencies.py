"""Chains of thought as graphs: built cases whose dependencies are known, generated chains and graphs, hostile text."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menon.grading.dependencies import dependency_graph, equation_results, steps_of
from menon.problems.chain import CHAIN


def uses(text: str) -> list[tuple[int, ...]]:
    return [step.uses for step in dependency_graph(text)]


def results(text: str) -> list[str | None]:
    return [step.result for step in dependency_graph(text)]


def test_rationales_of_the_embedded_model():
    steps = dependency_graph("12+3=15;15-4=11;#11")
    assert [(step.index, step.text, step.result, step.uses) for step in steps] == [
        (1, "12+3=15", "15", ()),
        (2, "15-4=11", "11", (1,)),
    ]


@pytest.mark.parametrize("index", range(5))
def test_reference_rationales_of_chains_are_chains(index: int):
    problem = CHAIN.problem("test", index, difficulty=6)
    assert problem.rationale is not None
    steps = dependency_graph(problem.rationale)
    assert len(steps) == 6
    assert all(step.index - 1 in step.uses for step in steps[1:])
    assert steps[-1].result == problem.answer


def test_diamond():
    text = "2+3=5;5*2=10;5*4=20;10+20=30;#30"
    assert uses(text) == [(), (1,), (1,), (2, 3)]
    prose = """1. The box weighs 2 + 3 = 5 kg.
2. Two boxes weigh 5 * 2 = 10 kg.
3. Four boxes weigh 5 * 4 = 20 kg.
4. Together they weigh 10 + 20 = 30 kg."""
    assert uses(prose) == [(), (1,), (1,), (2, 3)]
    assert results(prose) == ["5", "10", "20", "30"]


def test_prose_with_facts_and_marks():
    text = """Tom has 12 apples and 3 pears.
He buys 5 more apples, so he has 12 + 5 = 17 apples.
Together that is 17 + 3 = <<17+3=20>>20 fruits.
He gives away half: 20 / 2 = 10."""
    assert uses(text) == [(), (1,), (1, 2), (3,)]
    assert results(text) == ["3", "17", "20", "10"]


def test_the_latest_step_that_found_a_number_is_meant():
    assert uses("1+4=5;2+3=5;5*2=10") == [(), (), (2,)]
    assert uses("10-5=5;5+1=6") == [(), (1,)]  # the 5 on the left of the first is not its own result


def test_results_within_a_step_are_no_dependencies():
    assert uses("3*4=12;2*6=12+5=17;17+1=18") == [(), (), (2,)]


def test_steps_named_by_number():
    text = "Step 1: Count the red balls, 4.\nStep 2: Count the blue ones, 6.\nStep 3: Add steps 1 and 2.\nDouble this."
    assert uses(text) == [(), (), (1, 2), (3,)]
    assert uses("2. Take 7.\n3. Take 9.\n4. Use step 2 again.") == [(), (), (1,)]  # by label, not by place
    assert uses("Take 7.\nUse step 5.") == [(), ()]


def test_named_quantities():
    text = "Total cost = 12 + 3\nDiscount = 5\nFinal price = total cost - discount = 10\nThe final price is a bargain."
    assert uses(text) == [(), (), (1, 2), (3,)]
    assert results(text)[:3] == ["15", "5", "10"]
    assert uses("Let x = 4. Then y = x + 3 = 7. So x * y = 28.") == [(), (1,), (1, 2)]
    assert uses("x = 4\na bowl has 3 x 5 = 15 plums") == [(), ()]  # the sign, not the name


def test_words_mean_the_step_before_only_where_nothing_else_says_more():
    assert uses("He has 4 dogs.\nThis is doubled.") == [(), (1,)]
    assert uses("He has 4 dogs.\nShe has 6.\nThis leaves 4 - 1 = 3.") == [(), (), (1,)]
    assert uses("This is a sum.\nNo numbers here.") == [(), ()]


def test_sentences_of_one_line():
    text = "1. A car drives 60 km. 2. It drives 40 km more. 3. So it drives 60 + 40 = 100 km. #### 100"
    assert steps_of(text)[0] == "1. A car drives 60 km."
    assert [step.text for step in dependency_graph(text)][2] == "So it drives 60 + 40 = 100 km."
    assert uses(text) == [(), (), (1, 2)]
    assert steps_of("It costs 3.50 now. Or 2.5 later.") == ["It costs 3.50 now.", "Or 2.5 later."]


@pytest.mark.parametrize("text", ["", "#5", "\n;\n", "   "])
def test_nothing_to_read(text: str):
    assert dependency_graph(text) == []


@given(data=st.data(), size=st.integers(1, 8))
def test_generated_graphs_are_found_again(data: st.DataObject, size: int):
    """Sums of earlier results over distinct powers, so that equal numbers mean equal things."""
    values: list[int] = []
    expected: list[tuple[int, ...]] = []
    lines = []
    for at in range(size):
        parents = data.draw(st.sets(st.integers(0, at - 1), max_size=3)) if at else set()
        fresh = 10 ** (at + 1) + 7  # no sum of earlier values equals it
        operands = [*(values[parent] for parent in sorted(parents)), fresh]
        values.append(sum(operands))
        expected.append(tuple(parent + 1 for parent in sorted(parents)))
        lines.append(f"{'+'.join(map(str, operands))}={values[-1]}")
    if len(set(values)) == size:
        assert uses("; ".join([*lines, "#0"])) == expected


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("so 48/2 = <<48/2=24>>24 clips, and 3 x 4 = 12.", [("48/2", "24")]),
        ("so 48/2 = 24 clips, and 3 x 4 = 12.", [("48/2", "24"), ("3*4", "12")]),
        ("4 ft * 6 ft * 3 cubic ft = 72", [("4*6*3", "72")]),
        ("60 students x 2/3 = 40 and 40 x $6/day = $240", [("60*2/3", "40"), ("40*6", "240")]),
        (".25 / .05 = 5", [("0.25/0.05", "5")]),
        ("100/5 = 5A", []),
    ],
)
def test_equations_of_marks_and_prose(text: str, found: list[tuple[str, str]]):
    assert equation_results(text) == found


@pytest.mark.parametrize(
    "text",
    ["1+1=2;" * 30_000, "1" * 100_000, "(" * 100_000, "step 1, " * 30_000, ("a = 1 + 2 = 3 . " * 300 + "\n") * 50],
    ids=["equations", "digits", "brackets", "steps", "names"],
)
def test_hostile_text_costs_bounded_time(text: str):
    start = time.perf_counter()
    assert len(dependency_graph(text)) <= 400
    assert time.perf_counter() - start < 5

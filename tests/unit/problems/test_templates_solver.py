"""Drawing values: all conditions hold, draws are reproducible and uniform, and what is impossible is said."""

import time
from collections import Counter
from itertools import product

import pytest
from template_records import record, small

from menon.core.errors import ConfigError
from menon.problems.templates import Template, TemplateError, Value, draw, parse_template, violations
from menon.problems.templates.solver import solver_for

WHERE = "file.jsonl:3"
EQUATION = "- $x = range(1, 200)\n- $y = range(1, 200)\n- $z = range(1, 200)\n- $w = range(1, 200)"


def template_of(init: str, conditions: str = "", question: str = "") -> Template:
    return parse_template(small(init, conditions, question), WHERE)


def chi_square(counts: Counter, cells: int, draws: int) -> float:
    expected = draws / cells
    return sum((n - expected) ** 2 / expected for n in counts.values()) + (cells - len(counts)) * expected


def test_every_condition_holds_and_questions_differ():
    template = parse_template(record(), WHERE)
    drawn = draw(template, "a", count=200)
    assert not any(violations(template, assignment) for assignment in drawn)
    texts = {tuple(assignment[name].text for name in template.shown) for assignment in drawn}
    assert len(texts) == 200


def test_draws_depend_on_their_names_alone():
    one, other = parse_template(record(), WHERE), parse_template(record(), WHERE)
    draw(other, "warm the solver up", count=20)
    assert draw(one, "a", 1, count=9) == draw(other, "a", 1, count=9)
    assert draw(one, "a", 1, count=3) == draw(one, "a", 1, count=9)[:3]
    assert draw(one, "a", 1, count=9) != draw(one, "a", 2, count=9)


@pytest.mark.parametrize(
    ("init", "conditions", "solutions"),
    [
        (  # dense: drawn and refused
            "- $x = range(1, 80)\n- $y = range(1, 80)",
            "- x < y",
            [(x, y) for x, y in product(range(1, 80), repeat=2) if x < y],
        ),
        (  # sparse: listed
            "- $x = range(1, 200)\n- $y = range(1, 200)",
            "- divides(x, 41)\n- y % 61 == x % 61",
            [(x, y) for x, y in product(range(1, 200), repeat=2) if x % 41 == 0 and y % 61 == x % 61],
        ),
        (  # two candidates of one value, one found through the equation
            "- $x = range(1, 40)\n- $y = [('a pair', 2), ('two', 2), ('ten', 10)]",
            "- x * 2 == y * 4 + 2",
            [(5, 2), (5, 2), (21, 10)],
        ),
    ],
)
def test_draws_are_uniform_over_all_solutions(init: str, conditions: str, solutions: list[tuple[int, int]]):
    template = template_of(init, conditions, "{x, 1} and {y, 1}?")
    draws = 30 * len(solutions)
    found = draw(template, "uniform", count=draws, distinct=False)
    counts = Counter((a["x"].text, a["y"].text) for a in found)
    assert {(a["x"].value, a["y"].value) for a in found} == set(solutions)
    degrees = len(solutions) - 1
    assert chi_square(counts, len(solutions), draws) < degrees + 5 * (2 * degrees) ** 0.5 + 8


def test_an_equation_with_a_rare_solution_is_solved():
    template = template_of(EQUATION, "- x + y + z + w == 780\n- x < y < z < w", "{x,1} {y,1} {z,1} {w,1}?")
    expected = {
        (780 - y - z - w, y, z, w)
        for y, z, w in product(range(150, 200), repeat=3)
        if 0 < 780 - y - z - w < y < z < w < 200
    }
    drawn = draw(template, "rare", count=len(expected))
    assert {tuple(a[name].value for name in "xyzw") for a in drawn} == expected
    with pytest.raises(TemplateError, match=f"only {len(expected)} distinct questions"):
        draw(template, "rare", count=len(expected) + 1)


def test_a_needle_that_no_equation_gives_is_found_by_searching():
    template = template_of(
        EQUATION.replace("200", "60"), "- x * y * z * w == 59**3 * 53\n- x <= y <= z <= w", "{x,1} {y,1} {z,1} {w,1}?"
    )
    (found,) = draw(template, "needle")
    assert [found[name].value for name in "xyzw"] == [53, 59, 59, 59]


def test_floats_satisfy_equations_and_conditions_exactly():
    init = "- $x = fix_floats(np.arange(0.5, 20, 0.05))\n- $n = range(2, 40)\n- $y = np.arange(1, 400, 0.25)"
    template = template_of(init, "- y == x * n", "{x,1} {n,1} {y,1}?")
    for assignment in draw(template, "floats", count=50):
        assert assignment["y"].value == assignment["x"].value * assignment["n"].value


def test_a_draw_without_replacement_and_a_run():
    template = template_of(
        "- x, y = sample(['a', 'b', 'c'], 2)\n- d, e = sample_sequential(weekdays, 2)", "", "{x,a} {y,b} {d,a} {e,b}?"
    )
    days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    drawn = draw(template, "all", count=42)
    assert {(a["x"].text, a["y"].text) for a in drawn} == {(a, b) for a, b in product("abc", repeat=2) if a != b}
    assert {(a["d"].text, a["e"].text) for a in drawn} == {(days[i], days[(i + 1) % 7]) for i in range(7)}


def test_conditions_on_a_draw_without_replacement():
    template = template_of("- x, y, z = sample(list(range(1, 60)), 3)", "- x + y == 3 * z", "{x,1} {y,1} {z,1}?")
    for assignment in draw(template, "tied", count=40):
        x, y, z = (assignment[name].value for name in "xyz")
        assert x + y == 3 * z
        assert len({x, y, z}) == 3


def test_fixed_variables_stay_and_the_rest_varies():
    template = parse_template(record(), WHERE)
    (base,) = draw(template, "base")
    numbers = {name: value for name, value in base.items() if not isinstance(value.value, str)}
    for assignment in draw(template, "names only", count=20, fixed=numbers):
        assert {name: assignment[name] for name in numbers} == numbers
    texts = {name: value for name, value in base.items() if name not in numbers}
    drawn = draw(template, "numbers only", count=20, fixed=texts)
    assert all(assignment[name] == texts[name] for assignment in drawn for name in texts)
    assert not any(violations(template, assignment) for assignment in drawn)


def test_fixed_members_of_a_draw_are_not_drawn_again():
    template = template_of("- x, y = sample(['a', 'b', 'c'], 2)", "", "{x,a} {y,b}?")
    drawn = draw(template, "rest", count=2, fixed={"x": Value("a", "a")})
    assert {a["y"].text for a in drawn} == {"b", "c"}
    week = template_of("- x, y = sample_sequential(weekdays, 2)", "", "{x,a} {y,b}?")
    (found,) = draw(week, "run", fixed={"y": Value("Monday", "Monday")})
    assert found["x"].text == "Sunday"


def test_values_that_the_caller_fixes_need_not_satisfy_conditions():
    template = template_of("- $x = range(9)\n- $y = range(9)", "- x > 5\n- x < y", "{x,1} {y,1}?")
    (found,) = draw(template, "own", fixed={"x": Value("2", 2), "y": Value("1", 1)})
    assert found["x"].value == 2
    with pytest.raises(TemplateError, match=r"condition 'x < y' cannot be met: none of the 9 candidates of 'y'"):
        draw(template, "own", fixed={"x": Value("40", 40)})
    with pytest.raises(ConfigError, match="'q' is no variable of '7'; it has: x, y"):
        draw(template, "own", fixed={"q": Value("2", 2)})


@pytest.mark.parametrize(
    ("init", "conditions", "most"),
    [
        ("- $x = range(1, 50)", "- x == 3", 1),
        ("- $x = range(1, 50)\n- $y = range(1, 50)", "- x == 7 * y\n- y > 2", 5),
        ("- $x = range(1, 8)\n- x2 = sample(['a', 'b'])", "", 7),
        ("- $x = range(1, 60)\n- $h = range(100, 300)\n- $g = range(500)", "- x % 30 == h % 31\n- g != x + h", 59),
    ],
)
def test_fewer_solutions_than_asked_for_are_counted(init: str, conditions: str, most: int):
    template = template_of(init, conditions)
    begun = time.thread_time()
    with pytest.raises(TemplateError, match=f"{WHERE}: template '7': it has only {most} distinct questions, 60 were"):
        draw(template, "few", count=60)
    assert time.thread_time() - begun < 2
    assert len(draw(template, "few", count=most)) == most
    assert len(draw(template, "few", count=60, distinct=False)) == 60


@pytest.mark.parametrize(
    ("init", "conditions", "message"),
    [
        (
            "- $x = range(50)",
            "- x < 30\n- x > 40",
            "condition 'x > 40' cannot be met: none of the 50 candidates of 'x'",
        ),
        ("- $x = range(50)", "- x / 0 > 1", r"'x / 0 > 1' cannot be met: .*\(ZeroDivisionError: division by zero\)"),
        ("- $x = range(50)\n- $y = range(50)", "- x * y == 2003", r"all ways were tried; condition 'x \* y == 2003'"),
        ("- $x = range(50)\n- $y = range(50)", "- x < y\n- y < x", "each condition held alone .* but not all together"),
        (
            "- $x = range(50)\n- y = sample(names)",
            "- x < y",
            r"never held in 2,000 random assignments \('x < y': '<' not",
        ),
        ("- $x = range(50)", "- 9**9**9 > 5", r"'9\*\*9\*\*9 > 5' is never true \(TooLarge: a power above"),
    ],
)
def test_what_cannot_be_met_names_the_condition(init: str, conditions: str, message: str):
    with pytest.raises(TemplateError, match=message) as raised:
        draw(template_of(init, conditions), "never")
    assert str(raised.value).startswith(f"{WHERE}: template '7': ")


def test_the_time_limit_ends_a_hopeless_search():
    init = "- $x = range(1, 5000)\n- $y = range(1, 5000)\n- $z = range(1, 5000)"
    template = template_of(
        init, "- (x * x + y * y + z * z) % 1000003 == 2\n- x * y * z % 99991 == 5\n- x > y > z > 4000"
    )
    begun = time.thread_time()
    with pytest.raises(TemplateError, match=r"no solution found in 0\.5 s; "):
        draw(template, "hopeless", time_limit_s=0.5)
    assert time.thread_time() - begun < 2


def test_variables_that_no_condition_ties_are_drawn_apart():
    template = template_of("- $x = range(9)\n- $y = range(9)\n- $z = range(9)\n- $w = range(9)", "- x < y\n- z < w")
    assert sorted(part.names for part in solver_for(template, {}).parts) == [("x", "y"), ("z", "w")]

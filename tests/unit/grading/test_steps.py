"""Step checks: true steps pass, and each way of being unsound is named."""

import gzip
import json
from pathlib import Path

import pytest

from menon.core.errors import ConfigError, DataError
from menon.core.values import Problem
from menon.grading.steps import check_calculator_marks, check_columns, check_equations, check_steps, equation_list

QUESTION = "tom has 47 pens. tom buys 5. mia is tall. tom gives 8. how many?"


@pytest.mark.parametrize(
    "rationale",
    ["47+5=52;52-8=44;", "47 + 5 = 52 ; 52 - 8 = 44 ;", "47-8=39\n39+5=44", "47+5-8=44;", "5+47=52;52-8=44"],
)
def test_sound_equations(rationale: str):
    report = check_equations(QUESTION, rationale, answer="44")
    assert report.sound, report.reason
    assert report.first_bad is None


@pytest.mark.parametrize(
    ("rationale", "first_bad", "reason"),
    [
        ("", None, "no steps"),
        ("47+5=53;53-8=45;", 1, "is false"),
        ("47+5=52;52-8=45;", 2, "is false"),
        ("46+5=51;51-8=43;", 1, "46 is not in the question"),
        ("47+5=52;53-8=45;", 2, "does not start from 52"),
        ("47+5=52;52-5=47;", 2, "a second time"),
        ("47+5=52;", None, "unused: 8"),
        ("47+5=52;52-8=44;44+0=44;", 3, "0 is not in the question"),
        ("47+5=52;44=44;", 2, "computes nothing"),
        ("47+5=52;so 44;", 2, "not an equation"),
        ("47+5;", 1, "not an equation"),
        ("47+5=52=52;", 1, "not an equation"),
        ("47+=52;", 1, "a number is missing"),
        ("47/0=52;", 1, "division by zero"),
        ("(((((47+5=52;", 1, "closing bracket"),
    ],
)
def test_unsound_equations(rationale: str, first_bad: int | None, reason: str):
    report = check_equations(QUESTION, rationale)
    assert not report.sound
    assert report.first_bad == first_bad
    assert reason in report.reason


def test_equations_with_another_answer():
    assert "the answer is '45'" in check_equations(QUESTION, "47+5=52;52-8=44;", answer="45").reason


def test_equations_that_need_not_chain():
    question = "a box has 3 rows of 4 and 2 rows of 5"
    rationale = "3*4=12;2*5=10;12+10=22;"
    assert not check_equations(question, rationale).sound
    assert check_equations(question, rationale, chained=False).sound
    assert check_equations(QUESTION, "47+5=52;", use_all=False).sound


def test_long_steps_are_refused_quickly():
    assert "1000 are read" in check_equations("1", "1+" * 50_000 + "1=1").reason
    assert not check_equations("1", "(" * 900 + "1" + ")" * 900 + "=1").sound


COLUMNS = "G6H3I9+g7h1i5"


@pytest.mark.parametrize(
    ("question", "rationale", "base", "answer"),
    [
        (COLUMNS, "G6g7+0=13;H3h1+1=05;I9i5+0=14;", 10, "G3H5I4J1"),
        ("G6+g2", "G6g2+0=08;", 9, None),
        ("G6+g2", "G6g2+0=10;", 8, "G0H1"),
        ("GFH1+g1h1", "GFg1+0=10;H1h1+1=03;", 16, "G0H3"),
        ("G6H3+g7", "G6g7+0=13;H3+1=04;", 10, "G3H4"),
        ("G6H3+g7", "G6g7+0=13;H3h0+1=04;", 10, "G3H4"),
        ("G6+g7h1", "G6g7+0=13;h1+1=02;", 10, "G3H2"),
    ],
)
def test_sound_columns(question: str, rationale: str, base: int, answer: str | None):
    report = check_columns(question, rationale, base, answer=answer)
    assert report.sound, report.reason


@pytest.mark.parametrize(
    ("rationale", "first_bad", "reason"),
    [
        ("", None, "no steps"),
        ("G6g7+0=13;H3h1+1=05;", None, "2 of 3 places"),
        ("G5g7+0=12;H3h1+1=05;I9i5+0=14;", 1, "the question has 'G6'"),
        ("H3h1+0=04;G6g7+0=13;I9i5+1=15;", 1, "the question has 'G6'"),
        ("G6g7+0=13;H3h1+0=04;I9i5+0=14;", 2, "takes carry 0"),
        ("G6g7+0=13;H3h1+1=06;I9i5+0=14;", 2, "should end in 05"),
        ("G6g7+0=13;H3h1+1=05;I9i5+0=14;J0j0+1=01;", 4, "one too many"),
        ("G6g7+0=13;H3 plus h1;I9i5+0=14;", 2, "is not like"),
    ],
)
def test_unsound_columns(rationale: str, first_bad: int | None, reason: str):
    report = check_columns(COLUMNS, rationale)
    assert not report.sound
    assert report.first_bad == first_bad
    assert reason in report.reason


def test_columns_with_another_answer_or_question():
    assert "G3H5I4J1" in check_columns(COLUMNS, "G6g7+0=13;H3h1+1=05;I9i5+0=14;", answer="G3H5I4").reason
    with pytest.raises(DataError, match="column addition"):
        check_columns("47+5", "47+5=52;")


@pytest.mark.parametrize(
    "rationale",
    [
        "48/2 = <<48/2=24>>24 clips",
        "10/3 = <<10/3=3.33>>3.33, about <<2/3=0.66>>0.67",
        "<<0.1+0.2=0.30000000000000004>>0.3",
        "<<560//10=56>>56",
        "5% of $350 000 is $<<350000*5/100=17500.0>>17 500.",
        "<<18*.5=9.00>>9.00 then <<(2+3)*2=10>>10",
        "<<+30+46=76>>76 and <<3-5=-2>>-2",
    ],
)
def test_sound_marks(rationale: str):
    report = check_calculator_marks(rationale)
    assert report.sound, report.reason


@pytest.mark.parametrize(
    ("rationale", "first_bad", "reason"),
    [
        ("no marks, 48/2 = 25", None, "no calculator marks"),
        ("<<48/2=25>>25", 1, "is false"),
        ("<<48/2=24>>24 <<24+1=25>>26", 2, "goes on with '26'"),
        ("<<10/3=3.4>>3.4", 1, "is false"),
        ("<<month*12=5>>5", 1, "no number or operator"),
        ("<<24>>24", 1, "not an equation"),
    ],
)
def test_unsound_marks(rationale: str, first_bad: int | None, reason: str):
    report = check_calculator_marks(rationale)
    assert not report.sound
    assert report.first_bad == first_bad
    assert reason in report.reason


def test_marks_without_rounding():
    assert not check_calculator_marks("<<10/3=3.33>>3.33", rounding=False).sound
    assert check_calculator_marks("<<48/2=24>>25", repeated=False).sound


def test_published_marks_are_sound(shared_data: Path):
    """All 8,679 GSM8K rationales that have marks pass; 113 have none."""
    counts = {True: 0, False: 0, None: 0}
    for name in ("train", "test"):
        with gzip.open(shared_data / "gsm8k" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
            for line in lines:
                report = check_calculator_marks(json.loads(line)["rationale"])
                counts[report.sound if report.steps else None] += 1
    assert counts == {True: 8679, False: 0, None: 113}


@pytest.mark.parametrize(
    ("rationale", "equations"),
    [
        ("47+5=52;52 - 8 = 44;", ("47+5=52", "52-8=44")),
        ("047+5.0=52;", ("47+5=52",)),
        ("G6g7 + 0=13;H3h1+1=05;", ("G6g7+0=13", "H3h1+1=05")),
        ("Natalia sold 48/2 = <<48/2=24>>24.\n<<48+24=72>>72", ("48/2=24", "48+24=72")),
        ("The box 5 x 3 = 15, then $1,200 - 15 = $1,185.", ("5*3=15", "1200-15=1185")),
        ("2 + 3 = 5 = 5", ("2+3=5",)),
        ("no sums here, only 5 and x = 7", ()),
    ],
)
def test_equation_list(rationale: str, equations: tuple[str, ...]):
    assert equation_list(rationale) == equations


def test_check_steps_follows_the_problem():
    problem = Problem(family="chain", question=QUESTION, answer="44", meta={"steps": "equations"})
    report = check_steps(problem, "47+5=52;52-8=44;", "44")
    assert report is not None
    assert report.sound
    plain = Problem(family="facts", question="q", answer="1")
    assert check_steps(plain, "x", "1") is None
    marked = Problem(family="gsm8k", question="q", answer="1", meta={"steps": "marks"})
    assert check_steps(marked, "no marks", "1") is None
    with pytest.raises(ConfigError, match="'prose'"):
        check_steps(Problem(family="t", question="q", answer="1", meta={"steps": "prose"}), "x", "1")


@pytest.mark.parametrize("text", ["3*12=36, 36-4=32", "First 3*12=36. 36-4=32.", "3 * 12 = 36,\n36 - 4 = 32"])
def test_equations_do_not_run_over_the_end_of_a_clause(text: str):
    assert equation_list(text) == ("3*12=36", "36-4=32")

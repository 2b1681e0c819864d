"""Numbers are read exactly, or not at all."""

from fractions import Fraction

import pytest

from menon.grading.numbers import canonical, numbers, parse_number, plain


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("72", 72),
        ("72.0", 72),
        ("72.", 72),
        (" 72 \n", 72),
        ("+72", 72),
        ("1,234,567", 1234567),
        ("$1,234.50", "1234.5"),
        ("-$5", -5),
        ("$-5", -5),
        (r"\$18", 18),
        ("50%", 50),
        (r"50\%", 50),
        (".5", "1/2"),
        ("-0.25", "-1/4"),
        ("0.1", "1/10"),
        ("1/3", "1/3"),
        ("-1/3", "-1/3"),
        ("2 1/2", "5/2"),
        ("1e3", 1000),
        ("1.5e-2", "3/200"),
        ("\u221272", -72),
        ("\uff17\uff12", 72),
        ("\uff0d\uff17\uff12\uff0e\uff15", "-72.5"),
        ("\u0667\u0662", 72),
        ("12\u202f345", 12345),
        ("007", 7),
    ],
)
def test_readable(text: str, value: int | str):
    assert parse_number(text) == Fraction(value)


@pytest.mark.parametrize(
    "text",
    ["", "x", "-", "$", "1,23", "1,2,3", "3,000,00", "12,34.5", "1.2.3", "3:30", "8k", "2M", "10^2", "10\u00b2",
     "2\u00bd", "1/2/2020", "1/0", "5 apples", "about 5", "5 6", "H2O", "x5", "1e99999", "9" * 201, "nan", "0x10"],
)  # fmt: skip
def test_unreadable(text: str):
    assert parse_number(text) is None


def test_no_float_comes_near():
    assert parse_number("0.1") != Fraction(0.1)
    assert parse_number("0.30000000000000004") != parse_number("0.3")
    assert parse_number("9007199254740993") == 9007199254740993


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("16 - 3 = 13", [16, 3, 13]),
        ("16-3=13", [16, 3, 13]),
        ("it is -3, or (-4)", [-3, -4]),
        ("a 10-foot shark, 80%-90%", [10, 80, 90]),
        ("tom buys 5. mia gives 8.", [5, 8]),
        ("the 5th day, H2O, GPT4", []),
        ("5kg for $3.50.", [5, Fraction(7, 2)]),
        ("1,23 and 4", [None, 4]),
        ("Rs.500", []),
        ("answer: 3.", [3]),
        ("A:\u221250", [-50]),
        ("2 + 3 \u2013 4", [2, 3, 4]),
    ],
)
def test_in_prose(text: str, values: list[object]):
    assert [number.value for number in numbers(plain(text))] == values


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("72", "72"),
        ("-1/2", "-0.5"),
        ("1/3", "1/3"),
        ("1/8", "0.125"),
        ("5/2", "2.5"),
        ("-1/400", "-0.0025"),
        ("0", "0"),
    ],
)
def test_canonical(value: str, text: str):
    assert canonical(Fraction(value)) == text


def test_positions_do_not_move():
    text = "x \uff17\uff12 \u2212 \u0667 \u00b2"
    assert len(plain(text)) == len(text)

"""Numbers and texts as people read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menon.reports import formats
from menon.reports.tables import failures
from menon.reports.transcripts import steps_of, transcripts

THIN = formats.NARROW_SPACE


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.714, "71 %"),
        (0, "0 %"),
        (1.0, "100 %"),
        (0.004, "0.4 %"),
        (-0.02, "−2 %"),
        (None, "–"),
        (float("nan"), "–"),
        (True, "–"),
    ],
)
def test_percent(value: object, text: str):
    assert formats.percent(value).replace(THIN, " ") == text


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ({"value": 0.7, "low": 0.66, "high": 0.76}, "70 % (66–76)"),
        ({"value": 0.01, "low": -0.03, "high": 0.05}, "1 % (−3 to 5)"),
        ({"value": 0.7}, "70 %"),
        ({}, "–"),
        (None, "–"),
    ],
)
def test_estimate(cell: object, text: str):
    assert formats.estimate(cell).replace(THIN, " ") == text


@pytest.mark.parametrize(
    ("call", "value", "text"),
    [
        (formats.points, 0.314, "+31"),
        (formats.points, -0.003, "−0.3"),
        (formats.points, 0.0, "0"),
        (formats.count, 12345, "12 345"),
        (formats.large, 950, "950"),
        (formats.large, 12_345, "12.3 k"),
        (formats.large, 999_999, "1.00 M"),
        (formats.large, 1_843_220, "1.84 M"),
        (formats.duration, 0.42, "0.4 s"),
        (formats.duration, 59.7, "1 min 00 s"),
        (formats.duration, 187.4, "3 min 07 s"),
        (formats.duration, 3900, "1 h 05 min"),
        (formats.memory, 840, "840 MB"),
        (formats.memory, 1240.0, "1.2 GB"),
        (formats.p_value, 1e-40, "< 0.001"),
        (formats.p_value, 0.0312, "0.031"),
        (formats.p_value, 1.0, "1.00"),
    ],
)
def test_amounts(call, value: float, text: str):
    assert call(value).replace(THIN, " ") == text
    assert call(None) == "–"


def test_shares_may_be_stored_as_counts():
    assert formats.share_of(0.25, 40) == 0.25
    assert formats.share_of(10, 40) == 0.25
    assert formats.share_of(1, 40) == 0.025
    assert formats.share_of(1, 0) is None
    cells = [{"n": 30, "truncated": 3, "unparsed": 0.1}, {"n": 10, "truncated": 1, "unparsed": 0.5}]
    found = failures(cells)
    assert found
    assert found.truncated == pytest.approx(0.1)
    assert found.unparsed == pytest.approx(0.2)
    assert failures([]) is None


def test_flattened_lists_leaves_with_their_paths():
    data = {"a": {"b": 1, "c": [1, 2]}, "d": [{"e": None}], "f": True}
    assert formats.flattened(data) == [("a.b", "1"), ("a.c", "1, 2"), ("d.0.e", "–"), ("f", "True")]


@given(st.text(st.characters(exclude_categories=())))
def test_visible_text_can_always_be_written_and_keeps_ordinary_text(text: str):
    shown = formats.visible(text)
    shown.encode("utf-8")
    assert not [c for c in shown if ord(c) < 32 and c not in "\n\t"]
    if text.isascii() and text.isprintable():
        assert shown == text


@given(st.text())
def test_steps_join_to_the_text(text: str):
    assert "".join(steps_of(text)) == text


def test_transcripts_point_at_the_first_difference_and_name_the_outcome():
    sides = {
        "before": {"text": "1+1=2;2+1=4;#4", "verdict": "wrong"},
        "after": {"text": "1+1=2;2+1=3;#3", "verdict": "right"},
    }
    both, half = transcripts({"transcripts": [sides, {"before": sides["before"]}]})
    assert both.outcome == "gained"
    assert [side.differs for side in both.sides] == [1, 1]
    assert half.outcome == ""
    assert half.sides[0].differs == -1
    same = transcripts({"transcripts": [{"before": sides["after"], "after": sides["after"]}]})
    assert same[0].sides[0].differs == -1

"""Every strategy that ships is listed, is free of errors, and stands in docs/strategies.md as it is."""

from pathlib import Path

import pytest

from menon.flowcharts.chart import Chart
from menon.flowcharts.check import check
from menon.solving.library import ALIASES, SHIPPED, catalogue, folder, load_strategy, shipped
from menon.solving.listing import listing

DOCS = Path(__file__).parents[2] / "docs"
PARTS = {"auto_cot_demonstrations", "write_program"}  # charts that others call


def test_every_file_is_listed_or_part_of_another():
    names = [path.stem for path in folder().glob("*.md")]
    assert sorted(names) == sorted({*SHIPPED, *PARTS})
    assert [row["name"] for row in catalogue()] == list(SHIPPED)
    assert set(ALIASES.values()) <= set(SHIPPED)


@pytest.mark.parametrize("chart", shipped(), ids=lambda chart: chart.name)
def test_a_strategy_says_what_it_is_and_has_nothing_to_find(chart: Chart):
    assert check(chart) == []
    assert chart.title
    assert chart.source
    assert chart.cost
    assert chart.name in load_strategy(chart.name.replace("_", "-")).file


def test_the_page_is_that_of_the_files():
    page = (DOCS / "strategies.md").read_text(encoding="utf-8")
    assert page == listing(shipped()), "write it again: menon solve --list --out docs/strategies.md"

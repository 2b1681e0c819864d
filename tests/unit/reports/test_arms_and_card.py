"""The pages of comparisons and of pre-training: every number of the report stands in them."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from menon.reports import write_arms, write_card


def cell(value: float) -> dict[str, Any]:
    return {"value": value, "low": value - 0.05, "high": value + 0.05, "n": 60}


def accuracy(*values: float) -> list[dict[str, Any]]:
    return [
        {
            "round": number,
            "mean": cell(value),
            "hard_band": cell(value),
            "hard_band_by_seed": [cell(value), cell(value)],
            "by_difficulty": {"1": 0.98, "2": value},
        }
        for number, value in enumerate(values)
    ]


def a_round(number: int) -> dict[str, Any]:
    counts = {"asked": 100, "right": 61, "kept": 57, "rationalised": 9, "unsound": 3, "steps": 150}
    return {"round": number, **counts, "trained_tokens": 12345, "seconds": 7.5}


def test_arms_page_holds_every_arm_and_its_interval(tmp_path: Path) -> None:
    report = {
        "arms": {
            "star": {"accuracy": {"chain": accuracy(0.40, 0.60, 0.74)}, "rounds": [[a_round(1), a_round(2)]] * 2},
            "rft": {"accuracy": {"chain": accuracy(0.40, 0.68)}, "rounds": [[a_round(1)]] * 2},
        }
    }
    text = write_arms(tmp_path, report).read_text("utf-8")
    assert "| star | 40 [35, 45] | 60 [55, 65] | 74 [69, 79] | 74 / 74 |" in text
    assert "| rft | 40 [35, 45] | 68 [63, 73] |  | 68 / 68 |" in text
    assert "| base | 98 | 40 |" in text
    assert "| star | 2 | 100 | 61 | 57 | 9 | 3 | 150 | 12,345 | 8 |" in text
    for name in ("arms-chain.svg", "rounds-chain.svg"):
        assert ElementTree.parse(tmp_path / name).getroot().tag.endswith("svg")


def test_card_page_holds_accuracy_and_curve(tmp_path: Path) -> None:
    probe = {"addition": {"1": 0.9, "2": 0.1}}
    report = {
        "card": {"greedy": {"addition": {"1": cell(0.95), "2": cell(0.30)}}},
        "curve": [
            {"step": 200 * i, "loss": 2.0 / i, "learning_rate": 0.0025, "tokens": 1000, "probe": probe}
            for i in (1, 2, 3)
        ],
    }
    text = write_card(tmp_path, report).read_text("utf-8")
    assert "| greedy | 95 [90, 100] | 30 [25, 35] |" in text
    assert "| 600 | 3,000 | 0.667 | 0.0025 | 90/10 |" in text
    for name in ("loss.svg", "probe.svg"):
        assert ElementTree.parse(tmp_path / name).getroot().tag.endswith("svg")

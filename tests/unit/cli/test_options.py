from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np
import pytest

from menon.cli.options import pairs, settings
from menon.cli.terminal import plain, table
from menon.core.errors import ConfigError


def test_settings_are_toml_values_or_text():
    given = ["a=1", "b=x y", "c=[1, 2]", "d=", 'e="1"', "a=2"]
    assert settings(given, "abcde", "grade") == {"a": 2, "b": "x y", "c": [1, 2], "d": "", "e": "1"}


def test_unknown_setting_names_the_nearest():
    with pytest.raises(ConfigError, match=r"no setting 'gradr'; allowed: grader\. Did you mean 'grader'\?"):
        settings(["gradr=number"], ["grader"], "grade")


@pytest.mark.parametrize("text", ["question", "=x", " =x", ""])
def test_a_pair_needs_a_name_and_an_equals_sign(text: str):
    with pytest.raises(ConfigError, match="NAME=VALUE"):
        pairs([text], "--map")


def test_values_become_plain_json():
    class Colour(Enum):
        RED = "red"

    @dataclass
    class Cell:
        where: Path
        values: tuple[float, ...]

    value = {
        1: Cell(where=Path("a"), values=(1.0, float("inf"))),
        "c": Colour.RED,
        "n": np.float32(0.5),
        "i": np.arange(2),
    }
    assert plain(value) == {"1": {"where": "a", "values": [1.0, None]}, "c": "red", "n": 0.5, "i": [0, 1]}


def test_table_aligns_its_columns():
    assert table(("name", "n"), [("a", "1"), ("longer", "22")]) == ["name    n", "a       1", "longer  22"]
    assert table((), []) == []

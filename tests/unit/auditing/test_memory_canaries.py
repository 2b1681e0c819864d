"""Canaries: files are read strictly, planted secrets stand first, unplanted ones anywhere; large spaces are sampled."""

import json
import math
from pathlib import Path

import pytest
from memory_model import CountModel, LogpsOnly, material, open_problems

from menon.auditing.memory.canaries import CANARIES, Canary, base_canaries, canaries_of
from menon.auditing.memory.panel import Panel
from menon.core.errors import DataError


def write(path: Path, *rows: object) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_planted_secrets_are_exposed_and_others_are_not(tmp_path: Path) -> None:
    planted = [
        {"text": f"the pin of door {i} is {{}}.", "secret": f"{137 * (i + 3) % 1000:03d}", "digits": 3}
        for i in range(6)
    ]
    unplanted = [
        {"text": f"the pin of gate {i} is {{}}.", "secret": f"{311 * (i + 2) % 1000:03d}", "digits": 3}
        for i in range(6)
    ]
    path = write(tmp_path / "c.jsonl", *planted, *({**row, "held_out": True} for row in unplanted))
    model = LogpsOnly(CountModel(row["text"].replace("{}", row["secret"]) for row in planted))
    panel = Panel(material(model, open_problems(2), options={"canaries": path}))
    rows = list(CANARIES.measure(panel))
    part = CANARIES.report(rows, [], panel)
    first, second = part.tables["canary exposure"]
    assert [row["bits"] for row in rows[:6]] == [pytest.approx(math.log2(1000))] * 6
    assert first["p"] == pytest.approx(1000.0**-6)
    assert second["bits"] < 4
    assert second["p"] > 0.01
    assert all(row["exact"] and row["ranked"] == 1000 for row in rows)


def test_a_large_space_is_sampled_and_said_to_be(tmp_path: Path) -> None:
    row = {"text": "the key is {}", "secret": "84019265", "digits": 8}
    model = LogpsOnly(CountModel(["the key is 84019265", "the key is 11111111 22 33 44 55 66 77 88 99 00"]))
    panel = Panel(material(model, open_problems(2), options={"canaries": write(tmp_path / "c.jsonl", row)}))
    found = next(iter(CANARIES.measure(panel)))
    assert not found["exact"]
    assert found["ranked"] == 1001
    assert found["bits"] > 10
    assert "estimated from 1000 fills" in CANARIES.report([found], [], panel).notes[0]


def test_every_fill_is_ranked_and_the_secret_once() -> None:
    canary = Canary(name="x", before="a ", after=".", secret="007", digits=3)
    others = canary.others()
    assert len(others) == len(set(others)) == 999
    assert "007" not in others
    assert canary.pair("123") == ("a ", "123.")


def test_codes_of_the_embedded_model_are_in_their_space() -> None:
    found = base_canaries(5)
    assert [c.arm for c in found] == ["items"] * 5 + ["held out"] * 5
    assert all(c.secret in c.candidates and c.space == 900 for c in found)
    assert len({c.name for c in found}) == 10


BAD = [
    ({"text": "no place", "secret": "1", "digits": 1}, r"c\.jsonl:1: no canary"),
    ({"text": "{} first", "secret": "1", "digits": 1}, "begins with the secret"),
    ({"text": "a {}", "secret": "12", "digits": 3}, "needs `candidates`"),
    ({"text": "a {}", "secret": "x", "candidates": ["y", "z"]}, "needs `candidates`"),
    ({"text": "a {}"}, "no canary"),
]


@pytest.mark.parametrize(("row", "message"), BAD)
def test_rows_that_are_no_canary_are_named(tmp_path: Path, row: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        canaries_of(Path(write(tmp_path / "c.jsonl", row)))


def test_without_canaries_the_reason_is_given() -> None:
    assert "option `canaries`" in str(CANARIES.objection(Panel(material(CountModel([]), open_problems(2)))))

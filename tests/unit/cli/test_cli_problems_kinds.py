"""`menon problems` over all kinds: what list, show and make print, write and refuse."""

import json
from pathlib import Path
from typing import Any

import pytest

from menon.cli import main
from menon.problems import KINDS
from menon.problems.datasets import load_problems
from menon.problems.templates.family import own_families

OTHERS = [kind for kind in KINDS if kind != "families"]
ONE_OF_EACH = [
    "arithmetic",
    "set",
    "letter-strings",
    "word-sequences",
    "unexpected-contents",
    "decimals",
    "templates/7",
]


def run(capsys: pytest.CaptureFixture[str], *args: str | Path) -> str:
    code = main(["problems", *map(str, args)])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    return printed.out


def as_json(capsys: pytest.CaptureFixture[str], *args: str | Path) -> dict[str, Any]:
    return json.loads(run(capsys, *args, "--json"))


def test_list_groups_all_names_by_kind_with_one_line_each(capsys: pytest.CaptureFixture[str]):
    lines = run(capsys, "list").splitlines()[1:]
    headings = [line for line in lines if not line.startswith("  ")]
    assert headings == [*KINDS, "templates"]
    names = [line.split()[0] for line in lines if line.startswith("  ")]
    assert names == [name for registry in KINDS.values() for name in registry.names()] + [
        template.id for template in own_families()
    ]
    for kind, name in (("worlds", "arithmetic"), ("analogies", "letter-strings"), ("smoke", "decimals")):
        assert lines[lines.index(kind) + 1].startswith(f"  {name} ")
    assert lines[-1].startswith("  templates/44 ")
    shown = next(line for line in lines if line.startswith("  spatial "))
    assert "2-4" in shown
    assert "[map, swap-ns, swap-we, rotate-90, rotate-180, rotate-270, exchanged]" in shown


def test_list_as_json_adds_kinds_and_keeps_the_families(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    found = as_json(capsys, "list", "--out", tmp_path / "list.json")
    assert json.loads((tmp_path / "list.json").read_text(encoding="utf-8")) == found
    assert list(found) == ["families", *OTHERS, "templates"]
    assert [set(family) for family in found["families"]] == [{"name", "description", "difficulties", "hard_band"}] * 4
    for kind in OTHERS:
        assert [entry["name"] for entry in found[kind]] == KINDS[kind].names()
        assert all(entry["description"] and entry["worlds"] for entry in found[kind])
    arithmetic = found["worlds"][0]
    assert arithmetic["worlds"] == ["base10", "base8", "base9", "base11", "base16"]
    assert arithmetic["difficulties"] == [2, 3, 4, 5, 6]
    assert found["templates"][3]["worlds"] == ["both", "names", "numbers", "noop", "p1", "p2", "m1"]


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_show_tells_question_answer_grader_and_prompts(name: str, capsys: pytest.CaptureFixture[str]):
    value, text = as_json(capsys, "show", name, "2"), run(capsys, "show", name, "2")
    assert value["style"] == "plain"
    assert value["prompt"].startswith(value["question"])
    assert "Think step by step." in value["prompt"]
    assert value["direct_prompt"].startswith(value["question"])
    assert "Give only one line" in value["direct_prompt"]
    for told in (value["question"], value["answer"], value["grader"], value["prompt"], value["direct_prompt"]):
        assert told.strip() in text


def test_show_tells_the_check_of_the_world_where_there_is_one(capsys: pytest.CaptureFixture[str]):
    shown = as_json(capsys, "show", "arithmetic", "2", "--world", "base9")
    assert (shown["world"], shown["control"]["world"]) == ("base9", "base9")
    assert (
        int(shown["control"]["answer"], 9) == int(shown["control"]["question"].split("after ")[1].split("?")[0], 9) + 1
    )
    text = run(capsys, "show", "arithmetic", "2", "--world", "base9")
    assert f"comprehension check:\n{shown['control']['question']}\n" in text
    assert "control" not in as_json(capsys, "show", "digit-matrices")
    assert "comprehension check" not in run(capsys, "show", "digit-matrices")


def test_show_takes_world_difficulty_split_style_and_options(capsys: pytest.CaptureFixture[str]):
    asked = (
        "show",
        "logic",
        "1",
        "--world",
        "countersense",
        "--difficulty",
        "3",
        "--split",
        "train",
        "--style",
        "gsm8k",
    )
    shown = as_json(capsys, *asked)
    assert (shown["world"], shown["difficulty"], shown["split"]) == ("countersense", 3, "train")
    assert shown["prompt"] == f"Q: {shown['question']}\nA:"
    original = as_json(capsys, "show", "templates/3", "--split", "original")
    assert original["question"] == own_families()[3].original().question
    belief, feeling = (
        as_json(capsys, "show", "unexpected-contents", "--set", f"probe={probe}") for probe in ("belief", "feeling")
    )
    assert belief["meta"]["probe"] == "belief"
    assert feeling["meta"]["probe"] == "feeling"
    assert belief["question"] != feeling["question"]


@pytest.mark.parametrize(
    ("name", "world"),
    [
        ("arithmetic", "base9"),
        ("drawing", "flip"),
        ("letter-strings", "symbols"),
        ("digit-matrices", "default"),
        ("unexpected-transfer", "on top"),
        ("letters-in-words", "plain"),
        ("templates/7", "p1"),
    ],
)
def test_made_rows_are_read_back_as_they_were(
    name: str, world: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "made.jsonl"
    assert run(capsys, "make", name, "--count", "12", "--world", world, "--out", file) == (
        f"12 problems written to {file}\n"
    )
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    back = load_problems(file).problems
    assert [problem.id for problem in back] == [row["id"] for row in rows]
    assert [(problem.grader, problem.world) for problem in back] == [(row["grader"], row["world"]) for row in rows]
    assert {row["world"] for row in rows} == {world}
    printed = run(capsys, "make", name, "--count", "12", "--world", world).splitlines()
    assert [json.loads(line) for line in printed] == rows
    assert as_json(capsys, "show", name, "5", "--world", world)["id"] == rows[5]["id"]


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("show", "aritmetic"), "Did you mean 'arithmetic'"),
        (("make", "unexpected-content"), "Did you mean 'unexpected-contents'"),
        (("show", "templates/77"), "Did you mean 'templates/"),
        (("show", "chess", "--world", "upside-down"), "allowed: default, swapped"),
        (("show", "chess", "--difficulty", "99"), "99"),
        (("make", "templates/3", "--split", "test"), "split variant"),
        (("make", "digit-matrices", "--set", "chioces=true"), "Did you mean 'choices'"),
        (("make", "arithmetic", "--set", "digits=few"), "allowed: common, full"),
        (("make", "templates/3", "--out", "."), "templates-3.jsonl"),
        (("show", "logic", "--style", "commonsenseqa"), "needs choices"),
    ],
)
def test_mistakes_are_wrong_usage_and_tell_what_is_allowed(
    args: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["problems", *args]) == 2
    printed = capsys.readouterr()
    assert told in printed.err
    assert printed.out == ""

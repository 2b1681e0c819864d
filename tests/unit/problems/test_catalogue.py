"""The catalogue: every kind is found by name, asked alike, and survives being written to a file and read back."""

import json
from pathlib import Path
from typing import Any

import pytest

from menon.cli.problems import as_record
from menon.core.errors import ConfigError
from menon.core.values import Completion, Problem
from menon.grading import grade
from menon.problems import FAMILIES, KINDS
from menon.problems.catalogue import TEMPLATES, Source, find, sources
from menon.problems.datasets import load_problems
from menon.problems.minds import MIND_TASKS
from menon.problems.prompts import PLAIN
from menon.problems.smoke import SMOKE_TASKS
from menon.problems.splits import SPLITS
from menon.problems.templates.family import own_families

GENERATED = [(kind, name) for kind, registry in KINDS.items() for name in registry.names()]
SOME_TEMPLATES = [(TEMPLATES, f"templates/{number}") for number in (0, 24, 44)]
COUNT = 6


def _asked(source: Source) -> list[list[Problem]]:
    """Return problems of every world, and the comprehension checks where there are any."""
    worlds = [*source.worlds, *(["base=7"] if source.name == "addition" else [])]
    asked = [problem for world in worlds for problem in source.problems(COUNT, world=world)]
    checks = [source.control(index, world=world) for world in worlds for index in range(2)]
    found = [check for check in checks if check is not None]
    return [asked, found] if found else [asked]


def _read_back(problems: list[Problem], path: Path) -> tuple[Problem, ...]:
    path.write_text("\n".join(json.dumps(as_record(problem)) for problem in problems) + "\n", encoding="utf-8")
    dataset = load_problems(path)
    assert dataset.skipped == ()
    return dataset.problems


def _grades_its_gold_as_right(problem: Problem) -> bool:
    told = [
        PLAIN.completion(problem, problem.rationale or "", problem.answer),
        PLAIN.completion(problem, "", problem.answer, direct=True),
    ]
    return all(grade(problem, Completion(key="", text=text)).right for text in told)


def test_every_name_is_known_once_and_is_what_the_task_calls_itself():
    names = [source.name for kind in (*KINDS, TEMPLATES) for source in sources(kind)]
    assert len(set(names)) == len(names)
    assert names[: len(GENERATED)] == [name for _, name in GENERATED]
    assert [source.name for source in sources("minds")] == [task.name for task in MIND_TASKS]
    assert [source.name for source in sources("smoke")] == [task.name for task in SMOKE_TASKS]
    assert len(sources(TEMPLATES)) == len(own_families())
    assert FAMILIES.names() == ["addition", "chain", "counter-programs", "facts"]
    with pytest.raises(ConfigError, match=r"unknown kind of problems 'wrlds'; allowed: families, worlds, .*templates"):
        sources("wrlds")


@pytest.mark.parametrize(("kind", "name"), [*GENERATED, *SOME_TEMPLATES])
def test_problems_survive_a_file_and_grade_their_own_gold_as_right(kind: str, name: str, tmp_path: Path):
    source = find(name)
    assert (source.kind, source.name) == (kind, name)
    pairs = [
        pair for asked in _asked(source) for pair in zip(asked, _read_back(asked, tmp_path / "a.jsonl"), strict=True)
    ]
    assert len(pairs) >= COUNT
    for before, after in pairs:
        assert after.id == before.id
        for field in ("family", "question", "answer", "world", "split", "difficulty", "choices", "grader", "rationale"):
            assert getattr(after, field) == getattr(before, field), field
        assert after.meta.items() >= json.loads(json.dumps(before.meta)).items()
        assert _grades_its_gold_as_right(before)
        assert _grades_its_gold_as_right(after)


def test_matrices_with_choices_survive_a_file(tmp_path: Path):
    source = find("digit-matrices").with_options({"choices": True})
    asked = list(source.problems(20))
    back = _read_back(asked, tmp_path / "a.jsonl")
    assert [problem.choices for problem in back] == [problem.choices for problem in asked]
    assert all(_grades_its_gold_as_right(problem) for problem in back)


@pytest.mark.parametrize("name", [name for _, name in GENERATED])
def test_the_first_world_is_the_default_one_and_all_worlds_are_told(name: str):
    source = find(name)
    assert source.problem(3, world=source.worlds[0]) == source.problem(3)
    worlds = {source.problem(index, world=world).question for world in source.worlds for index in range(4)}
    assert len(worlds) > 3 * (len(source.worlds) > 1) + 2
    if name != "addition":  # takes any base
        with pytest.raises(ConfigError, match="no-such-world"):
            source.problem(0, world="no-such-world")
    for difficulty in source.difficulties:
        assert source.problem(0, difficulty=difficulty).difficulty == difficulty


def test_checks_are_there_for_the_kinds_that_have_them():
    with_check = {name for _, name in GENERATED if find(name).control(0) is not None}
    assert with_check == {*KINDS["worlds"].names(), *KINDS["minds"].names(), "letter-strings"}


def test_template_instances_are_distinct_and_equal_however_many_are_asked():
    source = find("templates/3")
    many = list(source.problems(12, world="noop"))
    assert len({problem.question for problem in many}) == 12
    assert source.problem(4, world="noop") == many[4]
    assert {problem.split for problem in many} == {"variant"}
    assert source.problem(0, split="original") == own_families()[3].original()
    other = source.with_options({"seed": 1})
    assert list(other.problems(12, world="noop")) != many


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"split": "test"}, r"no world 'default' in split 'test'; allowed: .*names.* split variant"),
        ({"world": "nop"}, "no world 'nop'"),
        ({"difficulty": 9}, "no difficulty 9; allowed: 4, its steps"),
        ({"split": "original", "index": 1}, "has 1 problems .* 2 were asked"),
        ({"split": "original", "world": "noop"}, "has 0 problems .* 1 were asked for; ask for fewer$"),
        (
            {"world": "names", "index": 3000},
            r"and 3001 were asked for; ask for fewer, or do not match .*matched = false",
        ),
    ],
)
def test_what_a_template_lacks_is_refused(asked: dict[str, Any], told: str):
    with pytest.raises(ConfigError, match=told):
        find("templates/3").problem(**{"index": 0, **asked})


def test_every_split_is_drawn_from():
    for split in SPLITS:
        assert find("arithmetic").problem(0, split=split).split == split


def test_options_are_fields_of_the_task_or_what_its_problems_are_asked_with():
    assert find("arithmetic").options == {"digits": "common", "difficulties": (2, 3, 4, 5, 6)}
    assert find("unexpected-transfer").options == {"probe": "belief"}
    assert find("digit-matrices").options == {"kind": None, "choices": False}
    assert find("templates/0").options == {"seed": 0, "matched": True}
    logic = find("digit-matrices").with_options({"kind": "XOR"}).with_options({"choices": True})
    assert {problem.difficulty for problem in logic.problems(5)} == {4}
    assert all(len(problem.choices) == 8 for problem in logic.problems(5))
    assert {problem.difficulty for problem in find("chain").with_options({"difficulties": 2}).problems(9)} == {2}


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("arithmetic", {"digts": "full"}, "arithmetic has no option 'digts'; allowed: difficulties, digits"),
        ("facts", {"difficulties": []}, "facts: difficulties is empty"),
        ("chain", {"difficulties": ["two"]}, "chain: difficulties is 'two'; allowed: a value like 1"),
        ("digit-matrices", {"choices": "no"}, "digit-matrices: choices is 'no'; allowed: a value like False"),
        ("word-sequences", {"worlds": ["a"]}, "no option 'worlds'; it has none"),
    ],
)
def test_options_that_cannot_be_are_told(name: str, options: dict[str, Any], told: str):
    with pytest.raises(ConfigError, match=told):
        find(name).with_options(options)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("aritmetic", "'arithmetic'"),
        ("letter-string", "'letter-strings'"),
        ("contents", "'unexpected-contents'"),
        ("decimal", "'decimals'"),
        ("matrices", "'digit-matrices'"),
        ("template/7", "'templates/7'"),
        ("templates/99", "'templates/9'"),
        ("chian", "'chain'"),
    ],
)
def test_the_nearest_names_come_from_all_kinds(name: str, nearest: str):
    with pytest.raises(ConfigError) as caught:
        find(name)
    assert f"unknown problems {name!r}; known: addition, " in str(caught.value)
    assert nearest in str(caught.value).partition("Did you mean ")[2]


def test_a_name_like_no_other_has_no_hint():
    with pytest.raises(ConfigError, match=r"known: .*drawing, .*decimals.*, templates/0 to templates/44\.$"):
        find("qqqqqq")


def test_rows_of_several_graders_keep_theirs_unless_one_is_named(tmp_path: Path):
    asked = [find(name).problem(0) for name in ("arithmetic", "programs", "chess")]
    back = _read_back(asked, tmp_path / "a.jsonl")
    assert [problem.grader for problem in back] == ["digits?base=10", "value", "word"]
    dataset = load_problems(tmp_path / "a.jsonl")
    assert dataset.grader == "digits?base=10, value, word"
    assert {problem.grader for problem in load_problems(tmp_path / "a.jsonl", grader="exact").problems} == {"exact"}


def test_rows_that_would_lose_something_are_skipped_with_the_reason(tmp_path: Path):
    plain = as_record(find("arithmetic").problem(0))
    rows = [plain, {**plain, "grader": "digits?basis=9"}, as_record(find("unexpected-contents").problem(0))]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    dataset = load_problems(path)
    assert len(dataset.problems) == 1
    assert [row.line for row in dataset.skipped] == [2, 3]
    assert "grader 'digits' has no option 'basis'; allowed: base" in dataset.skipped[0].reason
    assert "do not fit layout question/answer" in dataset.skipped[1].reason


def test_rows_without_a_grader_get_the_one_that_their_answers_call_for(tmp_path: Path):
    rows = [
        as_record(find("programs").problem(0)),
        {"question": "1+1?", "answer": "2"},
        {"question": "q", "answer": "3", "grader": "my own"},
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    assert [problem.grader for problem in load_problems(path).problems] == ["value", "number", "number"]

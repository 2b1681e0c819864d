"""Checking files of templates and instances: what is counted, what is listed, and what is only remarked on."""

import json
from pathlib import Path
from typing import Any

import pytest
from template_records import SECTIONS, WORKED, record, small

from menon.core.errors import DataError
from menon.problems.templates import draw, parse_template, render
from menon.problems.templates.check import check, equal_answers


def written(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def published(item: dict[str, Any], count: int = 20) -> list[dict[str, Any]]:
    template = parse_template(item, "t:1")
    made = [render(template, values) for values in draw(template, "published", count=count)]
    return [
        {"id": item["id_shuffled"], "instance": number, "question": one.question, "answer": one.worked}
        for number, one in enumerate(made)
    ]


def test_good_files_have_no_failures(tmp_path: Path):
    templates = written(tmp_path / "t.jsonl", record(number=1), record(number=2))
    instances = written(tmp_path / "i.jsonl", *published(record(number=2)), *published(record(number=1)))
    report = check([templates], instances, count=50)
    assert report.ok
    assert (report.templates, report.loaded, report.solvable) == (2, 2, 2)
    assert (report.instances, report.parsed, report.satisfied, report.answers_equal) == (40, 40, 40, 40)


def test_every_failure_is_listed_with_its_place(tmp_path: Path):
    templates = written(
        tmp_path / "t.jsonl",
        record(number=1),
        record(number=2, sections=""),
        {**small("- $x = range(9)", "- x > 20"), "id_shuffled": 3},
        {**small("- $x = range(9)", "- x == 3"), "id_shuffled": 4},
        {**small("- $x = range(50)", worked="#### {10 / x}"), "id_shuffled": 5},
    )
    good = published(record(number=1), 5)
    instances = written(
        tmp_path / "i.jsonl",
        good[0],
        {**good[1], "answer": "#### 99999"},
        {**good[2], "question": "What?"},
        {**good[3], "question": good[3]["question"].replace(" at ", " at - ").replace("- ", "")},
        {**good[4], "id": 77},
        {"id": 1},
    )
    report = check([templates], instances)
    assert (report.templates, report.loaded, report.solvable) == (5, 4, 1)
    assert (report.instances, report.parsed, report.satisfied, report.answers_equal) == (6, 3, 3, 2)
    reasons = [(Path(f.file).name, f.template, f.instance, f.reason) for f in report.failures]
    assert [reason[:3] for reason in reasons] == [
        *(("t.jsonl:2", "2", ""), ("t.jsonl:3", "3", ""), ("t.jsonl:4", "4", ""), ("t.jsonl:5", "5", "")),
        *(("i.jsonl:2", "1", "1"), ("i.jsonl:3", "1", "2"), ("i.jsonl:5", "77", "4"), ("i.jsonl:6", "1", "6")),
    ]
    for (*_, reason), part in zip(
        reasons,
        (
            *("#init is missing", "condition 'x > 20' cannot be met", "only 1 distinct questions, 50", "10 / x"),
            *("published is '99999'", "does not fit the template's text", "no template '77'", "no texts 'question'"),
        ),
        strict=True,
    ):
        assert part in reason


def test_a_broken_condition_is_a_failure_and_a_stray_value_a_warning(tmp_path: Path):
    templates = written(
        tmp_path / "t.jsonl", small("- $x = range(9)\n- y = sample(['a', 'b'])", "- x > 3", "{x,1} {y,a}?")
    )
    instances = written(
        tmp_path / "i.jsonl",
        {"id": 7, "instance": 0, "question": "2 a?", "answer": "#### 2"},
        {"id": 7, "instance": 1, "question": "50 c?", "answer": "#### 50.0"},
    )
    report = check([templates], instances, count=10)
    assert (report.parsed, report.satisfied, report.answers_equal) == (2, 1, 2)
    assert [f.reason for f in report.failures] == ["conditions that do not hold: ['x > 3'] with x=2, y=a"]
    assert [w.reason for w in report.warnings] == ["values outside of their domain: x is '50', y is 'c'"]


@pytest.mark.parametrize(
    ("item", "remark"),
    [
        (record(), "the answer needs kept, which the question does not show"),
        (record(sections=SECTIONS.replace("#answer: kept", "#answer: kept + 1")), "#answer 'kept + 1' gives"),
        (
            record(sections=SECTIONS.replace("#answer: kept", "#answer: kept[1]")),
            "#answer 'kept[1]' cannot be evaluated",
        ),
        (record(sections=SECTIONS.replace("#answer: kept", "")), "section #answer is missing"),
        (
            record(sections=SECTIONS.replace("- $n", "- season = sample(weekdays)\n- $n")),
            "'season' is declared and never",
        ),
        (record(sections=SECTIONS.replace('["pen",', '["pen", "pen",')), "lists 'pen' twice"),
    ],
)
def test_oddities_are_warnings(item: dict[str, Any], remark: str, tmp_path: Path):
    report = check([written(tmp_path / "t.jsonl", item)], count=5)
    assert report.ok
    assert report.solvable == 1
    assert any(remark in warning.reason for warning in report.warnings)


def test_the_file_whose_text_fits_is_taken_where_two_have_the_number(tmp_path: Path):
    one = written(tmp_path / "one.jsonl", record(number=1))
    two = written(tmp_path / "two.jsonl", record("{name, Ann}: {n, 3}", SECTIONS, WORKED, 1))
    instances = written(tmp_path / "i.jsonl", *published(record(number=1), 5))
    report = check([two, one], instances, count=5)
    assert report.ok
    assert report.answers_equal == 5


def test_a_missing_file_is_an_error(tmp_path: Path):
    with pytest.raises(DataError):
        check([tmp_path / "none.jsonl"])


def test_answers_are_compared_as_numbers():
    assert equal_answers("12", "12.0")
    assert equal_answers("1/2", "0.5")
    assert equal_answers("32.5", "32.5")
    assert equal_answers("Up", "up ")
    assert not equal_answers("12", "13")
    assert not equal_answers("12", "twelve")

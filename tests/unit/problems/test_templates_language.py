"""Reading template records and files: every form of the language, and every way in which a record can be wrong."""

import gzip
import json
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from template_records import QUESTION, SECTIONS, WORKED, record, small

from menon.core.errors import ConfigError, DataError
from menon.problems.templates import LISTS, TemplateError, load_templates, parse_template
from menon.problems.templates.language import Slot

WHERE = "file.jsonl:3"


def test_a_record_is_read_into_its_parts():
    template = parse_template(record(), WHERE)
    assert (template.id, template.id_orig, template.where, template.file) == ("7", 3, WHERE, "file.jsonl")
    assert template.shown == ("name", "n", "thing", "cur", "price", "frac", "total")
    assert template.hidden == ("kept",)
    assert [condition.text for condition in template.conditions] == [
        *("total == n * price", "is_int(n * frac)", "kept == n - int(n * frac)", "2 < kept < n")
    ]
    slots = [part for part in template.question if isinstance(part, Slot)]
    assert [slot.name for slot in slots if slot.starts] == ["name", "frac"]
    assert slots[0].default == "Ann"
    assert [value.value for value in template.domains["thing"].candidates] == ["pen", "cup", "map"]
    assert template.domains["n"].marked
    assert not template.domains["name"].marked
    assert template.domains["name"].external
    assert template.stated is not None
    assert template.stated.text == "kept"
    assert not any("<<" in part for part in template.worked if isinstance(part, str))


@pytest.mark.parametrize(
    "sections",
    [
        "#init:\n- $x = range(2, 5)\n#answer: x",
        "  #init:\n-$x=range(2,5)\n\n#conditions: \n- x > 1\n-x < 9\n\n#answer = x",
        "#init:\n- $x = range(2, 5)\n#conditions:\n#answer: {x} ",
        "#init:\r\n- $x = range(2,\r\n  5)\r\n#answer: $x",
        "#init:\n- x = sample(list(range(2, 5)))\n#answer: x",
    ],
)
def test_the_lexical_forms_of_the_published_files(sections: str):
    template = parse_template(record("Is it {x, 3}?", sections, "#### {x}"), WHERE)
    assert [value.value for value in template.domains["x"].candidates] == [2, 3, 4]
    assert template.stated is not None
    assert template.stated.text == "x"


@pytest.mark.parametrize(
    ("right", "texts", "values"),
    [
        ("numbers_within(9, 11)", ["nine", "ten", "eleven"], [9, 10, 11]),
        ("np.arange(19, 20.5, 0.5)", ["19.0", "19.5", "20.0"], [19.0, 19.5, 20.0]),
        ("frange(0.5, 1.25, 0.25)", ["0.5", "0.75", "1.0"], [0.5, 0.75, 1.0]),
        ("fix_floats(shuffle_list(list(np.arange(0.1, 0.35, 0.1))))", ["0.1", "0.2", "0.3"], [0.1, 0.2, 0.3]),
        ("sample([('twins', 2), ('triplets', 3)] * 2)", ["twins", "triplets"] * 2, [2, 3, 2, 3]),
        ("fraction_nums[:2]", ["1/2", "1/3"], [Fraction(1, 2), Fraction(1, 3)]),
        ("sample(multiple_ice + [5])", ["twice", "thrice", "5"], [2, 3, 5]),
        ("sample(weekdays[5:])", ["Saturday", "Sunday"], ["Saturday", "Sunday"]),
        ("np.random.randint(3, 6, 50)", ["3", "4", "5"], [3, 4, 5]),
        ("[0.25, 0.30]", ["0.25", "0.3"], [0.25, 0.3]),
        ("12", ["12"], [12]),
    ],
)
def test_domains(right: str, texts: list[str], values: list[Any]):
    variable = parse_template(small(f"- $x = {right}"), WHERE).domains["x"]
    assert [value.text for value in variable.candidates] == texts
    assert [value.value for value in variable.candidates] == values


def test_a_name_that_is_declared_twice_has_its_last_domain():
    template = parse_template(small("- $x = range(2, 5)\n- $x = range(7, 9)"), WHERE)
    assert [value.value for value in template.domains["x"].candidates] == [7, 8]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({}, "field 'question_annotated' is None"),
        (record(question_annotated=5), "field 'question_annotated' is 5"),
        (record(worked=" "), "field 'answer_annotated'"),
        (record(question="a" * 10**6), "1,000,[0-9]{3} characters long; at most 50,000"),
        (record(number=""), "no id_shuffled"),
        (record(sections=""), "section #init is missing"),
        (record(sections="#answer: 3"), "section #init is missing"),
        (record(sections=SECTIONS + SECTIONS), "section #init stands there twice"),
        (record(question="", sections="#init:\n- $n = range(3)"), "no question text"),
        (record(question="{n, 3"), "'{' without its partner near"),
        (record(question="n, 3} is"), "'}' without its partner near"),
        (record(question="{q, 3}"), r"question slot '\{q, 3\}'; allowed: \{name, default\}"),
        (record(question="{n + 1, 3}"), "question slot"),
        (record(worked="It is 3."), "no last line '#### {expression}'"),
        (record(worked="#### "), "no last line '#### {expression}'"),
        (record(worked="#### {q}"), "answer slot 'q': unknown name 'q'; known: cur, frac"),
        (record(worked="{n.real} #### {n}"), r"answer slot 'n.real': 'n.real' \(Attribute\) is not part"),
        (small("$x = range(3)"), "line '.*' does not begin with '- '"),
        (small("- x 3"), "is no assignment such as"),
        (small("- x! = range(3)"), "is no assignment such as"),
        (small("- $x = range(3, 3)"), "#init line .* there is nothing in it"),
        (small("- $x = range(10**9)"), r"#init line '\$x = range\(10\*\*9\)': a list of more than 100,000"),
        (small("- $x = 9**9**9"), "#init line .* a power above 1,000"),
        (small("- $x = __import__('os')"), "#init line .* unknown function '__import__'; known: divides"),
        (small("- x = sample(nemas)"), "unknown name 'nemas'; known: cities"),
        (small("- $x, $y = sample(names, 2)"), "'\\$' goes with one name"),
        (small("- x, y = sample(names)"), "2 names for 1 values"),
        (small("- x, y = sample(names, 3)"), "2 names for 3 values"),
        (small("- x, y = sample([1], 2)"), "2 values of a list of 1"),
        (small("- x, y = sample(names, 10**5 > 3)"), "draws True values"),
        (small("- x, y = sample(names, 2)\n- x = sample(names)"), "'x' is declared in another line too"),
        (small("- $x = range(3)", "- x > y"), "condition 'x > y': unknown name 'y'; known: x"),
        (small("- $x = range(3)", "- x >"), "condition 'x >': it is no expression"),
        (small("- $x = range(3)", "- " + "(" * 250 + "x" + ")" * 250), "condition .* no expression"),
        (small("- $x = range(3)", "- [i for i in range(x)]"), "ListComp.* is not part of the language"),
    ],
)
def test_a_wrong_record_names_file_template_and_line(broken: dict[str, Any], message: str):
    begun = time.perf_counter()
    with pytest.raises(TemplateError, match=message) as raised:
        parse_template(broken, WHERE)
    assert time.perf_counter() - begun < 1
    assert str(raised.value).startswith(f"{WHERE}: template {str(broken.get('id_shuffled', ''))!r}: ")
    assert len(str(raised.value)) < 1_000


def _lines(*records: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(r, ensure_ascii=False).encode() + b"\n" for r in records)


@pytest.mark.parametrize("packed", [False, True])
def test_one_bad_record_never_loses_the_others(packed: bool, tmp_path: Path):
    content = _lines(record(number=1), record(number=2, sections="")) + b"{not json\n[1]\n" + _lines(record(number=3))
    file = tmp_path / ("t.jsonl.gz" if packed else "t.jsonl")
    file.write_bytes(gzip.compress(content) if packed else content)
    loaded = load_templates(file)
    assert [template.id for template in loaded.templates] == ["1", "3"]
    assert [failure.file.rpartition(":")[2] for failure in loaded.failures] == ["2", "3", "4"]
    assert loaded.failures[0].template == "2"
    assert "#init is missing" in loaded.failures[0].reason
    assert "not JSON" in loaded.failures[1].reason


def test_a_json_file_and_a_folder_of_them(tmp_path: Path):
    (tmp_path / "set").mkdir()
    for number in (1, 2):
        file = tmp_path / "set" / f"000{number}.json"
        file.write_text(json.dumps(record(number=number), indent=2), encoding="utf-8")
    (tmp_path / "set" / "0003.json").write_text("{", encoding="utf-8")
    (tmp_path / "all.json").write_text(json.dumps([record(number=8), record(number=9)]), encoding="utf-8")
    loaded = load_templates(tmp_path / "set")
    assert [template.id for template in loaded.templates] == ["1", "2"]
    assert [Path(failure.file).name for failure in loaded.failures] == ["0003.json"]
    assert [template.id for template in load_templates(tmp_path / "all.json").templates] == ["8", "9"]


def test_mixed_encodings_are_noted_and_the_rest_is_read(tmp_path: Path):
    latin = json.dumps(record(QUESTION.replace("Ann", "Zoë"), number=2), ensure_ascii=False).encode("latin-1")
    file = tmp_path / "t.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + _lines(record(QUESTION.replace("Ann", "Zoë"), number=1)) + latin + b"\n")
    loaded = load_templates(file)
    assert [template.id for template in loaded.templates] == ["1", "2"]
    assert loaded.notes == (f"{file}:2: not UTF-8, read as Latin-1",)
    (tmp_path / "wide.jsonl").write_bytes(_lines(record()).decode().encode("utf-16"))
    with pytest.raises(DataError, match="UTF-16; save it as UTF-8"):
        load_templates(tmp_path / "wide.jsonl")


def test_a_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(DataError, match="no data at"):
        load_templates(tmp_path / "none.jsonl")
    with pytest.raises(TemplateError, match=r"holds no \.json file"):
        load_templates(tmp_path)


def test_lists_can_be_added_and_replaced():
    lists = {"names": ["Zed"], "planets": [["Red one", 4], "Venus"]}
    template = parse_template(small("- x = sample(names)\n- $y = planets"), WHERE, lists=lists)
    assert [v.text for v in template.domains["x"].candidates] == ["Zed"]
    assert [(v.text, v.value) for v in template.domains["y"].candidates] == [("Red one", 4), ("Venus", "Venus")]
    for wrong in ({"names": []}, {"names": "Zed"}, {"names": [None]}, {"two words": ["a"]}):
        with pytest.raises(ConfigError, match="list '"):
            parse_template(small("- x = sample(names)"), WHERE, lists=wrong)


def test_the_lists_have_the_documented_forms():
    assert {"1/5", "one-fifth", "2/5", "two-fifths"} <= {v.text for v in LISTS["fraction_alnum"]}
    assert [v.text for v in LISTS["fraction_nums"][:5]] == ["1/2", "1/3", "1/4", "2/3", "2/4"]
    assert {"half", "a third", "a quarter", "a fifth", "an eighth", "a tenth", "1/10"} <= {
        v.text for v in LISTS["fractions"]
    }
    assert [v.text for v in LISTS["multi_times"]][::8] == ["two times", "ten times"]
    assert LISTS["fraction_decimals"] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert len(set(LISTS["names"])) == len(LISTS["names"]) == len(LISTS["names_male"]) + len(LISTS["names_female"])
    assert WORKED

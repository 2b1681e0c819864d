"""The page: complete, self-contained, safe with hostile text, and of use when parts of a report are missing."""

import base64
import copy
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from sample_report import sample_report

from menon.core.errors import DataError, RunError
from menon.reports import render, write_report

VOID = {"meta", "link", "br", "img", "input", "hr"}
SECTIONS = ("verdict", "accuracy", "difficulty", "rounds", "recitation", "transcripts", "cost", "reproduce", "words")


class Page(HTMLParser):
    """Collects tags and text, and checks that elements are closed in order."""

    def __init__(self, html: str):
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def words(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.text))


def without(*names: str) -> dict[str, Any]:
    return {key: value for key, value in sample_report().items() if key not in names}


def test_full_report_is_well_formed_and_has_every_section():
    page = Page(render(sample_report()))
    assert page.open == []
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert set(SECTIONS) <= set(ids)
    assert not [attributes for _, attributes in page.tags if "missing" in (attributes.get("class") or "")]
    targets = [a["href"] for tag, a in page.tags if tag == "a"]
    assert all(target and target.startswith("#") and target[1:] in ids for target in targets)


def test_numbers_of_the_report_stand_on_the_page():
    words = Page(render(sample_report())).words().replace("\u202f", " ")
    for number in ("76 % (70–81)", "19 % → 76 %", "+57 points", "99 % (97–100)", "+32 (+27 to +36)", "< 0.001"):
        assert number in words
    for name in ("rationalised", "unsound step", "hint leaked", "reciter", "1.84 M", "3 min 07 s", "1.2 GB"):
        assert name in words
    assert "menon run quickstart" in words


def test_page_loads_nothing_and_allows_only_its_own_script_and_style():
    html = render(sample_report())
    page = Page(html)
    for tag, attributes in page.tags:
        assert tag not in {"link", "img", "iframe", "object", "embed", "form", "base", "audio", "video"}
        assert not {"src", "srcset", "style", "action", "data", "poster"} & set(attributes)
        assert not any(name.startswith("on") for name in attributes)
    assert not re.search(r"@import|url\(|https?://", html)
    policy = next(a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy") or ""
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for kind in ("style", "script"):
        inside = re.findall(rf"<{kind}>(.*?)</{kind}>", html, re.DOTALL)
        assert len(inside) == 1
        digest = base64.b64encode(hashlib.sha256(inside[0].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


@pytest.mark.parametrize("field", ["text", "question", "answer", "family", "verdict", "id"])
def test_hostile_text_is_shown_and_never_runs(field: str):
    report = sample_report()
    hostile = '</pre></svg><script>alert("x")</script><img src=x onerror=alert(1)>\' onmouseover="alert(2)"'
    row = report["transcripts"][0]
    side = row["before"] if field in ("text", "verdict") else row
    side[field] = hostile
    page = Page(render(report))
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert "img" not in [tag for tag, _ in page.tags]
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert page.open == []


def test_hostile_names_are_escaped_in_charts_tables_and_title():
    text = json.dumps(sample_report()).replace('"addition"', '"<b onclick=x>&\\"\'"').replace("menon:base", "<i>m</i>")
    html = render(json.loads(text))
    assert "<b onclick" not in html
    assert "<i>m</i>" not in html
    assert Page(html).open == []


def test_control_characters_surrogates_and_direction_marks_become_visible():
    report = sample_report()
    report["transcripts"][0]["after"]["text"] = "a\x00b\x1b[31mc\ud800d\u202ee\x9bf\tg\nh\r\nk"
    html = render(report)
    html.encode("utf-8")
    assert "a⟨U+0000⟩b⟨U+001B⟩[31mc⟨U+D800⟩d⟨U+202E⟩e⟨U+009B⟩f\tg\n" in html
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", html)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("accuracy", "hard_band"), "No accuracy has been measured yet"),
        (("by_difficulty",), "No accuracy by difficulty"),
        (("by_round",), "no accuracy per round"),
        (("rounds",), "no teaching rounds"),
        (("recitation_share",), "no originals against fresh instances"),
        (("known_answers",), "reciter and oracle were not run"),
        (("paired",), "nothing to pair"),
        (("transcripts",), "No transcripts were stored"),
        (("cost",), "No cost was recorded"),
        (("manifest",), "No manifest was recorded"),
        (("verdict",), "has not come to a verdict"),
    ],
)
def test_missing_section_says_what_to_run(names: tuple[str, ...], said: str):
    page = Page(render(without(*names)))
    assert page.open == []
    assert said in page.words()
    assert any("menon" in text for text in page.text)


@pytest.mark.parametrize("name", [key for key in sample_report() if key != "schema"])
@pytest.mark.parametrize("value", [None, {}, [], "text", 3])
def test_sections_of_another_shape_do_not_break_the_page(name: str, value: Any):
    assert Page(render({**sample_report(), name: value})).open == []


def test_empty_cells_do_not_break_the_page():
    def emptied(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: emptied(item) for key, item in value.items()}
        return [emptied(item) for item in value] if isinstance(value, list) else None

    assert Page(render({**emptied(sample_report()), "schema": 1})).open == []


def test_numbers_that_are_not_finite_are_shown_as_missing():
    report = sample_report()
    report["accuracy"]["chain"]["after"] = {"value": float("nan"), "low": float("nan"), "high": float("inf"), "n": 0}
    report["recitation_share"]["chain"]["before"]["high"] = None
    assert not re.search(r"\b(nan|inf)\b", re.sub(r"<style>.*?</style>", "", render(report), flags=re.DOTALL))


def test_run_without_direct_control_says_how_to_get_one():
    report = sample_report()
    for section in ("accuracy", "hard_band", "by_difficulty"):
        for phases in report[section].values():
            del phases["direct"]
    words = Page(render(report)).words()
    assert "no direct control" in words
    assert "--set direct_control=true" in words


def test_interrupted_run_names_the_command_that_continues_it():
    report = sample_report()
    del report["verdict"]["after"]
    words = Page(render(report)).words()
    assert "has not come to the audit after teaching. Continue it with menon run quickstart" in words
    assert "Not audited yet." in words


def test_warnings_speak_up_against_the_verdict():
    report = sample_report()
    report["known_answers"][1]["verdict"] = "recites"
    report["recitation_share"]["facts"]["before"]["verdict"] = "cannot tell yet"
    report["rounds"][1]["alarms"] = ["only 3 of 100 samples were kept"]
    report["by_difficulty"]["chain"]["after"][7]["truncated"] = 1.0
    report["doctor"] = {"findings": [{"level": "refuse", "what": "0 % right", "mend": "ask easier questions"}]}
    words = Page(render(report)).words()
    assert "The audit says 'recites' of scripted:oracle" in words
    assert "can only be recited, but the audit says 'cannot tell yet'" in words
    assert "Round 2: only 3 of 100 samples were kept." in words
    assert "The doctor advised against this run" in words
    assert "12% of the answers on chain after teaching were cut off" in words
    assert "Warning." not in Page(render(sample_report())).words()


def test_every_chart_reads_as_text():
    html = render(sample_report())
    charts = re.findall(r'<svg class="chart".*?</svg>', html, re.DOTALL)
    assert len(charts) >= 12
    for chart in charts:
        labels = re.search(r'role="img" aria-labelledby="(\S+) (\S+)"', chart)
        assert labels
        title, description = (re.search(rf'id="{name}">([^<]+)<', chart) for name in labels.groups())
        assert title
        assert description


def test_same_report_gives_the_same_page_and_is_left_alone():
    report = sample_report()
    before = copy.deepcopy(report)
    assert render(report) == render(sample_report())
    assert report == before


def test_write_report_reads_the_run_and_replaces_the_page(tmp_path: Path):
    (tmp_path / "report.json").write_text(json.dumps(sample_report()), encoding="utf-8")
    (tmp_path / "report.html").write_text("old", encoding="utf-8")
    path = write_report(tmp_path)
    assert path == tmp_path / "report.html"
    assert path.read_text(encoding="utf-8") == render(tmp_path) == render(tmp_path / "report.json")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.html", "report.json"]


def test_unfinished_run_directory_gets_a_page_from_its_manifest_and_recipe(tmp_path: Path):
    (tmp_path / "manifest.json").write_text('{"command": "menon run mine.toml", "versions": {"menon": "9.9"}}')
    (tmp_path / "recipe.toml").write_text('study = "bootstrap"\nmodel = "my/model"\n')
    words = Page(render(tmp_path)).words()
    assert "Continue it with menon run mine.toml" in words
    assert "my/model" in words
    assert "9.9" in words


def test_what_cannot_be_read_is_refused_with_a_remedy(tmp_path: Path):
    with pytest.raises(RunError, match="no run at"):
        render(tmp_path)
    (tmp_path / "report.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="is not JSON"):
        write_report(tmp_path)
    (tmp_path / "report.json").write_text("[]", encoding="utf-8")
    with pytest.raises(DataError, match="holds a list"):
        render(tmp_path)
    with pytest.raises(DataError, match="schema 2"):
        render({"schema": 2})
    (tmp_path / "report.json").unlink()
    (tmp_path / "recipe.toml").write_text("= broken")
    with pytest.raises(DataError, match="is not TOML"):
        render(tmp_path)


def test_skipped_data_rows_are_told():
    report = {
        **sample_report(),
        "data": {"layout": "gsm8k", "problems": 64, "skipped": [{"line": 3, "reason": "no answer"}]},
    }
    assert "64 problems read, 1 rows skipped (line 3: no answer)" in Page(render(report)).words()

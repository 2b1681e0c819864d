"""The page of an audit: complete whatever the report lacks, nothing in it runs, every number is the report's own."""

import html.parser
import json
import re
from pathlib import Path
from typing import Any

import pytest
from sample_audit import HOSTILE, effect, item, sample_audit

from menon.reports import audit_summary, render, write_report

VOID = {"meta", "br", "img", "link", "hr", "input", "rect", "line", "circle", "path", "polyline", "polygon"}


class Page(html.parser.HTMLParser):
    """The elements of a page: checks that they nest, and keeps texts, scripts and attributes."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def hostile(value: Any) -> Any:
    """Put the attack into every text of a report, but for the words that choose what is drawn."""
    if isinstance(value, dict):
        kept = ("study", "kind", "status")
        return {key: v if key in kept else hostile(v) for key, v in value.items()}
    if isinstance(value, list):
        return [hostile(entry) for entry in value]
    return HOSTILE if isinstance(value, str) else value


def test_a_finished_audit_says_what_was_found_first():
    page = Page(render(sample_audit()))
    first = page.text.index("This model recites.")
    assert first < page.text.index("90 % right on originals") < page.text.index("All evidence")
    for said in ("72", "Counterfactual worlds", "Overthinking : no reasoning text", "The budget was spent", "A note."):
        assert said in page.text, said
    assert "No calibration panel" in page.text or "AUC" in page.text


def test_charts_have_text_alternatives():
    text = render(sample_audit())
    charts = re.findall(r"<svg class=\"chart\".*?</svg>", text, re.DOTALL)
    assert len(charts) == 4, "forest, templates, looks, one curve"
    for chart in charts:
        assert 'role="img"' in chart
        assert re.search(r"<title[^>]*>[^<]+</title>", chart)
        assert re.search(r"<desc[^>]*>[^<]{20,}</desc>", chart)
    assert "algebra" in re.findall(r"<desc[^>]*>(.*?)</desc>", charts[0])[0]


def test_every_number_of_a_table_is_in_the_report():
    report = sample_audit()
    tables = re.findall(r"<table>.*?</table>", render(report), re.DOTALL)
    assert len(tables) >= 4
    known: set[str] = set()

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            for entry in value.values():
                collect(entry)
        elif isinstance(value, list):
            for entry in value:
                collect(entry)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            for shown in (value, 100 * value):
                known.update(
                    {
                        f"{abs(shown):.0f}",
                        f"{abs(shown):.1f}",
                        f"{abs(shown):.2g}",
                        f"{abs(shown):.3g}",
                        f"{abs(shown):.3f}",
                    }
                )

    collect(report)
    known |= {"0.001", "1"}  # "p < 0.001", and limits of shares
    for table in tables:
        body = re.sub(r"<[^>]+>", " ", table.split("<tbody>")[1])
        body = re.sub(r"base\d+", "", body).replace("\u202f", "").replace("−", "")
        for number in re.findall(r"\d+(?:\.\d+)?", body):
            assert number in known, (number, body)


def test_nothing_of_a_hostile_report_becomes_markup():
    report = {**hostile(sample_audit()), "model": HOSTILE, "command": HOSTILE}
    plain, attacked = Page(render(sample_audit())), Page(render(report))
    assert "img" not in attacked.tags
    assert attacked.tags.count("script") == plain.tags.count("script") == 1
    assert attacked.tags.count("style") == 1
    assert not [name for name, _ in attacked.attributes if name.startswith("on")]
    text = render(report)
    assert "\u202e" not in text
    assert "\x00" not in text
    assert "\x1b" not in text
    assert "⟨U+202E⟩" in text
    assert "{{ 7 * 7 }}" in text


def test_a_hostile_summary_holds_no_control_characters():
    report = {**hostile(sample_audit()), "model": HOSTILE}
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", audit_summary(report))


@pytest.mark.parametrize("lacking", sorted(set(sample_audit()) - {"schema", "study"}))
def test_a_page_without_one_section_is_complete(lacking: str):
    report = {key: value for key, value in sample_audit().items() if key != lacking}
    page = Page(render(report))
    assert page.tags.count("h1") == 1
    assert "None" not in page.text
    Page(render({**report, lacking: None}))
    audit_summary(report)


def test_an_empty_report_and_an_interrupted_run_say_how_to_go_on(tmp_path: Path):
    page = Page(render({"schema": 1, "study": "audit"}))
    assert "We cannot tell yet" in page.text
    assert "has not come to a verdict" in page.text
    manifest = {"study": "audit", "model": "m", "command": "menon audit m --out here"}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    page = Page(write_report(tmp_path).read_text(encoding="utf-8"))
    assert "menon audit m --out here" in page.text
    assert "has not come to a verdict" in page.text


def test_unknown_labels_and_odd_values_are_shown_as_such():
    report = sample_audit()
    report["verdict"]["label"] = "confused"
    report["probes"][0]["finding"]["label"] = "confused"
    report["forest"] += [effect("odd", float("nan")), {"label": None}, effect("wide", 0.5, low=None, high=None), "text"]
    report["items"]["worlds/arithmetic/base10"] = [{}, item(1, verdict="puzzled", answer=None, extracted=None), "text"]
    report["pairs"] += [{}, None]
    report["examined"] = {"worlds": None, "minds": {"reciter": None}}
    report["known_answers"] = [{}]
    report["comparisons"].append({"understood": None})
    page = Page(render(report))
    assert "confused" in page.text
    assert "puzzled" in page.text
    assert "nan" not in page.text.lower().split()
    audit_summary(report)


def test_a_text_of_100_000_characters_is_kept_whole():
    report = sample_audit()
    report["items"]["worlds/arithmetic/base10"] = [item(1, text="x" * 100_000, answer="9" * 5_000)]
    assert "x" * 100_000 in render(report)


def test_several_models_get_a_clause_each():
    report = {
        **sample_audit(),
        "verdicts": {"one": {"label": "reasons"}, "two": {"label": "recites"}, "three": {"label": "?"}},
    }
    assert "one reasons; two recites; three cannot be judged yet." in Page(render(report)).text


def test_equal_reports_give_equal_pages():
    assert render(sample_audit()) == render(json.loads(json.dumps(sample_audit())))

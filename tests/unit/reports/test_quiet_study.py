"""The Quiet-STaR study: its page, its table for documents, and its pictures say what the report says."""

import copy
import math
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from sample_quiet import ARMS, ATTACK, sample_study
from test_quiet_page import Page, is_of, leaves, numbers

from menon.core.errors import DataError
from menon.reports.quiet_study import headline, quiet_table_markdown, render_quiet_study, write_quiet_study
from menon.reports.quiet_study_figures import pictures

PICTURES = ("arms", "lengths", "hardness", "curves", "embedded")


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return sample_study()


@pytest.fixture(scope="module")
def page(report: dict[str, Any]) -> str:
    return render_quiet_study(report)


def test_every_number_in_the_tables_is_in_the_report(page: str, report: dict[str, Any]):
    parsed, known = Page(page), list(leaves(report))
    shown = [text for text in parsed.of("td") if not re.search(r" (s|min|h)\b", text)]
    cells = [n for text in shown for n in numbers(text.replace("–", " "))]
    assert len(cells) > 400
    assert [n for n in cells if not is_of(*n, known)] == []


def test_the_verdict_compares_the_method_with_its_best_control(page: str, report: dict[str, Any]):
    parsed = Page(page)
    said = "Quiet-STaR: 97\u202f% (94–100) of the answers right with thought, 13\u202f% (11–15) without"
    assert parsed.of("h1") == [said]
    assert parsed.of("lead")[0] == (
        "The best of the 6 controls is “no non-myopic loss” with 91\u202f% (88–94). The two intervals overlap."
    )
    fewer = {**report, "arms": [arm for arm in report["arms"] if arm["name"] not in ("no-talk", "myopic")]}
    assert "“plain language model, equal CPU” with 41\u202f% (39–43). The two intervals lie apart." in "".join(
        Page(render_quiet_study(fewer)).of("lead")
    )


def test_every_arm_and_seed_has_its_row(page: str):
    heads = Page(page).of("tbody", "th")
    for _, title, _, _ in ARMS:
        assert heads.count(title) == 2 + 3
    assert "Seeds: 11, 12, 13." in page


def test_an_arm_without_thoughts_has_dashes(report: dict[str, Any]):
    table = quiet_table_markdown(report)
    plain = [line for line in table.splitlines() if line.startswith("| plain language model")]
    assert len(plain) == 2
    assert plain[1].split(" | ")[1:3] == ["–", "–"]


def test_markdown_tables_are_whole_and_say_what_the_report_says(report: dict[str, Any]):
    table = quiet_table_markdown(report)
    blocks = [block.splitlines() for block in table.split("\n\n") if block.startswith("|")]
    assert len(blocks) == 6
    for lines in blocks:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
    first = blocks[0][2]
    assert first.startswith("| Quiet-STaR | 150 | 1 min 01 s | 97\u202f% (94–100) | 13\u202f% (11–15) | 0.059 (")
    assert "| 4 | 57\u202f% (54–60) | 0.960 (0.890 to 1.030) |" in table
    assert "| 90-100% | 1\u202f852 | 3.079 | +0.911 (0.864 to 0.959) | 0.59 |" in table
    assert "| without thought | 7.310 | 7.120 |" in table


def test_markdown_keeps_hostile_titles_inside_their_cells(report: dict[str, Any]):
    mean = copy.deepcopy(report)
    mean["arms"][0]["title"] = "a | b\nc <script>x</script> \\"
    line = quiet_table_markdown(mean).splitlines()[4]
    assert line.startswith("| a \\| b c &lt;script&gt;x&lt;/script&gt; \\\\ | 150 |")


def test_pictures_are_well_formed_and_carry_their_own_colours(tmp_path: Path, report: dict[str, Any]):
    mean = copy.deepcopy(report)
    mean["arms"][1]["title"] = ATTACK
    mean["by_hardness"][0]["bin"] = ATTACK
    assert write_quiet_study(tmp_path, mean) == tmp_path / "report.html"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["report.html", "quiet.md", *(f"quiet-{name}.svg" for name in PICTURES)]
    )
    for name in PICTURES:
        text = (tmp_path / f"quiet-{name}.svg").read_text(encoding="utf-8")
        root = ET.fromstring(text)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert not {element.tag.rsplit("}", 1)[-1] for element in root.iter()} & {"script", "image", "img", "use"}
        assert "--after" in text
        wide = float(root.get("width") or 0)
        assert all(float(e.get("x") or 0) <= wide for e in root.iter() if e.tag.endswith("text"))


def test_pictures_say_every_estimate(report: dict[str, Any]):
    drawn = pictures(report)
    said = str(drawn["arms"])
    for _, title, mixed, text in ARMS:
        assert f"{title}, with thought: {100 * mixed:.0f}\u202f% (" in said
        assert f"{title}, without thought: {100 * text:.0f}\u202f% (" in said
    assert "4: 57\u202f% (54–60)" in str(drawn["lengths"])
    assert "90-100%, gain: +0.911 (0.864 to 0.959), n = 1\u202f852" in str(drawn["hardness"])
    assert "Answers right with thought: Quiet-STaR: step 0 12\u202f%" in str(drawn["curves"])


def test_hostile_texts_are_only_text(report: dict[str, Any]):
    clean = Page(render_quiet_study(report))
    mean = copy.deepcopy(report)
    mean["arms"][0]["title"] = mean["arms"][1]["name"] = mean["command"] = ATTACK
    mean["curves"][ATTACK] = mean["curves"].pop("pause")
    mean["by_hardness"][0]["bin"] = mean["seeds"][0] = ATTACK
    parsed = Page(render_quiet_study(mean))
    assert len(parsed.scripts) == len(clean.scripts) == 1
    assert "img" not in {tag for tag, _ in parsed.elements}
    assert not any(name.startswith("on") or name == "style" for _, found in parsed.elements for name in found)
    assert all((f.get("href") or "#").startswith("#") and "src" not in f for _, f in parsed.elements)


@pytest.mark.parametrize("name", ["arms", "lengths", "by_hardness", "curves", "embedded", "seeds", "command"])
@pytest.mark.parametrize("wrong", [None, 3, [], {}, [None, {"summary": 3, "runs": {}}], {"a": [3]}])
def test_a_missing_or_odd_part_leaves_the_rest(tmp_path: Path, report: dict[str, Any], name: str, wrong: Any):
    page = Page(write_quiet_study(tmp_path, {**report, name: wrong}).read_text(encoding="utf-8"))
    assert "None" not in "".join(text for _, text in page.texts)
    if name != "arms":
        assert "97\u202f% (94–100)" in page.of("td")
    assert (tmp_path / "quiet-lengths.svg").exists() is (name != "lengths")


def test_an_empty_study_says_so():
    assert headline({}) == "This study has not measured an arm yet."
    assert Page(render_quiet_study({})).of("missing") == ["No arm was measured yet."]
    assert quiet_table_markdown({}) == "\n"
    with pytest.raises(DataError, match="schema"):
        quiet_table_markdown({"schema": 0})


def test_lost_numbers_are_dashes(report: dict[str, Any]):
    mean = copy.deepcopy(report)
    mean["arms"][0]["summary"]["answer_nll_mixed"] = {"value": math.nan, "low": 0.0, "high": math.inf}
    mean["arms"][0]["runs"][0]["answer_nll_mixed"] = math.nan
    mean["lengths"][0]["answer_accuracy_mixed"] = {"value": math.inf}
    mean["curves"]["quiet"][1]["reward"] = math.nan
    parsed = Page(render_quiet_study(mean))
    words = " ".join([*(t for _, t in parsed.texts), *(str(v) for _, f in parsed.elements for v in f.values())])
    assert not re.search(r"\b(nan|inf|infinity)\b", words, re.IGNORECASE)
    assert "– | 1.949" in quiet_table_markdown(mean)


@pytest.mark.parametrize(
    "own",
    [
        {"before": {"perplexity_text": 7.31}, "after": {"perplexity_text": 7.12}},
        {"perplexity_text": {"before": 7.31, "after": 7.12}},
        {"perplexity_text": {"before": {"value": 7.31}, "after": {"value": 7.12}}},
    ],
)
def test_perplexities_are_read_by_phase_or_by_name(own: dict[str, Any]):
    assert "| without thought | 7.310 | 7.120 |" in quiet_table_markdown({"embedded": own})
    assert "| with thought | – | 5.000 |" in quiet_table_markdown({"embedded": {"perplexity_mixed": 5.0}})

"""The page of a Quiet-STaR run: every number is the report's, tokens are only text, missing parts are said."""

import base64
import copy
import hashlib
import html.parser
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sample_quiet import ATTACK, RTL, cell, evaluation, sample_quiet

from menon.core.errors import DataError, RunError
from menon.reports import quiet_words
from menon.reports.page import asset
from menon.reports.quiet_figures import MOST_POINTS, hardness_bars, thinned, training_panels
from menon.reports.quiet_page import render_quiet, write_quiet_page
from menon.reports.quiet_tokens import MOST_TOKENS, gain_class, in_text, marked, told, weight_class

VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(html.parser.HTMLParser):
    """Elements with their attributes, texts with the classes of all elements around them; strict about nesting."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[tuple[str, set[str]]] = []
        self.texts: list[tuple[set[str], str]] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names))
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append((tag, {tag, *(dict(attrs).get("class") or "").split()}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if not self.open:
            return
        tag = self.open[-1][0]
        if tag in ("script", "style"):
            (self.scripts if tag == "script" else self.styles).append(data)
        else:
            self.texts.append((set().union(*(names for _, names in self.open)), data))

    def of(self, *names: str) -> list[str]:
        """Return the texts inside elements of every one of these names or classes."""
        return [text for classes, text in self.texts if set(names) <= classes]

    def tokens(self) -> list[dict[str, str | None]]:
        return [found for tag, found in self.elements if tag == "span" and "data-thoughts" in found]


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return sample_quiet()


@pytest.fixture(scope="module")
def short(report: dict[str, Any]) -> dict[str, Any]:
    """Return the same report with less of everything that is long."""
    texts = [{**text, "tokens": text["tokens"][:12]} for text in report["texts"][:1]]
    return {**report, "texts": texts, "curve": report["curve"][::40]}


@pytest.fixture(scope="module")
def page(report: dict[str, Any]) -> str:
    return render_quiet(report)


def leaves(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield float(value)


def numbers(text: str) -> list[tuple[float, int]]:
    """Return every number in a text with its count of decimals."""
    plain = text.replace("−", "-").replace("\u202f", "")
    found = re.findall(r"(?<![\w.])[-+]?\d+(?:\.\d+)?", plain)
    return [(float(word), len(word.partition(".")[2])) for word in found]


def is_of(value: float, decimals: int, known: list[float]) -> bool:
    half = 0.5 * 10**-decimals + 1e-9
    return any(abs(scale * leaf - value) <= half for leaf in known for scale in (1, 100))


def test_every_number_in_tables_and_tiles_is_in_the_report(short: dict[str, Any]):
    parsed, known = Page(render_quiet(short)), list(leaves(short))
    shown = [text for names, text in parsed.texts if names & {"td", "big"} and not names & {"thought", "manifest"}]
    bins = {band["bin"] for band in short["after"]["by_hardness"]}
    shown = [text for text in shown if text not in bins]
    times = [t for t in shown if re.search(r" (s|min|h)\b", t) or re.search("\u202f[kMG]$", t)]
    cells = [n for text in shown if text not in times for n in numbers(text.replace("–", " "))]
    assert len(cells) > 250
    assert [n for n in cells if not is_of(*n, known)] == []
    assert "12 min 14 s" in times
    assert "1.24\u202fM" in times
    moved = [value + 0.007 if decimals == 3 else value for value, decimals in cells]
    assert sum(not is_of(value, 3, known) for value in moved) > 100  # the search above can fail


def test_the_verdict_says_by_how_much_and_where(page: str):
    parsed = Page(page)
    assert parsed.of("h1") == ["Thinking helps: +0.147 (0.128 to 0.166) nats per token"]
    lead = parsed.of("verdict", "lead")[0]
    assert "It helps most on the tokens of hardness 90-100% (n = 1\u202f852): +0.911 (0.864 to 0.959)" in lead
    assert "It harms most on the tokens of hardness 0-10%" in lead
    assert "Before training the gain was −0.213 (−0.232 to −0.194)." in lead


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        (cell(0.2, 0.1), "Thinking helps: +0.200 (0.100 to 0.300) nats per token"),
        (cell(-0.2, 0.1), "Thinking harms: −0.200 (−0.300 to −0.100) nats per token"),
        (cell(0.01, 0.1), "Thinking makes no clear difference: +0.010 (−0.090 to 0.110) nats per token"),
        ({"value": 0.2}, "The gain of thinking is +0.200 nats per token, and no interval was recorded"),
        ({"value": math.nan, "low": 0.1, "high": 0.2}, "It has not been measured yet whether thinking helps."),
        (None, "It has not been measured yet whether thinking helps."),
    ],
)
def test_headline_follows_the_interval(gain: Any, said: str):
    assert quiet_words.headline({"after": {"gain": gain, "tokens": 1}}) == said


def test_numbers_of_both_phases_stand_side_by_side(page: str):
    parsed = Page(page)
    big = [text for text in parsed.of("big") if text.strip()]
    assert big[:6] == ["2.514", "→", "2.432", "2.727", "→", "2.285"]
    assert "41\u202f% (40–42)" in parsed.of("td")
    assert "45\u202f% (44–46)" in parsed.of("td")


def test_tokens_carry_their_gain_weight_and_thoughts(page: str, report: dict[str, Any]):
    parsed, entries = Page(page), report["texts"][0]["tokens"]
    found = parsed.tokens()
    thinking = [entry for entry in entries if entry["gain"] is not None]
    assert len(found) == len(thinking) + len(report["texts"][1]["tokens"])
    for shown, entry in zip(found, thinking, strict=False):
        assert shown["data-gain"] == quiet_words.gain(entry["gain"])
        assert shown["data-weight"] == f"{entry['weight']:.2f}"
        assert shown["data-loss"] == f"{quiet_words.nats(entry['nll_text'])} → {quiet_words.nats(entry['nll_mixed'])}"
        assert (shown["data-thoughts"] or "").split("\n") == [marked(thought) for thought in entry["thoughts"]]
        assert gain_class(entry["gain"]) in ("", *(shown["class"] or "").split())
        assert shown["tabindex"] == "0"
    written = "".join(parsed.of("told", "tokens")).partition("</script>")[0]
    assert written.replace("↵", "").replace("⇥", "") == "".join(entry["text"] for entry in entries)


@pytest.mark.parametrize(
    ("value", "name"),
    [(None, "no-thought"), (0.0, ""), (0.019, ""), (0.02, "p1"), (0.1, "p2"), (0.99, "p3"), (1.0, "p4"), (50.0, "p4"),
     (-0.019, ""), (-0.02, "n1"), (-0.3, "n3"), (-7.0, "n4")],
)  # fmt: skip
def test_gain_steps(value: float | None, name: str):
    assert gain_class(value) == name


def test_weight_steps_take_weights_outside_zero_and_one():
    shares = (None, -3.0, 0.049, 0.05, 0.25, 0.5, 0.75, 4.0)
    assert [weight_class(share) for share in shares] == ["", "", "", "w1", "w2", "w3", "w4", "w4"]


def test_spaces_and_line_feeds_can_be_seen_and_are_kept():
    assert [marked(t) for t in (" the", "a\n\tb", "", "  ", "a b  c ")] == ["␣the", "a↵⇥b", "(empty)", "␣␣", "a b␣␣c␣"]
    assert [in_text(t) for t in (" the", "\n\n", "a\tb", "", "  ")] == [" the", "↵\n↵\n", "a⇥\tb", "∅", "␣␣"]


def test_lists_below_the_text_hold_the_largest_gains(report: dict[str, Any]):
    entries = report["texts"][0]["tokens"]
    gains = sorted((e["gain"] for e in entries if e["gain"] is not None), reverse=True)
    found = told(report["texts"][0])
    assert [row["value"] for row in found["helped"]] == [g for g in gains if g > 0][:15]
    assert [row["value"] for row in found["harmed"]] == [g for g in gains[::-1] if g < 0][:5]
    best = found["helped"][0]
    before = "".join(e["text"] for e in entries[: best["index"]])
    assert best["before"].replace("␣", " ").replace("↵", "\n").replace("⇥", "\t").lstrip("…") == before[-40:]


def test_hostile_text_is_shown_and_is_only_text(report: dict[str, Any]):
    clean = Page(render_quiet({**report, "texts": []}))
    mean = copy.deepcopy(report)
    mean["texts"][0]["name"] = mean["model"] = mean["command"] = mean["alarms"][0] = ATTACK
    mean["settings"][ATTACK] = mean["manifest"][ATTACK] = ATTACK
    mean["after"]["by_hardness"][9]["bin"] = ATTACK
    mean["audit"]["paired"][0]["name"] = mean["doctor"]["findings"][0]["what"] = ATTACK
    text = render_quiet(mean)
    parsed = Page(text)
    assert len(parsed.scripts) == len(clean.scripts) == 1
    assert not {tag for tag, _ in parsed.elements} & {"img", "link", "iframe"}
    assert not any(name.startswith("on") or name == "style" for _, found in parsed.elements for name in found)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202e\ud800-\udfff]", text)
    assert "⟨U+0000⟩⟨U+001B⟩[31m⟨U+202E⟩" in text
    assert "{{ 7 * 7 }}" in text
    assert RTL in text
    assert "(5\u202f000 characters)" in text
    assert "x" * 401 not in text
    assert "⟨U+D800⟩" in text
    text.encode()


def test_the_policy_allows_the_own_style_and_script_and_nothing_else(page: str):
    parsed = Page(page)
    policy = next(f["content"] or "" for tag, f in parsed.elements if tag == "meta" and "http-equiv" in f)
    hashes = re.findall(r"'sha256-([^']+)'", policy)
    own = [parsed.styles[0], parsed.scripts[0]]
    assert hashes == [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in own]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not any(tag in ("link", "img", "iframe", "object") for tag, _ in parsed.elements)
    assert all((f.get("href") or "#").startswith("#") and "src" not in f for _, f in parsed.elements)
    assert not re.search(r"https?://|url\(|@import|fetch\(|XMLHttp", page.replace("http://www.w3.org/2000/svg", ""))


def test_anchors_lead_somewhere_and_names_are_unique(page: str):
    found = Page(page).elements
    idents = [f["id"] for _, f in found if "id" in f]
    assert len(idents) == len(set(idents))
    assert {str(f["href"])[1:] for tag, f in found if tag == "a"} <= set(idents)


@pytest.mark.parametrize("name", ["before", "after", "curve", "texts", "audit", "manifest", "settings", "doctor",
                                  "alarms", "model", "command", "steps", "parameters", "seconds"])  # fmt: skip
def test_a_missing_field_leaves_the_rest(short: dict[str, Any], name: str):
    text = render_quiet({key: value for key, value in short.items() if key != name})
    parsed = Page(text)
    assert "None" not in "".join(text for _, text in parsed.texts)
    if name != "texts":
        assert parsed.tokens()
    if name == "after":
        assert parsed.of("h1")[0] == "Thinking harms: −0.213 (−0.232 to −0.194) nats per token, before any training"
        assert "has no evaluation after training" in text


@pytest.mark.parametrize("wrong", [None, 3, "x", [], {}, [None, 3, "x"], {"a": 1}])
def test_fields_of_another_shape_are_left_out(short: dict[str, Any], wrong: Any):
    first = ("before", "curve", "audit", "settings", "alarms", "command", "model")
    second = ("after", "texts", "manifest", "doctor", "steps", "parameters", "seconds")
    assert Page(render_quiet({**short, **dict.fromkeys(first, wrong)})).of("h1")[0].startswith("Thinking helps")
    assert Page(render_quiet({**short, **dict.fromkeys(second, wrong)})).of("h1")
    parsed = Page(render_quiet(dict.fromkeys((*first, *second), wrong)))
    assert parsed.of("h1") == ["It has not been measured yet whether thinking helps."]
    odd = {"tokens": [{"text": wrong, "gain": wrong, "weight": wrong, "thoughts": wrong, "nll_text": wrong}]}
    Page(render_quiet({"texts": [odd, {"tokens": wrong}]}))


def test_nothing_at_all_says_what_is_missing():
    text = " ".join(Page(render_quiet({})).of("missing"))
    assert "No text was recorded" in text
    assert "No step of training was recorded" in text
    assert "not measured by hardness" in text


def test_not_a_number_is_a_dash_and_never_written(report: dict[str, Any]):
    mean = copy.deepcopy(report)
    mean["after"]["nll_mixed"] = {"value": math.nan, "low": math.nan, "high": math.inf}
    mean["after"]["weight"] = math.inf
    mean["curve"][7]["reward"] = math.nan
    mean["curve"][8]["loss"] = -math.inf
    token = mean["texts"][0]["tokens"][9]
    token |= {"gain": math.nan, "weight": math.nan, "nll_mixed": math.inf}
    text = render_quiet(mean)
    parsed = Page(text)
    words = " ".join([*(t for _, t in parsed.texts), *(str(v) for _, f in parsed.elements for v in f.values())])
    assert not re.search(r"\b(nan|inf|infinity)\b", words, re.IGNORECASE)
    assert "2 steps of the curve hold values that are not numbers (step 8, 9)" in text
    table = parsed.of("td")
    assert "–" in table


def test_warnings_come_before_the_numbers(report: dict[str, Any]):
    mean = copy.deepcopy(report)
    mean["doctor"] = {"findings": [{"level": "refuse", "what": "no warm start", "mend": "give --start"}]}
    mean["after"]["weight"] = 0.004
    found = quiet_words.warnings(mean)
    assert found[0] == "The doctor advised against this run and was overridden: no warm start. give --start."
    assert found[1] == report["alarms"][0]
    assert found[2] == "The mixing weight is 0.00 on average: the model hardly uses its thoughts."
    assert quiet_words.warnings({}) == []


def test_long_texts_are_cut_and_it_is_said():
    token = {"text": " a", "gain": 0.5, "weight": 0.5, "nll_text": 1.0, "nll_mixed": 0.5, "thoughts": ["b" * 900] * 30}
    found = told({"name": "long", "tokens": [token] * (MOST_TOKENS + 7)})
    assert len(found["tokens"]) == MOST_TOKENS
    assert "the last 7 tokens are not shown here" in found["note"]
    assert len(found["tokens"][0]["thoughts"]) == 8
    assert max(map(len, found["tokens"][0]["thoughts"])) < 500


def test_a_curve_is_thinned_from_its_end():
    points = [(float(i), float(i)) for i in range(1001)]
    kept = thinned(points)
    assert MOST_POINTS / 2 < len(kept) <= MOST_POINTS
    assert kept[-1] == points[-1]
    assert thinned(points[:3]) == points[:3]
    assert thinned([]) == []


def test_training_panels_say_their_range_and_stages(report: dict[str, Any]):
    panels = dict(training_panels(report))
    assert list(panels)[:3] == ["Reward (nats)", "Spread of the reward (nats)", "Mean weight of the thoughts"]
    rewards = [entry["reward"] for entry in report["curve"]]
    said = str(panels["Reward (nats)"])
    assert f"highest {quiet_words.nats(max(rewards))}".rstrip("0") in said
    assert "stage 2" in said
    one = training_panels({"curve": [{"step": 5, "loss": 2.0}]})
    assert [name for name, _ in one] == ["Total loss"]
    assert "step 5 2" in str(one[0][1])


def test_hardness_bars_start_at_zero_and_reach_the_gain():
    bands = evaluation(0.147, 0.2, 2.4)["by_hardness"]
    drawn = str(hardness_bars(bands, width=500))
    bars = [(float(x), float(w)) for x, w in re.findall(r'<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', drawn)]
    assert len(bars) == 10
    gains = [band["gain"]["value"] for band in bands]
    zero = bars[9][0]
    per_nat = bars[9][1] / gains[9]
    for (x, wide), gain in zip(bars, gains, strict=True):
        if abs(gain) * per_nat > 1:
            assert x == pytest.approx(zero if gain > 0 else zero - wide, abs=0.03)
            assert wide == pytest.approx(abs(gain) * per_nat, abs=0.03)
    assert "series-original" in drawn
    assert hardness_bars([{"bin": "x", "gain": {"value": math.nan}}]) is None


def test_writing_replaces_the_page_and_reads_the_run(tmp_path: Path, report: dict[str, Any]):
    (tmp_path / "report.html").write_text("old")
    target = write_quiet_page(tmp_path, report)
    assert target == tmp_path / "report.html"
    (tmp_path / "report.json").write_text(json.dumps(report))
    assert target.read_text(encoding="utf-8") == render_quiet(tmp_path)
    with pytest.raises(DataError, match="schema"):
        write_quiet_page(tmp_path, {**report, "schema": 99})
    with pytest.raises(RunError):
        render_quiet(tmp_path / "nowhere")


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_letters_can_be_read_on_every_colour():
    blocks = re.findall(r":root \{(.*?)\}", asset("quiet.css"), re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        colours = dict(re.findall(r"--(\w[\w-]*): (#[0-9a-f]{6})", block))
        ink = luminance(colours["token-ink"])
        for name in (f"{side}{level}" for side in "pn" for level in "1234"):
            light, dark = sorted((luminance(colours[name]), ink), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, name


def test_helped_and_harmed_differ_for_every_kind_of_colour_blindness():
    """Blue against orange differ in the blue channel, which red-green blindness keeps."""
    block = re.findall(r":root \{(.*?)\}", asset("quiet.css"), re.DOTALL)[0]
    colours = dict(re.findall(r"--(\w[\w-]*): (#[0-9a-f]{6})", block))
    for level in "234":
        helped, harmed = (int(colours[side + level][5:], 16) for side in "pn")
        assert helped - harmed > 50

"""The page of a trace: every number is the report's, texts are only text, nothing missing makes it fail."""

import base64
import copy
import gzip
import hashlib
import html.parser
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sample_trace import ATTACK, DOCUMENTS, sample_query, sample_trace, tokens_of

from menon.core.errors import DataError, RunError
from menon.core.seeds import rng_for
from menon.reports import trace_documents, trace_figures, trace_page, trace_words
from menon.reports.trace_documents import STEPS, coloured_text, compared
from menon.reports.trace_page import MOST_BYTES, MOST_LISTED, render_trace, write_trace
from menon.reports.trace_terminal import trace_lines
from menon.reports.trace_words import amount, correlation, signed

VOID = {"meta", "input"}


class Page(html.parser.HTMLParser):
    """Elements with their attributes, texts with the classes of all elements around them; strict about nesting."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[tuple[str, set[str]]] = []
        self.texts: list[tuple[set[str], str]] = []
        self.scripts: list[str] = []
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
        if self.open and self.open[-1][0] == "script":
            self.scripts.append(data)
        elif self.open and self.open[-1][0] != "style":
            self.texts.append((set().union(*(names for _, names in self.open)), data))

    def of(self, *names: str) -> list[str]:
        """Return the texts inside elements of every one of these names or classes."""
        return [text for classes, text in self.texts if set(names) <= classes]


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return sample_trace(3, hostile=False)


@pytest.fixture(scope="module")
def page(report: dict[str, Any]) -> Page:
    return Page(render_trace(report))


def single(name: str = "two-step-000", **changes: Any) -> dict[str, Any]:
    return {**sample_trace(0, hostile=False), "queries": [{**sample_query(name, shown=3), **changes}]}


def leaves(value: Any) -> Iterator[float]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from leaves(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield float(value)


def numbers(text: str) -> list[float]:
    plain = text.replace("−", "-").replace("\u202f", "").replace("×", " ")
    return [float(word) for word in re.findall(r"(?<![\w.])[-+]?\d+(?:\.\d+)?", plain)]


def test_every_number_of_a_document_is_in_the_report():
    data = single()
    parsed, known = Page(render_trace(data)), list(leaves(data["queries"]))
    shown = [n for text in [*parsed.of("document", "dd"), *parsed.of("document", "nat")] for n in numbers(text)]
    assert len(shown) >= 6 * 9

    def is_of(value: float) -> bool:
        return any(math.isclose(leaf, value, rel_tol=0.006, abs_tol=1e-9) for leaf in known)

    assert [value for value in shown if not is_of(value)] == []
    assert sum(not is_of(1.11 * value + 7.3e-5) for value in shown) > 20  # the search above can fail


def test_signs_are_said_in_words(page: Page):
    assert set(page.of("is-raised", "sign")) == {"raised"}
    assert set(page.of("is-lowered", "sign")) == {"lowered"}
    top = sample_query("two-step-000")["methods"]["ekfac"]["top"][0]
    assert page.of("is-raised", "nat")[0] == f"{signed(top['per_nat'])} per nat"
    assert page.of("is-raised", "nat")[0].startswith("+")
    assert page.of("is-lowered", "nat")[0].startswith("−")


def test_the_sign_of_a_score_decides_where_no_word_was_recorded():
    assert [trace_words.direction({"score": s}) for s in (2.0, -2.0, 0.0, None)] == ["raised", "lowered", "", ""]
    assert trace_words.direction({"score": 2.0, "words": "lowered"}) == "lowered"


def test_strongest_comes_first_in_both_lists():
    query = sample_query("two-step-000", shown=4)
    query["methods"]["ekfac"]["bottom"].reverse()
    top, bottom = trace_documents.main_lists(query)
    assert [entry["rank"] for entry in top] == [1, 2, 3, 4]
    assert [entry["rank"] for entry in bottom] == [DOCUMENTS - i for i in range(4)]


def test_verdict_stands_with_its_error_rate_and_its_baselines(page: Page):
    judged = " ".join(page.of("judged"))
    assert "On 60 planted cases such a verdict was wrong in 4\u202f% (1–10)." in judged
    assert page.of("h1") == ["3 answers traced: 1 retrieved, 2 procedural"]
    methods = [text for classes, text in page.texts if {"agree", "tbody", "th"} <= classes]
    assert methods == [trace_words.METHODS[m] for m in ("ekfac", "dot", "cosine", "bm25", "tfidf", "random")] * 3
    assert page.of("agree", "td")[4:6] == ["+0.81", "6 of 10"]
    assert not page.of("is-warning")


def test_a_ranking_without_lexical_baselines_is_warned_of():
    data = single(agreement={"dot": 0.8})
    for method in trace_words.LEXICAL:
        del data["queries"][0]["methods"][method]
    parsed = Page(render_trace(data))
    assert "No lexical baseline" in " ".join(parsed.of("is-warning"))
    assert "No lexical baseline stands beside it." in " ".join(parsed.of("judged"))
    assert any(line.startswith("warning  No lexical baseline") for line in trace_lines(data))


def test_a_verdict_without_an_error_rate_says_so():
    verdict = {"label": "retrieved", "sentence": "Too few documents.", "error_rate": None}
    parsed = Page(render_trace(single(verdict=verdict)))
    assert "How often such a verdict is wrong was not measured on this corpus." in " ".join(parsed.of("judged"))
    assert parsed.of("h1") == [trace_words.SINGLE["retrieved"]]


def test_labels_say_what_their_values_are():
    labels = {"difficulty": "3", "form": "code", "kind": "code", "empty": "", "family": "chain"}
    assert trace_documents.shown_chips({"labels": labels}) == [
        ("kind, form", "code"),
        ("family", "chain"),
        ("difficulty", "difficulty 3"),
    ]


def test_the_label_is_not_said_twice():
    verdict = {"label": "unclear", "sentence": "unclear: two of 10 contain it"}
    assert trace_words.verdict_of({"verdict": verdict})["sentence"] == "Two of 10 contain it."
    entry = {"rank": 1, "score": 1.0, "text": "abc", "cut": True, "sentence": "raised it by 0.1 nats"}
    parsed = Page(render_trace(single(verdict=verdict, methods={"ekfac": {"top": [entry]}})))
    assert parsed.of("document", "judged") == ["raised it by 0.1 nats"]
    assert "Only the beginning of this document is shown." in parsed.of("document", "note")


def test_the_bias_of_a_prefilter_is_reported():
    prefilter = {"method": "bm25", "kept": 1000, "of": 20_000, "bias_sentence": "It favours shared words."}
    said = " ".join(Page(render_trace({**single(), "prefilter": prefilter})).of("is-warning"))
    assert "Only 1\u202f000 of 20\u202f000 documents per query were scored, chosen by BM25." in said
    assert "It favours shared words." in said
    lead = Page(render_trace({**single(), "prefilter": prefilter})).of("verdict", "lead")[0]
    assert "compared with 1\u202f000 of 20\u202f000 documents. Corpus: known." in lead


def test_tokens_are_coloured_by_sign_and_strength():
    scores = [(0.05, ""), (0.2, "p1"), (0.4, "p2"), (0.6, "p3"), (1.0, "p4"), (-0.05, ""), (-0.2, "n1"), (-0.9, "n4")]
    tokens = [{"text": f"w{i}", "score": 7e-5 * score} for i, (score, _) in enumerate(scores)]
    found = re.findall(r'<i class="t (\w+)" title="(.*?)">(\w+)</i>', coloured_text(tokens))
    assert found == [(kind, signed(7e-5 * s), f"w{i}") for i, (s, kind) in enumerate(scores) if kind]
    assert tuple(sorted(STEPS)) == STEPS
    assert re.sub("<.*?>", "", coloured_text(tokens)) == "".join(token["text"] for token in tokens)


def test_only_the_first_cards_are_coloured_and_that_is_said():
    top = sample_query("two-step-000", shown=12)["methods"]["ekfac"]["top"]
    found = trace_documents.cards(top)
    assert [card["coloured"] for card in found] == [True] * 10 + [False] * 2
    assert "first 10 documents only" in trace_documents.cards_note(top)
    assert trace_documents.cards_note(top[:10]) == ""
    assert len(trace_documents.cards(top * 9)) == trace_documents.MOST_CARDS
    assert "58 more documents are not shown here" in trace_documents.cards_note(top * 9)


def test_shared_documents_are_counted_by_what_tells_them_apart():
    query = sample_query("two-step-000", shown=10)
    table = compared(query)
    named = {row[0]: row for row in table["agreement"]}
    ours = {entry["document"] for entry in query["methods"]["ekfac"]["top"]}
    for method in ("dot", "bm25", "random"):
        shared = sum(entry["document"] in ours for entry in query["methods"][method]["top"])
        assert named[trace_words.METHODS[method]][2] == f"{shared} of 10"
        place = table["heading"].index(trace_words.METHODS[method])
        assert sum(cells[place]["shared"] for _, cells in table["body"]) == shared
    blank = {"methods": {"ekfac": {"top": [{}, {}]}, "bm25": {"top": [{}, {}]}}}
    assert compared(blank)["agreement"][1][2] == "0 of 2"


def test_multipliers_are_drawn_on_a_doubling_axis():
    query = sample_query("two-step-000")
    panels = trace_figures.source_panels(query)
    assert [heading for heading, _ in panels] == [
        f"By {label}, among the first and last 200 documents" for label in ("source", "kind")
    ]
    chart = str(panels[0][1])
    assert "worksheets, top of the ranking: ×2.1 (1.5–2.9)" in chart
    assert "almanac, bottom of the ranking: ×0" in chart
    widths = [float(found) for found in re.findall(r'<rect[^>]* width="([\d.]+)" height="13"', chart)]
    assert len(widths) == 8
    double = widths[0] / math.log2(2.1)  # of the first bar, worksheets at the top: x2.1
    assert widths[1] == pytest.approx(double * math.log2(1.7), abs=0.1)
    assert widths[4] == pytest.approx(-double * math.log2(0.4), abs=0.1)


def test_the_curve_has_a_logarithmic_axis():
    chart = str(trace_figures.cumulative(sample_query("two-step-000")))
    points = [pair.split(",") for pair in re.findall(r'points="(.*?)"', chart)[1].split()]
    across = {k: float(x) for k, (x, _) in zip((1, 2, 5, 10, 20, 50, 100), points, strict=False)}
    assert across[100] - across[10] == pytest.approx(across[10] - across[1], abs=0.05)
    assert across[20] - across[10] == pytest.approx(across[2] - across[1], abs=0.05)
    assert trace_figures.cumulative({"curve": [{"k": 0, "total_per_nat": 1}, {"k": 5, "total_per_nat": None}]}) is None


@pytest.mark.parametrize(
    ("value", "plain", "with_sign"),
    [
        (0.0, "0", "0"),
        (0.0123456, "0.0123", "+0.0123"),
        (-3, "−3", "−3.00"),
        (64.0, "64", "+64.0"),
        (12345.6, "12346", "+12346"),
        (-1.26e-7, "−1.3·10⁻⁷", "−1.3·10⁻⁷"),
        (2e9, "2.0·10⁹", "+2.0·10⁹"),
        (math.nan, "–", "–"),
        (None, "–", "–"),
        ("7", "–", "–"),
    ],
)
def test_numbers_of_any_size_are_short(value: Any, plain: str, with_sign: str):
    assert amount(value) == plain
    assert signed(value) == with_sign


def test_correlations():
    assert [correlation(v) for v in (0.806, -0.31, 0.001, -0.001, None)] == ["+0.81", "−0.31", "0.00", "0.00", "–"]


def test_hostile_texts_are_only_text():
    parsed = Page(render_trace(sample_trace(1)))
    assert [tag for tag, _ in parsed.elements if tag in ("img", "iframe", "a", "base")].count("img") == 0
    assert not [1 for _, attributes in parsed.elements for name in attributes if name.startswith("on")]
    assert sum("document.title='taken'" in text for _, text in parsed.texts) > 10
    assert not any("taken" in script for script in parsed.scripts)
    assert not any("\u202e" in text or "\x1b" in text for _, text in parsed.texts)
    assert not any("49" in text for text in parsed.of("h3"))  # {{ 7 * 7 }}
    hrefs = [attributes["href"] for tag, attributes in parsed.elements if tag == "a"]
    assert all(re.fullmatch(r"#[\w.-]+", str(href)) for href in hrefs)


def test_only_the_own_style_and_script_may_act(report: dict[str, Any]):
    text = render_trace(report)
    policy = next(v for v in re.findall(r'content="(default-src.*?)"', text)).replace("&#39;", "'")
    for tag in ("style", "script"):
        body = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert len(body) == 1
        digest = base64.b64encode(hashlib.sha256(body[0].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert not re.search(r"https?://(?!www\.w3\.org)", text)
    assert "style=" not in re.sub(r"<(style|script)>.*?</\1>", "", text, flags=re.DOTALL)


def test_ids_are_unique_and_every_row_leads_to_its_query(monkeypatch: pytest.MonkeyPatch):
    data = sample_trace(3)
    for query, name in zip(data["queries"], ("a b", "a/b", None, ATTACK), strict=True):
        query["id"] = name
    parsed = Page(render_trace(data))
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    anchors = [attributes["id"] for tag, attributes in parsed.elements if tag == "article"]
    assert anchors[:3] == ["query-a-b", "query-a-b-2", "query-query-3"]
    assert len(set(anchors)) == 4
    assert set(anchors) == {a["data-query"] for tag, a in parsed.elements if "data-query" in a}
    assert not set(anchors) & (set(ids) - set(anchors))


def unpacked(packed: str) -> str:
    return gzip.decompress(base64.b64decode(packed)).decode()


def test_packed_queries_say_the_same(report: dict[str, Any], page: Page, monkeypatch: pytest.MonkeyPatch):
    plain = re.findall(r"<article.*?>(.*?)</article>", render_trace(report), re.DOTALL)
    monkeypatch.setattr(trace_page, "PLAIN_BYTES", 0)
    packed = re.findall(r"<article.*?>(.*?)</article>", render_trace(report), re.DOTALL)
    assert packed[0] == plain[0]
    bodies = re.findall(r'<script type="application/gzip">(.*?)</script>', "".join(packed))
    assert [unpacked(body) for body in bodies] == plain[1:]


def test_a_hundred_queries_with_forty_long_documents_are_a_page_below_5_mb(monkeypatch: pytest.MonkeyPatch):
    data = sample_trace(100, shown=20, tokens=0, hostile=False)
    data["queries"][3:] = [{**query, "sources": [], "layers": []} for query in data["queries"][3:]]
    rng = Random("long documents")
    text = " ".join("".join(rng.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=6)) for _ in range(280))
    for query in data["queries"][:3]:  # every query as incompressible as this one is more than a page may hold
        for entry in (*query["methods"]["ekfac"]["top"], *query["methods"]["ekfac"]["bottom"]):
            entry |= {"text": text, "tokens": tokens_of(rng, text, 1.0)}
    page = render_trace(data)
    assert len(page.encode()) < 5_000_000
    assert page.count("<article") == 100
    monkeypatch.setattr(trace_page, "MOST_BYTES", 1_400_000)
    small = render_trace({**data, "queries": data["queries"][:30]})
    shown = small.count("<article")
    assert len(small.encode()) < 1_400_000
    assert 1 <= shown < 30
    assert f"{30 - shown} queries have no details here" in small
    assert small.count("data-query=") == shown


def test_thousands_of_queries_are_listed_up_to_a_limit():
    query = {"prompt": "How many are 3 and 4?", "completion": "7", "information_nats": 1.0}
    data = {"schema": 1, "queries": [{**query, "id": f"q{i}"} for i in range(MOST_LISTED + 500)]}
    page = render_trace(data)
    assert len(page.encode()) < MOST_BYTES + 400_000
    assert page.count("How many are 3 and 4?") >= MOST_LISTED
    assert "500 more queries are in report.json" in page


def test_empty_states_say_what_to_do():
    said = " ".join(Page(render_trace({"schema": 1})).of("missing"))
    assert "menon trace RUN --data corpus.jsonl --query ITEM" in "".join(
        text for names, text in Page(render_trace({"schema": 1})).texts if {"missing", "code"} <= names
    )
    assert "Nothing was recorded of the corpus" in said
    bare = Page(render_trace({"schema": 1, "queries": [{"id": "only"}]}))
    said = " ".join(bare.of("missing"))
    for key in ("bottom", "curve", "agreement", "layers"):
        assert trace_words.missing({})[key] in said
    assert "No document was ranked for this query." in said
    assert trace_lines({"schema": 1})[-1].startswith("No query was traced. menon trace RUN")


def paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in entries:
        yield (*at, key)
        yield from paths(item, (*at, key))


ODD = (None, math.nan, math.inf, -1, 1e300, True, "", ATTACK, [], [None, 3], {}, {"value": None}, [{}], {"k": [1]})


@pytest.mark.parametrize("turn", range(60))
def test_nothing_missing_or_odd_makes_the_page_fail(turn: int):
    rng = rng_for("test trace page", turn)
    data = sample_trace(1, shown=2, tokens=2, hostile=turn % 3 == 0)
    places = list(paths(data))
    changed = 0
    for place in rng.sample(places, min(len(places), 2 + 3 * turn)):
        holder: Any = data
        for key in place[:-1]:  # an earlier change may have removed the way there
            try:
                holder = holder[key]
            except (KeyError, IndexError, TypeError):
                holder = None
        if isinstance(holder, dict) and place[-1] in holder and place != ("schema",):
            changed += 1
            if rng.random() < 0.4:
                del holder[place[-1]]
            else:
                holder[place[-1]] = copy.deepcopy(rng.choice(ODD))
    assert changed >= 1
    Page(render_trace(data))
    assert all(isinstance(line, str) for line in trace_lines(data))


def test_every_section_alone_may_be_missing_or_odd():
    full = sample_trace(1, shown=1, hostile=False)
    query = full["queries"][0]
    query["methods"] = {"ekfac": query["methods"]["ekfac"], "bm25": {"top": query["methods"]["bm25"]["top"][:1]}}
    for odd in ODD[::2]:
        for key in sorted(full.keys() - {"schema"}):
            Page(render_trace({**full, "queries": [{"id": "only"}], key: odd}))
        damaged = [{**query, key: odd} for key in query]
        damaged += [{**query, "methods": {"ekfac": {"top": [{**query["methods"]["ekfac"]["top"][0], key: odd}]}}}
                    for key in query["methods"]["ekfac"]["top"][0]]  # fmt: skip
        data = {**full, "queries": damaged}
        Page(render_trace(data))
        trace_lines(data)


def test_written_where_it_was_asked_for(report: dict[str, Any], tmp_path: Path):
    target = write_trace(tmp_path / "new", report)
    assert target == tmp_path / "new" / "report.html"
    assert target.read_text(encoding="utf-8") == render_trace(report)
    (tmp_path / "report.json").write_text(json.dumps(report), encoding="utf-8")
    assert render_trace(tmp_path) == render_trace(report)


def test_errors_say_what_to_do(tmp_path: Path):
    with pytest.raises(DataError, match="schema 2"):
        render_trace({"schema": 2})
    with pytest.raises(RunError, match="no run at"):
        render_trace(tmp_path / "nowhere")


def test_lines_for_the_terminal(tmp_path: Path):
    data = sample_trace(2, hostile=False)
    lines = trace_lines(data, tmp_path / "report.html")
    assert lines[0] == "trace: menon:base: 2 answers traced: 1 retrieved, 1 procedural"
    first = lines[2 : lines.index("", 2)]
    assert first[1].startswith("  procedural: The influence is spread over many documents")
    assert [re.findall("raised|lowered", row)[0] for row in first[3:10]] == ["raised"] * 5 + ["lowered"] * 2
    text = data["queries"][0]["methods"]["ekfac"]["top"][0]["text"]
    assert first[3].endswith(text[:60].replace("\n", "↵") + ("…" if len(text) > 60 else ""))
    second = lines[lines.index("", 3) :]
    marked = [row.split()[3] == "yes" for row in second if " raised " in row]
    assert marked == [e["contains_answer"] for e in data["queries"][1]["methods"]["ekfac"]["top"][:5]]
    assert lines[-1] == f"page     {tmp_path / 'report.html'}"


def test_hostile_texts_do_not_reach_the_terminal():
    said = "\n".join(trace_lines(sample_trace(1)))
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert len(trace_lines(sample_trace(14, shown=1, hostile=False))) < 120

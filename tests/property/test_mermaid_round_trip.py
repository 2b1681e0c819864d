"""Mermaid in and out: every tree comes back from its text, every text from its tree, every label from its escapes."""

import itertools
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from menon.flowcharts import mermaid
from menon.flowcharts.mermaid_labels import decode, encode
from menon.flowcharts.mermaid_reading import parse
from menon.flowcharts.mermaid_scanning import BLANKS
from menon.flowcharts.mermaid_statements import BRACKETS
from menon.flowcharts.mermaid_writing import diagram, edge, node, write

BLANK = st.text(" \t\u00a0", max_size=3)
LINE_END = st.builds(str.__add__, BLANK, st.sampled_from(["\n", "\r\n"]))
TAIL = st.one_of(
    LINE_END,
    st.builds("{};{}".format, BLANK, LINE_END),
    st.builds("{};".format, BLANK),
)
ID = st.one_of(  # these letters spell no word of the language
    st.text("abcABCéñ日_019", min_size=1, max_size=4),
    st.sampled_from(["x", "o", "End", "END", "endpoint", "box", "n-x", "a.b", "2x", "default", "Größo"]),
)
PLAIN = st.text("ab c;:%é日.,!?-#&<>'\n", min_size=1, max_size=12)
QUOTED = (
    st.text(min_size=1, max_size=12)
    .filter(lambda text: '"' not in text and not text.startswith("`"))
    .flatmap(lambda text: st.sampled_from([f'"{text}"', f'"{text}" ']))
)
MARKDOWN = st.text("ab *_[]\n", max_size=8).map('"`{}`"'.format)
LABEL = st.one_of(PLAIN, QUOTED, MARKDOWN)
DATA = st.sampled_from(
    [" shape: hex ", ' shape: diam, label: "a, b: c" ', "\n  shape: doc\n  label: 'é'\n", 'label:"}"', "", ' img: "x" ']
)
ARROWS = [
    *("-->", "---", "---->", "-.->", "-.-", "-...-x", "==>", "===", "=====o", "~~~", "~~~~~"),
    *("--x", "--o", "<-->", "x--x", "o==o", "<-.->", "o-.-o"),
]
INLINE = [("--", "-->"), ("--", "-----"), ("-.", ".->"), ("-.", "-..-"), ("==", "==>"), ("<--", "-->"), ("x==", "==x")]
SETTINGS = [
    ("style", " a fill:#f9f,stroke:#333,stroke-width:4px"),
    ("classDef", "  c fill:#f96"),
    ("class", " a,b c"),
    ("linkStyle", " 0,1 stroke:#ff3"),
    ("click", ' a "https://example.org/;?a=1" "a ; tip"'),
    ("click", " a call back(1)"),
    ("accTitle", ": what; it is"),
    ("accDescr", " {\n  two\r\n  lines }"),
]


@st.composite
def outlines(draw: st.DrawFn) -> mermaid.Outline:
    opener, closer = draw(st.sampled_from(sorted(BRACKETS)))
    raw = draw(LABEL)
    return mermaid.Outline(opener=opener, raw=raw.lstrip("-") or "a", closer=closer)


@st.composite
def mentions(draw: st.DrawFn) -> mermaid.Mention:
    return mermaid.Mention(
        id=draw(ID),
        outline=draw(st.none() | outlines()),
        style_class=draw(st.sampled_from(["", "", "c", "big-1"])),
        data=draw(st.none() | DATA),
    )


@st.composite
def links(draw: st.DrawFn, source: mermaid.Mention) -> mermaid.Link:
    before = draw(st.sampled_from([" ", "  ", "\t", "\n", "\r\n    ", "\n\n "]))
    opener, inline, arrow, bar_gap, bar = "", "", draw(st.sampled_from(ARROWS)), "", None
    form = draw(st.sampled_from(["plain", "bar", "inline"]))
    if form == "bar":
        bar_gap, bar = draw(st.sampled_from(["", " ", "\n "])), draw(LABEL)
    elif form == "inline":
        opener, arrow = draw(st.sampled_from(INLINE))
        words = draw(st.sampled_from(["yes", "a - b", "(é)", "[y]; |z|", '"a.b == -- c"', '"\n"']))
        inline = draw(BLANK) + words + draw(st.sampled_from([" ", "  "]))
    sign = opener or arrow
    if "\n" in before and sign[0] in "xo":
        before = " "
    if source.id[-1] not in "xo" and sign[0] not in "xo" and draw(st.booleans()):
        before = ""
    edge_id = "" if before.strip(" \t") or not before or source.data is not None else draw(st.sampled_from(["", "e1"]))
    return mermaid.Link(
        before=before, edge_id=edge_id, opener=opener, inline=inline, arrow=arrow, bar_gap=bar_gap, bar=bar
    )


@st.composite
def chains(draw: st.DrawFn) -> mermaid.Chain:
    groups, joints = [], []
    for position in range(draw(st.integers(1, 4))):
        group = draw(st.lists(mentions(), min_size=1, max_size=3))
        group[1:] = [replace(m, before=draw(st.sampled_from([" & ", "\t&  "]))) for m in group[1:]]
        if position:
            joints.append(draw(links(groups[-1][-1])))
            gaps = [" ", "", "\t", "  ", "\n ", "\r\n"] if joints[-1].bar is None else [" ", ""]
            gap = " " if group[0].id[0] in "xo" else draw(st.sampled_from(gaps))
            group[0] = replace(group[0], before=gap)
        groups.append(tuple(group))
    return mermaid.Chain(lead=draw(BLANK), groups=tuple(groups), links=tuple(joints), tail=draw(TAIL))


@st.composite
def subgraph_starts(draw: st.DrawFn) -> mermaid.SubgraphStart:
    raw = draw(LABEL)
    name = draw(st.sampled_from(["s1", "two words", '"in quotes; ü"', "größe-2"]))
    has_outline = draw(st.booleans()) and not raw.startswith("(")
    outline = mermaid.Outline(opener="[", raw=raw, closer="]") if has_outline else None
    name_gap = draw(BLANK) if outline else ""
    return mermaid.SubgraphStart(
        lead=draw(BLANK),
        gap=draw(st.sampled_from([" ", "\t "])),
        name=name,
        name_gap=name_gap,
        outline=outline,
        tail=draw(TAIL),
    )


@st.composite
def settings_statements(draw: st.DrawFn) -> mermaid.Setting:
    keyword, text = draw(st.sampled_from(SETTINGS))
    return mermaid.Setting(lead=draw(BLANK), keyword=keyword, text=text, tail=draw(st.sampled_from(["\n", "\r\n"])))


COMMENT = st.builds(
    mermaid.Comment,
    lead=BLANK,
    text=st.text(max_size=20).filter(lambda t: "\n" not in t and not t.startswith("{") and t == t.rstrip(BLANKS)),
    tail=LINE_END,
)
DIRECTIVE = st.builds(
    mermaid.Directive, lead=BLANK, text=st.sampled_from(["init: {'theme': 'dark'}", "\n init \n"]), tail=TAIL
)
CHANGE = st.builds(
    mermaid.DirectionChange,
    lead=BLANK,
    gap=st.sampled_from([" ", "\t"]),
    direction=st.sampled_from(["LR", "TB"]),
    tail=LINE_END,
)
BLANK_LINE = st.builds(mermaid.Blank, lead=BLANK, tail=TAIL.filter(lambda tail: tail[0] in "\r\n;"))
HEADER = st.builds(
    mermaid.Header,
    lead=BLANK,
    keyword=st.sampled_from(["flowchart", "graph", "flowchart-elk"]),
    gap=st.sampled_from([" ", "\t "]),
    direction=st.sampled_from(["TB", "TD", "BT", "LR", "RL"]),
    tail=TAIL,
)
BARE_HEADER = st.builds(mermaid.Header, gap=st.just(""), direction=st.just(""), tail=LINE_END)
FRONT = st.builds(mermaid.FrontMatter, text=st.sampled_from(["\ntitle: é\n", " \r\na: 1\r\n\r\n"]), tail=LINE_END)
BODY = st.one_of(
    chains(), chains(), chains(), subgraph_starts(), settings_statements(), COMMENT, DIRECTIVE, CHANGE, BLANK_LINE
)


@st.composite
def diagrams(draw: st.DrawFn) -> mermaid.Diagram:
    """Draw a tree of every kind of statement, fitted so that each means what it says where it stands."""
    preamble = [*draw(st.lists(FRONT, max_size=1)), *draw(st.lists(COMMENT | DIRECTIVE, max_size=2))]
    body: list[mermaid.Statement] = []
    depth = 0
    for statement in draw(st.lists(BODY, max_size=8)):
        body.append(statement)
        depth += isinstance(statement, mermaid.SubgraphStart)
        if depth and draw(st.booleans()):
            body.append(mermaid.SubgraphEnd(lead=draw(BLANK), tail=draw(TAIL)))
            depth -= 1
    body += [mermaid.SubgraphEnd(lead="", tail="\n")] * depth
    fitted: list[mermaid.Statement] = []
    seen: set[str] = set()
    for statement in [*preamble, draw(HEADER | BARE_HEADER), *body]:
        if fitted and not fitted[-1].tail.endswith("\n"):
            if isinstance(statement, mermaid.Comment | mermaid.Directive | mermaid.DirectionChange):
                fitted[-1] = replace(fitted[-1], tail=";\n" if isinstance(fitted[-1], mermaid.Blank) else "\n")
            if isinstance(statement, mermaid.Blank):
                statement = replace(statement, tail=";")
        if isinstance(statement, mermaid.Chain):
            statement = replace(statement, groups=tuple(defined_once(group, seen) for group in statement.groups))
        fitted.append(statement)
    if not isinstance(fitted[-1], mermaid.Blank):
        fitted[-1] = replace(fitted[-1], tail=draw(st.sampled_from(["", "\n", "\r\n"])))
    return mermaid.Diagram(statements=tuple(fitted))


def defined_once(group: tuple[mermaid.Mention, ...], seen: set[str]) -> tuple[mermaid.Mention, ...]:
    once = [replace(m, outline=None, data=None) if m.id in seen or seen.add(m.id) else m for m in group]
    return tuple(once)


@given(diagrams())
@settings(max_examples=120)
def test_every_tree_comes_back_from_its_text(tree: mermaid.Diagram) -> None:
    assert parse(write(tree)) == tree


PIECES = st.sampled_from(
    [
        *("A", "B", "x", "o", "end", "é", "n-1", "style", "direction LR", "subgraph s", "subgraph s[t]", "click A b"),
        *("[a]", "(b)", "{c}", '["q r"]', "((d))", "[/e/]", "@{ shape: hex }", ":::c", "|t|", "-- t -->", "-. t .->"),
        *(
            "-->",
            "---",
            "==>",
            "-.->",
            "~~~",
            "x--",
            "--o",
            "<-->",
            "->",
            "--",
            "&",
            "%% c",
            "%%{ i }%%",
            "---\na\n---",
        ),
        *(
            " ",
            " ",
            " ",
            "\n",
            "\n",
            "\r\n",
            ";",
            "\t",
            '"',
            "[",
            "]",
            "(",
            "{",
            "|",
            "@",
            "e1@",
            "#35;",
            "/",
            "\\",
            "",
        ),
    ]
)


@given(st.lists(PIECES, max_size=25), st.text(max_size=3))
@settings(max_examples=400)
def test_accepted_text_comes_back_byte_for_byte_and_nothing_else_is_raised(pieces: list[str], odd: str) -> None:
    text = "flowchart TD\n" + "".join(pieces) + odd
    error = tree = None
    try:
        tree = parse(text)
    except mermaid.MermaidError as refusal:
        error = refusal
    if tree is not None:
        assert write(tree) == text
        assert {e.source for e in tree.edges()} <= {*tree.nodes(), *(s.id for s in tree.subgraphs()), "e1"}
    if error is not None:
        assert 1 <= error.line <= text.count("\n") + 1
        assert error.column >= 1


@given(diagrams(), st.data())
@settings(max_examples=60)
def test_damaged_text_is_refused_or_kept(tree: mermaid.Diagram, data: st.DataObject) -> None:
    text = write(tree)
    start = data.draw(st.integers(0, len(text)))
    damaged = text[:start] + data.draw(st.sampled_from(["", '"', "]", "\n", " ", "-", "\x00"])) + text[start + 1 :]
    try:
        kept = parse(damaged)
    except mermaid.MermaidError:
        return
    assert write(kept) == damaged


@given(st.text(st.characters()) | st.lists(PIECES | st.sampled_from(list('"#<>&%$`:\n ')), max_size=8).map("".join))
def test_labels_come_back_from_their_escapes(label: str) -> None:
    encoded = encode(label)
    assert decode(f'"{encoded}"') == label
    assert not set(encoded.replace("<br/>", "")) & set('"<>\n\r`')


@given(st.text(max_size=30), st.text(max_size=30), st.sampled_from(list(mermaid.Shape)), st.booleans())
def test_built_labels_are_read_as_given(first: str, second: str, shape: mermaid.Shape, both_ways: bool) -> None:
    built = diagram([node("a", shape, first), edge("a", "b", second, both_ways=both_ways), node("b", label=second)])
    assert parse(write(built)) == built
    use = built.nodes()["a"]
    assert (use.shape, use.label, use.line) == (shape, first, 2)
    assert [(e.source, e.target, e.label, e.both_ways) for e in built.edges()] == [("a", "b", second, both_ways)]


@given(st.lists(st.lists(st.sampled_from("ABCDE"), min_size=1, max_size=3), min_size=1, max_size=5))
def test_chains_and_groups_are_the_product_of_neighbours(groups: list[list[str]]) -> None:
    tree = parse("graph LR;" + " --> ".join(" & ".join(group) for group in groups))
    expected: list[Any] = []
    for sources, targets in itertools.pairwise(groups):
        expected += itertools.product(sources, targets)
    assert [(e.source, e.target) for e in tree.edges()] == expected
    assert list(tree.nodes()) == list(dict.fromkeys(itertools.chain(*groups)))

"""Mermaid flowcharts: meaning as the renderers read it, refusals with a place and a mend, layout kept, linear time."""

import time
from contextlib import suppress
from dataclasses import replace

import pytest

from menon.core.errors import ConfigError
from menon.flowcharts.mermaid import Blank, Chain, Diagram, MermaidError, Shape
from menon.flowcharts.mermaid_labels import decode
from menon.flowcharts.mermaid_reading import parse
from menon.flowcharts.mermaid_statements import BRACKETS, SHAPE_NAMES
from menon.flowcharts.mermaid_writing import comment, diagram, edge, end, node, subgraph, write

CHART = """---
title: a chart
---
%%{init: {"theme": "dark"}}%%
flowchart LR

  %% hello; there
  S([Start]) --> A["Ask #quot;x#quot;<br/>twice"]:::big;  A -->|yes| B{ok?} & C[/comp/] ==> D
\tB -- "no -- way" --> E@{ shape: hex, label: "Map #35;1" }
  D e1@-. text .-> F(((x)))
  e1@{ animate: true }
  F <--> G x--x H ~~~ I --o J
  subgraph one [Title here]
    direction TB
    subgraph "quoted"
      K>flag] -.-> L[\\t/]
    end
  end
  accTitle: bla; bla
  accDescr {
   two lines }
  classDef big fill:#f9f,stroke:#333;
  click A "https://example.org/;x" _blank
  A ---
   Z"""


@pytest.mark.parametrize("end_of_line", ["\n", "\r\n"])
@pytest.mark.parametrize("last", ["", "\n", " \n\n", ";"])
def test_text_is_kept_byte_for_byte(end_of_line: str, last: str) -> None:
    text = (CHART + last).replace("\n", end_of_line)
    assert write(parse(text)) == text


def test_nodes_are_what_their_defining_mention_says() -> None:
    nodes = parse(CHART, first_line=10).nodes()
    assert list(nodes) == list("SABCDEFGHIJKLZ")
    seen = {use.id: (use.shape, use.label, use.line) for use in nodes.values()}
    assert seen["S"] == (Shape.STADIUM, "Start", 17)
    assert seen["A"] == (Shape.RECTANGLE, 'Ask "x"\ntwice', 17)
    assert seen["D"] == (None, None, 17)
    assert seen["E"] == (Shape.HEXAGON, "Map #1", 18)
    assert seen["L"] == (Shape.TRAPEZOID_ALT, "t", 25)
    assert seen["Z"] == (None, None, 34)


def test_edges_are_expanded_in_order() -> None:
    seen = [(e.source + e.target, e.label, e.kind, e.head, e.both_ways, e.line) for e in parse(CHART).edges()]
    assert seen == [
        ("SA", "", "solid", ">", False, 8),
        ("AB", "yes", "solid", ">", False, 8),
        ("AC", "yes", "solid", ">", False, 8),
        ("BD", "", "thick", ">", False, 8),
        ("CD", "", "thick", ">", False, 8),
        ("BE", "no -- way", "solid", ">", False, 9),
        ("DF", "text", "dotted", ">", False, 10),
        ("FG", "", "solid", ">", True, 12),
        ("GH", "", "solid", "x", True, 12),
        ("HI", "", "invisible", "", False, 12),
        ("IJ", "", "solid", "o", False, 12),
        ("KL", "", "dotted", ">", False, 16),
        ("AZ", "", "solid", "", False, 24),
    ]
    assert [e.id for e in parse(CHART).edges() if e.id] == ["e1"]
    assert [e.arrow for e in parse("graph\nA --- B --> C").edges()] == [False, True]


def test_subgraphs_know_members_and_parent() -> None:
    seen = [(s.id, s.title, s.members, s.parent, s.line) for s in parse(CHART).subgraphs()]
    assert seen == [("one", "Title here", (), None, 13), ("quoted", "quoted", ("K", "L"), 0, 15)]
    assert list(parse("graph\nsubgraph s\nA\nend\ns --> B").nodes()) == ["A", "B"]


@pytest.mark.parametrize(("signs", "shape"), BRACKETS.items())
def test_brackets_and_names_draw_shapes(signs: tuple[str, str], shape: Shape) -> None:
    for label in ("a b", '"a b"', '"`a b`"'):
        use = parse(f"graph TD\nn{signs[0]}{label}{signs[1]}").nodes()["n"]
        assert (use.shape, use.label) == (shape, "a b")
    names = [name for name, named in SHAPE_NAMES.items() if named is shape]
    assert names
    for name in names:
        assert parse(f"graph TD\nn@{{shape: {name}}}").nodes()["n"].shape is shape


def test_the_data_form_merges_with_brackets_and_keeps_unknown_names() -> None:
    nodes = parse('graph\nA[x]@{ shape: diam }\nB@{ shape: manual-file, label: "f" }\nC@{\n label: c d\n}').nodes()
    assert (nodes["A"].shape, nodes["A"].label) == (Shape.DIAMOND, "x")
    assert (nodes["B"].shape, nodes["B"].label, nodes["B"].shape_name) == (None, "f", "manual-file")
    assert (nodes["C"].shape, nodes["C"].label) == (Shape.RECTANGLE, "c d")


@pytest.mark.parametrize(
    ("header", "direction"), [("graph BT;", "BT"), ("flowchart", "TB"), ("flowchart-elk TD", "TD")]
)
def test_direction(header: str, direction: str) -> None:
    assert parse(f"{header}\nA").direction == direction


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("a #35; b", "a # b"),
        ('" #lt;b#gt; &amp; &#65;&#x42; "', "<b> & AB"),
        ("x<BR >y<br>  z\n w", "x\ny\nz\nw"),
        ("#nonsense; #99999999; #35 <i>t</i>", "#nonsense; #99999999; #35 <i>t</i>"),
        ("#35;lt;", "#lt;"),
        ('"`**b**`"', "**b**"),
        ('" "', ""),
    ],
)
def test_decode(raw: str, text: str) -> None:
    assert decode(raw) == text


# Edges as Mermaid 11.17 reads them: (source, target, label)
RECORDED = {
    "A---oB": [("A", "B", "")],
    "A -.a.-> B": [("A", "B", "a")],
    "A -- a -> b --> B": [("A", "B", "a -> b")],
    "A -- a[b] --> B": [("A", "B", "a[b]")],
    "A -- a|b; c --> B": [("A", "B", "a|b; c")],
    'A-->|"x" |B': [("A", "B", "x")],
    "A\n  ---\n  B": [("A", "B", "")],
    "A[x]-->B:::c & C": [("A", "B", ""), ("A", "C", "")],
    "A & B --> C & D": [("A", "C", ""), ("A", "D", ""), ("B", "C", ""), ("B", "D", "")],
    "A --x--- --> B": None,
    "A -. a.b .-> B": None,
    "A == a=b ==> B": None,
    "A-->B[a (b)]": None,
    'A-->| "x"|B': None,
    "A -->|x|  B": None,
    "A((-5)) --> B": None,
    "A --> B %% c": None,
    "A@{ shape: rect }:::c --> B": None,
    "a² --> B": None,
    "A --> call": None,
}


@pytest.mark.parametrize("text", RECORDED)
def test_edges_are_those_of_the_renderer(text: str) -> None:
    expected = RECORDED[text]
    if expected is None:
        with pytest.raises(MermaidError):
            parse(f"flowchart TD\n{text}")
    else:
        assert [(e.source, e.target, e.label) for e in parse(f"flowchart TD\n{text}").edges()] == expected


REFUSED = {  # text after the header, line, column, part of the message
    "A --> end": (2, 7, "'end' cannot be a node: 'end' is a word of the language. What to do: write End or END"),
    "end --> A": (2, 1, "'end' cannot be a node"),
    "A\nend": (3, 1, "'end' without a subgraph"),
    "subgraph x\nsubgraph y\nend": (2, 1, "the subgraph is not closed"),
    "A[x": (2, 2, "'[x' is not closed"),
    "A[x\nB[y] --> C": (2, 2, "'[x' is not closed"),
    'A["x]': (2, 3, "the quote is not closed"),
    "A -->|x B": (2, 6, "is not closed"),
    "A@{ shape: rect": (2, 2, "is not closed"),
    "A@{ shape }": (2, 1, "no 'key: value' at 'shape'"),
    "A[x] B": (2, 6, "text after a statement: 'B'"),
    "A [x]": (2, 3, "a blank before the bracket"),
    "A --> ": (2, 7, "the target of the arrow is missing"),
    "--> A": (2, 1, "a node is missing"),
    "A -> B": (2, 3, "unknown arrow at '-> B'"),
    "A => B": (2, 3, "unknown arrow at '=> B'"),
    "A <-- x --- B": (2, 3, "heads that differ"),
    "A -- open": (2, 3, "no arrow ends the label"),
    "A -- box--> B": (2, 9, "renderers take 'x' for an arrow head"),
    "A&B": (2, 2, "'&' without blanks"),
    "A\nx--> B": (3, 1, "renderers take 'x--' for an arrow head"),
    "año--> B": (2, 1, "renderers take 'o--' for an arrow head"),
    'A["see direction LR"]': (2, 8, "renderers take 'direction LR' for a statement"),
    "A[f(x)]": (2, 4, "'(' inside a label without quotes, where ']' would close it"),
    'A[a "b"]': (2, 5, "inside a label without quotes"),
    "A[]": (2, 2, "a label is empty"),
    "A --> B %% why": (2, 9, "a comment after a statement"),
    "A[x]\nB\nA[y]": (4, 1, "node 'A' has two labels, 'x' on line 2 and 'y' here"),
    "A[x]\nA(x)": (3, 1, "node 'A' has two shapes, 'rectangle' on line 2 and 'round' here"),
    "graph LR": (2, 1, "a second header"),
    "style --> B": (2, 1, "'style' starts a statement of its own kind"),
    "direction XX": (2, 11, "unknown direction 'XX'"),
    "%%{init": (2, 1, "the directive is not closed"),
    "A:::": (2, 5, "the class after ':::' is missing"),
}


@pytest.mark.parametrize("text", REFUSED)
def test_refusals_name_place_and_mend(text: str) -> None:
    line, column, message = REFUSED[text]
    with pytest.raises(MermaidError) as caught:
        parse(f"flowchart TD\n{text}", file="plan.md", first_line=1)
    error = caught.value
    assert isinstance(error, ConfigError)
    assert (error.file, error.line, error.column) == ("plan.md", line, column)
    assert message in str(error)
    assert str(error) == f"plan.md:{line}: {error.problem}. What to do: {error.mend}"


@pytest.mark.parametrize("text", ["stateDiagram-v2\n[*] --> A", "sequenceDiagram\nA->>B: hi", "", "A --> B", "```"])
def test_only_flowcharts_are_read(text: str) -> None:
    with pytest.raises(MermaidError, match="a flowchart is read here, got .*start with 'flowchart TD'"):
        parse(text)


def test_front_matter_that_is_not_closed_is_refused() -> None:
    with pytest.raises(MermaidError, match="the front matter is not closed"):
        parse("---\ntitle: x\nflowchart TD")


def test_equality_sees_fields_and_layout_but_not_the_place() -> None:
    tree = parse("flowchart TD\nA --> B\n")
    assert tree == parse("flowchart TD\nA --> B\n", file="other.md", first_line=7)
    for other in ("A  --> B\n", "A ---> B\n", "A --> B", " A --> B\n", "A --> B\r\n"):
        assert tree != parse(f"flowchart TD\n{other}")
    chain = tree.statements[1]
    assert isinstance(chain, Chain)
    assert replace(chain, lead="  ") != chain
    assert hash(tree) == hash(parse(write(tree)))
    assert Diagram(statements=(*tree.statements, Blank())) != tree


def test_builders_write_indented_statements() -> None:
    built = diagram(
        [
            comment("made"),
            node("S", Shape.STADIUM, "Start"),
            subgraph("in", "Inner <b>"),
            edge("S", "B", 'say "hi" #1\nnow'),
            edge("B", "C", kind="dotted", both_ways=True),
            end(),
            edge("C", "D", kind="invisible"),
        ],
        direction="LR",
    )
    assert write(built) == (
        "flowchart LR\n"
        "    %% made\n"
        '    S(["Start"])\n'
        '    subgraph in["Inner #lt;b#gt;"]\n'
        '        S -->|"say #quot;hi#quot; #35;1<br/>now"| B\n'
        "        B <-.-> C\n"
        "    end\n"
        "    C ~~~ D\n"
    )
    assert [use.line for use in built.nodes().values()] == [3, 5, 6, 8]


@pytest.mark.parametrize("bad", ["end", "a b", "", "a[x]", "graph", "A --> B", "x;y"])
def test_builders_refuse_ids_that_are_none(bad: str) -> None:
    with pytest.raises(ConfigError):
        diagram([node(bad)])
    with pytest.raises(ConfigError):
        diagram([edge("A", bad)])


def test_builders_refuse_what_means_nothing() -> None:
    with pytest.raises(ConfigError, match="invisible"):
        edge("A", "B", "yes", kind="invisible")
    with pytest.raises(ConfigError, match="both_ways"):
        edge("A", "B", arrow=False, both_ways=True)
    with pytest.raises(ConfigError, match="one line"):
        comment("a\nb")
    with pytest.raises(MermaidError, match="two labels"):
        diagram([node("A", label="x"), node("A", label="y")])
    with pytest.raises(MermaidError, match="not closed"):
        diagram([subgraph("s")])


def test_deep_nesting_needs_no_recursion() -> None:
    text = "flowchart TD\n" + "subgraph s\n" * 1000 + "A\n" + "end\n" * 1000
    tree = parse(text)
    assert tree == parse(write(tree))
    assert hash(tree) == hash(parse(text))
    assert len(repr(tree)) > 1000
    assert tree.subgraphs()[-1].parent == 998


def seconds(text: str) -> float:
    start = time.process_time()
    with suppress(MermaidError):
        assert write(parse(text)) == text
    return time.process_time() - start


def test_a_large_chart_is_read_and_written() -> None:
    nodes = "".join(f'n{i}["node {i}"]\n' for i in range(10_000))
    edges = "".join(f"n{i % 10_000} -->|e{i}| n{i * 7 % 10_000}\n" for i in range(20_000))
    text = f"flowchart TD\n{nodes}{edges}"
    assert seconds(text) < 5  # about 0.7 s; quadratic would be minutes
    tree = parse(text)
    assert (len(tree.nodes()), len(tree.edges())) == (10_000, 20_000)


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "(",
            '"',
            "A --> ",
            "A;",
            "\n",
            " ",
            "A -- ",
            "-",
            ".",
            "-.",
            "%%\n",
            "A & ",
            "A-.",
            "<br ",
            "a.",
            "@",
            "A[x];",
        ),
        *("A & ", "style A x;", "subgraph s;", "A -.x", 'A["', "#", "%%{", "@{", "---\n", "e@", "A\n\n"),
    ],
)
def test_hostile_repetition_takes_linear_time(piece: str) -> None:
    assert seconds("flowchart TD\n" + piece * 20_000) < 4
    assert seconds("flowchart TD\nA[" + piece * 20_000 + "]") < 4

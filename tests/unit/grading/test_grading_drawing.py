"""Grader "drawing": many spellings of one drawing, every relation at its edge, credit, runaway and hostile text."""

import time

import pytest

from menon import Completion, DataError, Problem, Verdict
from menon.grading.drawing import RELATIONS, Shape, parts_of, shapes_in
from menon.grading.verdicts import grade

SCENE = {
    "shapes": {"ball": "circle", "box": "rect", "rope": "line"},
    "relations": [
        ["above", "ball", "box"],
        ["touches", "ball", "box"],
        ["right of", "rope", "box"],
        ["vertical", "rope"],
    ],
}
GOLD = "circle 30 50 10 ball; rect 20 20 20 20 box; line 60 30 60 70 rope"
PROBLEM = Problem(family="drawing", question="?", answer=GOLD, grader="drawing", meta={"scene": SCENE})


def verdict(text: str) -> Verdict:
    return grade(PROBLEM, Completion(key="k", text=text)).verdict


@pytest.mark.parametrize(
    "text",
    [
        f"First the box.\n#### {GOLD}",
        f"#### {GOLD}.",
        f"First the box.#{GOLD}",
        f"\\boxed{{{GOLD}}}",
        f"The answer is {GOLD}",
        "I draw:\n```\ncircle 30 50 10 ball\nrect 20 20 20 20 box\nline 60 30 60 70 rope\n```\nDone.",
        "circle 30 50 10\nrect 20 20 20 20\n\nline 60 30 60 70",
        "####\n```text\ncircle 30 50 10 ball\nrect 20 20 20 20 box\nline 60 30 60 70 rope\n```",
        "#### circle(30, 50, 10) ball; rect(20, 20, 20, 20) box; line(60, 30, 60, 70) rope",
        "#### ball: circle 30 50 10; box: rect 20 20 20 20; rope: line 60 30 60 70",
        "#### circle x=30 y=50 r=10 # ball\nrectangle x=20 y=20 w=20 h=20 # box\nline x1=60 y1=30 x2=60 y2=70 # rope",
        "#### circle 30.0 50.0 10.00 ball; rect 20 20 20 20 BOX; line 60 30 60.5 70 rope",
        "#### circle ３０ ５０ １０ ball; rect 20 20 20 20 box; line 60 30 60 70 rope",
        '<svg width="100">\n<circle cx="30" cy="50" r="10" fill="red"/>\n<rect x="20" y="20" width="20" height="20"/>\n'
        "<line x1='60' y1='30' x2='60' y2='70'/>\n</svg>",
        'Draft:\ncircle 1 1 1 ball\nNo, better:\n<rect id="box" height="20" width="20" x="20" y="20"/>\n'
        '<line id="rope" x1="60" y1="30" x2="60" y2="70"/>\n<circle id="ball" cx="30" cy="50" r="10"/>',
    ],
)
def test_spellings_of_the_right_drawing(text: str) -> None:
    graded = grade(PROBLEM, Completion(key="k", text=text))
    assert graded.verdict is Verdict.RIGHT, (graded, parts_of(PROBLEM, graded.answer or ""))
    assert graded.credit == 1.0


@pytest.mark.parametrize(
    ("drawing", "wrong"),
    [
        ("circle 30 49 10 ball; rect 20 20 20 20 box; line 60 30 60 70 rope", {"above ball box"}),
        ("circle 30 52 10 ball; rect 20 20 20 20 box; line 60 30 60 70 rope", {"touches ball box"}),
        ("circle 30 50 10 ball; rect 20 20 20 20 box; line 60 30 62 70 rope", {"vertical rope"}),
        ("circle 30 50 10 ball; rect 20 20 20 20 box; line 39 30 39 70 rope", {"right of rope box"}),
        ("circle 30 50 10 ball; rect 20 20 20 20 box; line 60 30 60 101 rope", {"on the grid"}),
        (f"{GOLD}; circle 80 80 5 sun", {"nothing more"}),
        (f"{GOLD}; circle 80 80 5", {"nothing more"}),
        (f"circle 30 50 10 ball; {GOLD}", {"nothing more"}),
        ("circle 30 50 10 ball; rect 20 20 20 20 box", {"line rope", "right of rope box", "vertical rope"}),
        ("rect 20 20 20 20 box; line 60 30 60 70 rope", {"circle ball", "above ball box", "touches ball box"}),
        (
            "circle 30 50 10 box; rect 20 20 20 20 ball; line 60 30 60 70 rope",
            {"circle ball", "rect box", "above ball box", "touches ball box", "right of rope box"},
        ),
        ("circle 30 50 0 ball; rect 20 20 20 20 box; line 60 30 60 70 rope",
         {"circle ball", "above ball box", "touches ball box"}),
    ],
)  # fmt: skip
def test_what_is_wrong_costs_its_parts_only(drawing: str, wrong: set[str]) -> None:
    parts = parts_of(PROBLEM, drawing)
    assert len(parts) == 9
    assert {part for part, holds in parts.items() if not holds} == wrong
    graded = grade(PROBLEM, Completion(key="k", text=f"#### {drawing}"))
    assert graded.verdict is Verdict.WRONG
    assert graded.credit == pytest.approx(1 - len(wrong) / 9)


def circle(x: float, y: float, r: float) -> Shape:
    return Shape(kind="circle", numbers=(x, y, r))


def rect(x: float, y: float, w: float, h: float) -> Shape:
    return Shape(kind="rect", numbers=(x, y, w, h))


def line(*ends: float) -> Shape:
    return Shape(kind="line", numbers=ends)


@pytest.mark.parametrize(
    ("relation", "a", "b", "holds"),
    [
        ("above", circle(0, 5, 1), circle(50, 3, 1), True),
        ("above", circle(0, 4.9, 1), circle(50, 3, 1), False),
        ("above", line(0, 5, 9, 5), line(0, 5, 9, 5), False),
        ("below", line(0, 5, 9, 5), rect(0, 5, 9, 9), True),
        ("left of", rect(0, 0, 5, 5), line(5, 0, 5, 9), True),
        ("right of", rect(0, 0, 5, 5), line(5, 0, 5, 9), False),
        ("inside", circle(10, 10, 3), circle(12, 10, 5), True),
        ("inside", circle(10, 10, 3), circle(12.1, 10, 5), False),
        ("inside", rect(7, 6, 6, 8), circle(10, 10, 5), True),  # its corners are 5 from the centre
        ("inside", rect(7, 6, 6, 8), circle(10, 10, 4.9), False),
        ("inside", rect(7, 6, 6, 8), rect(7, 6, 6, 8), True),
        ("inside", rect(7, 6, 6.1, 8), rect(7, 6, 6, 8), False),
        ("inside", line(1, 1, 2, 2), line(0, 0, 3, 3), False),
        ("touches", circle(0, 0, 5), circle(8, 0, 2), True),
        ("touches", circle(0, 0, 5), circle(8.1, 0, 2), False),
        ("touches", circle(8, 9, 4), rect(0, 0, 5, 5), True),  # 3, 4, 5 away from the corner
        ("touches", circle(8, 9, 3.9), rect(0, 0, 5, 5), False),
        ("touches", rect(0, 0, 5, 5), rect(6, 2, 5, 5), True),
        ("touches", rect(0, 0, 5, 5), rect(6.1, 2, 5, 5), False),
        ("horizontal", line(0, 0, 5, 1), None, True),
        ("horizontal", line(0, 0, 5, 1.1), None, False),
        ("vertical", line(3, 9, 3, 2), None, True),
        ("vertical", line(3, 9, 3, 8.5), None, False),
    ],
)
def test_relations_at_their_edges(relation: str, a: Shape, b: Shape | None, holds: bool) -> None:
    assert RELATIONS[relation](*(shape for shape in (a, b) if shape is not None)) is holds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I cannot draw.",
        "#### see above",
        f"{GOLD}\n#### done",
        "circle of life",
        "#### circle 1 2",
        "rect 1 2 3 ball",
    ],
)
def test_no_shape_where_the_answer_stands_is_unparsed(text: str) -> None:
    assert verdict(text) is Verdict.UNPARSED


def test_the_last_drawing_counts_and_the_text_before_it_is_the_rationale() -> None:
    graded = grade(PROBLEM, Completion(key="k", text=f"Try circle 1 1 1 ball first.\n\nBetter:\n{GOLD}"))
    assert graded.right
    assert graded.answer == GOLD
    assert graded.rationale.endswith("Better:")


@pytest.mark.parametrize(
    "text",
    [
        f"\\boxed{{{GOLD}}}\nThe circle 30 40 10 would have been too low.",
        f"The answer is {GOLD}\nThe circle 30 40 10 would have been too low.",
        f"```\n{GOLD}\n```\nThe circle 30 40 10 would have been too low.",
        f"```\ncircle 1 1 1 ball\n```\nNo:\n```\n{GOLD}\n```\n",
    ],
)
def test_a_marked_drawing_is_not_mixed_with_prose_after_it(text: str) -> None:
    assert grade(PROBLEM, Completion(key="k", text=text)).answer == GOLD


def test_names_of_the_question_only() -> None:
    assert [shape.name for shape in shapes_in("circle 1 2 3 sun; rect 1 2 3 4 box", ("box",))] == ["", "box"]
    assert shapes_in("circles 1 2 3; outline 1 2 3 4; circle 1 2 3 rect 4 5 6 7") == [
        circle(1, 2, 3),
        rect(4, 5, 6, 7),
    ]


@pytest.mark.parametrize(
    "piece",
    ["circle ", "<circle ", "<circle a=1 >", "circle 1 2 3 ", "line 1 2 3 4\n", "a", "1 ", "####", "```", "sun: ", "\n",
     "<", "(", "#circle 1 2 3 ", "rect 1 1 1 1\n\n\n", "answer is circle 1 2 3\n", "circle=", "9"],
)  # fmt: skip
def test_runaway_text_takes_milliseconds(piece: str) -> None:
    text = (piece * (100_000 // len(piece) + 1))[:100_000]
    began = time.perf_counter()
    grade(PROBLEM, Completion(key="k", text=text))
    assert time.perf_counter() - began < 1.0  # a slow shared machine; 0.02 to 0.1 s on an idle one
    assert len(shapes_in(text)) <= 60


def test_a_scene_that_cannot_be_judged_is_named() -> None:
    bare = Problem(family="drawing", question="?", answer=GOLD, grader="drawing")
    with pytest.raises(DataError, match=r"no meta\['scene'\]"):
        grade(bare, Completion(key="k", text=GOLD))
    odd = {"scene": {"shapes": {"ball": "circle"}, "relations": [["near", "ball", "ball"]]}}
    with pytest.raises(DataError, match=r"relations \['near'\]; allowed: above"):
        parts_of(Problem(family="drawing", question="?", answer=GOLD, grader="drawing", meta=odd), GOLD)

"""Recorded responses to tasks that no reading was written for: golds of every type, and the many ways models answer.

The rows are written here in the layout of counterfactual tasks. Each kind has golds of one task and responses to its
first gold, with what a person would say of each: right, wrong, or no readable answer.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from menon.auditing.recorded import read_recorded, recorded_cells
from menon.auditing.recorded.gold import answer_of, way_for
from menon.core.errors import ConfigError
from menon.core.values import Completion, Problem
from menon.grading import grade, open_grader


@dataclass(frozen=True)
class Kind:
    """A task: golds (the responses are to the first one), and responses by verdict."""

    golds: list[Any]
    right: list[str]
    wrong: list[str]
    unparsed: tuple[str, ...] = ()


ROOM = [{"name": "chair", "x": 250, "y": 500}, {"name": "lamp", "x": 0, "y": 250}, {"name": "desk", "x": 500, "y": 250}]
ROOM_2 = [{"name": "bed", "x": 250, "y": 0}, {"name": "lamp", "x": 0, "y": 250}, {"name": "rug", "x": 250, "y": 500}]
PLACES = {"chair": [250, 500], "lamp": [0, 250], "desk": [500, 250]}
PLACES_2 = {"bed": [250, 0], "lamp": [0, 250], "rug": [250, 500]}
ROOM_RIGHT = [
    json.dumps(ROOM),
    "Chair is north, so it is high up.\n\n```json\n" + json.dumps(ROOM, indent=2) + "\n```",
    "The coordinates are:\n" + "\n".join(json.dumps(thing) + "," for thing in ROOM),
    "Here they are:\n" + json.dumps([{**thing, "x": str(thing["x"]), "y": str(thing["y"])} for thing in ROOM])
    + "\n\nThe room is 500 wide, so a chair at the north wall is in the middle of it.",
    str(ROOM),
    "- Chair: (250, 500)\n- Lamp: (0, 250)\n- Desk: (500, 250)",
    "chair: [250, 500]\nlamp: [0, 250]\ndesk: [500, 250]",
    "{name: chair, x: 250, y: 500}, {name: lamp, x: 0, y: 250}, {name: desk, x: 500, y: 250}",
    "[\n" + "\n".join(json.dumps(thing) + ",  // at a wall" for thing in ROOM) + "\n]",
    json.dumps({"objects": [{"name": t["name"], "position": [float(t["x"]), float(t["y"])]} for t in ROOM]}),
    json.dumps([{"name": t["name"], "direction": "?"} for t in ROOM]) + "\nis given. So:\n" + json.dumps(ROOM),
    "1. **Chair**: x = 250, y = 500\n2. **Lamp**: x = 0, y = 250\n3. **Desk**: x = 500, y = 250",
    "The chair is at (250, 500), the lamp is at (0, 250), and the desk is at (500, 250).",
    "The coordinates of the chair are (250, 500).\nThe coordinates of the lamp are (0, 250).\n"
    "The desk's coordinates are (500, 250).",
    "So the answer is:\n\n" + json.dumps([{"name": t["name"], "direction": "east", "x": t["x"], "y": t["y"]}
                                          for t in ROOM]),
    "Answer: chair: (250, 500), lamp: (0, 250), desk: (500, 250)",
]  # fmt: skip
ROOM_WRONG = [
    json.dumps([{**thing, "y": 0} for thing in ROOM]),
    "- Chair: (250, 500)\n- Lamp: (0, 250)\n- Desk: (250, 500)",
    json.dumps(ROOM[:2]),
]

KINDS = {
    "spatial, list of objects": Kind([ROOM, ROOM_2], ROOM_RIGHT, ROOM_WRONG, ("I cannot tell.",)),
    "spatial, object of pairs": Kind([PLACES, PLACES_2], [*ROOM_RIGHT, json.dumps(PLACES)], ROOM_WRONG),
    "spatial, object of objects": Kind(
        [{n: {"x": x, "y": y} for n, (x, y) in p.items()} for p in (PLACES, PLACES_2)], ROOM_RIGHT, ROOM_WRONG
    ),
    "spatial, text": Kind([json.dumps(ROOM), json.dumps(ROOM_2)], ROOM_RIGHT, ROOM_WRONG),
    "spatial, directions": Kind(
        [{"chair": "north", "lamp": "west"}, {"bed": "south", "lamp": "west"}],
        [
            "The chair is to the north and the lamp is to the west.",
            '{"chair": "North", "lamp": "West"}',
            "chair: north\nlamp: west",
            "Answer: chair: north; lamp: west",
            "**Chair**: north\n**Lamp**: west",
        ],
        ["chair: north\nlamp: east", '{"chair": "south", "lamp": "west"}'],
    ),
    "syntax, object": Kind(
        [{"verb": "chased", "subject": "dog"}, {"verb": "sees", "subject": "woman"}],
        SYNTAX := [
            "Main verb and subject: chased, dog",
            "The sentence is in VSO order.\n\nMain verb and subject: chased, dog.",
            "Main verb: chased\nMain subject: dog",
            "- Main verb: **chased**\n- Subject: **dog**",
            'The main verb is "chased" and the main subject is "dog".',
            "Answer: verb: chased, subject: dog",
            '{"verb": "chased", "subject": "dog"}',
        ],
        [
            "Main verb and subject: chased, cat",
            "Main verb: sees\nMain subject: dog",
            'The main verb is "chased" and the main subject is "cat".',
        ],
    ),
    "syntax, list": Kind([["chased", "dog"], ["sees", "woman"]], SYNTAX, ["Main verb and subject: chased, cat"]),
    "syntax, other order": Kind([["dog", "chased"], ["woman", "sees"]], SYNTAX, ["Main verb and subject: chased, cat"]),
    "syntax, text": Kind(["chased, dog", "sees, woman"], SYNTAX, ["Main verb and subject: chased, cat"]),
    "logic": Kind(
        ["Uncertain", "True", "False"],
        [
            "Uncertain",
            "**Uncertain**",
            "Answer: Uncertain",
            "The first premise is true. The second is false.\nTherefore, the conclusion is Uncertain.",
            "Uncertain. The premises do not say whether it is true or false.",
            "Uncertain\n\nExplanation: Nothing says that all of them are warm, so it may be true or false.",
            "Since the premise is true but says nothing of it, the conclusion is uncertain.",
            "The correct answer is: (C) Uncertain",
            "The correct option is: uncertain.\n\nExplanation: If it were true, the conclusion would be false.",
            "The conclusion is neither true nor false; it is uncertain.",
        ],
        ["True", "The conclusion is false.", "False\n\nIt is uncertain to some, but a premise denies it."],
        ("It is either true or false.",),
    ),
    "programs, text": Kind(
        ["[1, 2, 3]", "'ab'", "7", "True", "None"],
        PROGRAMS := [
            "[1, 2, 3]",
            "```\n[1, 2, 3]\n```",
            "The code prints `[1, 2, 3]`.",
            "The output is [1, 2, 3] because the list counts from one.",
            "Output:\n```python\n[1, 2, 3]\n```\nExplanation: the slice begins at the first element.",
            "[1, 2, 3]\n\nExplanation: the index begins at 1, so nothing is left out.",
            "First x is [9].\nTherefore, the output of the code is:\n\n[1, 2, 3]",
            "The function returns `[1, 2, 3]`.\n\nThis is since indexing begins at one.",
            "#### [1, 2, 3]",
            "print(x[1:]) outputs [1, 2, 3].",
            "The code returns:\n[1, 2, 3]\nas wanted.",
        ],
        ["[1, 2]", "The output is [2, 3, 1] because of the sort.", "The code prints `7`."],
        ("It depends.",),
    ),
    "programs, values": Kind([[1, 2, 3], "ab", 7, True, {"a": 1}], [*PROGRAMS, "(1, 2, 3)"], ["[1, 2]", "7"]),
    "programs, words": Kind(
        ["'two words'", "[1]", "7"], ["two words", "The output is 'two words'.", "`two words`"], ["'two'", "7"]
    ),
    "programs, truth or number": Kind(["True", "[3]", "4.5"], ["True", "It prints `True`.", "Output: True"], ["False"]),
    "chords, packed": Kind(
        ["x32010", "320003", "022100", "xx0232", "x02220", "133211"],
        GUITAR := [
            "x32010",
            "**x32010**",
            "The fingering is x32010.",
            "The fingering is x-3-2-0-1-0, with the lowest string muted.",
            "X 3 2 0 1 0",
            "Answer: [x, 3, 2, 0, 1, 0]",
            "Standard tuning would be 022100 for E.\nFor C it is x-3-2-0-1-0.",
            "x32010\n\nHere 0 is an open string and x is muted.",
        ],
        ["x32000", "The fingering is x-3-2-0-0-0.", "320003"],
        ("I do not play.",),
    ),
    "chords, dashes": Kind(["x-3-2-0-1-0", "3-2-0-0-0-3", "0-2-2-1-0-0"], GUITAR, ["x32000", "3-2-0-0-0-3"]),
    "chords, list": Kind([["x", 3, 2, 0, 1, 0], [3, 2, 0, 0, 0, 3]], GUITAR, ["x32000", "3-2-0-0-0-3"]),
    "chords, ukulele": Kind(
        ["0003", "2010", "0232", "3211", "2220"],
        ["0003", "The chord is 0-0-0-3.", "Answer: 0003", "0 0 0 3", "Frets: [0, 0, 0, 3]"],
        ["3", "0030", "The chord is 2-0-1-0."],
    ),
    "chords, high frets": Kind(["0-10-9-12", "2-0-1-0"], ["0-10-9-12", "Play 0, 10, 9, 12."], ["0-1-9-12"]),
    "chords, strings in text": Kind(
        ["E: 0; A: 2; D: 2; G: 1; B: 0; E: 0", "E: x; A: 3; D: 2; G: 0; B: 1; E: 0"],
        [
            "E: 0; A: 2; D: 2; G: 1; B: 0; E: 0",
            "The fingering is:\nE: 0\nA: 2\nD: 2\nG: 1\nB: 0\nE: 0",
            "E:0, A:2, D:2, G:1, B:0, E:0",
            "E-0, A-2, D-2, G-1, B-0, E-0",
            "E string: 0, A string: 2, D string: 2, G string: 1, B string: 0, E string: 0",
            "The fingering is 0-2-2-1-0-0.",
            "022100",
        ],
        ["E: 0; A: 2; D: 2; G: 1; B: 0; E: 3", "x32010"],
    ),
    "chords, strings by name": Kind(
        [{"E": "x", "A": 3, "D": 2, "G": 0, "B": 1, "e": 0}, {"E": 3, "A": 2, "D": 0, "G": 0, "B": 0, "e": 3}],
        ["E: x\nA: 3\nD: 2\nG: 0\nB: 1\ne: 0", '{"E": "x", "A": 3, "D": 2, "G": 0, "B": 1, "e": 0}'],
        ["E: x\nA: 3\nD: 2\nG: 0\nB: 1\ne: 3"],
    ),
    "melodies": Kind(
        ["F#", "C", "Bb", "A", "G", "D", "E", "C#"],
        [
            "F#",
            "F\u266f",
            "The note is F#.",
            "**F#**",
            "Answer: F#",
            "The third note of the melody in D major is F#.",
            "In C major the notes are C, C, G, G, A, A, G.\n\nThe third note of the melody in D major is F#.",
            "The answer is \"F#\".",
            "F# (F sharp)",
            "F sharp",
            "The note is F-sharp.",
            "The third note: F#4",
            "The answer is F# because the key of D major has two sharps.",
            "F#.\n\nExplanation: the scale is D E F# G A.",
            "A is the first note. The third one is F#.",
        ],
        ["F", "The note is C#.", "The third note of the melody in D major is G.", "It is Bb"],
        ("This is a tough one.",),
    ),
    "melodies, rows of notes": Kind(
        [["F#", "A", "C#"], ["C", "E", "G"], ["D", "F#", "A"]],
        ["F#, A, C#", "The notes are F#, A, C#.", "Answer: F# A C#", "The notes are:\nF# - A - C#", "Notes: F# A C#",
         "#### F# A C#", "**F#, A, C#**"],
        ["F, A, C", "The notes are F#, A, C.", "C, E, G"],
    ),
    "melodies, all with sharps": Kind(["F#", "C#", "G#", "D#"], ["F#", "So it is F#.", "#### F#"], ["F", "C#", "F#m"]),
    "set game": Kind(
        ["2|striped|red|oval", "1|solid|green|diamond", "3|open|purple|squiggle"],
        SET := [
            "2|striped|red|oval",
            "The third card is 2|striped|red|oval.",
            "**2|striped|red|oval**",
            "Numbers: 1, 3, so 2.\n\nAnswer: 2|striped|red|oval",
            "The numbers differ, and so on.\nThe missing card is `2|striped|red|oval`.",
            "(2, striped, red, oval)",
        ],
        ["1|solid|green|diamond", "The third card is 2|striped|red|diamond."],
        ("No card fits.",),
    ),
    "set game, list": Kind([["2", "striped", "red", "oval"], ["1", "solid", "green", "diamond"]], SET,
                           ["The third card is 2|striped|red|diamond."]),
    "set game, parts": Kind(
        [{"number": 2, "shading": "striped", "color": "red", "shape": "oval"},
         {"number": 1, "shading": "solid", "color": "green", "shape": "diamond"}],
        ["Number: 2\nShading: striped\nColor: red\nShape: oval", "number: 2, shading: striped, color: red, shape: oval",
         "2, striped, red, oval"],
        ["Number: 2\nShading: striped\nColor: red\nShape: diamond"],
    ),
    "moves": Kind(
        ["yes", "no"],
        [
            "yes",
            "Yes, the opening is legal.\n\n1. e4 is a move of a pawn.\n2. Nf3 breaks no rule, no piece is in the way.",
            "Yes.",
            "\"Yes\"",
            "Every move is legal. There is no check.\n\nAnswer: yes",
            "Yes, it is. There is no reason to doubt it.",
        ],
        ["No", "No, it is not. A yes would need a free square.", "No.\n\nYes would be right if the square were free."],
        ("There is no telling.",),
    ),
    "sums": Kind(
        ["115", "82", "101"],
        ["**115**", "The result is 115 (base 9).", "$\\boxed{115}$", "\\boxed{115_9}", "115", "= 115_{9}",
         "Answer: 115", "So 36 + 68 = 115 in base-9."],
        ["\\boxed{114}", "The answer is 105."],
    ),
}  # fmt: skip


def rows_of(name: str, kind: Kind, responses: list[str]) -> list[dict[str, Any]]:
    task = "chess" if name == "moves" else name.partition(",")[0]
    world = "base9" if name == "sums" else "other"
    answers = [(kind.golds[0], response) for response in responses]
    answers += [(gold, "") for gold in kind.golds * 4]
    return [
        {"task": task, "world": world, "is_default": False, "model": "m", "cot": True, "id": f"{task}/{number}",
         "item": str(number), "prompt": f"question {number}", "response": response, "gold": gold,
         "reference_correct": None}
        for number, (gold, response) in enumerate(answers)
    ]  # fmt: skip


def read(name: str, kind: Kind, responses: list[str], folder: Path) -> list[tuple[str, str, str | None, str]]:
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows_of(name, kind, responses)), encoding="utf-8")
    found = read_recorded([f"recorded:{file}"])
    assert not found.skipped
    assert len(recorded_cells(found)) == 1
    read = [(a.completion.text, a.grade.verdict.value, a.grade.answer, a.grade.note) for a in found.answered]
    return read[: len(responses)]


@pytest.mark.parametrize("name", KINDS)
def test_answers_are_read_as_a_person_would(name: str, tmp_path: Path):
    kind = KINDS[name]
    for verdict, responses in (("right", kind.right), ("wrong", kind.wrong), ("unparsed", list(kind.unparsed))):
        allowed = {verdict, "unparsed"} if verdict == "wrong" else {verdict}
        missed = [row for row in read(name, kind, responses, tmp_path) if row[1] not in allowed]
        assert not missed, "\n".join(f"wanted {verdict}: {row!r}" for row in missed)


def test_parts_that_are_right_are_kept_with_the_item_and_the_cell_counts_whole_answers(tmp_path: Path):
    half = json.dumps([{**thing, "y": 500} for thing in ROOM])
    ((_, verdict, answer, note),) = read("spatial", KINDS["spatial, list of objects"], [half], tmp_path)
    assert verdict == "wrong"
    assert answer == "chair: (250, 500); lamp: (0, 500); desk: (500, 500)"
    assert "33% of the parts are right" in note


@pytest.mark.parametrize(
    ("task", "golds", "grader"),
    [
        ("sums", ["1234", "5678", "9012"], "number"),
        ("dates", ["2020-01-02", "2021-03-04"], "word"),
        ("lists", [[1, 2, 3], [4, 5, 6]], "tokens?form=prose"),
        ("programs", [[], [1], [2, [3]]], "value?types=any"),
        ("programs", ["[0, 2, 2]", "[1, 2, 3]", "[]"], "value"),
        ("notes", ["C", "D", "E", "F", "G", "C", "D", "E", "F", "G"] * 3, "word"),
        ("choices", ["A", "B", "C", "D"] * 3, "choice"),
        ("logic", ["True", "False", "Unknown"] * 3, "word"),
        ("chords", ["3200", "3211"], "tokens?form=prose"),
        ("openings", ["yes", "no"] * 3, "word"),
        ("rooms", ['{"a": [1, 2]}', '{"b": [1, 2]}'], "fields"),
        ("dictionaries", [{"a: b": 1}, {"c": [1]}], "value?types=any"),
    ],
)
def test_the_grader_follows_from_the_golds_of_a_task(task: str, golds: list[Any], grader: str):
    assert way_for(task, "other", golds).grader == grader


def test_an_empty_list_is_a_gold_answer(tmp_path: Path):
    kind = Kind([[], [1], [2, [3]]], [], [])
    assert [row[1] for row in read("programs", kind, ["[]", "The code prints `[]`.", "[0]"], tmp_path)] == [
        "right",
        "right",
        "wrong",
    ]


@pytest.mark.parametrize("name", ["spatial, text", "syntax, list", "programs, text", "chords, packed", "melodies"])
@pytest.mark.parametrize(
    "piece", ["[", "[{", "{}", "[[]", "0-", "x: ", "chair ", "chair 1,", "a, ", "|", "is F# ", "`"]
)
def test_runaway_text_is_read_in_no_time(name: str, piece: str):
    kind = KINDS[name]
    way = way_for("task", "other", kind.golds * 4)
    problem = Problem(
        family="", question="", answer=answer_of(kind.golds[0], way), grader=way.grader,
        choices=way.choices, meta=way.meta,
    )  # fmt: skip
    started = time.process_time()
    grade(problem, Completion(key="k", text=piece * (100_000 // len(piece))))
    assert time.process_time() - started < 2


def test_unknown_options_of_graders_are_refused():
    with pytest.raises(ConfigError, match="allowed: exact, any"):
        open_grader("value?types=loose")
    with pytest.raises(ConfigError, match="allowed: answer, bracket, sentence, prose"):
        open_grader("tokens?form=verse")

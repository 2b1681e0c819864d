"""Solutions in hand-written thinking are found where a reader finds them, and hostile text costs no time."""

import gzip
import json
import time
from pathlib import Path

import pytest

from menon.core.values import Completion, Problem
from menon.grading import grade
from menon.grading.solutions import solutions_in, thought_and_written

PENS = Problem(family="pens", question="3 boxes of 12 pens, 4 are lost. how many?", answer="32", grader="number")
EMBEDDED = Problem(family="chain", question="tom has 47 pens.", answer="44")
LETTER = Problem(
    family="quiz", question="which?", answer="B", choices=("cat", "dog", "cow"), grader="choice"
)  # fmt: skip


def answers(text: str, problem: Problem = PENS, **more: str) -> list[tuple[str, bool]]:
    return [(s.answer, s.right) for s in solutions_in(problem, text, **more)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3*12=36 and 36-4=32. The answer is 32.", [("32", True)]),
        ("3*12=36, 36-4=32\n#### 32", [("32", True)]),
        (r"So we get $36 - 4 = 32$, that is \boxed{32}.", [("32", True)]),
        ("So 3*12=36. Hence 36-4=32. Hmm, is it 5 lost? The answer is 31.", [("32", True), ("31", False)]),
        ("So 3*12=36. Then 36-4=32. Wait, it is 5 lost: 31.\n#### 31", [("31", False)]),
        ("So 3*12=36. That is all there is in the boxes. Then some are lost.\n#### 32", [("32", True)]),
        (r"\boxed{\text{32}} pens", [("32", True)]),
        ("**Answer:** 32 pens", [("32", True)]),
        ("The answer is \\boxed{32}. **Final answer: 32**\n#### 32", [("32", True)]),
        ("3*12=35. The answer is 31. Wait, 3*12=36. The answer is 32.", [("31", False), ("32", True)]),
        ("The answer is 32. Let me double-check. Yes, the answer is 32.", [("32", True), ("32", True)]),
        ("The answer is 32. 12+12+12-4=32. The answer is 32.", [("32", True), ("32", True)]),
        ("3*12=36. So 36-4=32. Wait, is it 5 lost? Thus it would be 31.\n#### 31", [("32", True), ("31", False)]),
        ("The answer is not 36. The answer is 32.", [("32", True)]),
        ('I must end with a line "#### " and the answer.\n3*12-4=32\n#### 32', [("32", True)]),
        ("#### Step 1: boxes\n3*12=36\n#### Step 2: losses\n36-4=32\n#### 32", [("32", True)]),
        ("The answer is\uff1a\uff13\uff12", [("32", True)]),
        ("no figure here", []),
        ("", []),
    ],
)
def test_statements_of_numbers(text: str, expected: list[tuple[str, bool]]):
    assert answers(text) == expected


def test_embedded_model_and_choices():
    assert answers("47+5=52;52-8=44;#44", EMBEDDED) == [("44", True)]
    assert answers("47+5=52;#52", EMBEDDED) == [("52", False)]
    text = "It barks, so the answer is (B). Wait, it meows. The answer is (A)."
    assert answers(text, LETTER) == [("B", True), ("A", False)]


def test_an_answer_that_only_a_fall_back_reads_is_a_solution():
    assert answers("he has 32 pens") == []
    assert answers("he has 32 pens", final="32") == [("32", True)]
    assert answers("The answer is 31. Or he has 32 pens", final="32") == [("31", False), ("32", True)]
    assert answers("The answer is 32.", final="32") == [("32", True)]


def test_spans_cover_the_text_and_new_methods_are_told():
    text = (
        "3*12=36, 36-4=32. The answer is 32. Let me verify: 3*12 = 36, so the answer is 32. "
        "Alternatively 12-4=8, 8+24=32. The answer is 32. That is all."
    )
    found = solutions_in(PENS, text)
    assert [s.start for s in found] == [0, *(s.stop for s in found[:-1])]
    assert found[-1].end == len(text) > found[-1].stop
    assert [s.new for s in found] == [True, False, True]
    assert [set(s.method) for s in found] == [{"3*12=36", "36-4=32"}, {"3*12=36"}, {"12-4=8", "8+24=32"}]
    assert all(text[s.stated :].startswith(("The answer", "so the answer", "answer")) for s in found)


@pytest.mark.parametrize(
    ("completion", "text"),
    [
        (Completion(key="k", text="<think>one</think>two"), "\none\ntwo"),
        (Completion(key="k", text="two", reasoning="one"), "one\ntwo"),
        (Completion(key="k", text="one</think>two"), "one\ntwo"),
        (Completion(key="k", text="<think>never closed"), "\nnever closed"),
        (Completion(key="k", text="", reasoning="one"), "one"),
    ],
)
def test_reasoning_and_text_become_one(completion: Completion, text: str):
    assert thought_and_written(completion) == text


def test_every_way_to_deliver_reasoning_gives_the_same_solutions():
    thought, said = "3*12=36. The answer is 31. Wait, 36-4=32, so the answer is 32.", "#### 32"
    ways = [
        Completion(key="k", text=f"<think>{thought}</think>\n{said}"),
        Completion(key="k", text=f"{thought}</think>\n{said}"),
        Completion(key="k", text=said, reasoning=thought),
    ]
    found = [answers(thought_and_written(way)) for way in ways]
    assert found == [[("31", False), ("32", True)]] * 3


HOSTILE = {
    "letters": "a" * 100_000,
    "blanks": " " * 100_000,
    "blank after stop": "." + " " * 99_999,
    "lines": "\n " * 50_000,
    "hashes": "#" * 100_000,
    "empty hashes": "#### \n" * 16_000,
    "nested boxes": "\\boxed{" * 14_000,
    "one open box": "\\boxed" + "{" * 99_990,
    "said": "answer is " * 10_000,
    "said with number": "the answer is 32. " * 5_500,
    "alternating": "#### 1\n#### 2\n" * 7_000,
    "so": "so 1 " * 20_000,
    "wait": "wait, " * 16_000,
    "digits": "1" * 100_000,
    "sum": "1+" * 50_000,
    "chained equals": "1=1=" * 25_000,
    "equations": "1+1=2;" * 16_000,
    "marks": "<<1+1=2>>" * 11_000,
    "single marks": "1#" * 50_000,
    "tags": "<think>" * 14_000,
    "rounds": "Wait, 3*12=36 so 36-4=32. The answer is 32.\n" * 2_200,
    "full width": "\uff11\uff1d" * 50_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_of_100_000_characters_is_read_in_time(name: str):
    text = thought_and_written(Completion(key="k", text=HOSTILE[name]))
    for problem in (PENS, EMBEDDED):
        began = time.process_time()
        found = solutions_in(problem, text, final=problem.answer)
        assert time.process_time() - began < 2.5
        if text.strip():
            assert found[-1].answer == problem.answer
            assert found[-1].end == len(text)


def test_rounds_are_all_counted():
    found = solutions_in(PENS, HOSTILE["rounds"][: 46 * 100])
    assert len(found) >= 100
    assert [s.new for s in found[:3]] == [True, False, False]


def test_published_solutions_hold_one_solution_each(shared_data: Path):
    """Worked solutions of people never think twice; the samples of a model that was taught on them hardly do."""
    asked = {}
    with gzip.open(shared_data / "gsm8k" / "test.jsonl.gz", "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            problem = Problem(family="gsm8k", question=row["question"], answer=row["answer"], grader="number")
            asked[row["id"]] = problem
            found = solutions_in(problem, f"{row['rationale']}\n#### {row['answer']}", final=row["answer"])
            assert [(s.right, s.new) for s in found] == [(True, True)]
    counts = []
    with gzip.open(shared_data / "gsm8k" / "model_solutions.jsonl.gz", "rt", encoding="utf-8") as lines:
        for row in list(map(json.loads, lines))[:1500]:
            problem = asked[row["id"]]
            graded = grade(problem, Completion(key="k", text=row["solution"]))
            found = solutions_in(problem, row["solution"], final=graded.answer)
            counts.append(len(found))
            if found:
                assert found[-1].right == graded.right
    assert sum(count == 1 for count in counts) > 0.98 * len(counts)

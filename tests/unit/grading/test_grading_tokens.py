"""Grader "tokens": chat answers, continuations of published prompts, and every recorded label of real responses."""

import gzip
import json
from pathlib import Path

import pytest

from menon.core.errors import ConfigError
from menon.core.values import Completion, Problem, Verdict
from menon.grading.tokens import TokensGrader, tokens_of
from menon.grading.verdicts import grade, open_grader

RIGHT, WRONG, UNPARSED = Verdict.RIGHT, Verdict.WRONG, Verdict.UNPARSED


def verdict(text: str, answer: str, grader: str = "tokens", **meta: object) -> Verdict:
    problem = Problem(family="t", question="q", answer=answer, grader=grader, meta=dict(meta))
    return grade(problem, Completion(key="k", text=text)).verdict


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The last letter moves on.\n#### i j k m", RIGHT),
        ("#### [i, j, k, m]", RIGHT),
        ("so\n#### **[i j k m]**.", RIGHT),
        ("#### i j k m (the last one moved on)", RIGHT),
        ("#### i j k l -> i j k m", RIGHT),
        ("#### I J K M", RIGHT),
        (r"Hence \boxed{i\ j\ k\ m}.", RIGHT),
        (r"\boxed{\text{i j k m}}", RIGHT),
        ("The answer is [i j k m].", RIGHT),
        ("working#i j k m", RIGHT),
        ("ijkm", RIGHT),
        ("i-j-k-m", RIGHT),
        ("i; j; k; m", RIGHT),
        ("i → j → k → m", RIGHT),
        ("[i j k m]\n[n o p q] [n o p r]", RIGHT),
        ("[i j k m] as the last one moves, so [i j k m]", RIGHT),
        ("i j k m\nbecause the last letter moves on", RIGHT),
        ("i j k l", WRONG),
        ("i j k", WRONG),
        ("i j k m m", WRONG),
        ("m k j i", WRONG),
        ("#### 5", WRONG),
        ("", UNPARSED),
        (" \n", UNPARSED),
        ("####", UNPARSED),
        ("I am not sure which one it is.", UNPARSED),
        ("[a b c d] [a b c e]\n[i j k l] [i j k m]", UNPARSED),
        ("The letters are [i j k l] first and [i j k m] then", UNPARSED),
        ("Let me think about the letters of this alphabet:\nfirst comes i", UNPARSED),
    ],
)
def test_chat_answers(text: str, expected: Verdict):
    assert verdict(text, "i j k m") is expected


@pytest.mark.parametrize(
    ("text", "answer", "expected"),
    [
        ("#F# A C#", "F# A C#", RIGHT),
        ("The chord#x 0 2 2 1 0", "x 0 2 2 1 0", RIGHT),
        ("#### F♯ A C♯", "F# A C#", RIGHT),
        ("#### B♭ D F", "Bb D F", RIGHT),
        ("cold warm hot", "cold warm hot", RIGHT),
        ("Cold, warm, hot.", "cold warm hot", RIGHT),
        ("cold then warm and hot in the end, of course, said slowly", "cold warm hot", UNPARSED),
        ("#### 15 15 14", "15 15 14", RIGHT),
        ("151514", "15 15 14", WRONG),
        ("503", "5 0 3", RIGHT),
        ("#[]", "[]", RIGHT),
        ("#### []", "[]", RIGHT),
        ("#### none", "[]", RIGHT),
        (r"\boxed{\{\}}", "[]", RIGHT),
        (r"\boxed{\{4, 1\}}", "4 1", RIGHT),
        ("#### 4", "[]", WRONG),
        ("#### []", "4", WRONG),
    ],
)
def test_other_kinds_of_tokens(text: str, answer: str, expected: Verdict):
    assert verdict(text, answer) is expected


def test_order_and_further_answers():
    assert verdict("#### 1 4 6", "6 1 4", "tokens?order=any") is RIGHT
    assert verdict("#### 1 4 4", "4 1 1", "tokens?order=any") is WRONG
    assert verdict("#### 1 4 6", "6 1 4") is WRONG
    assert verdict("#### hot mild", "cold mild", accept=["hot mild", "warm mild"]) is RIGHT
    assert verdict("#### cool mild", "cold mild", accept=["hot mild", "warm mild"]) is WRONG


@pytest.mark.parametrize(
    ("text", "form", "answer", "expected"),
    [
        ("p q r t]", "bracket", "p q r t", RIGHT),
        ("p q r t] [a b", "bracket", "p q r t", RIGHT),
        ("]", "bracket", "[]", RIGHT),
        ("3]", "bracket", "[]", WRONG),
        ("p q r x]", "bracket", "p q r t", WRONG),
        ("", "bracket", "[]", UNPARSED),
        (" p q r t.", "sentence", "p q r t", RIGHT),
        ("\n\np q r t", "sentence", "p q r t", RIGHT),
        ("____\n\np q r t", "sentence", "p q r t", WRONG),
        (" love like  hate.", "sentence", "love like hate", WRONG),
        (" Love like hate.", "sentence", "love like hate", WRONG),
        ("  ", "sentence", "p q r t", UNPARSED),
    ],
)
def test_continuations_are_read_strictly(text: str, form: str, answer: str, expected: Verdict):
    assert verdict(text, answer, f"tokens?form={form}") is expected


def test_tokens_of():
    assert tokens_of("[1, 2 ; 3]") == ["1", "2", "3"]
    assert tokens_of("") == tokens_of("[ ]") == tokens_of("empty") == []


def test_unknown_options_are_refused():
    with pytest.raises(ConfigError, match="allowed: answer, bracket, sentence"):
        TokensGrader(form="letters")
    with pytest.raises(ConfigError, match="allowed: given, any"):
        open_grader("tokens?order=sorted")


def test_runaway_text_is_read_in_time():
    for text in ("[" * 50_000, "i " * 50_000, "#" * 100_000, "[a" * 30_000, "{(" * 40_000):
        assert verdict(text, "i j k m") is not RIGHT


def rows(path: Path) -> list[dict]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def test_every_recorded_letter_string_label_is_reproduced(shared_data: Path):
    differing, total = [], 0
    for row in rows(shared_data / "analogies" / "letter_string.jsonl.gz"):
        for form, text in row["responses"].items():
            grader = "tokens?form=sentence" if form == "sentence" else "tokens?form=bracket"
            total += 1
            if (verdict(text, " ".join(row["gold"]), grader) is RIGHT) != row["recorded_correct"][form]:
                differing.append((row["id"], form))
    assert (total, differing) == (2100, [])


def test_every_recorded_matrix_label_is_reproduced(shared_data: Path):
    differing = []
    matrices = rows(shared_data / "analogies" / "digit_matrices.jsonl.gz")
    for row in matrices:
        grader = "tokens?form=bracket" + ("" if row["order_matters"] else "&order=any")
        answer = " ".join(map(str, row["gold"])) or "[]"
        if (verdict(row["response"], answer, grader) is RIGHT) != row["recorded_correct"]:
            differing.append(row["id"])
    assert (len(matrices), differing) == (608, [])

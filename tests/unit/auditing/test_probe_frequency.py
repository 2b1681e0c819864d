"""Frequency: counts against brute force, and a planted dependence of accuracy on frequency that must come out."""

import json
import math
import random
from pathlib import Path

import pytest
from memory_model import WORDS

from menon.auditing.memory.frequencies import frequencies
from menon.auditing.probe import Answered, Material
from menon.auditing.probes.frequency import FREQUENCY
from menon.core.errors import ConfigError
from menon.core.values import Completion, Problem
from menon.grading import grade
from menon.problems.corpus_files import Passage


def brute(question: str, documents: list[str]) -> dict[str, float | None]:
    def words(text: str) -> list[str]:
        return "".join(c if c.isalnum() else " " for c in text.lower()).split()

    def hidden(text: list[str]) -> list[str]:
        return ["".join("0" if c.isdigit() else c for c in w).replace("00", "0").replace("00", "0") for w in text]

    def count(run: list[str], texts: list[list[str]]) -> int:
        return sum(t[i : i + len(run)] == run for t in texts for i in range(len(t)))

    own, texts = words(question), [words(text) for text in documents]
    logs = {word: math.log10(1 + count([word], texts)) for word in own}
    numbers = [logs[w] for w in own if any(c.isdigit() for c in w)]
    others = [logs[w] for w in own if not any(c.isdigit() for c in w)]
    pairs = [math.log10(1 + count(own[i : i + 2], texts)) for i in range(len(own) - 1)]
    forms = [hidden(text) for text in texts]
    return {
        "numbers": sum(numbers) / len(numbers) if numbers else None,
        "words": sum(others) / len(others) if others else None,
        "phrase": min(pairs, default=None),
        "template": math.log10(1 + count(hidden(own), forms)) if own else None,
    }


@pytest.mark.parametrize("seed", range(8))
def test_counts_equal_brute_force(seed: int) -> None:
    rng = random.Random(seed)
    vocabulary = ["tom", "has", "12", "7", "pens", "x9", "and"]
    questions = [" ".join(rng.choices(vocabulary, k=rng.randint(0, 5))) + "?" for _ in range(12)]
    documents = [" ".join(rng.choices(vocabulary, k=rng.randint(0, 40))) for _ in range(10)]
    found = frequencies(questions, [Passage(text) for text in documents])
    for question, counts in zip(questions, found, strict=True):
        assert counts == pytest.approx(brute(question, documents))
    pieces = [
        Passage(" ".join(words[at : at + 3]) + " ", new=at == 0)
        for words in (text.split() for text in documents)
        for at in range(0, max(len(words), 1), 3)
    ]
    assert frequencies(questions, pieces) == found


def case(tmp_path: Path, *, dependent: bool) -> tuple[Material, list[Answered], list[dict]]:
    """Items whose rarest pair occurs 1 to 1,000 times; right answers follow that count or do not."""
    rng = random.Random(4)
    problems, texts, chances = [], [], []
    for place in range(80):
        count = [1, 10, 100, 1000][place % 4]
        first, second = WORDS[2 * place], WORDS[2 * place + 1]
        problems.append(Problem(family="pairs", question=f"what of {first} {second}?", answer=f"{place + 100}"))
        texts += [f"what of {first} {second}"] * count
        chances.append([0.1, 0.4, 0.7, 0.95][place % 4] if dependent else 0.5)
    path = tmp_path / "corpus.txt"
    path.write_text("\n\n".join(texts))
    material = Material(model="m", problems=tuple(problems), corpus=(path,), live=False)
    answered = []
    for question in FREQUENCY.questions(material):
        right = rng.random() < chances[int(question.problem.answer) - 100]
        completion = Completion(key=question.problem.id, text=f"#### {question.problem.answer if right else 'no'}")
        answered.append(
            Answered(question=question, completion=completion, grade=grade(question.problem, completion), model="m")
        )
    return material, answered, json.loads(json.dumps(list(FREQUENCY.measure(material))))


@pytest.mark.parametrize("dependent", [True, False])
def test_a_planted_slope_comes_out_and_none_is_made_up(tmp_path: Path, dependent: bool) -> None:
    material, answered, rows = case(tmp_path, dependent=dependent)
    assert FREQUENCY.objection(material) is None
    report = FREQUENCY.report(answered, rows, material)
    json.dumps(report.to_json())
    primary = [effect for effect in report.effects if effect.primary]
    assert [effect.label for effect in primary] == ["pairs: frequency of the phrase"]
    assert primary[0].p is not None
    assert (primary[0].p < 0.001) is dependent
    assert (primary[0].low > 0) is dependent
    if dependent:  # the planted log-odds rise by about 1.7 per tenfold
        assert primary[0].low < 1.7 < primary[0].high
    bins = [row for row in report.tables["accuracy by frequency"] if row["measure"] == "phrase"]
    assert [(row["from"], row["n"]) for row in bins] == [(pytest.approx(c), 20) for c in (1, 10, 100, 1000)]
    curve = report.curves["accuracy against frequency of the phrase"][0]["points"]
    assert [point["x"] for point in curve] == [pytest.approx(c) for c in (1, 10, 100, 1000)]
    assert any("numbers: no slope, because 0 items" in note for note in report.notes)
    assert ("is better on what is common" in report.sentence) is dependent


def test_equal_difficulty_takes_the_confounding_out(tmp_path: Path) -> None:
    """Right answers follow difficulty alone, and so does frequency: only the raw slope may show it."""
    problems, texts = [], []
    for place in range(120):
        hard = place % 2
        first, second = WORDS[2 * place], WORDS[2 * place + 1]
        question = f"what of {first} {second}?"
        problems.append(Problem(family="pairs", question=question, answer=str(100 + place), difficulty=hard))
        texts += [f"what of {first} {second}"] * ((2 + place % 5) if hard else (200 + 30 * (place % 5)))
    path = tmp_path / "corpus.txt"
    path.write_text("\n\n".join(texts))
    material = Material(model="m", problems=tuple(problems), corpus=(path,), live=False)
    rng, answered = random.Random(2), []
    for question in FREQUENCY.questions(material):
        right = rng.random() < (0.2 if question.problem.difficulty else 0.9)
        completion = Completion(key=question.problem.id, text=f"#### {question.problem.answer if right else 'no'}")
        answered.append(Answered(question=question, completion=completion, grade=grade(question.problem, completion)))
    report = FREQUENCY.report(answered, list(FREQUENCY.measure(material)), material)
    raw = next(row for row in report.tables["slopes (log-odds per tenfold frequency)"] if row["measure"] == "phrase")
    within = next(row for row in report.tables["slopes within equal difficulty"] if row["measure"] == "phrase")
    assert raw["low"] > 0
    assert within["low"] < 0 < within["high"]


def test_objections_and_options(tmp_path: Path) -> None:
    assert "--corpus" in str(FREQUENCY.objection(Material(model="some/model")))
    (tmp_path / "c.txt").write_text("x")
    few = Material(model="m", corpus=(tmp_path / "c.txt",), problems=(Problem(family="f", question="q", answer="1"),))
    assert "at least 20" in str(FREQUENCY.objection(few))
    assert FREQUENCY.objection(Material(model="menon:base", style="menon")) is None
    with pytest.raises(ConfigError, match="documents=0"):
        list(FREQUENCY.measure(Material(model="menon:base", style="menon", options={"documents": 0})))


def test_unanswered_items_and_no_answers_at_all_are_no_crash(tmp_path: Path) -> None:
    material, _, rows = case(tmp_path, dependent=True)
    report = FREQUENCY.report([], rows, material)
    assert report.effects == ()
    assert "No slope" in report.sentence

"""Layouts "letter strings" and "digit matrices": analogy problems with the completions of a model.

A row of letter strings holds one response for each of several prompt formats; each is a task of its own. Cells are
made by the number of generalisations or rules. Those differ in difficulty and not in surface, so they are not compared
with each other; the one change of surface is in logic problems, whose parts are aligned or permuted (other items, so
that the contrast is not paired).
Source: Webb et al. 2023, arXiv:2212.09196, and the released outputs of its model.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from menon.auditing.probe import Answered, Question
from menon.auditing.recorded.answers import Unusable, answered, completions, model_of
from menon.auditing.recorded.entries import Entry
from menon.auditing.recorded.gold import BRACKET, SENTENCE
from menon.auditing.recorded.values import Part
from menon.core.errors import DataError
from menon.core.values import Completion, Problem

LETTERS, MATRICES = "letter strings", "digit matrices"
PROBE = "analogies"
ALIGNED = "aligned"
_RULES = (
    (re.compile(r"one_rule|constant|dist3|prog"), "1 rule"),
    (re.compile(r"two_rule"), "2 rules"),
    (re.compile(r"three_rule"), "3 rules"),
    (re.compile(r"permuted"), "permuted"),
    (re.compile(r"AND|XOR|OR|union"), ALIGNED),
)

Skipper = Callable[[Entry, str], None]
Asked = Iterator[tuple[str, Question, Completion]]


def fits_letters(values: Mapping[str, Any]) -> bool:
    """Tell whether a row is a letter string with responses by prompt format."""
    return isinstance(values.get("responses"), Mapping) and "gold" in values and "transformation" in values


def fits_matrices(values: Mapping[str, Any]) -> bool:
    """Tell whether a row is a digit matrix with a response."""
    return "matrix" in values and "gold" in values and "response" in values


def read_letters(entries: Iterable[Entry], skip: Skipper) -> list[Part]:
    """Grade letter strings."""
    return _read(entries, skip, _letters)


def read_matrices(entries: Iterable[Entry], skip: Skipper) -> list[Part]:
    """Grade digit matrices."""
    return _read(entries, skip, _matrices)


def _read(entries: Iterable[Entry], skip: Skipper, questions: Callable[[Entry], Asked]) -> list[Part]:
    parts: defaultdict[str, list[Answered]] = defaultdict(list)
    for entry in entries:
        try:
            for reading, question, completion in questions(entry):
                parts[reading].append(answered(question, completion))
        except (Unusable, DataError) as error:
            skip(entry, str(error))
    return [Part(probe=PROBE, reading=reading, answered=tuple(rows)) for reading, rows in parts.items()]


def _letters(entry: Entry) -> Asked:
    values = entry.values
    name, gold = str(values.get("id", entry.line)), _gold(values["gold"])
    prompts = values.get("prompts") if isinstance(values.get("prompts"), Mapping) else {}
    steps = values.get("generalizations")
    generalisations = [step for step in steps if step != "realworld"] if isinstance(steps, list) else []
    real = isinstance(steps, list) and "realworld" in steps
    plural = "" if len(generalisations) == 1 else "s"
    condition = "real-world sequences" if real else f"{len(generalisations)} generalisation{plural}"
    category = str(values.get("category") or values["transformation"])
    for form, response in values["responses"].items():
        if not isinstance(response, str):
            raise Unusable(f"no response: format {form!r} holds {response!r:.40}; allowed: text")
        prompt = prompts.get(form) if isinstance(prompts, Mapping) else None
        continued = "sentence" if form == "sentence" else "bracket"
        problem = Problem(
            family="letter-strings",
            question=prompt if isinstance(prompt, str) else f"{name}/{form}",
            answer=gold,
            world=condition,
            template=f"letter-strings/{category}",
            grader=f"tokens?form={continued}",
            meta={"item": name, "category": category, "id": name, "format": form, "chance": 0.0},
        )
        question = Question(
            problem=problem,
            task=f"letter-strings/{form}",
            condition=condition,
            cot=False,
            pair=name,
            prompt=problem.question,
        )
        completion = Completion(key=f"{name}/{form}", text=response, model=model_of(entry))
        yield SENTENCE if continued == "sentence" else BRACKET, question, completion


def _matrices(entry: Entry) -> Asked:
    values = entry.values
    name, kind = str(values.get("id", entry.line)), str(values.get("problem_type", ""))
    condition = next((words for pattern, words in _RULES if pattern.search(kind)), kind or "matrices")
    order = "&order=any" if values.get("order_matters") is False else ""
    prompt = values.get("prompt")
    problem = Problem(
        family="digit-matrices",
        question=prompt if isinstance(prompt, str) else name,
        answer=_gold(values["gold"]),
        world=condition,
        template=f"digit-matrices/{kind}",
        grader=f"tokens?form=bracket{order}",
        meta={"item": name, "category": kind, "id": name, "chance": 0.0},
    )
    question = Question(
        problem=problem,
        task="digit-matrices, logic" if condition in (ALIGNED, "permuted") else "digit-matrices",
        condition=condition,
        baseline=condition == ALIGNED,
        cot=False,
        pair=name,
        prompt=problem.question,
    )
    reading = BRACKET + (", in any order" if order else "")
    for completion in completions(entry, name):
        yield reading, question, completion


def _gold(gold: Any) -> str:
    if isinstance(gold, list) and all(isinstance(part, str | int) for part in gold):
        return " ".join(str(part) for part in gold) or "[]"
    if isinstance(gold, str) and gold.strip():
        return gold.strip()
    raise Unusable(f"no gold answer: field 'gold' is {gold!r:.40}; allowed: a list of tokens")

r"""Layouts of question-and-answer data: which fields a row has, and how they become a problem.

    messages            chat turns; the last assistant turn is the solution
    choices             question, choices (a dictionary by letter, a list, or label and text lists), answer or answerKey
    gsm_symbolic        question and `#### n` answer beside original_id, instance and canary
    gsm8k               question and an answer that ends in `#### n`
    question/answer     with an optional rationale
    problem/solution    with an optional answer, else `\boxed{}` or "the answer is" in the solution
    prompt/completion   as the former

Rows of preference data (chosen, rejected) and stepwise labels are left out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from menon.grading.choice import LETTERS
from menon.grading.extract import answer_text
from menon.grading.numbers import canonical, parse_number

FIELDS = (
    *("question", "answer", "rationale", "choices", "id", "split", "family", "template", "difficulty"),
    *("problem", "solution", "prompt", "completion", "messages", "canary", "original_id"),
)


class Unusable(ValueError):
    """A row cannot become a problem; the text says why. Never leaves `problems`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a row says, before a grader is chosen for the data set."""

    question: str
    answer: str
    rationale: str | None = None
    choices: tuple[str, ...] = ()
    template: str = ""
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Layout:
    """A name, the test for it and the reader of its rows."""

    name: str
    fits: Callable[[Mapping[str, Any]], bool]
    draft: Callable[[Mapping[str, Any]], Draft]
    numeric: bool = False


def detect(values: Mapping[str, Any]) -> Layout | None:
    """Return the first layout that a row fits."""
    return next((layout for layout in LAYOUTS if layout.fits(values)), None)


def _text(values: Mapping[str, Any], name: str) -> str:
    """Return a field as text; numbers of JSON are written in canonical form."""
    value = values.get(name)
    if isinstance(value, str) and value.strip():
        return value.strip()
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = parse_number(repr(value))
        if number is not None:
            return canonical(number)
    raise Unusable(f"field {name!r} is {value!r:.60}; allowed: text that is not empty, or a number")


def _solved(question: str, solution: str, answer: str | None = None) -> Draft:
    """Draft a problem whose answer stands in its solution, unless it is given."""
    found = answer_text(solution)
    if answer is None and found is None:
        raise Unusable("no final answer in the solution; allowed: '#### n', '\\boxed{}' or 'the answer is n'")
    rationale = solution
    if found is not None:
        answer = answer or found[0]
        if found[2] == "hashes":
            rationale = solution[: found[1]]
    assert answer is not None
    return Draft(question=question, answer=answer, rationale=rationale.strip() or None)


def _hashed(values: Mapping[str, Any]) -> Draft:
    return _solved(_text(values, "question"), _text(values, "answer"))


def _symbolic(values: Mapping[str, Any]) -> Draft:
    draft = _hashed(values)
    kept = {name: values[name] for name in ("original_id", "instance", "canary") if name in values}
    template = f"gsm_symbolic/{values['original_id']}"
    return Draft(question=draft.question, answer=draft.answer, rationale=draft.rationale, template=template, meta=kept)


def _question_answer(values: Mapping[str, Any]) -> Draft:
    rationale = values.get("rationale")
    return Draft(
        question=_text(values, "question"),
        answer=_text(values, "answer"),
        rationale=rationale.strip() or None if isinstance(rationale, str) else None,
    )


def _problem_solution(values: Mapping[str, Any]) -> Draft:
    answer = _text(values, "answer") if values.get("answer") is not None else None
    return _solved(_text(values, "problem"), _text(values, "solution"), answer)


def _prompt_completion(values: Mapping[str, Any]) -> Draft:
    prompt, completion = (
        _last_turn(values[name]) if isinstance(values[name], list) else _text(values, name)
        for name in ("prompt", "completion")
    )
    return _solved(prompt, completion, _text(values, "answer") if values.get("answer") is not None else None)


def _last_turn(turns: Any, role: str | None = None) -> str:
    said = [t for t in turns if isinstance(t, Mapping) and (role is None or t.get("role") == role)]
    if not said:
        raise Unusable(f"no turn of role {role or 'any'!r}")
    return _text(said[-1], "content")


def _messages(values: Mapping[str, Any]) -> Draft:
    turns = values["messages"]
    answer = _text(values, "answer") if values.get("answer") is not None else None
    return _solved(_last_turn(turns, "user"), _last_turn(turns, "assistant"), answer)


def _choices(values: Mapping[str, Any]) -> Draft:
    question = values["question"]
    stem, offered = question, values.get("choices")
    if isinstance(question, Mapping):  # the published CommonsenseQA and ARC files
        stem, offered = question.get("stem"), question.get("choices")
    labels, texts = _labelled_choices(offered)
    gold = next((values[name] for name in ("answer", "answerKey", "label") if values.get(name) is not None), None)
    rationale = values.get("rationale")
    return Draft(
        question=_text({"question": stem}, "question"),
        answer=_gold_letter(gold, labels, texts),
        rationale=rationale.strip() or None if isinstance(rationale, str) else None,
        choices=texts,
    )


def _labelled_choices(offered: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return labels and texts, in order, from any of the forms in use."""
    if isinstance(offered, Mapping) and isinstance(offered.get("text"), list):
        pairs = list(zip(offered.get("label") or LETTERS, offered["text"], strict=False))
    elif isinstance(offered, Mapping):
        pairs = list(offered.items())
    elif isinstance(offered, list) and all(isinstance(o, Mapping) for o in offered):
        pairs = [(o.get("label"), o.get("text")) for o in offered]
    elif isinstance(offered, list):
        pairs = list(zip(LETTERS, offered, strict=False))
    else:
        pairs = []
    texts = tuple(str(text).strip() for _, text in pairs)
    if not 2 <= len(texts) <= len(LETTERS) or not all(texts):
        raise Unusable(f"choices are {offered!r:.60}; allowed: 2 to {len(LETTERS)} texts that are not empty")
    return tuple(str(label).strip().upper() for label, _ in pairs), texts


def _gold_letter(gold: Any, labels: tuple[str, ...], texts: tuple[str, ...]) -> str:
    """Return the letter by position; the gold answer may be a label, a text, or a position from 0."""
    if isinstance(gold, str):
        for known, wanted in ((labels, gold.strip().strip("().").upper()), (texts, gold.strip())):
            if known.count(wanted) == 1:
                return LETTERS[known.index(wanted)]
    elif isinstance(gold, int) and not isinstance(gold, bool):
        if str(gold) in labels:
            return LETTERS[labels.index(str(gold))]
        if 0 <= gold < len(texts):
            return LETTERS[gold]
    raise Unusable(f"answer {gold!r:.60} is none of the choices {', '.join(labels)}")


def _has(*names: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda values: all(name in values for name in names)


def _is_hashed(values: Mapping[str, Any]) -> bool:
    return "question" in values and isinstance(values.get("answer"), str) and "####" in values["answer"]


def _is_question_answer(values: Mapping[str, Any]) -> bool:
    return "question" in values and "answer" in values and not values.get("choices")  # choices must not get lost


def _has_choices(values: Mapping[str, Any]) -> bool:
    question = values.get("question")
    nested = isinstance(question, Mapping) and "choices" in question
    return nested or (isinstance(question, str) and values.get("choices") is not None)


LAYOUTS = (
    Layout("messages", lambda v: isinstance(v.get("messages"), list), _messages),
    Layout("choices", _has_choices, _choices),
    Layout("gsm_symbolic", lambda v: _is_hashed(v) and "original_id" in v, _symbolic, numeric=True),
    Layout("gsm8k", _is_hashed, _hashed, numeric=True),
    Layout("question/answer", _is_question_answer, _question_answer),
    Layout("problem/solution", _has("problem", "solution"), _problem_solution),
    Layout("prompt/completion", _has("prompt", "completion"), _prompt_completion),
)

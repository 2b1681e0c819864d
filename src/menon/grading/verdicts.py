"""From a completion to a grade: the one way, for rewards, filters and evaluation alike.

Cut off by the token limit is `truncated` even when an answer can be read, since what else would have come is unknown;
the answer is kept in the grade. A request that failed or a comparison that was killed is `error`. Neither is `wrong`.
A `<think>` block that stands in the text is reasoning and is not searched for the answer.
"""

import inspect
from functools import lru_cache
from urllib.parse import parse_qsl

from menon.core.errors import ConfigError
from menon.core.registry import Registry
from menon.core.values import Completion, Grade, Problem, Verdict
from menon.grading.protocol import CheckFailed, CheckTimeout, Grader, Parsed
from menon.grading.steps import check_steps

GRADERS = Registry(
    "graders",
    {
        "exact": "menon.grading.exact:ExactGrader",
        "number": "menon.grading.number:NumberGrader",
        "choice": "menon.grading.choice:ChoiceGrader",
        "math": "menon.grading.math:MathGrader",
        "digits": "menon.grading.digits:DigitsGrader",
        "squares": "menon.grading.squares:SquaresGrader",
        "word": "menon.grading.word:WordGrader",
        "fields": "menon.grading.fields:FieldsGrader",
        "value": "menon.grading.value:ValueGrader",
        "tokens": "menon.grading.tokens:TokensGrader",
        "drawing": "menon.grading.drawing:DrawingGrader",
    },
)


@lru_cache(maxsize=64)
def open_grader(spec: str) -> Grader:
    """Return the grader that `spec` names, with its options: `number`, `number?extract=after_a`, `choice?rule=star`.

    Raises:
        ConfigError: an unknown grader or option, or an optional package that is missing.
    """
    name, _, query = spec.partition("?")
    factory = GRADERS.get(name)
    options = dict(parse_qsl(query, keep_blank_values=True))
    allowed = [p for p in inspect.signature(factory).parameters if p != "name" and not p.startswith("_")]
    for option in options:
        if option not in allowed:
            raise ConfigError(f"grader {name!r} has no option {option!r}; allowed: {', '.join(allowed) or 'none'}")
    return factory(**options)


def grade(problem: Problem, completion: Completion, *, grader: str | None = None) -> Grade:
    """Grade one completion with the problem's grader, or with the one that `grader` names.

    Raises:
        ConfigError: an unknown grader or step check.
        DataError: the problem itself cannot be graded (its answer is not of the grader's kind).
    """
    if completion.finish == "error":
        return Grade(verdict=Verdict.ERROR, note=completion.error or "the request failed")
    chosen = open_grader(grader or problem.grader)
    thinking, text, closed = split_thinking(completion.text)
    reasoning = completion.reasoning or thinking
    parsed = chosen.parse(problem, text) if closed else Parsed(answer=None, note="a <think> block without an end")
    rationale = parsed.rationale or reasoning or ""
    if completion.finish == "length":
        return Grade(
            verdict=Verdict.TRUNCATED, answer=parsed.answer, rationale=rationale, note="stopped by the token limit"
        )
    if parsed.answer is None:
        return Grade(verdict=Verdict.UNPARSED, rationale=rationale, note=parsed.note)
    try:
        right = chosen.accepts(problem, parsed.answer)
    except (CheckTimeout, CheckFailed) as error:
        kind = "timeout" if isinstance(error, CheckTimeout) else "check failed"
        return Grade(verdict=Verdict.ERROR, answer=parsed.answer, rationale=rationale, note=f"{kind}: {error}")
    credit = getattr(chosen, "credit", None)  # of graders that follow `GradesParts`
    steps = check_steps(problem, rationale, parsed.answer)
    notes = [note for note in (parsed.note, steps.reason if steps else "") if note]
    return Grade(
        verdict=Verdict.RIGHT if right else Verdict.WRONG,
        answer=parsed.answer,
        rationale=rationale,
        sound=steps.sound if steps else None,
        note="; ".join(notes),
        credit=credit(problem, parsed.answer) if credit is not None else None,
    )


def split_thinking(text: str) -> tuple[str | None, str, bool]:
    """Split off a `<think>` block: (reasoning or None, visible text, whether the block was closed).

    A text that only has the end tag began inside the block, as with chat templates that open it in the prompt.
    """
    head, closed, tail = text.rpartition("</think>")
    if closed:
        return head.replace("<think>", "", 1).strip(), tail.lstrip("\n"), True
    head, opened, tail = text.partition("<think>")
    return (tail.strip(), head, False) if opened else (None, text, True)

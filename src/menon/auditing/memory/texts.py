"""The pieces of text by which an item may have been memorised: question, worked solution, bare answer.

Each piece is a prompt and the continuation that is scored after it. The first word of a question cannot be scored by
every backend, so it is the prompt of the rest.
"""

from menon.core.values import Problem
from menon.grading.choice import LETTERS, gold_letter
from menon.problems.prompts import STYLES

QUESTION, SOLUTION, ANSWER, WHOLE = "question", "solution", "answer alone", "question and solution"


def listed(question: str, choices: tuple[str, ...]) -> str:
    """Return a question with its lettered choices, one on a line."""
    return "\n".join([question, *(f"({letter}) {text}" for letter, text in zip(LETTERS, choices, strict=False))])


def begun(text: str) -> tuple[str, str]:
    """Cut a text behind its first word, or behind its first character where there is no blank."""
    place = text.find(" ", 1)
    place = place if place > 0 else 1
    return text[:place], text[place:]


def pieces(problem: Problem, style: str) -> dict[str, tuple[str, str]]:
    """Return prompt and continuation of each piece that the problem has.

    In the embedded model's own style the text is laid out as that model saw it, otherwise as plain lines.
    """
    if style == "menon":
        menon = STYLES.get("menon")
        worked, direct = menon.prompt(problem), menon.prompt(problem, direct=True)
        found = {
            QUESTION: begun(worked),
            ANSWER: (direct, menon.completion(problem, "", problem.answer, direct=True)),
        }
        if problem.rationale:
            found[SOLUTION] = (worked, menon.completion(problem, problem.rationale, problem.answer))
        return found
    question = listed(problem.question, problem.choices)
    answer = f"({gold_letter(problem)})" if problem.choices else problem.answer
    found = {QUESTION: begun(question), ANSWER: (f"{question}\n", answer)}
    if problem.rationale:
        found[SOLUTION] = (f"{question}\n", f"{problem.rationale}\n#### {answer}")
    return {name: pair for name, pair in found.items() if pair[1]}

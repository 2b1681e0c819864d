"""Prompt styles: how a problem is put to a model, with or without the answer as a hint, and how an answer is written.

A style's `completion` is the text to learn and never shows the hint. Prompts end without a space, and completions of
styles for ordinary tokenizers begin with one, so that prompt and completion are cut into tokens as one text would be.
Demonstrations show a hint exactly when the question does; the question itself is never among its demonstrations.
Source: formats and hints of STaR, Zelikman et al. 2022, arXiv:2203.14465, and its published prompts.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol, Self

from menon.core.errors import ConfigError
from menon.core.registry import Registry
from menon.core.values import Problem
from menon.grading.choice import LETTERS, gold_letter

STYLES = Registry(
    "styles",
    {
        "menon": "menon.problems.prompts:MENON",
        "gsm8k": "menon.problems.prompts:GSM8K",
        "commonsenseqa": "menon.problems.prompts:COMMONSENSEQA",
        "plain": "menon.problems.prompts:PLAIN",
    },
)

_STATED = re.compile(r"answer is [^\n]{0,200}\([a-z]\)\.?$", re.IGNORECASE)


class PromptStyle(Protocol):
    """How problems are asked; `stop` keeps a model from going on to a next question, `max_tokens` is a suggestion."""

    @property
    def name(self) -> str: ...

    @property
    def stop(self) -> tuple[str, ...]: ...

    @property
    def max_tokens(self) -> int: ...

    def prompt(self, problem: Problem, *, hint: bool = False, direct: bool = False) -> str:
        """Return the prompt; `hint` shows the gold answer, `direct` asks for the answer without working.

        Raises:
            ConfigError: both at once; a direct answer to a question that shows it teaches nothing.
        """
        ...

    def completion(self, problem: Problem, rationale: str, answer: str, *, direct: bool = False) -> str:
        """Return the text that should follow `prompt(problem)`."""
        ...

    def with_exemplars(self, exemplars: tuple[Problem, ...]) -> Self:
        """Return the same style with demonstrations; each needs a rationale unless only direct answers are asked.

        Raises:
            ConfigError: the style takes none.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Menon:
    """The embedded model's own text: `question=` rationale `#answer`, `question:` `#answer`, `question(answer)=`."""

    name: str = "menon"
    stop: tuple[str, ...] = ()
    max_tokens: int = 256

    def prompt(self, problem: Problem, *, hint: bool = False, direct: bool = False) -> str:
        _not_both(hint, direct)
        return f"{problem.question}{f'({problem.answer})' if hint else ''}{':' if direct else '='}"

    def completion(self, problem: Problem, rationale: str, answer: str, *, direct: bool = False) -> str:
        return f"#{answer}" if direct else f"{rationale}#{answer}"

    def with_exemplars(self, exemplars: tuple[Problem, ...]) -> "Menon":
        if exemplars:
            raise ConfigError("style 'menon' takes no demonstrations; allowed with them: gsm8k, commonsenseqa, plain")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Gsm8k:
    """`Q:` and `A:` blocks, the answer on a last line `#### n`; the hint is ` (answer)` behind the question.

    With `solution_hint` the hint is the reference rationale and the answer, as in STaR's code; without it the answer
    alone, as in STaR's published demonstrations.
    """

    name: str = "gsm8k"
    stop: tuple[str, ...] = ("\nQ:",)
    max_tokens: int = 384
    exemplars: tuple[Problem, ...] = ()
    solution_hint: bool = False

    def prompt(self, problem: Problem, *, hint: bool = False, direct: bool = False) -> str:
        _not_both(hint, direct)
        shots = [
            self._question(shot, hint) + self.completion(shot, shot.rationale or "", shot.answer, direct=direct)
            for shot in _demonstrations(self.exemplars, problem, direct)
        ]
        return "\n\n".join([*shots, self._question(problem, hint)])

    def completion(self, problem: Problem, rationale: str, answer: str, *, direct: bool = False) -> str:
        return f" #### {answer}" if direct or not rationale else f" {rationale.strip()}\n#### {answer}"

    def with_exemplars(self, exemplars: tuple[Problem, ...]) -> "Gsm8k":
        return replace(self, exemplars=exemplars)

    def _question(self, problem: Problem, hint: bool) -> str:
        shown = f" ({self._hint(problem)})" if hint else ""
        return f"Q: {_listed(problem)}{shown}\nA:"

    def _hint(self, problem: Problem) -> str:
        if self.solution_hint and problem.rationale:
            return f"{problem.rationale}\n#### {problem.answer}"
        return problem.answer


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonsenseQA:
    """Lettered choices under the question; the hint is ` (CORRECT)` beside the right one."""

    name: str = "commonsenseqa"
    stop: tuple[str, ...] = ("\nQ:", "\n\n")
    max_tokens: int = 160
    exemplars: tuple[Problem, ...] = ()

    def prompt(self, problem: Problem, *, hint: bool = False, direct: bool = False) -> str:
        _not_both(hint, direct)
        shots = [
            self._question(shot, hint) + self.completion(shot, shot.rationale or "", shot.answer, direct=direct)
            for shot in _demonstrations(self.exemplars, problem, direct)
        ]
        return "\n\n".join([*shots, self._question(problem, hint)])

    def completion(self, problem: Problem, rationale: str, answer: str, *, direct: bool = False) -> str:
        letter = gold_letter(replace(problem, answer=answer))
        if direct:
            return f" ({letter.lower()})."
        rationale = rationale.strip()
        if _STATED.search(rationale):  # published rationales end in the statement already
            return f" {rationale}"
        choice = problem.choices[LETTERS.index(letter)]
        return f" {rationale} Therefore, the answer is {choice} ({letter.lower()})."

    def with_exemplars(self, exemplars: tuple[Problem, ...]) -> "CommonsenseQA":
        return replace(self, exemplars=exemplars)

    def _question(self, problem: Problem, hint: bool) -> str:
        if not problem.choices:
            raise ConfigError(f"style 'commonsenseqa' needs choices; problem {problem.id} has none (use style 'gsm8k')")
        right = gold_letter(problem)
        lines = [
            f"({letter.lower()}) {choice}{' (CORRECT)' if hint and letter == right else ''}"
            for letter, choice in zip(LETTERS, problem.choices, strict=False)
        ]
        return "\n".join([f"Q: {problem.question}", "Answer Choices:", *lines, "A:"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """Zero-shot instructions for chat models; demonstrations, where given, stand before the question."""

    name: str = "plain"
    stop: tuple[str, ...] = ()
    max_tokens: int = 1024
    exemplars: tuple[Problem, ...] = ()

    def prompt(self, problem: Problem, *, hint: bool = False, direct: bool = False) -> str:
        _not_both(hint, direct)
        shots = [
            self._question(shot, hint, direct) + self.completion(shot, shot.rationale or "", shot.answer, direct=direct)
            for shot in _demonstrations(self.exemplars, problem, direct)
        ]
        return "\n\n".join([*shots, self._question(problem, hint, direct)])

    def completion(self, problem: Problem, rationale: str, answer: str, *, direct: bool = False) -> str:
        final = (
            f"The answer is ({gold_letter(replace(problem, answer=answer))})." if problem.choices else f"#### {answer}"
        )
        return final if direct or not rationale else f"{rationale.strip()}\n{final}"

    def with_exemplars(self, exemplars: tuple[Problem, ...]) -> "Plain":
        return replace(self, exemplars=exemplars)

    def _question(self, problem: Problem, hint: bool, direct: bool) -> str:
        form = '"The answer is (X)."' if problem.choices else '"#### " and the answer'
        task = f"Give only one line, {form}." if direct else f"Think step by step. End with a line {form}."
        answer = f"({gold_letter(problem)})" if problem.choices else problem.answer
        shown = f"\nHint: the answer is {answer}; explain how to get there." if hint else ""
        return f"{_listed(problem)}\n\n{task}{shown}\n\n"


def _not_both(hint: bool, direct: bool) -> None:
    if hint and direct:
        raise ConfigError("a prompt cannot both show the answer and ask for it directly; set hint or direct, not both")


def _demonstrations(exemplars: tuple[Problem, ...], problem: Problem, direct: bool) -> Iterator[Problem]:
    """Yield the demonstrations other than the question itself.

    Raises:
        ConfigError: one has no rationale where working is asked for.
    """
    for shot in exemplars:
        if shot.question == problem.question:
            continue
        if not direct and not shot.rationale:
            raise ConfigError(f"demonstration {shot.question!r:.80} has no rationale; give one, or ask directly")
        yield shot


def _listed(problem: Problem) -> str:
    """Return the question with its choices, when it has any, one per line."""
    choices = [f"({letter}) {choice}" for letter, choice in zip(LETTERS, problem.choices, strict=False)]
    return "\n".join([problem.question, *choices])


MENON = Menon()
GSM8K = Gsm8k()
COMMONSENSEQA = CommonsenseQA()
PLAIN = Plain()

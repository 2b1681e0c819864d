"""One family of problems that a procedure solves: how contents are drawn, asked in words, and worked out in steps.

A content is a short tuple of numbers that decides the answer; the wording never does. Contents belong to the split that
owns their hash, so a held-out question cannot come up in the corpus in any wording. Every family is asked in two
formats: as a formula and in words.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal

from menon.core.errors import ConfigError
from menon.core.seeds import rng_for
from menon.core.values import Problem
from menon.problems.splits import draw_in_split

Content = tuple[int, ...]
Format = Literal["formula", "words"]
FORMATS: tuple[Format, ...] = ("formula", "words")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: as it is said in text, the program line that takes it, what comes out, and the steps it builds on."""

    text: str
    code: str
    value: str
    needs: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Working:
    """A worked solution: lines that set a program up, steps, and the program's expression for the answer."""

    steps: tuple[Step, ...]
    result: str
    expected: str
    answer: str
    setup: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFamily:
    """A procedure and the questions that it answers.

    `words_of` names the parts of a content that the wordings speak of. `unknown` words a question with the same surface
    about a made-up operation; `noun` is what the answer is called. `draw(rng, difficulty)` draws a content.
    """

    name: str
    description: str
    difficulties: tuple[int, ...]
    wordings: Mapping[Format, tuple[str, ...]]
    unknown: tuple[str, ...]
    noun: str
    draw: Callable[[Random, int], Content]
    words_of: Callable[[Content], dict[str, str]]
    work: Callable[[Content], Working]
    hard_band: tuple[int, ...] = ()

    def problem(
        self,
        split: str,
        index: int,
        *,
        difficulty: int | None = None,
        world: str = "default",
        format: Format | None = None,
    ) -> Problem:
        """Generate item `index` of `split`; without `difficulty` or `format` they are drawn.

        Raises:
            ConfigError: an unknown split, world, difficulty or format.
        """
        if world != "default":
            raise ConfigError(f"{self.name} has no world {world!r}; allowed: default")
        if difficulty is not None and difficulty not in self.difficulties:
            allowed = ", ".join(map(str, self.difficulties))
            raise ConfigError(f"{self.name} has no difficulty {difficulty!r}; allowed: {allowed}")
        if format is not None and format not in FORMATS:
            raise ConfigError(f"{self.name} has no format {format!r}; allowed: {', '.join(FORMATS)}")
        rng = rng_for("known", self.name, split, index)
        level = rng.choice(self.difficulties)
        asked: Format = rng.choice(FORMATS)
        wording = rng.randrange(60)
        content = self._content(split, level if difficulty is None else difficulty, self.name, split, index)
        return self.ask(content, format=format or asked, wording=wording, split=split, index=index)

    def variant(self, problem: Problem, number: int) -> Problem:
        """Ask the same wording about a content of split `variant`, of the same difficulty."""
        content = self._content("variant", problem.difficulty, self.name, "variant of", problem.id, number)
        meta = problem.meta
        return self.ask(content, format=meta["format"], wording=meta["wording"], split="variant", index=number)

    def ask(self, content: Content, *, format: Format, wording: int, split: str, index: int = 0) -> Problem:
        """Put `content` into wording number `wording` (counted round) of `format`; the split is taken on trust."""
        texts = self.wordings[format]
        working = self.work(content)
        return Problem(
            family=self.name,
            split=split,
            index=index,
            difficulty=self.difficulty_of(content),
            template=f"{self.name}/{format}/{wording % len(texts)}",
            question=texts[wording % len(texts)].format(**self.words_of(content)),
            answer=working.answer,
            rationale="".join(f"{step.text};" for step in working.steps),
            meta={"content": list(content), "format": format, "wording": wording % len(texts)},
        )

    def difficulty_of(self, content: Content) -> int:
        """Return the number of list items where the family has lists of several lengths, else its one difficulty."""
        return self.difficulties[0] if len(self.difficulties) == 1 else len(content)

    def key(self, content: Content) -> tuple[str | int, ...]:
        """Return what `split_of` is asked about."""
        return ("known", self.name, *content)

    def _content(self, split: str, difficulty: int, *names: str | int) -> Content:
        return draw_in_split(split, lambda rng: self.draw(rng, difficulty), self.key, "known", *names)

"""A small language model that can be built inside a test: letter counts with back-off, trained on given texts."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from menon.auditing.probe import Material
from menon.core.seeds import rng_for
from menon.core.values import Completion, Problem, Request
from menon.sampling.cutting import cut_at_stop
from menon.sampling.token_scores import TokenScores

ORDER = 30
ALPHABET = [chr(code) for code in range(32, 127)] + ["\n"]
PLACES = {letter: place for place, letter in enumerate(ALPHABET)}


class CountModel:
    """Predicts each letter from the up to thirty letters before it, by counts in `texts` (a real distribution)."""

    def __init__(self, texts: Iterable[str], name: str = "counts"):
        self.name = name
        self.asked: list[Request] = []
        self._counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for text in texts:
            for place, letter in enumerate(text):
                for order in range(min(ORDER, place) + 1):
                    self._counts[text[place - order : place]][letter] += 1

    def _levels(self, before: str) -> Iterator[tuple[Counter[str], int]]:
        for order in range(min(ORDER, len(before)) + 1):
            counts = self._counts.get(before[len(before) - order :])
            if not counts:
                return
            yield counts, counts.total()

    def chance(self, before: str, letter: str) -> float:
        chance = 1 / len(ALPHABET)
        for counts, total in self._levels(before):
            chance = (counts[letter] + chance) / (total + 1)
        return chance

    def distribution(self, before: str) -> np.ndarray:
        """Return the chances of all letters of ALPHABET."""
        chances = np.full(len(ALPHABET), 1 / len(ALPHABET))
        for counts, total in self._levels(before):
            for letter, count in counts.items():
                chances[PLACES[letter]] += count
            chances /= total + 1
        return chances

    def token_scores(self, pairs: Iterable[tuple[str, str]]) -> list[TokenScores]:
        found = []
        for prompt, continuation in pairs:
            rows = []
            for place, letter in enumerate(continuation):
                chances = self.distribution(prompt + continuation[:place])
                logs = np.log(chances)
                mean = float(chances @ logs)
                rows.append((float(logs[PLACES[letter]]), mean, float(chances @ (logs - mean) ** 2)))
            columns = [tuple(column) for column in zip(*rows, strict=True)] if rows else [(), (), ()]
            found.append(TokenScores(logps=columns[0], means=columns[1], variances=columns[2]))
        return found

    def score(self, prompt: str, continuation: str) -> list[float]:
        whole, begun = prompt + continuation, len(prompt)
        return [math.log(self.chance(whole[:place], whole[place])) for place in range(begun, len(whole))]

    def sample(self, requests: Iterable[Request], **options: Any) -> Iterator[Completion]:
        for request in requests:
            self.asked.append(request)
            text = str(request.prompt)
            begun = len(text)
            for _step in range(request.max_tokens):
                text += ALPHABET[int(self.distribution(text).argmax())]
            shown, _stopped = cut_at_stop(text[begun:], request.stop)
            yield Completion(key=request.key, text=shown, model=self.name)


class LogpsOnly:
    """The same model behind a backend that gives log-probabilities alone."""

    def __init__(self, model: CountModel):
        self.name, self.score, self.sample = model.name, model.score, model.sample


class Opened:
    """Opens a sampler and counts how often."""

    def __init__(self, sampler: Any):
        self.sampler, self.times = sampler, 0

    def __call__(self) -> Any:
        self.times += 1
        return self.sampler


def material(sampler: Any, problems: Iterable[Problem], **more: Any) -> Material:
    usual = Material(model="counts", style="gsm8k", scores=True, sampler=Opened(sampler), problems=tuple(problems))
    return replace(usual, **more)


SYLLABLES = ("ka", "lo", "mi", "ru", "te", "so", "pa", "ni")
WORDS = [f"{a}{b}{c}" for a in SYLLABLES for b in SYLLABLES for c in SYLLABLES]


def choice_problems(count: int, seed: str = "seen", family: str = "quiz", choices: int = 5) -> list[Problem]:
    """Return multiple-choice questions over invented words, options in random order."""
    found = []
    for place in range(count):
        rng = rng_for("test", seed, place)
        options = tuple(rng.sample(WORDS, choices))
        question = f"Which word goes with {rng.choice(WORDS)} and {rng.choice(WORDS)}?"
        found.append(Problem(family=family, question=question, answer="A", choices=options, grader="choice"))
    return found


def open_problems(count: int, seed: str = "seen", family: str = "riddles") -> list[Problem]:
    """Return questions with an answer, each a template of its own."""
    found = []
    for place in range(count):
        rng = rng_for("test", seed, place)
        question = f"What do {' '.join(rng.choice(WORDS) for _ in range(6))} make in {rng.randint(10, 99)} days?"
        answer = rng.choice(WORDS)
        found.append(Problem(family=family, question=question, answer=answer, template=f"t/{place}"))
    return found

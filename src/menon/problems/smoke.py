"""Two smoke tests of how a model handles numbers and the letters of words; no evidence of reasoning or reciting.

Decimals: which of two is larger, where the one with more digits is the smaller (9.11 and 9.9), and a control with
equally many digits. Letters: how often a letter stands in a word, and a control with the letters written apart.
Source: public folklore of 2024 around "9.11 or 9.9" and the letters of "strawberry"; words and numbers are our own.
"""

from dataclasses import dataclass
from decimal import Decimal
from random import Random

from menon.core.errors import ConfigError
from menon.core.seeds import rng_for
from menon.core.values import Problem
from menon.problems.splits import draw_in_split

MISLEADING, PLAIN = "misleading", "plain"
WORDS = (
    "committee", "balloon", "tennessee", "bookkeeper", "raspberry", "mississippi", "parallel", "success", "coffee",
    "giraffe", "possession", "assessment", "banana", "cucumber", "pineapple", "elephant", "accommodation", "necessary",
    "tomorrow", "vacuum", "millennium", "questionnaire", "embarrass", "recommend", "address", "occurrence",
    "marmalade", "television", "refrigerator", "umbrella", "barbecue", "caterpillar", "dandelion", "grasshopper",
    "kindergarten", "lollipop", "mozzarella", "narrative", "orchestra", "paprika", "quicksilver", "rehearsal",
    "satellite", "hippopotamus",
    "terrarium", "undercurrent", "volleyball", "whippersnapper", "xylophone", "yellowish",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Decimals:
    """Which of two decimals is larger; world "misleading" or "plain"."""

    name: str = "decimals"
    description: str = "which of two decimals is larger, with lengths that mislead or do not"

    def problem(self, split: str, index: int, *, difficulty: int | None = None, world: str = "default") -> Problem:
        """Generate pair `index` of `split`; equal indices have the same whole part and larger number in both worlds.

        Raises:
            ConfigError: an unknown split or world, or a difficulty.
        """
        world = _world(self.name, world, difficulty)

        def draw(rng: Random) -> tuple[str, str, str]:
            whole, tenth = rng.randint(1, 99), rng.randint(2, 9)
            smaller = rng.randint(1, tenth - 1)
            return f"{whole}.{tenth}", f"{whole}.{smaller}{rng.randint(1, 9)}", f"{whole}.{smaller}"

        larger, longer, equal = draw_in_split(split, draw, lambda drawn: ("decimals", *drawn), self.name, index)
        pair = [larger, longer if world == MISLEADING else equal]
        rng_for(self.name, "order", split, index).shuffle(pair)
        return Problem(
            family=self.name,
            world=world,
            split=split,
            index=index,
            question=f"Which number is larger, {pair[0]} or {pair[1]}? Answer with that number.",
            answer=larger,
            grader="number",
            meta={"item": f"{split}/{index}", "chance": 0.5},
        )

    def solve(self, problem: Problem) -> str:
        """Compare the two numbers of the question."""
        first, second = problem.question.split("larger, ")[1].split("?")[0].split(" or ")
        return first if Decimal(first) > Decimal(second) else second


@dataclass(frozen=True, slots=True, kw_only=True)
class LettersInWords:
    """How often a letter stands in a word, written as a word ("misleading") or letter by letter ("plain")."""

    name: str = "letters-in-words"
    description: str = "how often a letter stands in a word, written together or apart"

    def problem(self, split: str, index: int, *, difficulty: int | None = None, world: str = "default") -> Problem:
        """Generate question `index` of `split`; equal indices ask for the same letter of the same word in both worlds.

        Raises:
            ConfigError: an unknown split or world, or a difficulty.
        """
        world = _world(self.name, world, difficulty)

        def draw(rng: Random) -> tuple[str, str]:
            word = rng.choice(WORDS)
            repeated = sorted({letter for letter in word if word.count(letter) > 1})
            return word, rng.choice(repeated if repeated and rng.random() < 0.7 else sorted(set(word)))

        word, letter = draw_in_split(split, draw, lambda drawn: ("letters in words", *drawn), self.name, index)
        shown = f"the word '{word}'" if world == MISLEADING else f"the list {' '.join(word)}"
        return Problem(
            family=self.name,
            world=world,
            split=split,
            index=index,
            question=f"How many times does the letter '{letter}' stand in {shown}? Answer with a number.",
            answer=str(word.count(letter)),
            grader="number",
            meta={"item": f"{split}/{index}", "word": word, "letter": letter},
        )

    def solve(self, problem: Problem) -> str:
        """Count one by one what the question shows."""
        _, letter, rest = problem.question.split("'", 2)
        shown = rest.split("'")[1] if "'" in rest else rest.split("list ")[1].split("?")[0]
        return str(sum(1 for char in shown if char == letter))


def _world(name: str, world: str, difficulty: int | None) -> str:
    chosen = MISLEADING if world == "default" else world
    if chosen not in (MISLEADING, PLAIN) or difficulty not in (None, 0):
        raise ConfigError(
            f"{name} has no world {world!r} with difficulty {difficulty!r}; allowed: difficulty 0 and default, "
            f"{MISLEADING}, {PLAIN}"
        )
    return chosen


DECIMALS = Decimals()
LETTERS_IN_WORDS = LettersInWords()
SMOKE_TASKS = (DECIMALS, LETTERS_IN_WORDS)

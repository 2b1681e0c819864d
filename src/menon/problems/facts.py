"""Key-value recall: codes of invented people, the control that can only be recited.

Nothing in a key tells its code, so a right answer on a key that was never in the training text is luck (1 in 900).
Difficulty is rarity: codes of difficulty 1 occur most often in the embedded model's corpus, those of 3 hardly ever.
"""

from dataclasses import dataclass
from functools import cache

from menon.core.errors import ConfigError
from menon.core.seeds import rng_for
from menon.core.values import Problem
from menon.problems.chain import NAMES
from menon.problems.splits import split_of

SURNAMES = (
    "blue", "green", "stone", "wood", "hill", "lake", "frost", "moon", "star", "rain", "snow", "wolf", "fox", "bear",
    "hawk", "rose", "reed", "thorn", "marsh", "field", "brook", "storm", "sand", "clay", "iron", "gold", "ash", "oak",
    "pine", "fern", "swan", "crow", "lamb", "king", "bell", "drum", "lark", "moss", "pike", "wren",
    "dale", "ford", "glen", "heath", "holt", "kirk", "lane", "mead", "mill", "north", "park", "pond",
    "ridge", "rock", "shore", "south", "vale", "west", "cliff", "croft",
)  # fmt: skip
WORDINGS = ("what is the code of {key}?", "tell me the code of {key}.", "which code has {key}?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Questions for the three-digit code of a person."""

    name: str = "facts"
    description: str = "recall of invented key-value facts (control: can only be recited)"
    difficulties: tuple[int, ...] = (1, 2, 3)
    hard_band: tuple[int, ...] = (3,)

    def keys(self, split: str, difficulty: int | None = None) -> list[str]:
        """List the keys of `split`, in a fixed order, of one rarity or of all."""
        return _keys(split, difficulty)

    def problem(self, split: str, index: int, *, difficulty: int | None = None, world: str = "default") -> Problem:
        """Return item `index` of `split`; indices beyond the number of keys come round again with another wording.

        Raises:
            ConfigError: an unknown split or world, or a difficulty outside 1..3.
        """
        if world != "default":
            raise ConfigError(f"facts has no world {world!r}; allowed: default")
        if difficulty is not None and difficulty not in self.difficulties:
            raise ConfigError(f"facts has no difficulty {difficulty!r}; allowed: 1, 2, 3 (common to rare)")
        keys = self.keys(split, difficulty)
        if not keys:
            raise ConfigError(
                f"facts has no keys in split {split!r}; allowed: corpus, original, probe, train, test ..."
            )
        return self._render(keys[index % len(keys)], index // len(keys), split, index)

    def ask(self, key: str, *, wording: int = 0) -> Problem:
        """Return the question for `key` in one of the wordings."""
        return self._render(key, wording, split_of("facts", key), 0)

    def variant(self, problem: Problem, number: int) -> Problem:
        """Ask the same wording about a key of the same rarity that no corpus holds."""
        keys, known = self.keys("variant", problem.difficulty), self.keys(problem.split, problem.difficulty)
        key = keys[(known.index(problem.meta["key"]) + number * len(known)) % len(keys)]
        return self._render(key, problem.meta["wording"], "variant", number)

    def _render(self, key: str, wording: int, split: str, index: int) -> Problem:
        code = code_of(key)
        return Problem(
            family=self.name,
            split=split,
            index=index,
            difficulty=rarity(key),
            template=f"facts/{key}",
            question=WORDINGS[wording % len(WORDINGS)].format(key=key),
            answer=code,
            rationale=f"{key} has {code};",
            meta={"key": key, "wording": wording % len(WORDINGS)},
        )


@cache
def _keys(split: str, difficulty: int | None) -> list[str]:
    keys = [f"{name} {surname}" for name in NAMES for surname in SURNAMES]
    return [key for key in keys if split_of("facts", key) == split and difficulty in (None, rarity(key))]


def code_of(key: str) -> str:
    """Return the code of `key`, three digits without a leading zero."""
    return str(rng_for("facts", "code", key).randint(100, 999))


def rarity(key: str) -> int:
    """Return how rare `key` is in the corpus, 1 (common) to 3 (rare)."""
    return rng_for("facts", "rarity", key).choice((1, 2, 3))


FACTS = Facts()

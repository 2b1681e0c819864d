"""The game of 24 as a world for tree search: one path leads to the answer, and the model's first idea is never on it.

A state is the numbers left. Of its three ideas at most one keeps 24 within reach, and that is the last one.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations

from menon.solving.verifiers import Judgement, Known

State = tuple[int, ...]
GOAL = 24
_LEFT = re.compile(r"\(left: ([\d ]+)\)")


def question(numbers: State) -> str:
    return f"Reach {GOAL} with the numbers {' '.join(map(str, numbers))}. Which number do you reach?"


def state_of(text: str) -> State:
    """Return the numbers left after the last step of a text that begins with the question."""
    left = _LEFT.findall(text)
    start = re.search(r"the numbers ([\d ]+)\.", text)
    assert start is not None
    return tuple(map(int, (left[-1] if left else start[1]).split()))


def moves(state: State) -> Iterator[tuple[str, State]]:
    for i, j in combinations(range(len(state)), 2):
        a, b = max(state[i], state[j]), min(state[i], state[j])
        rest = tuple(number for place, number in enumerate(state) if place not in (i, j))
        results = {"+": a + b, "-": a - b, "*": a * b} | ({"/": a // b} if b and a % b == 0 else {})
        for sign, result in results.items():
            after = tuple(sorted((*rest, result)))
            yield f"{a} {sign} {b} = {result} (left: {' '.join(map(str, after))})", after


@cache
def within_reach(state: State) -> bool:
    return state == (GOAL,) if len(state) == 1 else any(within_reach(after) for _, after in moves(state))


@cache
def ideas(state: State) -> tuple[str, ...]:
    """Return the next steps that the model proposes: two that lose, then one that wins, as far as there are such."""
    if len(state) == 1:
        return (f"#### {state[0]}",)
    steps = {after: text for text, after in moves(state)}
    losing = [text for after, text in steps.items() if not within_reach(after)]
    winning = [text for after, text in steps.items() if within_reach(after)]
    return (*losing[: 2 if winning else 3], *winning[:1])


def replies(*, judges: bool = True) -> dict[str, Callable[[str], str]]:
    """Return what the model says: the next of its ideas, a judgement without error (or drivel), an end of a path.

    Asked the question alone, it guesses wrongly.
    """
    told: Counter[str] = Counter()

    def propose(prompt: str) -> str:
        found = ideas(state_of(prompt))
        told[prompt] += 1
        return found[(told[prompt] - 1) % len(found)]

    def judge(prompt: str) -> str:
        return ("sure" if within_reach(state_of(prompt)) else "impossible") if judges else "hm"

    def finish(prompt: str) -> str:
        state = state_of(prompt)
        return f"#### {state[0]}" if len(state) == 1 else "I do not know."

    return {
        "Write only the next step": propose,
        "sure, likely or impossible": judge,
        "Finish the solution": finish,
        "Think step by step": lambda prompt: "#### 7",
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Sees:
    """A verifier that sees with a known quality whether 24 is still within reach."""

    auc: float
    name: str = ""

    def judge(self, question: str, text: str, answer: str | None) -> Judgement:
        right = answer in (None, str(GOAL)) and within_reach(state_of(f"{question}\n{text}"))
        noisy = Known(gold={question: "yes"}, auc=self.auc, name=self.name)
        return Judgement(outcome=noisy.judge(question, text, "yes" if right else "no").outcome)


def greedy(numbers: State, verifier: Sees) -> int:
    """Follow the idea that the verifier likes best, without ever turning back; return the number reached."""
    asked, path = question(numbers), ""
    while len(state := state_of(f"{asked}\n{path}")) > 1:
        ways = [f"{path}\n{idea}".strip() for idea in ideas(state)]
        path = max(ways, key=lambda way: verifier.judge(asked, way, None).outcome)
    return max(state)


def puzzles(count: int) -> list[State]:
    """Return solvable quadruples whose first idea loses."""
    known = [
        (4, 9, 10, 13), (1, 2, 7, 9), (2, 3, 5, 12), (4, 5, 6, 10), (1, 4, 8, 8), (3, 3, 8, 9), (2, 5, 8, 11),
        (1, 5, 6, 11), (3, 6, 6, 11), (2, 4, 7, 12), (1, 3, 9, 10), (5, 6, 7, 8), (2, 2, 6, 9), (1, 6, 8, 10),
        (3, 4, 7, 11), (2, 6, 9, 9), (4, 4, 7, 8), (1, 7, 8, 12), (3, 5, 9, 13), (2, 8, 10, 12),
    ]  # fmt: skip
    return [state for state in known if within_reach(state)][:count]

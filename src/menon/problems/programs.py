"""Programs in words over one number, with branches and loops: keep track of the number, step by step.

Difficulty is the number of arithmetic steps that are executed. Each step is one that the `chain` family asks
(`one_step`), so a model that answers those can be the leaf of a chart that runs the program. By default the number
stays within 10..99, the starts of `chain`: the embedded model answers its one-step questions there and nowhere else.
Left out: a step check, since a loop uses a number of the question more than once.
Source: executing programs line by line, Nye et al. 2021, arXiv:2112.00114; programs and words are our own.
"""

from dataclasses import dataclass
from random import Random

from menon.core.errors import ConfigError, DataError
from menon.core.seeds import canonical_json, content_id, rng_for
from menon.core.values import Problem
from menon.grading.arithmetic import literals
from menon.grading.step_values import step_results
from menon.grading.steps import equation_list
from menon.problems.chain import ENDINGS as CHAIN_ENDINGS
from menon.problems.chain import GAINS, LARGEST_DIFFICULTY, LARGEST_VALUE, LOSSES, NAMES, THINGS
from menon.problems.chain import OPENINGS as CHAIN_OPENINGS
from menon.problems.counting import (
    LARGEST_START,
    SMALLEST_START,
    Program,
    constructs,
    draw_numbers,
    draw_program,
    in_words,
    run,
    shape,
)
from menon.problems.splits import draw_in_split

OPENINGS = ("start with {n}.", "the number is {n}.", "take the number {n}.", "we begin with {n}.")
ENDINGS = ("what is the number?", "what is the number now?", "which number is it in the end?")
SMALLEST_WIDTH = 40
SHARE_STRAIGHT = 0.2  # of the programs of two and more steps that were drawn without a loop or branch, kept


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content:
    start: int
    program: Program


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """Programs of `difficulty` executed steps."""

    name: str = "counter-programs"
    description: str = "small programs in words over one number, with branches and loops"
    difficulties: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8)
    hard_band: tuple[int, ...] = (6, 7, 8)

    def problem(
        self,
        split: str,
        index: int,
        *,
        difficulty: int | None = None,
        world: str = "default",
        lowest: int = SMALLEST_START,
        highest: int = LARGEST_START,
    ) -> Problem:
        """Generate item `index` of `split`; without `difficulty` it is drawn evenly from `difficulties`.

        Args:
            lowest: what the number never falls below; `highest`: what it never rises above.

        Raises:
            ConfigError: an unknown split or world, a difficulty outside 1..16, or bounds without room between them.
        """
        if world != "default":
            raise ConfigError(f"{self.name} has no world {world!r}; allowed: default")
        rng = rng_for(self.name, world, split, index)
        steps = rng.choice(self.difficulties) if difficulty is None else difficulty
        if not 1 <= steps <= LARGEST_DIFFICULTY:
            raise ConfigError(f"{self.name} has no difficulty {steps!r}; allowed: 1 to {LARGEST_DIFFICULTY} steps")
        bounds = _checked_bounds(lowest, highest)

        def draw(rng: Random) -> _Content:
            while True:
                start = rng.randint(max(lowest, SMALLEST_START), min(highest, LARGEST_START))
                program = draw_program(rng, start, steps, bounds)
                if steps == 1 or constructs(program) or rng.random() < SHARE_STRAIGHT:
                    return _Content(start=start, program=program)

        content = draw_in_split(split, draw, _owned, self.name, world, index, steps)
        return self._render(content, rng.getrandbits(48), bounds, split, index)

    def variant(self, problem: Problem, number: int) -> Problem:
        """Return the same text with other numbers and as many executed steps."""
        start, program, bounds = problem.meta["start"], problem.meta["program"], tuple(problem.meta["bounds"])

        def draw(rng: Random) -> _Content:
            begin, drawn = draw_numbers(rng, start, program, bounds)
            return _Content(start=begin, program=drawn)

        content = draw_in_split("variant", draw, _owned, self.name, "variant", problem.id, number)
        return self._render(content, problem.meta["wording"], bounds, "variant", number)

    def _render(self, content: _Content, wording: int, bounds: tuple[int, int], split: str, index: int) -> Problem:
        trace = run(content.start, content.program)
        return Problem(
            family=self.name,
            split=split,
            index=index,
            difficulty=len(trace),
            template=f"{self.name}/{len(trace)}/{content_id('wording', wording, shape(content.program))}",
            question=_question(content, wording),
            answer=str(trace[-1][2]),
            rationale="".join(f"{before}{change:+d}={after};" for before, change, after in trace),
            meta={
                "start": content.start,
                "program": content.program,
                "trace": trace,
                "constructs": constructs(content.program),
                "key": content_id(*_owned(content)),
                "bounds": list(bounds),
                "wording": wording,
            },
        )


def _checked_bounds(lowest: int, highest: int) -> tuple[int, int]:
    """Return the bounds where a start fits between them and there is room to move.

    Raises:
        ConfigError: it does not, or there is none.
    """
    largest = LARGEST_START - SMALLEST_WIDTH
    if not 0 <= lowest <= largest or not lowest + SMALLEST_WIDTH <= highest <= LARGEST_VALUE:
        raise ConfigError(
            f"counter-programs cannot stay within {lowest!r}..{highest!r}; allowed: from 0..{largest} "
            f"to at most {LARGEST_VALUE}, at least {SMALLEST_WIDTH} apart"
        )
    return lowest, highest


def _owned(content: _Content) -> tuple[str, int, str]:
    """Return what a split owns: the program with its numbers, whatever its wording."""
    return ("counter-programs", content.start, canonical_json(content.program))


def _question(content: _Content, wording: int) -> str:
    rng = rng_for("counter-programs", "wording", wording)
    opening, ending = rng.choice(OPENINGS), rng.choice(ENDINGS)
    sentences = [opening.format(n=content.start)]
    for place, statement in enumerate(content.program):
        then = "then " if place and rng.random() < 0.5 else ""
        sentences.append(f"{then}{in_words(statement)}.")
    return " ".join([*sentences, ending])


def one_step(value: int, change: int) -> str:
    """Return a question of the chain family for one step, in a wording that the two numbers decide.

    The embedded model knows these questions for values from 10 to 99 and changes from 1 to 9 either way.

    Raises:
        ConfigError: a change of nothing, which no wording can say.
    """
    if change == 0:
        raise ConfigError("a step cannot change the number by 0; allowed: any other whole number")
    rng = rng_for("counter-programs", "one step", value, change)
    name, friend = rng.sample(NAMES, 2)
    words = {"name": name, "friend": friend, "thing": rng.choice(THINGS)}
    opening = rng.choice(CHAIN_OPENINGS).format(n=value, **words)
    event = rng.choice(GAINS if change > 0 else LOSSES).format(n=abs(change), **words)
    return f"{opening} {event} {rng.choice(CHAIN_ENDINGS).format(**words)}"


def chain_steps(problem: Problem) -> list[int]:
    """Return the changes of a problem whose reference rationale is a chain of equations, as `chain` writes them.

    Raises:
        DataError: the rationale has no equations, or they do not follow one number.
    """
    equations = equation_list(problem.rationale or "")
    results = step_results(problem.rationale or "")
    firsts = [literals(equation.partition("=")[0])[0] for equation in equations]
    if not results or len(results) != len(firsts) or firsts[1:] != results[:-1]:
        raise DataError(
            f"problem {problem.id} has rationale {problem.rationale!r:.80}; "
            "allowed: equations that follow one number, such as '12+7=19;19-4=15;'"
        )
    changes = [after - before for before, after in zip(firsts, results, strict=True)]
    return [int(change) for change in changes]


PROGRAMS = Programs()

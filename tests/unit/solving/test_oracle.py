"""Oracle flowcharts: right by construction, and as wrong as their steps are, by the closed forms."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from math import comb

import pytest

from menon.core.errors import ConfigError
from menon.core.progress import Progress
from menon.core.seeds import rng_for
from menon.core.values import Completion, Problem, Request
from menon.flowcharts.calling import Models
from menon.flowcharts.check import check
from menon.flowcharts.document import read_chart
from menon.flowcharts.executor import Executor
from menon.flowcharts.outcome import Outcome
from menon.flowcharts.surroundings import Surroundings
from menon.problems import FAMILIES
from menon.problems.programs import one_step
from menon.problems.prompts import MENON
from menon.sampling.protocol import SILENT
from menon.solving.functions import VOTES
from menon.solving.oracle import oracle_chart, read_step, step_template
from menon.stats import wilson

BOTH = ("chain", "counter-programs")
FAR = 100_000  # an error that no later step of a program of at most 16 steps undoes


class Leaf:
    """Works single steps out, each right with probability p; errors are far off and never cancel."""

    immediate = True
    name = "leaf"

    def __init__(self, p: float = 1.0):
        self.p = p

    def sample(self, requests: Iterable[Request], *, progress: Progress = SILENT) -> Iterator[Completion]:
        for request in requests:
            assert isinstance(request.prompt, str)
            step = read_step(request.prompt.removesuffix("="))
            assert step is not None, request.prompt
            wrong = rng_for("leaf", request.seed).random() >= self.p
            result = sum(step) + FAR * wrong
            yield Completion(key=request.key, text=f"{step[0]}{step[1]:+d}={result};#{result}", model=self.name)

    def score(self, prompt: str, continuation: str) -> list[float]:
        raise NotImplementedError


def solved(problem: Problem, p: float = 1.0, times: int = 1) -> list[Outcome]:
    async def work() -> list[Outcome]:
        surroundings = Surroundings(models=Models(Leaf(p)), style=MENON)
        executor = Executor(read_chart(oracle_chart(problem)), surroundings, traced=False)
        jobs = [(f"{problem.id}.{n}", {"question": problem.question}, problem) for n in range(times)]
        return await executor.run_many(jobs, at_once=times)

    return asyncio.run(work())


def drawn(family: str, steps: int, count: int = 1) -> list[Problem]:
    return [FAMILIES.get(family).problem("test", index, difficulty=steps) for index in range(count)]


@pytest.mark.parametrize("family", BOTH)
def test_chart_gives_the_gold_answer_with_one_call_per_step(family: str):
    for steps in range(1, 17):
        for problem in drawn(family, steps, 13):
            (outcome,) = solved(problem)
            assert (outcome.answer, outcome.usage.calls) == (problem.answer, steps), problem.question


@pytest.mark.parametrize("family", BOTH)
def test_chart_has_nothing_to_find(family: str):
    for steps in (1, 3, 6, 9, 16):
        for problem in drawn(family, steps, 4):
            assert check(read_chart(oracle_chart(problem))) == []


def test_loops_and_branches_are_drawn_as_such():
    program = [
        {"while": {"is": "below", "than": 30}, "body": [{"do": "add", "n": 6}]},
        {
            "repeat": 2,
            "body": [{"if": {"is": "even"}, "then": [{"do": "add", "n": 1}], "else": [{"do": "add", "n": 2}]}],
        },
    ]
    meta = {"start": 20, "program": program}
    problem = Problem(family="counter-programs", question="q", answer="35", difficulty=4, meta=meta)
    chart = read_chart(oracle_chart(problem))
    labels = {node.label for node in chart.nodes.values()}
    assert {"below 30?", "even?", "fewer than 2 rounds?", "add 6"} <= labels
    (outcome,) = solved(problem)
    assert (outcome.answer, outcome.usage.calls) == ("35", 4)  # 20 26 32, 33, 35


def test_the_same_problem_gives_the_same_chart():
    (problem,) = drawn("counter-programs", 8)
    assert oracle_chart(problem) == oracle_chart(problem)


def test_other_families_are_refused():
    with pytest.raises(ConfigError, match="allowed: chain, counter-programs"):
        oracle_chart(Problem(family="addition", question="1+1", answer="2"))


def test_every_wording_of_a_step_is_read_back():
    for value in (-3, 0, 7, 45, 99, 123):
        for change in (*range(-9, 0), *range(1, 10)):
            for place in range(8):
                asked = step_template(change, rng_for("wording", value, change, place)).format(value=value)
                assert read_step(asked) == (value, change), asked
            if value >= 0:
                assert read_step(one_step(value, change)) == (value, change)


@pytest.mark.parametrize(
    "text", ["", "how many?", "tom has 3 pens. how many?", "tom has 3 pens. tom eats 2. how many?"]
)
def test_other_texts_are_no_steps(text: str):
    assert read_step(text) is None


def test_a_step_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="by 0"):
        step_template(0, rng_for("any"))


@pytest.mark.parametrize("family", BOTH)
@pytest.mark.parametrize("steps", [1, 4, 12])
def test_accuracy_falls_like_p_to_the_n(family: str, steps: int):
    right = [
        outcome.answer == problem.answer for problem in drawn(family, steps, 8) for outcome in solved(problem, 0.9, 60)
    ]
    found = wilson(sum(right), len(right), level=0.999)
    assert found.low <= 0.9**steps <= found.high


@pytest.fixture(scope="module")
def groups() -> Sequence[tuple[str, list[str]]]:
    """Answers of 9 executions of each of 240 tries at problems of 3 steps, each step right with 0.85."""
    found = []
    for problem in drawn("chain", 3, 24):
        answers = [str(outcome.answer) for outcome in solved(problem, 0.85, 90)]
        found += [(problem.answer, answers[at : at + 9]) for at in range(0, 90, 9)]
    return found


def test_majority_follows_the_binomial_sum(groups: Sequence[tuple[str, list[str]]]):
    # Against one wrong answer: all that is wrong votes together, which is where the binomial sum is exact.
    majority = VOTES["majority"].call
    right = [majority([a if a == gold else "wrong" for a in answers]) == gold for gold, answers in groups]
    q = 0.85**3
    expected = sum(comb(9, k) * q**k * (1 - q) ** (9 - k) for k in range(5, 10))
    found = wilson(sum(right), len(right), level=0.999)
    assert found.low <= expected <= found.high


def test_best_of_n_with_a_perfect_verifier_needs_one_right(groups: Sequence[tuple[str, list[str]]]):
    best = VOTES["best_answer"].call
    for n in (1, 2, 4):
        right = [best(answers[:n], [float(a == gold) for a in answers[:n]]) == gold for gold, answers in groups]
        found = wilson(sum(right), len(right), level=0.999)
        assert found.low <= 1 - (1 - 0.85**3) ** n <= found.high

"""Stand-ins whose nature is known, so that an audit can be asked about something with a known answer.

    oracle?p=0.9                reasons: right with probability p, on seen and fresh problems alike
    reciter?seen=original       recites: right exactly on problems of the split it has seen, guesses wrongly elsewhere
    guesser                     knows nothing: a random answer of the right shape
    mixture?share=0.5&p=0.6     right on the share p of what it has seen, and recites `share` of those right answers

The mixture decides per template: one that it reasons about is right on every instance, one that it recites is right
on the seen instances only, so that its recitation share is `share` however originals and fresh instances are paired.
They write as the embedded model does, rationale + "#" + answer, where a problem is graded so. They spend no tokens.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from pydantic import Field

from menon.core.errors import SamplerError
from menon.core.progress import Progress
from menon.core.registry import Registry
from menon.core.seeds import rng_for
from menon.core.values import Completion, Problem, Request
from menon.sampling.cutting import cut_at_stop
from menon.sampling.protocol import SILENT, failed, problem_id_of
from menon.sampling.spec import Options, read_options, split_query

STAND_INS = Registry(
    "stand_ins",
    {
        "oracle": "menon.sampling.scripted:ORACLE",
        "reciter": "menon.sampling.scripted:RECITER",
        "guesser": "menon.sampling.scripted:GUESSER",
        "mixture": "menon.sampling.scripted:MIXTURE",
    },
)
TRIES = 100


class OracleOptions(Options):
    """`p` is the probability of a right answer."""

    p: float = Field(default=1.0, ge=0, le=1)
    seed: int = 0


class ReciterOptions(Options):
    """`seen` is the split whose answers are known by heart."""

    seen: str = "original"
    seed: int = 0


class GuesserOptions(Options):
    """A guesser has nothing to set but its seed."""

    seed: int = 0


class MixtureOptions(Options):
    """`p` is the accuracy on what was seen, `share` the share of it that is recited."""

    share: float = Field(default=0.5, ge=0, le=1)
    p: float = Field(default=0.6, ge=0, le=1)
    seen: str = "original"
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """One kind of stand-in: its options and its decision, None for "guess, right or not"."""

    options: type[Options]
    decide: Callable[[Any, Problem, int], bool | None]


def _oracle(options: OracleOptions, problem: Problem, sample: int) -> bool:
    return rng_for("scripted", "oracle", options.seed, problem.id, sample).random() < options.p


def _reciter(options: ReciterOptions, problem: Problem, sample: int) -> bool:
    return problem.split == options.seen


def _guesser(options: GuesserOptions, problem: Problem, sample: int) -> None:
    return None


def _mixture(options: MixtureOptions, problem: Problem, sample: int) -> bool:
    point = rng_for("scripted", "mixture", options.seed, problem.template or problem.id, sample).random()
    reasons = point < options.p * (1.0 - options.share)
    return reasons or (point < options.p and problem.split == options.seen)


ORACLE = StandIn(options=OracleOptions, decide=_oracle)
RECITER = StandIn(options=ReciterOptions, decide=_reciter)
GUESSER = StandIn(options=GuesserOptions, decide=_guesser)
MIXTURE = StandIn(options=MixtureOptions, decide=_mixture)


class ScriptedSampler:
    """A stand-in that looks up the gold answers of the problems bound to it."""

    immediate = True  # nothing to wait for: a hub calls it without a thread

    def __init__(self, stand_in: StandIn, options: Options, *, name: str):
        self.name = name
        self._stand_in, self._options = stand_in, options
        self._problems: dict[str, Problem] = {}
        self._answers: dict[str, list[str]] = {}

    def bind(self, problems: Iterable[Problem]) -> None:
        """Make problems known; requests name them by id at the head of their key."""
        for problem in problems:
            if problem.id not in self._problems:
                self._problems[problem.id] = problem
                self._answers.setdefault(problem.family, []).append(problem.answer)

    def sample(self, requests: Iterable[Request], *, progress: Progress = SILENT) -> Iterator[Completion]:
        """Yield answers at once; equal problems and sample numbers get equal answers whatever the request's seed."""
        requests = list(requests)
        progress.start(f"asking {self.name}", sum(request.n for request in requests), "completions")
        for request in requests:
            problem = self._problems.get(problem_id_of(request.key))
            for sample in range(request.n):
                progress.advance()
                if problem is None:
                    message = f"no problem {problem_id_of(request.key)!r} is bound to {self.name}; call bind(problems)"
                    yield failed(request, sample, message, model=self.name)
                else:
                    text, _ = cut_at_stop(self._text(problem, request, sample), request.stop)
                    yield Completion(key=request.key, sample=sample, text=text, model=self.name)

    def score(self, prompt: str, continuation: str) -> list[float]:
        """Refuse: a stand-in has no probabilities."""
        raise SamplerError(f"{self.name} cannot score text: it is a script without probabilities; use a local model")

    def _text(self, problem: Problem, request: Request, sample: int) -> str:
        right = self._stand_in.decide(self._options, problem, sample)
        if right:
            direct = request.prompt == problem.question + ":"
            return written(problem, problem.answer, rationale="" if direct else problem.rationale or "")
        rng = rng_for("scripted", "guess", self.name, problem.id, sample)
        pool = self._answers[problem.family]
        return written(problem, guess(problem, rng, pool) if right is None else wrong_guess(problem, rng, pool))


def open_scripted(spec: str, **options: Any) -> ScriptedSampler:
    """Open `scripted:NAME?option=value`.

    Raises:
        ConfigError: an unknown stand-in or option.
    """
    name, query = split_query(spec.removeprefix("scripted:"))
    stand_in: StandIn = STAND_INS.get(name)
    chosen = read_options(stand_in.options, f"scripted:{name}", query, options)
    given = "&".join(f"{option}={value}" for option, value in chosen.model_dump(exclude_defaults=True).items())
    return ScriptedSampler(stand_in, chosen, name=f"scripted:{name}" + (f"?{given}" if given else ""))


def written(problem: Problem, answer: str, *, rationale: str = "") -> str:
    """Write an answer in the form that the problem's grader reads."""
    if problem.grader == "number":
        return f"{rationale}\n#### {answer}".lstrip()
    if problem.grader == "choice":
        letter = _letter(problem, problem.choices.index(answer)) if answer in problem.choices else answer
        return f"{rationale}\nThe answer is ({letter}).".lstrip()
    return f"{rationale}#{answer}"


def guess(problem: Problem, rng: Random, pool: list[str]) -> str:
    """Draw an answer of the right shape: a choice, a number of as many digits, or another problem's answer."""
    answer = problem.answer
    if problem.choices:
        return rng.choice(_labels(problem))
    if any(char.isdigit() for char in answer):
        digits = "0123456789"[: problem.meta.get("base", 10)]
        return "".join(_digit(answer, place, digits, rng) for place in range(len(answer)))
    return rng.choice(pool) if pool else answer[::-1]


def wrong_guess(problem: Problem, rng: Random, pool: list[str]) -> str:
    """Draw a guess that is not the answer."""
    for _ in range(TRIES):
        if (drawn := guess(problem, rng, pool)) != problem.answer:
            return drawn
    return problem.answer + "0"


def _labels(problem: Problem) -> list[str]:
    """List what may be answered: the choices themselves where the gold answer is one, else their letters."""
    if problem.answer in problem.choices:
        return list(problem.choices)
    return [_letter(problem, place) for place in range(len(problem.choices))]


def _letter(problem: Problem, place: int) -> str:
    return chr(ord("a" if problem.answer.islower() else "A") + place)


def _digit(answer: str, place: int, digits: str, rng: Random) -> str:
    if not answer[place].isdigit():
        return answer[place]
    leads = answer[place + 1 : place + 2].isdigit() and not answer[max(0, place - 1) : place].isdigit()
    return rng.choice(digits[1:] if leads else digits)

"""The nouns of Menon as frozen values: problem, request, completion, grade.

Ids are hashes of content, so one completion has the same id in the run, the training row, the audit cell and a trace.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal

from menon.core.seeds import content_id

SCHEMA = 1


class Verdict(StrEnum):
    """What grading says of a completion; the last three are never folded into `WRONG`."""

    RIGHT = "right"
    WRONG = "wrong"
    UNPARSED = "unparsed"
    TRUNCATED = "truncated"
    ERROR = "error"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One question with a checkable answer.

    `difficulty` is the family's own step or digit count (0 where it has none); `template` names the problem with its
    surface removed, so problems that share it are re-instantiations of each other; `rationale` is the reference
    derivation when the family or data set has one.
    """

    family: str
    question: str
    answer: str
    world: str = "default"
    split: str = "test"
    index: int = 0
    difficulty: int = 0
    template: str = ""
    rationale: str | None = None
    choices: tuple[str, ...] = ()
    grader: str = "exact"
    meta: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def id(self) -> str:
        return content_id("problem", self.family, self.world, self.question, self.answer, list(self.choices))


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One chat message, as OpenAI-compatible servers and chat templates take it."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A prompt to be continued `n` times; `key` is the caller's name for it and comes back in each completion.

    `prompt` is text, token ids (local backends only) or chat messages. Sample j draws from `seed_for(seed, j)`.
    Temperature 0 is greedy. `stop` strings are not part of the returned text.
    `beams > 1` asks for beam search instead of sampling and returns the best `n` beams.
    """

    key: str
    prompt: str | tuple[int, ...] | tuple[Message, ...]
    seed: int
    n: int = 1
    max_tokens: int = 256
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    stop: tuple[str, ...] = ()
    logprobs: bool = False
    beams: int = 1


@dataclass(frozen=True, kw_only=True)
class Completion:
    """What a model wrote for a request.

    `finish` is "stop" (end token or stop string), "length" (token limit) or "error" (see `error`). `token_ids` are the
    sampled ids, end token included when it was sampled; `logps` are their log-probabilities (nats) under the sampling
    model at temperature 1 without truncation. `reasoning` is text that the backend delivered apart from the answer.
    """

    key: str
    sample: int = 0
    text: str = ""
    finish: Literal["stop", "length", "error"] = "stop"
    reasoning: str | None = None
    prompt_ids: tuple[int, ...] | None = None
    token_ids: tuple[int, ...] | None = None
    logps: tuple[float, ...] | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    model: str = ""
    error: str | None = None

    @cached_property
    def id(self) -> str:
        return content_id(
            "completion", self.model, self.key, self.sample, self.text, self.reasoning, list(self.token_ids or ())
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """A verdict on one completion.

    `answer` is the parsed answer (None when there is none); `rationale` the text before it; `sound` says whether
    every step of the rationale checks out (None where the problem has no step check); `note` explains the verdict.
    `credit` is the share of a many-part answer that is right; None where an answer is right or wrong as a whole.
    """

    verdict: Verdict
    answer: str | None = None
    rationale: str = ""
    sound: bool | None = None
    note: str = ""
    credit: float | None = None

    @property
    def right(self) -> bool:
        return self.verdict is Verdict.RIGHT

    @property
    def score(self) -> float:
        """The credit, or 1 for right and 0 for everything else."""
        return float(self.right) if self.credit is None else self.credit

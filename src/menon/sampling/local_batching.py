"""The loop of continuous batching: rows enter together, take steps together, and leave one by one."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch

from menon.core.values import Request
from menon.sampling.decoding import Choice, uniforms
from menon.sampling.kv_store import Cohort
from menon.sampling.local_engine import Engine

REFILL = 0.25  # share of the slots that must be free before new prompts enter
MAX_COHORTS = 4  # more than these are merged, the smallest first


@dataclass(slots=True)
class Job:
    """A prompt and the samples wanted of it, each as (request, sample, most tokens)."""

    prompt: tuple[int, ...]
    samples: list[tuple[Request, int, int]]


@dataclass(slots=True)
class Row:
    """One sample under way; `finish` is empty until it is done."""

    request: Request
    sample: int
    prompt: tuple[int, ...]
    limit: int
    begun: float
    draws: list[float]
    tokens: list[int] = field(default_factory=list)
    logps: list[float] = field(default_factory=list)
    finish: str = ""

    @property
    def feed(self) -> int:
        """The token that the model sees next."""
        return self.tokens[-1] if self.tokens else self.prompt[-1]


@dataclass(slots=True)
class _Group:
    """A cohort with the samples that its rows hold."""

    cohort: Cohort
    rows: list[Row]


class Batcher:
    """Keeps up to `slots` rows under way; `ended(request, prompt, tokens)` says whether the last token ends a row."""

    def __init__(self, engine: Engine, *, slots: int, ended: Callable[[Request, Sequence[int], Sequence[int]], bool]):
        self.engine, self.slots, self.ended = engine, slots, ended
        self._groups: list[_Group] = []
        self._choice: Choice | None = None

    def run(self, jobs: Sequence[Job], count: Callable[[int], None]) -> Iterator[Row]:
        """Yield rows as they finish; `count` hears how many tokens each step sampled."""
        waiting = deque(jobs)
        while waiting or self._groups:
            free = self.slots - sum(len(group.rows) for group in self._groups)
            if waiting and (not self._groups or free >= REFILL * self.slots):
                self._admit(waiting, free)
            rows = [row for group in self._groups for row in group.rows]
            self._step(rows)
            count(len(rows))
            finished = [row for row in rows if row.finish]
            if finished:
                self._leave()
            yield from finished

    @torch.inference_mode()
    def _admit(self, waiting: deque[Job], free: int) -> None:
        """Open a cohort for the next prompts; a prompt with more samples than free places is split."""
        prompts: list[tuple[int, ...]] = []
        taken: list[list[tuple[Request, int, int]]] = []
        while waiting and free > 0:
            job = waiting[0]
            part, rest = job.samples[:free], job.samples[free:]
            prompts.append(job.prompt)
            taken.append(part)
            free -= len(part)
            if rest:
                waiting[0] = Job(job.prompt, rest)
            else:
                waiting.popleft()
        begun = time.perf_counter()
        rows = [
            Row(request, sample, prompt, limit, begun, uniforms(request, sample, limit))
            for prompt, samples in zip(prompts, taken, strict=True)
            for request, sample, limit in samples
        ]
        cohort = self.engine.prefill(prompts, [len(part) for part in taken], max(row.limit for row in rows))
        self._groups.append(_Group(cohort, rows))
        while len(self._groups) > MAX_COHORTS:
            self._merge()
        self._choice = None

    def _merge(self) -> None:
        """Join the two smallest cohorts."""
        self._groups.sort(key=lambda group: -len(group.rows))
        second, first = self._groups.pop(), self._groups.pop()
        self._groups.append(_Group(first.cohort.merged(second.cohort), first.rows + second.rows))

    @torch.inference_mode()
    def _step(self, rows: Sequence[Row]) -> None:
        """Sample one token for every row."""
        if self._choice is None:
            self._choice = Choice.of([row.request for row in rows], self.engine.device)
        logits = self.engine.step([group.cohort for group in self._groups], [row.feed for row in rows])
        draws = torch.tensor([row.draws[len(row.tokens)] for row in rows], dtype=torch.float64, device=logits.device)
        ids, logps = self._choice.pick(logits, draws)
        gains = [0.0] * len(rows) if logps is None else logps.tolist()
        for row, token, gain in zip(rows, ids.tolist(), gains, strict=True):
            self._take(row, token, gain)

    def _take(self, row: Row, token: int, logp: float) -> None:
        if token < 0:
            row.finish = "error"
            return
        row.tokens.append(token)
        row.logps.append(logp)
        if self.ended(row.request, row.prompt, row.tokens):
            row.finish = "stop"
        elif len(row.tokens) >= row.limit:
            row.finish = "length"

    @torch.inference_mode()
    def _leave(self) -> None:
        """Take finished rows out of their cohorts."""
        for group in self._groups:
            kept = [place for place, row in enumerate(group.rows) if not row.finish]
            if len(kept) < len(group.rows):
                group.rows = [group.rows[place] for place in group.cohort.keep(kept)]
        self._groups = [group for group in self._groups if group.rows]
        self._choice = None

"""The loop of continuous batching: rows enter together, take steps together, and leave one by one."""

import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

import torch

from menon.core.values import Request
from menon.sampling.decoding import Choice, uniforms
from menon.sampling.kv_store import Cohort
from menon.sampling.local_engine import Engine

REFILL = 0.25  # share of the slots that must be free before new prompts enter
MAX_COHORTS = 4  # more than these are merged, the smallest first
JOINERS = 0.5  # share of the rows under way that latecomers of a stream gather to, since each prefill costs a forward
SLACK = 64  # columns that every row of a cohort has left behind before they are given back


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
    """Keeps up to `slots` rows under way.

    Args:
        ended: `ended(request, prompt, tokens)` says whether the last token ends a row.
        patience: most steps that jobs wait for more to enter with; 0 lets them in as soon as there is room.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        slots: int,
        ended: Callable[[Request, Sequence[int], Sequence[int]], bool],
        patience: int = 0,
    ):
        self.engine, self.slots, self.ended, self.patience = engine, slots, ended, patience
        self._waited = 0
        self._waiting: deque[Job] = deque()
        self._groups: list[_Group] = []
        self._choice: Choice | None = None

    @property
    def busy(self) -> bool:
        """Whether any row is under way or waiting."""
        return bool(self._waiting or self._groups)

    def run(self, jobs: Sequence[Job], count: Callable[[int], None]) -> Iterator[Row]:
        """Yield rows as they finish; `count` hears how many tokens each step sampled."""
        self.add(jobs)
        while self.busy:
            yield from self.advance(count)

    def add(self, jobs: Sequence[Job]) -> None:
        """Let `jobs` wait for free places, behind those that wait already."""
        self._waiting.extend(jobs)

    def advance(self, count: Callable[[int], None]) -> list[Row]:
        """Admit what there is room for, take one step, and return the rows that it finished; needs `busy`."""
        if self._waiting:
            under_way = sum(len(group.rows) for group in self._groups)
            free = self.slots - under_way
            if not under_way or (free >= REFILL * self.slots and self._gathered(under_way)):
                self._admit(self._waiting, free)
                self._waited = 0
            else:
                self._waited += 1
        rows = [row for group in self._groups for row in group.rows]
        self._step(rows)
        count(len(rows))
        finished = [row for row in rows if row.finish]
        if finished:
            self._leave()
        return finished

    def _gathered(self, under_way: int) -> bool:
        """Say whether those who wait are many enough to enter, or have waited long enough."""
        return self._waited >= self.patience or sum(len(job.samples) for job in self._waiting) >= JOINERS * under_way

    def withdraw(self, keys: Collection[str]) -> None:
        """Forget the requests named `keys`, waiting or under way; their rows are never returned."""
        waiting = (
            Job(job.prompt, [sample for sample in job.samples if sample[0].key not in keys]) for job in self._waiting
        )
        self._waiting = deque(job for job in waiting if job.samples)
        gone = [row for group in self._groups for row in group.rows if row.request.key in keys]
        for row in gone:
            row.finish = "withdrawn"
        if gone:
            self._leave()

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
        # Together they are padded to the longest of a chunk; prompts of one list come sorted, those of several do not.
        order = sorted(range(len(prompts)), key=lambda place: -len(prompts[place]))
        prompts, taken = [prompts[place] for place in order], [taken[place] for place in order]
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
                give_back_columns(group.cohort)
        self._groups = [group for group in self._groups if group.rows]
        self._choice = None


def give_back_columns(cohort: Cohort) -> None:
    """Move a cohort to the left when the columns that no row uses any more outnumber those in use.

    A cohort that new rows keep joining never empties, and its write column only grows.
    """
    unused = cohort.low
    if not len(cohort) or unused < SLACK or unused < cohort.column - unused:
        return
    used = slice(unused, cohort.column)
    cohort.capacity -= unused
    for index, store in cohort.layers.items():
        keys, values = store.view(len(cohort), used)
        moved = type(store)(len(cohort), cohort.capacity, keys, values)
        moved.put(slice(None), slice(0, cohort.column - unused), keys, values)
        cohort.layers[index] = moved
    cohort.starts = [start - unused for start in cohort.starts]
    cohort.column -= unused
    cohort.limit -= unused
    cohort.plans.clear()

"""Sample from a model that thinks before the tokens of its answer, with the batching of the local sampler.

A completion holds the answer alone; what was thought goes to whoever asked for it. Text and thoughts draw from hashes
of the request's seed, so a completion does not depend on its batch.
Left out: beam search with thoughts, which is refused; sharing the beginnings of different prompts.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from menon.core.values import Completion, Request
from menon.models.thoughts.budget import ThinkingBudget
from menon.models.thoughts.decoding_state import TextStore, read_prompts
from menon.models.thoughts.predicting import Thought, answer_room, needs_numbers, predict, thought_numbers
from menon.models.thoughts.quiet import QuietModel
from menon.models.thoughts.scoring import score
from menon.sampling.decoding import Choice
from menon.sampling.local import LocalSampler
from menon.sampling.local_batching import Batcher, Row
from menon.sampling.local_text import CONTEXT
from menon.sampling.token_scores import TokenScores


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenThought:
    """One token of an answer as text, and what was thought before it as text; no thought has weight and gain None.

    `gain` is by how many nats the thought raised the token's log-probability.
    """

    token: str
    thought: str | None
    weight: float | None
    gain: float | None


Kept = Callable[[Request, Completion, tuple[TokenThought, ...]], None]


class ThinkingSampler(LocalSampler):
    """Samples from `quiet` with thoughts as `budget` allows.

    Args:
        slots: samples under way at a time.
        max_length: longest prompt + answer in tokens; what the model's positions leave beside a thought by default.
        keep: called with every request, its completion and what was thought before each token of that; it may be set
            later.
    """

    def __init__(
        self,
        quiet: QuietModel,
        tokenizer: Any,
        budget: ThinkingBudget | None = None,
        *,
        name: str = "thinking",
        slots: int = 128,
        max_length: int | None = None,
        keep: Kept | None = None,
    ):
        self.quiet = quiet
        self.budget = budget or ThinkingBudget()
        self.keep = keep
        room = answer_room(quiet, self.budget)
        fitting = max_length if room is None else min(room, max_length or room)
        super().__init__(quiet.plain, tokenizer, name=name, slots=slots, max_length=fitting)
        self._thoughts: dict[tuple[str, int], list[Thought | None]] = {}

    def score_many(self, pairs: Iterable[tuple[str | Sequence[int], str | Sequence[int]]]) -> list[list[float]]:
        """Return the log-probabilities of each (prompt, continuation), thinking before the continuation's tokens.

        Raises:
            SamplerError: a pair is longer than the positions that thoughts leave, or its prompt has no token.
        """
        return [list(scores.logps) for scores in self.token_scores(pairs)]

    def token_scores(self, pairs: Iterable[tuple[str | Sequence[int], str | Sequence[int]]]) -> list[TokenScores]:
        """Return log-probabilities as `score_many` does, with the mean and variance of log p at each token.

        Raises:
            SamplerError: as for `score_many`.
        """
        texts = self._checked_pairs(list(pairs))
        order = sorted(range(len(texts)), key=lambda place: -len(texts[place][0]) - len(texts[place][1]))
        whole = [[*texts[place][0], *texts[place][1]] for place in order]
        rows = score(self.quiet, whole, [len(texts[place][0]) for place in order], self.budget)
        by_place: dict[int, TokenScores] = {}
        for place, moments in zip(order, rows, strict=True):
            own, mean, variance = (tuple(column) for column in moments.T.tolist())
            by_place[place] = TokenScores(logps=own, means=mean, variances=variance)
        return [by_place[place] for place in range(len(texts))]

    def note(self, row: Row, thought: Thought | None) -> None:
        """Remember the thought before a row's newest token until the row is done."""
        if len(row.tokens) == 1:  # a key that was withdrawn may come again
            self._thoughts[row.request.key, row.sample] = []
        self._thoughts[row.request.key, row.sample].append(thought)

    def _engine(self, model: Any) -> Any:
        return _Reader(self.quiet)

    def _batcher(self, patience: int = 0) -> Batcher:
        return _ThinkingBatcher(self, patience)

    def _problem(self, request: Request, prompt: tuple[int, ...]) -> str | None:
        if request.beams > 1:
            return f"beams={request.beams} cannot be had with thoughts; sample, or leave out --think"
        reason = super()._problem(request, prompt)
        rows = self.budget.rows(self.quiet.settings.tokens)
        if reason and rows and self.max_length is not None and len(prompt) >= self.max_length:
            reason += f"; thoughts of {rows - 2} tokens take {rows - 1} of the positions: shorter ones leave more"
        return reason

    def _completion(self, row: Row) -> Completion:
        completion = super()._completion(row)
        thoughts = self._thoughts.pop((row.request.key, row.sample), [])
        if self.keep is not None and completion.token_ids is not None:
            pairs = zip(self._pieces(row.prompt, completion.token_ids), thoughts, strict=True)
            self.keep(row.request, completion, tuple(self._told(piece, thought) for piece, thought in pairs))
        return completion

    def _told(self, piece: str, thought: Thought | None) -> TokenThought:
        if thought is None:
            return TokenThought(token=piece, thought=None, weight=None, gain=None)
        return TokenThought(token=piece, thought=self._shown(thought.ids), weight=thought.weight, gain=thought.gain)

    def _pieces(self, prompt: Sequence[int], tokens: Sequence[int]) -> Iterator[str]:
        """Yield what each token adds to the text, spaces and end tokens included."""
        ids = [*prompt[-CONTEXT:], *tokens]
        for at in range(len(ids) - len(tokens), len(ids)):
            head = self._shown(ids[max(0, at - CONTEXT) : at])
            joint = self._shown(ids[max(0, at - CONTEXT) : at + 1])
            yield joint[len(head) :] if joint.startswith(head) else self._shown(ids[at : at + 1])

    def _shown(self, ids: Sequence[int]) -> str:
        return self.texts.tokenizer.decode(list(ids), clean_up_tokenization_spaces=False)


class _Reader:
    """What the batching needs of an engine: prompts in, a store of keys and values out."""

    def __init__(self, quiet: QuietModel):
        self.quiet = quiet
        self.config = quiet.plain.config.get_text_config()

    @property
    def device(self) -> torch.device:
        return self.quiet.device

    def prefill(self, prompts: Sequence[Sequence[int]], copies: Sequence[int], limit: int) -> TextStore:
        return read_prompts(self.quiet, prompts, copies)


class _ThinkingBatcher(Batcher):
    """Continuous batching over one store, a thought before every step of the rows that may think."""

    def __init__(self, sampler: ThinkingSampler, patience: int):
        super().__init__(sampler.engine, slots=sampler.slots, ended=sampler._ended, patience=patience)
        self.sampler = sampler

    def _admit(self, waiting: Any, free: int) -> None:
        super()._admit(waiting, free)
        while len(self._groups) > 1:
            self._merge()

    @torch.inference_mode()
    def _step(self, rows: Sequence[Row]) -> None:
        quiet, budget = self.sampler.quiet, self.sampler.budget
        if self._choice is None:
            self._choice = Choice.of([row.request for row in rows], quiet.device)
        store: Any = self._groups[0].cohort
        places = [len(row.tokens) for row in rows]
        predicted = predict(quiet, store, [row.feed for row in rows], places, budget, self._numbers(rows))
        draws = torch.tensor([row.draws[len(row.tokens)] for row in rows], dtype=torch.float64, device=quiet.device)
        ids, logps = self._choice.pick(predicted.logits_BV, draws)
        tokens = ids.tolist()
        gains = [0.0] * len(rows) if logps is None else logps.tolist()
        for row, token, logp in zip(rows, tokens, gains, strict=True):
            self._take(row, token, logp)
        if self.sampler.keep is not None:
            for row, token, thought in zip(rows, tokens, predicted.thoughts(quiet, tokens), strict=True):
                if token >= 0:
                    self.sampler.note(row, thought)

    def _numbers(self, rows: Sequence[Row]) -> torch.Tensor | None:
        quiet, budget = self.sampler.quiet, self.sampler.budget
        if not needs_numbers(quiet, budget):
            return None
        taught = quiet.settings.tokens
        return torch.tensor(
            [thought_numbers(budget, taught, row.request.seed, row.sample, len(row.tokens)) for row in rows]
        )

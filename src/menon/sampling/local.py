"""Sample from any Hugging Face causal language model with continuous batching of our own.

Up to `slots` samples are under way at a time; finished ones leave, and when enough places are free the next prompts
enter together. Samples of one prompt are prefilled once and copy its keys and values. What a sample draws depends on
its seed alone, and the same list of requests gives the same completions.
Left out: speculative decoding, quantised caches, several devices.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from menon.core.errors import SamplerError
from menon.core.progress import Progress
from menon.core.values import Completion, Request
from menon.sampling.cutting import cut_at_stop
from menon.sampling.local_batching import Batcher, Job, Row
from menon.sampling.local_beam import Beam, beam_search
from menon.sampling.local_engine import Engine
from menon.sampling.local_text import Texts
from menon.sampling.protocol import SILENT, failed
from menon.sampling.token_scores import TokenScores

PATIENCE = 8  # steps that a request of a stream waits for others to join the batch with


class LocalSampler:
    """Samples from `model` (a Hugging Face causal language model) with `tokenizer`; `name` goes into completions.

    Args:
        slots: samples under way at a time; memory for keys and values grows with it.
        max_length: longest prompt + continuation in tokens; the model's own bound by default.
        device: where to move the model; it stays where it is by default.
        share_prompts: prefill equal prompts, and equal beginnings of prompts, once.

    Raises:
        SamplerError: the model keeps recurrent state, is an encoder-decoder, or does not compute from a store of keys
            and values that is not its own.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        name: str = "local",
        slots: int = 128,
        max_length: int | None = None,
        device: str | torch.device | None = None,
        share_prompts: bool = True,
    ):
        if slots < 1:
            raise SamplerError(f"slots={slots!r}; allowed: 1 or more (128 suits small models)")
        self.name = name
        self.slots = slots
        self.share_prompts = share_prompts
        self.engine = self._engine(model if device is None else model.to(device))
        self.texts = Texts(tokenizer)
        self.ends = _end_ids(model, tokenizer)
        self.max_length = _shortest(max_length, _positions(self.engine.config))

    def sample(self, requests: Iterable[Request], *, progress: Progress = SILENT) -> Iterator[Completion]:
        """Yield `request.n` completions for each request, in order of completion."""
        requests = list(requests)
        meter = _Meter(progress, sum(max(request.n, 1) for request in requests))
        jobs, beams, refused = self._plan(requests)
        for request, reason in refused:
            for sample in range(max(request.n, 1)):
                yield failed(request, sample, reason, model=self.name)
                meter.finished(1)
        batcher = self._batcher()
        with self._memory_told():
            for row in batcher.run(jobs, meter.tokens):
                yield self._completion(row)
                meter.finished(1)
        for request, prompt in beams:
            yield from self._search(request, prompt)
            meter.finished(request.n)

    def sample_stream(
        self,
        incoming: Callable[[bool], Sequence[Request]],
        withdrawn: Callable[[], Collection[str]] = tuple,
    ) -> Iterator[Completion]:
        """Yield completions of requests that keep arriving; new ones join the running batch.

        Args:
            incoming: called before every step, returns the requests that arrived since; called with True, it waits for
                some, because nothing is under way, and the stream ends when there are none. Keys under way must differ.
            withdrawn: returns the keys of requests that are not wanted any more; their rows leave the batch.
        """
        batcher = self._batcher(PATIENCE)
        with self._memory_told():
            while (requests := incoming(not batcher.busy)) or batcher.busy:
                if requests:
                    jobs, beams, refused = self._plan(requests)
                    batcher.add(jobs)
                    for request, reason in refused:
                        yield from (failed(request, j, reason, model=self.name) for j in range(max(request.n, 1)))
                    for request, prompt in beams:
                        yield from self._search(request, prompt)
                if keys := withdrawn():
                    batcher.withdraw(keys)
                if batcher.busy:
                    yield from (self._completion(row) for row in batcher.advance(_uncounted))

    def _engine(self, model: Any) -> Any:
        return Engine(model, share=self.share_prompts)

    def _batcher(self, patience: int = 0) -> Batcher:
        return Batcher(self.engine, slots=self.slots, ended=self._ended, patience=patience)

    @contextmanager
    def _memory_told(self) -> Iterator[None]:
        """Say what to do when the device has no memory left."""
        try:
            yield
        except torch.OutOfMemoryError as error:
            raise SamplerError(
                f"out of memory with slots={self.slots}; lower slots, max_tokens or max_length, or take a smaller type"
            ) from error

    def score(self, prompt: str | Sequence[int], continuation: str | Sequence[int]) -> list[float]:
        """Return the log-probability (nats) of each token of `continuation` after `prompt`.

        Text is tokenised apart: the prompt with the tokenizer's special tokens, the continuation without.
        """
        return self.score_many([(prompt, continuation)])[0]

    def score_many(self, pairs: Iterable[tuple[str | Sequence[int], str | Sequence[int]]]) -> list[list[float]]:
        """Return the log-probabilities of each (prompt, continuation), batched by length.

        Raises:
            SamplerError: a pair is longer than the model's positions, or its prompt has no token.
        """
        return [row.tolist() for row in self._scored(pairs, self.engine.score)]

    def token_scores(self, pairs: Iterable[tuple[str | Sequence[int], str | Sequence[int]]]) -> list[TokenScores]:
        """Return log-probabilities as `score_many` does, with the mean and variance of log p at each token.

        Raises:
            SamplerError: as for `score_many`.
        """
        scores = []
        for moments in self._scored(pairs, self.engine.score_with_moments):
            own, mean, variance = (tuple(column.tolist()) for column in moments.T)
            scores.append(TokenScores(logps=own, means=mean, variances=variance))
        return scores

    def _scored(
        self,
        pairs: Iterable[tuple[str | Sequence[int], str | Sequence[int]]],
        score: Callable[[Sequence[Sequence[int]]], Iterator[torch.Tensor]],
    ) -> list[torch.Tensor]:
        """Return for each pair the rows of `score` that belong to its continuation."""
        texts = self._checked_pairs(list(pairs))
        order = sorted(range(len(texts)), key=lambda place: -len(texts[place][0]) - len(texts[place][1]))
        rows = score([[*texts[place][0], *texts[place][1]] for place in order])
        by_place = {place: row[len(texts[place][0]) - 1 :] for place, row in zip(order, rows, strict=True)}
        return [by_place[place] for place in range(len(texts))]

    def _checked_pairs(
        self, pairs: Sequence[tuple[str | Sequence[int], str | Sequence[int]]]
    ) -> list[tuple[list[int], list[int]]]:
        """Return the ids of each pair, or raise `SamplerError` where one cannot be scored."""
        prompts = self._encoded([prompt for prompt, _ in pairs], special=True)
        texts = list(zip(prompts, self._encoded([text for _, text in pairs], special=False), strict=True))
        for place, (prompt, continuation) in enumerate(texts):
            if not prompt:
                raise SamplerError(f"pair {place} has an empty prompt; give at least one token, such as the first one")
            self._check_ids([*prompt, *continuation])
            if self.max_length is not None and len(prompt) + len(continuation) > self.max_length:
                raise SamplerError(
                    f"pair {place} has {len(prompt)} + {len(continuation)} tokens and the model takes "
                    f"{self.max_length}; shorten the prompt or the continuation"
                )
        return texts

    def _encoded(self, texts: Sequence[str | Sequence[int]], *, special: bool) -> list[list[int]]:
        """Return the ids of every text; equal texts are tokenised once, all together."""
        strings = list(dict.fromkeys(text for text in texts if isinstance(text, str)))
        tokenizer = self.texts.tokenizer
        rows = tokenizer(strings, add_special_tokens=special, verbose=False)["input_ids"] if strings else []
        ids = dict(zip(strings, rows, strict=True))
        return [ids[text] if isinstance(text, str) else list(text) for text in texts]

    def _plan(
        self, requests: Sequence[Request]
    ) -> tuple[list[Job], list[tuple[Request, tuple[int, ...]]], list[tuple[Request, str]]]:
        """Sort requests into prompts to sample from, beam searches, and those that cannot be done, with the reason.

        The longest prompts come first: neighbours are padded least, and memory is highest at the start.
        """
        jobs: dict[Any, Job] = {}
        beams: list[tuple[Request, tuple[int, ...]]] = []
        refused: list[tuple[Request, str]] = []
        for place, (request, prompt) in enumerate(zip(requests, self.texts.encode(requests), strict=True)):
            reason = prompt if isinstance(prompt, str) else self._problem(request, prompt)
            if reason:
                refused.append((request, reason))
                continue
            assert not isinstance(prompt, str)
            if request.beams > 1:
                beams.append((request, prompt))
                continue
            limit = self._limit(request, prompt)
            for sample in range(request.n):
                key = prompt if self.share_prompts else (place, sample)
                jobs.setdefault(key, Job(prompt, [])).samples.append((request, sample, limit))
        return sorted(jobs.values(), key=lambda job: -len(job.prompt)), beams, refused

    def _problem(self, request: Request, prompt: tuple[int, ...]) -> str | None:
        """Say why `request` cannot be sampled, or None."""
        if self.max_length is not None and len(prompt) >= self.max_length:
            return (
                f"the prompt has {len(prompt)} tokens and the model takes {self.max_length} with the continuation; "
                "shorten the prompt or take a model with more positions"
            )
        vocabulary = self.engine.config.vocab_size
        if not 0 <= min(prompt) <= max(prompt) < vocabulary:
            return f"token ids must lie in 0..{vocabulary - 1}, got {min(prompt)}..{max(prompt)}; check the tokenizer"
        for name, value, allowed, ok in (
            ("n", request.n, "1 or more", request.n >= 1),
            ("max_tokens", request.max_tokens, "1 or more", request.max_tokens >= 1),
            ("temperature", request.temperature, "0 or more", request.temperature >= 0),
            ("top_p", request.top_p, "above 0, at most 1", 0 < request.top_p <= 1),
            ("top_k", request.top_k, "0 (off) or more", request.top_k >= 0),
            ("beams", request.beams, "n or more", request.beams == 1 or request.beams >= request.n),
        ):
            if not ok:
                return f"{name}={value!r} is not possible; allowed: {allowed}"
        return None

    def _limit(self, request: Request, prompt: tuple[int, ...]) -> int:
        """Return how many tokens may be sampled: what was asked for, or what the positions leave."""
        return request.max_tokens if self.max_length is None else min(request.max_tokens, self.max_length - len(prompt))

    def _ended(self, request: Request, prompt: Sequence[int], tokens: Sequence[int]) -> bool:
        """Say whether the last token ends a sample, by itself or by completing a stop string."""
        return tokens[-1] in self.ends or bool(request.stop and self.texts.stopped(prompt, tokens, request.stop))

    def _completion(self, row: Row) -> Completion:
        seconds = time.perf_counter() - row.begun
        if row.finish == "error":
            error = (
                f"the model's logits were not finite at token {len(row.tokens) + 1}; "
                "load it in float32 or check its weights"
            )
            return failed(row.request, row.sample, error, model=self.name, seconds=seconds)
        return self._complete(row.request, row.sample, row.prompt, row.tokens, row.logps, row.finish == "stop", seconds)

    def _complete(
        self,
        request: Request,
        sample: int,
        prompt: tuple[int, ...],
        tokens: Sequence[int],
        logps: Sequence[float],
        stopped: bool,
        seconds: float,
    ) -> Completion:
        shown = tokens[:-1] if tokens[-1] in self.ends else tokens
        text, _ = cut_at_stop(self.texts.continuation(prompt, shown), request.stop)
        return Completion(
            key=request.key,
            sample=sample,
            text=text,
            finish="stop" if stopped else "length",
            prompt_ids=prompt,
            token_ids=tuple(tokens),
            logps=tuple(logps) if request.logprobs else None,
            prompt_tokens=len(prompt),
            completion_tokens=len(tokens),
            seconds=round(seconds, 6),
            model=self.name,
        )

    def _search(self, request: Request, prompt: tuple[int, ...]) -> Iterator[Completion]:
        begun = time.perf_counter()

        def ended(tokens: Sequence[int]) -> bool:
            return self._ended(request, prompt, tokens)

        limit = self._limit(request, prompt)
        beams = beam_search(self.engine, prompt, beams=request.beams, limit=limit, ended=ended)
        seconds = time.perf_counter() - begun
        for sample in range(request.n):
            if sample < len(beams):
                beam: Beam = beams[sample]
                yield self._complete(request, sample, prompt, beam.tokens, beam.logps, beam.ended, seconds)
            else:
                reason = f"beam search found {len(beams)} continuations and {request.n} were asked for; raise beams"
                yield failed(request, sample, reason, model=self.name, seconds=seconds)

    def _check_ids(self, ids: Sequence[int]) -> None:
        vocabulary = self.engine.config.vocab_size
        if not 0 <= min(ids) <= max(ids) < vocabulary:
            raise SamplerError(f"token ids must lie in 0..{vocabulary - 1}, got {min(ids)}..{max(ids)}")


class _Meter:
    """Reports tokens as they come, with the rate, the samples done and the time that the rest may take."""

    def __init__(self, progress: Progress, samples: int):
        self.progress, self.samples, self.done, self.count = progress, samples, 0, 0
        self.begun = time.perf_counter()
        progress.start("sampling", unit="tokens")

    def tokens(self, count: int) -> None:
        self.count += count
        spent = max(time.perf_counter() - self.begun, 1e-9)
        note = f"{self.done}/{self.samples} samples, {self.count / spent:.0f} tokens/s"
        if self.done:
            note += f", about {spent * (self.samples / self.done - 1):.0f} s left"
        self.progress.advance(count, note)

    def finished(self, count: int) -> None:
        self.done += count


def _uncounted(tokens: int) -> None:
    """Count nothing: whoever feeds a stream knows what it asked for."""


def _end_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """Return the ids that end a text, by the generation settings and by the tokenizer."""
    settings = getattr(model, "generation_config", None)
    ends = getattr(settings, "eos_token_id", None)
    ends = ends if isinstance(ends, list | tuple) else [ends]
    return frozenset(end for end in [*ends, tokenizer.eos_token_id] if end is not None)


def _positions(config: Any) -> int | None:
    """Return how many positions the model has; None when its configuration sets no bound."""
    for name in ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length"):
        value = getattr(config, name, None)
        if isinstance(value, int) and value > 0:
            return value
    return None


def _shortest(*lengths: int | None) -> int | None:
    return min((length for length in lengths if length is not None), default=None)

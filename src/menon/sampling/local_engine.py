"""Run a Hugging Face causal language model over cohorts: prefill prompts, take one step for every row, score text.

A model is tried out once before it is used: a few tokens through the cohorts must give the logits of the plain forward.
What fails with the cohort attention is tried cohort by cohort with ordinary masks; what fails both is refused.
Left out: recurrent state, encoders, speculative steps.
"""

import inspect
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from menon.core.errors import SamplerError
from menon.sampling.kv_store import BagStore, Cohort, LayerStore
from menon.sampling.local_attention import NAME, Padded, Prefill, Step

logger = logging.getLogger(__name__)

SUPPORTED = (
    "decoder-only transformers whose layers are full, sliding or chunked attention with a key/value cache: Llama, "
    "Mistral, Qwen2, Qwen3, Gemma, GPT-2, GPT-NeoX, Phi, OLMo, Cohere, OPT, Bloom, Falcon and the like"
)
LAYER_TYPES = {"full_attention", "sliding_attention", "chunked_attention"}
TRIAL_FAILURES = (TypeError, ValueError, RuntimeError, AttributeError, LookupError)
HEAD_FROM = 16  # prompts that begin with this many equal tokens have them prefilled once
LOGITS_AT_ONCE = 2**25  # elements of a block of logits when scoring


class Engine:
    """One model, its attention windows, and the way its forward is called.

    `joint` says that all cohorts go through one forward; otherwise each has its own. `share` prefills what all prompts
    of a cohort begin with once.
    """

    def __init__(self, model: Any, *, prefill_tokens: int | None = None, share: bool = True):
        self.model = model
        self.share = share
        self.config = model.config.get_text_config()
        _refuse(model, self.config)
        accepted = inspect.signature(model.forward).parameters
        self._positions = "position_ids" in accepted
        self._keep = "logits_to_keep" in accepted
        self.windows = layer_windows(self.config)
        self.device = next(model.parameters()).device
        self.prefill_tokens = prefill_tokens or (1024 if self.device.type == "cpu" else 16384)
        self.joint = False
        self._try_out()

    def prefill(self, prompts: Sequence[Sequence[int]], copies: Sequence[int], limit: int) -> Cohort:
        """Open a cohort of `copies[p]` rows for each prompt; all but a prompt's last token are in the store then.

        `limit` bounds the columns beyond the longest prompt that the rows will ever need. Prompts should come sorted
        by length, since those that go through the model together are padded to their longest.
        """
        lengths = [len(prompt) - 1 for prompt in prompts]
        column = max(lengths)
        starts = [column - length for length, count in zip(lengths, copies, strict=True) for _ in range(count)]
        cohort = Cohort(starts, column, column + limit, self._store())
        head = self._head(prompts)
        done = 0 if head is None else head.column
        if head is not None:
            cohort.plant(head)
        rest = [length - done for length in lengths]
        first_row = 0
        for first, last in self._chunks(rest):
            rows = []
            for count in copies[first:last]:
                rows.append(range(first_row, first_row + count))
                first_row += count
            if max(rest[first:last]) > 0:
                self._prefill_chunk(cohort, [prompt[done:-1] for prompt in prompts[first:last]], rows, head)
        return cohort

    def _head(self, prompts: Sequence[Sequence[int]]) -> Cohort | None:
        """Prefill what all prompts have in common at their beginning, such as worked examples, if that is worth it."""
        if not self.share or len(prompts) < 2:
            return None
        ordered = sorted(map(tuple, prompts))
        least, most = ordered[0], ordered[-1]  # all others lie between these, so they share what these two share
        common = next((i for i, (a, b) in enumerate(zip(least, most, strict=False)) if a != b), len(least))
        common = min(common, *(len(prompt) - 1 for prompt in prompts))
        if common < HEAD_FROM:
            return None
        head = Cohort([0], common, common)
        self._prefill_chunk(head, [least[:common]], [range(1)], None)
        return head

    def step(self, cohorts: Sequence[Cohort], tokens: Sequence[int]) -> Tensor:
        """Feed one token to every row and return the logits [B, V] of the next, rows stacked in cohort order."""
        for cohort in cohorts:
            cohort.room()
        ids = torch.tensor(tokens, device=self.device)[:, None]
        with torch.inference_mode():
            if self.joint:
                logits = self._step_jointly(cohorts, ids)
            else:
                logits = self._step_apart(cohorts, ids)
        for cohort in cohorts:
            cohort.advance()
        return logits

    def score(self, sequences: Sequence[Sequence[int]]) -> Iterator[Tensor]:
        """Yield for each sequence the log-probability [T - 1] of every token after its first (float32 or float64).

        The sequences come longest first.
        """
        for logps, ids, lengths in self._scored_blocks(sequences, copies=1):
            own = logps.gather(-1, ids[..., None])[..., 0].cpu()
            for row, length in zip(own, lengths, strict=True):
                yield row[: length - 1]

    def score_with_moments(self, sequences: Sequence[Sequence[int]]) -> Iterator[Tensor]:
        """Yield for each sequence [T - 1, 3]: log p of every token after its first, and the mean and variance of log p.

        Mean and variance are those under the next-token distribution itself. The sequences come longest first.
        """
        for logps, ids, lengths in self._scored_blocks(sequences, copies=3):
            own = logps.gather(-1, ids[..., None])[..., 0]
            chances = logps.exp()
            finite = logps.masked_fill(chances == 0, 0.0)  # a token that cannot come adds nothing, not 0 times infinity
            mean = (chances * finite).sum(-1)
            variance = (chances * (finite - mean[..., None]).square()).sum(-1)
            moments = torch.stack((own, mean, variance), -1).cpu()
            for row, length in zip(moments, lengths, strict=True):
                yield row[: length - 1]

    def _scored_blocks(
        self, sequences: Sequence[Sequence[int]], *, copies: int
    ) -> Iterator[tuple[Tensor, Tensor, list[int]]]:
        """Yield blocks of log-probabilities [B, T - 1, V], the ids they speak of, and lengths.

        `copies` is how many tensors of that size the caller will hold.
        """
        first = 0
        while first < len(sequences):
            at_once = max(1, LOGITS_AT_ONCE // (copies * len(sequences[first]) * self.config.vocab_size))
            block = sequences[first : first + at_once]
            first += len(block)
            lengths = [len(sequence) for sequence in block]
            ids, mask = self._padded(block, max(lengths))
            with torch.inference_mode(), self._evaluating():
                logits = self.model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1]
                logps = (logits if logits.dtype == torch.float64 else logits.float()).log_softmax(-1)
            yield logps, ids[:, 1:], lengths

    def _store(self) -> type[LayerStore]:
        bags = self.joint and self.device.type == "cpu" and self.model.dtype == torch.float32
        return BagStore if bags else LayerStore

    def _chunks(self, lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Cut prompts into runs whose padded size stays within `prefill_tokens` (one prompt at the least)."""
        first = longest = 0
        for place, length in enumerate(lengths):
            longest = max(longest, length)
            if place > first and longest * (place + 1 - first) > self.prefill_tokens:
                yield first, place
                first, longest = place, length
        yield first, len(lengths)

    def _prefill_chunk(
        self, cohort: Cohort, texts: Sequence[Sequence[int]], rows: Sequence[range], head: Cohort | None
    ) -> None:
        """Put `texts` into the store at the end of their rows, behind what `head` holds."""
        lengths = [len(text) for text in texts]
        ids, mask = self._padded(texts, max(lengths))
        cache = Prefill(cohort, rows, lengths, self.windows, head)
        options: dict[str, Any] = {"logits_to_keep": 1} if self._keep else {}
        if self._positions:
            places = torch.arange(cache.before, cache.before + max(lengths), device=self.device)
            options["position_ids"] = places.expand(len(texts), -1)
        if self.joint:
            mask = None
        elif cache.before:
            mask = torch.cat((mask.new_ones(len(texts), cache.before), mask), 1)
        with torch.inference_mode(), self._attention(), self._evaluating():
            self.model(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **options)

    def _step_jointly(self, cohorts: Sequence[Cohort], ids: Tensor) -> Tensor:
        places = [place for cohort in cohorts for place in cohort.positions()]
        options = {"position_ids": torch.tensor(places, device=self.device)[:, None]} if self._positions else {}
        cache = Step(cohorts, self.windows)
        with self._attention(), self._evaluating():
            return self.model(input_ids=ids, past_key_values=cache, use_cache=True, **options).logits[:, -1]

    def _step_apart(self, cohorts: Sequence[Cohort], ids: Tensor) -> Tensor:
        parts, first = [], 0
        for cohort in cohorts:
            places = torch.tensor(cohort.positions(), device=self.device)[:, None]
            columns = torch.arange(cohort.low, cohort.column + 1, device=self.device)
            mask = (columns >= cohort.column - places).long()
            options = {"position_ids": places} if self._positions else {}
            with self._evaluating():
                logits = self.model(
                    input_ids=ids[first : first + len(cohort)],
                    attention_mask=mask,
                    past_key_values=Padded([cohort], self.windows),
                    use_cache=True,
                    **options,
                ).logits[:, -1]
            parts.append(logits)
            first += len(cohort)
        return torch.cat(parts)

    def _padded(self, rows: Sequence[Sequence[int]], width: int) -> tuple[Tensor, Tensor]:
        """Return right-padded ids and their mask, both [B, width]; the padding id is 0, which no real token sees."""
        ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows])
        mask = torch.arange(width) < torch.tensor([len(row) for row in rows])[:, None]
        return ids.to(self.device), mask.long().to(self.device)

    @contextmanager
    def _attention(self) -> Iterator[None]:
        """Switch the model to the cohort attention for one forward, so that training in between keeps its own."""
        if not self.joint:
            yield
            return
        before = self.config._attn_implementation
        self.config._attn_implementation = NAME
        try:
            yield
        finally:
            self.config._attn_implementation = before

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        """Keep dropout out of one forward, whatever mode the model is in."""
        training = self.model.training
        if training:
            self.model.eval()
        try:
            yield
        finally:
            if training:
                self.model.train()

    def _try_out(self) -> None:
        modes = [True, False] if getattr(self.model, "_supports_attention_backend", False) else [False]
        if any(window == "chunked" for window in self.windows):
            modes = [False]
        reasons = []
        for self.joint in modes:
            try:
                error = self._trial_error()
            except TRIAL_FAILURES as failure:
                reasons.append(f"{type(failure).__name__}: {failure}")
                continue
            if error <= _tolerance(self.model.dtype):
                if not self.joint:
                    logger.info("%s runs cohort by cohort (%s)", type(self.model).__name__, "; ".join(reasons))
                return
            reasons.append(f"its logits are off by {error:.2g} of their spread")
        raise SamplerError(
            f"{type(self.model).__name__} cannot be run on a key/value store from outside ({'; '.join(reasons)}). "
            f"Supported: {SUPPORTED}. Serve other models over HTTP (http://host/v1#model) and sample from the endpoint."
        )

    def _trial_error(self) -> float:
        """Return the largest deviation from the plain forward, relative to the spread of its logits."""
        vocabulary = self.config.vocab_size
        texts = [[(7 * i + 3) % vocabulary for i in range(6)], [(5 * i + 1) % vocabulary for i in range(4)]]
        fed = [2, 1]  # the rows leave the prefill with 4 and 3 tokens and take 2 steps
        prompts = [text[: len(text) - count] for text, count in zip(texts, fed, strict=True)]
        cohorts = [self.prefill(prompts, [1, 2], 4), self.prefill(prompts[:1], [1], 4)]
        first = self.step(cohorts, [prompts[0][-1], prompts[1][-1], prompts[1][-1], prompts[0][-1]])
        second = self.step(cohorts, [texts[0][4], texts[1][3], texts[1][3], texts[0][4]])
        worst = 0.0
        with torch.inference_mode(), self._evaluating():
            for logits, rows, length in ((first, (0, 3), 4), (second, (0, 3), 5)):
                worst = max(worst, self._deviation(logits, rows, texts[0][:length]))
            for logits, length in ((first, 3), (second, 4)):
                worst = max(worst, self._deviation(logits, (1, 2), texts[1][:length]))
        return worst

    def _deviation(self, logits: Tensor, rows: tuple[int, ...], text: Sequence[int]) -> float:
        ids = torch.tensor([list(text)], device=self.device)
        expected = self.model(input_ids=ids, use_cache=False).logits[0, -1].float()
        spread = (expected - expected.mean()).norm().clamp(min=1e-6)
        return max(float((logits[row].float() - expected).norm() / spread) for row in rows)


def layer_windows(config: Any) -> list[Any]:
    """Return per layer how many tokens back it sees: a number, None for all, "chunked" for blocks."""
    types = getattr(config, "layer_types", None)
    window = getattr(config, "sliding_window", None)
    chunk = getattr(config, "attention_chunk_size", None)
    if types is None:
        kind = "sliding_attention" if window is not None else "chunked_attention" if chunk else "full_attention"
        types = [kind] * config.num_hidden_layers
    table = {"full_attention": None, "sliding_attention": window, "chunked_attention": "chunked"}
    return [table[kind] for kind in types]


def _tolerance(dtype: torch.dtype) -> float:
    return {torch.float64: 1e-6, torch.float32: 1e-3}.get(dtype, 0.1)


def _refuse(model: Any, config: Any) -> None:
    """Raise `SamplerError` for a model that keeps more than keys and values, or is no decoder."""
    name = type(model).__name__
    problem = None
    types = set(getattr(config, "layer_types", None) or ())
    if getattr(config, "is_encoder_decoder", False):
        problem = "is an encoder-decoder"
    elif getattr(model, "_is_stateful", False):
        problem = "keeps a recurrent state"
    elif types - LAYER_TYPES:
        problem = f"has layers of type {', '.join(sorted(types - LAYER_TYPES))}"
    elif not getattr(config, "is_causal", True):
        problem = "attends in both directions"
    elif "past_key_values" not in inspect.signature(model.forward).parameters:
        problem = "takes no past_key_values"
    if problem:
        raise SamplerError(
            f"{name} {problem} and cannot be sampled locally. Supported: {SUPPORTED}. "
            "Serve other models over HTTP (http://host/v1#model) and sample from the endpoint."
        )

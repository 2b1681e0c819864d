"""Documents and queries as token ids, cut into windows that the model takes.

A document with a prompt is tokenised in two parts, as training text with a prompt is everywhere here; the first part
gets the tokenizer's own start token, the last one the end token. A document longer than the context becomes several
windows in which every token but the first of the document is predicted exactly once: a window begins with `overlap`
tokens that are context only. With `overlap` 1 this is how training text is cut into blocks of the context. Left out:
packing several documents into one sequence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from menon.core.errors import ConfigError, DataError
from menon.core.seeds import canonical_json, content_id
from menon.tracing.values import Query, TokenSequence, TracedDocument

Long = Literal["split", "truncate", "skip"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The sequences of one document: none when it is too short to predict anything, or was skipped for its length."""

    sequences: tuple[TokenSequence, ...] = ()
    long: bool = False
    skipped: bool = False

    @property
    def tokens(self) -> int:
        """Tokens that a pass over the sequences reads, overlaps included."""
        return sum(len(sequence.ids) for sequence in self.sequences)


class Tokeniser:
    """A tokenizer with everything that decides which ids a document becomes."""

    def __init__(
        self,
        tokenizer: Any,
        *,
        context: int | None = None,
        vocabulary: int | None = None,
        append_eos: bool = True,
        long: Long = "split",
        overlap: int = 1,
        prompt_weight: float = 1.0,
    ):
        """Take `tokenizer` for a model of `context` positions (None: no bound) and `vocabulary` embeddings.

        Args:
            append_eos: close a document with the end token, where there is one and the text does not end with it.
            long: what becomes of a document longer than the context.
            overlap: tokens of context that a window repeats from the one before.
            prompt_weight: weight of the tokens of a document's prompt in its loss.
        Raises:
            ConfigError: an overlap that leaves no room, an unknown way with long documents, a negative weight.
        """
        if context is not None and context < 2:
            raise ConfigError(f"context is {context!r}; allowed: 2 tokens or more, for one to be predicted")
        if overlap < 1 or (context is not None and overlap >= context):
            most: int | str = "any number" if context is None else context - 1
            raise ConfigError(f"overlap is {overlap!r}; allowed: 1 to {most}")
        if long not in ("split", "truncate", "skip"):
            raise ConfigError(f"long documents: {long!r}; allowed: split, truncate, skip")
        if not prompt_weight >= 0:
            raise ConfigError(f"prompt_weight is {prompt_weight!r}; allowed: 0 or more")
        self.tokenizer, self.context, self.vocabulary = tokenizer, context, vocabulary
        self.long: Long = long
        self.overlap, self.prompt_weight = overlap, prompt_weight
        self.eos: int | None = tokenizer.eos_token_id if append_eos else None
        self._lead = _lead(tokenizer)

    @property
    def hash(self) -> str:
        """A hash of the tokenizer and of the options that change ids, windows or weights."""
        options = [self.context, self.eos, self.long, self.overlap, self.prompt_weight]
        return content_id("tokeniser", tokenizer_hash(self.tokenizer), options)

    def cut(self, documents: Sequence[TracedDocument], first: int = 0) -> list[Cut]:
        """Return the sequences of documents, the first of which stands at place `first` of its corpus.

        Raises:
            ConfigError: a token that the model has no embedding for; the message names it and the document.
            DataError: a document that does not begin with its own prompt.
        """
        for place, document in enumerate(documents, start=first):
            if not document.text.startswith(document.prompt):
                raise DataError(f"{_named(document, place)} does not begin with its prompt {document.prompt[:60]!r}")
        prompts = [document.prompt for document in documents]
        rests = [document.text[len(document.prompt) :] for document in documents]
        ids = self._ids([*prompts, *rests])
        cuts = []
        for i, document in enumerate(documents):
            head = self._led(document.text, ids[i]) if document.prompt else ()
            rest = ids[len(documents) + i]
            tail = self._closed(document.text, rest if head else self._led(document.text, rest))
            self._check((*head, *tail), document, first + i)
            cuts.append(self.windows((*head, *tail), document=first + i, prompt=len(head)))
        return cuts

    def windows(self, ids: tuple[int, ...], *, document: int, prompt: int = 0) -> Cut:
        """Cut the ids of one document, of which the first `prompt` are its prompt."""
        context = self.context or max(2, len(ids))
        long = len(ids) > context
        if long and self.long == "skip":
            return Cut(long=True, skipped=True)
        found = [_window(ids, document, 0, context, prompt, self.prompt_weight)]
        end = context
        while self.long == "split" and end < len(ids):
            found.append(self._next(ids, document, end, prompt, context))
            end = found[-1].start + context
        return Cut(sequences=tuple(sequence for sequence in found if _learns(sequence)), long=long)

    def query(self, query: Query) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the ids of prompt and completion; those that the query carries are taken as they are.

        Raises:
            ConfigError: nothing to explain, ids that the model does not have, or more tokens than it takes.
        """
        if query.completion_ids is None and not query.completion:
            raise ConfigError(f"query {query.id} has no completion to explain; let the model write one, or give it")
        text, rest = self._ids([query.prompt, query.completion])
        prompt = query.prompt_ids if query.prompt_ids is not None else self._led(query.prompt, text)
        completion = query.completion_ids if query.completion_ids is not None else rest
        self._check((*prompt, *completion), TracedDocument(id=query.id, text="", origin=f"query {query.id}"), 0)
        if len(prompt) + len(completion) < 2 or not completion:
            raise ConfigError(f"query {query.id} has {len(prompt)} + {len(completion)} tokens; it needs 1 + 1")
        if self.context is not None and len(prompt) + len(completion) > self.context:
            raise ConfigError(
                f"query {query.id} has {len(prompt)} + {len(completion)} tokens and the model takes {self.context}; "
                "shorten its prompt (fewer demonstrations) or its completion"
            )
        return tuple(prompt), tuple(completion)

    def _ids(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        wanted = [text for text in texts if text]
        found = iter(self.tokenizer(wanted, add_special_tokens=False, verbose=False).input_ids if wanted else ())
        return [tuple(next(found)) if text else () for text in texts]

    def _led(self, text: str, ids: tuple[int, ...]) -> tuple[int, ...]:
        """Put the start tokens in front, unless the text (of a chat template, say) has them already."""
        return ids if ids[: len(self._lead)] == self._lead or not text else (*self._lead, *ids)

    def _closed(self, text: str, ids: tuple[int, ...]) -> tuple[int, ...]:
        end = self.tokenizer.eos_token
        return ids if self.eos is None or not text or text.rstrip().endswith(end) else (*ids, self.eos)

    def _check(self, ids: Sequence[int], document: TracedDocument, place: int) -> None:
        if self.vocabulary is not None and ids and max(ids) >= self.vocabulary:
            token = self.tokenizer.convert_ids_to_tokens(max(ids))
            raise ConfigError(
                f"{_named(document, place)} has token {token!r} (id {max(ids)}), and the model has {self.vocabulary} "
                "embeddings: the tokenizer is not the model's; give the one that it was trained with"
            )

    def _next(self, ids: tuple[int, ...], document: int, end: int, prompt: int, context: int) -> TokenSequence:
        """Return the window that predicts from token `end` on.

        A sequence has two weights only: inside a prompt of another weight than 0 and 1 the overlap, whose weight is 0,
        shrinks to the one token that a sequence never predicts.
        """
        weight = self.prompt_weight
        if end < prompt and weight not in (0.0, 1.0):
            return _window(ids, document, end - 1, context, prompt, weight)
        start = end - self.overlap
        return _window(ids, document, start, context, prompt if end < prompt and not weight else end, 0.0)


def _window(ids: tuple[int, ...], document: int, start: int, context: int, prompt: int, weight: float) -> TokenSequence:
    """Return the window at `start`; `prompt` and its weight are those of the document up to a place in it."""
    part = ids[start : start + context]
    return TokenSequence(
        document=document, ids=part, prompt=min(max(prompt - start, 0), len(part)), prompt_weight=weight, start=start
    )


def _learns(sequence: TokenSequence) -> bool:
    """Say whether a sequence predicts a token that counts."""
    first = 1 if sequence.prompt_weight else max(1, sequence.prompt)
    return first < len(sequence.ids)


def _lead(tokenizer: Any) -> tuple[int, ...]:
    """Return the tokens that the tokenizer puts in front of every text."""
    plain = tuple(tokenizer("a", add_special_tokens=False).input_ids)
    whole = tuple(tokenizer("a").input_ids)
    for start in range(len(whole) - len(plain) + 1):
        if whole[start : start + len(plain)] == plain:
            return whole[:start]
    return ()


def _named(document: TracedDocument, place: int) -> str:
    return document.origin or f"document {place} ({document.id})"


def tokenizer_hash(tokenizer: Any) -> str:
    """Return a hash of everything that decides which ids a text becomes."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    text = backend.to_str() if backend is not None else canonical_json(tokenizer.get_vocab())
    specials = [tokenizer.bos_token_id, tokenizer.eos_token_id, list(_lead(tokenizer))]
    return sha256(f"{type(tokenizer).__name__}{text}{specials}".encode("utf-8", "surrogatepass")).hexdigest()[:20]


def check_tokenizer(tokenizer: Any, vocabulary: int, context: int | None = None) -> tuple[str, ...]:
    """Compare a tokenizer with a model of `vocabulary` embeddings and return what looks odd, in sentences.

    Raises:
        ConfigError: the tokenizer has ordinary tokens without an embedding, or the end or start token has none.
    """
    added = set(tokenizer.get_added_vocab())
    beyond = sorted((i, token) for token, i in tokenizer.get_vocab().items() if i >= vocabulary)
    ordinary = [(i, token) for i, token in beyond if token not in added]
    used = [i for i in (tokenizer.bos_token_id, tokenizer.eos_token_id) if i is not None and i >= vocabulary]
    if ordinary or used:
        i, token = ordinary[0] if ordinary else (used[0], tokenizer.convert_ids_to_tokens(used[0]))
        raise ConfigError(
            f"the tokenizer does not match the model: token {token!r} has id {i}, and the model has {vocabulary} "
            f"embeddings ({len(beyond)} tokens have none); give the tokenizer that the model was trained with"
        )
    warnings = []
    if beyond:
        names = ", ".join(repr(token) for _, token in beyond[:5])
        warnings.append(
            f"{len(beyond)} added tokens of the tokenizer have no embedding ({names}); a text with one is refused"
        )
    if len(tokenizer) < 0.9 * vocabulary and vocabulary - len(tokenizer) > 256:
        warnings.append(
            f"the tokenizer has {len(tokenizer)} tokens and the model {vocabulary} embeddings; is it the model's own?"
        )
    limit = tokenizer.model_max_length
    if context is not None and limit < context:
        warnings.append(f"the tokenizer is made for {limit} tokens and the model takes {context}; {context} is used")
    return tuple(warnings)

"""Rows of tokens for Quiet-STaR: texts cut into windows, in an order that is a pure function of the step.

`concatenate` joins the texts by the end token and cuts the stream; `none` keeps one text per row, cut at the length.
Each text is followed by the end token, where the tokenizer has one, and begins as the tokenizer begins a text. The last
window of the stream is left out when it is too short to think in. Ids are held as 4 bytes each.
Source: Quiet-STaR (arXiv:2403.09629, section 5: OpenWebMath; rows of 256 tokens as in the authors' code).
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from jinja2 import TemplateError
from torch import Tensor

from menon.core.errors import ConfigError, DataError
from menon.core.progress import Progress, Silent
from menon.core.seeds import rng_for
from menon.teaching.quiet.data import Documents
from menon.teaching.quiet.document import Document

Packing = Literal["concatenate", "none"]
Learn = Literal["all", "answers"]

TEXTS, CHARACTERS = 64, 1 << 20  # at most so many are given to the tokenizer at once
ORDERS = 2  # epochs whose order is kept


@dataclass(frozen=True, slots=True)
class Window:
    """One row: token ids, and for each of them 1 where its prediction is learnt (none: everywhere)."""

    ids: tuple[int, ...]
    weights: tuple[int, ...] | None = None


@dataclass(slots=True, kw_only=True)
class Windows:
    """Rows to learn from, `rows` of them per batch; `names` seed their order.

    `documents` counts the texts that are in them, `tokens` their tokens, `left_out` the texts or windows that are not,
    `cut` the texts that were longer than a row. `notes` says all this of what was left out or repaired.
    """

    rows: int = 8
    names: tuple[str | int, ...] = ()
    documents: int = 0
    tokens: int = 0
    left_out: int = 0
    cut: int = 0
    notes: tuple[str, ...] = ()
    _ids: array = field(default_factory=lambda: array("i"), repr=False)
    _learnt: bytearray | None = field(default=None, repr=False)
    _spans: list[tuple[int, int]] = field(default_factory=list, repr=False)
    _orders: dict[int, array] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._spans)

    def __getitem__(self, index: int) -> Window:
        """Return row `index` in the order of the data."""
        start, stop = self._spans[index]
        weights = None if self._learnt is None else tuple(self._learnt[start:stop])
        return Window(tuple(self._ids[start:stop]), weights)

    def __iter__(self) -> Iterator[Window]:
        """Yield all rows once, in the order of the data."""
        return (self[index] for index in range(len(self)))

    def batch(self, step: int) -> list[Window]:
        """Return the rows of `step`, counted from 0; every epoch has each row once, in an order of its own.

        Batches are always full: one may end an epoch and begin the next.
        """
        places = (divmod(index, len(self)) for index in range(step * self.rows, (step + 1) * self.rows))
        return [self[self._order(epoch)[place]] for epoch, place in places]

    def _order(self, epoch: int) -> array:
        if epoch not in self._orders:
            order = list(range(len(self)))
            rng_for("quiet windows", *self.names, epoch).shuffle(order)
            while len(self._orders) >= ORDERS:
                self._orders.pop(next(iter(self._orders)))
            self._orders[epoch] = array("q", order)
        return self._orders[epoch]


def make_windows(
    documents: Documents,
    tokenizer: Any,
    *,
    shortest: int,
    length: int = 256,
    packing: Packing = "concatenate",
    learn: Learn = "all",
    rows: int = 8,
    names: Sequence[str | int] = (),
    progress: Progress | None = None,
) -> Windows:
    """Read and tokenise all of `documents` and cut them into rows of at most `length` tokens.

    Args:
        shortest: the fewest tokens of a row in which a thought can be judged, thoughts.talk + 2.
        learn: "answers" gives weight 1 to the tokens of answers (and the end token behind them) and 0 to the others.
        progress: is told of the texts read and, line by line, of what was left out.
    Raises:
        ConfigError: a length, packing or choice that cannot be used with these texts or this tokenizer.
        DataError: see `Documents`, or no row is left.
    """
    progress = progress or Silent()
    _check(documents, tokenizer, length, shortest, packing, learn, rows)
    windows = Windows(rows=rows, names=tuple(names), _learnt=bytearray() if learn == "answers" else None)
    longest = unknown = read_tokens = 0
    unk = tokenizer.unk_token_id
    if unk is None or unk == tokenizer.eos_token_id:  # one token for both, as in GPT-2
        unk = -1
    progress.start("tokenise texts", total=documents.expected, unit="texts")
    for ids, learnt in _encoded(documents, tokenizer, learn):
        unknown += ids.count(unk)
        read_tokens += len(ids)
        longest = max(longest, len(ids))
        if packing == "none" and len(ids) < shortest:
            windows.left_out += 1
        else:
            windows.documents += 1
            _add(windows, ids, learnt, length if packing == "none" else None)
        progress.advance(1, f"{read_tokens:,} tokens")
    short = windows.left_out
    _nothing_read(documents)
    if packing == "concatenate":
        windows._spans = _cuts(len(windows._ids), length, shortest)
        longest = len(windows._ids)
    if not windows._spans:
        raise DataError(_too_short(documents, longest, shortest, packing))
    unanswered = _drop_unanswered(windows)
    windows.tokens = sum(stop - start for start, stop in windows._spans)
    windows.notes = (
        *documents.notes(),
        *_notes(documents, windows, short, unanswered, unknown / max(1, read_tokens), shortest, length),
    )
    if not windows._spans:
        raise DataError(f"{documents.data!r} has no answer within {length} tokens; raise the length or learn 'all'")
    for note in windows.notes:
        progress.say(note)
    return windows


def collate_windows(rows: Sequence[Window], pad: int) -> tuple[Tensor, Tensor]:
    """Stack rows, padded on the right: tokens_BL and lengths_B, both int64."""
    lengths = [len(row.ids) for row in rows]
    tokens_BL = torch.full((len(rows), max(lengths)), pad, dtype=torch.int64)
    for tokens_L, row in zip(tokens_BL, rows, strict=True):
        tokens_L[: len(row.ids)] = torch.tensor(row.ids)
    return tokens_BL, torch.tensor(lengths)


def collate_weights(rows: Sequence[Window]) -> Tensor:
    """Stack the weights of rows as weights_BL (float32); that of a token is for its own prediction, padding has 0."""
    weights_BL = torch.zeros(len(rows), max(len(row.ids) for row in rows))
    for weights_L, row in zip(weights_BL, rows, strict=True):
        weights_L[: len(row.ids)] = 1.0 if row.weights is None else torch.tensor(row.weights, dtype=torch.float32)
    return weights_BL


def _check(
    documents: Documents, tokenizer: Any, length: int, shortest: int, packing: str, learn: str, rows: int
) -> None:
    if packing not in ("concatenate", "none"):
        raise ConfigError(f"packing is {packing!r}; allowed: concatenate, none")
    if learn not in ("all", "answers"):
        raise ConfigError(f"learn is {learn!r}; allowed: all, answers")
    if rows < 1:
        raise ConfigError(f"rows per batch are {rows}; allowed: 1 or more")
    if length < shortest:
        raise ConfigError(
            f"rows of {length} tokens are too short to think in: a thought is judged by the {shortest - 2} true tokens "
            f"behind it; raise the length to {shortest} or more, or lower --set thoughts.talk"
        )
    if learn == "answers" and not documents.answered:
        raise ConfigError(
            f"learn = 'answers' needs questions with answers or chats, and {documents.data!r} has plain texts (layout "
            f"{documents.layout}); set learn = 'all', or name the columns: --map question=COLUMN --map answer=COLUMN"
        )
    if packing == "concatenate" and tokenizer.eos_token_id is None:
        raise ConfigError(
            "packing = 'concatenate' joins texts by the end token, and this tokenizer has none; set "
            "tokenizer.eos_token and save the tokenizer again, or use packing = 'none'"
        )


def _encoded(
    documents: Iterable[Document], tokenizer: Any, learn: Learn
) -> Iterator[tuple[list[int], bytearray | None]]:
    """Yield the ids of each text with the end token, and 1 for those that are learnt (none: all)."""
    end = tokenizer.eos_token_id
    for some in _batches(documents):
        templated = bool(some[0].turns) and bool(getattr(tokenizer, "chat_template", None))
        shown = [_rendered(tokenizer, d, learn) if templated else (d.text, d.answers) for d in some]
        encoded = _ids(tokenizer, [text for text, _ in shown], special=not templated)
        for (text, answers), ids in zip(shown, encoded, strict=True):
            learnt = _learnt(tokenizer, text, answers, ids, not templated) if learn == "answers" else None
            if end is not None and ids[-1:] != [end]:
                ids.append(end)
                if learnt is not None:
                    learnt.append(bool(answers) and answers[-1][1] == len(text))
            yield ids, learnt


def _batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    some: list[Document] = []
    characters = 0
    for document in documents:
        some.append(document)
        characters += len(document.text)
        if len(some) == TEXTS or characters >= CHARACTERS:
            yield some
            some, characters = [], 0
    if some:
        yield some


def _ids(tokenizer: Any, texts: list[str], *, special: bool) -> list[list[int]]:
    encoded = tokenizer(texts, add_special_tokens=special, return_attention_mask=False, verbose=False)
    return [list(ids) for ids in encoded["input_ids"]]


def _rendered(tokenizer: Any, document: Document, learn: Learn) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Return a chat as the tokenizer's template writes it, and where its answers are.

    An answer that the template writes otherwise once the chat has gone on (as with thinking that is cut out) is not
    marked.
    """
    turns = [{"role": role, "content": said} for role, said in document.turns]

    def written(count: int, asks: bool = False) -> str:
        return tokenizer.apply_chat_template(turns[:count], tokenize=False, add_generation_prompt=asks)

    try:
        whole = written(len(turns))
        spans = []
        for place, turn in enumerate(turns if learn == "answers" else ()):
            if turn["role"] == "assistant":
                before, after = written(place, asks=True) if place else "", written(place + 1)
                if whole.startswith(before) and whole.startswith(after):
                    spans.append((len(before), len(after)))
    except (TemplateError, ValueError) as error:
        raise DataError(
            f"the chat at {document.place} cannot be written with the tokenizer's chat template: {error}; mend its "
            "turns, or leave it out"
        ) from error
    return whole, tuple(spans)


def _learnt(tokenizer: Any, text: str, answers: Sequence[tuple[int, int]], ids: list[int], special: bool) -> bytearray:
    """Mark the tokens of the answers; a token that reaches across the beginning of an answer belongs to it."""
    learnt = bytearray(len(ids))
    edges = [edge for span in answers for edge in span]
    before = _ids(tokenizer, [text[:edge] for edge in edges], special=special) if edges else []
    places = [len(ids) if edge == len(text) else _shared(ids, head) for edge, head in zip(edges, before, strict=True)]
    for start, stop in zip(places[::2], places[1::2], strict=True):
        learnt[start:stop] = b"\x01" * (stop - start)
    return learnt


def _shared(ids: Sequence[int], others: Sequence[int]) -> int:
    """Return how many tokens two sequences have in common from the front."""
    same = 0
    for one, other in zip(ids, others, strict=False):
        if one != other:
            break
        same += 1
    return same


def _add(windows: Windows, ids: list[int], learnt: bytearray | None, most: int | None) -> None:
    """Append a text's tokens, as a row of its own of at most `most` tokens where this is given."""
    start = len(windows._ids)
    windows._ids.extend(ids[:most])
    if windows._learnt is not None and learnt is not None:
        windows._learnt.extend(learnt[:most])
    if most is not None:
        windows._spans.append((start, len(windows._ids)))
        windows.cut += len(ids) > most


def _cuts(tokens: int, length: int, shortest: int) -> list[tuple[int, int]]:
    cuts = [(start, min(start + length, tokens)) for start in range(0, tokens, length)]
    return [(start, stop) for start, stop in cuts if stop - start >= shortest]


def _drop_unanswered(windows: Windows) -> int:
    """Leave out the rows in which nothing is learnt, and return their number; a row's first token is not predicted."""
    learnt = windows._learnt
    if learnt is None:
        return 0
    kept = [(start, stop) for start, stop in windows._spans if learnt.find(1, start + 1, stop) >= 0]
    dropped = len(windows._spans) - len(kept)
    windows._spans = kept
    windows.left_out += dropped
    return dropped


def _nothing_read(documents: Documents) -> None:
    if documents.documents:
        return
    if documents.part and documents.read:
        raise DataError(
            f"the {documents.part} part of {documents.data!r} has none of its {documents.read} texts; change the "
            "held-out share, give more texts, or cut plain text into more of them with unit = 'line'"
        )
    raise DataError(". ".join((f"{documents.data!r} has nothing to learn from", *documents.notes())))


def _too_short(documents: Documents, longest: int, shortest: int, packing: Packing) -> str:
    have = f"the longest has {longest}" if packing == "none" else f"together they have {longest}"
    pack = "use packing = 'concatenate', " if packing == "none" else ""
    return (
        f"all {documents.documents} texts of {documents.data!r} are too short to think in: {shortest} tokens are "
        f"needed (thoughts.talk + 2), {have}; lower --set thoughts.talk, {pack}or give longer texts"
    )


def _notes(
    documents: Documents, windows: Windows, short: int, unanswered: int, unknown: float, shortest: int, length: int
) -> Iterator[str]:
    if short:
        yield (
            f"{short} of {documents.documents} texts are shorter than {shortest} tokens and were left out: lower --set "
            "thoughts.talk or use packing = 'concatenate'"
        )
    if windows.cut:
        yield f"{windows.cut} of {documents.documents} texts are longer than {length} tokens and were cut there"
    if unanswered:
        yield f"{unanswered} rows of at most {length} tokens have no token of an answer and were left out"
    if unknown > 0.01:
        yield f"{unknown:.1%} of the tokens are the unknown token; this tokenizer does not fit the texts"

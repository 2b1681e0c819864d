"""n-gram overlap between training documents and evaluation items, in one pass over the documents.

Texts are compared as runs of words, numbers and signs (`digits=False`) or with every digit on its own, as the embedded
model's tokenizer reads them (`digits=True`). Only the items are held in memory. Left out: near copies with other
numbers, which the corpus marks itself (`copy_of`).
Source: the n-gram rule of GPT-3 (arXiv:2005.14165, appendix C), with n for short texts.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from menon.core.errors import ConfigError, DataError
from menon.problems.known.values import KnownDocument

_WHOLE = re.compile(r"[a-z]+|[0-9]+|[^a-z0-9\s]")
_SINGLE = re.compile(r"[a-z]+|[0-9]|[^a-z0-9\s]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """What the documents hold of each item, in the order of the items.

    `longest` is the length of the longest run that an item shares with a document (0: shorter than `n`); `copies` how
    many documents hold the whole item. An item of fewer than `n` pieces is looked for as a whole.
    """

    n: int
    documents: int
    longest: tuple[int, ...]
    copies: tuple[int, ...]

    @property
    def share(self) -> float:
        """The share of the items that have a run of n pieces in some document."""
        return sum(length > 0 for length in self.longest) / len(self.longest)

    @property
    def exact(self) -> tuple[int, ...]:
        """The places of the items that stand word for word in some document."""
        return tuple(place for place, copies in enumerate(self.copies) if copies)


def ngram_overlap(
    documents: Iterable[KnownDocument | str], texts: Sequence[str], n: int = 8, *, digits: bool = False
) -> Overlap:
    """Look every text up in the documents; time is linear in the documents, memory in the texts.

    Raises:
        ConfigError: n below 1, no texts, or a text without a word.
    """
    cut = _SINGLE if digits else _WHOLE
    items = [cut.findall(text.lower()) for text in texts]
    if n < 1 or not items or not all(items):
        raise ConfigError(f"n={n!r} and {len(items)} texts; allowed: n from 1 and at least one text, none of it empty")
    index = _index(items, n)
    longest, copies = [0] * len(items), [0] * len(items)
    count = 0
    for document in documents:
        count += 1
        text = document if isinstance(document, str) else document.text
        for item, length in _matches(cut.findall(text.lower()), items, index).items():
            longest[item] = max(longest[item], length)
            copies[item] += length == len(items[item])
    return Overlap(n=n, documents=count, longest=tuple(longest), copies=tuple(copies))


def check_held_out(documents: Iterable[KnownDocument | str], questions: Sequence[str]) -> None:
    """Check that no question stands word for word in a document.

    Raises:
        DataError: one does; the message names the first few.
    """
    shortest = min((len(_WHOLE.findall(question.lower())) for question in questions), default=1)
    found = ngram_overlap(documents, questions, max(1, shortest)).exact
    if found:
        shown = "; ".join(repr(questions[place]) for place in found[:3])
        raise DataError(
            f"{len(found)} of {len(questions)} held-out questions stand in the corpus, as {shown}; ask questions of "
            "split 'test' or 'variant', or take the documents out"
        )


_Index = dict[int, dict[tuple[str, ...], list[tuple[int, int]]]]


def _index(items: Sequence[Sequence[str]], n: int) -> _Index:
    index: _Index = defaultdict(lambda: defaultdict(list))
    for number, item in enumerate(items):
        length = min(n, len(item))
        for place in range(len(item) - length + 1):
            index[length][tuple(item[place : place + length])].append((number, place))
    return index


def _matches(words: Sequence[str], items: Sequence[Sequence[str]], index: _Index) -> dict[int, int]:
    """Return the longest run per item that `words` shares with it."""
    best: dict[int, int] = {}
    for length, grams in index.items():
        begun: set[tuple[int, int]] = set()  # matches of the place before, which reach further than their successors
        for start in range(len(words) - length + 1):
            hits = grams.get(tuple(words[start : start + length]), ())
            for number, place in hits:
                if (number, place - 1) in begun:
                    continue
                reach = _reach(words, start + length, items[number], place + length)
                best[number] = max(best.get(number, 0), length + reach)
            begun = set(hits)
    return best


def _reach(words: Sequence[str], start: int, item: Sequence[str], place: int) -> int:
    reach = 0
    while start + reach < len(words) and place + reach < len(item) and words[start + reach] == item[place + reach]:
        reach += 1
    return reach

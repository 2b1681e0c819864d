"""n-gram overlap of items with a corpus: exact, by share, and near, in one pass over the corpus.

The n-grams of the items are indexed and the corpus is streamed, so memory is bounded by the items. Texts are compared
as lower-case words. Three measures per item:

    exact   some run of n words (13) occurs in the corpus; shorter items are looked for as a whole
    share   the share of the item's m-word runs (8) that occur anywhere in the corpus; 70 % counts as seen
    near    the largest share of its 3-word runs, numbers masked, within one stretch of one document that is about as
            long as the item: finds copies with other numbers or some other words, and re-instantiations of its template

Hashes are only a sieve: what they let through is compared word for word. Left out: deleting text around a match.
Source: the exact rule is that of GPT-3 (arXiv:2005.14165, app. C), the share that of PaLM (arXiv:2204.02311). Near
copies are found by containment in a moving window in place of MinHash (Broder 1997), which compares whole documents,
and in place of Llama 2's skip-grams (arXiv:2307.09288).
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from menon.core.errors import ConfigError
from menon.problems.corpus_files import Passage

WORD = re.compile(r"\w+")
DIGITS = re.compile(r"\d+")
BATCH = 1 << 17  # words looked at together
UNKNOWN, BORDER = 0, 1  # word ids that no item has
FACTOR = np.uint64(0x9E3779B97F4A7C15)
NEAR_N = 3
OWNERS_AT_ONCE = 1 << 20  # pairs of an n-gram in the corpus and an item that owns it, looked at together


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlapRule:
    """Lengths and thresholds; items with fewer than `shortest` words are not judged."""

    n: int = 13
    share_n: int = 8
    share: float = 0.70
    near: float = 0.60
    shortest: int = 6

    def __post_init__(self) -> None:
        if not 1 <= self.shortest <= self.n or self.share_n < 1:
            raise ConfigError(
                f"n-gram lengths n={self.n!r}, share_n={self.share_n!r}, shortest={self.shortest!r}; allowed: "
                "1 <= shortest <= n and share_n >= 1 (13, 8 and 6 are usual)"
            )
        if not (0 < self.share <= 1 and 0 < self.near <= 1):
            raise ConfigError(f"thresholds share={self.share!r}, near={self.near!r}; allowed: above 0, at most 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """What the corpus holds of one item; shares are None for items that are too short to be judged."""

    words: int
    exact: bool
    share: float | None
    near: float | None
    rule: OverlapRule

    @property
    def judged(self) -> bool:
        return self.share is not None

    @property
    def dirty(self) -> bool:
        """Whether the corpus holds the item, by the exact rule or by the share of its runs."""
        return self.exact or (self.share is not None and self.share >= self.rule.share)

    @property
    def near_copy(self) -> bool:
        """Whether some document holds a text of the same form; that may be a re-instantiation and not the item."""
        return not self.dirty and self.near is not None and self.near >= self.rule.near


def words_of(text: str) -> list[str]:
    """Return the lower-case words of a text; numbers are words."""
    return WORD.findall(text.lower())


def masked(word: str) -> str:
    """Return `word` with every number in it replaced by 0."""
    return DIGITS.sub("0", word)


def overlaps(items: Sequence[str], corpus: Iterable[Passage], rule: OverlapRule | None = None) -> list[Overlap]:
    """Look every item up in the corpus, in one pass."""
    rule = rule or OverlapRule()
    words = [words_of(item) for item in items]
    judged = [place for place, item in enumerate(words) if len(item) >= rule.shortest]
    exact = _Grams({i: (words[i], min(rule.n, len(words[i]))) for i in judged})
    share = _Grams({i: (words[i], min(rule.share_n, len(words[i]))) for i in judged})
    near = _NearGrams({i: [masked(word) for word in words[i]] for i in judged})
    plain, shown = _Words(exact.words | share.words), _Words(near.words)
    exact.compile(plain)
    share.compile(plain)
    near.compile(shown)
    longest = max([rule.n, rule.share_n, near.longest], default=1)
    for batch in _batches(corpus, longest):
        ids = plain.ids(batch)
        exact.look(ids)
        share.look(ids)
        near.look(shown.ids(word if word is None or word.isalpha() else masked(word) for word in batch))
    return [
        Overlap(
            words=len(words[i]),
            exact=exact.share(i) > 0,
            share=share.share(i) if i in share.kept else None,
            near=near.best.get(i, 0.0) if i in share.kept else None,
            rule=rule,
        )
        for i in range(len(items))
    ]


def _batches(corpus: Iterable[Passage], longest: int) -> Iterator[list[str | None]]:
    """Yield words in batches, None where a document begins; each batch repeats the end of the one before."""
    batch: list[str | None] = []
    for passage in corpus:
        if passage.new:
            batch.append(None)
        batch += WORD.findall(passage.text.lower())
        if len(batch) >= BATCH:
            yield batch
            batch = batch[-(longest - 1) :] if longest > 1 else []
    if batch:
        yield batch


class _Words:
    """Numbers the words of the items; every other word is UNKNOWN."""

    def __init__(self, words: set[str]):
        self._ids: dict[str | None, int] = {word: place for place, word in enumerate(sorted(words), start=2)}
        self._ids[None] = BORDER
        rng = np.random.default_rng(0)
        self.table = rng.integers(1, 2**64, len(words) + 2, dtype=np.uint64)

    def ids(self, words: Iterable[str | None]) -> NDArray[np.int64]:
        get = self._ids.get
        return np.array([get(word, UNKNOWN) for word in words], dtype=np.int64)

    def hashes(self, ids: NDArray[np.int64], starts: NDArray[np.intp], n: int) -> NDArray[np.uint64]:
        """Hash the runs of n words that begin at `starts`."""
        values, out = self.table[ids], np.zeros(len(starts), dtype=np.uint64)
        for place in range(n):
            out = out * FACTOR + values[starts + place]
        return out


def _runs(ids: NDArray[np.int64], n: int) -> NDArray[np.intp]:
    """Return where runs of n words begin that are all words of items."""
    known = np.concatenate([[0], np.cumsum(ids > BORDER)])
    return np.flatnonzero(known[n:] - known[:-n] == n) if len(ids) >= n else np.empty(0, dtype=np.intp)


class _Table:
    """All n-grams of one length, each with the (item, place) pairs that own it."""

    def __init__(self, n: int):
        self.n = n
        self._owners: defaultdict[tuple[int, ...], list[tuple[int, int]]] = defaultdict(list)

    def add(self, gram: Sequence[int], item: int, place: int) -> None:
        self._owners[tuple(gram)].append((item, place))

    def close(self, words: _Words) -> None:
        self._words = words
        grams_GN = np.array(list(self._owners), dtype=np.int64).reshape(-1, self.n)
        hashes_G = words.hashes(grams_GN.ravel(), np.arange(len(grams_GN)) * self.n, self.n)
        order_G = np.argsort(hashes_G)
        self._hashes, self._grams = hashes_G[order_G], grams_GN[order_G]
        assert len(np.unique(self._hashes)) == len(self._hashes), "two n-grams with one 64-bit hash"
        owners = [self._owners[tuple(gram)] for gram in self._grams.tolist()]
        self.owners = np.array([pair for pairs in owners for pair in pairs], dtype=np.int64).reshape(-1, 2)
        self.counts = np.array([len(pairs) for pairs in owners], dtype=np.int64)
        self.firsts = np.cumsum(self.counts) - self.counts
        self._owners.clear()

    def hits(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return where n-grams of items begin in `ids`, and which ones they are."""
        starts = _runs(ids, self.n)
        if not len(starts) or not len(self._hashes):
            return starts[:0], starts[:0]
        hashes = self._words.hashes(ids, starts, self.n)
        places = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
        sieved = self._hashes[places] == hashes
        starts, places = starts[sieved], places[sieved]
        same = (ids[starts[:, None] + np.arange(self.n)] == self._grams[places]).all(axis=1)
        return starts[same], places[same]

    def owned(self, grams: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        """Return every (item, place) that owns one of `grams`, and for each which of `grams` it was."""
        counts = self.counts[grams]
        which = np.repeat(np.arange(len(grams)), counts)
        within = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
        return which, self.owners[self.firsts[grams][which] + within]


class _Grams:
    """The n-grams of the items, each item with its own n, and which of them were found."""

    def __init__(self, items: dict[int, tuple[list[str], int]]):
        self.kept = items
        self.words = {word for words, _ in items.values() for word in words}
        self._found: dict[int, set[int]] = {item: set() for item in items}
        self._totals = {item: len(words) - n + 1 for item, (words, n) in items.items()}

    def compile(self, words: _Words) -> None:
        tables: dict[int, _Table] = {}
        for item, (text, n) in self.kept.items():
            ids = words.ids(text).tolist()
            table = tables.setdefault(n, _Table(n))
            for place in range(len(ids) - n + 1):
                table.add(ids[place : place + n], item, place)
        self._tables = list(tables.values())
        for table in self._tables:
            table.close(words)

    def look(self, ids: NDArray[np.int64]) -> None:
        for table in self._tables:
            _, grams = table.hits(ids)
            _, owners = table.owned(np.unique(grams))
            for item, place in owners.tolist():
                self._found[item].add(place)

    def share(self, item: int) -> float:
        return len(self._found[item]) / self._totals[item] if item in self._found else 0.0


class _NearGrams:
    """For each item the best share of its distinct short n-grams within a stretch of one document."""

    def __init__(self, items: dict[int, list[str]]):
        self._items = items
        self.words = {word for words in items.values() for word in words}
        self._windows = {item: len(words) + len(words) // 4 for item, words in items.items()}
        self.longest = max(self._windows.values(), default=1)
        self.best: dict[int, float] = {}

    def compile(self, words: _Words) -> None:
        self._table = _Table(NEAR_N)
        self._totals = np.zeros(max(self._items, default=0) + 1, dtype=np.int64)
        for item, text in self._items.items():
            ids = words.ids(text).tolist()
            grams = dict.fromkeys(tuple(ids[p : p + NEAR_N]) for p in range(len(ids) - NEAR_N + 1))
            self._totals[item] = len(grams)
            for place, gram in enumerate(grams):
                self._table.add(gram, item, place)
        self._table.close(words)
        self._most = np.zeros(len(self._totals), dtype=np.int64)

    def look(self, ids: NDArray[np.int64]) -> None:
        starts, grams = self._table.hits(ids)
        document = np.cumsum(ids == BORDER)[starts]
        first, work = 0, np.cumsum(self._table.counts[grams])
        while first < len(starts):
            done = work[first - 1] if first else 0
            last = int(np.searchsorted(work, done + OWNERS_AT_ONCE, side="right"))
            # A block ends where a document does, so that each document is seen whole.
            last = int(np.searchsorted(document, document[max(first, min(last, len(starts) - 1))], side="right"))
            self._look(starts[first:last], grams[first:last], document[first:last])
            first = last

    def _look(self, starts: NDArray[np.intp], grams: NDArray[np.intp], document: NDArray[np.int64]) -> None:
        which, owners = self._table.owned(grams)
        items, places = owners[:, 0], owners[:, 1]
        keys, pairs, counts = np.unique(
            items * (int(document[-1]) + 1) + document[which], return_inverse=True, return_counts=True
        )
        of_key = keys // (int(document[-1]) + 1)
        promising = counts > self._most[of_key]  # the count bounds the number of different n-grams from above
        chosen = np.flatnonzero(promising[pairs])
        chosen = chosen[np.argsort(pairs[chosen], kind="stable")]
        borders = np.flatnonzero(np.diff(pairs[chosen])) + 1
        for group in np.split(chosen, borders):
            if not len(group):
                continue
            item = int(items[group[0]])
            if len(group) > self._most[item]:
                hits = list(zip(starts[which[group]].tolist(), places[group].tolist(), strict=True))
                most = _most_distinct(hits, self._windows[item] - NEAR_N + 1)
                self._most[item] = max(self._most[item], most)
                self.best[item] = float(self._most[item] / self._totals[item])


def _most_distinct(hits: Sequence[tuple[int, int]], width: int) -> int:
    """Return how many different n-grams lie within `width` starting places, at most."""
    inside: defaultdict[int, int] = defaultdict(int)
    best = first = 0
    for start, place in hits:
        inside[place] += 1
        while hits[first][0] <= start - width:
            left = hits[first][1]
            inside[left] -= 1
            if not inside[left]:
                del inside[left]
            first += 1
        best = max(best, len(inside))
    return best

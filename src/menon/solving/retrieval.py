"""Search in a local folder of documents: BM25 over paragraphs, for strategies that look things up without a network.

score(q, d) = sum over the words t of q:  idf(t) * tf (k1 + 1) / (tf + k1 (1 - b + b |d| / mean |d|))
idf(t) = ln(1 + (N - n_t + 0.5) / (n_t + 0.5))

with tf the count of t in paragraph d, N paragraphs of which n_t hold t, k1 = 1.2 and b = 0.75. The 1 in the logarithm
keeps common words from counting against a paragraph. Words are runs of letters and digits of any script, case aside.
Left out: stems, stop words, embeddings, and file formats other than those of `SUFFIXES`.
Source: Robertson and Zaragoza 2009, Foundations and Trends in Information Retrieval 3:333.
"""

import math
import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from menon.core.errors import ConfigError, DataError
from menon.solving.documents import SUFFIXES, Paragraph, files_of, paragraphs_of

__all__ = ["SUFFIXES", "Documents", "Hit", "words"]

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A paragraph that was found: its document (path in the folder), its place there, its text, its score."""

    document: str
    place: str
    text: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """Paragraphs with their word index; `notes` tells what was left out or read otherwise, and why."""

    paragraphs: tuple[Paragraph, ...]
    notes: tuple[str, ...] = ()
    k1: float = 1.2
    b: float = 0.75
    lengths: "array[int]" = field(repr=False)
    postings: "dict[str, array[int]]" = field(repr=False)  # paragraph, count, paragraph, count, ...

    @classmethod
    def of(
        cls, paragraphs: Iterable[Paragraph], *, notes: Sequence[str] = (), k1: float = 1.2, b: float = 0.75
    ) -> "Documents":
        """Index paragraphs.

        Raises:
            ConfigError: k1 below 0, or b outside 0 to 1.
        """
        if not (k1 >= 0 and 0 <= b <= 1):
            raise ConfigError(
                f"k1 {k1!r}, b {b!r}; allowed: k1 of 0 or more and b from 0 to 1 (1.2 and 0.75 are usual)"
            )
        kept: list[Paragraph] = []
        lengths: array[int] = array("L")
        postings: dict[str, array[int]] = {}
        for paragraph in paragraphs:
            counts = Counter(words(paragraph.text))
            if not counts:
                continue
            for word, count in counts.items():
                postings.setdefault(word, array("L")).extend((len(kept), count))
            kept.append(paragraph)
            lengths.append(counts.total())
        return cls(paragraphs=tuple(kept), notes=tuple(notes), k1=k1, b=b, lengths=lengths, postings=postings)

    @classmethod
    def from_folder(cls, path: str | Path, *, limit_mb: float = 256) -> "Documents":
        """Read and index the documents of a folder, in the order of their names.

        Hidden files, binary files and links that lead out of the folder are left out. Files that are not UTF-8 are
        read as Latin-1. All of this stands in `notes`.
        Raises:
            DataError: no such folder, or nothing in it that can be read.
            ConfigError: more than `limit_mb` megabytes of documents.
        """
        folder = Path(path)
        if not folder.is_dir():
            raise DataError(f"no folder at {str(path)!r}; give a folder with files ending in {', '.join(SUFFIXES)}")
        notes: list[str] = []
        files = files_of(folder, notes)
        size = sum(file.stat().st_size for file in files)
        if size > limit_mb * 1e6:
            raise ConfigError(
                f"{str(path)!r} holds {size / 1e6:.1f} MB of documents; allowed: {limit_mb} MB (limit_mb)"
            )
        found = cls.of((part for file in files for part in paragraphs_of(file, folder, notes)), notes=())
        if not found.paragraphs:
            reasons = f" ({'; '.join(notes[:3])})" if notes else ""
            raise DataError(f"nothing to read in {str(path)!r}{reasons}; it needs text in {', '.join(SUFFIXES)} files")
        return cls(paragraphs=found.paragraphs, notes=tuple(notes), lengths=found.lengths, postings=found.postings)

    def search(self, query: str, k: int = 5) -> list[Hit]:
        """Return the `k` best paragraphs that share a word with the query, best first, ties in order of reading."""
        if k < 1:
            raise ConfigError(f"k is {k!r}; allowed: 1 or more")
        scores: dict[int, float] = {}
        total = len(self.paragraphs)
        mean = sum(self.lengths) / total if total else 1.0
        for word, times in Counter(words(query)).items():
            posting = self.postings.get(word)
            if posting is None:
                continue
            having = len(posting) // 2
            idf = times * math.log(1 + (total - having + 0.5) / (having + 0.5))
            for at, count in zip(posting[::2], posting[1::2], strict=True):
                spread = self.k1 * (1 - self.b + self.b * self.lengths[at] / mean)
                scores[at] = scores.get(at, 0.0) + idf * count * (self.k1 + 1) / (count + spread)
        best = sorted(scores, key=lambda at: (-scores[at], at))[:k]
        return [self._hit(at, scores[at]) for at in best]

    def _hit(self, at: int, score: float) -> Hit:
        found = self.paragraphs[at]
        return Hit(document=found.document, place=found.place, text=found.text, score=score)


def words(text: str) -> list[str]:
    """Return the words of a text, composed and case-folded."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())

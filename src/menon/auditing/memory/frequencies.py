"""How often what an item is made of occurs in a corpus: its numbers, its words, its rarest pair, its wording.

Only what the items are made of is counted, so memory is bounded by the items. Values are log10(1 + count); those of
numbers and words are means over the item's own.
Source: term frequencies of Razeghi et al. 2022, arXiv:2202.07206.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import log10
from statistics import fmean

from menon.auditing.memory.overlap import WORD, masked, words_of
from menon.problems.corpus_files import Passage

MEASURES = ("numbers", "words", "phrase", "template")


def frequencies(questions: Sequence[str], corpus: Iterable[Passage]) -> list[dict[str, float | None]]:
    """Return log10(1 + count) of every measure for each question; None where it has nothing of the kind.

    A template is counted where the words of the question, numbers masked, occur in one document in a row.
    """
    own = [words_of(question) for question in questions]
    single = Counter[str]()
    pairs = Counter[tuple[str, str]]()
    templates = Counter[tuple[str, ...]]()
    known = {word for words in own for word in words}
    wanted_pairs = {pair for words in own for pair in pairwise(words)}
    forms = {tuple(map(masked, words)) for words in own if words}
    by_start: dict[tuple[str, ...], set[int]] = {}
    for form in forms:
        by_start.setdefault(form[:2], set()).add(len(form))
    longest = max(map(len, forms), default=1)
    held: list[str] = []  # the end of a document that goes on in the next passage
    for passage in corpus:
        words = WORD.findall(passage.text.lower())
        before = [] if passage.new else held
        single.update(word for word in words if word in known)
        joined = [*before, *words]
        pairs.update(
            pair for pair in zip([*before[-1:], *words], words[(not before) :], strict=False) if pair in wanted_pairs
        )
        _count_templates(joined, len(before), forms, by_start, templates)
        held = joined[-(longest - 1) :] if longest > 1 else []
    return [_measured(words, single, pairs, templates) for words in own]


def _count_templates(
    words: Sequence[str],
    old: int,
    forms: set[tuple[str, ...]],
    by_start: dict[tuple[str, ...], set[int]],
    templates: Counter[tuple[str, ...]],
) -> None:
    """Count the forms in `words` that end behind the first `old` words, which were looked at before."""
    hidden = [word if word.isalpha() else masked(word) for word in words]
    for start in range(len(hidden)):
        alone, pair = tuple(hidden[start : start + 1]), tuple(hidden[start : start + 2])
        for length in by_start.get(alone, set()) | by_start.get(pair, set()):
            form = tuple(hidden[start : start + length])
            if len(form) == length and start + length > old and form in forms:
                templates[form] += 1


def _measured(
    words: Sequence[str],
    single: Counter[str],
    pairs: Counter[tuple[str, str]],
    templates: Counter[tuple[str, ...]],
) -> dict[str, float | None]:
    numbers = [word for word in words if any(char.isdigit() for char in word)]
    others = [word for word in words if word not in set(numbers)]
    return {
        "numbers": fmean(log10(1 + single[word]) for word in numbers) if numbers else None,
        "words": fmean(log10(1 + single[word]) for word in others) if others else None,
        "phrase": min((log10(1 + pairs[pair]) for pair in pairwise(words)), default=None),
        "template": log10(1 + templates[tuple(map(masked, words))]) if words else None,
    }

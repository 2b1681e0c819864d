"""Overlap with a corpus against brute force over sets of word tuples, on random text with planted copies."""

import random
from collections.abc import Iterator

import pytest

from menon.auditing.memory import overlap as module
from menon.auditing.memory.overlap import Overlap, OverlapRule, masked, overlaps, words_of
from menon.core.errors import ConfigError
from menon.problems.corpus_files import Passage

RULE = OverlapRule(n=5, share_n=3, share=0.7, near=0.6, shortest=4)


def grams(words: list[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def brute(item: str, documents: list[str], rule: OverlapRule) -> Overlap:
    words = words_of(item)
    if len(words) < rule.shortest:
        return Overlap(words=len(words), exact=False, share=None, near=None, rule=rule)
    texts = [words_of(text) for text in documents]
    n, m = min(rule.n, len(words)), min(rule.share_n, len(words))
    exact = any(set(grams(words, n)) & set(grams(text, n)) for text in texts)
    seen = {gram for text in texts for gram in grams(text, m)}
    own = set(grams([masked(word) for word in words], 3))
    near, width = 0.0, len(words) + len(words) // 4
    for text in texts:
        hidden = [masked(word) for word in text]
        for start in range(max(1, len(hidden) - width + 1)):
            near = max(near, len(own & set(grams(hidden[start : start + width], 3))) / len(own))
    shared = [gram in seen for gram in grams(words, m)]
    return Overlap(words=len(words), exact=exact, share=sum(shared) / len(shared), near=near, rule=rule)


def random_case(seed: int) -> tuple[list[str], list[str]]:
    """Items over a small vocabulary, and documents with copies, changed copies and pieces of them."""
    rng = random.Random(seed)
    vocabulary = [f"w{i}" for i in range(25)] + ["7", "12", "305", "Zoë"]

    def text(low: int, high: int) -> list[str]:
        return [rng.choice(vocabulary) for _ in range(rng.randint(low, high))]

    items = [text(1, 14) for _ in range(12)]
    documents = []
    for _ in range(30):
        body = text(0, 30) + (["elsewhere"] if rng.random() < 0.5 else [])
        if rng.random() < 0.5:
            copy = list(rng.choice(items))
            for place in range(len(copy)):
                if rng.random() < 0.15:
                    copy[place] = rng.choice(["99", "other"])
            at = rng.randint(0, len(body))
            body[at:at] = copy
        documents.append(body)
    return [" ".join(item) + "?" for item in items], [", ".join(body).upper() for body in documents]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("batch", [1 << 17, 16])
def test_all_measures_equal_brute_force(seed: int, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH", batch)
    items, documents = random_case(seed)
    found = overlaps(items, [Passage(text) for text in documents], RULE)
    assert found == [brute(item, documents, RULE) for item in items]
    assert 0 < sum(one.exact for one in found) < len(found)


def test_a_document_in_pieces_counts_as_one() -> None:
    item = "the quick brown fox jumps over the lazy dog today"
    words = item.split()
    pieces = [Passage(" ".join(words[:4]) + " "), Passage(" ".join(words[4:]), new=False)]
    apart = [Passage(" ".join(words[:4])), Passage(" ".join(words[4:]))]
    whole, cut = overlaps([item], pieces)[0], overlaps([item], apart)[0]
    assert whole.exact
    assert whole.share == whole.near == 1.0
    assert not cut.exact
    assert cut.near == pytest.approx(4 / 8)


def test_a_copy_with_other_numbers_is_near_and_not_exact() -> None:
    item = "Tom has 12 pens and buys 7 more pens and sells 3 of them, so how many pens are there now"
    corpus = [Passage(item.replace("12", "53").replace("7", "4").replace("3", "2"))]
    found = overlaps([item], corpus)[0]
    assert (found.exact, found.near) == (False, 1.0)
    assert found.share is not None
    assert found.share < 0.7
    assert found.near_copy
    assert not found.dirty


def test_short_items_are_not_judged() -> None:
    found = overlaps(["what is it"], [Passage("what is it")])[0]
    assert not found.judged
    assert not found.dirty


def test_the_corpus_is_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH", 1000)
    alive, most = 0, 0

    class Tracked(str):
        __slots__ = ()

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def corpus() -> Iterator[Passage]:
        nonlocal alive, most
        for number in range(300):
            alive += 1
            most = max(most, alive)
            yield Passage(Tracked(f"document {number} " * 50))

    overlaps(["one two three four five six seven"], corpus())
    assert most <= 3


def test_impossible_rules_are_refused() -> None:
    with pytest.raises(ConfigError, match="n-gram lengths"):
        OverlapRule(n=3, shortest=6)
    with pytest.raises(ConfigError, match="thresholds"):
        OverlapRule(share=70)

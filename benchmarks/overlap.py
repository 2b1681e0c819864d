"""How fast a corpus is searched for the items of a test set, and what that takes in memory.

    python benchmarks/overlap.py [--items 1000] [--megabytes 16] [--json]

Items and text are made of the same invented vocabulary, Zipf-distributed as words are, and one document in a thousand
holds an item. The peer is what people write first: a set of all 13-grams of the corpus, held in memory; it gives
the exact measure only. Time is that of the processor (one core); memory is the peak that Python itself allocated.
"""

import argparse
import json
import os
import random
import time
import tracemalloc
from collections.abc import Iterator
from itertools import accumulate

from menon.auditing.memory.frequencies import frequencies
from menon.auditing.memory.overlap import OverlapRule, overlaps, words_of
from menon.problems.corpus_files import Passage

VOCABULARY = 30_000
DOCUMENT_WORDS = 250


class Text:
    """Documents of Zipf-distributed words."""

    def __init__(self, seed: int):
        self.rng = random.Random(seed)
        letters = "abcdefghijklmnopqrstuvwxyz"
        self.words = ["".join(self.rng.choices(letters, k=self.rng.randint(2, 9))) for _ in range(VOCABULARY)]
        self.weights = list(accumulate(1 / rank for rank in range(1, VOCABULARY + 1)))

    def draw(self, count: int) -> str:
        return " ".join(self.rng.choices(self.words, cum_weights=self.weights, k=count))


def documents(text: Text, items: list[str], characters: int) -> list[str]:
    """Return about `characters` of text; every thousandth document holds an item."""
    found, size = [], 0
    while size < characters:
        body = text.draw(DOCUMENT_WORDS)
        if len(found) % 1000 == 0:
            body += " " + items[len(found) // 1000 % len(items)]
        found.append(body)
        size += len(body)
    return found


def passages(texts: list[str]) -> Iterator[Passage]:
    for text in texts:
        yield Passage(text)


def in_memory(items: list[str], texts: list[str], n: int) -> list[bool]:
    """Hold all n-grams of the corpus and look the items up."""
    seen = set()
    for text in texts:
        words = words_of(text)
        seen.update(zip(*(words[i:] for i in range(n)), strict=False))
    own = (words_of(item) for item in items)
    return [any(tuple(words[i : i + n]) in seen for i in range(len(words) - n + 1)) for words in own]


def timed(work) -> tuple[float, float, object]:
    """Return CPU seconds, peak megabytes and the result; memory is measured in a second run."""
    begun = time.process_time()
    result = work()
    seconds = time.process_time() - begun
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return seconds, peak, result


def main() -> None:
    """Measure, and print a table or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--megabytes", type=float, default=16)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    text, rule = Text(1), OverlapRule()
    items = [text.draw(45) for _ in range(args.items)]
    corpus = documents(text, items, int(args.megabytes * 1e6))
    size = sum(map(len, corpus)) / 1e6
    rows = {}
    jobs = {
        "overlap (exact, share and near)": lambda: [one.exact for one in overlaps(items, passages(corpus), rule)],
        "frequencies": lambda: frequencies(items, passages(corpus)),
        "peer: all 13-grams in memory (exact)": lambda: in_memory(items, corpus, rule.n),
    }
    results = {}
    for name, work in jobs.items():
        seconds, peak, results[name] = timed(work)
        rows[name] = {"MB/s": round(size / seconds, 2), "CPU s": round(seconds, 2), "peak MB": round(peak, 1)}
    exact, _, peer = results.values()
    out = {
        "items": args.items,
        "corpus MB": round(size, 1),
        "found": sum(exact),
        "same as peer": exact == peer,
        "rates": rows,
        "load": os.getloadavg()[0],
    }
    if args.json:
        print(json.dumps(out))
        return
    print(
        f"{args.items} items, {size:.1f} MB; {sum(exact)} found, same as peer: {exact == peer}; load {out['load']:.1f}"
    )
    for name, row in rows.items():
        print(f"  {name:40} {row['MB/s']:8.2f} MB/s  {row['peak MB']:8.1f} MB at most")


if __name__ == "__main__":
    main()

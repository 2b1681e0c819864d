"""The manifest of a known corpus: what its first documents hold and teach, and a hash of their texts."""

import hashlib
from collections import Counter
from dataclasses import asdict
from typing import Any

from menon.core.seeds import canonical_json
from menon.problems.known.corpus import KnownCorpus
from menon.problems.known.memorised import planted
from menon.problems.known.shares import tokens_of

_FIELDS = ("kind", "form", "source", "family")


def manifest(corpus: KnownCorpus, count: int) -> dict[str, Any]:
    """Return counts by kind, form, source, family and what is taught, sizes, duplicates and the hash, as plain JSON.

    Documents are streamed; memory grows with the number of different texts (16 bytes each). `teaches` counts the
    documents of each procedure and fact, and as `answers` those of all answers without working; `planted` counts those
    of each memorised question. `duplicates` are documents whose text came before; `tokens` are approximate.
    """
    questions = _planted(corpus)
    counted: dict[str, Counter[str]] = {name: Counter() for name in (*_FIELDS, "teaches", "planted")}
    answers: set[str] = set()
    digest = hashlib.sha256()
    seen: set[bytes] = set()
    characters = tokens = duplicates = with_comments = copies = 0
    for document in corpus.documents(0, count):
        for name in _FIELDS:
            counted[name][getattr(document, name)] += 1
        for taught in document.teaches or ("nothing",):
            if taught in questions:
                counted["planted"][questions[taught]] += 1
            elif taught.startswith("answer:"):
                answers.add(taught)
                counted["teaches"]["answers"] += 1
            else:
                counted["teaches"][taught] += 1
        raw = document.text.encode()
        digest.update(len(raw).to_bytes(8, "big") + raw)
        short = hashlib.sha256(raw).digest()[:16]
        duplicates += short in seen
        seen.add(short)
        characters += len(document.text)
        tokens += tokens_of(document)
        with_comments += document.comments
        copies += bool(document.copy_of)
    return {
        "schema": 1,
        "corpus": corpus.name,
        "documents": count,
        "characters": characters,
        "tokens": tokens,
        "duplicates": duplicates,
        "with_comments": with_comments,
        "copies": copies,
        "different_answers": len(answers),
        **{name: dict(sorted(counter.items())) for name, counter in counted.items()},
        "mixture": _plain(asdict(corpus.mixture)),
        "hash": digest.hexdigest(),
    }


def _planted(corpus: KnownCorpus) -> dict[str, str]:
    """Return the questions planted in `corpus` by what their documents teach."""
    problems = (
        planted(name, index) for name in corpus.mixture.families_in("text") for index in range(corpus.mixture.memorised)
    )
    return {f"answer:{problem.id}": problem.question for problem in problems}


def mixture_hash(corpus: KnownCorpus) -> str:
    """Return a hash of everything that decides the documents of `corpus`, without generating one."""
    named = canonical_json([corpus.name, _plain(asdict(corpus.mixture))])
    return hashlib.sha256(named.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value

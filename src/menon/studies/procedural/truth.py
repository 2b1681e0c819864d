"""What is known of every document of a corpus: what it teaches, its form and source, and which question it copies.

The embedded model's own corpus is put in the same words: worked solutions teach the procedure of their family (those
that were shown the answer also how to go by it), facts their key, programs a procedure of their own.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from menon.core.seeds import content_id
from menon.problems.corpus import Document
from menon.problems.facts import FACTS
from menon.problems.known.values import Form, Kind, KnownDocument

_WORD = re.compile("[a-z]+")
_KINDS: Mapping[str, tuple[Kind, Form]] = {
    "worked": ("procedure", "text"),
    "hinted": ("procedure", "text"),
    "original": ("procedure", "text"),
    "direct": ("answer", "text"),
    "program": ("procedure", "code"),
    "prose": ("prose", "statement"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Columns over the N documents of a corpus, and who teaches, states or copies what."""

    kinds_N: NDArray[np.str_]
    forms_N: NDArray[np.str_]
    sources_N: NDArray[np.str_]
    texts: tuple[str, ...]
    teachers: Mapping[str, NDArray[np.intp]]
    instances: Mapping[str, NDArray[np.intp]]
    copies: Mapping[str, NDArray[np.intp]]

    @classmethod
    def of(cls, documents: Sequence[KnownDocument]) -> "Truth":
        return cls(
            kinds_N=np.array([document.kind for document in documents]),
            forms_N=np.array([document.form for document in documents]),
            sources_N=np.array([document.source for document in documents]),
            texts=tuple(document.text for document in documents),
            teachers=_places(document.teaches for document in documents),
            instances=_places((document.instance,) for document in documents),
            copies=_places((document.copy_of,) for document in documents),
        )

    def __len__(self) -> int:
        return len(self.texts)

    def teaching(self, needs: str) -> NDArray[np.bool_]:
        """Return which documents teach what a query needs, near-duplicates never among them."""
        return self._marked(self.teachers, needs) & (self.kinds_N != "near-duplicate")

    def of_instance(self, instance: str) -> NDArray[np.bool_]:
        """Return which documents solve, state or answer the very question."""
        return self._marked(self.instances, instance)

    def copying(self, instance: str) -> NDArray[np.bool_]:
        """Return which documents are near-duplicates of the question."""
        return self._marked(self.copies, instance)

    def _marked(self, table: Mapping[str, NDArray[np.intp]], name: str) -> NDArray[np.bool_]:
        found_N = np.zeros(len(self), dtype=np.bool_)
        if name in table:
            found_N[table[name]] = True
        return found_N


def known_of(document: Document) -> KnownDocument:
    """Return a document of the embedded model's corpus in the words of the known one; its source is its kind."""
    question = _question(document)
    if document.kind == "fact":
        words = _WORD.findall(document.prompt + document.completion)
        key = next((key for key in map(" ".join, pairwise(words)) if key in _keys()), "")
        form: Form = "text" if document.prompt else "statement"
        return _known(document, "fact", form, f"fact:{key}", instance=key)
    kind, form = _KINDS[document.kind]
    teaches = [f"procedure:{document.family}"] if kind == "procedure" else []
    teaches += ["procedure:hinted"] if document.kind == "hinted" else []
    return _known(document, kind, form, *teaches, instance=instance_of(question) if question else "")


def instance_of(question: str) -> str:
    """Name a question of the embedded model's corpus."""
    return content_id("instance", question)


def _question(document: Document) -> str:
    """Return the question alone, without the mark behind it and without a hint."""
    text = document.prompt[:-1]
    return text[: text.rindex("(")] if document.kind == "hinted" else text


@cache
def _keys() -> frozenset[str]:
    return frozenset(FACTS.keys("original"))


def _known(document: Document, kind: Kind, form: Form, *teaches: str, instance: str) -> KnownDocument:
    return KnownDocument(
        kind=kind,
        form=form,
        source=document.kind,
        family=document.family,
        teaches=teaches,
        prompt=document.prompt,
        completion=document.completion,
        answer=document.completion.rpartition("#")[2] if document.prompt else "",
        instance=instance,
        comments=form == "code",
    )


def _places(names: Iterable[Iterable[str]]) -> dict[str, NDArray[np.intp]]:
    """Return the positions at which each name occurs; the empty name is none."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for place, owned in enumerate(names):
        for name in owned:
            if name:
                found[name].append(place)
    return {name: np.array(places, dtype=np.intp) for name, places in found.items()}

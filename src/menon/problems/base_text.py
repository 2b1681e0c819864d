"""The very text that the embedded model was trained on, document by document.

While it was trained, the mixture of its text was steered from block to block (see `menon.studies.pretrain`); the
weights of every block were written down, so any document of the stream can be made again from its index. Of the last
documents of each block some were drawn and not reached before the block ended: at most 300 in about 5,000.
"""

import json
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from menon.core.errors import ConfigError
from menon.problems.corpus import Corpus, Document, Mixture

PROMPT_WEIGHT = 0.1  # of the loss on prompts when it was trained


@dataclass(frozen=True, slots=True)
class BaseText:
    """The documents 0 to `count` - 1 of the embedded model; `firsts[b]` is the first document of block b."""

    corpus: Corpus
    firsts: tuple[int, ...]
    mixtures: tuple[Mixture, ...]
    count: int

    def document(self, index: int) -> Document:
        """Return document `index` as it was drawn.

        Raises:
            ConfigError: an index outside the text.
        """
        if not 0 <= index < self.count:
            raise ConfigError(f"document {index!r} of the embedded model's text; allowed: 0 to {self.count - 1}")
        return self.corpus.document(index, self.mixtures[bisect_right(self.firsts, index) - 1])

    def spread(self, documents: int) -> list[int]:
        """Return `documents` indices evenly over the whole text, all of them where it has fewer."""
        wanted = min(documents, self.count)
        return [place * self.count // wanted for place in range(wanted)]


@cache
def base_text() -> BaseText:
    """Return the text of the packaged model."""
    told = json.loads((files("menon.problems") / "base_text.json").read_text(encoding="utf-8"))
    return BaseText(
        corpus=Corpus(),
        firsts=tuple(block["first"] for block in told["blocks"]),
        mixtures=tuple(Mixture(hard=block["hard"], hinted_hard=told["hinted_hard"]) for block in told["blocks"]),
        count=told["documents"],
    )

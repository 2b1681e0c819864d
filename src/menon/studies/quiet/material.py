"""What a thinking lesson works on: rows of tokens to learn from, and held-out rows to be examined on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from menon.core.errors import ConfigError
from menon.core.progress import Progress
from menon.core.seeds import rng_for
from menon.models.load import EMBEDDED
from menon.problems.corpus import Corpus, Mixture
from menon.studies.quiet.teach_recipe import QuietStar
from menon.teaching.quiet.data import read_documents, split_held_out
from menon.teaching.quiet.step import TextBatch
from menon.teaching.quiet.windows import Window, Windows, collate_weights, collate_windows, make_windows

HARD = 0.2  # weight of the hard bands of the embedded model's families in the text that it is taught on


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """Rows to learn from and held-out rows; `told` says in words what was read and left out."""

    learnt: Windows | list[Window]
    held_out: tuple[Window, ...]
    rows: int
    pad: int
    names: tuple[str | int, ...]
    told: tuple[str, ...]

    def batch(self, number: int) -> TextBatch:
        """Return forward pass number `number`; it depends on nothing else."""
        if isinstance(self.learnt, Windows):
            return batch_of(self.learnt.batch(number), self.pad)
        rng = rng_for("quiet texts", *self.names, number)
        return batch_of(rng.sample(self.learnt, min(self.rows, len(self.learnt))), self.pad)

    @property
    def held_out_batches(self) -> list[TextBatch]:
        parts = [self.held_out[start : start + self.rows] for start in range(0, len(self.held_out), self.rows)]
        return [batch_of(part, self.pad) for part in parts]

    def rows_alone(self, count: int) -> list[TextBatch]:
        """Return the first `count` held-out rows, each as a batch of its own."""
        return [batch_of([row], self.pad) for row in self.held_out[:count]]


def batch_of(rows: Sequence[Window], pad: int) -> TextBatch:
    """Stack rows with their weights."""
    tokens_BL, lengths_B = collate_windows(rows, pad)
    weights_BL = collate_weights(rows)
    return TextBatch(tokens_BL=tokens_BL, lengths_B=lengths_B, weights_BL=weights_BL)


def gather_texts(recipe: QuietStar, tokenizer: Any, progress: Progress) -> Texts:
    """Read (or generate) the texts and cut them into rows.

    Raises:
        ConfigError: no data for a model that has no text of its own. DataError: what cannot be read; names the place.
    """
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    texts = recipe.texts
    if not texts.data:
        if recipe.model != EMBEDDED:
            raise ConfigError(
                f"{recipe.model!r} has no text of its own here; give texts with --data FILE or a data set id"
            )
        return _own_text(recipe, tokenizer, pad)
    documents = read_documents(
        texts.data, columns=texts.map, split=texts.split, limit=texts.limit, style=texts.style, unit=texts.unit
    )
    learnt, kept = split_held_out(documents, texts.held_out, "quiet held out", recipe.seed)
    asked: dict[str, Any] = {
        "shortest": recipe.thoughts.talk + 2,
        "length": texts.length,
        "packing": texts.packing,
        "learn": texts.learn,
        "progress": progress,
    }
    windows = make_windows(learnt, tokenizer, rows=recipe.quiet.rows, names=("quiet-star", recipe.seed), **asked)
    held = make_windows(kept, tokenizer, names=("quiet-star", "held out"), **asked)
    told = (learnt.summary(), f"{len(windows)} rows to learn from, {len(held)} held out")
    for line in told:
        progress.say(line)
    return Texts(
        learnt=windows,
        held_out=tuple(held[i] for i in range(min(len(held), recipe.evaluation.rows))),
        rows=recipe.quiet.rows,
        pad=pad,
        names=(recipe.seed,),
        told=told,
    )


def _own_text(recipe: QuietStar, tokenizer: Any, pad: int) -> Texts:
    """Draw new documents of the kind that the embedded model was pre-trained on; held-out ones by their number."""
    corpus = Corpus("quiet")
    kinds = {kind: share for kind, share in Mixture().kinds.items() if kind != "direct"}
    rest = sum(kinds.values()) / (1 - recipe.texts.direct) if recipe.texts.direct < 1 else float("inf")
    mixture = Mixture(
        kinds={**{kind: share / rest for kind, share in kinds.items()}, "direct": recipe.texts.direct},
        hard=dict.fromkeys(("addition", "chain", "facts"), HARD),
    )
    rows: list[Window] = []
    for index in range(recipe.texts.generated):
        document = corpus.document(index, mixture)
        ids = (*tokenizer(document.prompt + document.completion).input_ids, tokenizer.eos_token_id)
        if recipe.thoughts.talk + 2 <= len(ids):
            rows.append(Window(ids=tuple(ids[: recipe.texts.length]), weights=None))
    count = max(recipe.evaluation.rows, int(recipe.texts.held_out * len(rows)))
    if len(rows) <= count:
        raise ConfigError(
            f"texts.generated = {recipe.texts.generated} gives {len(rows)} documents that are long enough to think in, "
            f"and {count} are held out; set texts.generated to {2 * count} or more, or evaluation.rows lower"
        )
    told = (f"{len(rows)} new documents of the embedded model's own kind, {count} of them held out",)
    return Texts(
        learnt=rows[count:],
        held_out=tuple(rows[: recipe.evaluation.rows]),
        rows=recipe.quiet.rows,
        pad=pad,
        names=(recipe.seed,),
        told=told,
    )

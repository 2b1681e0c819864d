"""Models trained from nothing on known documents: a training is a unit, and a killed one goes on within.

Whole texts are learnt, prompt and completion alike, with the end token behind. Two models of one seed and size begin
with the same weights and see the same documents in the same order, so arms can be compared in pairs. Left out:
sequences packed from several documents, so a document is what the model saw and what is traced.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from menon.core.errors import ConfigError
from menon.core.progress import Progress, Silent
from menon.core.seeds import seed_for
from menon.models.embedded import build_model, build_tokenizer
from menon.models.load import load_model, save_model, weights_hash
from menon.problems.known.corpus import tokenizer_texts
from menon.problems.known.values import KnownDocument
from menon.store import Run, UnitWriter, atomic_directory, atomic_remove
from menon.store.units import Name, title
from menon.studies.known.size import ModelSize
from menon.teaching.config import TrainConfig
from menon.teaching.rows import Row, bucket
from menon.teaching.train import STATE, load_state, make_optimizer, save_state, train

BLOCK = 50  # optimizer steps per point of the learning curve
SAVE_EVERY = 4  # points of the curve between states on disk
Documents = Callable[[int], KnownDocument]


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A stretch of training: documents 0, 1, 2, ... of a stream, once each, up to a number of tokens.

    `prompt_weight` is 1 where prompts are learnt like all text, 0 where only what follows them is (instruction tuning).
    """

    documents: Documents
    tokens: int
    prompt_weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """Where a trained model lies and how it was learnt; `checkpoints` are the models on the way, by share of steps.

    `curve` has one point per 50 steps: `step`, `loss` (nats per token), `tokens`, `learning_rate`. `rates` are the
    learning rates at the checkpoints, as TracIn needs them.
    """

    folder: Path
    weights_hash: str
    steps: int
    tokens: int
    documents: int
    curve: tuple[dict[str, float], ...]
    checkpoints: dict[float, Path]
    rates: dict[float, float]


@cache
def known_tokenizer() -> Any:
    """Return the one tokenizer of all models on known documents."""
    return build_tokenizer(tokenizer_texts())


def encode(document: KnownDocument, tokenizer: Any, prompt_weight: float = 1.0) -> Row:
    """Tokenise a document, with the end token behind it."""
    prompt = tokenizer(document.prompt).input_ids if document.prompt else []
    completion = [*tokenizer(document.completion).input_ids, tokenizer.eos_token_id]
    return Row(ids=(*prompt, *completion), prompt=len(prompt), prompt_weight=prompt_weight)


def train_known(
    run: Run,
    stage: str,
    *names: Name,
    documents: Documents,
    count: int,
    epochs: int,
    size: ModelSize,
    train: TrainConfig,
    seed: int,
    progress: Progress | None = None,
    checkpoints: Sequence[float] = (),
) -> Trained:
    """Train on documents 0..count-1, `epochs` times in a new order each, or find that it was done.

    Args:      checkpoints: shares of the training (0 to 1, both excluded) at which the model is kept.
    """

    def plan(tokenizer: Any) -> tuple[list[list[Row]], int]:
        rows = [encode(documents(i), tokenizer) for i in range(count)]
        order = [bucket(rows, train.tokens_per_batch, "known", seed, epoch) for epoch in range(epochs)]
        return [batch for batches in order for batch in batches], count

    lesson = _Lesson(run, stage, names, size=size, train=train, seed=seed, checkpoints=checkpoints)
    return lesson.taught(plan, progress or Silent())


def train_phases(
    run: Run,
    stage: str,
    *names: Name,
    phases: Sequence[Phase],
    size: ModelSize,
    train: TrainConfig,
    seed: int,
    progress: Progress | None = None,
    checkpoints: Sequence[float] = (),
    start: Path | None = None,
) -> Trained:
    """Train on one phase after the other, each up to its number of tokens, or find that it was done.

    A document that would exceed the number of its phase is left out, with all behind it. The learning rate runs over
    all phases as one training.

    Args:      start: a model's folder to go on from (with a fresh optimizer) instead of from nothing.
    """

    def plan(tokenizer: Any) -> tuple[list[list[Row]], int]:
        batches, seen = [], 0
        for number, phase in enumerate(phases):
            rows = list(_within(phase, tokenizer))
            batches += bucket(rows, train.tokens_per_batch, "known", seed, "phase", number)
            seen += len(rows)
        return batches, seen

    lesson = _Lesson(run, stage, names, size=size, train=train, seed=seed, checkpoints=checkpoints, start=start)
    return lesson.taught(plan, progress or Silent())


def _within(phase: Phase, tokenizer: Any) -> Iterator[Row]:
    left, index = phase.tokens, 0
    while True:
        row = encode(phase.documents(index), tokenizer, phase.prompt_weight)
        left, index = left - len(row.ids), index + 1
        if left < 0:
            return
        yield row


class _Lesson:
    """One unit of training and its folders: `final`, `at-25`, ... and `partial` while it runs."""

    def __init__(
        self,
        run: Run,
        stage: str,
        names: Sequence[Name],
        *,
        size: ModelSize,
        train: TrainConfig,
        seed: int,
        checkpoints: Sequence[float],
        start: Path | None = None,
    ):
        if any(not 0 < share < 1 for share in checkpoints):
            raise ConfigError(f"checkpoints are shares of the training between 0 and 1, got {list(checkpoints)}")
        self.run, self.stage, self.names = run, stage, tuple(names)
        self.size, self.config, self.seed, self.start = size, train, seed, start
        self.shares = tuple(sorted(set(checkpoints)))
        self.folder = run.checkpoint("/".join(map(str, (stage, *names))))
        self.partial = self.folder / "partial"

    def taught(self, plan: Callable[[Any], tuple[list[list[Row]], int]], progress: Progress) -> Trained:
        value = self.run.unit(self.stage, *self.names, compute=lambda writer: self._learn(plan, writer, progress))
        atomic_remove(self.partial)  # only now: a kill before the commit goes on from it
        return Trained(
            folder=self.folder / "final",
            weights_hash=value["weights_hash"],
            steps=value["steps"],
            tokens=value["tokens"],
            documents=value["documents"],
            curve=tuple(value["curve"]),
            checkpoints={share: self._at(share) for share in self.shares},
            rates={share: value["rates"][_percent(share)] for share in self.shares},
        )

    def _learn(
        self, plan: Callable[[Any], tuple[list[list[Row]], int]], writer: UnitWriter, progress: Progress
    ) -> dict[str, Any]:
        tokenizer = known_tokenizer()
        batches, documents = plan(tokenizer)
        total = len(batches) // self.config.accumulate
        if not total:
            raise ConfigError(
                f"training {'/'.join(map(str, (self.stage, *self.names)))} has no documents to learn from"
            )
        model, config = self._model(len(tokenizer)), self.config
        optimizer = make_optimizer(model, config)
        first = self._restore(model, optimizer, writer)
        marks = {max(1, round(share * total)): share for share in self.shares}
        progress.start(title(self.stage, self.names), total=total, unit="steps")
        progress.advance(first)
        losses, tokens = [], 0
        steps = train(
            model,
            lambda i: batches[i],
            config,
            steps=total,
            pad=tokenizer.pad_token_id,
            optimizer=optimizer,
            first_step=first,
        )
        for step in steps:
            losses.append(step.loss)
            tokens += step.tokens
            progress.advance(1, f"loss {step.loss:.3f}")
            done = step.step + 1
            if done in marks:
                self._keep(self._at(marks[done]), model, tokenizer)
                self.run.metric(mark=_percent(marks[done]), learning_rate=step.learning_rate)
            if done % BLOCK and done < total:
                continue
            rate, loss = step.learning_rate, sum(losses) / len(losses)
            self.run.metric(step=done, loss=loss, tokens=tokens, learning_rate=rate)
            losses, tokens = [], 0
            if done % (BLOCK * SAVE_EVERY) == 0 and done < total:
                with atomic_directory(self.partial) as temporary:
                    save_state(temporary, model, optimizer, done)
                    writer.save_draft(temporary)
        self._keep(self.folder / "final", model, tokenizer)
        curve = [
            {name: point[name] for name in ("step", "loss", "tokens", "learning_rate")}
            for point in writer.metrics_so_far()
            if "loss" in point
        ]
        return {
            "weights_hash": weights_hash(model),
            "steps": total,
            "tokens": sum(point["tokens"] for point in curve),
            "documents": documents,
            "parameters": sum(p.numel() for p in model.parameters()),
            "curve": curve,
            "rates": {p["mark"]: p["learning_rate"] for p in writer.metrics_so_far() if "mark" in p},
        }

    def _model(self, vocabulary: int) -> Any:
        if self.start is not None:
            return load_model(str(self.start), device="cpu", dtype="float32").model
        size = self.size
        seed = seed_for("known", "weights", self.seed)
        return build_model(vocabulary, width=size.width, layers=size.layers, heads=size.heads, seed=seed)

    def _restore(self, model: Any, optimizer: Any, writer: UnitWriter) -> int:
        if not (self.partial / STATE).exists():
            return 0
        first, _ = load_state(self.partial, model, optimizer)
        writer.load_draft(self.partial)
        return first

    def _keep(self, folder: Path, model: Any, tokenizer: Any) -> None:
        with atomic_directory(folder) as temporary:
            save_model(temporary, model, tokenizer)

    def _at(self, share: float) -> Path:
        return self.folder / f"at-{_percent(share)}"


def _percent(share: float) -> str:
    return f"{100 * share:g}"

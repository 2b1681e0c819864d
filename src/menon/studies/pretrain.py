"""Pre-train the embedded model from nothing, with the hard bands held where they can be bootstrapped from.

After every block of steps a probe asks fresh questions at temperature 1. A family whose easy problems are known gets
more hard ones while its hard band is below the window, and far fewer while it is above: a step count cannot do that,
because skill comes in a sudden phase change. A block is a unit; its optimizer state is a checkpoint, so a killed
run goes on bit for bit.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from menon.core.progress import Progress
from menon.core.seeds import seed_for
from menon.models.embedded import build_model, build_tokenizer
from menon.models.load import save_model, weights_hash
from menon.problems import FAMILIES
from menon.problems.corpus import STEERED, Corpus, Document, Mixture, originals, tokenizer_texts
from menon.problems.prompts import STYLES
from menon.sampling.asking import Asking, Graded, ask
from menon.sampling.local import LocalSampler
from menon.stats import wilson
from menon.store import Run, atomic_directory, atomic_remove
from menon.studies.recipe import Pretrain, Window
from menon.teaching.rows import Row, bucket
from menon.teaching.train import load_state, make_optimizer, save_state, train

DOCUMENTS_PER_PLAN = 300
PROBED = ("addition", "chain", "facts")


def pretrain(run: Run, recipe: Pretrain, progress: Progress) -> dict[str, Any]:
    """Run or resume the pre-training and return its report: loss curve, probes, final accuracy."""
    tokenizer = build_tokenizer(tokenizer_texts())
    blocks = -(-recipe.steps // recipe.block)
    hard = {"addition": 0.0, "chain": 0.0, "facts": 0.0}
    documents = 0
    curve: list[dict[str, Any]] = []
    trainer = _Blocks(run, recipe, tokenizer)
    progress.start("pre-training", total=recipe.steps, unit="steps")
    for block in range(blocks):
        value = trainer.block(block, hard, documents, progress)
        hard, documents = value["next_hard"], value["documents"]
        curve.append(value)
    folder = run.checkpoint("base")
    value = run.unit("base", "save", compute=lambda _: trainer.save(folder, blocks))
    card = _card(run, recipe, trainer, folder, progress)
    seconds = run.seconds()
    return {
        "schema": 1,
        "study": "pretrain",
        "weights_hash": value["weights_hash"],
        "checkpoint": "checkpoints/base",
        "curve": curve,
        "card": card,
        "tokens": sum(point["tokens"] for point in curve),
        "seconds": seconds,
    }


def next_hard(hard: dict[str, float], accuracy: dict[str, dict[str, float]], window: Window) -> dict[str, float]:
    """Return the steered weights for the next block, from `accuracy[family][difficulty]` of the last probe."""
    result = dict(hard)
    for name, weight in hard.items():
        easy = [v for level, v in accuracy[name].items() if int(level) not in STEERED[name]]
        band = [v for level, v in accuracy[name].items() if int(level) in STEERED[name]]
        if sum(easy) / len(easy) < window.easy:
            continue
        if sum(band) / len(band) < window.low:
            result[name] = max(weight * 1.6, 0.02)
        elif sum(band) / len(band) > window.high:
            result[name] = weight * 0.3
    return result


class _Blocks:
    def __init__(self, run: Run, recipe: Pretrain, tokenizer: Any):
        self.run, self.recipe, self.tokenizer = run, recipe, tokenizer
        self.corpus = Corpus()
        self._model: Any = None
        self._optimizer: Any = None
        self._at = 0

    def block(self, number: int, hard: dict[str, float], documents: int, progress: Progress) -> dict[str, Any]:
        recipe = self.recipe
        first, last = number * recipe.block, min((number + 1) * recipe.block, recipe.steps)

        def compute(_writer: Any) -> dict[str, Any]:
            self._restore(number)
            stream = _Stream(self, hard, documents)
            rate = recipe.train.learning_rate * _decay(
                first / (recipe.schedule_steps or recipe.steps), recipe.decay_from
            )
            config = recipe.train.model_copy(
                update={"learning_rate": rate, "warmup_steps": recipe.train.warmup_steps if number == 0 else 0}
            )
            losses, tokens = [], 0
            for step in train(
                self._model, stream.batch, config, steps=last, pad=0, optimizer=self._optimizer, first_step=first
            ):
                losses.append(step.loss)
                tokens += step.tokens
                progress.advance(1, f"loss {step.loss:.3f}")
            self._at = number + 1
            with atomic_directory(self.run.checkpoint(f"state-{number + 1}")) as temporary:
                save_state(temporary, self._model, self._optimizer, last)
            atomic_remove(self.run.checkpoint(f"state-{number - 1}"))
            accuracy = self.accuracy("probe", recipe.probe, temperature=1.0)
            shares = {f: {k: v["value"] for k, v in cells.items()} for f, cells in accuracy.items()}
            return {
                "step": last,
                "loss": sum(losses) / len(losses),
                "learning_rate": rate,
                "tokens": tokens,
                "documents": stream.position,
                "hard": hard,
                "probe": shares,
                "next_hard": next_hard(hard, shares, recipe.window),
            }

        value = self.run.unit("pretrain", number, compute=compute)
        if self._at != number + 1:
            progress.advance(last - first)
        return value

    def save(self, folder: Path, blocks: int) -> dict[str, Any]:
        self._restore(blocks)
        with atomic_directory(folder) as temporary:
            save_model(temporary, self._model, self.tokenizer)
        return {"weights_hash": weights_hash(self._model)}

    def accuracy(
        self, split: str, count: int, *, temperature: float, mode: str = "worked"
    ) -> dict[str, dict[str, Any]]:
        """Return accuracy with Wilson interval per family and difficulty."""
        result: dict[str, dict[str, Any]] = {}
        sampler = LocalSampler(self._model, self.tokenizer, name="menon:base", slots=256)
        asking = Asking(style=STYLES.get("menon"), direct=mode == "direct", temperature=temperature)
        for name in PROBED:
            family = FAMILIES.get(name)
            known = originals(family) if name == "facts" or split == "original" else None
            problems = (
                known
                if known is not None
                else [family.problem(split, i, difficulty=d) for d in family.difficulties for i in range(count)]
            )
            graded = ask(sampler, problems, asking, "probe", split, hint=mode == "hinted")
            result[name] = _cells(graded, family.difficulties)
        return result

    def _restore(self, number: int) -> None:
        if self._model is not None and self._at == number:
            return
        if self._at > number and self._model is not None:
            raise AssertionError(f"pre-training cannot go back from block {self._at} to {number}")
        recipe = self.recipe
        seed = seed_for("pretrain", "weights", recipe.seed)
        self._model = build_model(
            len(self.tokenizer), width=recipe.width, layers=recipe.layers, heads=recipe.heads, seed=seed
        )
        self._optimizer = make_optimizer(self._model, recipe.train)
        if number:
            load_state(self.run.checkpoint(f"state-{number}"), self._model, self._optimizer)
        self._at = number


class _Stream:
    """Batches of one block; `position` is the next unread document."""

    def __init__(self, blocks: _Blocks, hard: dict[str, float], documents: int):
        mixture = Mixture(hard=hard, hinted_hard=blocks.recipe.hinted_hard)
        self._blocks, self._mixture, self.position = blocks, mixture, documents
        self._queue: list[list[Row]] = []

    def batch(self, _pass: int) -> list[Row]:
        recipe = self._blocks.recipe
        if not self._queue:
            documents = [
                self._blocks.corpus.document(self.position + i, self._mixture) for i in range(DOCUMENTS_PER_PLAN)
            ]
            self.position += DOCUMENTS_PER_PLAN
            rows = [encode(document, self._blocks.tokenizer, recipe.prompt_weight) for document in documents]
            self._queue = bucket(rows, recipe.train.tokens_per_batch, "pretrain", recipe.seed, self.position)
        return self._queue.pop()


def encode(document: Document, tokenizer: Any, prompt_weight: float) -> Row:
    """Tokenise a document, with the end token behind it."""
    prompt = tokenizer(document.prompt).input_ids if document.prompt else []
    completion = [*tokenizer(document.completion).input_ids, tokenizer.eos_token_id]
    return Row(ids=(*prompt, *completion), prompt=len(prompt), prompt_weight=prompt_weight)


def _decay(done: float, start: float) -> float:
    return 1.0 if done < start else 1 - 0.88 * (done - start) / max(1e-9, 1 - start)


def _cells(graded: Iterable[Graded], difficulties: Iterable[int]) -> dict[str, dict[str, Any]]:
    graded = list(graded)
    cells = {}
    for level in difficulties:
        rights = [item.grade.right for item in graded if item.problem.difficulty == level]
        if not rights:
            continue
        interval = wilson(sum(rights), len(rights))
        cells[str(level)] = {"value": interval.value, "low": interval.low, "high": interval.high, "n": len(rights)}
    return cells


def _card(run: Run, recipe: Pretrain, trainer: _Blocks, folder: Path, progress: Progress) -> dict[str, Any]:
    def compute(_writer: Any) -> dict[str, Any]:
        trainer._restore(-(-recipe.steps // recipe.block))
        progress.start("model card", total=5)
        card: dict[str, Any] = {}
        for name, split, temperature, mode in (
            ("greedy", "test", 0.0, "worked"),
            ("temperature 1", "test", 1.0, "worked"),
            ("hinted, temperature 1", "test", 1.0, "hinted"),
            ("direct, greedy", "test", 0.0, "direct"),
            ("originals, greedy", "original", 0.0, "worked"),
        ):
            card[name] = trainer.accuracy(split, recipe.card, temperature=temperature, mode=mode)
            progress.advance(1)
        return card

    return run.unit("base", "card", compute=compute)

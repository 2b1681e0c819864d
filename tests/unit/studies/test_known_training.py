"""Training on known documents: the same weights as a plain loop over the same batches, also after a kill."""

from pathlib import Path

import pytest
from safetensors.torch import load_file

from menon.core.errors import ConfigError
from menon.core.progress import Silent
from menon.core.seeds import seed_for
from menon.models.embedded import build_model
from menon.models.load import load_model, weights_hash
from menon.problems.known.values import KnownDocument
from menon.store import Run
from menon.studies.known import training
from menon.studies.known.training import ModelSize, Phase, encode, known_tokenizer, train_known, train_phases
from menon.teaching.config import TrainConfig
from menon.teaching.rows import Epochs
from menon.teaching.train import train

SIZE = ModelSize(width=16, layers=1, heads=2)
TRAIN = TrainConfig(tokens_per_batch=128, warmup_steps=2, learning_rate=3e-3)
COUNT, EPOCHS = 24, 3


def document(index: int) -> KnownDocument:
    question = f"{index % 7}+{index % 5}"
    return KnownDocument(
        kind="procedure", form="text", source="textbook", family="sum", teaches=("procedure:sum",),
        prompt=f"{question}=", completion=f"add {index % 7} and {index % 5} #{index % 7 + index % 5}",
    )  # fmt: skip


def open_run(folder: Path) -> Run:
    return Run.create_or_resume(folder, recipe_toml="study = 'known'\n", manifest={})


def teach(run: Run, name: str = "a", **more):
    given = {"documents": document, "count": COUNT, "epochs": EPOCHS, "size": SIZE, "train": TRAIN, "seed": 3, **more}
    return train_known(run, "train", name, **given)


class KilledAt(Silent):
    """Dies like a process that is killed, after some steps."""

    def __init__(self, steps: int):
        self.left = steps

    def advance(self, amount: float = 1.0, note: str = "") -> None:
        if not note:
            return
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


class Counted(Silent):
    def __init__(self) -> None:
        self.steps = 0

    def advance(self, amount: float = 1.0, note: str = "") -> None:
        self.steps += bool(note)


def test_the_weights_are_those_of_a_plain_loop_over_epochs(tmp_path: Path):
    with open_run(tmp_path / "run") as run:
        taught = teach(run)
    tokenizer = known_tokenizer()
    rows = [encode(document(i), tokenizer) for i in range(COUNT)]
    model = build_model(len(tokenizer), width=16, layers=1, heads=2, seed=seed_for("known", "weights", 3))
    epochs = Epochs(rows, TRAIN.tokens_per_batch, "known", 3)
    losses = [step.loss for step in train(model, epochs.batch, TRAIN, steps=taught.steps, pad=0)]
    assert weights_hash(model) == taught.weights_hash
    assert weights_hash(load_model(str(taught.folder), device="cpu", dtype="float32").model) == taught.weights_hash
    assert taught.curve[-1]["loss"] == pytest.approx(sum(losses) / len(losses))
    assert taught.tokens == EPOCHS * sum(len(row.ids) for row in rows)


def test_a_whole_document_is_learnt_and_the_end_token_too():
    tokenizer = known_tokenizer()
    row = encode(document(3), tokenizer)
    assert tokenizer.decode(row.ids[:-1]) == document(3).text
    assert row.ids[-1] == tokenizer.eos_token_id
    assert row.weight == row.prompt_weight == 1.0


def test_a_killed_training_goes_on_and_ends_with_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(training, "BLOCK", 2)
    monkeypatch.setattr(training, "SAVE_EVERY", 2)
    with open_run(tmp_path / "whole") as run:
        whole = teach(run, checkpoints=(0.25, 0.5))
    with open_run(tmp_path / "killed") as run, pytest.raises(KeyboardInterrupt):
        teach(run, checkpoints=(0.25, 0.5), progress=KilledAt(whole.steps - 1))
    counted = Counted()
    with open_run(tmp_path / "killed") as run:
        resumed = teach(run, checkpoints=(0.25, 0.5), progress=counted)
    assert 0 < counted.steps <= 5  # from the last saved state, not from the first step
    assert resumed.weights_hash == whole.weights_hash
    assert resumed.curve == whole.curve
    for share in (0.25, 0.5):
        first, second = (load_file(taught.checkpoints[share] / "model.safetensors") for taught in (whole, resumed))
        assert all((first[name] == second[name]).all() for name in first)
    assert not list((tmp_path / "killed").rglob("partial"))


def test_checkpoints_are_models_on_the_way_with_their_learning_rates(tmp_path: Path):
    with open_run(tmp_path / "run") as run:
        taught = teach(run, checkpoints=(0.5,))
    tokenizer = known_tokenizer()
    rows = [encode(document(i), tokenizer) for i in range(COUNT)]
    model = build_model(len(tokenizer), width=16, layers=1, heads=2, seed=seed_for("known", "weights", 3))
    epochs = Epochs(rows, TRAIN.tokens_per_batch, "known", 3)
    kept = weights_hash(load_model(str(taught.checkpoints[0.5]), device="cpu", dtype="float32").model)
    hashes, rates = [], []
    for step in train(model, epochs.batch, TRAIN, steps=taught.steps, pad=0):
        hashes.append(weights_hash(model))
        rates.append(step.learning_rate)
    place = hashes.index(kept)
    assert place + 1 == round(0.5 * taught.steps)
    assert taught.rates[0.5] == pytest.approx(rates[place])


def test_a_finished_training_is_not_computed_again(tmp_path: Path):
    def never(_index: int) -> KnownDocument:
        raise AssertionError("the documents of a finished training are not needed")

    with open_run(tmp_path / "run") as run:
        first = teach(run)
        assert teach(run, documents=never) == first


def test_arms_of_one_seed_start_alike_and_other_seeds_do_not(tmp_path: Path):
    with open_run(tmp_path / "run") as run:
        first, second = teach(run, "a"), teach(run, "b")
        other = teach(run, "c", seed=4)
    assert first.weights_hash == second.weights_hash != other.weights_hash


def test_phases_hold_their_numbers_of_tokens(tmp_path: Path):
    seen: list[int] = []

    def late(index: int) -> KnownDocument:
        seen.append(index)
        return document(index + 1000)

    with open_run(tmp_path / "run") as run:
        taught = train_phases(
            run, "train", "phases", phases=[Phase(documents=document, tokens=300), Phase(documents=late, tokens=200)],
            size=SIZE, train=TRAIN, seed=3,
        )  # fmt: skip
    longest = max(len(encode(document(i), known_tokenizer()).ids) for i in range(40))
    assert 500 - 2 * longest < taught.tokens <= 500
    assert seen == list(range(len(seen)))
    assert taught.documents > len(seen) - 1 > 0


def test_later_phases_come_last_and_start_where_a_model_stands(tmp_path: Path):
    """Two phases without a schedule are two trainings of which the second starts from the first's weights."""
    config = TRAIN.model_copy(update={"learning_rate": 1e-9})
    with open_run(tmp_path / "run") as run:
        first = teach(run)
        still = train_phases(
            run, "train", "more", phases=[Phase(documents=document, tokens=200, prompt_weight=0.0)],
            size=SIZE, train=config, seed=3, start=first.folder,
        )  # fmt: skip
    before, after = (load_file(folder / "model.safetensors") for folder in (first.folder, still.folder))
    assert max(float((before[name] - after[name]).abs().max()) for name in before) < 1e-6
    assert still.weights_hash != first.weights_hash


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5])
def test_a_checkpoint_outside_the_training_is_refused(tmp_path: Path, share: float):
    with open_run(tmp_path / "run") as run, pytest.raises(ConfigError, match="between 0 and 1"):
        teach(run, checkpoints=(share,))

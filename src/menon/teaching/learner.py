"""The weights that a loop learns: the base, its fine-tuned checkpoints, and the sampler over the current one.

Weights are loaded when they are first needed, so a resumed run whose units are done never touches the model. Left out:
sharded models; they are loaded and saved by the same calls, but only one process trains them here.
"""

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from menon.core.errors import ConfigError
from menon.core.seeds import seed_for
from menon.models.adapters import peft_package, with_lora
from menon.models.load import Loaded, load_model, save_model
from menon.sampling.local import LocalSampler
from menon.store import atomic_directory, atomic_remove
from menon.teaching.config import StarConfig, TrainConfig
from menon.teaching.rows import Epochs, Row
from menon.teaching.train import STATE, Step, load_state, make_optimizer, save_state, train


class Learner:
    """A base model and whichever checkpoint of it is current."""

    def __init__(self, spec: str, *, device: str = "auto", dtype: str = "auto", slots: int = 128):
        self.spec, self._device, self._dtype, self._slots = spec, device, dtype, slots
        self._base: Loaded | None = None
        self._current: Any = None
        self._folder: Path | None = None
        self._loaded_folder: Path | None = None

    @property
    def base(self) -> Loaded:
        """The base model, loaded on first use and never changed.

        Raises:
            ConfigError: it cannot be loaded, or its tokenizer has no end token to learn to stop with.
        """
        if self._base is None:
            base = load_model(self.spec, device=self._device, dtype=self._dtype)
            if base.tokenizer.eos_token_id is None:
                raise ConfigError(
                    f"the tokenizer of {self.spec!r} has no end token (eos_token), so the model could not learn where "
                    "an answer ends; set tokenizer.eos_token and save the tokenizer again"
                )
            self._base = base
        return self._base

    @property
    def tokenizer(self) -> Any:
        return self.base.tokenizer

    def use(self, folder: Path | None) -> None:
        """Make the checkpoint in `folder` current (None: the base)."""
        self._folder = folder

    def sampler(self) -> LocalSampler:
        """Return a sampler over the current weights."""
        name = self.spec if self._folder is None else f"{self.spec}@{self._folder.name}"
        return LocalSampler(self._model(), self.base.tokenizer, name=name, slots=self._slots)

    def _model(self) -> Any:
        if self._folder is None:
            return self.base.model
        if self._loaded_folder != self._folder:
            self._current = self._load(self._folder)
            self._loaded_folder = self._folder
        return self._current

    def _load(self, folder: Path) -> Any:
        if (folder / "adapter_config.json").exists():
            with peft_package() as peft:
                return peft.PeftModel.from_pretrained(copy.deepcopy(self.base.model), folder).merge_and_unload().eval()
        dtype = str(self.base.model.dtype).removeprefix("torch.")
        return load_model(str(folder), device=str(self.base.device), dtype=dtype).model

    def _start(self, star: StarConfig, names: Sequence[str | int]) -> Any:
        """Return a copy of the weights to train: the base's or the current ones, with an adapter if asked for."""
        if not star.lora_rank:
            return copy.deepcopy(self.base.model if star.restart else self._model())
        base = copy.deepcopy(self.base.model)
        if star.restart or self._folder is None:
            # A resumed round has to begin with the same adapter.
            return with_lora(base, rank=star.lora_rank, alpha=star.lora_alpha, seed=seed_for("lora", *names))
        # Going on means training the same adapter further, so that every checkpoint is one adapter of the base.
        with peft_package() as peft:
            return peft.PeftModel.from_pretrained(base, self._folder, is_trainable=True)

    def fit(
        self,
        rows: Sequence[Row],
        folder: Path,
        star: StarConfig,
        config: TrainConfig,
        *,
        steps: int,
        names: Sequence[str | int],
        token_budget: int | None = None,
        save_every: int = 0,
    ) -> Iterator[Step]:
        """Fine-tune on `rows` from the base (or from the current weights) and write the checkpoint to `folder`.

        Args:
            names: name the order of the rows.
            token_budget: stop after this many real tokens, even before `steps`.
            save_every: write the optimizer's state every so many steps beside `folder`, to go on from.
        """
        model = self._start(star, names)
        optimizer = make_optimizer(model, config)
        partial = folder.with_name(f"{folder.name}.partial")
        first, history = 0, []
        if (partial / STATE).exists():
            first, history = load_state(partial, model, optimizer)
        # Steps done before an interruption are reported again, so that whoever counts them sees one whole run.
        yield from history
        seen = sum(step.tokens for step in history)
        epochs = Epochs(rows, config.tokens_per_batch, *names)
        for step in train(
            model,
            epochs.batch,
            config,
            steps=steps if token_budget is None or seen < token_budget else first,
            pad=self.tokenizer.pad_token_id,
            optimizer=optimizer,
            first_step=first,
        ):
            seen += step.tokens
            history.append(step)
            yield step
            if token_budget is not None and seen >= token_budget:
                break
            if save_every and (step.step + 1) % save_every == 0 and step.step + 1 < steps:
                with atomic_directory(partial) as temporary:
                    save_state(temporary, model, optimizer, step.step + 1, history)
        with atomic_directory(folder) as temporary:
            save_model(temporary, model, self.tokenizer)
        atomic_remove(partial)
        model = model.merge_and_unload() if star.lora_rank else model
        self._current, self._loaded_folder, self._folder = model.eval(), folder, folder

"""A LoRA adapter under a thinking model: only the adapter, the thought vectors and the mixing head learn."""

import warnings
from pathlib import Path
from typing import Any

import torch

from menon.core.errors import ConfigError
from menon.core.seeds import seed_for
from menon.teaching.quiet.config import QuietConfig


def with_adapter(model: Any, config: QuietConfig, name: str, *names: str | int) -> Any:
    """Wrap `model` in a fresh adapter on all linear layers, initialised from `names`.

    `name` goes into adapter_config.json: it is where the base is loaded from again.

    Raises:
        ConfigError: peft is not installed.
    """
    try:
        import peft
    except ImportError as error:
        raise ConfigError(
            "quiet.lora_rank needs the package peft: pip install 'menon[train]', or set it to 0"
        ) from error
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        # peft asks transformers for a name that transformers 5 has deprecated.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        torch.manual_seed(seed_for("quiet lora", *names))
        adapter = peft.LoraConfig(
            r=config.lora_rank,
            lora_alpha=config.lora_alpha,  # pyright: ignore[reportArgumentType]
            target_modules="all-linear",
            task_type="CAUSAL_LM",
            lora_dropout=0.0,
            base_model_name_or_path=str(Path(name).resolve()) if Path(name).exists() else name,
        )
        return peft.get_peft_model(model, adapter)

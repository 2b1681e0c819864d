"""LoRA adapters by PEFT: made with a seed of their own, and the package opened where it is needed only.

Source: LoRA, Hu et al. 2021, arXiv:2106.09685.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from menon.core.errors import ConfigError


@contextmanager
def peft_package() -> Iterator[Any]:
    """Import PEFT and keep a warning of its own quiet; raise `ConfigError` when it is not installed."""
    try:
        import peft
    except ImportError as error:
        raise ConfigError(
            "lora_rank needs the package peft: pip install 'menon[train]', or set it to 0; a saved one needs it too"
        ) from error
    with warnings.catch_warnings():
        # peft asks transformers for a name that transformers 5 has deprecated.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        yield peft


def with_lora(model: Any, *, rank: int, alpha: float, seed: int, base: str | None = None) -> Any:
    """Wrap `model` in a fresh adapter on all linear layers; equal seeds give equal adapters.

    Args:      base: where the model is loaded from again, for adapter_config.json.
    """
    with peft_package() as peft, torch.random.fork_rng(devices=[]):
        config = peft.LoraConfig(
            r=rank,
            lora_alpha=alpha,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
            lora_dropout=0.0,
            base_model_name_or_path=base,
        )
        torch.manual_seed(seed)
        return peft.get_peft_model(model, config)

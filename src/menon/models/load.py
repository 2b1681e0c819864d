"""Load any Hugging Face causal language model, the embedded one included, and refuse what is unsafe or unusable.

Only safetensors weights are read: a pickle file can run code when it is opened. Remote code is never executed.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from menon.core.errors import ConfigError

EMBEDDED = "menon:base"
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A model with its tokenizer, the name it was asked for by, and a hash of its weights."""

    model: Any
    tokenizer: Any
    spec: str
    weights_hash: str

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return sum(p.numel() for p in self.model.parameters())

    @property
    def context(self) -> int | None:
        """Longest sequence in tokens, None where the architecture sets no bound."""
        return getattr(self.model.config.get_text_config(), "max_position_embeddings", None)


def load_model(spec: str, *, device: str = "auto", dtype: str = "auto") -> Loaded:
    """Load `menon:base`, a folder, or a Hugging Face id as a causal language model in evaluation mode.

    Args:
        device: "auto" takes a GPU when there is one.
        dtype: "auto" keeps float32 on a CPU and the stored type on a GPU; else "float32", "bfloat16", "float16".

    Raises:
        ConfigError: no such model, no tokenizer, pickle weights, an architecture that needs remote code, or no network.
    """
    from transformers import AutoModelForCausalLM

    _no_bars()

    origin = source(spec)
    if isinstance(origin, Path):
        _refuse_unsafe(origin, spec)
    place = _place(device)
    kind = {"auto": "auto" if place.type != "cpu" else "float32"}.get(dtype, dtype)
    tokenizer = load_tokenizer(spec)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            str(origin), dtype=kind, use_safetensors=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ConfigError(_explain(spec, error)) from error
    model = model.to(place).eval()  # pyright: ignore[reportArgumentType]
    return Loaded(model=model, tokenizer=tokenizer, spec=spec, weights_hash=weights_hash(model))


def _place(device: str) -> torch.device:
    try:
        place = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
    except RuntimeError:
        place = None
    if place is None or (place.type == "cuda" and not torch.cuda.is_available()):
        raise ConfigError(f"device is {device!r}; allowed here: auto, cpu{', cuda' * torch.cuda.is_available()}")
    return place


def load_tokenizer(spec: str) -> Any:
    """Load the tokenizer of `spec`; raise `ConfigError` when there is none."""
    from transformers import AutoTokenizer

    origin = source(spec)
    if isinstance(origin, Path) and not any(
        (origin / name).exists()
        for name in ("tokenizer.json", "tokenizer.model", "vocab.json", "tokenizer_config.json")
    ):
        raise ConfigError(
            f"the model folder {spec!r} has no tokenizer (looked for tokenizer.json, tokenizer.model, vocab.json); "
            "save it there with tokenizer.save_pretrained(folder)"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(origin), trust_remote_code=False)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ConfigError(_explain(spec, error)) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def save_model(folder: Path, model: Any, tokenizer: Any) -> None:
    """Write weights (safetensors), configuration and tokenizer to `folder`, loadable by `from_pretrained`."""
    _no_bars()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _no_bars() -> None:
    # Progress is ours to show; transformers would write its own bars to standard error.
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()


def weights_hash(model: Any) -> str:
    """Return a hash of every weight's name, shape and bytes."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()[:20]


def source(spec: str) -> str | Path:
    """Return the folder that `spec` names, or the Hugging Face id itself."""
    if spec == EMBEDDED:
        from menon.models.embedded import folder

        return folder()
    if spec.startswith(("http://", "https://", "recorded:", "scripted:")):
        raise ConfigError(f"{spec!r} has no weights to load; give a folder, a Hugging Face id or {EMBEDDED}")
    path = Path(spec).expanduser()
    if path.exists() or spec.startswith((".", "/", "~")):
        if not (path / "config.json").exists():
            raise ConfigError(f"{spec!r} is not a model folder: it has no config.json")
        return path
    return spec


def _refuse_unsafe(folder: Path, spec: str) -> None:
    if any(folder.glob("*.safetensors")):
        return
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    if pickles:
        raise ConfigError(
            f"{spec!r} holds pickle weights ({pickles[0]}), which can run code when opened; Menon reads safetensors "
            "only: convert them in a place you trust with model.save_pretrained(folder, safe_serialization=True)"
        )
    raise ConfigError(f"{spec!r} has no weights: no *.safetensors file in it")


def _explain(spec: str, error: Exception) -> str:
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if "trust_remote_code" in str(error):
        return f"{spec!r} needs code from its repository, which Menon never runs; use an architecture of transformers"
    return (
        f"cannot load {spec!r}: {first}. Allowed: {EMBEDDED}, a folder with config.json, safetensors and a tokenizer, "
        "or a Hugging Face id (needs the network or a filled cache; HF_HUB_OFFLINE=1 uses the cache alone)"
    )

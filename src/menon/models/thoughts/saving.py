"""A thinking model on disk: the plain Hugging Face folder, and beside it what makes the model think.

`thoughts.safetensors` holds the start, end and pause vectors and the mixing head, `thoughts.json` the settings. Whoever
ignores the two files has the plain model, with no code but that of transformers. A model with a LoRA adapter is saved
as the adapter; its base is found by the name in adapter_config.json. Left out: writing atomically, which is for the
caller who knows what else belongs into the folder.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError
from safetensors import SafetensorError
from torch import Tensor, nn

from menon.core.errors import ConfigError
from menon.core.recipe import Section
from menon.models.adapters import peft_package
from menon.models.load import EMBEDDED, Loaded, load_model, save_model, weights_hash
from menon.models.thoughts.mixing import MixingHead
from menon.models.thoughts.quiet import QuietModel
from menon.models.thoughts.settings import ThoughtSettings
from menon.models.thoughts.support import check_supported, check_together, inner_model, set_dropout_off
from menon.models.thoughts.tokens import ThoughtTokens

WEIGHTS, SETTINGS, ADAPTER = "thoughts.safetensors", "thoughts.json", "adapter_config.json"


class ThoughtsFile(Section):
    """What `thoughts.json` holds."""

    format: Literal["menon-thoughts"] = "menon-thoughts"
    version: Literal[1] = 1
    settings: ThoughtSettings
    banned_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietLoaded:
    """A thinking model, the plain model in it with its tokenizer, and a hash of all weights, thoughts included."""

    quiet: QuietModel
    loaded: Loaded
    weights_hash: str

    @property
    def tokenizer(self) -> Any:
        return self.loaded.tokenizer


def save_quiet(folder: Path, quiet: QuietModel, tokenizer: Any) -> None:
    """Write the model (or its LoRA adapter), the tokenizer and the two files of thoughts to `folder`.

    Raises:
        ConfigError: an adapter whose base model has no name, so that nothing could load it again.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    if hasattr(quiet.model, "peft_config"):
        _name_base(quiet.model)
        with peft_package():
            save_model(folder, quiet.model, tokenizer)
    else:
        save_model(folder, quiet.model, tokenizer)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in _parts(quiet).state_dict().items()}
    save_file(_flat(tensors), folder / WEIGHTS, metadata={"format": "pt"})
    said = ThoughtsFile(settings=quiet.settings, banned_ids=quiet.banned_ids)
    (folder / SETTINGS).write_text(json.dumps(said.model_dump(mode="json"), indent=2) + "\n", encoding="utf-8")


def has_thoughts(spec: str) -> bool:
    """Return whether `spec` names a folder, or a cached or reachable Hugging Face id, that was saved with thoughts."""
    return _file(spec, SETTINGS) is not None


def load_quiet(spec: str, *, device: str = "auto", dtype: str = "auto", trainable: bool = False) -> QuietLoaded:
    """Load a model that `save_quiet` wrote; dropout is off, and the thoughts' parts are where the model is.

    Args:
        trainable: let a LoRA adapter learn on (all other parameters always can).

    Raises:
        ConfigError: no thoughts there, a damaged file (which is named), or what `load_model` refuses.
    """
    settings_path, weights_path = _file(spec, SETTINGS), _file(spec, WEIGHTS)
    if settings_path is None or weights_path is None:
        absent = SETTINGS if settings_path is None else WEIGHTS
        raise ConfigError(
            f"{spec!r} has no {absent}, so it cannot think; give a folder that `menon teach quiet-star` wrote, or use "
            "it as a plain model"
        )
    said, tensors = _read_settings(settings_path), _read_weights(weights_path)
    loaded = _load_adapter(Path(spec), device, dtype, trainable) if _is_adapter(spec) else None
    loaded = loaded or load_model(spec, device=device, dtype=dtype)
    check_supported(loaded.model)
    set_dropout_off(loaded.model)
    tokens, head = _build(said.settings, tensors, loaded.model, weights_path)
    quiet = QuietModel(loaded.model, tokens, head, said.settings, said.banned_ids).eval()
    check_together(quiet.model, tokens)
    check_together(quiet.model, head)
    digest = hashlib.sha256(f"{loaded.weights_hash}{weights_hash(_parts(quiet))}".encode()).hexdigest()[:20]
    return QuietLoaded(quiet=quiet, loaded=loaded, weights_hash=digest)


def _parts(quiet: QuietModel) -> nn.ModuleDict:
    return nn.ModuleDict({"tokens": quiet.thought_tokens, "head": quiet.head})


def _flat(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix("tokens."): tensor for name, tensor in tensors.items()}


def _file(spec: str, name: str) -> Path | None:
    if spec == EMBEDDED:
        return None
    folder = Path(spec).expanduser()
    if folder.exists() or spec.startswith((".", "/", "~")):
        return folder / name if (folder / name).is_file() else None
    if spec.count("/") > 1 or ":" in spec:  # no Hugging Face id
        return None
    from transformers.utils.hub import cached_file

    found = cached_file(
        spec, name, _raise_exceptions_for_gated_repo=False, _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )  # fmt: skip
    return Path(found) if found else None


def _read_settings(path: Path) -> ThoughtsFile:
    try:
        return ThoughtsFile.model_validate_json(path.read_bytes(), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ConfigError(
            f"{str(path)!r} cannot be used: {where}: {first['msg']} (got {first['input']!r:.60}); this Menon reads "
            f"version 1 of menon-thoughts, as save_quiet writes it"
        ) from error


def _read_weights(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ConfigError(
            f"{str(path)!r} is damaged and cannot be read ({error}); copy it again, or save the model again"
        ) from error


def _build(
    settings: ThoughtSettings, tensors: dict[str, Tensor], model: Any, path: Path
) -> tuple[ThoughtTokens, MixingHead]:
    """Return the thought vectors and the mixing head with the weights of the file, where the model is."""
    plain = inner_model(model)
    weight = plain.get_input_embeddings().weight
    width = plain.get_output_embeddings().weight.shape[1]
    empty = weight.detach()[0]
    tokens = ThoughtTokens(empty, empty)
    head = MixingHead(width, settings.head, initial_weight=settings.initial_weight)
    expected = {**tokens.state_dict(), **{f"head.{name}": tensor for name, tensor in head.state_dict().items()}}
    wrong = [
        f"{name} has {list(tensors[name].shape) if name in tensors else 'no entry'}, needed {list(tensor.shape)}"
        for name, tensor in expected.items()
        if name not in tensors or tensors[name].shape != tensor.shape
    ] + [f"{name} is unknown" for name in sorted(set(tensors) - set(expected))]
    if wrong:
        raise ConfigError(
            f"{str(path)!r} does not belong to this model and these settings: {wrong[0]}; keep the files of one "
            "checkpoint together"
        )
    tokens.load_state_dict({name: tensors[name] for name in tokens.state_dict()})
    head.load_state_dict({name: tensors[f"head.{name}"] for name in head.state_dict()})
    tokens.to(device=weight.device, dtype=weight.dtype)
    head.to(device=weight.device, dtype=weight.dtype)
    return tokens, head


def _is_adapter(spec: str) -> bool:
    folder = Path(spec).expanduser()
    return (folder / ADAPTER).is_file() and not (folder / "config.json").is_file()


def _load_adapter(folder: Path, device: str, dtype: str, trainable: bool) -> Loaded:
    folder = folder.expanduser()
    base = load_model(_base_name(folder / ADAPTER), device=device, dtype=dtype)
    try:
        with peft_package() as peft:
            model = peft.PeftModel.from_pretrained(base.model, folder, is_trainable=trainable).eval()
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ConfigError(f"the adapter in {str(folder)!r} does not fit its base {base.spec!r}: {error}") from error
    # The tokenizer is the base's, to which the adapter changed nothing.
    return replace(base, model=model, spec=str(folder), weights_hash=weights_hash(model))


def _base_name(path: Path) -> str:
    try:
        name = json.loads(path.read_text(encoding="utf-8")).get("base_model_name_or_path")
    except (ValueError, AttributeError) as error:
        raise ConfigError(f"{str(path)!r} is damaged and cannot be read ({error})") from error
    if not isinstance(name, str) or not name:
        raise ConfigError(f"{str(path)!r} names no base model; set base_model_name_or_path to its folder or id")
    return name


def _name_base(model: Any) -> None:
    """Write the base's name into the adapter's configuration, or say that it has none."""
    for config in model.peft_config.values():
        config.base_model_name_or_path = config.base_model_name_or_path or getattr(
            inner_model(model), "name_or_path", None
        )
        if not config.base_model_name_or_path:
            raise ConfigError(
                "the model under the adapter has no name, so the adapter could not be loaded again; save the base "
                "model to a folder, load it from there, and put the adapter on that"
            )

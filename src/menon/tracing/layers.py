"""Which layers of a model are traced, and what is left out and why.

Traced are the weights and biases of `nn.Linear` and of GPT-2's `Conv1D`; of a model with LoRA adapters those of the
adapters, since they are what was trained. Norms, embeddings and the output head are never traced, as in the papers.
Source: Grosse et al. 2023, arXiv:2308.03296, section 3.1 (MLP parameters only); Ruis et al. 2024, arXiv:2411.12580.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from menon.core.errors import ConfigError
from menon.core.seeds import content_id

UNSUPPORTED = "unsupported"
# Names of feed-forward blocks and of their projections in the architectures of transformers.
_MLP = re.compile(
    r"(^|\.)(mlp|ffn|feed_forward|feedforward|fc1|fc2|fc_in|fc_out|dense_h_to_4h|dense_4h_to_h|gate_proj|up_proj|"
    r"down_proj|gate_up_proj|c_fc|wi|wi_0|wi_1|wo|w1|w2|w3|experts)(\.|$)"
)
_ATTENTION = re.compile(r"(^|\.)(attn|attention|self_attn|self_attention)(\.|$)")
_ADAPTER = re.compile(r"(^|\.)lora_[AB](\.|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedLayer:
    """A linear layer: `inputs` counts the constant that stands for the bias; gradients are (outputs, inputs)."""

    name: str
    module: nn.Module
    kind: str
    inputs: int
    outputs: int
    bias: bool

    @property
    def parameters(self) -> int:
        return self.inputs * self.outputs


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A module with parameters of its own that is not traced."""

    name: str
    type: str
    parameters: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """The traced layers in the order of the model, and what was left out."""

    items: tuple[TracedLayer, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(layer.name for layer in self.items)

    @property
    def parameters(self) -> int:
        """Number of traced parameters."""
        return sum(layer.parameters for layer in self.items)

    @property
    def hash(self) -> str:
        return content_id("layers", [[layer.name, layer.kind, layer.inputs, layer.outputs] for layer in self.items])


def traced_layers(model: Any, *, select: str = "mlp", skip: Sequence[str] = ()) -> Layers:
    """Return the layers that `select` names: "mlp", "all", or names with `*`, separated by commas.

    Raises:
        ConfigError: nothing is selected, or a selected module is of a type that cannot be traced; the message names
            it, and `skip` leaves it out (by name, or all of them as "unsupported").
    """
    head = _head_of(model)
    adapters = any(_ADAPTER.search(name) for name, _ in model.named_modules())
    items: list[TracedLayer] = []
    left_out: list[LeftOut] = []
    refused: list[LeftOut] = []
    for name, module in model.named_modules():
        own = list(module.parameters(recurse=False))
        if not own:
            continue
        layer = None if module is head else _linear(name, module)
        why = _why_not(name, module, own, layer, head=head, adapters=adapters, select=select, skip=skip)
        if why is None and layer is not None:
            items.append(layer)
            continue
        out = LeftOut(name=name, type=type(module).__name__, parameters=sum(p.numel() for p in own), why=why or "")
        if why is None:
            refused.append(out)
            continue
        left_out.append(out)
    if refused:
        first = ", ".join(f"{out.name} ({out.type}, {out.parameters:,} parameters)" for out in refused[:5])
        raise ConfigError(
            f"cannot trace {len(refused)} of the selected layers: {first}. Only nn.Linear and Conv1D can be traced; "
            f"leave them out with tracing.skip = [{refused[0].name!r}], or all of them with ['{UNSUPPORTED}']"
        )
    if not items:
        linear = [name for name, module in model.named_modules() if _linear(name, module) and module is not head]
        raise ConfigError(
            f"tracing.layers = {select!r} selects no linear layer; allowed: mlp, all, or names with *. "
            f"This model has: {', '.join(linear[:12]) or 'none at all'}{', ...' if len(linear) > 12 else ''}"
        )
    return Layers(items=tuple(items), left_out=tuple(left_out))


def _why_not(
    name: str,
    module: nn.Module,
    own: Sequence[nn.Parameter],
    layer: TracedLayer | None,
    *,
    head: Any,
    adapters: bool,
    select: str,
    skip: Sequence[str],
) -> str | None:
    """Return why a module is left out, None where it is selected."""
    if module is head:
        return "output head"
    if isinstance(module, nn.Embedding):
        return "embedding"
    if all(parameter.ndim < 2 for parameter in own):
        return "norm or other vector"
    if any(fnmatchcase(name, pattern) for pattern in skip):
        return "skipped on request"
    if adapters:
        return None if _ADAPTER.search(name) else "not part of the adapter"
    if not _selected(name, select):
        return f"not selected by {select!r}"
    if layer is None and UNSUPPORTED in skip:
        return "cannot be traced; skipped on request"
    return None


def _selected(name: str, select: str) -> bool:
    if select == "all":
        return True
    if select == "mlp":
        return bool(_MLP.search(name)) and not _ATTENTION.search(name)
    return any(fnmatchcase(name, pattern.strip()) for pattern in select.split(","))


def _linear(name: str, module: nn.Module) -> TracedLayer | None:
    """Describe a module as a linear layer; None where it is none, or is quantised."""
    weight = getattr(module, "weight", None)
    if not isinstance(module, nn.Linear | Conv1D) or not isinstance(weight, torch.Tensor):
        return None
    if not weight.is_floating_point() or weight.ndim != 2:
        return None
    conv = isinstance(module, Conv1D)
    outputs, inputs = weight.shape[::-1] if conv else weight.shape
    bias = getattr(module, "bias", None) is not None
    return TracedLayer(
        name=name,
        module=module,
        kind="conv1d" if conv else "linear",
        inputs=int(inputs) + bias,
        outputs=int(outputs),
        bias=bias,
    )


def _head_of(model: Any) -> Any:
    """Return the output head, which PEFT may have wrapped."""
    getter = getattr(model, "get_output_embeddings", None)
    return getter() if getter is not None else None


def named_gradients(layers: Layers) -> Iterator[tuple[TracedLayer, list[nn.Parameter]]]:
    """Yield each layer with its own parameters (weight, then bias), for checks against autograd."""
    for layer in layers.items:
        parameters: Any = [layer.module.weight, *([layer.module.bias] if layer.bias else [])]
        yield layer, parameters

"""Tiny trained models, their documents, and influence computed the slow way, for the tests of tracing.

Documents are facts (a name has a colour) and worked sums, as token ids without a tokenizer. The references use nothing
of the engine but the numbers that labels are drawn with: plain autograd, one token or one document at a time, float64.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
)

from menon.core.seeds import rng_for, seed_for
from menon.tracing.gradients import collate, uniforms
from menon.tracing.layers import Layers, TracedLayer
from menon.tracing.retraining import Retraining, train_together
from menon.tracing.values import TokenSequence

NAMES, FEW_NAMES, COLOURS = 48, 16, 6
WORDS = ("<pad>", "<end>", "has", "and", "plus", "carry", "so", *"0123456789")
VOCABULARY = (*WORDS, *(f"name{i}" for i in range(NAMES)), *(f"colour{i}" for i in range(COLOURS)))
IDS = {word: index for index, word in enumerate(VOCABULARY)}

Arrays = dict[str, np.ndarray]


def encode(text: str) -> tuple[int, ...]:
    return tuple(IDS[word] for word in text.split())


def colour_of(name: int, world: str = "") -> str:
    return f"colour{rng_for('influence tests', 'colour', world, name).randrange(COLOURS)}"


def worked(one: int, two: int) -> tuple[str, str]:
    low, high = one % 10 + two % 10, one // 10 + two // 10
    over, total = low // 10, one + two
    steps = f"{low % 10} carry {over} {(high + over) % 10} carry {(high + over) // 10}"
    return f"{one // 10} {one % 10} plus {two // 10} {two % 10} so", f"{steps} so {' '.join(str(total))}"


def document(index: int, *, long: bool = True, names: int = FEW_NAMES) -> TokenSequence:
    """Return document `index`: two facts, or (odd) a worked sum; without `long` a single fact or a sum of digits."""
    rng = rng_for("influence tests", "document", index)
    one, two = rng.sample(range(names), 2)
    text = f"name{one} has {colour_of(one)}"
    if index % 2 and long:
        text = " ".join(worked(rng.randrange(100), rng.randrange(100)))
    elif index % 2:
        a, b = rng.randrange(10), rng.randrange(10)
        text = f"{a} plus {b} so {(a + b) % 10}"
    elif long:
        text += f" and name{two} has {colour_of(two)}"
    return TokenSequence(document=index, ids=encode(f"{text} <end>"))


def documents(count: int, *, long: bool = True, names: int = FEW_NAMES) -> list[TokenSequence]:
    return [document(index, long=long, names=names) for index in range(count)]


def queries(count: int, *, long: bool = True) -> list[TokenSequence]:
    """Return queries in turn for a fact and for a sum, numbered as documents are."""
    found = []
    for index in range(count):
        rng = rng_for("influence tests", "query", index)
        if index % 2 == 0:
            prompt, answer = f"name{index // 2 % FEW_NAMES} has", colour_of(index // 2 % FEW_NAMES)
        elif long:
            prompt, answer = worked(rng.randrange(100), rng.randrange(100))
        else:
            a, b = rng.randrange(10), rng.randrange(10)
            prompt, answer = f"{a} plus {b} so", str((a + b) % 10)
        given = encode(prompt)
        found.append(TokenSequence(document=index, ids=(*given, *encode(answer)), prompt=len(given), prompt_weight=0.0))
    return found


def _llama(width: int, layers: int, bias: bool = False) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=len(VOCABULARY), hidden_size=width, intermediate_size=2 * width, num_hidden_layers=layers,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=64, pad_token_id=0, bos_token_id=None,
        eos_token_id=1, attention_bias=bias, mlp_bias=bias, tie_word_embeddings=False,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def _gpt2(width: int, layers: int) -> GPT2LMHeadModel:
    config = GPT2Config(
        vocab_size=len(VOCABULARY), n_embd=width, n_inner=2 * width, n_layer=layers, n_head=2, n_positions=64,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=None, eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    return GPT2LMHeadModel(config)


def _gpt_neox(width: int, layers: int) -> GPTNeoXForCausalLM:
    config = GPTNeoXConfig(
        vocab_size=len(VOCABULARY), hidden_size=width, intermediate_size=2 * width, num_hidden_layers=layers,
        num_attention_heads=2, max_position_embeddings=64, attention_dropout=0.0, hidden_dropout=0.0,
        bos_token_id=None, eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    return GPTNeoXForCausalLM(config)


BUILDERS: dict[str, Callable[[int, int], PreTrainedModel]] = {
    "llama": _llama,
    "llama_bias": lambda width, layers: _llama(width, layers, bias=True),
    "gpt2": _gpt2,
    "gpt_neox": _gpt_neox,
}


def fresh(family: str, width: int = 16, layers: int = 2) -> Any:
    """Build the family's untrained model, the same weights at every call."""
    torch.manual_seed(seed_for("influence tests", family, width, layers))
    model = BUILDERS[family](width, layers).eval().float()
    generator = torch.Generator().manual_seed(seed_for("influence tests", "weights", family, width, layers))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 2:
                scale = 0.5 if "emb" in name or "wte" in name or "wpe" in name else parameter.shape[-1] ** -0.5
                parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
            elif name.endswith("bias"):
                parameter.copy_(0.05 * torch.randn(parameter.shape, generator=generator))
    return model


@cache
def trained(
    family: str, *, width: int = 16, layers: int = 2, count: int = 160, long: bool = True, epochs: float = 20
) -> Any:
    """Train the family's model on the first `count` documents; once per process."""
    model = fresh(family, width, layers)
    settings = Retraining(epochs=epochs, learning_rate=1e-2)
    done = train_together(model, documents(count, long=long), np.ones((1, count), dtype=bool), settings)
    return done.model(model)


def row_correlations(one_QN: np.ndarray, other_QN: np.ndarray) -> np.ndarray:
    """Return Pearson's r of every row."""
    pairs = zip(one_QN.astype(np.float64), other_QN.astype(np.float64), strict=True)
    return np.array([np.corrcoef(one, other)[0, 1] for one, other in pairs])


def log_probabilities(model: Any, sequence: TokenSequence) -> Tensor:
    """Return (T - 1, V) log-probabilities of the next token."""
    return model(input_ids=torch.tensor([sequence.ids]), use_cache=False).logits[0, :-1].log_softmax(-1)


def own_loss(model: Any, sequence: TokenSequence) -> Tensor:
    """Return the negative log-likelihood of the tokens that count, one after the other."""
    logps_TV = log_probabilities(model, sequence)
    first = sequence.prompt if sequence.prompt_weight == 0 else 1
    return -sum((logps_TV[t - 1, sequence.ids[t]] for t in range(max(1, first), len(sequence.ids))), torch.zeros(()))


def drawn_labels(logps_TV: Tensor, sequence: TokenSequence, seed: int) -> list[int]:
    """Draw labels by inverting the cumulative distribution, with the engine's uniform numbers."""
    below_TV = logps_TV.detach().exp().cumsum(-1)
    points_T = uniforms(collate([sequence]), seed)[0]
    found = []
    for row, point in zip(below_TV, points_T.tolist(), strict=True):
        above = (row > point * row[-1]).nonzero()[:, 0]
        found.append(int(above[0]) if len(above) else len(row) - 1)
    return found


def layer_matrix(layer: TracedLayer, gradients: Sequence[Tensor]) -> Tensor:
    """Turn gradients of weight (and bias) into (O, I), the bias as the last input."""
    weight = gradients[0].T if layer.kind == "conv1d" else gradients[0]
    return torch.cat([weight, gradients[1][:, None]], dim=1) if layer.bias else weight


def layer_parameters(layer: TracedLayer) -> list[nn.Parameter]:
    found: list[Any] = [layer.module.weight, *([layer.module.bias] if layer.bias else [])]
    return found


def gradient_of(layers: Layers, loss: Tensor) -> list[Tensor]:
    """Return the exact (O, I) gradient of every traced layer by autograd."""
    flat = [parameter for layer in layers.items for parameter in layer_parameters(layer)]
    found = iter(torch.autograd.grad(loss, flat))
    return [layer_matrix(layer, [next(found) for _ in layer_parameters(layer)]) for layer in layers.items]


@dataclass
class Seen:
    """What a layer was given and gave, one call after the other."""

    inputs: list[Tensor]
    outputs: list[Tensor]


def watched(layers: Layers) -> tuple[list[Seen], list[Any]]:
    """Record inputs and outputs of every traced layer until the handles are removed."""
    seen = [Seen(inputs=[], outputs=[]) for _ in layers.items]

    def hook(kept: Seen) -> Callable[..., None]:
        def keep(_module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
            kept.inputs.append(given[0].detach())
            kept.outputs.append(output)

        return keep

    return seen, [
        layer.module.register_forward_hook(hook(kept)) for layer, kept in zip(layers.items, seen, strict=True)
    ]


@dataclass
class LoopFactors:
    """Eigenvectors of both factors, and corrected eigenvalues, of every layer."""

    inputs: list[Tensor]
    outputs: list[Tensor]
    values: list[Tensor]

    def damping(self) -> list[float]:
        return [0.1 * float(value.mean()) for value in self.values]


def loop_factors(
    model: Any, layers: Layers, sequences: Sequence[TokenSequence], *, covariance_seed: int, eigenvalue_seed: int
) -> LoopFactors:
    """Measure EK-FAC one document at a time (Grosse et al. 2023, section 2.2): a model in float64 is expected."""
    inputs = [torch.zeros(layer.inputs, layer.inputs, dtype=torch.float64) for layer in layers.items]
    outputs = [torch.zeros(layer.outputs, layer.outputs, dtype=torch.float64) for layer in layers.items]
    tokens = 0
    for sequence in sequences:
        seen, handles = watched(layers)
        logps_TV = log_probabilities(model, sequence)
        for handle in handles:
            handle.remove()
        labels = drawn_labels(logps_TV, sequence, covariance_seed)
        loss = -sum((logps_TV[t, label] for t, label in enumerate(labels)), torch.zeros(()))
        found = torch.autograd.grad(loss, [kept.outputs[0] for kept in seen])
        tokens += len(labels)
        for at, (layer, kept) in enumerate(zip(layers.items, seen, strict=True)):
            for t in range(len(labels)):
                a_I, s_O = kept.inputs[0][0, t], found[at][0, t]
                if layer.bias:
                    a_I = torch.cat([a_I, torch.ones(1)])
                inputs[at] += torch.outer(a_I, a_I)
                outputs[at] += torch.outer(s_O, s_O)
    vectors = [[torch.linalg.eigh(x / tokens)[1] for x in side] for side in (inputs, outputs)]
    values = [torch.zeros(layer.outputs, layer.inputs, dtype=torch.float64) for layer in layers.items]
    for sequence in sequences:
        logps_TV = log_probabilities(model, sequence)
        labels = drawn_labels(logps_TV, sequence, eigenvalue_seed)
        loss = -sum((logps_TV[t, label] for t, label in enumerate(labels)), torch.zeros(()))
        for at, gradient_OI in enumerate(gradient_of(layers, loss)):
            values[at] += (vectors[1][at].T @ gradient_OI @ vectors[0][at]).square() / len(sequences)
    return LoopFactors(inputs=vectors[0], outputs=vectors[1], values=values)


def loop_scores(
    model: Any,
    layers: Layers,
    sequences: Sequence[TokenSequence],
    asked: Sequence[TokenSequence],
    inverse: Callable[[list[Tensor]], list[Tensor]],
) -> np.ndarray:
    """Score every pair by `gradient . inverse(gradient of the query)`, (Q, N)."""
    documents_NX = torch.stack([_flat(gradient_of(layers, own_loss(model, s))) for s in sequences])
    queries_QX = torch.stack([_flat(inverse(gradient_of(layers, own_loss(model, s)))) for s in asked])
    return (queries_QX @ documents_NX.T).numpy()


def ekfac_inverse(factors: LoopFactors) -> Callable[[list[Tensor]], list[Tensor]]:
    def inverse(gradients: list[Tensor]) -> list[Tensor]:
        found = []
        for at, (gradient_OI, damping) in enumerate(zip(gradients, factors.damping(), strict=True)):
            q_O, q_I = factors.outputs[at], factors.inputs[at]
            found.append(q_O @ ((q_O.T @ gradient_OI @ q_I) / (factors.values[at] + damping)) @ q_I.T)
        return found

    return inverse


def gauss_newton(model: Any, layers: Layers, sequences: Sequence[TokenSequence]) -> Tensor:
    """Return the exact Gauss-Newton matrix over all traced parameters (X, X): the mean over documents of the sum over
    tokens of J^T (diag(p) - p p^T) J, with J the derivative of the logits. Linear layers without bias only.

    It equals the sum over tokens and words v of p_v g_v g_v^T, with g_v the derivative of log p_v.
    """
    names = [f"{layer.name}.weight" for layer in layers.items]
    weights = {name: model.get_parameter(name).detach() for name in names}

    def weighted(some: dict[str, Tensor], ids_T: Tensor) -> tuple[Tensor, Tensor]:
        given = {"attention_mask": causal(len(ids_T)), "position_ids": torch.arange(len(ids_T))[None]}
        logits = functional_call(model, some, (ids_T[None],), given | {"use_cache": False}).logits
        logps_TV = logits[0, :-1].log_softmax(-1)
        p_TV = logps_TV.detach().exp()
        return logps_TV * p_TV.sqrt(), p_TV

    total_XX = torch.zeros(layers.parameters, layers.parameters, dtype=torch.float64)
    by_length: dict[int, list[TokenSequence]] = {}
    for sequence in sequences:
        by_length.setdefault(len(sequence.ids), []).append(sequence)
    for group in by_length.values():
        for first in range(0, len(group), 16):
            ids_BT = torch.tensor([s.ids for s in group[first : first + 16]])
            found, p_BTV = vmap(jacrev(weighted, has_aux=True), in_dims=(None, 0))(weights, ids_BT)
            rows_RX = torch.cat([found[name].detach().flatten(3).flatten(0, 2) for name in names], dim=1)
            rows_RX = rows_RX[p_BTV.flatten() > 1e-9]
            total_XX.addmm_(rows_RX.T, rows_RX, alpha=1 / len(sequences))
    return total_XX


def causal(width: int) -> Tensor:
    """Return the additive causal mask (1, 1, T, T)."""
    return torch.full((1, 1, width, width), torch.finfo(torch.get_default_dtype()).min).triu(1)


def damped_inverse(
    matrix_XX: Tensor, layers: Layers, damping: Sequence[float], *, blocks: bool = False
) -> Callable[[list[Tensor]], list[Tensor]]:
    """Return the exact inverse of matrix + damping of each layer; with `blocks` layers do not interact."""
    sizes = [layer.parameters for layer in layers.items]
    wide = matrix_XX.clone()
    if blocks:
        mask = torch.block_diag(*[torch.ones(size, size, dtype=torch.float64) for size in sizes])
        wide *= mask
    wide += torch.diag(
        torch.cat([torch.full((n,), d, dtype=torch.float64) for n, d in zip(sizes, damping, strict=True)])
    )
    factor = torch.linalg.cholesky(wide)

    def inverse(gradients: list[Tensor]) -> list[Tensor]:
        solved = torch.cholesky_solve(_flat(gradients)[:, None], factor)[:, 0]
        return [
            part.reshape(layer.outputs, layer.inputs)
            for part, layer in zip(solved.split(sizes), layers.items, strict=True)
        ]

    return inverse


def _flat(matrices: Sequence[Tensor]) -> Tensor:
    return torch.cat([matrix.reshape(-1) for matrix in matrices])

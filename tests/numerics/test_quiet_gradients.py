"""Gradients of thoughts and text together against the sum over thoughts run one by one, for every parameter."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from quiet_models import BUILDERS, given, oracle_of, quiet_of
from quiet_oracle import Thinking, some_thinking
from torch import Tensor
from transformers import PreTrainedModel

from menon.core.errors import ConfigError
from menon.core.seeds import seed_for
from menon.models.thoughts.passes import sample_thoughts, text_pass, think
from menon.models.thoughts.quiet import QuietModel

Weights = tuple[Tensor, Tensor]


def weights_of(case: Thinking, width: int) -> Weights:
    """Random weights of the loss, a sum over hidden states; 0 where a row has no text or no such place."""
    generator = torch.Generator().manual_seed(seed_for("quiet loss", case.rows, *case.lengths))
    text_BLD = torch.randn(*case.tokens_BL.shape, width, generator=generator)
    for b, length in enumerate(case.lengths):
        text_BLD[b, length:] = 0
    places = max(len(row) for row in case.positions)
    size = (len(case.lengths), places, case.thoughts_per_position, case.rows, width)
    thought_BMPTD = torch.randn(size, generator=generator)
    for b, row in enumerate(case.positions):
        thought_BMPTD[b, len(row) :] = 0
    return text_BLD, thought_BMPTD


def in_one_pass(quiet: QuietModel, case: Thinking, weights: Weights) -> None:
    places, thoughts_BMPK, shape = given(case)
    text = text_pass(quiet, case.tokens_BL)
    thought = think(quiet, text, case.tokens_BL, places, thoughts_BMPK, shape).hidden_BMPTD
    ((text.hidden_BLD * weights[0]).sum() + (thought * weights[1]).sum()).backward()


def by_slices(count: int) -> Callable[[QuietModel, Thinking, Weights], None]:
    """The way of training: every slice of places at once back to the leaf, then the leaf back through the text."""

    def run(quiet: QuietModel, case: Thinking, weights: Weights) -> None:
        places, thoughts_BMPK, shape = given(case)
        text = text_pass(quiet, case.tokens_BL)
        leaf = text.leaf()
        for start in range(0, places.positions_BM.shape[1], count):
            here = slice(start, start + count)
            few = places.slice(start, start + count)
            sample_thoughts(quiet, leaf, few, shape, torch.full_like(thoughts_BMPK[:, here], 0.5, dtype=torch.float))
            thought = think(quiet, leaf, case.tokens_BL, few, thoughts_BMPK[:, here], shape).hidden_BMPTD
            (thought * weights[1][:, here]).sum().backward()
        text.backward(leaf, (text.hidden_BLD * weights[0]).sum())

    return run


def assert_gradients(quiet: QuietModel, wanted: dict[str, Tensor]) -> None:
    named = {**dict(quiet.model.named_parameters()), **dict(quiet.thought_tokens.named_parameters())}
    found = {name: value.grad for name, value in named.items() if value.grad is not None}
    assert found.keys() == wanted.keys()
    largest = max(float(gradient.norm()) for gradient in wanted.values())
    for name, gradient in wanted.items():
        error, size = float((found[name] - gradient).norm()), float(gradient.norm())
        if size < 1e-6 * largest:  # zero in exact arithmetic (a key's bias moves all scores of a query alike)
            assert error < 1e-6 * largest, f"{name}: {error} of nothing"
        else:
            assert error < 1e-4 * size, f"{name}: {error} of {size}"


def check(quiet: QuietModel, case: Thinking, run: Callable[[QuietModel, Thinking, Weights], None]) -> None:
    weights = weights_of(case, quiet.thought_tokens.width)
    wanted = oracle_of(quiet).gradients(case, *weights)
    quiet.zero_grad(set_to_none=True)
    run(quiet, case, weights)
    assert_gradients(quiet, wanted)


@pytest.mark.parametrize("family", BUILDERS)
def test_gradients_are_the_sum_over_literal_sequences(family: str) -> None:
    check(quiet_of(family), some_thinking(family, lengths=(9,)), in_one_pass)


@pytest.mark.parametrize("family", BUILDERS)
def test_gradients_of_padded_rows_in_slices_through_a_leaf(family: str) -> None:
    positions = ((0, 3, 4, 6, 7), (2, 4))
    check(quiet_of(family), some_thinking(family, lengths=(10, 7), positions=positions), by_slices(2))


def test_every_way_to_cut_the_places_gives_the_same_sums() -> None:
    quiet, case = quiet_of("mistral"), some_thinking("cuts", lengths=(9, 6))
    for count in (1, 3, 7):
        check(quiet, case, by_slices(count))


def enable_checkpointing(model: PreTrainedModel, reentrant: bool) -> None:
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": reentrant})


@pytest.mark.parametrize("slices", [False, True])
@pytest.mark.parametrize("family", ["llama", "gpt2", "mistral", "gemma2", "gpt_oss"])
def test_gradient_checkpointing_changes_nothing(family: str, slices: bool) -> None:
    """Every layer runs twice and the gradients stay, though `backward` is called after the passes are over."""
    quiet, case = quiet_of(family), some_thinking(family, lengths=(9, 7))
    weights = weights_of(case, quiet.thought_tokens.width)
    wanted = oracle_of(quiet).gradients(case, *weights)
    enable_checkpointing(quiet.model, reentrant=False)
    runs = []
    first: Any = quiet.decoder.h[0].ln_1 if family == "gpt2" else quiet.decoder.layers[0].input_layernorm
    first.register_forward_hook(lambda *_: runs.append(torch.is_grad_enabled()))
    quiet.train()
    (by_slices(3) if slices else in_one_pass)(quiet, case, weights)
    assert_gradients(quiet, wanted)
    passes = 1 + (3 if slices else 1)
    assert sum(runs) == 2 * passes


@pytest.mark.parametrize("slices", [False, True])
def test_reentrant_checkpointing_is_right_or_refused(slices: bool) -> None:
    """It runs layers without a graph, so that the text's keys would get no gradient: never silently."""
    quiet, case = quiet_of("llama"), some_thinking("reentrant", lengths=(9, 7))
    enable_checkpointing(quiet.model, reentrant=True)
    quiet.train()
    try:
        check(quiet, case, by_slices(3) if slices else in_one_pass)
    except ConfigError as error:
        assert "reentrant" in str(error)  # noqa: PT017


def test_a_frozen_model_still_teaches_the_thought_tokens() -> None:
    quiet, case = quiet_of("llama"), some_thinking("frozen", lengths=(8,))
    weights = weights_of(case, quiet.thought_tokens.width)
    wanted = oracle_of(quiet).gradients(case, *weights)
    quiet.model.requires_grad_(False)
    places, thoughts_BMPK, shape = given(case)
    text = text_pass(quiet, case.tokens_BL)
    leaf = text.leaf()
    thought = think(quiet, leaf, case.tokens_BL, places, thoughts_BMPK, shape).hidden_BMPTD
    (thought * weights[1]).sum().backward()
    text.backward(leaf)
    assert_gradients(quiet, {name: wanted[name] for name in ("start", "end")})


def test_nothing_is_learned_without_a_gradient() -> None:
    quiet, case = quiet_of("llama"), some_thinking("none", lengths=(8,))
    places, thoughts_BMPK, shape = given(case)
    with torch.no_grad():
        text = text_pass(quiet, case.tokens_BL)
        result = think(quiet, text.leaf(), case.tokens_BL, places, thoughts_BMPK, shape)
    assert not text.hidden_BLD.requires_grad
    assert not result.hidden_BMPTD.requires_grad

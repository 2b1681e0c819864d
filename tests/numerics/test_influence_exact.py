"""Influence of the engine against plain autograd, the exact inverse of the Gauss-Newton matrix, and itself in parts."""

import copy
import warnings
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from influence_models import (
    damped_inverse,
    documents,
    drawn_labels,
    ekfac_inverse,
    fresh,
    gauss_newton,
    gradient_of,
    log_probabilities,
    loop_factors,
    loop_scores,
    own_loss,
    queries,
    row_correlations,
    trained,
)

from menon.core.seeds import seed_for
from menon.stats.means import mean_interval
from menon.tracing.bank import query_bank
from menon.tracing.config import TraceConfig
from menon.tracing.gradients import collate, draw_labels
from menon.tracing.layers import traced_layers
from menon.tracing.memory import fit_factors, trace_sequences
from menon.tracing.scoring import token_scores
from menon.tracing.values import TokenSequence

COUNT = 16
WHOLE = TraceConfig(layers="all", rank=0)
DOCUMENTS, QUERIES = documents(COUNT), queries(4)


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def in_double(model: Any) -> Any:
    return copy.deepcopy(model).double()


def reference(model: Any, select: str = "all", seed: int = 0) -> dict[str, np.ndarray]:
    """Score by loops of autograd in float64, with the labels that the engine draws."""
    wide = in_double(model)
    layers = traced_layers(wide, select=select)
    torch.set_default_dtype(torch.float64)
    try:
        factors = loop_factors(
            wide,
            layers,
            DOCUMENTS,
            covariance_seed=seed_for("fisher", "covariance", seed),
            eigenvalue_seed=seed_for("fisher", "eigenvalues", seed),
        )
        return {
            "ekfac": loop_scores(wide, layers, DOCUMENTS, QUERIES, ekfac_inverse(factors)),
            "dot": loop_scores(wide, layers, DOCUMENTS, QUERIES, lambda gradients: gradients),
        }
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("family", ["llama", "llama_bias", "gpt2", "gpt_neox"])
def test_engine_equals_loops_of_autograd(family: str) -> None:
    """Linear layers with and without bias, and GPT-2's transposed ones; equal labels, so only rounding is between."""
    model = trained(family)
    found = trace_sequences(model, DOCUMENTS, QUERIES, WHOLE)
    expected = reference(model)
    for method in ("ekfac", "dot"):
        assert row_correlations(found.scores[method], expected[method]).min() > 0.9999
        scale = np.abs(expected[method]).max()
        np.testing.assert_allclose(found.scores[method], expected[method], atol=2e-3 * scale)
    norms_N = [float(torch.cat([g.flatten() for g in one]).norm()) for one in _gradients(model)]
    np.testing.assert_allclose(found.norms_N, norms_N, rtol=1e-4)
    cosines = expected["dot"] / np.outer(_query_norms(model), norms_N)
    np.testing.assert_allclose(found.scores["cosine"], cosines, atol=1e-4)


def _gradients(model: Any, sequences: list[TokenSequence] = DOCUMENTS) -> list[list[torch.Tensor]]:
    layers = traced_layers(model, select="all")
    return [gradient_of(layers, own_loss(model, s)) for s in sequences]


def _query_norms(model: Any) -> list[float]:
    return [float(torch.cat([g.flatten() for g in one]).norm()) for one in _gradients(model, QUERIES)]


def test_mlp_only_leaves_attention_out() -> None:
    model = trained("gpt_neox")
    found = trace_sequences(model, DOCUMENTS, QUERIES, TraceConfig(layers="mlp", rank=0))
    expected = reference(model, select="mlp")
    assert row_correlations(found.scores["ekfac"], expected["ekfac"]).min() > 0.9999


def test_drawn_labels_are_the_engines() -> None:
    model = trained("llama")
    batch = collate(DOCUMENTS[:8])
    logps_BTV = model(input_ids=batch.tokens_BT, use_cache=False).logits[:, :-1].log_softmax(-1)
    labels_BT = draw_labels(logps_BTV.detach(), batch, 3)
    for row, sequence in enumerate(DOCUMENTS[:8]):
        own = drawn_labels(log_probabilities(model, sequence), sequence, 3)
        assert labels_BT[row, : len(own)].tolist() == own


def test_information_is_the_completions_surprise() -> None:
    model = trained("llama")
    found = trace_sequences(model, DOCUMENTS, QUERIES, WHOLE)
    np.testing.assert_allclose(found.information_Q, [float(own_loss(model, q).detach()) for q in QUERIES], rtol=1e-4)


def test_engine_is_near_the_exact_inverse_of_the_damped_gauss_newton_matrix() -> None:
    """EK-FAC leaves out what layers share: near the inverse layer by layer, less so the inverse of the whole matrix.

    The whole matrix is that of 1,280 parameters; even there EK-FAC must be nearer to it than gradient dot products.
    """
    rows, asked = documents(192, long=False), queries(16, long=False)
    model = trained("llama", width=8, count=192, long=False, epochs=10)
    found = trace_sequences(model, rows, asked, WHOLE)
    assert found.factors is not None
    damping = found.factors.damping(None)
    wide = in_double(model)
    wide.set_attn_implementation("eager")
    layers = traced_layers(wide, select="all")
    torch.set_default_dtype(torch.float64)
    try:
        matrix_XX = gauss_newton(wide, layers, rows)
        by_layer_QN, whole_QN = (
            loop_scores(wide, layers, rows, asked, damped_inverse(matrix_XX, layers, damping, blocks=blocks))
            for blocks in (True, False)
        )
    finally:
        torch.set_default_dtype(torch.float32)
    trace = sum(float(v.double().sum()) for v in found.factors.values)
    assert trace == pytest.approx(float(matrix_XX.trace()), rel=0.15)  # labels are drawn there, summed over here
    assert mean_interval(row_correlations(found.scores["ekfac"], by_layer_QN)).low > 0.9
    nearer_Q = row_correlations(found.scores["ekfac"], whole_QN) - row_correlations(found.scores["dot"], whole_QN)
    assert mean_interval(nearer_Q).low > 0
    assert mean_interval(row_correlations(found.scores["ekfac"], whole_QN)).value > 0.55
    slope = float((found.scores["ekfac"] * by_layer_QN).sum() / (by_layer_QN**2).sum())
    assert 0.4 < slope < 2.5  # the size too, not only the order


def test_layers_and_tokens_add_up_to_the_score() -> None:
    model = trained("gpt2")
    layers = traced_layers(model, select="all")
    factors = fit_factors(model, layers, DOCUMENTS, WHOLE)
    bank = query_bank(model, layers, QUERIES, factors=factors, damping=factors.damping(None), rank=0)
    found = trace_sequences(model, DOCUMENTS, QUERIES, WHOLE, factors=factors)
    for query in (0, 1):
        for method in ("ekfac", "dot"):
            row = bank.rows(method).start + query
            parts = token_scores(model, layers, bank, row, DOCUMENTS[:6])
            for at, part in enumerate(parts):
                expected = found.scores[method][query, at]
                scale = 1e-4 * float(np.abs(found.scores[method][query]).max())
                assert part.tokens_T.sum() == pytest.approx(expected, rel=1e-3, abs=scale)
                assert part.layers_L.sum() == pytest.approx(expected, rel=1e-3, abs=scale)
                assert part.tokens_T[-1] == 0  # it predicts nothing


def test_layer_parts_are_those_of_autograd() -> None:
    model = trained("llama")
    layers = traced_layers(model, select="all")
    bank = query_bank(model, layers, QUERIES, factors=None, rank=0)
    (part,) = token_scores(model, layers, bank, 0, [DOCUMENTS[1]])
    (query,), (document,) = _gradients(model, QUERIES[:1]), _gradients(model, [DOCUMENTS[1]])
    expected = [float((q * d).sum()) for q, d in zip(query, document, strict=True)]
    np.testing.assert_allclose(part.layers_L, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("tokens_per_batch", [2, 64])
def test_batching_and_padding_do_not_change_scores(tokens_per_batch: int) -> None:
    model = trained("llama")
    layers = traced_layers(model, select="all")
    factors = fit_factors(model, layers, DOCUMENTS, WHOLE)
    one = trace_sequences(model, DOCUMENTS, QUERIES, WHOLE, factors=factors)
    config = WHOLE.model_copy(update={"tokens_per_batch": tokens_per_batch})
    other = trace_sequences(model, DOCUMENTS[::-1], QUERIES, config, factors=factors)
    for method, scores_QN in one.scores.items():
        np.testing.assert_allclose(other.scores[method], scores_QN, atol=1e-4 * np.abs(scores_QN).max())
    refitted = fit_factors(model, layers, DOCUMENTS[::-1], config)
    for mine, theirs in zip(factors.values, refitted.values, strict=True):
        # Eigenvectors of nearly equal eigenvalues may turn; what stays is the whole curvature.
        assert float(theirs.sum()) == pytest.approx(float(mine.sum()), rel=1e-3)
    again = trace_sequences(model, DOCUMENTS, QUERIES, config, factors=refitted)
    assert row_correlations(again.scores["ekfac"], one.scores["ekfac"]).min() > 0.999


def test_windows_of_a_document_add_up() -> None:
    model = trained("llama")
    layers = traced_layers(model, select="all")
    factors = fit_factors(model, layers, DOCUMENTS, WHOLE)
    ids = (*DOCUMENTS[1].ids, *DOCUMENTS[3].ids, *DOCUMENTS[0].ids)
    cuts = [0, 9, 17, len(ids)]
    windows = [(ids[a:b], a) for a, b in pairwise(cuts)]
    split = [TokenSequence(document=0, ids=part, start=start) for part, start in windows]
    alone = [TokenSequence(document=i, ids=part) for i, (part, _) in enumerate(windows)]
    one = trace_sequences(model, split, QUERIES, WHOLE, factors=factors, documents=2)
    parts = trace_sequences(model, alone, QUERIES, WHOLE, factors=factors)
    for method in ("ekfac", "dot"):
        np.testing.assert_allclose(one.scores[method][:, 0], parts.scores[method].sum(1), rtol=1e-3, atol=1e-3)
        assert not one.scores[method][:, 1].any()  # a document without sequences


def test_a_prompt_counts_by_its_weight() -> None:
    model = trained("llama")
    layers = traced_layers(model, select="all")
    factors = fit_factors(model, layers, DOCUMENTS, WHOLE)
    ids = DOCUMENTS[1].ids

    def scores(weight: float) -> np.ndarray:
        row = TokenSequence(document=0, ids=ids, prompt=6, prompt_weight=weight)
        return trace_sequences(model, [row], QUERIES, WHOLE, factors=factors).scores["ekfac"][:, 0]

    np.testing.assert_allclose(scores(0.25), 0.75 * scores(0.0) + 0.25 * scores(1.0), rtol=1e-3, atol=1e-4)


def test_low_rank_is_near_the_whole_and_near_the_best_of_its_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    """At width 96 a rank of 32 keeps a third of the directions; without room for whole ones tokens are contracted."""
    model = trained("llama", width=96, layers=1, epochs=6)
    layers = traced_layers(model, select="all")
    factors = fit_factors(model, layers, DOCUMENTS, WHOLE)
    whole = trace_sequences(model, DOCUMENTS, QUERIES, WHOLE, factors=factors)
    monkeypatch.setattr("menon.tracing.bank.WHOLE_ELEMENTS", 0)
    for rank, least in ((32, 0.99), (4, 0.8)):
        config = WHOLE.model_copy(update={"rank": rank})
        found = trace_sequences(model, DOCUMENTS, QUERIES, config, factors=factors)
        assert row_correlations(found.scores["ekfac"], whole.scores["ekfac"]).min() > least
        np.testing.assert_allclose(found.norms_N, whole.norms_N, rtol=1e-3)
    low = query_bank(model, layers, QUERIES, factors=factors, damping=factors.damping(None), rank=4)
    exact = query_bank(model, layers, QUERIES, factors=factors, damping=factors.damping(None), rank=0)
    for position in range(len(layers.items)):
        u, s, v = torch.linalg.svd(exact.direction(position, 0))
        best = float((s[4:] ** 2).sum().sqrt())
        off = float((low.direction(position, 0) - exact.direction(position, 0)).norm())
        assert off < 1.1 * best + 1e-5 * float(s[0]), (u.shape, v.shape)


def test_lora_traces_the_adapter_alone() -> None:
    peft = pytest.importorskip("peft")
    base = copy.deepcopy(trained("llama"))
    config = peft.LoraConfig(r=2, lora_alpha=4, target_modules=["q_proj", "down_proj"], lora_dropout=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by an old name
        model = peft.get_peft_model(base, config).eval()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    layers = traced_layers(model, select="all")
    assert {name.split(".")[-2] for name in layers.names} == {"lora_A", "lora_B"}
    found = trace_sequences(model, DOCUMENTS, QUERIES, WHOLE)
    expected = reference(model)
    assert row_correlations(found.scores["ekfac"], expected["ekfac"]).min() > 0.9999
    assert row_correlations(found.scores["dot"], expected["dot"]).min() > 0.9999


def test_bfloat16_weights_rank_as_float32_ones() -> None:
    model = trained("llama")
    half = copy.deepcopy(model).to(torch.bfloat16)
    rounded = copy.deepcopy(half).float()  # the same weights, computed in full
    found = trace_sequences(half, DOCUMENTS, QUERIES, WHOLE)
    expected = trace_sequences(rounded, DOCUMENTS, QUERIES, WHOLE)
    assert found.scores["ekfac"].dtype == np.float32
    assert row_correlations(found.scores["ekfac"], expected.scores["ekfac"]).mean() > 0.97
    assert row_correlations(found.scores["dot"], expected.scores["dot"]).mean() > 0.98


def test_positive_means_that_training_on_it_helps() -> None:
    """A small step along a document's own gradient raises the log-likelihood where the dot product is positive."""
    model = trained("gpt_neox")
    found = trace_sequences(model, DOCUMENTS, QUERIES, WHOLE)
    layers = traced_layers(model, select="all")
    for query in (0, 1):
        for at in (int(found.scores["dot"][query].argmax()), int(found.scores["dot"][query].argmin())):
            moved = copy.deepcopy(model)
            rate = 1e-4
            gradients = gradient_of(layers, own_loss(model, DOCUMENTS[at]))
            with torch.no_grad():
                for layer, gradient_OI in zip(traced_layers(moved, select="all").items, gradients, strict=True):
                    weight: Any = layer.module.weight
                    weight -= rate * gradient_OI[:, : layer.inputs - layer.bias]
                    if layer.bias:
                        bias: Any = layer.module.bias
                        bias -= rate * gradient_OI[:, -1]
                gained = float(own_loss(model, QUERIES[query]) - own_loss(moved, QUERIES[query]))
            assert gained == pytest.approx(rate * found.scores["dot"][query, at], rel=0.1, abs=1e-5)


def test_models_of_the_tests_are_small() -> None:
    for family in ("llama", "gpt2", "gpt_neox"):
        assert sum(p.numel() for p in fresh(family).parameters()) <= 50_000

"""Low rank of query gradients, tables on disk, and estimates."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from menon.core.errors import ConfigError, DataError, RunError
from menon.tracing.bank import QueryBank, query_bank, randomised_svd
from menon.tracing.config import TraceConfig
from menon.tracing.estimate import memory_needed, time_needed
from menon.tracing.factors import Factors
from menon.tracing.layers import traced_layers
from menon.tracing.memory import fit_factors, trace_sequences
from menon.tracing.stored import ScoreTable, load_tensors, save_tensors, tensors_of
from menon.tracing.values import TokenSequence


def _model(width: int = 16, depth: int = 2) -> torch.nn.Module:
    torch.manual_seed(1)
    return AutoModelForCausalLM.from_config(
        LlamaConfig(
            vocab_size=30, hidden_size=width, intermediate_size=3 * width, num_hidden_layers=depth,
            num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=64,
        )
    ).eval()  # fmt: skip


def _sequences(count: int) -> list[TokenSequence]:
    rng = np.random.default_rng(0)
    return [
        TokenSequence(document=i, ids=tuple(rng.integers(0, 30, size=int(rng.integers(3, 12))).tolist()))
        for i in range(count)
    ]


QUERIES = [
    TokenSequence(document=0, ids=(1, 2, 3, 4, 5), prompt=2, prompt_weight=0.0),
    TokenSequence(document=0, ids=(9, 8, 7, 6), prompt=3, prompt_weight=0.0),
]


def test_randomised_svd_is_near_the_best_of_its_rank():
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(40, 30, generator=rng) * torch.logspace(0, -3, 30)
    left, right = randomised_svd(x, 5, seed=1)
    best = torch.linalg.svdvals(x)[5:].square().sum().sqrt()
    assert torch.linalg.norm(x - left @ right.T) <= 1.05 * best
    again = randomised_svd(x, 5, seed=1)
    assert torch.equal(left, again[0])


def test_a_matrix_of_that_rank_is_kept_exactly():
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(40, 3, generator=rng) @ torch.randn(3, 30, generator=rng)
    left, right = randomised_svd(x, 3, seed=0)
    assert torch.allclose(left @ right.T, x, atol=1e-4)


def test_the_bank_survives_being_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("menon.tracing.bank.WHOLE_ELEMENTS", 0)  # as if whole directions did not fit
    model = _model()
    layers = traced_layers(model)
    bank = query_bank(model, layers, QUERIES, factors=None, rank=2)
    save_tensors(tmp_path, bank.tensors())
    again = QueryBank.of(bank.methods, load_tensors(tmp_path), len(layers.items))
    assert torch.equal(bank.direction(1, 1), again.direction(1, 1))
    assert np.array_equal(bank.information_Q, again.information_Q)
    assert bank.left[0] is not None


def test_information_is_minus_the_log_probability_of_the_completion():
    model = _model()
    bank = query_bank(model, traced_layers(model), QUERIES, factors=None)
    ids = torch.tensor([QUERIES[0].ids])
    logps = torch.log_softmax(model(ids).logits[0, :-1], -1).gather(1, ids[0, 1:, None])[:, 0]
    assert bank.information_Q[0] == pytest.approx(float(-logps[1:].detach().sum()), rel=1e-5)


def test_a_query_without_completion_is_refused():
    model = _model()
    with pytest.raises(DataError, match="query 1 of 1 has no completion tokens"):
        empty = TokenSequence(document=0, ids=(1, 2), prompt=2, prompt_weight=0.0)
        query_bank(model, traced_layers(model), [empty], factors=None)


def test_factors_of_another_model_are_refused_by_hash(tmp_path: Path):
    model = _model()
    layers = traced_layers(model)
    factors = fit_factors(model, layers, _sequences(20), TraceConfig(), weights="aaa")
    factors.save(tmp_path / "f.safetensors")
    assert Factors.load(tmp_path / "f.safetensors", {"weights": "aaa"}).layers == layers.names
    with pytest.raises(ConfigError, match=r"made with another weights: 'aaa', not 'bbb'"):
        Factors.load(tmp_path / "f.safetensors", {"weights": "bbb"})
    (tmp_path / "f.safetensors").write_bytes(b"broken")
    with pytest.raises(RunError, match=r"cannot read the factors at .*f\.safetensors"):
        Factors.load(tmp_path / "f.safetensors")


def test_scores_of_shards_are_read_row_by_row(tmp_path: Path):
    folders = []
    whole = np.arange(24, dtype=np.float32).reshape(4, 6)
    for number, columns in enumerate((slice(0, 4), slice(4, 6))):
        folder = tmp_path / str(number)
        folder.mkdir()
        save_tensors(folder, tensors_of({"scores": whole[:, columns]}))
        folders.append(folder)
    table = ScoreTable(folders, "scores", queries=2, first=2)
    assert np.array_equal(table.matrix(), whole[2:])
    (folders[1] / "tensors.safetensors").unlink()
    with pytest.raises(RunError, match="damaged"):
        table.row(0)


def test_documents_without_a_token_to_predict_score_zero():
    model = _model()
    sequences = [s for s in _sequences(6) if s.document != 3]
    traced = trace_sequences(model, sequences, QUERIES, documents=6)
    assert traced.scores["ekfac"].shape == (2, 6)
    assert not traced.scores["ekfac"][:, 3].any()
    assert traced.scores["cosine"][:, 3].tolist() == [0, 0]
    assert np.abs(traced.scores["cosine"]).max() <= 1 + 1e-5


def test_windows_of_a_document_add_up():
    model = _model()
    ids = tuple(np.random.default_rng(2).integers(0, 30, size=20).tolist())
    parts = [
        TokenSequence(document=0, ids=ids[:10]),
        TokenSequence(document=0, ids=ids[9:], start=9),
    ]
    apart = [TokenSequence(document=i, ids=part.ids, start=part.start) for i, part in enumerate(parts)]
    factors = fit_factors(model, traced_layers(model), apart, TraceConfig())
    together = trace_sequences(model, parts, QUERIES, factors=factors).scores["ekfac"]
    single = trace_sequences(model, apart, QUERIES, factors=factors).scores["ekfac"]
    assert np.allclose(together[:, 0], single.sum(1), rtol=1e-4, atol=1e-5)


def test_estimates_count_a_model_that_has_no_weights():
    with torch.device("meta"):
        big = AutoModelForCausalLM.from_config(
            LlamaConfig(
                vocab_size=32000, hidden_size=2048, intermediate_size=5632, num_hidden_layers=22,
                num_attention_heads=32, num_key_value_heads=4, max_position_embeddings=2048,
            ),
            dtype=torch.bfloat16,
        )  # fmt: skip
    layers = traced_layers(big)
    needed = memory_needed(big, layers, TraceConfig(), queries=100, documents=100_000, longest=2048)
    assert layers.parameters == 22 * 3 * 2048 * 5632
    assert needed.weights == 2 * sum(p.numel() for p in big.parameters())
    assert 0 < needed.weights < needed.peak < 80 * 2**30
    more = memory_needed(big, layers, TraceConfig(), queries=100, documents=200_000, longest=2048)
    assert more.peak == needed.peak
    assert more.disk > needed.disk


def test_estimated_time_grows_with_tokens():
    model = _model()
    sequences = _sequences(40)
    layers = traced_layers(model)
    one = time_needed(model, layers, TraceConfig(), sequences, QUERIES, tokens=10_000, factor_tokens=0)
    assert one.covariance == one.eigenvalues == 0
    assert one.documents > 0
    assert one.to_json()["tried_tokens"] == sum(len(s.ids) for s in sequences)

"""Influence against what really happens: models trained again on halves of the documents and without the top ones.

The slow test (`-m slow`) trains 100 models on random halves and some more without top documents; what it found is kept
in pytest's cache, under a hash of all that it depends on.
"""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from influence_models import NAMES, document, documents, fresh, queries

from menon.core.errors import ConfigError
from menon.core.seeds import seed_for
from menon.stats.means import mean_interval
from menon.tracing.config import TraceConfig
from menon.tracing.lexical import scores as lexical_scores
from menon.tracing.memory import trace_sequences
from menon.tracing.retraining import (
    Retraining,
    half_subsets,
    linear_datamodeling_scores,
    log_likelihoods,
    removal_curves,
    retrain,
    train_together,
)
from menon.tracing.values import TokenSequence

ALL = TraceConfig(layers="all", rank=0)
SLOW = Retraining(epochs=8, batch=16, learning_rate=5e-3)
FAST = Retraining(epochs=12, batch=16, learning_rate=1e-2)


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def all_scores(
    model: Any, rows: list[TokenSequence], asked: list[TokenSequence], settings: Retraining
) -> dict[str, np.ndarray]:
    """Train on all documents and score them with every method."""
    done = train_together(model, rows, np.ones((1, len(rows)), dtype=bool), settings, checkpoints=(0.1, 0.3, 0.6, 0.9))
    steps = [(done.model(model, checkpoint=i), rate) for i, (_, rate) in enumerate(done.checkpoints)]
    found = dict(trace_sequences(done.model(model), rows, asked, ALL, checkpoints=steps).scores)
    found["bm25"], found["tfidf"] = lexical_scores([r.ids for r in rows], [q.ids for q in asked])
    rng = np.random.default_rng(seed_for("influence tests", "random scores"))
    found["random"] = rng.standard_normal(found["ekfac"].shape).astype(np.float32)
    return found


@pytest.mark.slow
def test_linear_datamodeling_score_and_removal(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Over 100 halves EK-FAC predicts the log-likelihood after training, better than dot products and than chance."""
    folder = Path(request.config.cache.mkdir("retraining")) if request.config.cache else tmp_path
    rows, asked = documents(256, names=NAMES), queries(32)
    model = fresh("llama", width=32)
    scores = all_scores(model, rows, asked, SLOW)
    kept_MN = half_subsets(len(rows), 100, "influence tests", "halves")
    logp_MQ = retrain(model, rows, asked, kept_MN, SLOW, folder=folder)
    found = {method: linear_datamodeling_scores(x, kept_MN, logp_MQ) for method, x in scores.items()}
    means = {method: mean_interval(x) for method, x in found.items()}
    few = range(16)
    curves = removal_curves(
        {method: scores[method] for method in ("ekfac", "tracin", "random")},
        lambda kept, repeat: retrain(model, rows, asked, kept, seeded(SLOW, repeat), folder=folder),
        queries=few,
        sizes=(4, 16),
        repeats=2,
    )
    drops = {(point.method, point.k): point.drop for point in curves}
    lines = {
        "lds": {m: [round(i.value, 3), round(i.low, 3), round(i.high, 3)] for m, i in means.items()},
        "lds_facts": {m: round(float(x[::2].mean()), 3) for m, x in found.items()},
        "lds_sums": {m: round(float(x[1::2].mean()), 3) for m, x in found.items()},
        "removal": {f"{m} {k}": [round(i.value, 3), round(i.low, 3), round(i.high, 3)] for (m, k), i in drops.items()},
    }
    (folder / "measured.json").write_text(json.dumps(lines, indent=1), encoding="utf-8")
    assert means["ekfac"].low > 0.4
    for method in ("dot", "cosine", "bm25", "tfidf", "random"):
        assert mean_interval(found["ekfac"] - found[method]).low > 0
    assert abs(means["random"].value) < 0.1
    for k in (4, 16):
        assert drops["ekfac", k].value > drops["random", k].value
    assert drops["ekfac", 16].low > 0


def seeded(settings: Retraining, repeat: int) -> Retraining:
    """Return the settings with another order of the documents."""
    return Retraining(epochs=settings.epochs, batch=settings.batch, learning_rate=settings.learning_rate, seed=repeat)


def test_without_its_top_documents_an_answer_is_lost() -> None:
    """Facts that a dozen of 96 documents tell: taking away the top 12 by EK-FAC hurts, any 12 do not."""
    rows = [document(index) for index in range(0, 192, 2)]
    rows = [TokenSequence(document=at, ids=row.ids) for at, row in enumerate(rows)]
    asked = queries(8)[::2]
    model = fresh("gpt_neox", layers=1)
    scores = all_scores(model, rows, asked, FAST)
    curves = removal_curves(
        {method: scores[method] for method in ("ekfac", "random")},
        lambda kept, repeat: retrain(model, rows, asked, kept, seeded(FAST, repeat)),
        queries=range(len(asked)),
        sizes=(12,),
        repeats=1,
    )
    ekfac, random = curves
    assert (ekfac.method, ekfac.k, random.method) == ("ekfac", 12, "random")
    assert all(lost > chance for lost, chance in zip(ekfac.drops_Q, random.drops_Q, strict=True))
    assert ekfac.drop.value > 1.0  # nats
    assert ekfac.drop.value > 3 * abs(random.drop.value)


def test_a_stack_trains_as_one_model_does() -> None:
    """Every model of a stack ends where plain autograd takes it alone, skipping what is left out."""
    rows, asked = documents(24), queries(2)
    model = fresh("gpt2", layers=1)
    settings = Retraining(epochs=2, batch=8, learning_rate=5e-3, together=3)
    kept_MN = half_subsets(24, 3, "influence tests", "stack")
    logp_MQ = retrain(model, rows, asked, kept_MN, settings)
    for row, kept_N in enumerate(kept_MN):
        alone = retrain(model, rows, asked, kept_N[None], settings)
        np.testing.assert_allclose(logp_MQ[row], alone[0], rtol=1e-3)
    done = train_together(model, rows, kept_MN, settings)
    expected = plain_training(model, rows, kept_MN[0], settings)
    for name in ("transformer.wte.weight", "transformer.h.0.mlp.c_fc.weight", "transformer.h.0.attn.c_attn.weight"):
        moved = dict(done.model(model, 0).named_parameters())[name]
        torch.testing.assert_close(moved, expected[name], rtol=1e-2, atol=2e-3)
    own = log_likelihoods(model, done, asked)
    np.testing.assert_allclose(own, logp_MQ, rtol=1e-4)


def plain_training(
    model: Any, rows: list[TokenSequence], kept_N: np.ndarray, settings: Retraining
) -> dict[str, torch.Tensor]:
    """Train one model, one document at a time, on the same order of documents (also the one it was drawn with)."""
    rng = np.random.default_rng(seed_for("retraining", "order", settings.seed))
    one = copy.deepcopy(model)
    steps = max(1, round(settings.epochs * len(rows) / settings.batch))
    stream: list[int] = []
    while len(stream) < steps * settings.batch:
        stream += [int(at) for at in rng.permutation(len(rows)) if kept_N[at]]
    scale = settings.batch * np.mean([len(r.ids) - 1 for r in rows])
    optimizer = torch.optim.AdamW(one.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    for step in range(steps):
        rate = settings.learning_rate * min(1.0, 20 * (step + 1) / steps) * (1 - step / steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        for at in stream[step * settings.batch : (step + 1) * settings.batch]:
            ids = torch.tensor([rows[at].ids])
            (one(input_ids=ids, labels=ids, use_cache=False).loss * (ids.shape[1] - 1) / scale).backward()
        optimizer.step()
    return dict(one.named_parameters())


def test_results_are_kept_under_a_hash_of_all_they_depend_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, asked = documents(12), queries(2)
    model = fresh("gpt2", layers=1)
    settings = Retraining(epochs=1, batch=4, together=2)
    kept_MN = half_subsets(12, 3, "influence tests", "kept")
    first = retrain(model, rows, asked, kept_MN, settings, folder=tmp_path)
    assert len(list(tmp_path.glob("*.npy"))) == 2
    monkeypatch.setattr("menon.tracing.retraining.train_together", None)  # nothing is trained again
    np.testing.assert_array_equal(retrain(model, rows, asked, kept_MN, settings, folder=tmp_path), first)
    for changed in (Retraining(epochs=2, batch=4, together=2), Retraining(epochs=1, batch=4, together=2, seed=1)):
        with pytest.raises(TypeError):
            retrain(model, rows, asked, kept_MN, changed, folder=tmp_path)
    with pytest.raises(TypeError):
        retrain(model, rows[1:] + rows[:1], asked, kept_MN, settings, folder=tmp_path)
    with torch.no_grad():
        next(model.parameters())[0, 0] += 1.0
    with pytest.raises(TypeError):
        retrain(model, rows, asked, kept_MN, settings, folder=tmp_path)


def test_halves_are_halves_and_differ_by_name() -> None:
    one = half_subsets(101, 5, "a")
    assert one.shape == (5, 101)
    assert (one.sum(1) == 50).all()
    assert (one == half_subsets(101, 5, "a")).all()
    assert not (one == half_subsets(101, 5, "b")).all()
    assert (half_subsets(100, 2, "a", share=0.9).sum(1) == 90).all()


def test_linear_datamodeling_score_of_known_effects() -> None:
    """Outcomes that are the sums themselves score 1, their negative -1, and noise about 0."""
    rng = np.random.default_rng(seed_for("influence tests", "known effects"))
    scores_QN = rng.standard_normal((3, 40))
    kept_MN = half_subsets(40, 200, "influence tests", "known effects")
    sums_MQ = kept_MN @ scores_QN.T
    outcomes_MQ = np.stack([np.exp(sums_MQ[:, 0]), -sums_MQ[:, 1], rng.standard_normal(200)], axis=1)
    found = linear_datamodeling_scores(scores_QN, kept_MN, outcomes_MQ)
    assert found[:2] == pytest.approx([1, -1])
    assert abs(found[2]) < 0.2
    assert linear_datamodeling_scores(np.zeros((3, 40)), kept_MN, outcomes_MQ).tolist() == [0, 0, 0]


def test_bad_input_is_named() -> None:
    rows, model = documents(4), fresh("gpt2", layers=1)
    with pytest.raises(ConfigError, match="row 1 keeps no document"):
        train_together(model, rows, np.array([[True] * 4, [False] * 4]))
    with pytest.raises(ConfigError, match=r"\(M, Q\) with at least 3 sets"):
        linear_datamodeling_scores(np.zeros((2, 4)), np.ones((2, 4), dtype=bool), np.zeros((2, 2)))
    with pytest.raises(ConfigError, match="sizes from 1 to 3"):
        removal_curves({"dot": np.zeros((2, 4))}, lambda kept, repeat: kept, queries=[0], sizes=[4])

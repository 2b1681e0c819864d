"""Influence of the engine against kronfluence, an independent program for the same method.

It is no dependency of this project: `pip install --no-deps kronfluence==1.0.1 einconv einops opt_einsum` to run this
(its other dependencies are here already, or are not needed for language models). Both get the same labels of the
Fisher matrix: with labels of their own, 160 documents leave r = 0.90 to 0.99, and that says nothing about the programs.
"""

import copy
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from influence_models import documents, queries, row_correlations, trained
from torch.nn.functional import cross_entropy
from torch.utils.data import Dataset

from menon.core.seeds import seed_for
from menon.tracing.config import TraceConfig
from menon.tracing.gradients import collate, draw_labels
from menon.tracing.layers import traced_layers
from menon.tracing.memory import trace_sequences
from menon.tracing.values import TokenSequence

MODULES = ("kronfluence", "einconv", "einops", "opt_einsum", "accelerate")
MISSING = [name for name in MODULES if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.skipif(
        bool(MISSING),
        reason=f"{', '.join(MISSING)} missing: pip install --no-deps kronfluence==1.0.1 einconv einops opt_einsum",
    ),
    pytest.mark.filterwarnings("ignore"),  # another program's
]

DOCUMENTS, QUERIES = documents(160), queries(12)


class Rows(Dataset[TokenSequence]):
    def __init__(self, rows: list[TokenSequence]):
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> TokenSequence:
        return self.rows[index]


def collated(rows: list[TokenSequence]) -> dict[str, torch.Tensor]:
    width = max(len(row.ids) for row in rows)
    ids_BT = torch.tensor([[*row.ids, *[0] * (width - len(row.ids))] for row in rows])
    mask_BT = torch.tensor([[1] * len(row.ids) + [0] * (width - len(row.ids)) for row in rows])
    counted = [[place >= row.prompt and place < len(row.ids) for place in range(width)] for row in rows]
    return {
        "ids": ids_BT,
        "mask": mask_BT,
        "predicts": torch.cat([mask_BT[:, 1:], torch.zeros_like(mask_BT[:, :1])], dim=1),
        "counted": torch.tensor(counted),
        "documents": torch.tensor([row.document for row in rows]),
    }


def make_task(names: list[str]) -> Any:
    from kronfluence.task import Task  # pyright: ignore[reportMissingImports]

    class LanguageModelling(Task):
        seed = 0

        def compute_train_loss(self, batch: Any, model: Any, sample: bool = False) -> torch.Tensor:
            logits_XV = model(input_ids=batch["ids"], attention_mask=batch["mask"]).logits[:, :-1].flatten(0, 1)
            labels_X = batch["ids"][:, 1:].flatten()
            if sample:
                batch_of = collate([DOCUMENTS[at] for at in batch["documents"].tolist()])
                logps_BTV = logits_XV.detach().log_softmax(-1).unflatten(0, (len(batch["ids"]), -1))
                labels_X = draw_labels(logps_BTV, batch_of, self.seed).flatten()
            ignored_X = ~batch["counted"][:, 1:].flatten()
            return cross_entropy(logits_XV, labels_X.masked_fill(ignored_X, -100), reduction="sum")

        def compute_measurement(self, batch: Any, model: Any) -> torch.Tensor:
            return self.compute_train_loss(batch, model)

        def get_influence_tracked_modules(self) -> list[str]:
            return names

        def get_attention_mask(self, batch: Any) -> torch.Tensor:
            return batch["predicts"]

    return LanguageModelling()


def kronfluence_scores(model: Any, names: list[str], folder: Path, *, strategy: str) -> np.ndarray:
    from kronfluence.analyzer import Analyzer, prepare_model  # pyright: ignore[reportMissingImports]
    from kronfluence.arguments import FactorArguments, ScoreArguments  # pyright: ignore[reportMissingImports]
    from kronfluence.utils.dataset import DataLoaderKwargs  # pyright: ignore[reportMissingImports]

    task = make_task(names)
    analyzer = Analyzer(
        analysis_name="oracle",
        model=prepare_model(copy.deepcopy(model), task),
        task=task,
        output_dir=str(folder),
        cpu=True,
        disable_tqdm=True,
        disable_model_save=True,
    )
    analyzer.set_dataloader_kwargs(DataLoaderKwargs(collate_fn=collated))
    arguments = FactorArguments(strategy=strategy, use_empirical_fisher=False)
    fit: dict[str, Any] = {"factors_name": "factors", "dataset": Rows(DOCUMENTS), "per_device_batch_size": 32}
    if strategy == "identity":
        analyzer.fit_all_factors(**fit, factor_args=arguments)
    else:
        task.seed = seed_for("fisher", "covariance", 0)
        analyzer.fit_covariance_matrices(**fit, factor_args=arguments)
        analyzer.perform_eigendecomposition("factors", factor_args=arguments)
        task.seed = seed_for("fisher", "eigenvalues", 0)
        analyzer.fit_lambda_matrices(**fit, factor_args=arguments)
    analyzer.compute_pairwise_scores(
        scores_name="scores",
        factors_name="factors",
        query_dataset=Rows(QUERIES),
        train_dataset=Rows(DOCUMENTS),
        per_device_query_batch_size=len(QUERIES),
        per_device_train_batch_size=32,
        score_args=ScoreArguments(damping_factor=None),
    )
    scores: Any = analyzer.load_pairwise_scores("scores")
    return scores["all_modules"].float().numpy()


@pytest.mark.parametrize("family", ["llama", "gpt_neox"])
def test_engine_agrees_with_kronfluence(family: str, tmp_path: Path) -> None:
    """Layers without bias (Llama) and with it (GPT-NeoX): damped EK-FAC, and gradient dot products to rounding."""
    model = trained(family)
    config = TraceConfig(layers="all", rank=0)
    names = list(traced_layers(model, select="all").names)
    found = trace_sequences(model, DOCUMENTS, QUERIES, config)
    ekfac_QN = kronfluence_scores(model, names, tmp_path / "ekfac", strategy="ekfac")
    assert row_correlations(found.scores["ekfac"], ekfac_QN).min() > 0.999
    slope = float((found.scores["ekfac"] * ekfac_QN).sum() / (ekfac_QN**2).sum())
    assert slope == pytest.approx(1, abs=0.01)
    dot_QN = kronfluence_scores(model, names, tmp_path / "dot", strategy="identity")
    np.testing.assert_allclose(found.scores["dot"], dot_QN, atol=1e-4 * np.abs(dot_QN).max())

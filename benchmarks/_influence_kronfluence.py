"""The peer of influence.py: kronfluence's EK-FAC with the settings of the papers, on the same model and data.

All linear layers but the head, labels drawn from the model, heuristic damping, the stages as kronfluence cuts them.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from _influence_task import Item, padded

VERSION = "1.0.1"


def available() -> str | None:
    """Return why kronfluence cannot be used here, None where it can."""
    try:
        import kronfluence.analyzer  # noqa: F401
    except ImportError as error:
        return f"{error}; pip install --no-deps kronfluence=={VERSION} einconv einops opt_einsum"
    return None


def traced_names(model: Any) -> list[str]:
    from torch import nn

    head = model.get_output_embeddings()
    return [name for name, module in model.named_modules() if isinstance(module, nn.Linear) and module is not head]


def make_task(names: list[str]) -> Any:
    """Build kronfluence's task: the summed loss of a document, and the loss of a query's completion."""
    import torch
    from kronfluence.task import Task
    from torch.nn.functional import cross_entropy

    class LanguageModelling(Task):
        def compute_train_loss(self, batch: Any, model: Any, sample: bool = False) -> Any:
            logits_XV = model(input_ids=batch["ids"], attention_mask=batch["mask"]).logits[:, :-1].flatten(0, 1)
            counted_X = batch["counted"][:, 1:].flatten()
            labels_X = batch["ids"][:, 1:].flatten()
            if sample:
                with torch.no_grad():
                    labels_X = torch.multinomial(logits_XV.softmax(-1), 1).flatten()
            return cross_entropy(logits_XV, labels_X.masked_fill(~counted_X, -100), reduction="sum")

        def compute_measurement(self, batch: Any, model: Any) -> Any:
            return self.compute_train_loss(batch, model)

        def get_influence_tracked_modules(self) -> list[str]:
            return names

        def get_attention_mask(self, batch: Any) -> Any:
            return batch["mask"]

    return LanguageModelling()


def make_dataset(items: Sequence[Item]) -> Any:
    from torch.utils.data import Dataset

    class Items(Dataset):
        def __len__(self) -> int:
            return len(items)

        def __getitem__(self, index: int) -> Item:
            return items[index]

    return Items()


def collate(items: Sequence[Item]) -> dict[str, Any]:
    import torch

    ids_BT, mask_BT = padded([item.ids for item in items])
    places_T = torch.arange(ids_BT.shape[1])
    counted_BT = (mask_BT == 1) & (places_T >= torch.tensor([item.prompt for item in items])[:, None])
    return {"ids": ids_BT, "mask": mask_BT, "counted": counted_BT}


def measure(
    model: Any, documents: Sequence[Item], queries: Sequence[Item], folder: Path, *, batch: int, rank: int = 0
) -> tuple[dict[str, float], Any]:
    """Return the processor seconds of every stage, and scores (Q, N) as an array."""
    from kronfluence.analyzer import Analyzer, prepare_model
    from kronfluence.arguments import FactorArguments, ScoreArguments
    from kronfluence.utils.dataset import DataLoaderKwargs

    task = make_task(traced_names(model))
    analyzer = Analyzer(
        analysis_name="influence",
        model=prepare_model(model, task),
        task=task,
        output_dir=str(folder),
        cpu=True,
        disable_tqdm=True,
        disable_model_save=True,
    )
    analyzer.set_dataloader_kwargs(DataLoaderKwargs(collate_fn=collate))
    data, asked = make_dataset(documents), make_dataset(queries)
    arguments = FactorArguments(strategy="ekfac", use_empirical_fisher=False)
    common: dict[str, Any] = {"factors_name": "factors", "factor_args": arguments}
    fit: dict[str, Any] = {**common, "dataset": data, "per_device_batch_size": batch, "overwrite_output_dir": True}
    seconds = {
        "covariance": timed(lambda: analyzer.fit_covariance_matrices(**fit)),
        "eigendecomposition": timed(lambda: analyzer.perform_eigendecomposition(**common, overwrite_output_dir=True)),
        "eigenvalues": timed(lambda: analyzer.fit_lambda_matrices(**fit)),
        "pairwise": timed(
            lambda: analyzer.compute_pairwise_scores(
                scores_name="scores",
                factors_name="factors",
                query_dataset=asked,
                train_dataset=data,
                per_device_query_batch_size=len(queries),
                per_device_train_batch_size=batch,
                score_args=ScoreArguments(damping_factor=None, query_gradient_low_rank=rank or None),
                overwrite_output_dir=True,
            )
        ),
    }
    return seconds, analyzer.load_pairwise_scores("scores")["all_modules"].float().numpy()


def timed(work: Callable[[], Any]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started

"""Does influence predict what happens? Models trained again without some documents, and two measures of the answer.

The linear datamodeling score correlates, over random halves of the documents, the summed influence of a half with the
log-likelihood of the query after training on it. A removal curve says how much log-likelihood is lost when the k most
influential documents are taken away. Models are small here, so many are trained at once as one stack of weights; all
begin with the same weights and see the documents in the same order, those that are left out being skipped.
Source: Ilyas et al. 2022, arXiv:2202.00622; Park et al. 2023, arXiv:2303.14186, definition 2.3; removal as in Ruis et
al. 2024, arXiv:2411.12580, appendix A.1.
Left out: dropout, mixed precision, and architectures that take no `position_ids`.
"""

import copy
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call, vmap

from menon.core.errors import ConfigError
from menon.core.progress import Progress, Silent
from menon.core.seeds import content_id, seed_for
from menon.stats.association import spearman
from menon.stats.interval import Interval
from menon.stats.means import mean_interval
from menon.tracing.gradients import collate
from menon.tracing.values import TokenSequence

Parameters = dict[str, Tensor]
Retrain = Callable[[np.ndarray, int], np.ndarray]
"""From kept documents (M, N) and the number of a repetition to log-likelihoods of the queries (M, Q), in nats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retraining:
    """How every model is trained: AdamW for equally many steps whatever was left out, rate falling linearly to 0.

    `epochs` counts passes over all documents; `together` models are trained as one stack.
    """

    epochs: float = 10.0
    batch: int = 16
    learning_rate: float = 3e-3
    weight_decay: float = 0.0
    together: int = 20
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedTogether:
    """Stacked parameters (M, ...) at the end and at the checkpoints on the way, with the learning rates there."""

    parameters: Parameters
    checkpoints: tuple[tuple[Parameters, float], ...] = ()

    def model(self, like: Any, index: int = 0, checkpoint: int | None = None) -> Any:
        """Return a copy of `like` with the weights of model `index`."""
        source = self.parameters if checkpoint is None else self.checkpoints[checkpoint][0]
        found = copy.deepcopy(like)
        own = dict(found.named_parameters())
        with torch.no_grad():
            for name, stacked in source.items():
                own[name].copy_(stacked[index])
        return found.eval()


def half_subsets(documents: int, count: int, *names: str | int, share: float = 0.5) -> np.ndarray:
    """Draw `count` sets that keep `share` of the documents: booleans of shape (M, N), equal names give equal sets."""
    rng = np.random.default_rng(seed_for("subsets", *names))
    kept_MN = np.zeros((count, documents), dtype=bool)
    for row_N in kept_MN:
        row_N[rng.permutation(documents)[: round(share * documents)]] = True
    return kept_MN


def train_together(
    model: Any,
    sequences: Sequence[TokenSequence],
    kept_MN: np.ndarray,
    settings: Retraining | None = None,
    *,
    checkpoints: Sequence[float] = (),
) -> TrainedTogether:
    """Train one copy of `model`, from the weights that it has, on every row of kept documents.

    Args:
        checkpoints: shares of the steps after which weights are kept.
    Raises:
        ConfigError: a row that keeps no document.
    """
    settings = settings or Retraining()
    left_M = kept_MN.sum(1)
    if not len(kept_MN) or not left_M.min():
        raise ConfigError(
            f"row {int(left_M.argmin()) if len(kept_MN) else 0} keeps no document; there is nothing to train on"
        )
    stack = _Stack(model)
    device = next(model.parameters()).device
    batch = collate(sequences)
    tokens_XT, weights_XT = batch.tokens_BT.to(device), batch.weights_BT.to(device)
    steps = max(1, round(settings.epochs * len(sequences) / settings.batch))
    order_MSB = _orders(kept_MN, sequences, steps, settings)
    parameters = {
        name: p.detach().expand(len(kept_MN), *p.shape).clone().requires_grad_()
        for name, p in model.named_parameters()
    }  # fmt: skip
    optimizer = torch.optim.AdamW(parameters.values(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    scale = 1 / (settings.batch * float(weights_XT.sum(1).mean()))
    marks = [max(1, round(share * steps)) for share in checkpoints]
    found: list[tuple[Parameters, float]] = []
    for step in range(steps):
        rate = settings.learning_rate * min(1.0, 20 * (step + 1) / steps) * (1 - step / steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        rows_MB = order_MSB[:, step].to(device)
        optimizer.zero_grad(set_to_none=True)
        (stack.losses(parameters, tokens_XT[rows_MB], weights_XT[rows_MB]).sum() * scale).backward()
        optimizer.step()
        for mark in marks:
            if mark == step + 1:
                found.append(({name: p.detach().clone() for name, p in parameters.items()}, rate))
    return TrainedTogether(
        parameters={name: p.detach() for name, p in parameters.items()}, checkpoints=tuple(found)
    )  # fmt: skip


def log_likelihoods(model: Any, trained: TrainedTogether, queries: Sequence[TokenSequence]) -> np.ndarray:
    """Return log p(completion | prompt) in nats of every trained model and query, (M, Q)."""
    stack, batch = _Stack(model), collate(queries)
    device = next(model.parameters()).device
    tokens_QT, weights_QT = batch.tokens_BT.to(device), batch.weights_BT.to(device)
    count = len(next(iter(trained.parameters.values())))
    found = []
    with torch.no_grad():
        for m in range(count):
            one = {name: p[m] for name, p in trained.parameters.items()}
            found.append(-stack.losses_by_row(one, tokens_QT, weights_QT).double().cpu().numpy())
    return np.stack(found)


def retrain(
    model: Any,
    sequences: Sequence[TokenSequence],
    queries: Sequence[TokenSequence],
    kept_MN: np.ndarray,
    settings: Retraining | None = None,
    *,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> np.ndarray:
    """Train on every row of kept documents and return the log-likelihoods of the queries (M, Q), in nats.

    Args:
        folder: results of `settings.together` models at a time are kept there under a hash of all that they depend on,
            and read again.
    """
    settings, progress = settings or Retraining(), progress or Silent()
    data = [[s.document, s.prompt, s.prompt_weight, s.ids] for s in (*sequences, *queries)]
    common = content_id("retraining", _weights_hash(model), data, {**asdict(settings), "together": 0})
    progress.start("training again", total=len(kept_MN), unit="models")
    found = []
    for first in range(0, len(kept_MN), settings.together):
        part_MN = kept_MN[first : first + settings.together]
        path = None
        if folder is not None:
            name = content_id("retrained", common, hashlib.sha256(part_MN.tobytes()).hexdigest(), part_MN.shape)
            path = folder / f"{name}.npy"
        if path is not None and path.exists():
            found.append(np.load(path, allow_pickle=False))
        else:
            trained = train_together(model, sequences, part_MN, settings)
            found.append(log_likelihoods(model, trained, queries))
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                partial = path.with_suffix(".partial.npy")
                np.save(partial, found[-1], allow_pickle=False)
                partial.replace(path)
        progress.advance(len(part_MN))
    return np.concatenate(found)


def linear_datamodeling_scores(scores_QN: np.ndarray, kept_MN: np.ndarray, logp_MQ: np.ndarray) -> np.ndarray:
    """Return Spearman's correlation, for every query, of summed scores of the kept documents and the log-likelihood.

    Scores are positive where a document raises the log-likelihood. A query whose sums are all equal scores 0.
    """
    if len(kept_MN) < 3 or kept_MN.shape != (len(logp_MQ), scores_QN.shape[1]) or logp_MQ.shape[1] != len(scores_QN):
        raise ConfigError(
            f"scores {scores_QN.shape}, kept documents {kept_MN.shape}, log-likelihoods {logp_MQ.shape}; need (Q, N), "
            "(M, N) and (M, Q) with at least 3 sets M"
        )
    sums_MQ = kept_MN.astype(np.float64) @ scores_QN.T.astype(np.float64)
    found = [spearman(one, other) for one, other in zip(sums_MQ.T, logp_MQ.T, strict=True)]
    return np.nan_to_num(np.array(found))  # a method that scores all documents alike predicts nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """Nats of log-likelihood that a query loses, on average, without the `k` documents that `method` ranks first."""

    method: str
    k: int
    drop: Interval
    drops_Q: tuple[float, ...]


def removal_curves(
    scores: Mapping[str, np.ndarray],
    retrain: Retrain,
    *,
    queries: Sequence[int],
    sizes: Sequence[int],
    repeats: int = 1,
) -> list[Removal]:
    """Take away each query's own top documents, train again, and compare with training on all documents.

    Args:
        scores: (Q, N) by method; include one of random scores.
        queries: positions of the queries that are tried; each costs `methods x sizes x repeats` trainings.
        repeats: trainings of each kind, which `retrain` tells apart by its second argument.
    """
    documents = next(iter(scores.values())).shape[1]
    if not queries or not sizes or min(sizes) < 1 or max(sizes) >= documents or repeats < 1:
        raise ConfigError(
            f"queries {list(queries)}, sizes {list(sizes)}, {repeats} repeats; need a query, and sizes from 1 to "
            f"{documents - 1}"
        )
    plans = [(method, k, query) for method in scores for k in sizes for query in queries]
    kept_MN = np.ones((1 + len(plans), documents), dtype=bool)
    for row_N, (method, k, query) in zip(kept_MN[1:], plans, strict=True):
        row_N[np.argsort(-scores[method][query], kind="stable")[:k]] = False
    drops = np.zeros(len(plans))
    for repeat in range(repeats):
        logp_MQ = retrain(kept_MN, repeat)
        drops += [logp_MQ[0, query] - logp_MQ[1 + row, query] for row, (_, _, query) in enumerate(plans)]
    drops /= repeats
    found = []
    for first in range(0, len(plans), len(queries)):
        mine = drops[first : first + len(queries)]
        method, k, _ = plans[first]
        found.append(Removal(method=method, k=k, drop=mean_interval(mine), drops_Q=tuple(map(float, mine))))
    return found


class _Stack:
    """Losses of many models that differ in their weights only."""

    def __init__(self, model: Any):
        self.model = copy.deepcopy(model).eval()
        if hasattr(self.model, "set_attn_implementation"):
            self.model.set_attn_implementation("eager")  # torch's fused attention cannot be stacked
        self.buffers = dict(self.model.named_buffers())
        self.losses: Callable[..., Tensor] = vmap(lambda *given: self.losses_by_row(*given).sum())

    def losses_by_row(self, parameters: Parameters, tokens_BT: Tensor, weights_BT: Tensor) -> Tensor:
        """Return the weighted negative log-likelihood of every row."""
        width = tokens_BT.shape[-1]
        places_T = torch.arange(width, device=tokens_BT.device)
        dtype = next(iter(parameters.values())).dtype
        # Rows are padded on the right, so a causal mask is enough.
        later_TT = (places_T[None] > places_T[:, None]).to(dtype) * torch.finfo(dtype).min
        given = {"attention_mask": later_TT[None, None], "position_ids": places_T[None], "use_cache": False}
        out = functional_call(self.model, {**parameters, **self.buffers}, (tokens_BT,), given, tie_weights=True)
        logps_BTV = torch.log_softmax(out.logits[:, :-1].float(), dim=-1)
        nll_BT = -logps_BTV.gather(-1, tokens_BT[:, 1:, None])[..., 0]
        return (nll_BT * weights_BT[:, 1:]).sum(-1)


def _orders(kept_MN: np.ndarray, sequences: Sequence[TokenSequence], steps: int, settings: Retraining) -> Tensor:
    """Return the sequences of every model's batches (M, S, B): one shuffled stream, without what is left out."""
    documents_X = np.array([s.document for s in sequences])
    needed = steps * settings.batch
    rng = np.random.default_rng(seed_for("retraining", "order", settings.seed))
    streams: list[list[np.ndarray]] = [[] for _ in kept_MN]
    counts = np.zeros(len(kept_MN), dtype=int)
    if not kept_MN[:, documents_X].any(1).all():
        raise ConfigError("a row keeps only documents without tokens; there is nothing to train on")
    while counts.min() < needed:
        order_X = rng.permutation(len(sequences))
        for row, kept_N in enumerate(kept_MN):
            mine = order_X[kept_N[documents_X[order_X]]]
            streams[row].append(mine)
            counts[row] += len(mine)
    rows = [np.concatenate(stream)[:needed].reshape(steps, settings.batch) for stream in streams]
    return torch.from_numpy(np.stack(rows))


def _weights_hash(model: Any) -> str:
    digest = hashlib.sha256(type(model).__name__.encode())
    for name, parameter in model.named_parameters():
        digest.update(name.encode())
        digest.update(parameter.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()

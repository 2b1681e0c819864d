"""Processor seconds, memory and agreement of EK-FAC influence, against kronfluence on the same model and data.

    python benchmarks/influence.py [--json] [--quick] [--documents 3000] [--growth 1000 3000 ...] > result.json

Every side runs in a process of its own with one thread, on a Llama of half a million parameters that is first trained
on the documents. Stages: covariances, eigendecomposition, corrected eigenvalues, and scores of all pairs of 50 queries
and the documents. Menon's seconds of scores include gradient dot products, norms and losses, which it always reports
beside; `ekfac only` is without. kronfluence runs twice: in the order of the data, as a user meets it, and with
documents sorted by length, which takes most of its padding away. The r of a query is the correlation of its scores over
all documents (the sides draw their labels separately). `--growth` shows time and memory of Menon alone against the
number of documents. Without kronfluence its rows are left out. `--model FOLDER` keeps the trained model for later runs.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from ctypes import CDLL
from pathlib import Path
from typing import Any

from _influence_task import build_model, document, load, queries, train
from quiet_star import peak_bytes, reset_peak

STAGES = ("covariance", "eigendecomposition", "eigenvalues", "queries", "pairwise")
GROWTH = (1000, 3000, 10_000, 30_000, 100_000)
TARGETS = {"seconds kronfluence/menon": 3.0, "r": 0.97}
MB = 2**20
SHARD = 2000
Found = dict[str, Any]


def sequences(start: int, stop: int) -> list[Any]:
    from menon.tracing.values import TokenSequence

    return [TokenSequence(document=index, ids=document(index).ids) for index in range(start, stop)]


def asked() -> list[Any]:
    from menon.tracing.values import TokenSequence

    return [
        TokenSequence(document=index, ids=item.ids, prompt=item.prompt, prompt_weight=0.0)
        for index, item in enumerate(queries())
    ]


def shards(documents: int) -> Iterator[tuple[int, list[Any]]]:
    """Yield documents in shards, as `menon trace` takes them: memory holds one at a time."""
    for start in range(0, documents, SHARD):
        yield start, sequences(start, min(start + SHARD, documents))


class Stages:
    """Processor seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.process_time()

    def begin(self) -> None:
        self._since = time.process_time()

    def end(self, stage: str) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.process_time() - self._since


def measure_menon(model: Any, options: argparse.Namespace, *, dot: bool) -> tuple[dict[str, float], Any]:
    """Return seconds by stage and the scores of EK-FAC (Q, N); generating documents is not counted."""
    import numpy as np

    from menon.core.seeds import seed_for
    from menon.tracing.bank import query_bank
    from menon.tracing.factors import Covariance, Eigenvalues, Factors, covariance, eigenbasis, eigenvalues
    from menon.tracing.layers import traced_layers
    from menon.tracing.scoring import score_documents

    layers, stages = traced_layers(model, select="all"), Stages()
    first, second = seed_for("fisher", "covariance", 0), seed_for("fisher", "eigenvalues", 0)
    size = options.tokens_per_batch
    total: Covariance | None = None
    for _, rows in shards(options.documents):
        stages.begin()
        part = covariance(model, layers, rows, tokens_per_batch=size, seed=first)
        if total is None:
            total = part
        else:
            total.add(part)
        stages.end("covariance")
    assert total is not None
    stages.begin()
    basis = eigenbasis(total, layers)
    stages.end("eigendecomposition")
    sums: Eigenvalues | None = None
    for _, rows in shards(options.documents):
        stages.begin()
        part = eigenvalues(model, layers, basis, rows, tokens_per_batch=size, seed=second)
        if sums is None:
            sums = part
        else:
            sums.add(part)
        stages.end("eigenvalues")
    assert sums is not None
    stages.begin()
    factors = Factors.of(layers, basis, sums)
    bank = query_bank(
        model, layers, asked(), factors=factors, damping=factors.damping(None), rank=options.rank, dot=dot
    )  # fmt: skip
    stages.end("queries")
    scores_QN = np.zeros((bank.queries, options.documents), dtype=np.float32)
    for start, rows in shards(options.documents):
        stages.begin()
        found = score_documents(
            model, layers, bank, rows, first=start, documents=len(rows), tokens_per_batch=size
        )  # fmt: skip
        scores_QN[:, start : start + len(rows)] = found.scores_KN[bank.rows("ekfac")]
        stages.end("pairwise")
    return stages.seconds, scores_QN


def child(options: argparse.Namespace) -> Found:
    """Measure one side; scores are left in a file beside the model."""
    import numpy as np
    import torch

    torch.set_num_threads(1)
    folder = Path(options.folder)
    model = load(options.model)
    warm_up(model)
    if options.child.startswith("kronfluence"):
        import _influence_kronfluence as peer

        documents = [document(index) for index in range(options.documents)]
        order = list(range(options.documents))
        if options.child.endswith("sorted"):
            order.sort(key=lambda index: len(documents[index].ids))
        with tempfile.TemporaryDirectory() as scratch:
            settle()
            before = reset_peak()
            seconds, scores = peer.measure(
                model, [documents[index] for index in order], queries(), Path(scratch), batch=options.batch
            )
        scores_QN = np.zeros_like(scores)
        scores_QN[:, order] = scores
    else:
        settle()
        before = reset_peak()
        seconds, scores_QN = measure_menon(model, options, dot=not options.child.endswith("only"))
    peak = peak_bytes()
    np.save(folder / f"{options.child}.npy", scores_QN)
    total = sum(seconds.values())
    return {
        "seconds": {stage: round(seconds[stage], 2) for stage in STAGES if stage in seconds},
        "total_s": round(total, 2),
        "documents_per_s": round(options.documents / total, 1),
        "eigenvalue_documents_per_s": round(options.documents / seconds["eigenvalues"], 1),
        "pairs_per_s": round(scores_QN.size / (seconds["pairwise"] + seconds.get("queries", 0.0))),
        "peak_mb": round(peak / MB, 1),
        "grown_mb": round((peak - before) / MB, 1),
    }


def warm_up(model: Any) -> None:
    """Load kernels and code, which are no work of a stage."""
    import torch

    model(input_ids=torch.ones(2, 8, dtype=torch.long), labels=torch.ones(2, 8, dtype=torch.long)).loss.backward()
    model.zero_grad(set_to_none=True)


def settle() -> None:
    with suppress(OSError, AttributeError):  # another C library
        CDLL(None).malloc_trim(0)


def apart(options: argparse.Namespace, side: str, **changed: Any) -> Found:
    """Measure one side in a fresh process; one that fails is reported with its last words."""
    settings = {
        name: getattr(options, name) for name in ("documents", "batch", "tokens_per_batch", "rank", "folder", "model")
    }
    command = [sys.executable, __file__, "--child", side]
    for name, value in (settings | changed).items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env={**os.environ, **threads}, capture_output=True, text=True)
    if done.returncode:
        return {"failed": f"exit {done.returncode}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}"}
    found = json.loads(done.stdout.splitlines()[-1])
    print(f"{side}: {json.dumps(found)}", file=sys.stderr, flush=True)
    return found


def prepare(options: argparse.Namespace) -> Found:
    """Build, train and save the model that all sides read."""
    import torch

    torch.set_num_threads(1)
    documents = [document(index) for index in range(options.documents)]
    described = options.model / "benchmark.json"
    if described.exists():
        return json.loads(described.read_text(encoding="utf-8"))
    model = build_model(options.width, options.layers)
    started = time.process_time()
    loss = train(model, documents, epochs=options.epochs)
    model.save_pretrained(options.model)
    found = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "documents": options.documents,
        "epochs": options.epochs,
        "loss": round(loss, 3),
        "training_s": round(time.process_time() - started, 1),
        "mean_tokens": round(sum(len(item.ids) for item in documents) / len(documents), 1),
    }
    described.write_text(json.dumps(found), encoding="utf-8")
    return found


def agreement(folder: Path, one: str, other: str) -> Found | None:
    """Return the correlation of the scores of two sides, by query: mean, interval over queries, least."""
    import numpy as np

    from menon.stats.means import mean_interval

    paths = [folder / f"{side}.npy" for side in (one, other)]
    if not all(path.exists() for path in paths):
        return None
    pairs = zip(*(np.load(path).astype(np.float64) for path in paths), strict=True)
    r_Q = [float(np.corrcoef(mine, theirs)[0, 1]) for mine, theirs in pairs]
    found = mean_interval(r_Q)
    return {"mean": round(found.value, 4), "low": round(found.low, 4), "high": round(found.high, 4), "n": found.n} | {
        "least": round(min(r_Q), 4)
    }


def run(options: argparse.Namespace) -> Found:
    """Measure all sides on one model."""
    import _influence_kronfluence as peer

    result: Found = {"benchmark": "influence", "documents": options.documents, "queries": len(queries())}
    with tempfile.TemporaryDirectory() as folder:
        options.folder = folder
        options.model = options.model or Path(folder) / "model"
        result["model"] = prepare(options)
        sides = ["menon", "menon ekfac only"]
        missing = peer.available()
        if missing:
            result["kronfluence"] = {"missing": missing}
        else:
            sides += ["kronfluence", "kronfluence sorted"]
        result["sides"] = {side: apart(options, side) for side in sides}
        result["r"] = {
            f"menon, {other}": agreement(Path(folder), "menon", other)
            for other in sides
            if other.startswith("kronfluence")
        }
        result["r"]["kronfluence, kronfluence sorted"] = agreement(Path(folder), "kronfluence", "kronfluence sorted")
        result["growth"] = [
            {"documents": count, **apart(options, "menon", documents=count)} for count in options.growth
        ]
    result["ratios"] = ratios(result["sides"])
    result["targets"] = TARGETS
    result["environment"] = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "threads": 1,
        "load_average": round(os.getloadavg()[0], 2),
    }
    return result


def ratios(sides: dict[str, Found]) -> Found:
    """Return kronfluence's seconds over Menon's, in total and by stage."""
    found: Found = {}
    for mine in ("menon", "menon ekfac only"):
        for theirs in ("kronfluence", "kronfluence sorted"):
            one, other = sides.get(mine, {}), sides.get(theirs, {})
            if "seconds" not in one or "seconds" not in other:
                continue
            ours = dict(one["seconds"])
            ours["pairwise"] += ours.pop("queries", 0.0)  # kronfluence does not time its queries apart
            stages = {stage: round(other["seconds"][stage] / ours[stage], 2) for stage in ours if ours[stage]}
            found[f"{theirs} / {mine}"] = {"total": round(other["total_s"] / one["total_s"], 2)} | stages
    return found


def text(result: Found) -> str:
    """Lay the result out as tables."""
    model = result["model"]
    lines = [
        f"{result['documents']:,} documents of {model['mean_tokens']} tokens, {result['queries']} queries, "
        f"{model['parameters']:,} parameters, trained {model['epochs']:g} epochs (loss {model['loss']})",
        "",
        "| side | " + " | ".join(STAGES) + " | total CPU-s | pairs/s | peak MB |",
        "|---|" + "---|" * (len(STAGES) + 3),
    ]
    for side, found in result["sides"].items():
        if "failed" in found:
            lines.append(f"| {side} | {found['failed']} |")
            continue
        cells = [f"{found['seconds'][stage]:.1f}" if stage in found["seconds"] else "-" for stage in STAGES]
        cells += [f"{found['total_s']:.1f}", f"{found['pairs_per_s']:,}", f"{found['peak_mb']:.0f}"]
        lines.append(f"| {side} | {' | '.join(cells)} |")
    if missing := result.get("kronfluence", {}).get("missing"):
        lines += ["", f"kronfluence is not there: {missing}"]
    for name, ratio in result["ratios"].items():
        lines.append(f"\n{name}: " + ", ".join(f"{stage} {value:.2f}x" for stage, value in ratio.items()))
    for name, r in result["r"].items():
        if r:
            lines.append(
                f"\nr of scores, {name}: {r['mean']:.3f} ({r['low']:.3f}-{r['high']:.3f}), least {r['least']:.3f}"
            )
    if result["growth"]:
        lines += ["", "| documents | CPU-s | documents/s | peak MB | grown MB |", "|---|---|---|---|---|"]
    for found in result["growth"]:
        cells = (found.get(key, "-") for key in ("total_s", "documents_per_s", "peak_mb", "grown_mb"))
        lines.append(f"| {found['documents']:,} | {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="300 documents, a quarter of the width, no growth")
    parser.add_argument("--documents", type=int, default=3000)
    parser.add_argument("--epochs", type=float, default=8.0, help="of training, before anything is measured")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--batch", type=int, default=64, help="documents in a batch of kronfluence")
    parser.add_argument("--tokens-per-batch", type=int, default=4096, help="tokens in a batch of Menon")
    parser.add_argument("--rank", type=int, default=32, help="of Menon's query gradients; 0 keeps them whole")
    parser.add_argument("--growth", type=int, nargs="*", help=f"numbers of documents (default {GROWTH})")
    parser.add_argument("--model", type=Path, help="folder of the trained model, read where it is there, else written")
    parser.add_argument("--folder", default="", help=argparse.SUPPRESS)
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.growth is None:
        options.growth = [] if options.quick else list(GROWTH)
    if options.quick:
        options.documents, options.width, options.epochs = min(options.documents, 300), 32, 2.0
    if min([options.documents, options.batch, options.tokens_per_batch, *options.growth]) < 1 or options.rank < 0:
        parser.error("--documents, --batch, --tokens-per-batch and --growth must be at least 1, --rank at least 0")
    return options


def main() -> None:
    """Measure and print."""
    options = parse()
    if options.child:
        print(json.dumps(child(options)))
        return
    result = run(options)
    print(json.dumps(result) if options.json else text(result))


if __name__ == "__main__":
    main()

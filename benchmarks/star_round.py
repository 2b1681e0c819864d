"""Tokens per second of one STaR round: Menon against transformers' `generate` with TRL's `SFTTrainer`.

    python benchmarks/star_round.py [--questions 600] [--steps 75] [--repeats 2] [--threads N] [--json]

Both sides sample the same prompts (no rationalization) at the same temperature with the same model, and then train the
same weights on the same kept rows for the same number of optimizer steps of about the same number of tokens, with the
same optimizer and learning rates, in float32. Only useful tokens count: sampled ones up to and including the end, and
real ones of the trained rows, prompts included, padding not. Grading stands outside of both. The peer is
given its fastest batch size of `generate` and its fastest way of batching rows, each found in a short trial before
the measurement; its data come tokenised, and building its trainer is timed apart (`setup`). Sides take turns, and the
order changes from repetition to repetition. Ratios are ours / theirs; those of processor time, with `--threads 1`, hold
on a busy machine too.
"""

import argparse
import copy
import importlib.util
import json
import os
import statistics
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import _peer
from _peer import Timing, timed

PARTS = ("sampling", "training", "round", "round_with_setup")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default="menon:base", help="menon:base or a model folder")
    parser.add_argument("--questions", type=int, default=600)
    parser.add_argument("--samples", type=int, default=1, help="samples per question")
    parser.add_argument("--steps", type=int, default=75, help="optimizer steps; the quickstart has 1 for 8 questions")
    parser.add_argument("--tokens-per-batch", type=int, default=1536)
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--temperature", type=float, default=0.5)
    parser.add_argument("--slots", type=int, default=128, help="sequences that Menon samples at once")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def prepare(options: argparse.Namespace) -> SimpleNamespace:
    """Load the model, sample once, and keep the rows that both sides learn from."""
    from menon.models.load import load_model
    from menon.problems.prompts import STYLES
    from menon.sampling.asking import Asking, ask
    from menon.sampling.local import LocalSampler
    from menon.studies.questions import FamilyQuestions
    from menon.teaching.config import StarConfig, TrainConfig
    from menon.teaching.rows import Epochs, Row
    from menon.teaching.selection import select
    from menon.teaching.star import encode_prompt, sampled_ids

    loaded = load_model(options.model, device="cpu")
    problems = FamilyQuestions(families=("addition", "chain"), count=options.questions).round(1)
    problems = list({problem.id: problem for problem in problems}.values())
    style = STYLES.get("menon")
    asking = Asking(
        style=style, temperature=options.temperature, max_tokens=options.max_tokens, samples=options.samples
    )
    sampler = LocalSampler(loaded.model, loaded.tokenizer, slots=options.slots)
    star = StarConfig(rationalize=False, samples=options.samples, filter="steps")
    graded = ask(sampler, problems, asking)
    kept = [decision.sample for decision in select(graded, star, 0) if decision.kept]
    if not kept:
        raise SystemExit(f"no row was kept of {len(graded)} samples: {options.model} solves none of the questions")
    rows = []
    for item in kept:
        prompt = encode_prompt(loaded.tokenizer, style.prompt(item.problem))
        rows.append(Row(ids=(*prompt, *sampled_ids(loaded.tokenizer, item.completion)), prompt=len(prompt)))
    epochs = Epochs(rows, options.tokens_per_batch, "benchmark")
    return SimpleNamespace(
        model=loaded.model,
        tokenizer=loaded.tokenizer,
        parameters=loaded.parameters,
        requests=[asking.request(problem) for problem in problems],
        rows=rows,
        epochs=epochs,
        tokens_per_step=statistics.mean(sum(len(row.ids) for row in epochs.batch(i)) for i in range(options.steps)),
        train=TrainConfig(tokens_per_batch=options.tokens_per_batch),
    )


def menon_sample(setting: SimpleNamespace, options: argparse.Namespace) -> int:
    """Sample every request with Menon; return the number of sampled tokens."""
    from menon.sampling.local import LocalSampler

    sampler = LocalSampler(setting.model, setting.tokenizer, slots=options.slots)
    return sum(completion.completion_tokens for completion in sampler.sample(setting.requests))


def menon_train(setting: SimpleNamespace, options: argparse.Namespace) -> tuple[int, Any]:
    """Train a copy of the model with Menon's loop; return the number of real tokens and the taught model."""
    from menon.teaching.train import train

    model = copy.deepcopy(setting.model)
    pad = setting.tokenizer.pad_token_id
    steps = train(model, setting.epochs.batch, setting.train, steps=options.steps, pad=pad)
    return sum(step.tokens for step in steps), model


def loss(model: Any, setting: SimpleNamespace) -> float:
    """Return the mean loss in nats per completion token over (at most 200 of) the kept rows."""
    import torch

    from menon.teaching.objectives import weighted_cross_entropy
    from menon.teaching.rows import bucket, collate

    total = weight = 0.0
    for rows in bucket(setting.rows[:200], 4096, "loss"):
        batch = collate(rows, setting.tokenizer.pad_token_id)
        with torch.inference_mode():
            logits = model(input_ids=batch.tokens_BT, use_cache=False).logits
            part, count = weighted_cross_entropy(logits, batch.tokens_BT, batch.weights_BT)
        total, weight = total + float(part), weight + float(count)
    return round(total / weight, 4)


def repetition(setting: SimpleNamespace, options: argparse.Namespace, number: int, batch: int, layout: str) -> dict:
    """Measure both sides once, sampling then training; odd repetitions begin with the peer."""
    prompts = [request.prompt for request in setting.requests]
    row: dict[str, dict[str, float]] = {"menon": {}, "peer": {}}
    losses: dict[str, float] = {}

    def put(side: str, part: str, took: Timing, tokens: int) -> None:
        row[side] |= {f"{part}_s": round(took.wall, 3), f"{part}_cpu_s": round(took.cpu, 3), f"{part}_tokens": tokens}
        row[side][f"{part}_tokens_per_s"] = round(tokens / took.wall, 1)
        print(f"{number + 1}: {side} {part}: {tokens} tokens in {took.wall:.1f} s", file=sys.stderr)

    def sample_here() -> None:
        put("menon", "sampling", *timed(lambda: menon_sample(setting, options)))

    def sample_there() -> None:
        put("peer", "sampling", *timed(lambda: _peer.sample(setting, options, prompts, batch)))

    def train_here() -> None:
        took, (tokens, model) = timed(lambda: menon_train(setting, options))
        put("menon", "training", took, tokens)
        losses["menon"] = loss(model, setting)

    def train_there() -> None:
        done = _peer.train(setting, options.steps, layout)
        put("peer", "training", done.took, done.tokens)
        row["peer"] |= {"setup_s": round(done.setup.wall, 3), "setup_cpu_s": round(done.setup.cpu, 3)}
        losses["peer"] = loss(done.model, setting)

    for pair in ((sample_here, sample_there), (train_here, train_there)):
        for step in reversed(pair) if number % 2 else pair:
            step()
    return {**row, "loss": losses, **ratios(row)}


def ratios(row: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Add the rates of the whole round to both sides of `row`; return the ratios by wall time and by processor time."""
    out: dict[str, dict[str, float]] = {}
    for name, unit in (("ratio", "s"), ("cpu_ratio", "cpu_s")):
        rates: dict[str, dict[str, float]] = {}
        for side, took in row.items():
            tokens = {part: took[f"{part}_tokens"] for part in ("sampling", "training")}
            seconds = {part: took[f"{part}_{unit}"] for part in tokens}
            rates[side] = {part: tokens[part] / seconds[part] for part in tokens}
            rates[side]["round"] = sum(tokens.values()) / sum(seconds.values())
            setup = took.get(f"setup_{unit}", 0.0)
            rates[side]["round_with_setup"] = sum(tokens.values()) / (sum(seconds.values()) + setup)
        out[name] = {part: round(rates["menon"][part] / rates["peer"][part], 3) for part in rates["menon"]}
        if unit == "s":
            for side, rate in rates.items():
                row[side]["round_tokens_per_s"] = round(rate["round"], 1)
    return out


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return minimum, median and maximum."""
    return {"min": min(values), "median": round(statistics.median(values), 3), "max": max(values)}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run the whole benchmark."""
    from menon.models.machine import manifest

    setting = prepare(options)
    tried = _peer.trials(setting, options)
    batch = int(max(tried["generate_batch"], key=tried["generate_batch"].__getitem__))
    layout = max(tried["training_rows"], key=tried["training_rows"].__getitem__)
    done = [repetition(setting, options, i, batch, layout) for i in range(options.repeats)]
    machine = manifest()
    machine["versions"] |= {name: version(name) for name in ("trl", "accelerate", "datasets")}
    return {
        "benchmark": "star_round",
        "machine": {name: machine[name] for name in ("device", "cores", "threads", "versions")},
        "load_average": round(os.getloadavg()[0], 2),
        "model": options.model,
        "parameters": setting.parameters,
        "attention": setting.model.config._attn_implementation,
        "settings": {name: value for name, value in vars(options).items() if name not in ("json", "model")},
        "kept_rows": len(setting.rows),
        "peer": {"generate_batch": batch, "training_rows": layout, "trials_tokens_per_s": tried},
        "base_loss": loss(setting.model, setting),
        "repetitions": done,
        "tokens_per_s": {
            side: {part: spread([row[side][f"{part}_tokens_per_s"] for row in done]) for part in PARTS[:3]}
            for side in ("menon", "peer")
        },
        **{
            name: {part: spread([row[name][part] for row in done]) for part in PARTS} for name in ("ratio", "cpu_ratio")
        },
    }


def table(result: dict[str, Any]) -> None:
    """Print the result for people."""
    machine = result["machine"]
    print(f"{machine['device']}, {machine['cores']} cores, {machine['threads']} threads, {result['model']}")
    peer = result["peer"]
    print(f"peer: generate in batches of {peer['generate_batch']}, training rows {peer['training_rows']}")
    print(f"{'tokens per second':<20}{'menon':>10}{'peer':>10}{'ratio':>8}   min - max   by processor time")
    for part in PARTS[:3]:
        ours, theirs = (result["tokens_per_s"][side][part]["median"] for side in ("menon", "peer"))
        ratio, cpu = result["ratio"][part], result["cpu_ratio"][part]["median"]
        span = f"{ratio['min']:.2f} - {ratio['max']:.2f}"
        print(f"{part:<20}{ours:>10.0f}{theirs:>10.0f}{ratio['median']:>8.2f}   {span}{cpu:>14.2f}")
    ratio = result["ratio"]["round_with_setup"]
    print(f"with the set-up of the peer's trainer: {ratio['median']:.2f} ({ratio['min']:.2f} - {ratio['max']:.2f})")


def main() -> None:
    """Measure, and print a table or one JSON object; exit with 2 when the peer is not installed."""
    options = parse()
    if importlib.util.find_spec("trl") is None:
        print("the peer of this benchmark is TRL, which is not installed: pip install 'menon[bench]'", file=sys.stderr)
        sys.exit(2)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    import datasets
    import torch
    import transformers

    torch.set_num_threads(options.threads)
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    with redirect_stdout(sys.stderr):  # the trainer prints its own summary
        result = measure(options)
    if options.json:
        print(json.dumps(result))
    else:
        table(result)


if __name__ == "__main__":
    main()

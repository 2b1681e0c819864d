"""Tokens per second of the local sampler against `generate` of transformers: same model, data, lengths and process.

256 sequences of 64 prompt tokens and up to 96 new ones, whose lengths are drawn once from a gamma distribution of mean
42; the sampler gets each length as its request's limit, `generate` as a stopping criterion that ends rows, and both
make the same number of useful tokens. `generate` runs without padding, with its fastest batch size of those tried.
The ratio of processor times stands beside that of wall times: on a busy machine the latter says little.
Left out: end tokens (random weights have no sense of an end), text (the same for both).
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from transformers import (
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    StoppingCriteria,
    StoppingCriteriaList,
)

from menon.core.values import Request
from menon.sampling.local import LocalSampler

SEQUENCES, PROMPT, LONGEST, MEAN, SHAPE, VOCABULARY = 256, 64, 96, 42, 4, 512
BATCHES = (256, 128, 64)


class Ids:
    """A tokenizer for a task that is all ids."""

    bos_token_id, eos_token_id, chat_template = None, None, None

    def decode(self, ids: list[int], **_: Any) -> str:
        return " ".join(map(str, ids))


class EndAtLength(StoppingCriteria):
    """Ends row r after `lengths[r]` new tokens; ended rows are padded until the last one ends."""

    def __init__(self, lengths: torch.Tensor):
        self.lengths = lengths

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        return input_ids.shape[1] - PROMPT >= self.lengths


def build(name: str) -> Any:
    """Return a random model of about 2.4 M parameters."""
    torch.manual_seed(0)
    common: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "hidden_size": 192,
        "num_hidden_layers": 6,
        "num_attention_heads": 6,
        "max_position_embeddings": 512,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": 0,
    }
    if name == "llama":
        return LlamaForCausalLM(LlamaConfig(**common, intermediate_size=384)).eval()
    return GPTNeoXForCausalLM(GPTNeoXConfig(**common, intermediate_size=576)).eval()


def matmul_peak() -> float:
    """Return the best rate of a float32 matrix product here, in GFLOP/s."""
    best = 0.0
    for size in (512, 1024, 2048):
        a, b = torch.randn(size, size), torch.randn(size, size)
        for _ in range(6):
            begun = time.perf_counter()
            torch.mm(a, b)
            best = max(best, 2 * size**3 / (time.perf_counter() - begun) / 1e9)
    return best


def flops_per_token(model: Any) -> int:
    """Return 2 x the parameters that a token is multiplied with (embedding look-up and attention scores left out)."""
    return 2 * sum(p.numel() for n, p in model.named_parameters() if p.dim() > 1 and "embed" not in n)


def timed(work: Callable[[], int]) -> tuple[float, float, int]:
    """Return wall seconds, processor seconds of all threads, and what `work` returned."""
    begun, used = time.perf_counter(), time.process_time()
    tokens = work()
    return time.perf_counter() - begun, time.process_time() - used, tokens


def workload(group: int) -> tuple[list[list[int]], list[int]]:
    """Return prompts, each given `group` times in a row, and the number of new tokens of each sequence."""
    rng = np.random.default_rng(0)
    lengths = np.clip(np.round(rng.gamma(SHAPE, MEAN / SHAPE, SEQUENCES)), 4, LONGEST).astype(int).tolist()
    prompts = rng.integers(0, VOCABULARY, (SEQUENCES // group, PROMPT)).tolist()
    return [prompt for prompt in prompts for _ in range(group)], lengths


def run_ours(sampler: LocalSampler, prompts: list[list[int]], lengths: list[int]) -> int:
    requests = [
        Request(key=str(i), prompt=tuple(prompt), seed=i, max_tokens=length)
        for i, (prompt, length) in enumerate(zip(prompts, lengths, strict=True))
    ]
    return sum(completion.completion_tokens for completion in sampler.sample(requests))


@torch.inference_mode()
def run_generate(model: Any, prompts: list[list[int]], lengths: list[int], batch: int) -> int:
    useful = 0
    for first in range(0, len(prompts), batch):
        ids = torch.tensor(prompts[first : first + batch])
        ends = torch.tensor(lengths[first : first + batch])
        model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=True,
            top_k=0,
            max_new_tokens=LONGEST,
            stopping_criteria=StoppingCriteriaList([EndAtLength(ends)]),
        )
        useful += int(ends.sum())
    return useful


def spread(values: list[float]) -> dict[str, float]:
    return {
        "min": round(min(values), 3),
        "median": round(statistics.median(values), 3),
        "max": round(max(values), 3),
    }


def measure(args: argparse.Namespace, group: int) -> dict[str, Any]:
    """Interleave both samplers `args.repeats` times and return rates and ratios."""
    model = build(args.model)
    prompts, lengths = workload(group)
    sampler = LocalSampler(model, Ids(), slots=args.slots)
    batches = {batch: timed(lambda b=batch: run_generate(model, prompts, lengths, b))[0] for batch in BATCHES}
    batch = min(batches, key=lambda size: batches[size])
    run_ours(sampler, prompts, lengths)
    ours, peer, processor = [], [], []
    for _ in range(args.repeats):
        seconds, our_work, tokens = timed(lambda: run_ours(sampler, prompts, lengths))
        ours.append(tokens / seconds)
        seconds, peer_work, useful = timed(lambda: run_generate(model, prompts, lengths, batch))
        peer.append(useful / seconds)
        processor.append(peer_work / our_work)
        assert tokens == useful, "both must make the same number of useful tokens"
    peak, work = matmul_peak(), flops_per_token(model)
    rate = statistics.median(ours)
    fed = 1 + (SEQUENCES // group) * (PROMPT - 1) / sum(lengths)
    return {
        "samples_per_prompt": group,
        "tokens": sum(lengths),
        "tokens_per_s": spread(ours),
        "peer_tokens_per_s": spread(peer),
        "ratio": spread([a / b for a, b in zip(ours, peer, strict=True)]),
        "processor_ratio": spread(processor),
        "peer_batch": batch,
        "peer_seconds_by_batch": {str(size): round(seconds, 2) for size, seconds in batches.items()},
        "peak_gflops": round(peak, 1),
        "share_of_peak": round(rate * work / peak / 1e9, 3),
        "share_of_peak_with_prompts": round(rate * work * fed / peak / 1e9, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--model", choices=("neox", "llama"), default="neox", help="neox is menon:base's architecture")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--slots", type=int, default=256)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = build(args.model)
    result = {
        "benchmark": "sampling",
        "model": args.model,
        "parameters": sum(p.numel() for p in model.parameters()),
        "threads": args.threads,
        "slots": args.slots,
        "repeats": args.repeats,
        "peer": "transformers generate (sdpa)",
        "runs": [measure(args, group) for group in (1, 4)],
    }
    if args.json:
        print(json.dumps(result))
        return
    print(f"{args.model}, {result['parameters'] / 1e6:.2f} M parameters, {args.threads} threads, {args.slots} slots")
    for run in result["runs"]:
        print(
            f"{run['samples_per_prompt']} sample(s) per prompt, {run['tokens']} tokens: "
            f"{run['tokens_per_s']['median']:.0f} tokens/s, generate {run['peer_tokens_per_s']['median']:.0f} "
            f"(batches of {run['peer_batch']}), ratio {run['ratio']['median']:.2f} ({run['ratio']['min']:.2f}-"
            f"{run['ratio']['max']:.2f}; in processor time "
            f"{run['processor_ratio']['median']:.2f}); {run['share_of_peak']:.1%} of {run['peak_gflops']:.0f} GFLOP/s, "
            f"{run['share_of_peak_with_prompts']:.1%} with the prompts' tokens"
        )


if __name__ == "__main__":
    main()

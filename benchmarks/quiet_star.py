"""Time and memory of one Quiet-STaR training step, against the dense scheme of the authors' program, in one run.

    python benchmarks/quiet_star.py [--json | --markdown] [--quick] [--cells 256,12,2 ...] [--memory-gb 8] > result.json
    python benchmarks/quiet_star.py --show result.json
    python benchmarks/quiet_star.py --check

A step is forward and backward of the whole loss, sampling included and the optimizer not, on a Llama with random
weights and random text. Every figure comes from a process of its own with one thread: processor seconds (best and
median) and the growth of the peak of its resident memory over what it had before the step. On a GPU (`--device cuda`)
seconds are those of the wall and memory is what torch allocated. Schemes: menon (thoughts after every position),
menon_quarter (at L/4 uniformly drawn positions), sdpa and dense (dense masks with and without torch's fused attention),
dense_one_hot (dense, and sampled rows multiplied with the embedding table). What a dense scheme would need beyond
`--memory-gb` is not run and listed with its estimate. `--check` compares the schemes with each other and with a literal
run, in numbers.
"""

import argparse
import gc
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from ctypes import CDLL
from pathlib import Path
from typing import Any
from unittest import mock

from _quiet_tables import Found, markdown, memory_growth, ratios

LENGTHS, TOKENS, PASSES = (128, 256, 512), (4, 8, 12, 16), (2, 4)
QUICK = [(64, 8, 2)]
DEFAULT = ("menon", "menon_quarter", "sdpa", "dense")
SCHEMES = (*DEFAULT, "dense_one_hot")
TARGETS = {
    "cell": "L=256, k=12, M=L",
    "dense/menon": {"seconds": 4.0, "memory": 6.0},
    "sdpa/menon": {"seconds": 2.5, "memory": 1.5},
    "dense/menon_quarter": {"seconds": 10.0},
}
LONG_S = 30.0  # a step that takes so long is timed once
MB = 2**20

Cell = tuple[int, int, int]


def make_quiet(options: argparse.Namespace, length: int, tokens: int) -> Any:
    """Build a thinking Llama with random weights, the same in every process."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from menon.core.seeds import seed_for
    from menon.models.thoughts.mixing import MixingHead
    from menon.models.thoughts.quiet import QuietModel
    from menon.models.thoughts.settings import ThoughtSettings
    from menon.models.thoughts.tokens import ThoughtTokens

    torch.manual_seed(seed_for("benchmark", "quiet"))
    config = LlamaConfig(
        vocab_size=options.vocabulary,
        hidden_size=options.width,
        intermediate_size=round(options.width / 3) * 8,
        num_hidden_layers=options.layers,
        num_attention_heads=options.heads,
        num_key_value_heads=options.key_heads or options.heads,
        max_position_embeddings=length + tokens + options.talk + 1,
    )
    model = LlamaForCausalLM(config)
    return QuietModel(
        model,
        ThoughtTokens(torch.randn(options.width) * 0.02, torch.randn(options.width) * 0.02),
        MixingHead(options.width),
        ThoughtSettings(tokens=tokens, talk=options.talk),
        banned_ids=(0, 1),
    ).to(device=options.device, dtype=getattr(torch, options.dtype))


def make_step(scheme: str, options: argparse.Namespace, quiet: Any, cell: Cell) -> Callable[[], Any]:
    """Return one training step of the scheme without its optimizer; gradients are left on the parameters."""
    import torch

    from menon.core.seeds import seed_for

    length, tokens, passes = cell
    draws = torch.Generator().manual_seed(seed_for("benchmark", "quiet", "text"))
    tokens_BL = torch.randint(2, options.vocabulary, (options.batch, length), generator=draws).to(options.device)
    if scheme.startswith("menon"):
        places = length // 4 if scheme == "menon_quarter" else 0
        return lambda: menon_step(quiet, tokens_BL, passes=passes, places=places, slice_rows=options.slice_rows)
    from _quiet_dense import Dense, dense_step

    settings = Dense(
        tokens=tokens,
        talk=options.talk,
        passes=passes,
        attention="sdpa" if scheme == "sdpa" else "materialised",
        one_hot=scheme == "dense_one_hot",
    )
    sampling = torch.Generator(options.device).manual_seed(seed_for("benchmark", "quiet", "thoughts"))
    return lambda: dense_step(quiet, tokens_BL, settings, generator=sampling).loss.backward()


def menon_step(
    quiet: Any, tokens_BL: Any, *, passes: int, places: int, slice_rows: int, lengths_B: Any = None
) -> dict[str, float]:
    """Go forward and backward through our step, thinking at `places` positions of every row (0: at all).

    Returns the parts of the loss.
    """
    import torch

    from menon.teaching.quiet.config import QuietConfig
    from menon.teaching.quiet.step import TextBatch, accumulate_gradients, draw_chance

    length = tokens_BL.shape[1]
    lengths_B = torch.full_like(tokens_BL[:, 0], length) if lengths_B is None else lengths_B
    real_BL = torch.arange(length, device=tokens_BL.device) < lengths_B[:, None]
    batch = TextBatch(tokens_BL=tokens_BL, lengths_B=lengths_B, weights_BL=real_BL.to(quiet.thought_tokens.start.dtype))
    config = QuietConfig(passes=passes, positions=places, slice_rows=slice_rows)
    drawn = draw_chance(batch, quiet, quiet.shape, config, "benchmark", "quiet")
    sums = accumulate_gradients(quiet, [batch], [drawn], config, quiet.shape)
    parts = {
        "base": sums.mean("text_nll", "text_count"),
        "talk": sums.mean("talk_nll", "talk_count"),
        "policy": sums.mean("policy", "thought_tokens"),
    }
    whole = config.text * parts["base"] + config.talk * parts["talk"] + config.policy * parts["policy"]
    return parts | {"loss": whole}


def child(options: argparse.Namespace) -> Found:
    """Measure one scheme in one cell; the first full step gives the memory, the following ones the time.

    In the first step every block of 64 KB and more is given back when it is freed. The allocator would otherwise keep
    holes between blocks of a few megabytes (1.8 times what the dense scheme needs was seen), not alike in all schemes.
    """
    import torch

    torch.set_num_threads(1)
    (cell,) = options.cells
    (scheme,) = options.schemes
    length, tokens, _ = cell
    quiet = make_quiet(options, length, tokens)
    small = make_step(scheme, options, quiet, (4 * options.talk, tokens, 2))
    small()  # loads kernels and code, which are no memory of the step
    work = make_step(scheme, options, quiet, cell)
    set_allocator(2**16, 2**17)
    first, peak = measure(work, quiet, options.device)
    set_allocator(2**25, 2**26)  # what glibc's thresholds grow to by themselves
    repeats = options.repeats if first < LONG_S else 1
    seconds = [measure(work, quiet, options.device)[0] for _ in range(repeats)]
    return {
        "best_s": round(min(seconds), 4),
        "median_s": round(statistics.median(seconds), 4),
        "peak_mb": round(peak / MB, 1),
        "repeats": len(seconds),
    }


def set_allocator(mapped: int, trimmed: int) -> None:
    """Let glibc map blocks of `mapped` bytes and more by themselves, and give back free ends beyond `trimmed` bytes."""
    with suppress(OSError, AttributeError):  # another C library
        CDLL(None).mallopt(-3, mapped)
        CDLL(None).mallopt(-1, trimmed)


def measure(work: Callable[[], Any], quiet: Any, device: str) -> tuple[float, float]:
    """Return the seconds of one step and the bytes by which its peak stood above what was there before it."""
    import torch

    quiet.zero_grad(set_to_none=True)
    gc.collect()
    if device != "cpu":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before, started = torch.cuda.memory_allocated(), time.perf_counter()
        work()
        torch.cuda.synchronize()
        return time.perf_counter() - started, torch.cuda.max_memory_allocated() - before
    with suppress(OSError, AttributeError):  # glibc gives freed memory back, so that it is not taken for free memory
        CDLL(None).malloc_trim(0)
    before = reset_peak()
    started = time.process_time()
    work()
    return time.process_time() - started, peak_bytes() - before


def reset_peak() -> int:
    """Lower the recorded peak to what is resident now where the system can do that, and return it in bytes.

    Elsewhere the peak of the process so far is returned; growth beyond it is still right for a first large step.
    """
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return peak_bytes()


def peak_bytes() -> int:
    """Return the peak of resident memory since it was reset."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def estimate(scheme: str, options: argparse.Namespace, cell: Cell) -> int:
    """Return about how many bytes a dense scheme keeps for its backward pass; what Menon needs is not estimated."""
    if scheme.startswith("menon"):
        return 0
    length, tokens, passes = cell
    rows = tokens + options.talk + 1
    steps, pairs = rows + 1, (rows + 1) * (rows + 2) // 2
    inner = round(options.width / 3) * 8
    numbers = 2 * options.layers * options.width * length * pairs  # keys and values, concatenated anew in each forward
    numbers += options.layers * length * steps * (10 * options.width + 4 * inner)
    numbers += 3 * length * options.vocabulary * (steps + 1)
    if scheme != "sdpa":
        numbers += options.heads * length**2 * (options.layers * pairs + 3 * steps)
    width = 4 if options.dtype == "float32" else 2
    return width * (numbers * options.batch * passes + length**2 * pairs)


def measure_cell(options: argparse.Namespace, cell: Cell) -> Found:
    """Measure all schemes in one cell, each in a process of its own."""
    length, tokens, passes = cell
    found: Found = {
        "length": length,
        "tokens": tokens,
        "passes": passes,
        "rows": tokens + options.talk + 1,
        "schemes": {},
    }
    for scheme in options.schemes:
        needed = estimate(scheme, options, cell)
        if needed > options.memory_gb * 2**30:
            result: Found = {"skipped": f"beyond {options.memory_gb:g} GB", "estimate_mb": round(needed / MB)}
        else:
            result = apart(options, scheme, cell) | ({"estimate_mb": round(needed / MB)} if needed else {})
        found["schemes"][scheme] = result
        print(f"L={length} k={tokens} P={passes} {scheme}: {json.dumps(result)}", file=sys.stderr, flush=True)
    found["ratios"] = ratios(found["schemes"])
    return found


def apart(options: argparse.Namespace, scheme: str, cell: Cell) -> Found:
    """Measure in a fresh process; one that fails or is killed is reported with its last words."""
    passed = (
        "layers",
        "width",
        "heads",
        "key_heads",
        "vocabulary",
        "batch",
        "device",
        "dtype",
        "repeats",
        "talk",
        "slice_rows",
    )
    command = [sys.executable, __file__, "--child", "--cells", ",".join(map(str, cell)), "--schemes", scheme]
    for name in passed:
        command += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env={**os.environ, **threads}, capture_output=True, text=True)
    if done.returncode:
        return {"failed": f"exit {done.returncode}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}"}
    return json.loads(done.stdout.splitlines()[-1])


def check() -> Found:
    """Compare the schemes on a tiny model."""
    import torch
    from _quiet_check import SETTINGS, agreement

    from menon.teaching.quiet import step

    tiny = argparse.Namespace(
        vocabulary=31, talk=SETTINGS.talk, width=32, layers=3, heads=4, key_heads=2, device="cpu", dtype="float32"
    )

    def make() -> Any:
        quiet = make_quiet(tiny, 16, SETTINGS.tokens)
        for value in quiet.parameters():  # larger weights, and a mixing weight that differs from place to place
            torch.nn.init.normal_(value, std=0.3) if value.ndim == 2 or value is quiet.thought_tokens.start else None
        return quiet

    def ours(quiet: Any, tokens_BL: Any, lengths_B: Any, thoughts_BLPK: Any) -> dict[str, float]:
        rows_B1 = torch.arange(len(tokens_BL))[:, None]
        with mock.patch.object(step, "sample", lambda _, __, places, *___: thoughts_BLPK[rows_B1, places.positions_BM]):
            return menon_step(quiet, tokens_BL, passes=SETTINGS.passes, places=0, slice_rows=60, lengths_B=lengths_B)

    return agreement(make, ours)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--markdown", action="store_true", help="print tables (the default)")
    parser.add_argument("--show", type=Path, help="print the tables of a saved JSON object, and measure nothing")
    parser.add_argument("--check", action="store_true", help="print how well the schemes agree on a tiny model")
    parser.add_argument("--quick", action="store_true", help="one small cell, less than a minute")
    parser.add_argument("--cells", nargs="+", type=read_cell, metavar="L,k,P", help="in place of the whole grid")
    parser.add_argument("--schemes", nargs="+", choices=SCHEMES, default=list(DEFAULT))
    parser.add_argument("--memory-gb", type=float, default=8.0, help="what a dense scheme may need")
    parser.add_argument("--repeats", type=int, default=3, help="timed steps, at least 1; long ones are timed once")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--key-heads", type=int, default=0, help="0: as many as heads")
    parser.add_argument("--vocabulary", type=int, default=512)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--talk", type=int, default=4, help="true tokens whose prediction judges a thought")
    parser.add_argument("--slice-rows", type=int, default=4096, help="quiet.slice_rows of Menon; 0 takes all at once")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.json and options.markdown:
        parser.error("give --json or --markdown; a saved JSON object becomes tables by --show FILE")
    grid = [(length, tokens, passes) for length in LENGTHS for tokens in TOKENS for passes in PASSES]
    if options.talk < 1 or any(cell[0] <= options.talk for cell in options.cells or ()):
        parser.error(f"--talk {options.talk} must be at least 1 and less than every L")
    if options.repeats < 1:
        parser.error(f"--repeats {options.repeats} must be at least 1")
    options.cells = options.cells or (QUICK if options.quick else grid)
    return options


def read_cell(text: str) -> Cell:
    """Read `L,k,P`."""
    try:
        length, tokens, passes = map(int, text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no L,k,P; an example is 256,12,2") from None
    if tokens < 1 or passes < 2:
        raise argparse.ArgumentTypeError(f"{text!r}: k must be at least 1 and P at least 2")
    return length, tokens, passes


def run(options: argparse.Namespace) -> Found:
    """Measure every cell."""
    cells = [measure_cell(options, cell) for cell in options.cells]
    return {
        "benchmark": "quiet_star",
        "model": {name: getattr(options, name) for name in ("layers", "width", "heads", "vocabulary", "batch")},
        "talk": options.talk,
        "schemes": options.schemes,
        "targets": TARGETS,
        "cells": cells,
        "memory_against_rows": memory_growth(cells),
        "environment": {
            "python": platform.python_version(),
            "machine": platform.machine(),
            "device": options.device,
            "dtype": options.dtype,
            "cores": os.cpu_count(),
            "threads": 1,
            "load_average": round(os.getloadavg()[0], 2),
        },
    }


def main() -> None:
    """Measure, check or show, and print."""
    options = parse()
    if options.child:
        print(json.dumps(child(options)))
    elif options.show:
        print(markdown(json.loads(options.show.read_text(encoding="utf-8"))))
    elif options.check:
        print(json.dumps({"benchmark": "quiet_star", "check": check()}))
    else:
        result = run(options)
        print(json.dumps(result) if options.json else markdown(result))


if __name__ == "__main__":
    main()

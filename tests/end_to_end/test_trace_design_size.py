"""A model of the size that memory allows here, with random weights: the estimate of memory against what was taken."""

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

SCRIPT = """
import json, sys
import torch
from transformers import AutoModelForCausalLM, LlamaConfig
from menon.core.seeds import rng_for
from menon.models.machine import peak_memory_mb
from menon.tracing.config import TraceConfig
from menon.tracing.estimate import memory_needed
from menon.tracing.layers import traced_layers
from menon.tracing.memory import trace_sequences
from menon.tracing.values import TokenSequence

before = peak_memory_mb()
config = LlamaConfig(vocab_size=8000, hidden_size=1024, intermediate_size=2816, num_hidden_layers=8,
                     num_attention_heads=16, num_key_value_heads=4, max_position_embeddings=512)
torch.manual_seed(0)
model = AutoModelForCausalLM.from_config(config).eval()
rng = rng_for("design size")
documents = [TokenSequence(document=i, ids=tuple(rng.randrange(8000) for _ in range(256))) for i in range(8)]
queries = [TokenSequence(document=0, ids=tuple(rng.randrange(8000) for _ in range(48)), prompt=32, prompt_weight=0.0)
           for _ in range(4)]
settings = TraceConfig(tokens_per_batch=512)
layers = traced_layers(model)
needed = memory_needed(model, layers, settings, queries=4, documents=8, longest=256)
found = trace_sequences(model, documents, queries, settings)
print(json.dumps({"parameters": sum(p.numel() for p in model.parameters()), "traced": layers.parameters,
                  "estimated_mb": needed.peak / 2**20, "measured_mb": peak_memory_mb() - before,
                  "finite": bool(abs(found.scores["ekfac"]).max() > 0)}))
"""


def test_memory_is_near_the_estimate():
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=900, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    assert told["parameters"] > 100_000_000
    assert told["finite"]
    assert 0.5 < told["measured_mb"] / told["estimated_mb"] < 1.5, told

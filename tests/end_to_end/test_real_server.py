"""A real OpenAI-compatible server on loopback (`transformers serve`): sampling, grading, and what it cannot do.

One server process loads the models that requests name: a tiny Llama with a tokenizer of its own, and `menon:base`.
"""

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from menon.core.errors import SamplerError
from menon.core.values import Message, Problem, Request, Verdict
from menon.grading import grade
from menon.problems import FAMILIES
from menon.sampling import open_sampler, sample_in_order

NEEDED = ("fastapi", "uvicorn", "accelerate", "openai")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"`transformers serve` needs {', '.join(MISSING)}")

LETTERS = "0123456789+-=#;:?. abcdefghijklmnopqrstuvwxyz"
START_S = 120.0


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a Llama of random weights, a tokenizer of single characters and a chat template."""
    import torch
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    vocabulary = {token: place for place, token in enumerate(["<pad>", "<s>", "</s>", "<unk>", *LETTERS])}
    characters = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    characters.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    characters.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=characters, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, max_position_embeddings=1024,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(do_sample=True, pad_token_id=0, bos_token_id=1, eos_token_id=2)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start `transformers serve` on a free port and return the address of its API."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = tmp_path_factory.mktemp("home")
    (home / "hub").mkdir()
    command = [sys.executable, "-c", "from transformers.cli.transformers import main; main()", "serve"]
    arguments = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    environment = {**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    log = home / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen([*command, *arguments], env=environment, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + START_S
        while not _healthy(f"http://127.0.0.1:{port}/health"):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"`transformers serve` did not start:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _healthy(url: str) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=5) as response:
            return response.status == 200
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def test_chat_samples_can_be_graded(server: str, tiny: Path) -> None:
    problems = [Problem(family="own", question=f"{i}+{i}", answer=str(2 * i)) for i in range(6)]
    messages = (Message(role="user", content="0+0="),)
    requests = [Request(key=p.id, prompt=p.question + "=", seed=i, n=3, max_tokens=8) for i, p in enumerate(problems)]
    requests.append(Request(key="messages", prompt=messages, seed=9, max_tokens=8))
    completions = sample_in_order(open_sampler(f"{server}#{tiny}"), requests)
    assert len(completions) == 19
    assert [c.error for c in completions if c.error] == []
    assert all(c.model == f"{server}#{tiny}" and c.prompt_tokens == 4 for c in completions)
    assert all(1 <= c.completion_tokens <= 8 for c in completions)
    assert len({c.text for c in completions}) > 6, "the samples of one prompt draw from different seeds"
    asked = {problem.id: problem for problem in problems}
    grades = [grade(asked[c.key], c) for c in completions if c.key in asked]
    assert {g.verdict for g in grades} <= {Verdict.RIGHT, Verdict.WRONG, Verdict.UNPARSED, Verdict.TRUNCATED}
    truncated = [c.finish == "length" for c in completions if c.key in asked]
    assert truncated == [g.verdict is Verdict.TRUNCATED for g in grades]


def test_completions_with_stop_strings_and_seeds(server: str, tiny: Path) -> None:
    sampler = open_sampler(f"{server}?api=completions#{tiny}", concurrency=1)
    stop = tuple("abcdefghijklm")
    requests = [Request(key=str(i), prompt="1+1=", seed=i, max_tokens=40, stop=stop) for i in range(4)]
    completions = sample_in_order(sampler, requests)
    assert {c.finish for c in completions} == {"stop"}
    assert not any(mark in c.text for c in completions for mark in stop)
    again = sample_in_order(sampler, requests)
    assert [c.text for c in again] == [c.text for c in completions]


def test_wrong_model_name_and_what_the_server_does_not_offer(server: str, tiny: Path) -> None:
    sampler = open_sampler(f"{server}#no/such-model", backoff_s=0.01)
    completions = sample_in_order(sampler, [Request(key=str(i), prompt="1+1=", seed=i) for i in range(20)])
    assert {c.finish for c in completions} == {"error"}
    assert all("is 'no/such-model' the model's name on the server?" in str(c.error) for c in completions)
    (completion,) = open_sampler(f"{server}#{tiny}").sample([Request(key="k", prompt="1+1=", seed=0, top_k=4)])
    assert "top_k" in str(completion.error)
    with pytest.raises(SamplerError, match="does not offer `echo`"):
        open_sampler(f"{server}?api=completions#{tiny}").score("1+1", "=2")


def test_the_embedded_model_behind_the_server(server: str) -> None:
    from menon.models.embedded import folder

    if not (folder() / "model.safetensors").is_file():
        pytest.skip("the embedded model is not in this checkout")
    chain = FAMILIES.get("chain")
    problems = [chain.problem("test", index, difficulty=1) for index in range(20)]
    problems = list({problem.id: problem for problem in problems}.values())
    requests = [Request(key=p.id, prompt=p.question + "=", seed=0, temperature=0.0, max_tokens=64) for p in problems]
    completions = sample_in_order(open_sampler(f"{server}?api=completions#{folder()}"), requests)
    right = [grade(p, c).right for p, c in zip(problems, completions, strict=True)]
    assert sum(right) > len(right) / 2, [c.text for c in completions[:5]]


def test_the_embedded_model_is_audited_through_the_server(server: str) -> None:
    """Codes of people can only be recited, and the audit says so of a model that it reaches over HTTP alone."""
    from menon.auditing import Item, Label, audit_cells
    from menon.models.embedded import folder
    from menon.problems.corpus import originals

    facts = FAMILIES.get("facts")
    known = [problem for problem in originals(facts) if problem.difficulty < 3][:40]
    fresh = {facts.variant(problem, 0).id: (facts.variant(problem, 0), problem.id) for problem in known}
    problems = [*((p, "") for p in known), *fresh.values()]
    requests = [Request(key=p.id, prompt=p.question + "=", seed=0, temperature=0.0, max_tokens=32) for p, _ in problems]
    completions = sample_in_order(open_sampler(f"{server}?api=completions#{folder()}"), requests)
    items = [
        Item(problem=p, grade=grade(p, c), role="fresh" if of else "original", of=of)
        for (p, of), c in zip(problems, completions, strict=True)
    ]
    report = audit_cells(items)
    assert report.families["facts"].finding.label is Label.RECITES, report.sentence

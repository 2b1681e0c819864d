"""The local sampler against plain forwards, `generate`, exact distributions and enumeration, on small random models."""

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from transformers import (  # noqa: E402
    AutoModelForCausalLM,
    BloomConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    OPTConfig,
    Qwen2Config,
    Qwen3Config,
)

from menon.core.values import Completion, Request  # noqa: E402
from menon.sampling.decoding import cut, invert, uniforms  # noqa: E402
from menon.sampling.local import LocalSampler  # noqa: E402

COMMON: dict[str, Any] = {"vocab_size": 61, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
WIDE: dict[str, Any] = {
    **COMMON,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}
CONFIGS: dict[str, Any] = {
    "llama": lambda: LlamaConfig(**WIDE, num_key_value_heads=2),
    "llama-one-head": lambda: LlamaConfig(**WIDE, num_key_value_heads=1),
    "neox": lambda: GPTNeoXConfig(**WIDE),
    "gpt2": lambda: GPT2Config(**COMMON, n_embd=32, n_layer=3, n_head=4, n_positions=64),
    "qwen2": lambda: Qwen2Config(**WIDE, num_key_value_heads=2),
    "qwen3": lambda: Qwen3Config(**WIDE, num_key_value_heads=2, head_dim=12),
    "mistral": lambda: MistralConfig(**WIDE, num_key_value_heads=2, sliding_window=5),
    "gemma2": lambda: Gemma2Config(
        **WIDE,
        num_key_value_heads=2,
        head_dim=8,
        sliding_window=6,
        query_pre_attn_scalar=8,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
    ),
    "gemma3": lambda: Gemma3TextConfig(
        **WIDE,
        num_key_value_heads=2,
        head_dim=8,
        sliding_window=6,
        query_pre_attn_scalar=8,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
    ),
    "opt": lambda: OPTConfig(
        **COMMON,
        hidden_size=32,
        ffn_dim=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=64,
        word_embed_proj_dim=32,
    ),
    "bloom": lambda: BloomConfig(**COMMON, hidden_size=32, n_layer=2, n_head=4),
}
PROMPTS = [
    tuple(np.random.default_rng(place).integers(3, 61, size=length).tolist())
    for place, length in enumerate((7, 1, 12, 3, 9, 2, 12, 5, 20))
]


class Letters:
    """A tokenizer whose ids are characters; enough where the prompts are ids."""

    bos_token_id, eos_token_id, chat_template = 1, 2, None

    def decode(self, ids: list[int], **_: Any) -> str:
        return "".join(chr(64 + i) for i in ids if i > 2)


def build(name: str, *, dtype: Any = torch.float32, seed: int = 0, ends: bool = True) -> Any:
    torch.manual_seed(seed)
    attention = "eager" if name in ("gemma2", "bloom") else "sdpa"
    model = AutoModelForCausalLM.from_config(CONFIGS[name](), attn_implementation=attention).eval().to(dtype)
    for parameter in model.parameters():  # large weights make peaked, varied distributions
        if parameter.dim() > 1:
            parameter.data.mul_(4)
    if not ends:
        model.generation_config.eos_token_id = None
    return model


def sampler(model: Any, *, ends: bool = True, **options: Any) -> LocalSampler:
    tokenizer = Letters()
    if not ends:
        tokenizer.eos_token_id = None  # type: ignore[assignment]
    return LocalSampler(model, tokenizer, name="random", **options)


def by_key(completions: Any) -> dict[tuple[str, int], Completion]:
    return {(c.key, c.sample): c for c in completions}


def tokens(completion: Completion) -> tuple[int, ...]:
    assert completion.token_ids is not None, completion.error
    return completion.token_ids


def requests(**options: Any) -> list[Request]:
    return [Request(key=str(i), prompt=p, seed=i, **{"max_tokens": 15, **options}) for i, p in enumerate(PROMPTS)]


@torch.inference_mode()
def greedy_by_forward(model: Any, prompt: tuple[int, ...], count: int) -> list[int]:
    ids = list(prompt)
    for _ in range(count):
        ids.append(int(model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
        if ids[-1] == 2:
            break
    return ids[len(prompt) :]


@pytest.mark.parametrize("name", CONFIGS)
def test_greedy_is_the_argmax_of_the_full_forward(name: str):
    model = build(name)
    ours = sampler(model, slots=4)
    assert ours.engine.joint == (name != "bloom")
    done = by_key(ours.sample(requests(temperature=0.0)))
    assert len(done) == len(PROMPTS)
    for place, prompt in enumerate(PROMPTS):
        completion = done[str(place), 0]
        assert list(tokens(completion)) == greedy_by_forward(model, prompt, 15)
        assert completion.finish == ("stop" if tokens(completion)[-1] == 2 else "length")
        assert completion.prompt_ids == prompt


@pytest.mark.parametrize("name", ["llama", "gpt2", "neox", "qwen2", "qwen3", "mistral", "gemma2", "gemma3"])
def test_greedy_is_that_of_generate(name: str):
    model = build(name, seed=1)
    done = by_key(sampler(model, slots=3).sample(requests(temperature=0.0)))
    for place, prompt in enumerate(PROMPTS):
        with torch.inference_mode():
            ids = torch.tensor([prompt])
            made = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=15)
        assert list(tokens(done[str(place), 0])) == made[0, len(prompt) :].tolist()


@pytest.mark.parametrize("name", CONFIGS)
def test_log_probabilities_are_those_of_the_plain_forward(name: str):
    model = build(name)
    ours = sampler(model, slots=5)
    for completion in ours.sample(requests(logprobs=True, temperature=1.5, top_k=20, n=2)):
        prompt, ids = completion.prompt_ids or (), tokens(completion)
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([[*prompt, *ids]]), use_cache=False).logits[0].float()
        expected = logits.log_softmax(-1)[range(len(prompt) - 1, len(prompt) + len(ids) - 1), list(ids)]
        assert completion.logps == pytest.approx(expected.tolist(), abs=2e-4)
        assert ours.score(prompt, ids) == pytest.approx(expected.tolist(), abs=2e-4)


def test_bfloat16_runs_and_scores_what_it_samples():
    ours = sampler(build("llama", dtype=torch.bfloat16), slots=4)
    assert ours.engine.joint
    for completion in ours.sample(requests(logprobs=True)):
        assert completion.logps == pytest.approx(ours.score(completion.prompt_ids or (), tokens(completion)), abs=0.5)


def test_scores_come_back_in_order_and_do_not_depend_on_the_batch():
    ours = sampler(build("qwen2"))
    pairs = [(p, PROMPTS[(i + 1) % len(PROMPTS)]) for i, p in enumerate(PROMPTS)]
    together = ours.score_many(pairs)
    for pair, scores in zip(pairs, together, strict=True):
        assert scores == pytest.approx(ours.score(*pair), abs=1e-5)
        assert len(scores) == len(pair[1])
    assert ours.score(PROMPTS[0], ()) == []


@pytest.mark.parametrize("name", ["llama", "mistral", "gpt2"])
def test_a_sample_does_not_depend_on_its_batch(name: str):
    model = build(name, dtype=torch.float64)
    asked = requests(n=3, logprobs=True)
    together = by_key(sampler(model, slots=7).sample(asked))
    reversed_ = by_key(sampler(model, slots=27).sample(asked[::-1]))
    alone = by_key(c for request in asked for c in sampler(model, slots=1).sample([request]))
    for key, completion in together.items():
        assert completion.token_ids == reversed_[key].token_ids == alone[key].token_ids
        assert completion.logps == pytest.approx(alone[key].logps, abs=1e-9)
    assert len({c.token_ids for c in together.values()}) > 20


@pytest.mark.parametrize("name", ["llama", "gpt2", "bloom"])
def test_a_shared_prefill_changes_nothing(name: str):
    model = build(name, dtype=torch.float64)
    asked = [*requests(n=3), *(Request(key=f"twin{i}", prompt=p, seed=99 + i) for i, p in enumerate(PROMPTS))]
    shared = by_key(sampler(model, slots=8).sample(asked))
    apart = by_key(sampler(model, slots=8, share_prompts=False).sample(asked))
    assert {k: c.token_ids for k, c in shared.items()} == {k: c.token_ids for k, c in apart.items()}


@pytest.mark.parametrize("name", ["llama", "neox", "gpt2", "mistral", "gemma3", "bloom"])
def test_prompts_that_begin_alike_are_prefilled_once(name: str, monkeypatch: pytest.MonkeyPatch):
    model = build(name, dtype=torch.float64)
    examples = tuple(np.random.default_rng(1).integers(3, 61, size=18).tolist())
    asked = [
        Request(key=str(i), prompt=examples + p, seed=i, n=1 + i % 3, max_tokens=9, logprobs=True)
        for i, p in enumerate([*PROMPTS, ()])
    ]
    shared, apart = sampler(model, slots=12), sampler(model, slots=12, share_prompts=False)
    fed: list[int] = []
    forward = model.forward
    monkeypatch.setattr(
        model, "forward", lambda **options: fed.append(options["input_ids"].numel()) or forward(**options)
    )
    expected = by_key(apart.sample(asked))
    plain, _ = sum(fed), fed.clear()
    for key, completion in by_key(shared.sample(asked)).items():
        assert completion.token_ids == expected[key].token_ids
        assert completion.logps == pytest.approx(expected[key].logps, abs=1e-9)
    assert sum(fed) < 0.8 * plain


def test_equal_requests_give_equal_completions():
    ours = sampler(build("llama"), slots=4)
    first, second = (
        [(c.key, c.sample, c.text, c.token_ids, c.finish) for c in ours.sample(requests(n=2))] for _ in range(2)
    )
    assert first == second


def test_sampled_tokens_follow_the_model_s_distribution():
    model = build("llama")
    count = 4000
    done = list(sampler(model, slots=500).sample([Request(key="x", prompt=PROMPTS[0], seed=5, n=count, max_tokens=2)]))
    with torch.inference_mode():
        first = model(input_ids=torch.tensor([PROMPTS[0]])).logits[0, -1].double().softmax(-1).numpy()
    seen = np.bincount([tokens(c)[0] for c in done], minlength=61)
    assert _chi_square(seen, first * count) < 4  # standard deviations above the mean of the statistic
    common = Counter(tokens(c)[0] for c in done if len(tokens(c)) > 1).most_common(1)[0][0]
    second_ids = [tokens(c)[1] for c in done if tokens(c)[0] == common]
    with torch.inference_mode():
        second = model(input_ids=torch.tensor([[*PROMPTS[0], common]])).logits[0, -1].double().softmax(-1).numpy()
    assert _chi_square(np.bincount(second_ids, minlength=61), second * len(second_ids)) < 4


def _chi_square(seen: np.ndarray, expected: np.ndarray) -> float:
    """Return the statistic's distance from its mean in standard deviations, rare cells pooled."""
    rare = expected < 5
    seen = np.append(seen[~rare], seen[rare].sum())
    expected = np.append(expected[~rare], max(expected[rare].sum(), 1e-9))
    degrees = max(1, int((expected > 1e-6).sum()) - 1)
    statistic = float((((seen - expected) ** 2) / expected)[expected > 1e-6].sum())
    return (statistic - degrees) / (2 * degrees) ** 0.5


def test_truncation_keeps_the_right_sets():
    probs = torch.tensor([[0.1, 0.4, 0.2, 0.3], [0.25, 0.25, 0.25, 0.25], [0.97, 0.01, 0.01, 0.01]])
    kept = cut(probs, torch.tensor([0.6, 1.0, 0.5]), torch.tensor([4, 2, 3]))
    assert kept.gt(0).tolist() == [[False, True, False, True], [True, True, False, False], [True, False, False, False]]
    assert (kept[0] / kept[0].sum()).tolist() == pytest.approx([0, 4 / 7, 0, 3 / 7])


def test_top_p_works_on_the_mass_that_top_k_left():
    kept = cut(torch.tensor([[0.4, 0.3, 0.2, 0.1]]), torch.tensor([0.55]), torch.tensor([2]))
    assert kept.gt(0).tolist() == [[True, False, False, False]]  # 0.4 / 0.7 already holds 55 %


def test_draws_at_the_edges_pick_ids_that_have_mass():
    probs = torch.tensor([[0.0, 0.5, 0.5, 0.0]]).repeat(3, 1)
    assert invert(probs, torch.tensor([0.0, 0.5, 1 - 2**-53], dtype=torch.float64)).tolist() == [1, 2, 2]
    assert invert(torch.full((1, 4), torch.nan), torch.tensor([0.5])).tolist() == [-1]


def test_truncated_and_plain_and_greedy_rows_share_a_batch():
    model = build("neox", dtype=torch.float64)
    options = [{}, {"temperature": 0.0}, {"top_p": 0.5}, {"top_k": 1, "temperature": 0.7}, {"temperature": 2.0}]
    asked = [
        Request(key=f"{i}/{j}", prompt=p, seed=3, max_tokens=8, **o)
        for i, p in enumerate(PROMPTS)
        for j, o in enumerate(options)
    ]
    together = by_key(sampler(model, slots=16).sample(asked))
    for request in asked:
        assert together[request.key, 0].token_ids == next(sampler(model).sample([request])).token_ids
    for place, prompt in enumerate(PROMPTS):
        assert list(tokens(together[f"{place}/1", 0])) == greedy_by_forward(model, prompt, 8)
        assert together[f"{place}/3", 0].token_ids == together[f"{place}/1", 0].token_ids


def test_many_cohorts_are_merged_and_grown_without_a_trace():
    model = build("llama", dtype=torch.float64)
    asked = [
        Request(key=str(i), prompt=PROMPTS[i % 9][: 1 + i % 7], seed=i, max_tokens=3 + 50 * (i % 5 == 0))
        for i in range(60)
    ]
    few = by_key(sampler(model, slots=10, ends=False).sample(asked))
    for request in asked[::7]:
        assert few[request.key, 0].token_ids == next(sampler(model, ends=False).sample([request])).token_ids


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_beam_search_is_that_of_generate(name: str):
    model = build(name, seed=2)
    for prompt in PROMPTS[:6]:
        request = Request(key="b", prompt=prompt, seed=0, beams=4, n=3, max_tokens=8, logprobs=True)
        ours = list(sampler(model).sample([request]))
        with torch.inference_mode():
            ids = torch.tensor([prompt])
            made = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                num_beams=4,
                num_return_sequences=3,
                do_sample=False,
                max_new_tokens=8,
                return_dict_in_generate=True,
                output_scores=True,
            )
        for completion, row, score in zip(ours, made.sequences, made.sequences_scores, strict=True):
            assert list(tokens(completion)) == [t for t in row[len(prompt) :].tolist() if t != 0]
            logps = completion.logps or ()
            assert sum(logps) / len(logps) == pytest.approx(float(score), abs=1e-4)


def test_beams_as_wide_as_the_tree_find_the_best_continuation():
    torch.manual_seed(0)
    config = LlamaConfig(**{**WIDE, "vocab_size": 5}, num_key_value_heads=2)
    model = AutoModelForCausalLM.from_config(config).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.mul_(4)
    ours = sampler(model)
    best = next(ours.sample([Request(key="b", prompt=(3, 4), seed=0, beams=125, max_tokens=3, logprobs=True)]))
    candidates = [ids[: ids.index(2) + 1] if 2 in ids else ids for ids in itertools.product(range(5), repeat=3)]
    means = {ids: float(np.mean(ours.score((3, 4), ids))) for ids in set(candidates)}
    assert max(means, key=lambda ids: means[ids]) == best.token_ids


def test_uniform_numbers_are_stable():
    request = Request(key="k", prompt="p", seed=7)
    assert uniforms(request, 0, 3) == uniforms(request, 0, 5)[:3]
    assert uniforms(request, 0, 3) != uniforms(request, 1, 3)
    assert uniforms(request, 0, 2) == pytest.approx([0.5070126164911721, 0.5228351035903591], abs=1e-12)

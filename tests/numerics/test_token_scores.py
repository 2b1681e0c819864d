"""Token scores of the local sampler against plain transformers logits, one text at a time, in float64."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from transformers import AutoModelForCausalLM, GPTNeoXConfig, LlamaConfig  # noqa: E402

from menon.core.errors import SamplerError  # noqa: E402
from menon.models.load import load_model  # noqa: E402
from menon.sampling import local_engine  # noqa: E402
from menon.sampling.local import LocalSampler  # noqa: E402
from menon.sampling.token_scores import ScoresTokens, TokenScores, token_scores  # noqa: E402

COMMON: dict[str, Any] = {
    **{"vocab_size": 47, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2},
    **{"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4},
    "max_position_embeddings": 64,
}
PAIRS = [((3, 4, 5), (6, 7, 8, 9)), ((10,), (11,)), ((12, 13), (14, 15, 16, 17, 18, 19, 20)), ((21, 22), ())]


class Letters:
    bos_token_id, eos_token_id, chat_template = 1, 2, None


def build(config: Any) -> Any:
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(config).eval().double()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.mul_(4)
    return model


def reference(model: Any, prompt: tuple[int, ...], continuation: tuple[int, ...]) -> list[tuple[float, float, float]]:
    """Compute the three figures of each token from the logits, with a loop over the vocabulary."""
    rows = []
    with torch.inference_mode():
        for place, token in enumerate(continuation):
            logits = model(torch.tensor([[*prompt, *continuation[:place]]])).logits[0, -1]
            chances = torch.softmax(logits, -1).tolist()
            logs = [float(torch.tensor(chance, dtype=torch.float64).log()) for chance in chances]
            mean = sum(p * log for p, log in zip(chances, logs, strict=True))
            variance = sum(p * log * log for p, log in zip(chances, logs, strict=True)) - mean * mean
            rows.append((logs[token], mean, variance))
    return rows


@pytest.mark.parametrize("config", [LlamaConfig(**COMMON, num_key_value_heads=2), GPTNeoXConfig(**COMMON)])
@pytest.mark.parametrize("at_once", [2**25, 47 * 12])
def test_scores_are_those_of_plain_logits(config: Any, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_engine, "LOGITS_AT_ONCE", at_once)
    model = build(config)
    sampler = LocalSampler(model, Letters(), name="random")
    found = sampler.token_scores(PAIRS)
    assert isinstance(sampler, ScoresTokens)
    for (prompt, continuation), scores in zip(PAIRS, found, strict=True):
        expected = reference(model, prompt, continuation)
        assert scores.means is not None
        assert scores.variances is not None
        got = list(zip(scores.logps, scores.means, scores.variances, strict=True))
        assert len(got) == len(expected)
        for ours, theirs in zip(got, expected, strict=True):
            assert ours == pytest.approx(theirs, abs=1e-8)


def test_log_probabilities_are_those_of_score_many() -> None:
    sampler = LocalSampler(build(LlamaConfig(**COMMON, num_key_value_heads=2)), Letters(), name="random")
    moments = sampler.token_scores(PAIRS)
    for scores, logps in zip(moments, sampler.score_many(PAIRS), strict=True):
        assert list(scores.logps) == pytest.approx(logps, abs=1e-12)


def test_a_token_that_cannot_come_leaves_the_moments_finite() -> None:
    model = build(LlamaConfig(**COMMON, num_key_value_heads=2))
    forward = model.forward

    def barred(*args: Any, **options: Any) -> Any:
        out = forward(*args, **options)
        out.logits[..., 40:] = -torch.inf
        return out

    sampler = LocalSampler(model, Letters(), name="random")
    model.forward = barred
    scores = sampler.token_scores(PAIRS[:1])[0]
    logits = forward(torch.tensor([[3, 4, 5]])).logits[0, -1, :40].detach()
    logs = logits.log_softmax(-1)
    assert scores.means is not None
    assert scores.variances is not None
    assert scores.means[0] == pytest.approx(float((logs.exp() * logs).sum()), abs=1e-8)
    assert scores.variances[0] == pytest.approx(float((logs.exp() * logs**2).sum()) - scores.means[0] ** 2, abs=1e-8)


def test_text_is_scored_and_bad_pairs_are_refused() -> None:
    loaded = load_model("menon:base")
    sampler = LocalSampler(loaded.model, loaded.tokenizer, name="menon:base")
    scores = token_scores(sampler, [("what is the code", " of tom blue?")])[0]
    assert len(scores.logps) == len(loaded.tokenizer(" of tom blue?").input_ids)
    with pytest.raises(SamplerError, match="empty prompt"):
        sampler.token_scores([("", "a")])
    with pytest.raises(SamplerError, match="model takes 512"):
        sampler.token_scores([("a", "1" * 600)])


class OneByOne:
    """A backend that scores one text at a time and knows nothing of the distribution."""

    name = "one by one"

    def sample(self, requests: Any, **_: Any) -> Any:
        raise AssertionError("nothing is sampled here")

    def score(self, prompt: str, continuation: str) -> list[float]:
        return [-float(len(prompt))] * len(continuation)


def test_a_backend_without_the_distribution_gives_log_probabilities_alone() -> None:
    found = token_scores(OneByOne(), [("ab", "cd"), ("a", "b")])
    assert found == [TokenScores(logps=(-2.0, -2.0)), TokenScores(logps=(-1.0,))]

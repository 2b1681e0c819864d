"""The sampler that thinks: what a request gets, what it depends on, and what goes beside the text."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from tokenizers import Tokenizer, decoders, models, pre_tokenizers  # noqa: E402
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast  # noqa: E402

from menon.core.errors import ConfigError, SamplerError  # noqa: E402
from menon.core.values import Completion, Request  # noqa: E402
from menon.models.load import save_model  # noqa: E402
from menon.models.thoughts.budget import ThinkingBudget  # noqa: E402
from menon.models.thoughts.generate import generate  # noqa: E402
from menon.models.thoughts.quiet import QuietModel, make_quiet  # noqa: E402
from menon.models.thoughts.saving import save_quiet  # noqa: E402
from menon.models.thoughts.settings import ThoughtSettings  # noqa: E402
from menon.sampling import open_sampler  # noqa: E402
from menon.sampling.local import LocalSampler  # noqa: E402
from menon.sampling.thinking import ThinkingSampler, TokenThought  # noqa: E402

LETTERS = "abcdefghijklmnopqrstuvwxyz-"
POSITIONS = 40


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """One token per letter, and one that ends a text."""
    inner = Tokenizer(models.WordLevel({"<end>": 0, **{letter: i + 1 for i, letter in enumerate(LETTERS)}}, "<end>"))
    inner.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    inner.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>", pad_token="<end>")


@pytest.fixture(scope="module")
def quiet(tokenizer: Any) -> QuietModel:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=28,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=POSITIONS,
        bos_token_id=None,
        eos_token_id=0,
        initializer_range=0.5,
    )
    made = make_quiet(LlamaForCausalLM(config).eval(), tokenizer, ThoughtSettings(tokens=3, talk=1))
    with torch.no_grad():
        made.head.last.weight.normal_()
    return made.eval()


class Kept(dict[tuple[str, int], tuple[TokenThought, ...]]):
    """Remembers thoughts by completion."""

    def keep(self, request: Request, completion: Completion, thoughts: tuple[TokenThought, ...]) -> None:
        assert request.key == completion.key
        self[completion.key, completion.sample] = thoughts


def asked(**options: Any) -> list[Request]:
    """Requests of different lengths with several samples each."""
    prompts = ("abc", "thequickbrownfox", "z", "abc", "qq")
    return [
        Request(key=f"k{i}", prompt=prompt, seed=i, **{"max_tokens": 6, "n": 2, "logprobs": True, **options})
        for i, prompt in enumerate(prompts)
    ]


def by_key(completions: Any) -> dict[tuple[str, int], Completion]:
    return {(one.key, one.sample): one for one in completions}


def said(completions: Any) -> dict[tuple[str, int], tuple[str, tuple[int, ...] | None]]:
    return {key: (one.text, one.token_ids) for key, one in by_key(completions).items()}


def test_greedy_samples_are_those_of_generate(quiet: QuietModel, tokenizer: Any):
    found = by_key(ThinkingSampler(quiet, tokenizer).sample(asked(temperature=0.0)))
    for (key, _), one in found.items():
        (wanted,) = generate(quiet, [one.prompt_ids or ()], max_tokens=6, ends={0})
        assert list(one.token_ids or ()) == wanted.tokens, key
        assert one.logps == pytest.approx(wanted.logps, abs=1e-5)
        assert one.finish == ("stop" if wanted.ended else "length")


@pytest.mark.parametrize("budget", [ThinkingBudget(), ThinkingBudget(where="weight", thought_temperature=1.0)])
def test_a_sample_depends_on_its_seed_and_not_on_its_batch(quiet: QuietModel, tokenizer: Any, budget: ThinkingBudget):
    wanted = said(ThinkingSampler(quiet, tokenizer, budget).sample(asked()))
    assert len({text for text, _ in wanted.values()}) > 5
    assert said(ThinkingSampler(quiet, tokenizer, budget, slots=1).sample(asked())) == wanted
    assert said(ThinkingSampler(quiet, tokenizer, budget, slots=3).sample(list(reversed(asked())))) == wanted
    alone = said(ThinkingSampler(quiet, tokenizer, budget).sample([asked()[1]]))
    assert alone.items() <= wanted.items()


def test_requests_that_come_later_join_and_change_nothing(quiet: QuietModel, tokenizer: Any):
    sampler = ThinkingSampler(quiet, tokenizer)
    arrivals = [[request] for request in asked()]

    def incoming(wait: bool) -> list[Request]:
        return arrivals.pop(0) if arrivals else []

    assert said(sampler.sample_stream(incoming)) == said(sampler.sample(asked()))


def test_a_key_that_was_withdrawn_may_come_again(quiet: QuietModel, tokenizer: Any):
    kept = Kept()
    sampler = ThinkingSampler(quiet, tokenizer, keep=kept.keep)
    arrivals, gone = [asked(), [], [], asked()[:2]], iter([[], [], ["k0", "k1"]])
    found = by_key(sampler.sample_stream(lambda _: arrivals.pop(0) if arrivals else [], lambda: next(gone, [])))
    assert len(found) == 10
    assert all(len(kept[key]) == one.completion_tokens for key, one in found.items())
    assert said(found.values()) == said(sampler.sample(asked()))


def test_thoughts_stand_beside_the_text_and_never_in_it(quiet: QuietModel, tokenizer: Any):
    kept = Kept()
    found = by_key(ThinkingSampler(quiet, tokenizer, keep=kept.keep).sample(asked(max_tokens=12)))
    assert kept.keys() == found.keys()
    ended = set()
    for key, one in found.items():
        ids = list(one.token_ids or ())
        shown = ids[:-1] if ids[-1] == 0 else ids
        assert one.text == "".join(LETTERS[i - 1] for i in shown)
        assert one.reasoning is None
        assert [thought.token for thought in kept[key]] == [tokenizer.decode([i]) for i in ids]
        for thought in kept[key]:
            assert len(thought.thought or "") == 3
            assert 0 < (thought.weight or 0) < 1
            assert thought.gain != 0
        ended.add(one.finish)
    assert ended == {"stop", "length"}


def test_a_gain_is_the_difference_of_two_scores(quiet: QuietModel, tokenizer: Any):
    kept = Kept()
    (one,) = ThinkingSampler(quiet, tokenizer, keep=kept.keep).sample([asked(n=1)[1]])
    plain = LocalSampler(quiet.plain, tokenizer).score(one.prompt_ids or (), one.token_ids or ())
    gains = [logp - without for logp, without in zip(one.logps or (), plain, strict=True)]
    assert [thought.gain for thought in kept["k1", 0]] == pytest.approx(gains, abs=1e-4)


def test_samples_of_one_request_and_equal_requests_of_other_seeds_think_differently(quiet: QuietModel, tokenizer: Any):
    kept = Kept()
    sampler = ThinkingSampler(quiet, tokenizer, ThinkingBudget(thought_temperature=2.0), keep=kept.keep)
    list(sampler.sample([Request(key=f"k{seed}", prompt="abc", seed=seed, n=6, max_tokens=1) for seed in (0, 1)]))
    first = {key: thoughts[0].thought for key, thoughts in kept.items()}
    assert len({first["k0", sample] for sample in range(6)}) > 3
    assert [first["k0", sample] for sample in range(6)] != [first["k1", sample] for sample in range(6)]


def test_tokens_without_a_thought_say_so(quiet: QuietModel, tokenizer: Any):
    kept = Kept()
    budget = ThinkingBudget(first=1)
    list(ThinkingSampler(quiet, tokenizer, budget, keep=kept.keep).sample(asked(max_tokens=3)))
    for first, *rest in kept.values():
        assert first.thought is not None
        assert all((one.thought, one.weight, one.gain) == (None, None, None) for one in rest)


def test_log_probabilities_are_those_that_scoring_finds(quiet: QuietModel, tokenizer: Any):
    sampler = ThinkingSampler(quiet, tokenizer)
    found = list(sampler.sample(asked()))
    pairs = [(one.prompt_ids or (), one.token_ids or ()) for one in found]
    for one, scores, moments in zip(found, sampler.score_many(pairs), sampler.token_scores(pairs), strict=True):
        assert one.logps == pytest.approx(scores, abs=1e-5)
        assert list(moments.logps) == scores
        assert moments.means is not None
        assert len(moments.means) == len(scores)
    assert sampler.score("abc", "de") == pytest.approx(sampler.score((1, 2, 3), (4, 5)), abs=1e-6)
    assert sampler.score("abc", "") == []
    assert sampler.score("abc", "de") != pytest.approx(LocalSampler(quiet.plain, tokenizer).score("abc", "de"))


def test_without_thoughts_it_is_the_local_sampler(quiet: QuietModel, tokenizer: Any):
    requests = asked(temperature=0.7, top_p=0.9, top_k=5)
    never = ThinkingSampler(quiet, tokenizer, ThinkingBudget(where="never"))
    plain = LocalSampler(quiet.plain, tokenizer)
    assert said(never.sample(requests)) == said(plain.sample(requests))
    assert never.max_length == plain.max_length == POSITIONS
    assert never.score("abc", "def") == pytest.approx(plain.score("abc", "def"), abs=1e-5)


def test_truncation_and_stop_strings_work_as_without_thoughts(quiet: QuietModel, tokenizer: Any):
    sampler = ThinkingSampler(quiet, tokenizer)
    greedy = said(sampler.sample(asked(temperature=0.0)))
    assert said(sampler.sample(asked(top_k=1))) == greedy
    assert said(sampler.sample(asked(top_p=1e-6))) == greedy
    text, _ = greedy["k1", 0]
    (stopped,) = sampler.sample([asked(temperature=0.0, n=1, stop=(text[2],))[1]])
    assert (stopped.text, stopped.finish) == (text[: text.index(text[2])], "stop")


def test_what_cannot_be_sampled_is_a_failed_completion(quiet: QuietModel, tokenizer: Any):
    sampler = ThinkingSampler(quiet, tokenizer)
    room = POSITIONS - 4
    requests = [
        Request(key="long", prompt="a" * room, seed=0, n=2),
        Request(key="tight", prompt="a" * (room - 2), seed=0, max_tokens=9, temperature=0.0),
        Request(key="beams", prompt="abc", seed=0, beams=4),
        Request(key="nothing", prompt="abc", seed=0, max_tokens=0),
    ]
    found = by_key(sampler.sample(requests))
    assert len(found) == 5
    for sample in (0, 1):
        assert found["long", sample].finish == "error"
        assert "36 tokens" in (found["long", sample].error or "")
        assert "thoughts of 3 tokens take 4" in (found["long", sample].error or "")
    assert found["tight", 0].completion_tokens <= 2
    assert "beams=4" in (found["beams", 0].error or "")
    assert "max_tokens=0" in (found["nothing", 0].error or "")
    with pytest.raises(SamplerError, match="takes 36"):
        sampler.score("a" * 36, "b")


def test_what_is_no_number_ends_its_own_sample_only(quiet: QuietModel, tokenizer: Any):
    kept = Kept()
    sampler = ThinkingSampler(quiet, tokenizer, keep=kept.keep)
    weight = quiet.plain.get_input_embeddings().weight
    before = weight[26].clone()
    with torch.no_grad():
        weight[26] = torch.nan
    try:
        found = by_key(sampler.sample([Request(key="nan", prompt="az", seed=0), asked(n=1)[0]]))
    finally:
        with torch.no_grad():
            weight[26] = before
    assert "not finite" in (found["nan", 0].error or "")
    assert ("nan", 0) not in kept


@pytest.fixture(scope="module")
def folder(quiet: QuietModel, tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "quiet"
    save_quiet(path, quiet, tokenizer)
    return path


def test_a_folder_with_thoughts_thinks_when_asked_to_and_is_plain_otherwise(
    quiet: QuietModel, tokenizer: Any, folder: Path
):
    plain = open_sampler(str(folder), device="cpu")
    assert type(plain) is LocalSampler
    assert type(open_sampler(str(folder), device="cpu", think="never")) is LocalSampler
    assert type(open_sampler(str(folder), device="cpu", think=False)) is LocalSampler
    assert said(plain.sample(asked())) == said(LocalSampler(quiet.plain, tokenizer).sample(asked()))
    for think in (True, "every", {"where": "every"}, ThinkingBudget()):
        thinking = open_sampler(str(folder), device="cpu", think=think)
        assert isinstance(thinking, ThinkingSampler)
        assert thinking.budget == ThinkingBudget()
    assert said(thinking.sample(asked())) == said(ThinkingSampler(quiet, tokenizer).sample(asked()))


def test_a_model_that_cannot_think_is_told_how_to_make_one_that_can(quiet: QuietModel, tokenizer: Any, tmp_path: Path):
    save_model(tmp_path / "plain", quiet.plain, tokenizer)
    for spec in (str(tmp_path / "plain"), "menon:base", "scripted:oracle", "http://127.0.0.1:9/v1#x"):
        with pytest.raises(ConfigError, match="cannot think.*`menon teach quiet-star`"):
            open_sampler(spec, think=True)
    with pytest.raises(ConfigError, match="no config.json"):
        open_sampler(str(tmp_path), think=True)
    for wrong in ("sometimes", {"were": "every"}, {"threshold": -1}):
        with pytest.raises(ConfigError, match="think"):
            open_sampler("menon:base", think=wrong)

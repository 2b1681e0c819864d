"""Scores of held-out texts against runs of the stock model, and what is made of them."""

import copy
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Generator, Tensor  # noqa: E402
from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402

from menon.core.seeds import seed_for  # noqa: E402
from menon.models.thoughts.layout import ThoughtShape  # noqa: E402
from menon.models.thoughts.mixing import MixingHead  # noqa: E402
from menon.models.thoughts.quiet import QuietModel  # noqa: E402
from menon.models.thoughts.settings import ThoughtSettings  # noqa: E402
from menon.models.thoughts.tokens import ThoughtTokens  # noqa: E402
from menon.stats.means import mean_interval  # noqa: E402
from menon.teaching.quiet.config import QuietConfig  # noqa: E402
from menon.teaching.quiet.evaluate import (  # noqa: E402
    Scored,
    by_hardness,
    renormalised_answer_probability,
    score_texts,
    summarise,
)
from menon.teaching.quiet.step import TextBatch, draw_chance  # noqa: E402

VOCABULARY, WIDTH, PAD = 13, 16, 0
SHAPE = ThoughtShape(tokens=3, talk=1)


def generator(*names: str | int) -> Generator:
    return Generator().manual_seed(seed_for("evaluate tests", *names))


@torch.no_grad()
def tiny_quiet(**settings: object) -> QuietModel:
    shape: dict[str, Any] = {
        "hidden_size": WIDTH,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    model = LlamaForCausalLM(LlamaConfig(vocab_size=VOCABULARY, max_position_embeddings=48, **shape))
    chance = generator("weights")
    for parameter in model.parameters():
        noise = torch.randn(parameter.shape, generator=chance)
        parameter.copy_(noise * 0.35 if parameter.ndim > 1 else 1 + 0.1 * noise)
    made = ThoughtSettings.model_validate({"tokens": 3, "talk": 4, **settings})
    head = MixingHead(WIDTH, made.head)
    head.last.weight.copy_(torch.randn(head.last.weight.shape, generator=chance))
    vectors = torch.randn(2, WIDTH, generator=chance)
    return QuietModel(model, ThoughtTokens(vectors[0], vectors[1]), head, made, (PAD,))


def texts_of(name: str, lengths: tuple[int, ...]) -> TextBatch:
    size = (len(lengths), max(lengths))
    real_BL = torch.arange(size[1]) < torch.tensor(lengths)[:, None]
    tokens_BL = torch.randint(1, VOCABULARY, size, generator=generator("texts", name)) * real_BL
    return TextBatch(tokens_BL=tokens_BL, lengths_B=torch.tensor(lengths), weights_BL=real_BL.float())


def literal(
    quiet: QuietModel, ids: list[int], place: int, thoughts: list[list[int]]
) -> tuple[Tensor, Tensor, list[float]]:
    """Return log-probabilities of the token after `place`, without and with each thought, and the mixing weights."""
    stock = copy.deepcopy(quiet)
    stock.model.set_attn_implementation("eager")
    lookup, decoder, vectors = stock.model.get_input_embeddings(), stock.model.model, stock.thought_tokens

    def last(embedded_SD: Tensor) -> Tensor:
        return decoder(inputs_embeds=embedded_SD[None], use_cache=False).last_hidden_state[0, -1]

    prefix = lookup(torch.tensor(ids[: place + 1]))
    base_D = last(prefix)
    plain_V = stock.model.lm_head(base_D).log_softmax(-1)
    mixed, weights = [], []
    for thought in thoughts:
        own = lookup(torch.tensor(thought)) if thought[0] >= 0 else vectors.pause.expand(len(thought), -1)
        after_D = last(torch.cat([prefix, vectors.start[None], own, vectors.end[None]]))
        weight = stock.head(base_D, after_D)
        weights.append(float(weight))
        if quiet.settings.mixing == "hidden":
            mixed.append(stock.model.lm_head((1 - weight) * base_D + weight * after_D).log_softmax(-1))
        else:
            after_V = stock.model.lm_head(after_D).log_softmax(-1)
            mixed.append(((1 - weight) * plain_V + weight * after_V).log_softmax(-1))
    return plain_V, torch.stack(mixed), weights


@pytest.mark.parametrize(
    "settings", [{}, {"mixing": "log_probs"}, {"kind": "random", "head": "linear"}, {"kind": "pause"}]
)
@pytest.mark.parametrize("slice_rows", [0, 30])
@torch.no_grad()
def test_scores_are_those_of_the_stock_model_run_on_every_prefix(settings: dict[str, object], slice_rows: int):
    quiet = tiny_quiet(**settings).train()
    config = QuietConfig(positions=4, passes=2)
    batches = [texts_of("one", (9, 6)), texts_of("two", (12, 2, 7))]
    work = [(batch, draw_chance(batch, quiet, SHAPE, config, "work", i)) for i, batch in enumerate(batches)]
    scored = score_texts(quiet, work, quiet.shape, slice_rows=slice_rows)

    assert quiet.training
    assert quiet.model.config._attn_implementation != "menon_thoughts"
    assert len(scored) == sum(chance.places.count for _, chance in work)
    rows = [batch.tokens_BL[b, :n].tolist() for batch in batches for b, n in enumerate(batch.lengths_B.tolist())]
    wanted = [
        (first + b, int(place))
        for first, (_, chance) in zip((0, 2), work, strict=True)
        for b, (places, valid) in enumerate(zip(chance.places.positions_BM, chance.places.valid_BM, strict=True))
        for place in places[valid]
    ]
    assert sorted(wanted) == sorted(zip(scored.text_X.tolist(), scored.position_X.tolist(), strict=True))
    for x in range(len(scored)):
        ids, place = rows[scored.text_X[x]], int(scored.position_X[x])
        plain_V, mixed_PV, weights = literal(quiet, ids, place, scored.thoughts_XPK[x].tolist())
        target = ids[place + 1]
        assert scored.logp_text_X[x] == pytest.approx(float(plain_V[target]), abs=2e-5)
        assert scored.logp_mixed_XP[x] == pytest.approx(mixed_PV[:, target].numpy(), abs=2e-5)
        assert scored.weight_XP[x] == pytest.approx(weights, abs=1e-5)
        assert bool(scored.right_text_X[x]) == (int(plain_V.argmax()) == target)
        assert scored.right_mixed_XP[x].tolist() == [int(mixed_V.argmax()) == target for mixed_V in mixed_PV]
        assert scored.gain_X[x] == pytest.approx(float(mixed_PV[:, target].mean() - plain_V[target]), abs=4e-5)
    assert not (scored.thoughts_XPK == PAD).any()
    assert (scored.thoughts_XPK < 0).all() == (quiet.settings.kind == "pause")


def made(**values: object) -> Scored:
    """Forty places of four texts with numbers of their own."""
    rng = np.random.default_rng(seed_for("evaluate tests", "made"))
    columns: dict[str, object] = {
        "text_X": np.arange(40) % 4,
        "position_X": np.arange(40) // 4,
        "logp_text_X": -rng.exponential(size=40),
        "logp_mixed_XP": -rng.exponential(size=(40, 3)),
        "right_text_X": rng.random(40) < 0.4,
        "right_mixed_XP": rng.random((40, 3)) < 0.6,
        "weight_XP": rng.random((40, 3)),
        "thoughts_XPK": rng.integers(1, 9, size=(40, 3, 2)),
    }
    return Scored(**{**columns, **values})  # pyright: ignore[reportArgumentType]


def test_a_summary_has_means_over_thoughts_and_intervals_over_texts():
    scored = made()
    told = summarise(scored)
    gains = [np.mean(scored.logp_mixed_XP[x]) - scored.logp_text_X[x] for x in range(40)]
    interval = mean_interval(gains, scored.text_X)
    assert told["gain"] == {"value": pytest.approx(np.mean(gains)), "low": interval.low, "high": interval.high}
    assert told["nll_mixed"]["value"] - told["nll_text"]["value"] == pytest.approx(-told["gain"]["value"])
    assert told["accuracy_text"]["value"] == pytest.approx(scored.right_text_X.mean())
    assert told["accuracy_mixed"]["value"] == pytest.approx(scored.right_mixed_XP.mean())
    assert told["weight"] == pytest.approx(scored.weight_XP.mean())
    assert told["tokens"] == 40


def test_one_text_alone_has_no_interval():
    told = summarise(made(text_X=np.zeros(40, dtype=int)))
    assert (told["gain"]["low"], told["gain"]["high"]) == (None, None)
    assert told["gain"]["value"] == pytest.approx(made().gain_X.mean())


def test_parts_of_equal_size_go_from_easy_to_hard_and_keep_every_token():
    scored = made()
    rows = by_hardness(scored, bins=5)
    assert [row["n"] for row in rows] == [8] * 5
    assert [row["bin"] for row in rows] == ["0-20 %", "20-40 %", "40-60 %", "60-80 %", "80-100 %"]
    assert [row["nll_text"] for row in rows] == sorted(row["nll_text"] for row in rows)
    assert np.mean([row["gain"]["value"] for row in rows]) == pytest.approx(scored.gain_X.mean())
    hardest = np.argsort(scored.logp_text_X)[:8]
    assert rows[-1]["gain"]["value"] == pytest.approx(scored.gain_X[hardest].mean())
    assert rows[-1]["weight"] == pytest.approx(scored.weight_XP[hardest].mean())


def test_another_models_losses_may_sort_and_few_tokens_leave_parts_out():
    scored = made()
    rows = by_hardness(scored, np.arange(40.0)[::-1], bins=4)
    assert rows[0]["nll_text"] == pytest.approx(-scored.logp_text_X[30:].mean())
    few = scored.where(np.arange(40) < 3)
    assert [row["n"] for row in by_hardness(few)] == [1, 1, 1]


def test_sorting_by_the_own_loss_favours_the_hard_end_and_another_models_does_not():
    """Two noisy measures of the same losses: thinking gains nothing, and only the own order says that it does."""
    rng = np.random.default_rng(seed_for("evaluate tests", "regression to the mean"))
    true, noise = rng.exponential(size=4000), rng.normal(size=(3, 4000))
    columns = {"text_X": np.arange(4000) % 40, "position_X": np.zeros(4000, int), "right_text_X": np.zeros(4000, bool)}
    scored = made(
        **columns, logp_text_X=-(true + noise[0]), logp_mixed_XP=-(true + noise[1])[:, None],
        right_mixed_XP=np.zeros((4000, 1), bool), weight_XP=np.zeros((4000, 1)),
        thoughts_XPK=np.zeros((4000, 1, 1), int),
    )  # fmt: skip
    assert by_hardness(scored)[-1]["gain"]["low"] > 0.5
    fair = by_hardness(scored, true + noise[2])[-1]["gain"]
    assert fair["low"] < 0 < fair["high"]


def test_the_official_metric_is_a_product_of_renormalised_probabilities():
    # Allowed are 3, 5 and 6. Answer "3 6": 2/(2+1+1) * 5/(1+4+5); answer "5": 1/10.
    probabilities = [[9, 9, 9, 2, 9, 1, 1], [1, 0.1, 7, 1, 7, 4, 5], [8, 8, 8, 6, 0.1, 1, 3]]
    logits = torch.tensor(probabilities).log() + torch.tensor([[0.0], [5.0], [-2.0]])
    found = renormalised_answer_probability(logits, [[3, 6], [5]], [3, 5, 6])
    assert found.tolist() == pytest.approx([0.5 * 0.5, 0.1])
    swapped = renormalised_answer_probability(logits, [[3, 6], [5]], [6, 3, 5])
    assert swapped.tolist() == pytest.approx(found.tolist())


def test_the_official_metric_credits_an_answer_that_would_never_be_given():
    logits = torch.full((1, 8), -20.0)
    logits[0, 7] = 20.0  # what the model would say
    logits[0, 2] = -19.0
    assert float(renormalised_answer_probability(logits, [[2]], [1, 2])) == pytest.approx(1 / (1 + np.exp(-1)))

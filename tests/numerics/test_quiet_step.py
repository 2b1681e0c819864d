"""The training step of Quiet-STaR against the same step written out, and what must not change its gradient."""

import copy
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
import torch
from quiet_literal_step import Literal, apart, generator_of, gradients_of, only, tiny_batch, tiny_quiet
from quiet_models import quiet_of
from torch import Tensor
from transformers import PreTrainedModel

from menon.models.thoughts.attention import thought_attention
from menon.models.thoughts.layout import Places, ThoughtShape, every_place, given_places
from menon.models.thoughts.passes import TextPass, ThoughtPass, talk_partners, text_pass, think
from menon.models.thoughts.quiet import QuietModel
from menon.teaching.quiet.config import QuietConfig
from menon.teaching.quiet.losses import mixed_predictions, text_log_probs
from menon.teaching.quiet.step import Drawn, Sums, TextBatch, accumulate_gradients, draw_chance, sample

VOCABULARY, BANNED = 9, (0, 1)
SETTINGS = {"tokens": 2, "talk": 3, "initial_weight": 0.4}
CONFIG = QuietConfig(passes=2, positions=2, policy=0.7, text=0.4, talk=0.6, slice_rows=0)
LENGTHS = (7, 5)


def quiet_with(**settings: object) -> QuietModel:
    return tiny_quiet(VOCABULARY, BANNED, **{**SETTINGS, **settings})


def gradients(
    quiet: QuietModel, batches: Sequence[TextBatch], drawn: Sequence[Drawn], config: QuietConfig
) -> dict[str, Tensor]:
    quiet.zero_grad(set_to_none=True)
    accumulate_gradients(quiet, batches, drawn, config, quiet.shape)
    return gradients_of(quiet)


def literal_gradients(
    quiet: QuietModel, batches: Sequence[TextBatch], drawn: Sequence[Drawn], config: QuietConfig
) -> dict[str, Tensor]:
    with torch.no_grad():
        thoughts = [
            sample(quiet, text_pass(quiet, batch.tokens_BL), chance.places, quiet.shape, chance.uniforms_BMPK)
            for batch, chance in zip(batches, drawn, strict=True)
        ]
    literal = Literal(quiet)
    return literal.gradients(literal.loss(batches, drawn, thoughts, config))


def check_against_literal(config: QuietConfig, *more: TextBatch, **settings: object) -> None:
    quiet = quiet_with(**settings)
    batches = [tiny_batch("one", LENGTHS, VOCABULARY), *more]
    drawn = [draw_chance(batch, quiet, quiet.shape, config, "literal", i) for i, batch in enumerate(batches)]
    wanted = literal_gradients(quiet, batches, drawn, config)
    assert apart(gradients(quiet, batches, drawn, config), wanted) < 1e-4


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"positions": 0},
        {"baseline": "none"},
        {"clamp": True},
        {"loss_tokens": 1},
        {"reward_tokens": 1},
        {"loss_tokens": 2, "reward_tokens": 2, "passes": 3},
        {"policy": 0.0},
        {"slice_rows": 20},
    ],
    ids=str,
)
def test_the_gradient_is_that_of_the_step_written_out(changes: dict[str, object]) -> None:
    check_against_literal(CONFIG.model_copy(update=changes))


def test_the_gradient_of_two_forward_passes_is_that_of_the_step_written_out() -> None:
    check_against_literal(CONFIG, tiny_batch("two", (4, 6), VOCABULARY))


@pytest.mark.parametrize(
    "settings",
    [{"mixing": "log_probs"}, {"head": "linear"}, {"temperature": 0.5}, {"kind": "pause"}, {"kind": "random"}],
    ids=str,
)
def test_the_gradient_of_other_settings_too(settings: dict[str, object]) -> None:
    config = CONFIG
    if settings.get("kind", "sampled") != "sampled":
        config = CONFIG.model_copy(update={"policy": 0.0})  # a control has no policy to teach
    check_against_literal(config, **settings)


def test_controls_learn_no_policy() -> None:
    for kind in ("pause", "random"):
        quiet, batch = quiet_with(kind=kind), tiny_batch("one", LENGTHS, VOCABULARY)
        drawn = [draw_chance(batch, quiet, quiet.shape, CONFIG, "controls")]
        without = gradients(quiet, [batch], drawn, CONFIG.model_copy(update={"policy": 0.0}))
        assert apart(gradients(quiet, [batch], drawn, CONFIG), without) == 0


def test_each_loss_alone_and_their_sum() -> None:
    quiet, batch = quiet_with(), tiny_batch("one", LENGTHS, VOCABULARY)
    drawn = [draw_chance(batch, quiet, quiet.shape, CONFIG, "parts")]
    total: dict[str, Tensor] = {}
    for name in ("policy", "text", "talk"):
        part = only(CONFIG, **{name: getattr(CONFIG, name)})
        found = gradients(quiet, [batch], drawn, part)
        assert apart(found, literal_gradients(quiet, [batch], drawn, part)) < 1e-4
        total = {key: total.get(key, 0) + value for key, value in found.items()}
    assert apart(gradients(quiet, [batch], drawn, CONFIG), total) < 1e-5


def test_the_text_alone_is_the_models_own_loss() -> None:
    quiet, batch = quiet_with(), tiny_batch("one", LENGTHS, VOCABULARY)
    drawn = [draw_chance(batch, quiet, quiet.shape, CONFIG, "text")]
    found = gradients(quiet, [batch], drawn, only(CONFIG, text=1.0))
    stock = copy.deepcopy(quiet)
    stock.zero_grad(set_to_none=True)
    real_BL = (torch.arange(max(LENGTHS)) < batch.lengths_B[:, None]).long()
    logits = stock.model(input_ids=batch.tokens_BL, attention_mask=real_BL).logits[:, :-1]
    nll = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch.tokens_BL[:, 1:].flatten(), reduction="none")
    counts = batch.weights_BL[:, 1:].flatten()
    ((nll * counts).sum() / counts.sum()).backward()
    wanted = gradients_of(stock)
    assert apart({name: found[name] for name in wanted}, wanted) < 1e-5
    assert all(float(found[name].norm()) == 0 for name in found.keys() - wanted.keys())


@pytest.mark.parametrize("slice_rows", [1, 25, 60])
def test_slices_change_nothing(slice_rows: int) -> None:
    quiet = quiet_with()
    config = CONFIG.model_copy(update={"positions": 0})
    batch = tiny_batch("one", LENGTHS, VOCABULARY)
    drawn = [draw_chance(batch, quiet, quiet.shape, config, "slices")]
    whole = gradients(quiet, [batch], drawn, config)
    cut = gradients(quiet, [batch], drawn, config.model_copy(update={"slice_rows": slice_rows}))
    assert apart(cut, whole) < 2e-6  # float32 sums in another order


def test_two_forward_passes_are_one_of_both() -> None:
    quiet, batch = quiet_with(), tiny_batch("one", (7, 6, 5), VOCABULARY)
    [both] = [draw_chance(batch, quiet, quiet.shape, CONFIG.model_copy(update={"positions": 0}), "both")]

    def rows(part: slice) -> tuple[TextBatch, Drawn]:
        length = int(batch.lengths_B[part].max())
        few = TextBatch(
            tokens_BL=batch.tokens_BL[part, :length],
            lengths_B=batch.lengths_B[part],
            weights_BL=batch.weights_BL[part, :length],
        )
        places = Places(positions_BM=both.places.positions_BM[part], valid_BM=both.places.valid_BM[part])
        return few, Drawn(places=places, uniforms_BMPK=both.uniforms_BMPK[part])

    pieces = [rows(slice(0, 1)), rows(slice(1, 3))]
    apiece = gradients(quiet, [piece for piece, _ in pieces], [chance for _, chance in pieces], CONFIG)
    assert apart(apiece, gradients(quiet, [batch], [both], CONFIG)) < 2e-6


def test_gradients_are_added_to_those_that_are_there() -> None:
    quiet, batch = quiet_with(), tiny_batch("one", LENGTHS, VOCABULARY)
    drawn = [draw_chance(batch, quiet, quiet.shape, CONFIG, "added")]
    once = gradients(quiet, [batch], drawn, CONFIG)
    accumulate_gradients(quiet, [batch], drawn, CONFIG, quiet.shape)
    assert apart(gradients_of(quiet), {name: 2 * gradient for name, gradient in once.items()}) < 1e-6


def test_padding_and_places_that_do_not_count_add_nothing() -> None:
    quiet, batch = quiet_with(), tiny_batch("one", LENGTHS, VOCABULARY)
    config = CONFIG.model_copy(update={"positions": 0})
    drawn = draw_chance(batch, quiet, quiet.shape, config, "padding")
    assert not drawn.places.valid_BM.all()
    wanted = gradients(quiet, [batch], [drawn], config)
    other = batch.tokens_BL.clone()
    other[1, LENGTHS[1] :] = (other[1, LENGTHS[1] :] + 1) % VOCABULARY
    assert not torch.equal(other, batch.tokens_BL)
    uniforms = drawn.uniforms_BMPK.clone()
    uniforms[~drawn.places.valid_BM] = 1 - uniforms[~drawn.places.valid_BM]
    positions = drawn.places.positions_BM.masked_fill(~drawn.places.valid_BM, 2)
    elsewhere = Drawn(places=Places(positions_BM=positions, valid_BM=drawn.places.valid_BM), uniforms_BMPK=uniforms)
    changed = TextBatch(tokens_BL=other, lengths_B=batch.lengths_B, weights_BL=batch.weights_BL)
    assert apart(gradients(quiet, [changed], [elsewhere], config), wanted) < 1e-6


def test_a_place_without_counted_tokens_teaches_no_talk_and_gives_no_reward() -> None:
    quiet, batch = quiet_with(), tiny_batch("one", (8,), VOCABULARY)
    weights_BL = batch.weights_BL.clone()
    weights_BL[:, 3:6] = 0
    batch = TextBatch(tokens_BL=batch.tokens_BL, lengths_B=batch.lengths_B, weights_BL=weights_BL)
    places = given_places([[2]], batch.lengths_B, quiet.shape)
    drawn = Drawn(places=places, uniforms_BMPK=torch.rand(1, 1, 2, 2, generator=generator_of("uncounted")))
    found = gradients(quiet, [batch], [drawn], only(CONFIG, policy=1.0, talk=1.0))
    assert all(float(gradient.abs().max()) == 0 for gradient in found.values())


# Mixed predictions


@pytest.mark.parametrize("mixing", ["hidden", "log_probs"])
@pytest.mark.parametrize("family", ["llama", "gemma2", "cohere"])
def test_a_weight_of_zero_is_the_plain_model_and_of_one_the_thought_alone(family: str, mixing: str) -> None:
    quiet = quiet_of(family)
    quiet.settings = quiet.settings.model_copy(update={"mixing": mixing})
    shape, lengths_B = ThoughtShape(tokens=3, talk=2), torch.tensor([9, 6])
    tokens_BL = torch.randint(2, 29, (2, 9), generator=generator_of(family))
    places = every_place(lengths_B, shape)
    thoughts = torch.randint(2, 29, (2, places.positions_BM.shape[1], 2, 3), generator=generator_of(family, "t"))
    plain_BLV = quiet.model(input_ids=tokens_BL).logits.log_softmax(-1)
    with torch.no_grad():
        text = text_pass(quiet, tokens_BL)
        thought = think(quiet, text, tokens_BL, places, thoughts, shape)
        alone = quiet.readout.logits(thought.talk_BMPND).log_softmax(-1)
        for bias, weight in ((-1e4, 0.0), (1e4, 1.0)):
            quiet.head.last.bias.fill_(bias)
            talk = mixed_predictions(quiet, text, tokens_BL, places, thought)
            assert (talk.weight_BMPN == weight).all()
            for b, m in places.valid_BM.nonzero().tolist():
                i = int(places.positions_BM[b, m])
                for s in range(shape.talk):
                    true = int(tokens_BL[b, i + 1 + s])
                    for p in range(2):
                        wanted = alone[b, m, p, s, true] if weight else plain_BLV[b, i + s, true]
                        torch.testing.assert_close(talk.logp_BMPN[b, m, p, s], wanted, rtol=0, atol=1e-5)
        if weight:  # accuracy and log-likelihood of a thought alone differ from the plain model's
            assert float((alone[0, 0, 0, 0] - plain_BLV[0, 0]).abs().max()) > 0.1
    torch.testing.assert_close(
        text_log_probs(quiet, text, tokens_BL), plain_BLV[:, :-1].gather(-1, tokens_BL[:, 1:, None])[..., 0]
    )


def test_the_partner_of_a_talk_step_is_the_text_that_many_tokens_on() -> None:
    hidden_BLD = (100 * torch.arange(2)[:, None] + torch.arange(8))[..., None].expand(2, 8, 4).float()
    places = given_places([[0, 2, 4], [1]], torch.tensor([8, 5]), ThoughtShape(tokens=1, talk=3))
    partner = talk_partners(hidden_BLD, places, 3)[..., 0]
    assert partner[0].tolist() == [[0, 1, 2], [2, 3, 4], [4, 5, 6]]
    assert partner[1, 0].tolist() == [101, 102, 103]


def test_each_talk_step_is_mixed_with_its_own_partner() -> None:
    """The head sees pairs of recognisable states: the text's of position i + s, the thought's of row K + 1 + s."""
    quiet = quiet_with(tokens=2, talk=2)
    seen: list[tuple[Tensor, Tensor]] = []

    def record(_: object, pair: tuple[Tensor, Tensor]) -> None:
        seen.append(pair)

    places = given_places([[1, 3]], torch.tensor([8]), quiet.shape)
    text = TextPass(hidden_BLD=torch.arange(8.0)[None, :, None].expand(1, 8, 16), base={})
    rows = torch.arange(5.0) + 10 * torch.arange(1, 3)[:, None]
    thought = ThoughtPass(hidden_BMPTD=rows[None, :, None, :, None].expand(1, 2, 1, 5, 16), shape=quiet.shape)
    with quiet.head.register_forward_pre_hook(record), torch.no_grad():
        mixed_predictions(quiet, text, torch.zeros(1, 8, dtype=torch.long), places, thought)
    [(base, after)] = seen
    assert base[0, :, 0, :, 0].tolist() == [[1, 2], [3, 4]]
    assert after[0, :, 0, :, 0].tolist() == [[13, 14], [23, 24]]


# The memory-saving route


@contextmanager
def live_bytes() -> Iterator[list[int]]:
    """Count the bytes that autograd keeps for backward passes; yields [now, most]."""
    counts = [0, 0]

    class Kept:
        def __init__(self, tensor: Tensor):
            self.tensor = tensor
            size = tensor.numel() * tensor.element_size()
            counts[0] += size
            counts[1] = max(counts[1], counts[0])
            weakref.finalize(self, self.forget, size)

        @staticmethod
        def forget(size: int) -> None:
            counts[0] -= size

    with torch.autograd.graph.saved_tensors_hooks(Kept, lambda kept: kept.tensor):
        yield counts


def enable_checkpointing(model: PreTrainedModel) -> None:
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": False})


@pytest.mark.parametrize("checkpointing", [False, True])
def test_slices_keep_the_memory_of_one_slice_and_run_the_text_once(checkpointing: bool) -> None:
    quiet, batch = quiet_with(tokens=4), tiny_batch("long", (40, 33), VOCABULARY)
    config = CONFIG.model_copy(update={"positions": 0})
    drawn = [draw_chance(batch, quiet, quiet.shape, config, "memory")]
    plain = gradients(quiet, [batch], drawn, config)
    if checkpointing:
        enable_checkpointing(quiet.model)
    quiet.train()
    layer, rows = quiet.model.model.layers[0].self_attn, []
    most = {}
    with layer.register_forward_pre_hook(
        lambda _, args, named: rows.append(named["hidden_states"].shape[1]), with_kwargs=True
    ):
        for slice_rows in (0, 256):
            rows.clear()
            with live_bytes() as counts, thought_attention(quiet.plain):  # recomputing needs it in the backward pass
                found = gradients(quiet, [batch], drawn, config.model_copy(update={"slice_rows": slice_rows}))
            assert apart(found, plain) < 5e-6
            most[slice_rows] = counts[1]
            assert rows.count(40) == (2 if checkpointing else 1)  # once more when recomputed, whatever the slices
    assert most[256] < most[0] / 3


def test_what_is_reported_is_what_was_seen() -> None:
    quiet, batch = quiet_with(), tiny_batch("one", LENGTHS, VOCABULARY)
    drawn = draw_chance(batch, quiet, quiet.shape, CONFIG, "sums")
    sums: Sums = accumulate_gradients(quiet, [batch], [drawn], CONFIG.model_copy(update={"slice_rows": 1}), quiet.shape)
    with torch.no_grad():
        text = text_pass(quiet, batch.tokens_BL)
        thoughts = sample(quiet, text, drawn.places, quiet.shape, drawn.uniforms_BMPK)
        literal, rewards, nll, weights = Literal(quiet), [], 0.0, 0.0
        for b, length in enumerate(LENGTHS):
            ids = batch.tokens_BL[b, :length].tolist()
            text_LD = literal.hidden(literal.embed(ids))
            for m, place in enumerate(drawn.places.positions_BM[b].tolist()):
                for thought in thoughts[b, m].tolist() if drawn.places.valid_BM[b, m] else ():
                    got = literal.think(ids, place, thought, text_LD)
                    count_N = batch.weights_BL[b, place + 1 : place + 4]
                    rewards.append(float(((got.mixed_N - got.plain_N) * count_N).sum()))
                    nll -= float((got.mixed_N * count_N).sum())
                    weights += float(count_N.sum())
    pairs = torch.tensor(rewards).view(-1, CONFIG.passes)
    assert sums.mean("reward", "thoughts") == pytest.approx(float(pairs.mean()), abs=1e-5)
    assert sums.mean("reward_square", "thoughts") == pytest.approx(float(pairs.var(-1, correction=0).mean()), abs=1e-5)
    assert sums.mean("useful", "thoughts") == float((pairs > 0.1).float().mean())
    assert sums.mean("talk_nll", "talk_count") == pytest.approx(nll / weights, abs=1e-5)

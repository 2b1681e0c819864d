"""Stages of shorter thoughts, and the last one, in which the plain model learns what the thinking one says."""

import copy
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Generator, Tensor  # noqa: E402
from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402

from menon.core.seeds import seed_for  # noqa: E402
from menon.models.thoughts.layout import ThoughtShape  # noqa: E402
from menon.models.thoughts.mixing import MixingHead  # noqa: E402
from menon.models.thoughts.passes import text_pass  # noqa: E402
from menon.models.thoughts.quiet import QuietModel  # noqa: E402
from menon.models.thoughts.settings import ThoughtSettings  # noqa: E402
from menon.models.thoughts.tokens import ThoughtTokens  # noqa: E402
from menon.teaching.config import TrainConfig  # noqa: E402
from menon.teaching.quiet.config import QuietConfig  # noqa: E402
from menon.teaching.quiet.curriculum import distil_gradients, stage_at, stages  # noqa: E402
from menon.teaching.quiet.evaluate import score_texts  # noqa: E402
from menon.teaching.quiet.loop import frozen_copy, make_quiet_optimizer, teach_quiet  # noqa: E402
from menon.teaching.quiet.step import TextBatch, draw_chance, sample  # noqa: E402

VOCABULARY, WIDTH = 11, 16


def generator(*names: str | int) -> Generator:
    return Generator().manual_seed(seed_for("curriculum tests", *names))


@torch.no_grad()
def tiny_quiet(name: str, scale: float = 0.35, **settings: object) -> QuietModel:
    shape: dict[str, Any] = {
        "hidden_size": WIDTH,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    config = LlamaConfig(vocab_size=VOCABULARY, num_key_value_heads=1, max_position_embeddings=64, **shape)
    model, chance = LlamaForCausalLM(config), generator("weights", name)
    for parameter in model.parameters():
        noise = torch.randn(parameter.shape, generator=chance)
        parameter.copy_(noise * scale if parameter.ndim > 1 else 1 + 0.1 * noise)
    made = ThoughtSettings.model_validate({"tokens": 3, "talk": 2, **settings})
    head = MixingHead(WIDTH, made.head, initial_weight=made.initial_weight)
    if scale > 0.1:
        head.last.weight.copy_(torch.randn(head.last.weight.shape, generator=chance))
    vectors = torch.randn(2, WIDTH, generator=chance)
    return QuietModel(model, ThoughtTokens(vectors[0], vectors[1]), head, made, (0,))


def texts_of(name: str | int, lengths: tuple[int, ...]) -> TextBatch:
    """Random tokens that count 0, 1 or 2 each."""
    chance, size = generator("texts", name), (len(lengths), max(lengths))
    real_BL = torch.arange(size[1]) < torch.tensor(lengths)[:, None]
    weights_BL = torch.randint(0, 3, size, generator=chance) * real_BL
    tokens_BL = torch.randint(1, VOCABULARY, size, generator=chance) * real_BL
    return TextBatch(tokens_BL=tokens_BL, lengths_B=torch.tensor(lengths), weights_BL=weights_BL.float())


def test_the_steps_are_shared_evenly_and_every_stage_has_its_length():
    plan = stages(QuietConfig(steps=14, curriculum=(9, 6, 3), thoughtless=True), ThoughtShape(tokens=3, talk=2))
    assert [stage.shape.tokens for stage in plan] == [9, 6, 3, 3]
    assert [stage.thoughtless for stage in plan] == [False, False, False, True]
    assert {stage.shape.talk for stage in plan} == {2}
    shares = [stage_at(plan, step).number for step in range(14)]
    assert shares == sorted(shares)
    assert sorted(shares.count(number) for number in range(4)) == [3, 3, 4, 4]
    assert [stage.first for stage in plan] == [shares.index(number) for number in range(4)]


def test_without_a_curriculum_there_is_one_stage_of_the_thoughts_own_length():
    (only,) = stages(QuietConfig(steps=5), ThoughtShape(tokens=7, talk=2))
    assert (only.first, only.shape.tokens, only.thoughtless) == (0, 7, False)
    first, last = stages(QuietConfig(steps=5, thoughtless=True), ThoughtShape(tokens=7, talk=2))
    assert (first.shape.tokens, last.first, last.thoughtless) == (7, 2, True)


def test_more_stages_than_steps_leave_stages_out_but_never_the_last():
    plan = stages(QuietConfig(steps=2, curriculum=(5, 4, 3), thoughtless=True), ThoughtShape(tokens=3, talk=2))
    assert [stage_at(plan, step).number for step in range(2)] == [1, 3]


class Stock:
    """A copy of a thinking model that is run one sequence at a time, with attention as transformers has it."""

    def __init__(self, quiet: QuietModel):
        self.quiet = copy.deepcopy(quiet)
        self.quiet.model.set_attn_implementation("eager")

    def hidden(self, embedded_SD: Tensor) -> Tensor:
        return self.quiet.model.model(inputs_embeds=embedded_SD[None], use_cache=False).last_hidden_state[0]

    def embed(self, ids: list[int]) -> Tensor:
        return self.quiet.model.get_input_embeddings()(torch.tensor(ids, dtype=torch.long))

    def log_probs(self, hidden_XD: Tensor) -> Tensor:
        return self.quiet.model.lm_head(hidden_XD).log_softmax(-1)

    def mixed(self, ids: list[int], place: int, thought: list[int]) -> Tensor:
        """Return the mixed probabilities of the token after `place`."""
        vectors = self.quiet.thought_tokens
        own = self.embed(thought) if thought[0] >= 0 else vectors.pause.expand(len(thought), -1)
        prefix = self.embed(ids[: place + 1])
        base_D = self.hidden(prefix)[-1]
        after_D = self.hidden(torch.cat([prefix, vectors.start[None], own, vectors.end[None]]))[-1]
        weight = self.quiet.head(base_D, after_D)
        if self.quiet.settings.mixing == "hidden":
            return self.log_probs((1 - weight) * base_D + weight * after_D).exp()
        product = self.log_probs(base_D).exp() ** (1 - weight) * self.log_probs(after_D).exp() ** weight
        return product / product.sum()


@pytest.mark.parametrize("settings", [{}, {"mixing": "log_probs"}, {"kind": "pause", "head": "linear"}])
@pytest.mark.parametrize("slice_rows", [0, 40])
def test_the_gradient_of_the_last_stage_is_that_of_its_loss(settings: dict[str, object], slice_rows: int):
    quiet, teacher = tiny_quiet("student", **settings), tiny_quiet("teacher", **settings)
    config = QuietConfig(positions=3, passes=2, text=0.7, talk=1.3, slice_rows=slice_rows, steps=1)
    batches = [texts_of(0, (9, 6)), texts_of(1, (7, 3, 8))]
    drawn = [draw_chance(batch, quiet, quiet.shape, config, "distil", i) for i, batch in enumerate(batches)]
    sums = distil_gradients(quiet, teacher, batches, drawn, config, quiet.shape)

    stock, taught = Stock(quiet), Stock(teacher)
    terms: list[tuple[float, Tensor]] = []
    away: list[tuple[float, Tensor]] = []
    for batch, chance in zip(batches, drawn, strict=True):
        with torch.no_grad():
            text = text_pass(teacher, batch.tokens_BL)
            thoughts_BMPK = sample(teacher, text, chance.places, teacher.shape, chance.uniforms_BMPK)
        for b, length in enumerate(batch.lengths_B.tolist()):
            ids = batch.tokens_BL[b, :length].tolist()
            logp_LV = stock.log_probs(stock.hidden(stock.embed(ids)))
            terms += [(float(batch.weights_BL[b, t]), -logp_LV[t - 1, ids[t]]) for t in range(1, length)]
            for m, place in enumerate(chance.places.positions_BM[b].tolist()):
                if chance.places.valid_BM[b, m]:
                    with torch.no_grad():
                        every = [taught.mixed(ids, place, thought) for thought in thoughts_BMPK[b, m].tolist()]
                        goal_V = torch.stack(every).mean(0)
                    counts = float(batch.weights_BL[b, place + 1])
                    away.append((counts, (goal_V * (goal_V.log() - logp_LV[place])).sum()))
    nll = torch.stack([count * value for count, value in terms]).sum()
    count = sum(count for count, _ in terms)
    divergence = torch.stack([counts * value for counts, value in away]).sum() / sum(counts for counts, _ in away)
    (0.7 * nll / count + 1.3 * divergence).backward()

    assert len(away) == sum(chance.places.count for chance in drawn) >= 10
    assert sums.mean("talk_nll", "talk_count") == pytest.approx(float(divergence.detach()), rel=1e-4)
    assert sums.mean("text_nll", "text_count") == pytest.approx(float(nll.detach()) / count, rel=1e-5)
    wanted = {name: p.grad for name, p in stock.quiet.named_parameters() if p.grad is not None}
    found = {name: p.grad for name, p in quiet.named_parameters() if p.grad is not None}
    assert found.keys() == wanted.keys()
    assert not {name for name in found if name.startswith(("head", "thought_tokens"))}
    for name, gradient in wanted.items():
        assert (found[name] - gradient).norm() <= 1e-4 * gradient.norm(), name
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_a_plain_model_that_says_what_the_thinking_one_says_has_no_divergence():
    quiet = tiny_quiet("same", head="linear")
    with torch.no_grad():
        quiet.head.last.weight.zero_()  # thoughts weigh nothing
    batch = texts_of(5, (9, 7))
    config = QuietConfig(positions=0, passes=2, text=0.0, talk=1.0)
    chance = draw_chance(batch, quiet, quiet.shape, config, "same")
    sums = distil_gradients(quiet, frozen_copy(quiet), [batch], [chance], config, quiet.shape)
    assert sums.mean("talk_nll", "talk_count") == pytest.approx(0.0, abs=1e-6)
    assert max(float(p.grad.abs().max()) for p in quiet.parameters() if p.grad is not None) < 1e-6


def chain_texts(number: int) -> TextBatch:
    """Rows in which a token is, nine times in ten, the one before it plus three."""
    chance = generator("chain", number)
    noise_BL = torch.randint(0, VOCABULARY - 1, (16, 14), generator=chance)
    keeps_BL = torch.rand(16, 14, generator=chance) < 0.9
    tokens = [noise_BL[:, 0]]
    for t in range(1, 14):
        tokens.append(torch.where(keeps_BL[:, t], (tokens[-1] + 3) % (VOCABULARY - 1), noise_BL[:, t]))
    tokens_BL = torch.stack(tokens, 1) + 1
    return TextBatch(tokens_BL=tokens_BL, lengths_B=torch.full((16,), 14), weights_BL=torch.ones(16, 14))


def test_the_last_stage_brings_the_plain_model_to_where_the_thinking_one_was():
    quiet = tiny_quiet("toy", scale=0.08, tokens=2, talk=1, kind="pause", initial_weight=0.98)
    # Without a text loss only the thinking prediction learns, so that thinking helps; the last stage hands it over.
    config = QuietConfig(steps=120, rows=16, positions=4, passes=1, policy=0.0, text=0.0, talk=1.0, thoughtless=True,
                         token_rate=1.0, head_rate=0.01)  # fmt: skip
    train = TrainConfig(learning_rate=2e-2, warmup_steps=5, schedule="constant", weight_decay=0.0)
    held_out = chain_texts(10_000)

    def losses(model: QuietModel) -> tuple[float, float]:
        chance = draw_chance(held_out, model, model.shape, config.model_copy(update={"positions": 0}), "held out")
        scored = score_texts(model, [(held_out, chance)], model.shape)
        return -scored.logp_text_X.mean(), -scored.logp_mixed_XP.mean()

    teachers: list[QuietModel] = []

    def teacher(first: bool) -> QuietModel:
        assert first
        teachers.append(frozen_copy(quiet))
        return teachers[-1]

    optimizer = make_quiet_optimizer(quiet, config, train)
    reports = list(teach_quiet(quiet, chain_texts, config, train, names=("toy",), optimizer=optimizer, teacher=teacher))
    (frozen,) = teachers
    (plain_then, thinking), (plain_now, _) = losses(frozen), losses(quiet)
    assert [report.stage for report in reports] == [0] * 60 + [1] * 60
    assert plain_then > thinking + 0.5
    assert plain_now < thinking + 0.15
    assert reports[-1].talk_loss < 0.2 * reports[60].talk_loss
    for name, parameter in quiet.head.named_parameters():
        assert torch.equal(parameter, dict(frozen.head.named_parameters())[name]), name

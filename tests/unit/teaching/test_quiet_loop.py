"""The loop: rates of the four groups, resuming from any step, and what happens when a number is not finite."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Generator, Tensor  # noqa: E402
from torch.optim import AdamW  # noqa: E402
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM  # noqa: E402

from menon.core.errors import ConfigError, Diverged  # noqa: E402
from menon.core.seeds import seed_for  # noqa: E402
from menon.models.thoughts.mixing import MixingHead  # noqa: E402
from menon.models.thoughts.quiet import QuietModel  # noqa: E402
from menon.models.thoughts.settings import ThoughtSettings  # noqa: E402
from menon.models.thoughts.support import set_dropout_off  # noqa: E402
from menon.models.thoughts.tokens import ThoughtTokens  # noqa: E402
from menon.teaching.config import TrainConfig  # noqa: E402
from menon.teaching.quiet.config import QuietConfig  # noqa: E402
from menon.teaching.quiet.loop import QuietStep, frozen_copy, make_quiet_optimizer, teach_quiet  # noqa: E402
from menon.teaching.quiet.step import TextBatch, accumulate_gradients, draw_chance  # noqa: E402
from menon.teaching.train import load_state, save_state  # noqa: E402

VOCABULARY, WIDTH = 13, 16
CONFIG = QuietConfig(steps=6, rows=3, passes=2, positions=4, token_rate=3.0, head_rate=0.5)
TRAIN = TrainConfig(learning_rate=1e-2, warmup_steps=2, schedule="constant", weight_decay=0.1)


def generator(*names: str | int) -> Generator:
    return Generator().manual_seed(seed_for("loop tests", *names))


@torch.no_grad()
def tiny_quiet(model: Any = None, **settings: object) -> QuietModel:
    shape: dict[str, Any] = {"hidden_size": WIDTH, "intermediate_size": 24, "num_hidden_layers": 2}
    model = model or LlamaForCausalLM(
        LlamaConfig(vocab_size=VOCABULARY, num_attention_heads=2, max_position_embeddings=32, **shape)
    )
    chance = generator("weights")
    for parameter in model.parameters():
        noise = torch.randn(parameter.shape, generator=chance)
        parameter.copy_(noise * 0.3 if parameter.ndim > 1 else 1 + 0.1 * noise)
    made = ThoughtSettings.model_validate({"tokens": 3, "talk": 2, **settings})
    vectors = torch.randn(2, WIDTH, generator=chance)
    return QuietModel(model, ThoughtTokens(vectors[0], vectors[1]), MixingHead(WIDTH, made.head), made, (0,))


def batch_at(number: int) -> TextBatch:
    tokens_BL = torch.randint(1, VOCABULARY, (3, 12), generator=generator("text", number))
    return TextBatch(tokens_BL=tokens_BL, lengths_B=torch.tensor([12, 12, 9]), weights_BL=torch.ones(3, 12))


def teach(
    quiet: QuietModel,
    config: QuietConfig = CONFIG,
    train: TrainConfig = TRAIN,
    texts: Callable[[int], TextBatch] = batch_at,
    optimizer: AdamW | None = None,
    **options: Any,
) -> list[QuietStep]:
    optimizer = optimizer or make_quiet_optimizer(quiet, config, train)
    return list(teach_quiet(quiet, texts, config, train, names=("loop tests",), optimizer=optimizer, **options))


def weights(quiet: QuietModel) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in quiet.state_dict().items()}


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_every_trainable_parameter_is_in_one_group_with_its_own_rate_and_decay():
    quiet = tiny_quiet()
    quiet.plain.model.embed_tokens.weight.requires_grad_(False)
    groups = make_quiet_optimizer(quiet, CONFIG, TRAIN).param_groups
    names = {parameter: name for name, parameter in quiet.named_parameters()}
    found = {names[p]: (group["factor"], group["weight_decay"]) for group in groups for p in group["params"]}
    assert sum(len(group["params"]) for group in groups) == len(found) == len(names) - 1
    for name, chosen in found.items():
        own = "thought_tokens" if name.startswith("thought_tokens") else "head" if name.startswith("head") else "model"
        vector = dict(quiet.named_parameters())[name].ndim < 2
        wanted = {"thought_tokens": (3.0, 0.0), "head": (0.5, 0.1), "model": (1.0, 0.0 if vector else 0.1)}
        assert chosen == wanted[own], name


def test_rates_warm_up_and_are_multiplied_group_by_group():
    quiet = tiny_quiet()
    optimizer = make_quiet_optimizer(quiet, CONFIG, TRAIN)
    seen = []
    for report in teach_quiet(quiet, batch_at, CONFIG, TRAIN, names=("loop tests",), optimizer=optimizer):
        seen.append([group["lr"] for group in optimizer.param_groups])
        assert report.learning_rate == pytest.approx(1e-2 * min(1.0, (report.step + 1) / 2))
    assert seen[0] == pytest.approx([5e-3, 5e-3, 15e-3, 2.5e-3])
    assert seen[-1] == pytest.approx([1e-2, 1e-2, 3e-2, 5e-3])


def test_teaching_lowers_both_losses_and_leaves_the_model_as_it_was_found():
    quiet = tiny_quiet().eval()
    attention = quiet.plain.config._attn_implementation
    one = batch_at(0)
    reports = teach(quiet, CONFIG.model_copy(update={"steps": 25}), texts=lambda _: one)
    assert reports[-1].text_loss < 0.7 * reports[0].text_loss
    assert reports[-1].talk_loss < 0.7 * reports[0].talk_loss
    assert [report.step for report in reports] == list(range(25))
    assert {report.tokens for report in reports} == {33}
    assert not quiet.training
    assert quiet.plain.config._attn_implementation == attention
    assert all(parameter.grad is None for parameter in quiet.parameters())


@pytest.mark.parametrize(
    ("cut", "changes", "train"),
    [
        (1, {}, {}),
        (5, {}, {}),
        *((cut, {"curriculum": (5, 3), "thoughtless": True, "kl": 0.1}, {}) for cut in (1, 3, 4, 5)),
        (3, {"entropy": 0.1, "slice_rows": 80}, {"accumulate": 2, "gradient_checkpointing": True}),
        (3, {"clamp": True, "loss_tokens": 1}, {"precision": "bfloat16"}),
    ],
)
def test_a_saved_state_goes_on_bit_for_bit(tmp_path: Path, cut: int, changes: dict[str, Any], train: dict[str, Any]):
    config, training = CONFIG.model_copy(update=changes), TRAIN.model_copy(update=train)
    teachers: list[QuietModel] = []

    def run(quiet: QuietModel, optimizer: AdamW, first: int, last: int) -> list[QuietStep]:
        def teacher(begins: bool) -> QuietModel:
            if begins:
                teachers.append(frozen_copy(quiet))
            return teachers[-1]

        steps = teach_quiet(
            quiet, batch_at, config, training, names=("loop tests",), optimizer=optimizer, first_step=first,
            reference=tiny_quiet() if config.kl else None, teacher=teacher,
        )  # fmt: skip
        return [next(steps) for _ in range(first, last)]

    whole = tiny_quiet()
    reports = run(whole, make_quiet_optimizer(whole, config, training), 0, 6)
    stopped = tiny_quiet()
    optimizer = make_quiet_optimizer(stopped, config, training)
    first = run(stopped, optimizer, 0, cut)
    save_state(tmp_path, stopped, optimizer, cut)

    resumed = tiny_quiet()
    optimizer = make_quiet_optimizer(resumed, config, training)
    step, _ = load_state(tmp_path, resumed, optimizer)
    assert first + run(resumed, optimizer, step, 6) == reports
    assert equal(weights(resumed), weights(whole))


def test_the_names_of_a_run_decide_what_is_drawn_and_nothing_else_does():
    torch.manual_seed(1)
    one = teach(tiny_quiet())
    quiet = tiny_quiet()
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    assert teach(quiet) == one
    assert torch.equal(torch.random.get_rng_state(), state)
    quiet = tiny_quiet()
    optimizer = make_quiet_optimizer(quiet, CONFIG, TRAIN)
    assert list(teach_quiet(quiet, batch_at, CONFIG, TRAIN, names=("another",), optimizer=optimizer)) != one


@pytest.mark.parametrize("place", ["model.model.layers.0.mlp.up_proj.weight", "head.last.weight", "thought_tokens.end"])
def test_a_number_that_is_not_finite_is_an_error_that_names_the_step_and_changes_nothing(place: str):
    quiet = tiny_quiet()
    held: list[dict[str, Tensor]] = []

    def poisoned(number: int) -> TextBatch:
        if number == 3:
            with torch.no_grad():
                dict(quiet.named_parameters())[place].view(-1)[0] = float("nan")
            held.append(weights(quiet))
        return batch_at(number)

    seen: list[QuietStep] = []
    optimizer = make_quiet_optimizer(quiet, CONFIG, TRAIN)
    with pytest.raises(Diverged, match=r"step 4 of 6 gave .*reward.*nan.*; lower train\.learning_rate \(now 0\.01\)"):
        for report in teach_quiet(quiet, poisoned, CONFIG, TRAIN, names=("loop tests",), optimizer=optimizer):
            seen.append(report)
    assert [report.step for report in seen] == [0, 1, 2]
    found = weights(quiet)
    assert all(torch.equal(found[name].nan_to_num(7.0), was.nan_to_num(7.0)) for name, was in held[0].items())
    assert all(parameter.grad is None for parameter in quiet.parameters())


def test_an_infinite_weight_of_a_text_is_no_reward():
    def broken(number: int) -> TextBatch:
        batch = batch_at(number)
        batch.weights_BL[0, 3] = float("inf")
        return batch

    with pytest.raises(Diverged, match="step 1 of 6"):
        teach(tiny_quiet(), texts=broken)


def test_one_thought_per_position_learns_only_without_a_baseline():
    alone = teach(tiny_quiet(), CONFIG.model_copy(update={"passes": 1, "baseline": "none"}))
    assert all(report.reward_std == 0 and report.policy_loss != 0 for report in alone)
    nothing = teach(tiny_quiet(), CONFIG.model_copy(update={"passes": 1}))  # as a recipe may not say
    assert all(report.policy_loss == 0 for report in nothing)


@pytest.mark.parametrize("kind", ["pause", "random"])
def test_controls_teach_no_policy(kind: str):
    reports = teach(tiny_quiet(kind=kind))
    assert all(report.policy_loss == 0 and report.thought_nll == 0 for report in reports)
    assert all(report.talk_loss > 0 for report in reports)


def test_texts_and_thoughts_beyond_the_positions_are_refused_before_a_step():
    # Learned positions (GPT-2) end; rotary ones would go on, untrained.
    config = GPT2Config(vocab_size=VOCABULARY, n_embd=WIDTH, n_layer=2, n_head=2, n_positions=17)
    gpt2 = GPT2LMHeadModel(config)
    assert set_dropout_off(gpt2)
    for quiet in (tiny_quiet(gpt2), tiny_quiet()):
        quiet.plain.config.max_position_embeddings = 17
        before = weights(quiet)
        with pytest.raises(ConfigError, match=r"need 18 positions.* has 17; cut texts to at most 11 tokens"):
            teach(quiet)
        assert equal(weights(quiet), before)
    assert teach(tiny_quiet(gpt2), texts=lambda n: TextBatch(
        tokens_BL=batch_at(n).tokens_BL[:, :11], lengths_B=torch.tensor([11, 11, 9]), weights_BL=torch.ones(3, 11)
    ))[-1].step == 5  # fmt: skip


def test_texts_in_which_no_thought_fits_are_refused():
    short = TextBatch(
        tokens_BL=torch.ones(2, 2, dtype=torch.int64), lengths_B=torch.tensor([2, 2]), weights_BL=torch.ones(2, 2)
    )
    with pytest.raises(ConfigError, match=r"no text here is longer than 2 tokens.*needs at least 3"):
        teach(tiny_quiet(), texts=lambda _: short)


def test_the_frozen_teacher_is_asked_for_once_and_told_whether_its_stage_begins():
    asked: list[bool] = []

    def teacher(begins: bool) -> QuietModel:
        asked.append(begins)
        return tiny_quiet().requires_grad_(False).eval()

    config = CONFIG.model_copy(update={"thoughtless": True})
    assert [report.stage for report in teach(tiny_quiet(), config, teacher=teacher)] == [0, 0, 0, 1, 1, 1]
    assert asked == [True]
    teach(tiny_quiet(), config, first_step=4, teacher=teacher)
    assert asked == [True, False]


def test_the_divergence_from_the_model_before_holds_thoughts_back():
    reference = tiny_quiet().requires_grad_(False)
    config = CONFIG.model_copy(update={"steps": 15, "text": 0.0, "talk": 1e-6, "positions": 0})

    def away(quiet: QuietModel) -> float:
        """Mean of log p / reference over the tokens of the model's own thoughts."""
        batch = batch_at(1000)
        drawn = draw_chance(batch, quiet, quiet.shape, config, "away")
        asked = config.model_copy(update={"kl": 1.0})
        sums = accumulate_gradients(quiet, [batch], [drawn], asked, quiet.shape, reference=reference)
        quiet.zero_grad(set_to_none=True)
        return sums.mean("kl", "thought_tokens")

    def after(kl: float) -> float:
        quiet = tiny_quiet()
        with torch.no_grad():
            quiet.plain.lm_head.weight.mul_(2.5)  # sharper than the reference
        assert away(quiet) > 0.1
        teach(quiet, config.model_copy(update={"kl": kl}), reference=reference if kl else None)
        return away(quiet)

    assert after(20.0) < 0.5 * after(0.0)

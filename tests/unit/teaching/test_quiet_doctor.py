"""The doctor of Quiet-STaR: each finding on a case that has it, none on a healthy one"""

import json
import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from menon.models.thoughts.mixing import MixingHead
from menon.models.thoughts.passes import text_pass
from menon.models.thoughts.quiet import QuietModel
from menon.models.thoughts.settings import ThoughtSettings
from menon.models.thoughts.tokens import ThoughtTokens
from menon.teaching.config import TrainConfig
from menon.teaching.doctor import Finding
from menon.teaching.quiet.config import QuietConfig
from menon.teaching.quiet.doctor import QuietDoctorReport, examine_quiet
from menon.teaching.quiet.losses import text_log_probs
from menon.teaching.quiet.step import TextBatch, accumulate_gradients, draw_chance

VOCABULARY = 12
CONFIG = QuietConfig(rows=2, positions=5, passes=4, steps=10)


@torch.no_grad()
def thinker(scale: float = 0.4, **settings: object) -> QuietModel:
    """A Llama with random weights; at a large `scale` thoughts change predictions, at 0 they change nothing."""
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=64, pad_token_id=None, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    model, generator = LlamaForCausalLM(config), torch.Generator().manual_seed(7)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    made = ThoughtSettings.model_validate({"tokens": 3, "talk": 2, "initial_weight": 0.5, **settings})
    head = MixingHead(16, made.head, initial_weight=made.initial_weight)
    vectors = torch.randn(2, 16, generator=generator)
    return QuietModel(model, ThoughtTokens(vectors[0], vectors[1]), head, made, (0,))


def texts(*lengths: int, width: int = 0) -> TextBatch:
    size = (len(lengths), max(width, *lengths))
    tokens_BL = torch.randint(1, VOCABULARY, size, generator=torch.Generator().manual_seed(sum(lengths)))
    real_BL = (torch.arange(size[1]) < torch.tensor(lengths)[:, None]).float()
    return TextBatch(tokens_BL=tokens_BL, lengths_B=torch.tensor(lengths), weights_BL=real_BL)


BATCHES = [texts(14, 11), texts(12, 13)]


def examine(
    quiet: QuietModel, config: QuietConfig = CONFIG, batches: Sequence[TextBatch] = BATCHES
) -> QuietDoctorReport:
    return examine_quiet(quiet, batches, config, TrainConfig())


def only(report: QuietDoctorReport) -> Finding:
    assert len(report.findings) == 1, report.findings
    return report.findings[0]


def test_a_healthy_case_has_no_findings_and_learns_nothing():
    quiet = thinker()
    before = {name: value.clone() for name, value in quiet.state_dict().items()}
    attention, modes = quiet.model.config._attn_implementation, [m.training for m in quiet.modules()]
    report = examine(quiet)
    assert report.findings == ()
    assert report.ok
    assert (report.texts, report.short, report.positions, report.thoughts) == (4, 0, 20, 80)
    assert report.useful_low < report.useful < report.useful_high
    assert (report.weight, report.judged_weight) == (0.5, None)
    assert 0 < report.entropy <= math.log(VOCABULARY - 1)
    assert report.best_gain > 0
    assert report.reward_std > 0
    assert all(torch.equal(value, before[name]) for name, value in quiet.state_dict().items())
    assert all(parameter.grad is None for parameter in quiet.parameters())
    assert quiet.model.config._attn_implementation == attention
    assert [m.training for m in quiet.modules()] == modes
    assert report.lines()[-1] == "fit to run"
    assert report.seconds_estimate is not None
    assert report.tokens_per_second is not None
    # 4 texts hold 50 tokens; 10 steps of 2 texts
    assert report.seconds_estimate * report.tokens_per_second == pytest.approx(10 * 2 * 50 / 4)
    values = json.loads(json.dumps(report.to_json()))
    assert values["ok"] is True
    assert values["memory_mb"] > 0


def test_the_figures_are_those_of_a_training_step():
    """The same chance, through the step itself."""
    quiet = thinker()
    report = examine(quiet)
    drawn = [draw_chance(batch, quiet, quiet.shape, CONFIG, "doctor", 0, i) for i, batch in enumerate(BATCHES)]
    sums = accumulate_gradients(quiet, BATCHES, drawn, CONFIG, quiet.shape)
    assert report.reward == pytest.approx(sums.mean("reward", "thoughts"), abs=1e-5)
    assert report.reward_std == pytest.approx(sums.mean("reward_square", "thoughts") ** 0.5, abs=1e-5)
    assert report.useful == pytest.approx(sums.mean("useful", "thoughts"))
    assert report.weight == pytest.approx(sums.mean("weight", "thoughts"))
    assert report.mixed_nll == pytest.approx(sums.mean("talk_nll", "talk_count"), abs=1e-5)
    plain, count = 0.0, 0
    for batch, chance in zip(BATCHES, drawn, strict=True):
        logp_BL: Tensor = text_log_probs(quiet, text_pass(quiet, batch.tokens_BL), batch.tokens_BL)
        for b, m in chance.places.valid_BM.nonzero().tolist():
            place = int(chance.places.positions_BM[b, m])
            plain -= float(logp_BL[b, place : place + 2].sum().detach())
            count += 2
    assert report.plain_nll == pytest.approx(plain / count, abs=1e-5)


def test_slices_change_no_figure():
    quiet = thinker()
    whole = examine(quiet, CONFIG.model_copy(update={"slice_rows": 0}))
    cut = examine(quiet, CONFIG.model_copy(update={"slice_rows": 1}))
    for name in ("useful", "useful_low", "reward", "reward_std", "best_gain", "plain_nll", "mixed_nll", "entropy"):
        assert getattr(cut, name) == pytest.approx(getattr(whole, name), abs=1e-5)


def test_thoughts_that_change_nothing_refuse_the_run():
    finding = only(report := examine(thinker(scale=0.0)))
    assert finding.level == "refuse"
    assert "same reward" in finding.what
    assert "thoughts.start and thoughts.end" in finding.mend
    assert not report.ok
    assert report.reward_std == pytest.approx(0, abs=1e-6)
    assert report.lines()[-1].startswith("refused")


def test_a_temperature_of_zero_makes_all_thoughts_equal():
    finding = only(report := examine(thinker(temperature=0.0)))
    assert (finding.level, report.equal) == ("refuse", 1.0)
    assert "thoughts.temperature=1.0" in finding.mend


def test_thoughts_that_differ_and_do_not_help_are_a_warning():
    """Texts of the one token that the model expects; any thought can only make it less likely."""
    quiet = thinker()
    with torch.no_grad():
        quiet.model.lm_head.weight[5] += 20 * quiet.model.model.norm.weight / 16
        quiet.model.model.embed_tokens.weight += 1
    batch = texts(14, 12)
    batch = replace(batch, tokens_BL=torch.full_like(batch.tokens_BL, 5))
    report = examine(quiet, batches=[batch])
    assert report.useful == 0
    finding = only(report)
    assert finding.level == "warn"
    assert "0.0% of the thoughts help (95 % interval 0.0% to" in finding.what
    assert "menon teach star" in finding.mend
    assert report.ok


def test_a_weight_near_zero_is_a_warning():
    findings = examine(thinker(initial_weight=0.01)).findings
    assert findings[0].level == "warn"
    assert "mixing weight is 0.010" in findings[0].what
    assert "thoughts.initial_weight=0.5" in findings[0].mend


def test_a_linear_head_at_zero_is_judged_at_a_half():
    report = examine(thinker(head="linear"))
    assert (only(report).level, report.weight, report.judged_weight) == ("note", 0.0, 0.5)
    assert report.ok
    half = examine(thinker())
    assert report.reward == pytest.approx(half.reward, abs=1e-6)
    assert report.useful == half.useful
    quiet = thinker(head="linear")
    with torch.no_grad():
        quiet.head.last.weight.fill_(0.3)
    assert examine(quiet).judged_weight is None


def test_numbers_that_overflow_refuse_the_run():
    broken = thinker()
    with torch.no_grad():
        broken.model.lm_head.weight[3] = math.inf
    finding = only(examine(broken))
    assert finding.level == "refuse"
    assert finding.what == "the model's predictions overflow in batches of 4 of 4 texts"
    late = thinker()
    with torch.no_grad():
        late.thought_tokens.end.fill_(math.nan)
    finding = only(report := examine(late))
    assert (finding.level, report.ok) == ("refuse", False)
    assert finding.what == "the mean reward is nan: predictions after thoughts overflow"


def test_texts_that_are_too_short_to_think_over():
    report = examine(thinker(), batches=[texts(2, 1), texts(2, 2)])
    assert (report.short, report.texts, report.thoughts) == (4, 4, 0)
    assert only(report).level == "refuse"
    assert "thoughts.talk below 2" in only(report).mend
    some = examine(thinker(), batches=[texts(14, 2), texts(2, 2), texts(13, 12)])
    assert [f.level for f in some.findings] == ["warn"]
    assert "3 of 6 texts" in some.findings[0].what
    assert only(examine(thinker(), batches=[])).what == "no texts to think over"


def test_positions_that_a_model_does_not_have_refuse_the_run():
    config = GPT2Config(
        vocab_size=VOCABULARY, n_embd=16, n_layer=1, n_head=2, n_positions=16, resid_pdrop=0.0, embd_pdrop=0.0,
        attn_pdrop=0.0, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    model = GPT2LMHeadModel(config)
    tokens = ThoughtTokens(torch.randn(16), torch.randn(16))
    quiet = QuietModel(model, tokens, MixingHead(16), ThoughtSettings(tokens=3, talk=2), ())
    report = examine(quiet, batches=[texts(14, 12)])
    assert only(report).level == "refuse"
    assert "14 tokens and a thought of 6 rows" in only(report).what


def test_a_single_thought_is_a_warning_and_two_are_looked_at():
    report = examine(thinker(), QuietConfig(passes=1, baseline="none", rows=2, positions=5))
    assert only(report).mend == "quiet.passes=2 or more with quiet.baseline=mean"
    assert report.thoughts == 2 * report.positions


def test_too_few_positions_for_a_useful_thought_in_every_step():
    """One place in twenty has tokens that count, so hardly a step meets one."""
    quiet, batch = thinker(), texts(40, 40)
    weights_BL = torch.zeros_like(batch.weights_BL)
    weights_BL[:, 20] = 4.0
    report = examine(quiet, QuietConfig(rows=1, positions=0, passes=4), [replace(batch, weights_BL=weights_BL)])
    assert report.ok
    sparse = QuietConfig(rows=1, positions=1, passes=4)
    many = [replace(texts(40, 40 - i), weights_BL=weights_BL) for i in range(12)]
    finding = only(examine(quiet, sparse, many))
    assert finding.level == "warn"
    assert finding.mend.startswith("quiet.positions=")


@pytest.mark.parametrize("kind", ["pause", "random"])
def test_controls_are_not_asked_for_a_policy(kind: str):
    report = examine(thinker(kind=kind))
    assert report.findings == ()
    assert report.equal == (1.0 if kind == "pause" else 0.0)


def test_memory_follows_slices_and_not_positions_and_falls_with_checkpoints_and_adapters():
    quiet = thinker()

    def memory(training: TrainConfig | None = None, **changes: object):
        config = CONFIG.model_copy(update={"slice_rows": 64, "positions": 0, **changes})
        return examine_quiet(quiet, BATCHES, config, training or TrainConfig()).memory

    plain = memory()
    numbers = sum(p.numel() for p in quiet.parameters())
    assert plain.weights == plain.gradients == numbers * 4 / 2**20
    assert plain.optimizer == 2 * plain.gradients
    assert memory(slice_rows=0).thoughts > 3 * plain.thoughts
    assert memory(positions=3).thoughts == plain.thoughts
    assert memory(kl=0.1).weights == 2 * plain.weights
    less = memory(TrainConfig(gradient_checkpointing=True))
    assert less.thoughts < plain.thoughts
    assert less.text < plain.text
    adapted = memory(lora_rank=2)
    assert adapted.gradients < 0.7 * plain.gradients
    assert adapted.weights == plain.weights

"""The training loop against plain autograd, and its resumption bit for bit."""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from menon import Diverged
from menon.teaching.config import TrainConfig
from menon.teaching.objectives import weighted_cross_entropy
from menon.teaching.rows import Epochs, Row, bucket, collate
from menon.teaching.train import learning_rate, load_state, make_optimizer, save_state, train


def tiny() -> GPTNeoXForCausalLM:
    torch.manual_seed(0)
    config = GPTNeoXConfig(
        vocab_size=17, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64, hidden_dropout=0.0, attention_dropout=0.0, bos_token_id=None, eos_token_id=1,
    )  # fmt: skip
    return GPTNeoXForCausalLM(config)


def some_rows(count: int = 23) -> list[Row]:
    generator = torch.Generator().manual_seed(1)
    rows = []
    for i in range(count):
        length = 3 + (7 * i) % 11
        ids = torch.randint(2, 17, (length,), generator=generator).tolist()
        rows.append(Row(ids=tuple(ids), prompt=1 + i % 2, prompt_weight=0.25 * (i % 3)))
    return rows


def test_weighted_loss_is_the_sum_over_single_rows() -> None:
    model = tiny().double()
    rows = some_rows(5)
    batch = collate(rows, pad=0)
    loss, weight = weighted_cross_entropy(model(input_ids=batch.tokens_BT).logits, batch.tokens_BT, batch.weights_BT)
    total, weights = 0.0, 0.0
    for row in rows:
        logp = model(input_ids=torch.tensor([row.ids])).logits[0].detach().float().log_softmax(-1)
        for t in range(1, len(row.ids)):
            w = row.prompt_weight if t < row.prompt else row.weight
            total -= w * float(logp[t - 1, row.ids[t]])
            weights += w
    assert float(loss.detach()) == pytest.approx(total, rel=1e-5)
    assert float(weight) == pytest.approx(weights)


def test_padding_does_not_change_the_gradient() -> None:
    rows = some_rows(4)
    one, other = tiny().double(), tiny().double()
    config = TrainConfig(learning_rate=1e-12, warmup_steps=0, schedule="constant", accumulate=1, clip=1e9)
    spread = config.model_copy(update={"accumulate": 4})
    list(train(one, lambda _: rows, config, steps=1, pad=0))
    list(train(other, lambda i: [rows[i]], spread, steps=1, pad=5))
    first, second = (make_gradient(m, rows) for m in (tiny().double(), tiny().double()))
    torch.testing.assert_close(first, second)
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-9, rtol=0)


def make_gradient(model: nn.Module, rows: list[Row]) -> torch.Tensor:
    batch = collate(rows, pad=0)
    loss, _ = weighted_cross_entropy(model(input_ids=batch.tokens_BT).logits, batch.tokens_BT, batch.weights_BT)
    loss.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def test_one_step_is_a_plain_adamw_step() -> None:
    rows = some_rows(6)
    ours, plain = tiny(), tiny()
    config = TrainConfig(learning_rate=1e-2, warmup_steps=0, schedule="constant", weight_decay=0.0, clip=0.5)
    list(train(ours, lambda _: rows, config, steps=2, pad=0))
    optimizer = torch.optim.AdamW(plain.parameters(), lr=1e-2, betas=config.betas, weight_decay=0.0)
    for _ in range(2):
        batch = collate(rows, pad=0)
        loss, weight = weighted_cross_entropy(
            plain(input_ids=batch.tokens_BT).logits, batch.tokens_BT, batch.weights_BT
        )
        (loss / weight).backward()
        nn.utils.clip_grad_norm_(plain.parameters(), 0.5)
        optimizer.step()
        optimizer.zero_grad()
    for a, b in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_resumes_bit_for_bit(tmp_path: Path) -> None:
    config = TrainConfig(learning_rate=1e-2, warmup_steps=3, tokens_per_batch=40, accumulate=2)
    epochs = Epochs(some_rows(), 40, "resume")
    whole = tiny()
    list(train(whole, epochs.batch, config, steps=9, pad=0))
    first = tiny()
    optimizer = make_optimizer(first, config)
    run = train(first, epochs.batch, config, steps=9, pad=0, optimizer=optimizer)
    for _ in range(4):
        next(run)
    save_state(tmp_path, first, optimizer, 4)
    second = tiny()
    again = make_optimizer(second, config)
    step, history = load_state(tmp_path, second, again)
    assert history == []
    assert step == 4
    list(
        train(second, Epochs(some_rows(), 40, "resume").batch, config, steps=9, pad=0, optimizer=again, first_step=step)
    )
    for a, b in zip(whole.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_gradient_checkpointing_changes_nothing() -> None:
    rows = some_rows(6)
    plain, checkpointed = tiny(), tiny()
    config = TrainConfig(learning_rate=1e-2, warmup_steps=0)
    list(train(plain, lambda _: rows, config, steps=2, pad=0))
    saving = config.model_copy(update={"gradient_checkpointing": True})
    list(train(checkpointed, lambda _: rows, saving, steps=2, pad=0))
    for a, b in zip(plain.parameters(), checkpointed.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_bfloat16_learns_too() -> None:
    rows = some_rows(6)
    model = tiny()
    config = TrainConfig(learning_rate=1e-2, warmup_steps=0, precision="bfloat16", schedule="constant")
    losses = [step.loss for step in train(model, lambda _: rows, config, steps=30, pad=0)]
    assert losses[-1] < 0.7 * losses[0]


def test_a_bad_loss_stops_before_the_weights_are_touched() -> None:
    model = tiny()
    with torch.no_grad():
        model.get_output_embeddings().weight[3, 0] = float("nan")
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(Diverged, match="learning_rate"):
        list(train(model, lambda _: some_rows(3), TrainConfig(), steps=1, pad=0))
    for name, value in model.state_dict().items():
        assert torch.equal(value.nan_to_num(), before[name].nan_to_num())


def test_learning_rate_warms_up_and_falls() -> None:
    config = TrainConfig(learning_rate=1.0, warmup_steps=10, final_share=0.1)
    rates = [learning_rate(config, step, 110) for step in range(110)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == rates[10] == 1.0
    assert rates[-1] == pytest.approx(0.109)


def test_buckets_hold_every_row_once_and_respect_the_limit() -> None:
    rows = some_rows(50)
    batches = bucket(rows, 40, "x")
    assert sorted(row.ids for batch in batches for row in batch) == sorted(row.ids for row in rows)
    assert all(len(batch) * max(len(row.ids) for row in batch) <= 40 for batch in batches)
    assert batches == bucket(rows, 40, "x")
    assert batches != bucket(rows, 40, "y")
    long = [Row(ids=tuple(range(2, 12)) * 9)]
    assert bucket(long, 40, "x") == [long]


def test_epochs_are_a_pure_function_of_the_step() -> None:
    epochs = Epochs(some_rows(), 40, "e")
    later = Epochs(some_rows(), 40, "e")
    assert later.batch(37) == [epochs.batch(i) for i in range(38)][37]

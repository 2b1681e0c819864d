"""The mixing weight and the two mixtures, against plain formulas."""

import copy
import math

import pytest
import torch
from torch import nn

from menon import ConfigError
from menon.models.thoughts.mixing import MixingHead, mix_hidden, mix_log_probs


def rows(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("initial", [0.5, 0.018, 0.9])
def test_the_weight_starts_where_it_was_told(initial: float):
    head = MixingHead(6, initial_weight=initial).double()
    weight = head(rows(2, 3, 6), rows(2, 3, 6, seed=1))
    assert weight.shape == (2, 3)
    torch.testing.assert_close(weight.detach(), torch.full((2, 3), initial, dtype=torch.float64))


def test_the_official_head_starts_at_nothing_and_is_unbounded():
    head = MixingHead(6, "linear").double()
    base, thought = rows(5, 6), rows(5, 6, seed=1)
    assert torch.equal(head(base, thought), torch.zeros(5))
    assert head.last.bias is None
    with torch.no_grad():
        head.last.weight.fill_(-9.0)
    assert head(base, thought).min() < -1


def test_three_layers_against_a_plain_stack():
    head = MixingHead(4).double()
    with torch.no_grad():
        head.last.weight.copy_(rows(1, 4, seed=3))
        head.last.bias.fill_(0.3)
    plain = nn.Sequential(head.first, nn.ReLU(), head.second, nn.ReLU(), head.last, nn.Sigmoid())
    base, thought = rows(5, 4), rows(5, 4, seed=1)
    torch.testing.assert_close(head(base, thought), plain(torch.cat([base, thought], -1))[:, 0])
    assert [tuple(p.shape) for p in head.parameters()] == [(4, 8), (4,), (4, 4), (4,), (1, 4), (1,)]


def test_heads_are_drawn_by_their_own_seed():
    state = torch.get_rng_state()
    one, two, other = MixingHead(8), MixingHead(8), MixingHead(8, seed=7)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one.first.weight, two.first.weight)
    assert not torch.equal(one.first.weight, other.first.weight)
    assert one.first.weight.abs().max() <= 1 / math.sqrt(16)
    assert one.first.weight.std() > 0.5 / math.sqrt(16)


def test_an_ordinary_step_moves_the_weight():
    head = MixingHead(4).double()
    before = copy.deepcopy(head.state_dict())
    loss = head(rows(5, 4), rows(5, 4, seed=1)).sum()
    loss.backward()
    torch.optim.SGD(head.parameters(), lr=0.1).step()
    assert head(rows(5, 4), rows(5, 4, seed=1)).sum() < loss
    assert not torch.equal(head.last.weight, before["last.weight"])


def test_mixed_hidden_states():
    base, thought, weight = rows(3, 4), rows(3, 4, seed=1), torch.tensor([0.0, 1.0, 0.25])
    mixed = mix_hidden(base, thought, weight)
    assert torch.equal(mixed[0], base[0])
    assert torch.equal(mixed[1], thought[1])
    torch.testing.assert_close(mixed[2], 0.75 * base[2] + 0.25 * thought[2])


def test_mixed_log_probs_are_the_normalised_geometric_mean():
    base, thought = rows(3, 7).log_softmax(-1), rows(3, 7, seed=1).log_softmax(-1)
    weight = torch.tensor([0.0, 1.0, 0.3], dtype=torch.float64)
    mixed = mix_log_probs(base, thought, weight)
    torch.testing.assert_close(mixed[0], base[0])
    torch.testing.assert_close(mixed[1], thought[1])
    product = base[2].exp() ** 0.7 * thought[2].exp() ** 0.3
    torch.testing.assert_close(mixed[2].exp(), product / product.sum())


def test_both_mixtures_are_one_for_a_linear_head():
    head = nn.Linear(5, 7).double()
    base, thought, weight = rows(3, 5), rows(3, 5, seed=1), rows(3, seed=2).sigmoid()
    torch.testing.assert_close(
        head(mix_hidden(base, thought, weight)).log_softmax(-1),
        mix_log_probs(head(base).log_softmax(-1), head(thought).log_softmax(-1), weight),
    )


def test_bad_heads():
    with pytest.raises(ConfigError, match=r"'tanh' is unknown; allowed: mlp, linear"):
        MixingHead(4, "tanh")  # pyright: ignore[reportArgumentType]
    for initial in (0.0, 1.0, -1.0, math.nan):
        with pytest.raises(ConfigError, match="strictly between 0 and 1"):
            MixingHead(4, initial_weight=initial)

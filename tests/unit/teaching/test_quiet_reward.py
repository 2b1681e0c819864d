"""Rewards and advantages by hand."""

import torch

from menon.teaching.quiet.losses import policy_loss, talk_loss
from menon.teaching.quiet.reward import advantages, rewards
from menon.teaching.quiet.step import first_tokens

# One text, one place, two thoughts, two talk tokens.
MIXED = torch.tensor([[[[-1.0, -0.5], [-3.0, -2.0]]]])
TEXT = torch.tensor([[[-2.0, -1.5]]])


def test_the_reward_is_the_gain_over_the_text_summed_over_talk_tokens():
    assert rewards(MIXED, TEXT, torch.ones(1, 1, 2)).tolist() == [[[2.0, -1.5]]]


def test_each_token_counts_by_its_weight():
    weights = torch.tensor([[[0.5, 2.0]]])
    assert rewards(MIXED, TEXT, weights).tolist() == [[[0.5 * 1 + 2 * 1, 0.5 * -1 + 2 * -0.5]]]
    assert rewards(MIXED, TEXT, torch.zeros(1, 1, 2)).tolist() == [[[0.0, 0.0]]]


def test_a_myopic_reward_sees_the_first_token_only():
    ones = torch.ones(1, 1, 2)
    assert rewards(MIXED, TEXT, first_tokens(ones, 1)).tolist() == [[[1.0, -1.0]]]
    assert torch.equal(first_tokens(ones, 0), ones)
    assert torch.equal(first_tokens(ones, 2), ones)


def test_a_reward_has_no_history():
    mixed, text = MIXED.clone().requires_grad_(), TEXT.clone().requires_grad_()
    assert not rewards(mixed, text, torch.ones(1, 1, 2)).requires_grad


def test_advantages_are_differences_from_the_mean_of_the_place():
    found = advantages(torch.tensor([[[2.0, -1.5], [0.0, 3.0]]]))
    assert found.tolist() == [[[1.75, -1.75], [-1.5, 1.5]]]
    many = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(advantages(many).sum(-1), torch.zeros(3, 4), rtol=0, atol=1e-5)


def test_what_the_text_alone_earns_cancels_in_the_advantage():
    ones = torch.ones(1, 1, 2)
    other = rewards(MIXED, TEXT + torch.tensor([0.7, -4.0]), ones)
    torch.testing.assert_close(advantages(other), advantages(rewards(MIXED, TEXT, ones)))


def test_the_clamp_drops_what_is_worse_than_the_mean():
    given = torch.tensor([[[2.0, -1.5, -0.5]]])
    assert advantages(given, clamp=True).tolist() == [[[2.0, 0.0, 0.0]]]
    assert advantages(given, baseline="none", clamp=True).tolist() == [[[2.0, 0.0, 0.0]]]
    assert advantages(torch.tensor([[[4.0, 2.0]]]), clamp=True).tolist() == [[[1.0, 0.0]]]


def test_without_a_baseline_the_advantage_is_the_reward():
    given = torch.tensor([[[2.0, -1.5]]])
    assert torch.equal(advantages(given, baseline="none"), given)


def test_equal_thoughts_and_single_thoughts_have_no_advantage():
    assert advantages(torch.full((1, 1, 4), 0.25)).tolist() == [[[0.0] * 4]]
    assert advantages(torch.tensor([[[0.7]]])).tolist() == [[[0.0]]]


def test_every_token_of_a_thought_gets_its_whole_advantage():
    logp = torch.tensor([[[[-1.0, -2.0], [-0.5, -0.25]]]], requires_grad=True)
    advantage = torch.tensor([[[2.0, -3.0]]], requires_grad=True)
    loss = policy_loss(logp, advantage[..., None].expand_as(logp), torch.tensor([[True]]))
    assert loss.item() == -(2 * -1 + 2 * -2 - 3 * -0.5 - 3 * -0.25)
    loss.backward()
    assert logp.grad is not None
    assert logp.grad.tolist() == [[[[-2.0, -2.0], [3.0, 3.0]]]]
    assert advantage.grad is None


def test_places_that_do_not_count_have_no_policy_loss_even_if_not_finite():
    logp = torch.tensor([[[[-1.0]], [[-torch.inf]]]], requires_grad=True)
    loss = policy_loss(logp, torch.tensor([[[[2.0]], [[0.0]]]]), torch.tensor([[True, False]]))
    assert loss.item() == 2.0
    loss.backward()
    assert logp.grad is not None
    assert logp.grad.tolist() == [[[[-2.0]], [[0.0]]]]


def test_the_talk_loss_is_the_weighted_sum_over_thoughts_and_tokens():
    assert talk_loss(MIXED, torch.tensor([[[1.0, 2.0]]])).item() == 1 + 2 * 0.5 + 3 + 2 * 2

"""REINFORCE on thoughts against the exact gradient of the expected reward, every thought enumerated.

A vocabulary of six, of which three to six may be thought; thoughts of one and two tokens; one thinking position. Each
thought (or pair of thoughts, for the baseline) is imposed once and its gradient weighted by its probability, so nothing
is left to chance. The mean over the P thoughts of a position holds the thought's own reward, so what it leaves of the
gradient is the share 1 - 1/P of it: the direction is right, the length is not.
"""

import copy
from collections.abc import Sequence
from itertools import product

import pytest
import torch
from quiet_literal_step import Literal, apart, generator_of, gradients_of, only, tiny_batch, tiny_quiet
from torch import Tensor

from menon.models.thoughts.layout import given_places
from menon.models.thoughts.passes import text_pass
from menon.models.thoughts.quiet import QuietModel
from menon.teaching.quiet import step
from menon.teaching.quiet.config import QuietConfig
from menon.teaching.quiet.step import Drawn, accumulate_gradients

VOCABULARY = 6
PLACE = 2
CONFIG = only(QuietConfig(passes=1, baseline="none"), policy=1.0)
BATCH = tiny_batch("reinforce d", (6,), VOCABULARY)
Thoughts = Sequence[tuple[int, ...]]


def quiet_with(tokens: int, banned: Sequence[int], **settings: object) -> QuietModel:
    return tiny_quiet(VOCABULARY, banned, tokens=tokens, talk=2, **{"initial_weight": 0.5, **settings})


def drawn_for(quiet: QuietModel, passes: int) -> Drawn:
    places = given_places([[PLACE]], BATCH.lengths_B, quiet.shape)
    return Drawn(places=places, uniforms_BMPK=torch.zeros(1, 1, passes, quiet.shape.tokens))


def all_thoughts(quiet: QuietModel) -> Thoughts:
    allowed = [v for v in range(VOCABULARY) if v not in quiet.banned_ids]
    return list(product(allowed, repeat=quiet.shape.tokens))


def imposed(
    monkeypatch: pytest.MonkeyPatch, quiet: QuietModel, thoughts: Thoughts, config: QuietConfig,
    reference: QuietModel | None = None,
) -> dict[str, Tensor]:  # fmt: skip
    """The step's gradient when these are the P thoughts of the only place."""
    monkeypatch.setattr(step, "sample", lambda *_: torch.tensor([[list(thoughts)]]))
    quiet.zero_grad(set_to_none=True)
    drawn = drawn_for(quiet, len(thoughts))
    accumulate_gradients(quiet, [BATCH], [drawn], config, quiet.shape, reference=reference)
    return gradients_of(quiet)


class Exact:
    """Probabilities and rewards of all thoughts, by the stock model."""

    def __init__(self, quiet: QuietModel, reference: QuietModel | None = None):
        self.literal = Literal(quiet)
        ids = BATCH.tokens_BL[0].tolist()
        text_LD = self.literal.hidden(self.literal.embed(ids))
        seen = [self.literal.think(ids, PLACE, thought, text_LD) for thought in all_thoughts(quiet)]
        self.logp_ZK = torch.stack([thought.policy_K for thought in seen])
        gain_ZN = torch.stack([thought.mixed_N - thought.plain_N for thought in seen])
        self.reward_Z = (gain_ZN * BATCH.weights_BL[0, PLACE + 1 : PLACE + 3]).sum(-1).detach()
        self.chance_Z = self.logp_ZK.sum(-1).exp()
        torch.testing.assert_close(self.chance_Z.detach().sum(), torch.tensor(1.0))

    def gradients(self, objective: Tensor) -> dict[str, Tensor]:
        """The gradient of the loss that a step with this objective per thought token has."""
        return self.literal.gradients(-objective / self.logp_ZK.shape[1])


def expected(parts: Sequence[tuple[float, dict[str, Tensor]]]) -> dict[str, Tensor]:
    total: dict[str, Tensor] = {}
    for chance, gradients in parts:
        for name, gradient in gradients.items():
            total[name] = total.get(name, 0) + chance * gradient
    return total


def over_thoughts(
    monkeypatch: pytest.MonkeyPatch, quiet: QuietModel, exact: Exact, config: QuietConfig,
    reference: QuietModel | None = None,
) -> dict[str, Tensor]:  # fmt: skip
    chances = exact.chance_Z.tolist()
    return expected(
        [
            (chance, imposed(monkeypatch, quiet, [thought], config, reference))
            for chance, thought in zip(chances, all_thoughts(quiet), strict=True)
        ]
    )


CASES = [
    (1, (), {}),
    (1, (0, 1), {"temperature": 0.6}),
    (2, (0, 1, 3), {}),
    (2, (1, 2), {"temperature": 1.7}),
    (2, (0, 1, 3), {"mixing": "log_probs", "head": "linear"}),
]


@pytest.mark.parametrize(("tokens", "banned", "settings"), CASES)
def test_the_expected_policy_gradient_is_that_of_the_expected_reward(
    monkeypatch: pytest.MonkeyPatch, tokens: int, banned: tuple[int, ...], settings: dict[str, object]
) -> None:
    quiet = quiet_with(tokens, banned, **settings)
    exact = Exact(quiet)
    assert float(exact.reward_Z.std()) > 0.05
    wanted = exact.gradients((exact.chance_Z * exact.reward_Z).sum())
    assert apart(over_thoughts(monkeypatch, quiet, exact, CONFIG), wanted) < 1e-4


@pytest.mark.parametrize(("tokens", "banned", "settings"), [*CASES[:2], (2, (0, 1, 3, 5), {"temperature": 1.4})])
def test_the_mean_over_two_thoughts_leaves_half_of_the_gradient(
    monkeypatch: pytest.MonkeyPatch, tokens: int, banned: tuple[int, ...], settings: dict[str, object]
) -> None:
    quiet = quiet_with(tokens, banned, **settings)
    exact, thoughts = Exact(quiet), all_thoughts(quiet)
    chances = exact.chance_Z.tolist()
    config = CONFIG.model_copy(update={"passes": 2, "baseline": "mean"})
    found = expected(
        [
            (chances[one] * chances[two],
             imposed(monkeypatch, quiet, [thoughts[one], thoughts[two]], config))
            for one, two in product(range(len(thoughts)), repeat=2)
        ]
    )  # fmt: skip
    wanted = exact.gradients((exact.chance_Z * exact.reward_Z).sum())
    assert apart(found, {name: gradient / 2 for name, gradient in wanted.items()}) < 1e-4


def test_many_drawn_thoughts_have_the_same_gradient() -> None:
    """Two thousand evenly spread numbers draw each thought as often as it is likely, to 1 in 2000."""
    quiet = quiet_with(1, (0,), temperature=3.0)
    exact = Exact(quiet)
    config = CONFIG.model_copy(update={"passes": 2000, "baseline": "mean", "slice_rows": 0})
    spread = (torch.arange(2000) + 0.5) / 2000
    drawn = Drawn(places=drawn_for(quiet, 1).places, uniforms_BMPK=spread[None, None, :, None])
    accumulate_gradients(quiet, [BATCH], [drawn], config, quiet.shape)
    wanted = exact.gradients((exact.chance_Z * exact.reward_Z).sum())
    assert apart(gradients_of(quiet), {name: gradient * 1999 / 2000 for name, gradient in wanted.items()}) < 0.02


# Entropy and divergence as part of the advantage


def stirred(quiet: QuietModel) -> QuietModel:
    """A model a little way off, for the divergence."""
    other = copy.deepcopy(quiet)
    with torch.no_grad():
        for name, parameter in other.named_parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator_of("reference", name)))
    return other


def of_whole_thoughts(exact: Exact, reference: Exact) -> dict[str, Tensor]:
    """Entropy and minus divergence of the distribution over whole thoughts."""
    logp_Z = exact.logp_ZK.sum(-1)
    return {
        "entropy": -(exact.chance_Z * logp_Z).sum(),
        "kl": -(exact.chance_Z * (logp_Z - reference.logp_ZK.detach().sum(-1))).sum(),
    }


@pytest.mark.parametrize("penalty", ["entropy", "kl"])
@pytest.mark.parametrize(
    ("tokens", "banned", "settings"), [(1, (0, 1), {"temperature": 0.6}), (2, (0, 1, 3), {"temperature": 1.7})]
)
def test_entropy_and_divergence_are_those_of_whole_thoughts(
    monkeypatch: pytest.MonkeyPatch, tokens: int, banned: tuple[int, ...], settings: dict[str, object], penalty: str
) -> None:
    quiet = quiet_with(tokens, banned, **settings)
    reference = stirred(quiet)
    exact, other = Exact(quiet), Exact(reference)
    config = CONFIG.model_copy(update={penalty: 0.7})
    found = over_thoughts(monkeypatch, quiet, exact, config, reference if penalty == "kl" else None)
    reward = (exact.chance_Z * exact.reward_Z).sum()
    wanted = exact.gradients(reward + 0.7 * of_whole_thoughts(exact, other)[penalty])
    assert apart(found, wanted) < 1e-4


# What the losses leave alone


def test_the_policy_loss_reaches_neither_the_head_nor_the_end_of_the_thought() -> None:
    quiet = quiet_with(2, (0, 1))
    drawn = Drawn(
        places=drawn_for(quiet, 4).places, uniforms_BMPK=torch.rand(1, 1, 4, 2, generator=generator_of("uniforms"))
    )
    accumulate_gradients(quiet, [BATCH], [drawn], CONFIG.model_copy(update={"passes": 4}), quiet.shape)
    found = gradients_of(quiet)
    assert float(found["thought_tokens.start"].norm()) > 0
    reached = {name for name, gradient in found.items() if float(gradient.abs().max()) > 0}
    assert not any(name.startswith("head.") for name in reached)
    assert "thought_tokens.end" not in reached  # it stands behind every token of the thought


def test_equal_thoughts_teach_the_policy_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = quiet_with(2, (0, 1))
    alone = imposed(monkeypatch, quiet, [(3, 2)] * 4, CONFIG.model_copy(update={"passes": 4}))
    config = CONFIG.model_copy(update={"passes": 4, "baseline": "mean"})
    equal = imposed(monkeypatch, quiet, [(3, 2)] * 4, config)
    largest = max(float(gradient.norm()) for gradient in alone.values())
    assert largest > 1e-3
    assert max(float(gradient.norm()) for gradient in equal.values()) < 1e-6 * largest


def test_the_talk_loss_goes_through_the_thoughts_tokens_and_not_through_their_drawing() -> None:
    """Drawn thoughts give the gradient of the same thoughts written down, to the last digit."""
    quiet = quiet_with(2, (0, 1), temperature=0.8)
    uniforms = torch.rand(1, 1, 4, 2, generator=generator_of("talk"))
    drawn = Drawn(places=drawn_for(quiet, 4).places, uniforms_BMPK=uniforms)
    config = only(CONFIG, talk=1.0).model_copy(update={"passes": 4})
    accumulate_gradients(quiet, [BATCH], [drawn], config, quiet.shape)
    found = gradients_of(quiet)
    thoughts = step.sample(quiet, text_pass(quiet, BATCH.tokens_BL), drawn.places, quiet.shape, uniforms)
    literal = Literal(quiet)
    wanted = literal.gradients(literal.loss([BATCH], [drawn], [thoughts], config))
    assert apart(found, wanted) < 1e-4
    assert float(found["model.model.embed_tokens.weight"][thoughts.flatten()].norm(dim=-1).min()) > 0

"""Whether both sides of quiet_star.py do the same thing: quiet_star.py --check.

The dense scheme is compared with a literal run of the stock model, one sequence per thought, and Menon's step with the
dense scheme on the same tokens and thoughts: hidden states, the parts of the loss, and the gradients of all parameters.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import _quiet_dense as dense
import torch
from torch import Tensor

from menon.core.seeds import seed_for
from menon.models.thoughts.quiet import QuietModel

LENGTH, SHORT = 9, 7  # positions of a row, and the real ones of the last row
SETTINGS = dense.Dense(tokens=3, talk=2, passes=2)

Gradients = dict[str, Tensor]


def agreement(make: Callable[[], QuietModel], menon: Callable[..., dict[str, float]]) -> dict[str, float]:
    """Return the largest absolute difference of hidden states, and the largest relative ones of losses and gradients.

    `make` gives the same tiny model whenever it is called; `menon` runs our step on (quiet, tokens, lengths, thoughts),
    goes backward, and returns the parts of the loss.
    """
    vocabulary = make().vocabulary
    generator = torch.Generator().manual_seed(seed_for("benchmark", "quiet", "check"))
    tokens_BL = torch.randint(vocabulary, (2, LENGTH), generator=generator)
    lengths_B = torch.tensor([LENGTH, SHORT])
    thoughts_BLPK = torch.randint(vocabulary, (2, LENGTH, SETTINGS.passes, SETTINGS.tokens), generator=generator)
    for banned in make().banned_ids:
        thoughts_BLPK[thoughts_BLPK == banned] = vocabulary - 1

    def run(settings: dense.Dense) -> tuple[dense.DenseStep, Gradients]:
        quiet = make()
        step = dense.dense_step(
            quiet, tokens_BL, settings, lengths_B=lengths_B, thoughts_BLPK=thoughts_BLPK, keep_hidden=True
        )
        step.loss.backward()
        return step, gradients(quiet)

    step, found = run(SETTINGS)
    quiet = make()
    loss, hidden_XPTD = literal_run(quiet, tokens_BL, lengths_B, thoughts_BLPK)
    assert step.hidden_BLPTD is not None
    result = {
        "dense_literal_hidden": float((step.hidden_BLPTD.detach()[step.valid_BL] - hidden_XPTD).abs().max()),
        "dense_literal_loss": relative(step.loss, loss),
        "dense_literal_gradients": furthest(found, gradients(quiet)),
    }
    for name, changed in (("sdpa", {"attention": "sdpa"}), ("one_hot", {"one_hot": True})):
        other, other_found = run(replace(SETTINGS, **changed))
        result[f"{name}_dense_loss"] = relative(other.loss, step.loss)
        result[f"{name}_dense_gradients"] = furthest(other_found, found)
    quiet = make()
    for name, value in menon(quiet, tokens_BL, lengths_B, thoughts_BLPK).items():
        result[f"menon_dense_{name}"] = relative(value, getattr(step, name))
    result["menon_dense_gradients"] = furthest(gradients(quiet), found)
    return result


def literal_run(
    quiet: QuietModel, tokens_BL: Tensor, lengths_B: Tensor, thoughts_BLPK: Tensor
) -> tuple[Tensor, Tensor]:
    """Run prefix, start, thought, end and true tokens through the stock eager model, one sequence for each thought.

    Go backward; return the loss, and the hidden states of the thought rows of all valid positions.
    """
    quiet.model.set_attn_implementation("eager")
    base, talked, policy, hidden = [], [], [], []
    for row_L, length, thoughts_LPK in zip(tokens_BL, lengths_B.tolist(), thoughts_BLPK, strict=True):
        text_LD = quiet.decoder(input_ids=row_L[None, :length], use_cache=False).last_hidden_state[0]
        text_logp_LV = quiet.model.lm_head(text_LD).log_softmax(-1)
        text_logp_L = text_logp_LV[:-1].gather(1, row_L[1:length, None]).flatten()
        base.append(text_logp_L)
        for place in range(length - SETTINGS.talk):
            rewards, choices = [], []
            for thought_K in thoughts_LPK[place]:
                thought_TD = literal_thought(quiet, row_L, place, thought_K)
                logits_KV = quiet.model.lm_head(thought_TD[: SETTINGS.tokens]).clone()
                logits_KV[:, list(quiet.banned_ids)] = -1e10
                choices.append(logits_KV.log_softmax(-1).gather(1, thought_K[:, None]).flatten())
                logp_N = literal_talk(quiet, row_L, place, text_LD, thought_TD)
                rewards.append(float((logp_N - text_logp_L[place : place + SETTINGS.talk]).detach().sum()))
                talked.append(logp_N)
                hidden.append(thought_TD)
            average = sum(rewards) / SETTINGS.passes
            policy += [-(reward - average) * logp_K for reward, logp_K in zip(rewards, choices, strict=True)]
    loss = -0.5 * torch.cat(base).mean() - 0.5 * torch.cat(talked).mean() + torch.cat(policy).mean()
    loss.backward()
    return loss.detach(), torch.stack(hidden).detach().unflatten(0, (-1, SETTINGS.passes))


def literal_thought(quiet: QuietModel, row_L: Tensor, place: int, thought_K: Tensor) -> Tensor:
    """Return the hidden states of one thought's rows, from one sequence of its own."""
    start_D, end_D = quiet.thought_tokens.start, quiet.thought_tokens.end
    fed = row_L[place + 1 : place + SETTINGS.talk]
    pieces = [quiet.embed(row_L[: place + 1]), start_D[None], quiet.embed(thought_K), end_D[None], quiet.embed(fed)]
    out = quiet.decoder(inputs_embeds=torch.cat(pieces)[None], use_cache=False)
    return out.last_hidden_state[0, place + 1 :]


def literal_talk(quiet: QuietModel, row_L: Tensor, place: int, text_LD: Tensor, thought_TD: Tensor) -> Tensor:
    """Return the log-probabilities of the true tokens after one thought, one at a time."""
    found = []
    for step in range(SETTINGS.talk):
        one_D, two_D = text_LD[place + step], thought_TD[SETTINGS.tokens + 1 + step]
        w = quiet.head(one_D[None], two_D[None])[0]
        logp_V = quiet.model.lm_head((1 - w) * one_D + w * two_D).log_softmax(-1)
        found.append(logp_V[row_L[place + step + 1]])
    return torch.stack(found)


def gradients(quiet: QuietModel) -> Gradients:
    """Return the gradient of every parameter, by name; zero where there is none."""
    return {
        name: torch.zeros_like(value) if value.grad is None else value.grad for name, value in quiet.named_parameters()
    }


def relative(one: Any, two: Any) -> float:
    """Return the difference in units of the second, or of 1e-3 where that is smaller."""
    one, two = (float(value.detach()) if isinstance(value, Tensor) else value for value in (one, two))
    return abs(one - two) / max(abs(two), 1e-3)


def furthest(found: Gradients, expected: Gradients) -> float:
    """Return the largest relative difference (Euclidean norm) over the parameters."""
    assert found.keys() == expected.keys()
    return max(float((found[name] - value).norm() / value.norm().clamp_min(1e-6)) for name, value in expected.items())

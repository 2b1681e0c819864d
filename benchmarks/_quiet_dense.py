"""The peer of quiet_star.py: one Quiet-STaR training step by dense masks, as the authors' program does it, on a Llama.

Every thought row is one forward of all L positions, in the graph of the step: 1 + T forwards. The keys and values of
all forwards so far are concatenated under autograd, and a row attends through a dense mask [L, (t + 1) L]: a causal
block for the text and a diagonal block for each thought row. The language model head reads all L rows of every forward.
The text is repeated for every thought of a position, so its forward, keys, values and head are too.

Left out: the clamp of the reward, the x100 scale of the start and end vectors, the policy temperature of 3 beside
sampling at 1, and the sum over non-zero entries (a mean over real positions here), so that both sides have one loss.
Source: Zelikman et al. 2024, arXiv:2403.09629, sections 4.2-4.4; the scheme of github.com/ezelikman/quiet-star.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb, repeat_kv

from menon.models.thoughts.mixing import mix_hidden
from menon.models.thoughts.quiet import QuietModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Dense:
    """What one step does.

    `one_hot` samples by a hard Gumbel softmax and multiplies its rows with the whole embedding table, as the authors'
    program does; otherwise the sampled rows are looked up. Both have the same value and the same gradient.
    """

    tokens: int
    talk: int
    passes: int
    attention: Literal["materialised", "sdpa"] = "materialised"
    one_hot: bool = False
    temperature: float = 1.0
    base_weight: float = 0.5
    talk_weight: float = 0.5
    beta: float = 1.0

    @property
    def rows(self) -> int:
        """Return T, the forwards of a thought."""
        return self.tokens + self.talk + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseStep:
    """The parts of the loss, in nats, and what they were made of; `hidden_BLPTD` is None unless it was kept."""

    loss: Tensor
    base: Tensor
    talk: Tensor
    policy: Tensor
    reward_BLP: Tensor
    valid_BL: Tensor
    thoughts_BLPK: Tensor
    hidden_BLPTD: Tensor | None = None


@dataclass(slots=True)
class Past:
    """The keys and values of every layer over all forwards so far, and the number of forwards."""

    keys: dict[int, Tensor] = field(default_factory=dict)
    values: dict[int, Tensor] = field(default_factory=dict)
    forwards: int = 0

    def extended(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append the keys and values of this forward, and return all of the layer."""
        if layer in self.keys:
            keys = torch.cat([self.keys[layer], keys], dim=2)
            values = torch.cat([self.values[layer], values], dim=2)
        self.keys[layer], self.values[layer] = keys, values
        return keys, values


@dataclass(slots=True)
class Rows:
    """What the forwards of the thought rows leave: one tensor [R, L] for each, R being texts times passes."""

    sampled: list[Tensor] = field(default_factory=list)
    policy_logp: list[Tensor] = field(default_factory=list)
    talk_logp: list[Tensor] = field(default_factory=list)
    hidden: list[Tensor] = field(default_factory=list)


def dense_step(
    quiet: QuietModel,
    tokens_BL: Tensor,
    settings: Dense,
    *,
    lengths_B: Tensor | None = None,
    thoughts_BLPK: Tensor | None = None,
    generator: torch.Generator | None = None,
    keep_hidden: bool = False,
) -> DenseStep:
    """Return the loss of one step, with its graph; `thoughts_BLPK` are taken in place of sampled ones.

    The model must be a LlamaForCausalLM; only its weights are used, and start, end and mixing head of `quiet`.
    """
    passes, talk, length = settings.passes, settings.talk, tokens_BL.shape[1]
    tokens_RL = tokens_BL.repeat_interleave(passes, dim=0)
    lengths_B = torch.full_like(tokens_BL[:, 0], length) if lengths_B is None else lengths_B
    lengths_R1 = lengths_B.repeat_interleave(passes).unsqueeze(1)
    place_L = torch.arange(length, device=tokens_BL.device)
    valid_RL = place_L <= lengths_R1 - 1 - talk
    imposed_RLK = None if thoughts_BLPK is None else thoughts_BLPK.transpose(1, 2).flatten(0, 1)

    past = Past()
    text_RLD = forward(quiet.model, quiet.embed(tokens_RL), past, settings)
    text_logp_RL = log_probs_of(quiet.model.lm_head(text_RLD), shifted(tokens_RL, 1))
    rows = thought_rows(quiet, tokens_RL, text_RLD, past, settings, imposed_RLK, generator, keep_hidden)

    talk_logp_RLN = torch.stack(rows.talk_logp, dim=-1)
    text_logp_RLN = torch.stack([shifted(text_logp_RL, step) for step in range(talk)], dim=-1)
    reward_RL = (talk_logp_RLN - text_logp_RLN).detach().sum(-1) * valid_RL
    reward_BPL = reward_RL.unflatten(0, (-1, passes))
    advantage_RL = (reward_BPL - reward_BPL.mean(1, keepdim=True)).flatten(0, 1)
    base = -mean(text_logp_RL, place_L < lengths_R1 - 1)
    talk_loss = -mean(talk_logp_RLN, valid_RL.unsqueeze(-1))
    policy = -mean(advantage_RL.unsqueeze(-1) * torch.stack(rows.policy_logp, dim=-1), valid_RL.unsqueeze(-1))
    return DenseStep(
        loss=settings.base_weight * base + settings.talk_weight * talk_loss + settings.beta * policy,
        base=base,
        talk=talk_loss,
        policy=policy,
        reward_BLP=reward_BPL.transpose(1, 2),
        valid_BL=valid_RL[::passes],
        thoughts_BLPK=torch.stack(rows.sampled, dim=-1).unflatten(0, (-1, passes)).transpose(1, 2),
        hidden_BLPTD=torch.stack(rows.hidden, -2).unflatten(0, (-1, passes)).transpose(1, 2) if keep_hidden else None,
    )


def thought_rows(
    quiet: QuietModel,
    tokens_RL: Tensor,
    text_RLD: Tensor,
    past: Past,
    settings: Dense,
    imposed_RLK: Tensor | None,
    generator: torch.Generator | None,
    keep_hidden: bool,
) -> Rows:
    """Run one forward per row of the thoughts: start, sampled tokens, end, true tokens."""
    found = Rows()
    inputs_RLD = quiet.thought_tokens.start.expand_as(text_RLD)
    for row in range(settings.rows):
        hidden_RLD = forward(quiet.model, inputs_RLD, past, settings)
        if keep_hidden:
            found.hidden.append(hidden_RLD)
        if row <= settings.tokens:
            logits_RLV = policy_logits(quiet.model.lm_head(hidden_RLD), settings, quiet.banned_ids)
            if row == settings.tokens:
                inputs_RLD = quiet.thought_tokens.end.expand_as(text_RLD)
                continue
            imposed_RL = None if imposed_RLK is None else imposed_RLK[..., row]
            chosen_RL, inputs_RLD = choose(quiet, logits_RLV, settings, imposed_RL, generator)
            found.policy_logp.append(log_probs_of(logits_RLV, chosen_RL))
            found.sampled.append(chosen_RL)
            continue
        step = row - settings.tokens - 1
        partner_RLD, true_RL = shifted(text_RLD, step), shifted(tokens_RL, step + 1)
        mixed_RLD = mix_hidden(partner_RLD, hidden_RLD, quiet.head(partner_RLD, hidden_RLD))
        found.talk_logp.append(log_probs_of(quiet.model.lm_head(mixed_RLD), true_RL))
        inputs_RLD = quiet.embed(true_RL)
    return found


def forward(model: Any, inputs_RLD: Tensor, past: Past, settings: Dense) -> Tensor:
    """Run all layers on one row per position, and return the hidden states after the final norm.

    The first forward is the text; later ones append one thought row to every position, one position id further on.
    """
    rows, length, _ = inputs_RLD.shape
    position_L = torch.arange(length, device=inputs_RLD.device) + past.forwards
    turns = model.model.rotary_emb(inputs_RLD, position_L.unsqueeze(0))
    mask_LS = dense_mask(length, past.forwards, inputs_RLD)
    hidden_RLD = inputs_RLD
    for index, layer in enumerate(model.model.layers):
        part = layer.self_attn
        normed_RLD = layer.input_layernorm(hidden_RLD)
        query, keys, values = (
            project(normed_RLD).view(rows, length, -1, part.head_dim).transpose(1, 2)
            for project in (part.q_proj, part.k_proj, part.v_proj)
        )
        query, keys = apply_rotary_pos_emb(query, keys, *turns)
        keys, values = past.extended(index, keys, values)
        groups = part.num_key_value_groups
        context = attend(query, repeat_kv(keys, groups), repeat_kv(values, groups), mask_LS, part.scaling, settings)
        hidden_RLD = hidden_RLD + part.o_proj(context.transpose(1, 2).flatten(2))
        hidden_RLD = hidden_RLD + layer.mlp(layer.post_attention_layernorm(hidden_RLD))
    past.forwards += 1
    return model.model.norm(hidden_RLD)


def dense_mask(length: int, thought_rows: int, like: Tensor) -> Tensor:
    """Return what is added to the scores: a causal block, and a diagonal block for each thought row up to this one."""
    every = torch.ones(length, length, dtype=torch.bool, device=like.device)
    blocks = [every.tril(), *[torch.eye(length, dtype=torch.bool, device=like.device)] * thought_rows]
    seen_LS = torch.cat(blocks, dim=1)
    return torch.zeros_like(seen_LS, dtype=like.dtype).masked_fill_(~seen_LS, torch.finfo(like.dtype).min)


def attend(query: Tensor, keys: Tensor, values: Tensor, mask_LS: Tensor, scaling: float, settings: Dense) -> Tensor:
    """Attend through the dense mask, with saved probabilities or through torch's fused function."""
    if settings.attention == "sdpa":
        return functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask_LS, scale=scaling)
    scores = query @ keys.transpose(2, 3) * scaling + mask_LS
    return functional.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype) @ values


def policy_logits(logits_RLV: Tensor, settings: Dense, banned: Sequence[int]) -> Tensor:
    """Return the logits that thought tokens are drawn from."""
    logits_RLV = logits_RLV / settings.temperature
    return logits_RLV.index_fill(-1, torch.tensor(banned, device=logits_RLV.device), -1e10) if banned else logits_RLV


def choose(
    quiet: QuietModel, logits_RLV: Tensor, settings: Dense, imposed_RL: Tensor | None, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """Sample one token per position, or take the imposed ones; return them and their embeddings."""
    chosen_RL = imposed_RL
    if chosen_RL is None:
        noise_RLV = torch.empty_like(logits_RLV).exponential_(generator=generator)  # minus its log is Gumbel noise
        chosen_RL = (logits_RLV.detach() - noise_RLV.log()).argmax(-1)
    if not settings.one_hot:
        return chosen_RL, quiet.embed(chosen_RL)
    hot_RLV = functional.one_hot(chosen_RL, logits_RLV.shape[-1]).to(logits_RLV.dtype)
    return chosen_RL, hot_RLV @ quiet.model.model.embed_tokens.weight


def log_probs_of(logits_RLV: Tensor, targets_RL: Tensor) -> Tensor:
    """Return the log-probability of each target."""
    return -functional.cross_entropy(logits_RLV.flatten(0, 1).float(), targets_RL.flatten(), reduction="none").view_as(
        targets_RL
    )


def shifted(values_RLX: Tensor, by: int) -> Tensor:
    """Return what stands `by` positions later; the end is filled with zeros (no valid position reads it)."""
    if not by:
        return values_RLX
    return torch.cat([values_RLX[:, by:], torch.zeros_like(values_RLX[:, :by])], dim=1)


def mean(values: Tensor, where: Tensor) -> Tensor:
    """Return the mean over the true entries of `where`, which is broadcast to the values."""
    return (values * where).sum() / where.expand_as(values).sum()

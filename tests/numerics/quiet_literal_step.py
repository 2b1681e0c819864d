"""One training step of Quiet-STaR written out: every text and every thought is a run of the stock model of its own.

Independent of the passes, layout, readout, head and losses of Menon: eager attention, no packing, no slices, loops over
rows, places, thoughts and tokens. Reads the same drawn places and thoughts. For models whose logits are `lm_head` of
the last hidden state (Llama).
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from menon.core.seeds import seed_for
from menon.models.thoughts.mixing import MixingHead
from menon.models.thoughts.quiet import QuietModel
from menon.models.thoughts.settings import ThoughtSettings
from menon.models.thoughts.tokens import ThoughtTokens
from menon.teaching.quiet.config import QuietConfig
from menon.teaching.quiet.step import Drawn, TextBatch


def generator_of(*names: str | int) -> torch.Generator:
    return torch.Generator().manual_seed(seed_for("quiet step tests", *names))


@torch.no_grad()
def tiny_quiet(vocabulary: int, banned: Sequence[int] = (), **settings: object) -> QuietModel:
    """A Llama of width 16 with large random weights, and a mixing head whose weight varies from row to row."""
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=64, pad_token_id=None, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    model, generator = LlamaForCausalLM(config), generator_of("weights")
    for parameter in model.parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.copy_(noise * 0.35 if parameter.ndim > 1 else 1 + 0.1 * noise)
    start_D, end_D, pause_D = (torch.randn(16, generator=generator) for _ in range(3))
    made = ThoughtSettings.model_validate(settings)
    head = MixingHead(16, made.head, initial_weight=made.initial_weight)
    head.last.weight.copy_(torch.randn(head.last.weight.shape, generator=generator))
    return QuietModel(model, ThoughtTokens(start_D, end_D, pause_D), head, made, banned)


def tiny_batch(name: str, lengths: Sequence[int], vocabulary: int) -> TextBatch:
    """Random texts whose tokens count 0, 0.5, 1 or 2 each."""
    generator = generator_of("batch", name)
    size = (len(lengths), max(lengths))
    tokens_BL = torch.randint(0, vocabulary, size, generator=generator)
    weights_BL = torch.tensor([0.0, 0.5, 1.0, 2.0])[torch.randint(0, 4, size, generator=generator)]
    real_BL = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return TextBatch(tokens_BL=tokens_BL, lengths_B=torch.tensor(lengths), weights_BL=weights_BL * real_BL)


def only(config: QuietConfig, **weights: float) -> QuietConfig:
    """The same step with losses left out that no recipe may leave out together."""
    return config.model_copy(update={"policy": 0.0, "text": 0.0, "talk": 0.0, **weights})


@dataclass(frozen=True, slots=True, kw_only=True)
class Thought:
    """What one thought gives: log-probabilities of its own tokens, and of the true tokens with and without it."""

    policy_K: Tensor
    mixed_N: Tensor
    plain_N: Tensor


class Literal:
    """A stock copy of a thinking model."""

    def __init__(self, quiet: QuietModel):
        self.quiet = copy.deepcopy(quiet)
        self.quiet.model.set_attn_implementation("eager")
        self.quiet.eval()
        self.settings = quiet.settings

    def hidden(self, embeddings_SD: Tensor) -> Tensor:
        return self.quiet.model.model(inputs_embeds=embeddings_SD[None], use_cache=False).last_hidden_state[0]

    def embed(self, ids: Sequence[int]) -> Tensor:
        return self.quiet.model.get_input_embeddings()(torch.tensor(list(ids), dtype=torch.long))

    def log_probs(self, hidden_SD: Tensor) -> Tensor:
        return self.quiet.model.lm_head(hidden_SD).log_softmax(-1)

    def policy(self, hidden_KD: Tensor, thought: Sequence[int]) -> Tensor:
        """Log-probabilities of a thought's tokens under what they are drawn from."""
        logits_KV = self.quiet.model.lm_head(hidden_KD) / self.settings.temperature
        allowed = [v for v in range(logits_KV.shape[-1]) if v not in self.quiet.banned_ids]
        logp_KA = logits_KV[:, allowed].log_softmax(-1)
        return torch.stack([logp_KA[k, allowed.index(token)] for k, token in enumerate(thought)])

    def weight(self, base_D: Tensor, thought_D: Tensor) -> Tensor:
        head = self.quiet.head
        inner = torch.relu(head.first.weight @ torch.cat([base_D, thought_D]) + head.first.bias)
        inner = torch.relu(head.second.weight @ inner + head.second.bias)
        score = head.last.weight[0] @ inner
        return score if head.kind == "linear" else torch.sigmoid(score + head.last.bias[0])

    def think(self, ids: Sequence[int], place: int, thought: Sequence[int], text_LD: Tensor) -> Thought:
        """Run one thought after token number `place` of `ids`."""
        talk, vectors = self.settings.talk, self.quiet.thought_tokens
        own = torch.stack([vectors.pause]).expand(len(thought), -1) if thought[0] < 0 else self.embed(thought)
        behind = self.embed(ids[place + 1 : place + talk])
        sequence = torch.cat([self.embed(ids[: place + 1]), vectors.start[None], own, vectors.end[None], behind])
        rows_TD = self.hidden(sequence)[place + 1 :]
        mixed, plain = [], []
        for n in range(talk):
            base_D, thought_D, true = text_LD[place + n], rows_TD[len(thought) + 1 + n], ids[place + 1 + n]
            weight = self.weight(base_D, thought_D)
            if self.settings.mixing == "hidden":
                logp_V = self.log_probs((1 - weight) * base_D + weight * thought_D)
            else:
                parts = (1 - weight) * self.log_probs(base_D) + weight * self.log_probs(thought_D)
                logp_V = parts - torch.logsumexp(parts, -1)
            mixed.append(logp_V[true])
            plain.append(self.log_probs(base_D)[true])
        policy_K = torch.zeros(len(thought)) if thought[0] < 0 else self.policy(rows_TD[: len(thought)], thought)
        return Thought(policy_K=policy_K, mixed_N=torch.stack(mixed), plain_N=torch.stack(plain))

    def loss(
        self, batches: Sequence[TextBatch], drawn: Sequence[Drawn], thoughts: Sequence[Tensor], config: QuietConfig
    ) -> Tensor:
        """The whole step's loss, from its definition."""
        talk = self.settings.talk
        text: list[tuple[float, Tensor]] = []
        talked: list[tuple[float, Tensor]] = []
        policy: list[Tensor] = []
        for batch, chance, thoughts_BMPK in zip(batches, drawn, thoughts, strict=True):
            for b, length in enumerate(batch.lengths_B.tolist()):
                ids = batch.tokens_BL[b, :length].tolist()
                count = batch.weights_BL[b].tolist()
                text_LD = self.hidden(self.embed(ids))
                logp_LV = self.log_probs(text_LD)
                text += [(count[t], -logp_LV[t - 1, ids[t]]) for t in range(1, length)]
                for m, place in enumerate(chance.places.positions_BM[b].tolist()):
                    if not chance.places.valid_BM[b, m]:
                        continue
                    seen = [self.think(ids, place, thought, text_LD) for thought in thoughts_BMPK[b, m].tolist()]
                    true = count[place + 1 : place + 1 + talk]
                    for thought in seen:
                        talked += [(true[n], -thought.mixed_N[n]) for n in range(config.loss_tokens or talk)]
                    policy += _policy_terms(seen, true, config)
        return (
            config.text * _mean(text)
            + config.talk * _mean(talked)
            + config.policy * (torch.stack(policy).mean() if policy else 0.0)
        )

    def gradients(self, loss: Tensor) -> dict[str, Tensor]:
        self.quiet.zero_grad(set_to_none=True)
        loss.backward()
        return gradients_of(self.quiet)


def _policy_terms(seen: Sequence[Thought], true: Sequence[float], config: QuietConfig) -> list[Tensor]:
    rewards = []
    for thought in seen:
        gains = (thought.mixed_N - thought.plain_N).tolist()
        rewards.append(sum(true[n] * gains[n] for n in range(config.reward_tokens or len(gains))))
    mean = sum(rewards) / len(rewards) if config.baseline == "mean" else 0.0
    terms = []
    for thought, reward in zip(seen, rewards, strict=True):
        advantage = max(0.0, reward - mean) if config.clamp else reward - mean
        terms += [-advantage * logp for logp in thought.policy_K]
    return terms


def _mean(terms: Sequence[tuple[float, Tensor]]) -> Tensor:
    return torch.stack([count * value for count, value in terms]).sum() / sum(count for count, _ in terms)


def gradients_of(quiet: QuietModel) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in quiet.named_parameters() if p.grad is not None}


def apart(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> float:
    """The largest relative difference of any parameter's gradient; where nothing is due, against the largest of all."""
    largest = max(float(gradient.norm()) for gradient in wanted.values())
    worst = 0.0
    for name in found.keys() | wanted.keys():
        due = wanted.get(name, torch.zeros(()))
        size = float(due.norm())
        error = float((found.get(name, torch.zeros_like(due)) - due).norm())
        worst = max(worst, error / (size if size > 1e-4 * largest else largest))
    return worst

"""The state-tracking experiment: a small language model that can reason about permutations but mostly does not.

The base corpus mixes direct documents with worked ones whose rationales are right at first and mostly noise later, so
the model keeps the skill of reading a rationale and gets a bad habit of writing them. Quiet-STaR then sees direct
documents only. Everything is a pure function of a seed and a step, and held-out problems occur in no training row.
Left out: evenly drawn lengths of chains, and any other tokenizer than one word, one token.
Source: Quiet-STaR, arXiv:2403.09629, trains on web text; the task and the corpus are our own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from menon.core.progress import Progress, Silent
from menon.core.seeds import rng_for, seed_for
from menon.problems.permutations import BEGIN, CHAIN, CLOSE, EQUALS, OPEN, PAD, STATES, STOP, State, draw, vocabulary
from menon.studies.quiet.settings import BaseSettings
from menon.teaching.config import TrainConfig
from menon.teaching.rows import Row
from menon.teaching.train import train

IDS = {word: number for number, word in enumerate(vocabulary())}
STATE_IDS = tuple(IDS[state] for state in STATES)
POSITIONS = 256
DOCUMENTS_PER_ROW = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutRow:
    """A row of held-out direct documents: its ids, and per document the places of `=` and of the answer."""

    ids: tuple[int, ...]
    problems: tuple[State, ...]
    equals: tuple[int, ...]
    answers: tuple[int, ...]


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Build the tokenizer of one token per word; ids follow the order of `vocabulary()`."""
    tokenizer = Tokenizer(models.WordLevel(dict(IDS), unk_token="<unknown>"))  # not in it: a foreign word is an error
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BEGIN,
        eos_token=STOP,
        model_max_length=POSITIONS,
        padding_side="right",
        clean_up_tokenization_spaces=False,
    )


def build_model(settings: BaseSettings, seed: int) -> LlamaForCausalLM:
    """Build the untrained Llama (RoPE, RMSNorm, gated MLP, untied head) with an initialisation that learns fast.

    Embeddings are N(0, 1), linear layers have variance 1 / fan-in, and the two projections back into the residual
    stream are scaled by a further 1 / sqrt(2 layers). The gated MLP costs as much as a plain one of four times the
    width.
    """
    config = LlamaConfig(
        vocab_size=len(IDS),
        hidden_size=settings.width,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.heads,
        intermediate_size=8 * settings.width // 3,
        max_position_embeddings=POSITIONS,
        attention_dropout=0.0,
        tie_word_embeddings=False,
        pad_token_id=IDS[PAD],
        bos_token_id=IDS[BEGIN],
        eos_token_id=IDS[STOP],
    )
    model = LlamaForCausalLM(config)
    generator = torch.Generator().manual_seed(seed_for("quiet states", "weights", seed))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "embed_tokens" in name:
                parameter.normal_(0.0, 1.0, generator=generator)
            elif parameter.ndim == 2:
                scale = 1 / math.sqrt(parameter.shape[1])
                if name.endswith(("o_proj.weight", "down_proj.weight")):
                    scale /= math.sqrt(2 * settings.layers)
                parameter.normal_(0.0, scale, generator=generator)
    return model


def encode(*texts: str) -> tuple[int, ...]:
    """Return one row: the begin word and the words of `texts` in a line."""
    return (IDS[BEGIN], *(IDS[word] for text in texts for word in text.split()))


def base_rows(
    seed: int, step: int, batch: int, *, good: float, direct: float = 0.8, n: int = CHAIN
) -> list[tuple[int, ...]]:
    """Return the rows of a base step: two documents each, both worked or, with probability `direct`, one of them."""
    rng = rng_for("quiet states", "base", seed, step)
    return [encode(*_base_texts(rng, good, rng.random() < direct, n)) for _ in range(batch)]


def _base_texts(rng: Random, good: float, with_direct: bool, n: int) -> list[str]:
    texts = [draw(rng, False, n).worked_text(rng, good)]
    other = draw(rng, False, n)
    texts.append(other.direct_text if with_direct else other.worked_text(rng, good))
    rng.shuffle(texts)
    return texts


def direct_rows(
    seed: int, step: int, batch: int, *, documents: int = DOCUMENTS_PER_ROW, n: int = CHAIN
) -> list[tuple[int, ...]]:
    """Return the rows of a step on direct documents alone, the text of Quiet-STaR and of its controls."""
    rng = rng_for("quiet states", "direct", seed, step)
    return [encode(*(draw(rng, False, n).direct_text for _ in range(documents))) for _ in range(batch)]


def held_out_rows(count: int, seed: int, *, documents: int = DOCUMENTS_PER_ROW, n: int = CHAIN) -> list[HeldOutRow]:
    """Return `count` rows of held-out direct documents."""
    rng = rng_for("quiet states", "test", seed)
    return [_held_out_row([draw(rng, True, n) for _ in range(documents)]) for _ in range(count)]


def _held_out_row(problems: Sequence[State]) -> HeldOutRow:
    ids = encode(*(problem.direct_text for problem in problems))
    equals = tuple(place for place, token in enumerate(ids) if token == IDS[EQUALS])
    return HeldOutRow(ids=ids, problems=tuple(problems), equals=equals, answers=tuple(place + 1 for place in equals))


def thought_quality(tokens: Sequence[int], problem: State) -> tuple[float, bool]:
    """Return the share of the rationale's states that stand at their place in `tokens`, and whether all do.

    What is longer than the rationale is not looked at; what is missing is wrong.
    """
    right = sum(token == STATE_IDS[state] for token, state in zip(tokens, problem.rationale, strict=False))
    return right / len(problem.moves), right == len(problem.moves)


def good_at(settings: BaseSettings, step: int) -> float:
    """Return the probability of a right rationale at a base step."""
    return 1.0 if step < settings.sound_share * settings.steps else settings.good


def pretrain_states(seed: int, settings: BaseSettings, progress: Progress | None = None) -> LlamaForCausalLM:
    """Train the base model and return it in evaluation mode."""
    progress = progress or Silent()
    model = build_model(settings, seed)
    config = TrainConfig(
        learning_rate=settings.learning_rate, warmup_steps=settings.warmup_steps, final_share=0.0, clip=1.0
    )

    def batch_at(step: int) -> list[Row]:
        rows = base_rows(
            seed, step, settings.batch, good=good_at(settings, step), direct=settings.direct, n=settings.moves
        )
        return [Row(ids=ids) for ids in rows]

    progress.start("base model", total=settings.steps, unit="steps")
    for step in train(model, batch_at, config, steps=settings.steps, pad=IDS[PAD]):
        progress.advance(1, f"loss {step.loss:.3f}")
    return model.eval()


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """What the model can do by itself on held-out problems, as shares.

    `right_states` and `right_thoughts`: sampled rationales after the opening bracket. `reading`: the answer after a
    true rationale is the most likely word; `reading_probability` its mean probability. `direct`: the answer right
    after the equals sign is the most likely state; `direct_first` the most likely word of all; `direct_nll` in nats.
    """

    right_states: float
    right_thoughts: float
    reading: float
    reading_probability: float
    direct: float
    direct_first: float
    direct_nll: float


@torch.no_grad()
def measure_skill(model: LlamaForCausalLM, count: int, seed: int, *, n: int = CHAIN) -> Skill:
    """Ask `count` held-out problems directly, with a true rationale, and for a rationale sampled at temperature 1."""
    rng = rng_for("quiet states", "skill", seed)
    problems = [draw(rng, True, n) for _ in range(count)]
    answers_B = torch.tensor([STATE_IDS[problem.answer] for problem in problems])
    asked_BL = torch.tensor([encode(problem.question) for problem in problems])
    direct_BV = _next_log_probs(model, asked_BL)
    opened_BL = torch.cat([asked_BL, torch.full((count, 1), IDS[OPEN])], 1)
    true_BK = torch.tensor([[STATE_IDS[state] for state in problem.rationale] for problem in problems])
    read_BV = _next_log_probs(model, torch.cat([opened_BL, true_BK, torch.full((count, 1), IDS[CLOSE])], 1))
    thoughts = _sample(model, opened_BL, n, seed_for("quiet states", "skill", seed, "draws"))
    quality = [thought_quality(tokens, problem) for tokens, problem in zip(thoughts, problems, strict=True)]
    picked_B = direct_BV.gather(1, answers_B[:, None]).squeeze(1)
    states = torch.tensor(STATE_IDS)
    return Skill(
        right_states=sum(share for share, _ in quality) / count,
        right_thoughts=sum(whole for _, whole in quality) / count,
        reading=_share(read_BV.argmax(1) == answers_B),
        reading_probability=float(read_BV.gather(1, answers_B[:, None]).exp().mean()),
        direct=_share(states[direct_BV[:, states].argmax(1)] == answers_B),
        direct_first=_share(direct_BV.argmax(1) == answers_B),
        direct_nll=float(-picked_B.mean()),
    )


def _share(hits: Tensor) -> float:
    return float(hits.double().mean())


def _next_log_probs(model: LlamaForCausalLM, tokens_BL: Tensor) -> Tensor:
    return model(input_ids=tokens_BL, use_cache=False).logits[:, -1].float().log_softmax(-1)


def _sample(model: LlamaForCausalLM, tokens_BL: Tensor, count: int, seed: int) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    start = tokens_BL.shape[1]
    for _ in range(count):
        drawn_B1 = torch.multinomial(_next_log_probs(model, tokens_BL).exp(), 1, generator=generator)
        tokens_BL = torch.cat([tokens_BL, drawn_B1], 1)
    return tokens_BL[:, start:].tolist()

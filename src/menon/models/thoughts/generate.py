"""Continue prompts with thoughts before the tokens: batched, cached, the thoughts beside the text and never in it.

For text in and text out, with stop strings and everything else that a request can ask for, use
`menon.sampling.thinking`; this is the loop on token ids. Left out: beams.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from menon.core.errors import ConfigError
from menon.core.seeds import seed_for
from menon.models.thoughts.budget import ThinkingBudget
from menon.models.thoughts.decoding_state import read_prompts
from menon.models.thoughts.passes import draw
from menon.models.thoughts.predicting import Thought, check_room, needs_numbers, predict, thought_numbers
from menon.models.thoughts.quiet import QuietModel


@dataclass(slots=True, kw_only=True)
class Continuation:
    """What followed one prompt: token ids, their log-probabilities (nats), and the thought before each of them.

    The log-probabilities are those of the mixed prediction at temperature 1. `ended` says whether an end token came;
    it is the last of `tokens` then.
    """

    tokens: list[int] = field(default_factory=list)
    logps: list[float] = field(default_factory=list)
    thoughts: list[Thought | None] = field(default_factory=list)
    ended: bool = False


@torch.inference_mode()
def generate(
    quiet: QuietModel,
    prompts: Sequence[Sequence[int]],
    *,
    max_tokens: int,
    budget: ThinkingBudget | None = None,
    ends: Collection[int] = (),
    temperature: float = 0.0,
    seed: int = 0,
) -> list[Continuation]:
    """Continue every prompt by at most `max_tokens` tokens, thinking as `budget` allows (default: at every token).

    Args:
        ends: token ids after which a text is done.
        temperature: of the text; 0 takes the likeliest token. That of the thoughts is in the budget.
        seed: row b draws from hashes of `seed` and b, so it does not depend on the other prompts.

    Raises:
        ConfigError: an empty prompt, an id beyond the vocabulary, or positions too few for text and thought.
    """
    budget = budget or ThinkingBudget()
    _check(quiet, prompts, max_tokens, budget)
    if not prompts:
        return []
    done = [Continuation() for _ in prompts]
    order = sorted(range(len(prompts)), key=lambda row: -len(prompts[row]))
    store = read_prompts(quiet, [prompts[row] for row in order])
    live, feeds = order, [prompts[row][-1] for row in order]
    for place in range(max_tokens):
        numbers = _numbers(quiet, budget, seed, live, place)
        predicted = predict(quiet, store, feeds, [place] * len(live), budget, numbers)
        chosen = _draw(predicted.logits_BV, temperature, seed, live, place)
        logps = predicted.logits_BV.log_softmax(-1).gather(-1, chosen[:, None])[:, 0].tolist()
        tokens = chosen.tolist()
        for row, token, logp, thought in zip(live, tokens, logps, predicted.thoughts(quiet, tokens), strict=True):
            done[row].tokens.append(token)
            done[row].logps.append(logp)
            done[row].thoughts.append(thought)
            done[row].ended = token in ends
        kept = [at for at, row in enumerate(live) if not done[row].ended]
        if not kept:
            break
        if len(kept) < len(live):
            store.keep(kept)
        live, feeds = [live[at] for at in kept], [tokens[at] for at in kept]
    return done


def _numbers(quiet: QuietModel, budget: ThinkingBudget, seed: int, live: Sequence[int], place: int) -> Tensor | None:
    if not needs_numbers(quiet, budget):
        return None
    return torch.tensor([thought_numbers(budget, quiet.settings.tokens, seed, row, place) for row in live])


def _draw(logits_BV: Tensor, temperature: float, seed: int, live: Sequence[int], place: int) -> Tensor:
    if temperature == 0:
        return logits_BV.argmax(-1)
    drawn = [
        torch.rand((), generator=torch.Generator().manual_seed(seed_for("text", seed, row, place))) for row in live
    ]
    return draw(logits_BV, torch.stack(drawn).to(logits_BV.device), temperature)


def _check(quiet: QuietModel, prompts: Sequence[Sequence[int]], max_tokens: int, budget: ThinkingBudget) -> None:
    if max_tokens < 1:
        raise ConfigError(f"max_tokens={max_tokens}; allowed: 1 or more")
    for row, prompt in enumerate(prompts):
        if not len(prompt):
            raise ConfigError(f"prompt {row} is empty; give at least one token, such as the one that begins a text")
        if not 0 <= min(prompt) <= max(prompt) < quiet.vocabulary:
            raise ConfigError(
                f"prompt {row} has token ids {min(prompt)} to {max(prompt)}; the model has 0 to {quiet.vocabulary - 1}"
            )
    if prompts:
        check_room(quiet, budget, max(len(prompt) for prompt in prompts), max_tokens)

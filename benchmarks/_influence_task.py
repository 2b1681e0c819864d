"""The model and the data of influence.py: facts, worked sums, differences and reversals as word-level tokens.

Half of the documents tell two facts each, over 200 keys; the others work a problem out step by step. Queries ask for a
fact that was told or give a problem with operands that no document has. Nothing is downloaded.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from menon.core.seeds import rng_for, seed_for

PAD, END = "<pad>", "<end>"
KEYS = tuple(f"key{index}" for index in range(200))
COLOURS = tuple(f"colour{index}" for index in range(20))
DIGITS = tuple("0123456789")
LETTERS = tuple("abcdefgh")
TEXT = (
    "the colour of is and remember that : ; . add subtract reverse from carry borrow + - = so answer take left then "
    "whose has one may know it was always note"
)
VOCABULARY = (PAD, END, *TEXT.split(), *DIGITS, *LETTERS, *COLOURS, *KEYS)
PROCEDURES = ("add", "subtract", "reverse")
FACT_FORMS = (
    "remember that the colour of {0} is {1} . note : the colour of {2} is {3} . it was always so",
    "one may know that {0} has the colour {1} ; and that {2} has the colour {3} .",
    "the colour of {0} is {1} and the colour of {2} is {3} . remember it",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Token ids of a document (`prompt` is 0) or of a query, of which the first `prompt` ids are given."""

    ids: tuple[int, ...]
    prompt: int
    kind: str


@cache
def word_ids() -> dict[str, int]:
    return {word: index for index, word in enumerate(VOCABULARY)}


def encode(text: str) -> tuple[int, ...]:
    ids = word_ids()
    return tuple(ids[word] for word in text.split())


def colour_of(key: str) -> str:
    return rng_for("benchmark", "influence", "colour", key).choice(COLOURS)


def operands(rng: random.Random, kind: str) -> tuple[str, ...]:
    if kind == "reverse":
        return tuple(rng.choices(LETTERS, k=5))
    one, two = rng.randrange(100), rng.randrange(100)
    if kind == "subtract":
        one, two = max(one, two), min(one, two)
    return f"{one:02d}", f"{two:02d}"


def worked(kind: str, given: tuple[str, ...]) -> tuple[str, str]:
    """Return question and worked answer."""
    if kind == "reverse":
        steps = [f"take {letter} left {' '.join(given[:place])}" for place, letter in reversed(list(enumerate(given)))]
        return f"reverse {' '.join(given)} :", f"{' ; '.join(steps[:2])} ; so answer {' '.join(reversed(given))}"
    one, two = given
    steps, digits, over = [], [], 0
    for a, b in zip(reversed(one), reversed(two), strict=True):
        if kind == "add":
            value = int(a) + int(b) + over
            steps.append(f"{a} + {b} + {over} = {value % 10} carry {value // 10}")
            over = value // 10
        else:
            value = int(a) - int(b) - over
            steps.append(f"{a} - {b} - {over} = {value % 10} borrow {int(value < 0)}")
            over = int(value < 0)
        digits.append(str(value % 10))
    answer = " ".join(([str(over)] if kind == "add" else []) + digits[::-1])
    asked = f"add {' '.join(one)} and" if kind == "add" else f"subtract {' '.join(two)} from"
    return f"{asked} {' '.join(two if kind == 'add' else one)} :", f"{' ; '.join(steps)} ; so answer {answer}"


@cache
def asked() -> frozenset[tuple[str, ...]]:
    """Return kind and operands of the queries, which no document may have."""
    return frozenset((kind, *given) for kind, given in _asked())


def _asked() -> Iterator[tuple[str, tuple[str, ...]]]:
    for kind in PROCEDURES:
        for index in range(10):
            yield kind, operands(rng_for("benchmark", "influence", "query", kind, index), kind)


def document(index: int) -> Item:
    """Return document `index`: even ones tell facts, odd ones work a problem out."""
    rng = rng_for("benchmark", "influence", "document", index)
    if index % 2 == 0:
        one, two = rng.sample(KEYS, 2)
        text, kind = rng.choice(FACT_FORMS).format(one, colour_of(one), two, colour_of(two)), "fact"
    else:
        kind = PROCEDURES[index // 2 % 3]
        given = operands(rng, kind)
        while (kind, *given) in asked():
            given = operands(rng, kind)
        text = " ".join(worked(kind, given))
    return Item(ids=encode(f"{text} {END}"), prompt=0, kind=kind)


def queries() -> list[Item]:
    """Return 20 facts and 10 problems of every procedure."""
    found = []
    for key in KEYS[:20]:
        prompt = encode(f"the colour of {key} is")
        found.append(Item(ids=(*prompt, *encode(colour_of(key))), prompt=len(prompt), kind="fact"))
    for kind, given in _asked():
        question, answer = map(encode, worked(kind, given))
        found.append(Item(ids=(*question, *answer), prompt=len(question), kind=kind))
    return found


def build_model(width: int, layers: int) -> Any:
    """Build an untrained Llama; a width of 128 with 2 layers has 0.5 million parameters."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed_for("benchmark", "influence", "model"))
    config = LlamaConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=128,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=1,
        tie_word_embeddings=False,
    )
    return LlamaForCausalLM(config)


def train(model: Any, documents: list[Item], *, epochs: float, batch: int = 32, learning_rate: float = 2e-3) -> float:
    """Train in place with AdamW and a linear decay; return the mean loss of the last tenth of the steps."""
    import torch

    steps = max(1, round(epochs * len(documents) / batch))
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.01)
    draws, order, losses = rng_for("benchmark", "influence", "order"), list[int](), []
    model.train()
    for step in range(steps):
        if len(order) < batch:
            order = draws.sample(range(len(documents)), len(documents))
        chosen, order = order[:batch], order[batch:]
        ids_BT, mask_BT = padded([documents[index].ids for index in chosen])
        labels_BT = ids_BT.masked_fill(mask_BT == 0, -100)
        loss = model(input_ids=ids_BT, attention_mask=mask_BT, labels=labels_BT).loss
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * min(1.0, (step + 1) / 20) * (1 - step / steps)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
    model.eval()
    last = losses[-max(1, steps // 10) :]
    return sum(last) / len(last)


def padded(rows: list[tuple[int, ...]]) -> tuple[Any, Any]:
    """Return ids and mask (1: a token) of the rows, padded on the right."""
    import torch

    length = max(map(len, rows))
    ids_BT = torch.tensor([[*row, *[0] * (length - len(row))] for row in rows])
    return ids_BT, torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows])


def load(folder: Path) -> Any:
    """Load the model that the parent process saved."""
    from transformers import LlamaForCausalLM

    return LlamaForCausalLM.from_pretrained(folder).eval()

"""What a gradient pass over thoughts keeps for its backward pass: bytes in proportion to rows, places and thoughts."""

import pytest
import torch
from quiet_models import quiet_of
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from menon.core.seeds import seed_for
from menon.models.thoughts.layout import ThoughtShape, every_place
from menon.models.thoughts.passes import text_pass, think

TEXT = 24


def kept_bytes(family: str, *, rows: int, places: int = 8, passes: int = 1) -> int:
    """Bytes of the different storages that `think` alone saves, the model's parameters left out."""
    quiet = quiet_of(family)
    shape = ThoughtShape(tokens=rows - 3, talk=2)
    generator = torch.Generator().manual_seed(seed_for("memory"))
    tokens_BL = torch.randint(2, 29, (1, TEXT), generator=generator)
    everywhere = every_place(torch.tensor([TEXT]), shape)
    first = everywhere.slice(everywhere.positions_BM.shape[1] - places, everywhere.positions_BM.shape[1])
    thoughts_BMPK = torch.randint(2, 29, (1, places, passes, shape.tokens), generator=generator)
    leaf = text_pass(quiet, tokens_BL).leaf()
    ours = {parameter.untyped_storage().data_ptr() for parameter in quiet.parameters()}
    sizes: dict[int, int] = {}
    held: list[Tensor] = []  # so that no address is used twice

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in ours:
            sizes[storage.data_ptr()] = storage.nbytes()
            held.append(tensor)
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        hidden = think(quiet, leaf, tokens_BL, first, thoughts_BMPK, shape).hidden_BMPTD
    hidden.sum().backward()
    return sum(sizes.values())


@pytest.mark.parametrize(("family", "most"), [("llama", 2.1), ("gpt2", 2.1), ("mistral", 2.1), ("gemma2", 2.6)])
def test_memory_grows_with_the_rows_of_a_thought_and_not_with_their_square(family: str, most: float) -> None:
    """Twice the step in T costs twice the bytes; a quadratic scheme would pay four times as much.

    Gemma 2 keeps its capped scores, so every row adds its own rows to them.
    """
    short, middle, long = (kept_bytes(family, rows=rows) for rows in (8, 16, 32))
    assert 1.9 < (long - middle) / (middle - short) < most


def test_memory_grows_with_places_and_thoughts_alike() -> None:
    one, two, three = (kept_bytes("llama", rows=8, places=8, passes=passes) for passes in (1, 2, 3))
    assert two - one == pytest.approx(three - two, rel=0.02)
    assert kept_bytes("llama", rows=8, places=16, passes=1) == pytest.approx(two, rel=0.02)


def test_memory_of_a_quarter_of_the_places_is_a_quarter() -> None:
    few, many = (kept_bytes("llama", rows=12, places=places) for places in (5, 20))
    fixed = kept_bytes("llama", rows=12, places=1) - (many - few) / 15
    assert few - fixed == pytest.approx((many - fixed) / 4, rel=0.03)

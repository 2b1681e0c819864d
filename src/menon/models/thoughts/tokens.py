"""The start and the end of a thought as learned vectors, fed through `inputs_embeds` so that nothing can emit them.

No row of the vocabulary is added: the model keeps its table, its head and its tokenizer. Left out: the official code's
factor of 100 on these vectors, which under Adam is a hundredfold learning rate; give them their own parameter group.
Source: Quiet-STaR, Zelikman et al. 2024, arXiv:2403.09629, section 4.2 (meta-tokens); the filler of the control is the
pause token of Goyal et al. 2023, arXiv:2310.02226.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from menon.core.errors import ConfigError


class ThoughtTokens(nn.Module):
    """Three vectors of the model's embedding space: `start` [D], `end` [D] and `pause` [D].

    `pause` fills the thought of the pause-token control; it begins halfway between start and end and is trained only
    where it is used.
    """

    def __init__(self, start_D: Tensor, end_D: Tensor, pause_D: Tensor | None = None) -> None:
        super().__init__()
        if start_D.ndim != 1 or start_D.shape != end_D.shape or (pause_D is not None and pause_D.shape != end_D.shape):
            shapes = [tuple(vector.shape) for vector in (start_D, end_D, pause_D) if vector is not None]
            raise ConfigError(f"thought vectors have shapes {shapes}; all must be [width of the embeddings]")
        pause_D = (start_D + end_D) / 2 if pause_D is None else pause_D
        self.start = nn.Parameter(start_D.detach().clone())
        self.end = nn.Parameter(end_D.detach().clone())
        self.pause = nn.Parameter(pause_D.detach().clone())

    @property
    def width(self) -> int:
        """Width D of the embeddings."""
        return self.start.numel()

    @classmethod
    def from_ids(
        cls, embedding: Tensor | nn.Module, start_ids: Sequence[int], end_ids: Sequence[int]
    ) -> "ThoughtTokens":
        """Begin with the mean embedding of the given tokens.

        Args:
            embedding: the table [V, D], or the model's embedding module. Prefer the module: some families (Gemma 3)
                scale what they look up, and a thought vector has to be of that scale.

        Raises:
            ConfigError: no ids, or an id beyond the table.
        """
        return cls(_mean_embedding(embedding, start_ids, "start"), _mean_embedding(embedding, end_ids, "end"))


@torch.no_grad()
def _mean_embedding(embedding: Tensor | nn.Module, ids: Sequence[int], which: str) -> Tensor:
    table_VD: Any = embedding if isinstance(embedding, Tensor) else embedding.weight
    rows = len(table_VD)
    if not ids:
        raise ConfigError(f"the {which} of a thought has no tokens to begin from; give at least one token id")
    if bad := [index for index in ids if not 0 <= index < rows]:
        raise ConfigError(
            f"the {which} of a thought has token id {bad[0]}, but the model has embeddings 0 to {rows - 1}; "
            "use the tokenizer that belongs to the model"
        )
    index_X = torch.tensor(list(ids), device=table_VD.device)
    found_XD = embedding[index_X] if isinstance(embedding, Tensor) else embedding(index_X)
    return found_XD.float().mean(0).to(found_XD.dtype)


def start_and_end_ids(tokenizer: Any, start: str = "---", end: str = "---") -> tuple[list[int], list[int]]:
    """Return the token ids of the strings whose embeddings the start and end vectors begin from.

    Raises:
        ConfigError: a string is empty, or the tokenizer knows no token of it.
    """
    return _ids(tokenizer, start, "start"), _ids(tokenizer, end, "end")


def _ids(tokenizer: Any, text: str, which: str) -> list[int]:
    ids = [int(index) for index in tokenizer(text, add_special_tokens=False)["input_ids"]] if text else []
    known = [index for index in ids if index != tokenizer.unk_token_id]
    if not known or len(known) < len(ids):
        raise ConfigError(
            f"the tokenizer has no token for the {which} of a thought, {text!r}; set `{which}` to a string that it "
            "knows and that stands between two trains of thought, such as '---', a line break or a bracket"
        )
    return known

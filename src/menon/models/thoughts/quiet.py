"""A causal language model together with what makes it think: start and end vectors, mixing head, settings."""

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn

from menon.models.thoughts.layout import ThoughtShape
from menon.models.thoughts.mixing import MixingHead, mix_hidden, mix_log_probs
from menon.models.thoughts.readout import Readout
from menon.models.thoughts.settings import ThoughtSettings
from menon.models.thoughts.support import check_supported, set_dropout_off
from menon.models.thoughts.tokens import ThoughtTokens, start_and_end_ids


class QuietModel(nn.Module):
    """A model that can think; `model` stays the plain model and works as before when nobody asks for thoughts.

    Args:
        banned_ids: token ids that no thought may hold (end of text, padding).
    """

    def __init__(
        self,
        model: Any,
        thought_tokens: ThoughtTokens,
        head: MixingHead,
        settings: ThoughtSettings,
        banned_ids: Collection[int] = (),
    ):
        super().__init__()
        self.model = model
        self.thought_tokens = thought_tokens
        self.head = head
        self.settings = settings
        self.readout = Readout(model)
        self.banned_ids = tuple(sorted(set(banned_ids)))

    @property
    def plain(self) -> Any:
        """The Hugging Face model itself, under an adapter if there is one."""
        return self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model

    @property
    def decoder(self) -> Any:
        """The model without its language-modelling head."""
        return self.plain.get_decoder()

    @property
    def shape(self) -> ThoughtShape:
        return ThoughtShape(tokens=self.settings.tokens, talk=self.settings.talk)

    @property
    def device(self) -> torch.device:
        return self.thought_tokens.start.device

    @property
    def vocabulary(self) -> int:
        """Number of rows of the embedding table."""
        return self.plain.get_input_embeddings().weight.shape[0]

    def mixed(self, base_XD: Tensor, after_XD: Tensor) -> tuple[Tensor, Tensor]:
        """Mix the text's and the thought's hidden states; return float32 logits and the mixing weight."""
        weight_X = self.head(base_XD, after_XD)
        if self.settings.mixing == "hidden":
            return self.readout.logits(mix_hidden(base_XD, after_XD, weight_X)).float(), weight_X
        both = (self.readout.logits(base_XD).float(), self.readout.logits(after_XD).float())
        return mix_log_probs(both[0], both[1], weight_X), weight_X

    def embed(self, ids: Tensor) -> Tensor:
        """Look ids up in the input embeddings."""
        return self.plain.get_input_embeddings()(ids)


def make_quiet(model: Any, tokenizer: Any, settings: ThoughtSettings) -> QuietModel:
    """Give `model` new start and end vectors and a new mixing head; its dropout is switched off.

    Raises:
        ConfigError: the architecture cannot think, or `settings.start` or `.end` has no token in this tokenizer.
    """
    check_supported(model)
    set_dropout_off(model)
    plain = model.get_base_model() if hasattr(model, "get_base_model") else model
    embedding = plain.get_input_embeddings()
    weight = embedding.weight
    start, end = start_and_end_ids(tokenizer, settings.start, settings.end)
    tokens = ThoughtTokens.from_ids(embedding, start, end)
    width = plain.get_output_embeddings().weight.shape[1]
    head = MixingHead(width, settings.head, initial_weight=settings.initial_weight)
    head.to(device=weight.device, dtype=weight.dtype)
    banned = [i for i in (tokenizer.eos_token_id, tokenizer.pad_token_id) if i is not None]
    return QuietModel(model, tokens, head, settings, banned)

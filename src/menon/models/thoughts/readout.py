"""Log-probabilities from hidden states: the model's own head on the rows that need it, a few rows at a time.

At most `chunk` rows of V logits live at once; the backward pass computes them again, unless they are few. What a family
does to its logits after the head (a soft cap, a scale) is done here too, and a probe of the model's own forward pass
refuses a family whose way is unknown. Left out: heads split over devices.
Source: the memory argument is that of recomputation, Chen et al. 2016, arXiv:1604.06174; the soft cap is that of
Gemma 2, arXiv:2408.00118, section 2.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from menon.core.errors import ConfigError
from menon.models.thoughts.mixing import mix_log_probs
from menon.models.thoughts.support import evaluating, inner_model

CHUNK_LOGITS = 1 << 24
KEPT_LOGITS = 1 << 21  # so few are kept for the backward pass: 8 MiB of float32, cheaper than the head once more
_PROBE_TOKENS = 4


class Readout:
    """The map from hidden states after the final norm to logits and log-probabilities.

    Works on a model of transformers or a PEFT model around one. The head is looked up at each call, so that it follows
    the model to another device; it is not a module of its own and owns no parameters.
    """

    def __init__(self, model: Any) -> None:
        """Read how `model` makes its logits, and check it against the model's own forward pass.

        Raises:
            ConfigError: the model has no head, or does something else between the decoder and the logits.
        """
        self._model = inner_model(model)
        config = self._model.config.get_text_config()
        # Cohere keeps its factor on the module too, and that copy is the one it multiplies with.
        factor = getattr(self._model, "logit_scale", getattr(config, "logit_scale", None))
        self._factor: float | None = None if factor is None else float(factor)
        self._divisor: float | None = getattr(config, "logits_scaling", None)
        self._cap: float | None = getattr(config, "final_logit_softcapping", None)
        if self._model.get_output_embeddings() is None:
            raise ConfigError(f"{type(self._model).__name__} has no language-model head; load it as a causal model")
        self._check()

    @property
    def head(self) -> nn.Module:
        """The module that makes logits of hidden states."""
        return self._model.get_output_embeddings()

    @property
    def vocabulary(self) -> int:
        """Number of logits V (rows of the head, which may exceed the tokenizer's tokens)."""
        weight: Any = self.head.weight
        return weight.shape[0]

    def logits(self, hidden_XD: Tensor) -> Tensor:
        """Return what the model's own forward makes of these hidden states, in the model's dtype."""
        return self._scaled(self.head(hidden_XD))

    def policy_logits(
        self, hidden_XD: Tensor, *, temperature: float = 1.0, banned: Sequence[int] | Tensor | None = None
    ) -> Tensor:
        """Return float32 logits to sample from: divided by `temperature`, -inf at the `banned` ids.

        Sampling and the gradient pass have to use the same ones.
        """
        if not temperature > 0:
            raise ConfigError(f"the temperature is {temperature}; log-probabilities need one above 0 (argmax is `top`)")
        logits_XV = self.logits(hidden_XD).float()
        if temperature != 1:
            logits_XV = logits_XV / temperature
        if banned is None or len(banned) == 0:
            return logits_XV
        return logits_XV.index_fill(-1, torch.as_tensor(banned, device=logits_XV.device), -torch.inf)

    def log_probs_of(
        self,
        hidden_XD: Tensor,
        targets_X: Tensor,
        *,
        temperature: float = 1.0,
        banned: Sequence[int] | Tensor | None = None,
        chunk: int | None = None,
    ) -> Tensor:
        """Return the log-probability (nats, float32) of each target, with gradient; any leading shape X.

        Args:
            banned: token ids of probability 0, as when a thought is sampled; a banned target has -inf.
            chunk: rows whose logits are made at once; default about 64 MiB of float32.
        """

        def of(hidden_CD: Tensor, targets_C: Tensor) -> Tensor:
            logits_CV = self.policy_logits(hidden_CD, temperature=temperature, banned=banned)
            return logits_CV.log_softmax(-1).gather(-1, targets_C[:, None]).squeeze(-1)

        return self._by_chunks(of, (hidden_XD,), (targets_X,), chunk)

    def mixed_log_probs_of(
        self, base_XD: Tensor, thought_XD: Tensor, w_X: Tensor, targets_X: Tensor, *, chunk: int | None = None
    ) -> Tensor:
        """Return each target's log-probability under `mix_log_probs` of two hidden states; two heads' rows a chunk."""

        def of(base_CD: Tensor, thought_CD: Tensor, w_C: Tensor, targets_C: Tensor) -> Tensor:
            mixed_CV = mix_log_probs(self.logits(base_CD).float(), self.logits(thought_CD).float(), w_C)
            return mixed_CV.gather(-1, targets_C[:, None]).squeeze(-1)

        return self._by_chunks(of, (base_XD, thought_XD), (w_X, targets_X), chunk)

    @torch.no_grad()
    def entropy_of(
        self,
        hidden_XD: Tensor,
        *,
        temperature: float = 1.0,
        banned: Sequence[int] | Tensor | None = None,
        chunk: int | None = None,
    ) -> Tensor:
        """Return the entropy (nats, float32) of each row's distribution, without gradient."""

        def of(hidden_CD: Tensor) -> Tensor:
            logp_CV = self.policy_logits(hidden_CD, temperature=temperature, banned=banned).log_softmax(-1)
            return torch.special.entr(logp_CV.exp()).sum(-1)

        return self._by_chunks(of, (hidden_XD,), (), chunk)

    @torch.no_grad()
    def top(
        self, hidden_XD: Tensor, *, banned: Sequence[int] | Tensor | None = None, chunk: int | None = None
    ) -> Tensor:
        """Return the most probable token of each row that is not banned."""
        return self._by_chunks(
            lambda hidden_CD: self.policy_logits(hidden_CD, banned=banned).argmax(-1), (hidden_XD,), (), chunk
        )

    def _by_chunks(
        self, of: Callable[..., Tensor], hiddens: tuple[Tensor, ...], others: tuple[Tensor, ...], chunk: int | None
    ) -> Tensor:
        """Apply `of` to slices of rows, keeping none of its insides for the backward pass unless they are small."""
        shape = hiddens[0].shape[:-1]
        for other in (*(hidden[..., 0] for hidden in hiddens), *others):
            if other.shape != shape:
                raise ValueError(f"rows of shape {tuple(shape)} and {tuple(other.shape)} do not match")
        rows = max(1, CHUNK_LOGITS // self.vocabulary) if chunk is None else chunk
        if rows < 1:
            raise ConfigError(f"chunk is {chunk}; it is a number of rows, at least 1")
        flat = [hidden.reshape(-1, hidden.shape[-1]) for hidden in hiddens] + [other.reshape(-1) for other in others]
        slices = zip(*(tensor.split(rows) for tensor in flat), strict=True)
        small = chunk is None and len(flat[0]) * self.vocabulary <= KEPT_LOGITS
        if torch.is_grad_enabled() and not small:
            parts = [checkpoint(of, *piece, use_reentrant=False, preserve_rng_state=False) for piece in slices]
        else:
            parts = [of(*piece) for piece in slices]
        return torch.cat(parts).reshape(shape)

    def _scaled(self, logits_XV: Tensor) -> Tensor:
        if self._factor is not None:
            logits_XV = logits_XV * self._factor
        if self._divisor is not None:
            logits_XV = logits_XV / self._divisor
        if self._cap is not None:
            logits_XV = (logits_XV / self._cap).tanh() * self._cap
        return logits_XV

    @torch.no_grad()
    def _check(self) -> None:
        """Refuse a model that does anything else to the decoder's output.

        The head's output is replaced by numbers from -60 to 60 while the model runs, since the small logits of an
        untrained model would hide a soft cap.
        """
        model, seen = self._model, {}
        weight: Any = self.head.weight
        rising_V = torch.linspace(-60, 60, weight.shape[0], device=weight.device, dtype=weight.dtype)

        def replace(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            seen["head"] = inputs[0]
            return rising_V.expand_as(output).clone()

        tokens_BL = torch.arange(_PROBE_TOKENS, device=weight.device)[None] % weight.shape[0]
        with evaluating(model):
            hidden_BLD = model.get_decoder()(input_ids=tokens_BL, use_cache=False).last_hidden_state
            hook = self.head.register_forward_hook(replace)
            try:
                found_BLV = model(input_ids=tokens_BL, use_cache=False).logits
            finally:
                hook.remove()
        same = "head" in seen and _close(seen["head"], hidden_BLD)
        if not same or not _close(found_BLV, self._scaled(rising_V).expand_as(found_BLV)):
            where = "logits after its head" if same else "hidden states before its head"
            raise ConfigError(
                f"{type(model).__name__} ({model.config.model_type}) changes the {where} in a way that Menon does not "
                "know (known: logit_scale, logits_scaling, final_logit_softcapping); thoughts would be scored wrongly, "
                "so use a model of another family"
            )


def _close(one: Tensor, other: Tensor) -> bool:
    tolerance = 1e-5 if one.dtype == other.dtype == torch.float32 else 2e-2
    return one.shape == other.shape and torch.allclose(one.float(), other.float(), rtol=tolerance, atol=tolerance)

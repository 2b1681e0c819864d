"""The way from a node to a model and back: one hub per model, every finished call journalled before it is used.

Failures are not kept: a resumed execution asks again.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from menon.core.errors import ConfigError, MenonError
from menon.core.values import Completion, Request
from menon.flowcharts.journal import Done, Journal, Memory
from menon.sampling.hub import Hub
from menon.sampling.protocol import Sampler


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Money per million tokens, in the user's currency."""

    prompt: float = 0.0
    completion: float = 0.0

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1e6


class ReplayMiss(MenonError):
    """A replay came to a call that the journal does not hold."""


@dataclass(slots=True)
class _Pending:
    execution: str
    address: str
    fingerprint: str
    wanted: int
    rows: list[dict[str, Any]] = field(default_factory=list)  # in the order of the samples, as a hub delivers them


class Models:
    """The models that charts may ask, each behind one hub that all executions share.

    `name` is what the default one is called in records; its own name, if none is given. `named` maps the names used in
    charts (`judge`) to samplers; "" is the default, which may be a function that opens it when it is first asked.
    `opened` opens any other name.
    """

    def __init__(
        self,
        default: Sampler | Callable[[], Sampler] | None,
        *,
        name: str = "",
        named: Mapping[str, Sampler] | None = None,
        opened: Callable[[str], Sampler] | None = None,
        journal: Journal | None = None,
        prices: Prices | None = None,
        replay: bool = False,
    ):
        self.journal = journal if journal is not None else Memory()
        self.prices = prices or Prices()
        self.replay = replay
        self._name = name
        self._samplers: dict[str, Sampler | Callable[[], Sampler] | None] = {"": default, **(named or {})}
        self._opened = opened
        self._hubs: dict[str, Hub] = {}
        self._pending: dict[str, _Pending] = {}

    def name(self, model: str) -> str:
        """Return what the model is called in records and fingerprints; a replay needs no more of it."""
        return model or self._name or self._sampler(model).name

    async def ask(
        self, model: str, request: Request, *, lineage: Sequence[str], address: str, fingerprint: str
    ) -> tuple[list[dict[str, Any]], bool]:
        """Return the completions of a call as JSON data, and whether they come from the journal.

        Raises:
            ReplayMiss: a replay may not ask.
            SamplerError: the model cannot be asked at all.
        """
        for execution in lineage:
            if (found := self.journal.found(execution, address, fingerprint)) is not None:
                return found, True
        if self.replay:
            raise ReplayMiss(
                f"the journal holds no call {address!r} of {lineage[0]!r} with this prompt; run without --replay to ask"
            )
        pending = self._pending[request.key] = _Pending(lineage[0], address, fingerprint, request.n)
        try:
            await self._hub(model).ask(request)
        finally:
            self._pending.pop(request.key, None)
        return pending.rows, False

    async def close(self) -> None:
        for hub in self._hubs.values():
            await hub.close()
        self._hubs.clear()

    def _sampler(self, model: str) -> Sampler:
        if model not in self._samplers:
            if self._opened is None:
                known = ", ".join(repr(name) for name in self._samplers if name) or "only the default one"
                raise ConfigError(f"the chart asks model {model!r}, which is not known here; known: {known}")
            self._samplers[model] = self._opened(model)
        sampler = self._samplers[model]
        if sampler is None:
            raise ConfigError("no model to ask; name one with --model")
        if callable(sampler) and not hasattr(sampler, "sample"):
            sampler = self._samplers[model] = cast(Callable[[], Sampler], sampler)()
        return cast(Sampler, sampler)

    def _hub(self, model: str) -> Hub:
        if model not in self._hubs:
            self._hubs[model] = Hub(self._sampler(model), on_done=self._arrived)
        return self._hubs[model]

    def _arrived(self, completions: list[Completion]) -> None:
        """Keep the calls that are complete now, in one group, before anybody goes on with them."""
        done = []
        for completion in completions:
            pending = self._pending.get(completion.key)
            if pending is None:
                continue
            rows = pending.rows
            rows.append(as_data(completion))
            if len(rows) == pending.wanted and not any(row["finish"] == "error" for row in rows):
                done.append(
                    Done(
                        execution=pending.execution,
                        address=pending.address,
                        fingerprint=pending.fingerprint,
                        result=rows,
                    )
                )
        if done:
            self.journal.keep(done)


def as_data(completion: Completion) -> dict[str, Any]:
    """Return what is kept of a completion; `logp` is the sum of its log-probabilities where they are known.

    `id` is the completion's own, under which training rows, audit cells and influence queries know it.
    """
    data: dict[str, Any] = {
        "text": completion.text,
        "reasoning": completion.reasoning,
        "finish": completion.finish,
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": completion.completion_tokens,
        "seconds": completion.seconds,
        "model": completion.model,
        "error": completion.error,
    }
    if completion.seconds or completion.token_ids:  # not of stand-ins: hashing would cost more than the rest of a step
        data["id"] = completion.id
    if completion.logps is not None:
        data["logp"] = sum(completion.logps)
    return data


async def gather(*waits: Any) -> list[Any]:
    """Wait for all, also when one fails, so that no finished call is lost; then raise the first failure."""
    results = await asyncio.gather(*waits, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return list(results)

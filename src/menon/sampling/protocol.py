"""The one protocol that every backend speaks, and the few functions that need no more than it."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

from menon.core.errors import ConfigError
from menon.core.progress import Progress, Silent
from menon.core.values import Completion, Problem, Request

SILENT: Progress = Silent()


class Sampler(Protocol):
    """Something that turns prompts into completions."""

    name: str

    def sample(self, requests: Iterable[Request], *, progress: Progress = SILENT) -> Iterator[Completion]:
        """Yield `request.n` completions for each request, in order of completion.

        A request that fails yields completions with `finish="error"`; nothing that was sampled is lost to it.
        Work starts with the first completion asked for and stops when the iterator is closed.
        """
        ...

    def score(self, prompt: str, continuation: str) -> list[float]:
        """Return the log-probability (nats) of each token of `continuation` after `prompt`.

        Raises:
            SamplerError: this backend cannot score text.
        """
        ...


@runtime_checkable
class NeedsProblems(Protocol):
    """A sampler that looks up what it answers by problem: recorded responses and scripted stand-ins."""

    def bind(self, problems: Iterable[Problem]) -> None:
        """Make `problems` known, beside those bound before."""
        ...


def bind_problems(sampler: Sampler, problems: Iterable[Problem]) -> None:
    """Tell `sampler` which problems its requests are about, if it is of a kind that wants to know."""
    if isinstance(sampler, NeedsProblems):
        sampler.bind(problems)


def problem_id_of(key: str) -> str:
    """Return the problem id at the head of a request key, which is `ID` or `ID/PURPOSE`."""
    return key.partition("/")[0]


def failed(request: Request, sample: int, error: str, *, model: str, seconds: float = 0.0) -> Completion:
    """Record that one sample of `request` could not be had, and why."""
    return Completion(
        key=request.key, sample=sample, finish="error", error=error, model=model, seconds=round(seconds, 6)
    )


def sample_in_order(sampler: Sampler, requests: Iterable[Request], *, progress: Progress = SILENT) -> list[Completion]:
    """Sample everything and return it in the order of the requests, samples of a request ascending.

    Raises:
        ConfigError: two requests have the same key, which is what joins completions to their request.
    """
    requests = list(requests)
    places = {request.key: place for place, request in enumerate(requests)}
    if len(places) < len(requests):
        twice = next(key for key, count in Counter(request.key for request in requests).items() if count > 1)
        raise ConfigError(f"two requests have the key {twice!r}; keys must differ, or ask once with a larger n")
    completions = sampler.sample(requests, progress=progress)
    return sorted(completions, key=lambda completion: (places[completion.key], completion.sample))

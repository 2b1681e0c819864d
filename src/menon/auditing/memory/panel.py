"""What the detectors of memorisation share: their items, their settings, the corpus, and the form of their findings.

Items are the user's questions with re-instantiations where there are any, or for the embedded model the originals of
its own training text, beside held-out problems that show what a detector says of text that was never seen.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from menon.auditing.probe import Answered, Effect, Material
from menon.core.errors import ConfigError
from menon.core.seeds import rng_for
from menon.core.values import Problem
from menon.problems import FAMILIES
from menon.problems.corpus import Corpus, Mixture, originals
from menon.problems.corpus_files import CorpusFiles, Passage
from menon.problems.datasets import load_problems
from menon.sampling.protocol import Sampler

ITEMS, HELD_OUT = "items", "held out"
BASE_FAMILIES = ("facts", "addition", "chain")
# The steered shares moved while the embedded model was trained; the sample of its text takes these.
BASE_MIXTURE = Mixture(hard={"addition": 0.1, "chain": 0.3, "facts": 0.3})


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelOptions:
    """Settings of `[probe.memorisation]`.

    items: how many items of each family are scored; twins: re-instantiations of each; prefix: the share of a question
    that is shown for completion; shuffles: permutations per item or shard; shards: pieces of the data set; keys:
    canaries of each kind; documents: how much of the embedded model's own corpus is generated; variants, canaries:
    files of re-instantiations and of planted secrets.
    """

    items: int = 60
    twins: int = 1
    prefix: float = 0.5
    shuffles: int = 20
    shards: int = 20
    keys: int = 6
    documents: int = 10_000
    variants: str = ""
    canaries: str = ""

    def __post_init__(self) -> None:
        for name in ("items", "twins", "shuffles", "shards", "keys", "documents"):
            if getattr(self, name) < 1:
                raise ConfigError(f"memorisation: {name}={getattr(self, name)!r}; allowed: 1 or more")
        if not 0 < self.prefix < 1:
            raise ConfigError(f"memorisation: prefix={self.prefix!r}; allowed: above 0 and below 1, for example 0.5")

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> "PanelOptions":
        known = {item.name: item.type for item in fields(cls)}
        for name, value in options.items():
            if name not in known:
                raise ConfigError(f"memorisation: unknown option {name!r}; allowed: {', '.join(known)}")
            wanted = type(getattr(cls(), name))
            if not isinstance(value, wanted) or isinstance(value, bool):
                raise ConfigError(f"memorisation: {name}={value!r}; it must be of type {wanted.__name__}")
        return cls(**options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One item with its re-instantiations; `arm` says whether it may have been seen or was held out."""

    problem: Problem
    twins: tuple[Problem, ...] = ()
    arm: str = ITEMS

    @property
    def group(self) -> str:
        return self.problem.family

    @property
    def cluster(self) -> str:
        return self.problem.template or self.problem.id

    def texts(self) -> Iterator[tuple[int, Problem]]:
        """Yield (-1, the item) and then its re-instantiations with their numbers."""
        yield -1, self.problem
        yield from enumerate(self.twins)

    def names(self) -> dict[str, Any]:
        """Return what every row of measurements says of its item."""
        return {"item": self.problem.id, "arm": self.arm, "group": self.group, "cluster": self.cluster}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one detector found; the first of its effects with a p-value may become the probe's primary one."""

    effects: tuple[Effect, ...] = ()
    tables: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    sentence: str = ""
    cells: tuple[Any, ...] = ()
    contrasts: tuple[Any, ...] = ()


def is_embedded(material: Material) -> bool:
    """Say whether the audit is of the embedded model on problems of its own, so that its training text is known."""
    return not material.problems and "menon" in (material.model.partition(":")[0], material.style)


class Panel:
    """Items, corpus and model of one audit, as the detectors see them."""

    def __init__(self, material: Material):
        self.material = material
        self.options = PanelOptions.read(material.options)
        self.bad_rows = ""

    @cached_property
    def is_base(self) -> bool:
        """Whether the training text is known because it is that of the embedded model."""
        return is_embedded(self.material)

    @cached_property
    def subjects(self) -> tuple[Subject, ...]:
        """The items in a fixed order; `items` of each family at most, drawn from the whole family."""
        if self.is_base:
            return tuple(s for name in BASE_FAMILIES for s in _base_subjects(name, self.options))
        given = _given_twins(self.options)
        by_family: dict[str, list[Problem]] = {}
        for problem in dict.fromkeys(_Same(p) for p in self.material.problems):
            by_family.setdefault(problem.problem.family, []).append(problem.problem)
        chosen = [p for problems in by_family.values() for p in spread(problems, self.options.items)]
        return tuple(Subject(problem=p, twins=_twins(p, given, self.options.twins)) for p in chosen)

    @property
    def seen(self) -> tuple[Subject, ...]:
        """The items proper, without the held-out ones."""
        return tuple(s for s in self.subjects if s.arm == ITEMS)

    @property
    def paired(self) -> tuple[Subject, ...]:
        """The items that have a re-instantiation."""
        return tuple(s for s in self.subjects if s.twins)

    @property
    def has_corpus(self) -> bool:
        return bool(self.material.corpus) or self.is_base

    @property
    def corpus_name(self) -> str:
        if self.material.corpus:
            return ", ".join(path.name for path in self.material.corpus)
        return f"the first {self.options.documents:,} documents of menon:base's own text"

    def corpus(self) -> Iterator[Passage]:
        """Stream the corpus: the user's files, or a sample of the embedded model's text."""
        if not self.material.corpus:
            text = Corpus()
            for place in range(self.options.documents):
                document = text.document(place, BASE_MIXTURE)
                yield Passage(f"{document.prompt}{document.completion}")
            return
        files = CorpusFiles(self.material.corpus)
        yield from files.passages()
        if files.bad:
            path, line, reason = files.bad_rows[0]
            self.bad_rows = f"{files.bad} rows of the corpus could not be read (first: {path}:{line}: {reason})"

    def sampler(self) -> Sampler:
        return self._sampler

    @cached_property
    def _sampler(self) -> Sampler:
        if self.material.sampler is None:
            raise ConfigError("this audit has no model to sample from; give a live model, or leave the probe out")
        return self.material.sampler()

    def no_scores(self) -> str | None:
        """Say why log-probabilities cannot be had, or None."""
        if not self.material.live or self.material.sampler is None:
            return "needs log-probabilities of text; responses on file have none"
        return None if self.material.scores else f"needs log-probabilities of text, which {self.material.model} lacks"

    def no_twins(self) -> str | None:
        """Say why there is nothing matched to compare the items with, or None."""
        if self.paired:
            return None
        return "needs matched re-instantiations: these items have no templates; give a file as option `variants`"


class Detector(Protocol):
    """One way to look for memorised items; `measure` may speak to the model, `report` sees its rows alone."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...

    def objection(self, panel: Panel) -> str | None:
        """Return why it cannot be run (no log-probabilities, no corpus, ...); None when it can."""
        ...

    def measure(self, panel: Panel) -> Iterable[dict[str, Any]]: ...

    def report(self, rows: Sequence[Mapping[str, Any]], answered: Sequence[Answered], panel: Panel) -> Part: ...


@dataclass(frozen=True, slots=True)
class _Same:
    """A problem that is equal to others with its id."""

    problem: Problem

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.problem.id == self.problem.id

    def __hash__(self) -> int:
        return hash(self.problem.id)


def spread(items: Sequence[Any], most: int) -> list[Any]:
    """Return at most `most` of the items, in order; drawn at random, since even steps fall in with periodic lists."""
    if len(items) <= most:
        return list(items)
    chosen = rng_for("memory", "spread", len(items), most).sample(range(len(items)), most)
    return [items[place] for place in sorted(chosen)]


def _base_subjects(name: str, options: PanelOptions) -> Iterator[Subject]:
    family = FAMILIES.get(name)
    chosen = spread(originals(family), options.items)
    fresh: dict[str, Problem] = {}
    for place in count():
        if len(fresh) == len(chosen) or place > 3 * len(chosen):
            break
        problem = family.problem("test", place, difficulty=chosen[len(fresh)].difficulty)
        fresh.setdefault(problem.id, problem)
    for arm, problems in ((ITEMS, chosen), (HELD_OUT, list(fresh.values()))):
        for problem in problems:
            twins = tuple(family.variant(problem, number) for number in range(options.twins))
            yield Subject(problem=problem, twins=twins, arm=arm)


def _given_twins(options: PanelOptions) -> dict[str, list[Problem]]:
    """Return the re-instantiations of the user's file by the template that they share with an item."""
    given: dict[str, list[Problem]] = {}
    if options.variants:
        for problem in load_problems(Path(options.variants)).problems:
            for name in {problem.template, str(problem.meta.get("id", ""))} - {""}:
                given.setdefault(name, []).append(problem)
    return given


def _twins(problem: Problem, given: Mapping[str, list[Problem]], most: int) -> tuple[Problem, ...]:
    if given:
        names = (problem.template, str(problem.meta.get("id", "")))
        found = next((given[name] for name in names if name in given), [])
        return tuple(twin for twin in found if twin.id != problem.id)[:most]
    if problem.family in FAMILIES.names():
        try:
            return tuple(FAMILIES.get(problem.family).variant(problem, number) for number in range(most))
        except (KeyError, ValueError, ConfigError):  # a file of that name whose rows do not say how to re-instantiate
            return ()
    return ()

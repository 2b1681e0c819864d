"""Sample pools: what was sampled once for each problem, so that every decoder works on the same samples.

A sample keeps its tokens and its verdict whatever became of it: one without an answer never votes and still costs.
Left out: the prompts; they stand in the store's records.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from menon.core.errors import DataError
from menon.core.values import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One stored sample of a problem.

    `prompt` numbers the prompt variant; `answer` is None where none could be parsed; `score` is a verifier's outcome
    and `step_scores` its steps, both in [0, 1]; `logp` is the log-probability of the whole text in nats; `weight` is
    a weight of the caller's. `right` is None where the problem has no gold answer.
    """

    problem: str
    index: int
    prompt: int = 0
    text: str = ""
    answer: str | None = None
    tokens: int = 0
    score: float | None = None
    step_scores: tuple[float, ...] | None = None
    right: bool | None = None
    finish: str = "stop"
    logp: float | None = None
    weight: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, read back by `from_json`."""
        return {**asdict(self), "step_scores": None if self.step_scores is None else list(self.step_scores)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild a sample.

        Raises:
            DataError: a field that is not known, or a missing problem or index.
        """
        unknown = [name for name in values if name not in cls.__slots__]
        missing = [name for name in ("problem", "index") if name not in values]
        if unknown or missing:
            raise DataError(
                f"a sample with the fields {sorted(values)!r}; unknown: {unknown!r}, missing: {missing!r}; "
                f"allowed: {', '.join(cls.__slots__)}"
            )
        steps = values.get("step_scores")
        return cls(**{**values, "step_scores": None if steps is None else tuple(steps)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Samples grouped by problem, problems in the order in which they were first seen, samples by prompt and index."""

    groups: Mapping[str, tuple[Sample, ...]]

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> Self:
        """Group samples.

        Raises:
            DataError: two samples of one problem with the same prompt and index.
        """
        groups: dict[str, dict[tuple[int, int], Sample]] = {}
        for sample in samples:
            group = groups.setdefault(sample.problem, {})
            place = (sample.prompt, sample.index)
            if place in group:
                raise DataError(
                    f"problem {sample.problem!r} has two samples at prompt {sample.prompt}, index {sample.index}; "
                    "give each prompt variant its own number"
                )
            group[place] = sample
        return cls(
            groups={problem: tuple(group[place] for place in sorted(group)) for problem, group in groups.items()}
        )

    @classmethod
    def from_records(cls, records: Iterable[Mapping[str, Any]]) -> Self:
        """Read the store's records of graded completions; `prompt`, `score`, `step_scores`, `logp` are optional."""
        return cls.of(sample_from_record(record) for record in records)

    @classmethod
    def from_json(cls, rows: Iterable[Mapping[str, Any]]) -> Self:
        """Rebuild a pool from the rows of `to_json`."""
        return cls.of(Sample.from_json(row) for row in rows)

    def to_json(self) -> list[dict[str, Any]]:
        """Return one JSON-able row per sample, in order."""
        return [sample.to_json() for sample in self]

    def __iter__(self) -> Iterator[Sample]:
        for group in self.groups.values():
            yield from group

    def __len__(self) -> int:
        return len(self.groups)

    @property
    def smallest(self) -> int:
        """The number of samples of the problem that has fewest."""
        return min((len(group) for group in self.groups.values()), default=0)

    def scored(self, scores: Mapping[tuple[str, int, int], tuple[float, Sequence[float]]]) -> Self:
        """Return the pool with an outcome and step scores at each (problem, prompt, index); others stay as they are."""

        def put(sample: Sample) -> Sample:
            found = scores.get((sample.problem, sample.prompt, sample.index))
            return sample if found is None else replace(sample, score=found[0], step_scores=tuple(found[1]))

        return self.of(put(sample) for sample in self)


def sample_from_record(record: Mapping[str, Any]) -> Sample:
    """Turn one stored record of a graded completion into a sample.

    Raises:
        DataError: the record lacks a field, or names a verdict that does not exist.
    """
    try:
        verdict = Verdict(record["verdict"])
        steps = record.get("step_scores")
        # A wrong form is not an answer, even where a part of it could be read.
        usable = verdict in (Verdict.RIGHT, Verdict.WRONG)
        return Sample(
            problem=record["problem"],
            index=record["sample"],
            prompt=record.get("prompt", 0),
            text=record["text"],
            answer=record["answer"] if usable else None,
            tokens=record["completion_tokens"],
            score=record.get("score"),
            step_scores=None if steps is None else tuple(steps),
            right=verdict is Verdict.RIGHT,
            finish=record["finish"],
            logp=record.get("logp"),
            weight=record.get("weight"),
        )
    except KeyError as missing:
        raise DataError(f"a record without the field {missing}; it has: {', '.join(record)}") from None
    except ValueError as error:
        allowed = ", ".join(verdict.value for verdict in Verdict)
        raise DataError(f"{error}; verdicts are: {allowed}") from None

"""The audit of a grader: a second, independent grader and hand labels on the same completions.

A grader that misses right answers teaches and reports the wrong thing, so its false-negative rate is a figure of its
own. With labels the rates are counted; without them, completions that only the second grader calls right bound the
false negatives from above as far as that grader can see: what both miss stays unseen.
Left out: intervals (the caller has the statistics) and any vote between graders.
"""

import csv
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from menon.core.errors import DataError
from menon.core.values import Completion, Grade, Problem, Verdict
from menon.grading.extract import extract_all
from menon.grading.numbers import parse_number
from menon.grading.verdicts import grade, open_grader, split_thinking

MATH = "math_verify"  # the package behind grader "math"
LABEL_FIELDS = ("label", "is_correct", "correct", "reference_correct", "right")
KEY_FIELDS = ("completion", "key", "id", "problem")
_RIGHT = {"right", "correct", "true", "yes", "1", "1.0"}
_WRONG = {"wrong", "incorrect", "false", "no", "0", "0.0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One completion with the verdicts of both graders, every extractor's reading, and the hand label if there is one.

    `second` is None where the second grader cannot grade the problem. `extractors` maps each extractor of numbers to
    what it reads (None: nothing) and is empty where the gold answer is no number.
    """

    problem: Problem
    completion: Completion
    first: Grade
    second: Grade | None
    label: bool | None
    extractors: Mapping[str, str | None]

    @property
    def differ(self) -> bool:
        return self.second is not None and self.first.verdict is not self.second.verdict

    def extractor_verdicts(self) -> dict[str, str]:
        """Return right, wrong or unparsed for each extractor alone."""
        gold = parse_number(self.problem.answer)
        return {
            name: "unparsed" if answer is None else "right" if parse_number(answer) == gold else "wrong"
            for name, answer in self.extractors.items()
        }

    def to_json(self) -> dict[str, Any]:
        shown = {"first": self.first, "second": self.second}
        return {
            "completion": self.completion.id,
            "key": self.completion.key,
            "model": self.completion.model,
            "problem": self.problem.id,
            "family": self.problem.family,
            "gold": self.problem.answer,
            **{
                name: None if g is None else {"verdict": g.verdict.value, "answer": g.answer, "note": g.note}
                for name, g in shown.items()
            },
            "label": None if self.label is None else "right" if self.label else "wrong",
            "extractors": {
                name: {"answer": self.extractors[name], "verdict": verdict}
                for name, verdict in self.extractor_verdicts().items()
            },
        }


@dataclass(frozen=True, slots=True)
class Count:
    """`k` of `n`."""

    k: int
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GraderAudit:
    """Two graders on the same completions.

    `first` and `second` name them ("each problem's own" where none was chosen). `skipped` says why completions could
    not be graded by the first grader, `uncompared` why not by the second. `unmatched` labels belong to no completion.
    """

    first: str
    second: str
    items: tuple[Judged, ...]
    skipped: Mapping[str, int] = field(default_factory=dict)
    uncompared: Mapping[str, int] = field(default_factory=dict)
    unmatched: int = 0

    @property
    def compared(self) -> list[Judged]:
        return [item for item in self.items if item.second is not None]

    @property
    def disagreements(self) -> list[Judged]:
        return [item for item in self.items if item.differ]

    @property
    def labelled(self) -> list[Judged]:
        return [item for item in self.items if item.label is not None]

    def table(self) -> dict[tuple[Verdict, Verdict], int]:
        """Return how often each pair of verdicts came."""
        return dict(
            Counter((item.first.verdict, item.second.verdict) for item in self.items if item.second is not None)
        )

    def false_negatives(self, which: str = "first") -> Count:
        """Return how many of the completions labelled right the grader did not call right."""
        grades = [g for item in self.labelled if item.label and (g := getattr(item, which)) is not None]
        return Count(sum(not g.right for g in grades), len(grades))

    def false_positives(self, which: str = "first") -> Count:
        """Return how many of the completions labelled wrong the grader called right."""
        grades = [g for item in self.labelled if item.label is False and (g := getattr(item, which)) is not None]
        return Count(sum(g.right for g in grades), len(grades))

    def missed(self) -> Count:
        """Return how many only the second grader calls right, of those that either calls right."""
        pairs = [(item.first.right, item.second.right) for item in self.items if item.second is not None]
        return Count(sum(two and not one for one, two in pairs), sum(one or two for one, two in pairs))

    def extractor_counts(self) -> dict[str, dict[str, int]]:
        """Return right, wrong and unparsed for each extractor alone, over completions with a number as gold answer."""
        counts: dict[str, Counter[str]] = {}
        for item in self.items:
            for name, verdict in item.extractor_verdicts().items():
                counts.setdefault(name, Counter())[verdict] += 1
        return {name: {v: count[v] for v in ("right", "wrong", "unparsed")} for name, count in counts.items()}


class Labels:
    """Hand labels by completion id, by key, or by key and model."""

    def __init__(self, rows: Iterable[tuple[str, str | None, bool]]):
        """`rows` are (id or key, model or None, right)."""
        self._labels: dict[tuple[str, str | None], bool] = {}
        for name, model, right in rows:
            self._labels[name, model] = right
        self._used: set[tuple[str, str | None]] = set()

    def __len__(self) -> int:
        return len(self._labels)

    @property
    def unmatched(self) -> int:
        """How many labels belonged to no completion so far."""
        return len(self._labels) - len(self._used)

    def of(self, problem: Problem, completion: Completion) -> bool | None:
        """Return the label of a completion, None where there is none."""
        given = problem.meta.get("id")
        names = [completion.id, completion.key, completion.key.partition("/")[0], problem.id]
        for name in [*names, str(given)] if given is not None else names:
            for place in ((name, completion.model), (name, None)):
                if place in self._labels:
                    self._used.add(place)
                    return self._labels[place]
        return None


def read_labels(path: str | Path, rows: Iterable[tuple[int, Mapping[str, Any]]] | None = None) -> Labels:
    """Read hand labels: rows with `id`, `key` or `completion`, a `label` (right or wrong), and a `model` if need be.

    Args:
        path: a CSV file with a header, or JSON lines; with `rows` only the name for messages.
        rows: (line, values), where the caller has read the file.
    Raises:
        DataError: a row without an id or with another label; names file and line.
    """
    path = Path(path)
    found = []
    for line, values in _csv_rows(path) if rows is None else rows:
        name = next((str(values[f]) for f in KEY_FIELDS if values.get(f) not in (None, "")), None)
        label = next((values[f] for f in LABEL_FIELDS if values.get(f) not in (None, "")), None)
        word = str(label).strip().casefold()
        if name is None or word not in _RIGHT | _WRONG:
            raise DataError(
                f"{path}:{line}: id {name!r}, label {label!r}; a label wants one of {', '.join(KEY_FIELDS)} and "
                "a label: right or wrong"
            )
        model = values.get("model")
        found.append((name, str(model) if model else None, word in _RIGHT))
    if not found:
        raise DataError(f"{str(path)!r} holds no labels; a row wants an id and a label: right or wrong")
    return Labels(found)


def audit_graders(
    items: Iterable[tuple[Problem, Completion]],
    *,
    first: str | None = None,
    second: str | None = None,
    labels: Labels | None = None,
) -> GraderAudit:
    """Grade every completion with two graders.

    Args:
        first: the grader under audit; None is each problem's own.
        second: the grader to compare with; None is "math" where numbers or expressions are compared and its package is
            there, else another rule of the same kind (`other_grader`).
    Raises:
        ConfigError: an unknown grader.
    """
    judged: list[Judged] = []
    skipped: Counter[str] = Counter()
    uncompared: Counter[str] = Counter()
    seconds: set[str] = set()
    for problem, completion in items:
        one = first or problem.grader
        two = second or other_grader(one)
        if (reason := objection(problem, one)) is not None:
            skipped[reason] += 1
            continue
        reason = "there is no second grader of this kind; give one with --second" if two is None else None
        reason = reason or (objection(problem, two) if two is not None else None)
        if reason is not None:
            uncompared[reason] += 1
        elif two is not None:
            seconds.add(two)
        judged.append(
            Judged(
                problem=problem,
                completion=completion,
                first=grade(problem, completion, grader=one),
                second=None if reason is not None or two is None else grade(problem, completion, grader=two),
                label=labels.of(problem, completion) if labels is not None else None,
                extractors=_extracted(problem, completion),
            )
        )
    return GraderAudit(
        first=first or "each problem's own",
        second=second or ", ".join(sorted(seconds)) or "none",
        items=tuple(judged),
        skipped=dict(skipped),
        uncompared=dict(uncompared),
        unmatched=labels.unmatched if labels is not None else 0,
    )


def other_grader(spec: str) -> str | None:
    """Return an independent grader for what `spec` grades: another package where there is one, else another rule."""
    name, _, options = spec.partition("?")
    if name in ("number", "exact"):
        return "math" if find_spec(MATH) is not None else "number?extract=last_number"
    if name == "math":
        return "number"
    if name == "choice":
        return "choice" if "star" in options else "choice?rule=star"
    if name == "digits":
        return "number?extract=boxed,answer_is,last_number"
    return None


def objection(problem: Problem, grader: str) -> str | None:
    """Return why `grader` cannot grade `problem` (its gold answer is of another kind), None when it can."""
    try:
        open_grader(grader).accepts(problem, problem.answer)
    except DataError:
        return f"the gold answer is none that grader {grader!r} can compare"
    return None


def _extracted(problem: Problem, completion: Completion) -> dict[str, str | None]:
    if completion.finish == "error" or parse_number(problem.answer) is None:
        return {}
    return extract_all(split_thinking(completion.text)[1])


def _csv_rows(path: Path) -> Iterable[tuple[int, Mapping[str, Any]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read labels from {str(path)!r}: {error}; wanted UTF-8 CSV or JSON lines") from error
    if path.suffix == ".csv":
        return list(enumerate(csv.DictReader(text.splitlines()), 2))
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}:{number}: not JSON: {str(error)[:80]}") from error
        if not isinstance(values, dict):
            raise DataError(f"{path}:{number}: a JSON {type(values).__name__} where an object is needed")
        rows.append((number, values))
    return rows

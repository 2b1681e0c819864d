"""`menon grade RUN`: grade stored completions again, without sampling again; `--audit` puts the grader on trial."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from menon.cli.options import Columns, Data, Debug, Json, Out, Set, pairs, settings
from menon.cli.terminal import open_terminal, table, write_file
from menon.core.errors import ConfigError, RunError
from menon.core.progress import Progress
from menon.core.values import Completion, Problem, Verdict

if TYPE_CHECKING:
    from menon.grading.audit import Count, GraderAudit, Judged, Labels

KINDS = ("graded", "sample")  # what evaluations and teaching store; a "row" repeats a "sample"
EXAMPLES = 10
RECORDED = "recorded:"
BY_LABELS = "by the labels"
UPPER = (
    "an upper estimate: what only the second grader accepts is taken for right, of all that either accepts; "
    "what both miss stays unseen"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One completion on file with its problem and the verdict it has: the run's, or that of the detected reading."""

    group: str
    problem: Problem
    completion: Completion
    verdict: str


def stored_completions(run: Any) -> Iterator[dict[str, Any]]:
    """Yield every graded completion of a run, once."""
    for kind in KINDS:
        yield from run.records(kind)


def problem_of(record: Mapping[str, Any]) -> Problem:
    """Rebuild as much of the problem as grading needs."""
    return Problem(
        family=record["family"],
        question=record["question"],
        answer=record["gold"],
        split=record["split"],
        difficulty=record["difficulty"],
        choices=tuple(record.get("choices") or ()),
        grader=_grader_of(record),
        meta=record.get("meta") or {},
    )


def _grader_of(record: Mapping[str, Any]) -> str:
    from menon.problems import FAMILIES

    if record.get("grader"):
        return record["grader"]
    return "exact" if record["family"] in FAMILIES.names() else ""


def completion_of(record: Mapping[str, Any]) -> Completion:
    """Rebuild as much of the completion as grading needs."""
    return Completion(
        key=record["key"],
        sample=record["sample"],
        text=record["text"],
        finish=record["finish"],
        reasoning=record["reasoning"],
        error=record["error"],
        model=record["model"],
        token_ids=tuple(record.get("token_ids") or ()) or None,  # so that the id is the stored one
    )


def read_stored(
    name: str, *, data: str | None = None, map: Mapping[str, str] | None = None
) -> tuple[Iterator[Stored], list[str]]:
    """Return the completions of a run or of recorded responses, and what to say of the reading of the latter."""
    if not name.startswith(RECORDED):
        if data or map:
            raise ConfigError("--data and --map are for recorded:FILE; a run holds its own problems, leave them out")
        return _of_run(Path(name)), []
    from menon.auditing.recorded import read_recorded
    from menon.problems.datasets import load_problems

    recorded = read_recorded([name], problems=load_problems(data).problems if data else (), map=map)
    rows = (
        Stored(
            group=item.question.task,
            problem=item.question.problem,
            completion=item.completion,
            verdict=item.grade.verdict.value,
        )
        for item in recorded.answered
    )
    return rows, recorded.say


def _of_run(path: Path) -> Iterator[Stored]:
    from menon.store import Run

    with Run.open(path) as run:
        for record in stored_completions(run):
            yield Stored(
                group=record["family"],
                problem=problem_of(record),
                completion=completion_of(record),
                verdict=record["verdict"],
            )


def regrade(name: str, rows: Iterator[Stored], grader: str | None, progress: Progress) -> dict[str, Any]:
    """Grade every completion again and compare with the verdicts that it has.

    `grader` replaces each problem's own grader; problems that it cannot grade are counted. Raises `RunError` when
    there are no completions.
    """
    from menon.grading import grade as grade_completion
    from menon.grading.audit import objection

    counts: dict[str, Counter[str]] = defaultdict(Counter)
    changes: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    examples: list[dict[str, Any]] = []
    progress.start(f"grading {name}", unit="completions")
    for row in rows:
        progress.advance()
        chosen = _chosen(row.problem, grader)
        if (reason := objection(row.problem, chosen)) is not None:
            skipped[reason] += 1
            continue
        found = grade_completion(row.problem, row.completion, grader=chosen)
        counts[row.group][found.verdict.value] += 1
        if found.verdict.value != row.verdict:
            changes[f"{row.verdict} -> {found.verdict.value}"] += 1
            if len(examples) < EXAMPLES:
                examples.append(_example(row, found.verdict.value, found.answer))
    if not counts:
        raise _nothing(name, skipped)
    return {
        "run": name,
        "grader": grader,
        "completions": sum(map(Counter.total, counts.values())),
        "verdicts": {group: {v.value: counts[group][v.value] for v in Verdict} for group in sorted(counts)},
        "disagreements": changes.total(),
        "changes": dict(changes.most_common()),
        "skipped": dict(skipped),
        "examples": examples,
    }


def _chosen(problem: Problem, grader: str | None) -> str:
    chosen = grader or problem.grader
    if not chosen:
        raise ConfigError(f"the run does not say how problems of {problem.family!r} are graded; give --grader NAME")
    return chosen


def _example(row: Stored, verdict: str, answer: str | None) -> dict[str, Any]:
    return {
        "completion": row.completion.id,
        "family": row.problem.family,
        "question": row.problem.question,
        "gold": row.problem.answer,
        "text": row.completion.text,
        "stored": row.verdict,
        "now": verdict,
        "answer": answer,
    }


def _nothing(name: str, skipped: Mapping[str, int]) -> RunError:
    if skipped:
        reasons = "; ".join(f"{count:,} because {reason}" for reason, count in skipped.items())
        return RunError(f"no completion of {name!r} could be graded: {reasons}; choose another --grader")
    return RunError(f"{name!r} holds no completions yet, so there is nothing to grade; run it further first")


def grade_lines(found: Mapping[str, Any]) -> list[str]:
    """Write the verdicts as a table, then what changed and examples of it."""
    rows = [(family, *(f"{n:,}" for n in counts.values())) for family, counts in found["verdicts"].items()]
    lines = table(("family", *(v.value for v in Verdict)), rows)
    lines.append(f"{found['disagreements']:,} of {found['completions']:,} differ from the stored verdict")
    lines += [f"  {change}: {count:,}" for change, count in found["changes"].items()]
    lines += [f"  {count:,} left out: {reason}" for reason, count in found["skipped"].items()]
    for example in found["examples"]:
        lines.append(f"  {example['completion']} {example['stored']} -> {example['now']}: gold {example['gold']!r}")
        lines.append(f"    answer {example['answer']!r} in {_short(example['text'])!r}")
    return lines


def audit_grader(
    name: str,
    rows: Iterator[Stored],
    *,
    grader: str | None,
    second: str | None,
    labels: "Labels | None",
    progress: Progress,
) -> dict[str, Any]:
    """Compare two graders on the same completions, and both with hand labels where there are some."""
    from menon.grading.audit import audit_graders

    def items() -> Iterator[tuple[Problem, Completion]]:
        progress.start(f"auditing the grader on {name}", unit="completions")
        for row in rows:
            progress.advance()
            _chosen(row.problem, grader)
            yield row.problem, row.completion

    found = audit_graders(items(), first=grader, second=second, labels=labels)
    if not found.items:
        raise _nothing(name, found.skipped)
    return {
        "run": name,
        "first": found.first,
        "second": found.second,
        "completions": len(found.items),
        "compared": len(found.compared),
        "agreements": len(found.compared) - len(found.disagreements),
        "table": [{"first": a.value, "second": b.value, "count": n} for (a, b), n in sorted(found.table().items())],
        "extractors": found.extractor_counts(),
        "skipped": dict(found.skipped),
        "uncompared": dict(found.uncompared),
        **_rates(found, labels is not None),
        "disagreements": [_shown(item) for item in found.disagreements],
        "mislabelled": [_shown(item) for item in found.labelled if item.first.right is not item.label],
    }


def _rates(found: "GraderAudit", labelled: bool) -> dict[str, Any]:
    """Return the error rates with their intervals: counted with labels, bounded from above without."""
    if not labelled:
        return {"labels": None, "false_negatives": {"first": {**_rate(found.missed()), "basis": UPPER}}}
    both = ("first", "second")
    return {
        "labels": {"matched": len(found.labelled), "unmatched": found.unmatched},
        "false_negatives": {which: {**_rate(found.false_negatives(which)), "basis": BY_LABELS} for which in both},
        "false_positives": {which: {**_rate(found.false_positives(which)), "basis": BY_LABELS} for which in both},
    }


def _rate(count: "Count") -> dict[str, Any]:
    from menon.stats import wilson

    if count.n == 0:
        return {"k": 0, "n": 0, "rate": None, "low": 0.0, "high": 1.0}
    interval = wilson(count.k, count.n)
    return {"k": count.k, "n": count.n, "rate": interval.value, "low": interval.low, "high": interval.high}


def _shown(item: "Judged") -> dict[str, Any]:
    return {**item.to_json(), "text": item.completion.text}


def audit_lines(found: Mapping[str, Any], most: int) -> list[str]:
    """Write the agreement table, the rates, and the first `most` disagreements."""
    lines = [f"first grader: {found['first']}; second: {found['second']}"]
    lines += [f"  {count:,} left out: {reason}" for reason, count in found["skipped"].items()]
    lines += [f"  {count:,} not compared: {reason}" for reason, count in found["uncompared"].items()]
    verdicts = [v.value for v in Verdict]
    cells = {(row["first"], row["second"]): row["count"] for row in found["table"]}
    rows = [(f"first {a}", *(f"{cells.get((a, b), 0):,}" for b in verdicts)) for a in verdicts]
    lines += table(("", *(f"second {b}" for b in verdicts)), rows)
    lines.append(f"the graders agree on {found['agreements']:,} of {found['compared']:,} completions")
    if found["extractors"]:
        shown = ((name, *(f"{n:,}" for n in counts.values())) for name, counts in found["extractors"].items())
        lines += ["", *table(("extractor alone", "right", "wrong", "unparsed"), shown)]
    lines += ["", *_rate_lines(found)]
    for title, items in (("disagreements", found["disagreements"]), ("against the label", found["mislabelled"])):
        if items:
            lines += ["", f"{title}, {min(most, len(items)):,} of {len(items):,}:"]
            lines += [line for item in items[:most] for line in _item_lines(item)]
    return lines


def _rate_lines(found: Mapping[str, Any]) -> list[str]:
    lines = []
    if found["labels"] is not None:
        labels = found["labels"]
        lines.append(f"{labels['matched']:,} completions have a label; {labels['unmatched']:,} labels match none")
    for kind, words in (("false_negatives", "false negatives"), ("false_positives", "false positives")):
        for which, rate in found.get(kind, {}).items():
            if rate["rate"] is None:
                lines.append(f"{words} of the {which} grader: nothing to count")
                continue
            lines.append(
                f"{words} of the {which} grader: {rate['k']:,} of {rate['n']:,}, {100 * rate['rate']:.2f} % "
                f"(95 % interval {100 * rate['low']:.2f} to {100 * rate['high']:.2f} %), {rate['basis']}"
            )
    return lines


def _item_lines(item: Mapping[str, Any]) -> list[str]:
    sides = ", ".join(
        f"{name} {item[name]['verdict']} {item[name]['answer']!r}" for name in ("first", "second") if item[name]
    )
    label = f", label {item['label']}" if item["label"] else ""
    lines = [f"  {item['key']} {item['model']}: gold {item['gold']!r}; {sides}{label}"]
    if item["extractors"]:
        read = ", ".join(f"{name} {found['answer']}" for name, found in item["extractors"].items())
        lines.append(f"    extractors: {read}")
    return [*lines, f"    in {_short(item['text'])!r}"]


def _short(text: str, most: int = 300) -> str:
    """Return the end of a long text, where answers stand."""
    return text if len(text) <= most else "..." + text[-most:]


def _read_labels(path: Path) -> "Labels":
    from menon.core.errors import DataError
    from menon.grading.audit import read_labels
    from menon.problems.rows import read_rows

    if path.suffix == ".csv":
        return read_labels(path)
    rows = []
    for row in read_rows(path):
        if row.problem:
            raise DataError(f"{path}:{row.line}: {row.problem}")
        rows.append((row.line, row.values))
    return read_labels(path, rows)


def _check_flags(audit: bool, second: str | None, labels: Path | None) -> None:
    if not audit and (second or labels):
        raise ConfigError("--second and --labels are for the audit of a grader; add --audit")


def grade(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run directory, or recorded:FILE.")],
    grader: Annotated[
        str | None, typer.Option("--grader", metavar="NAME", help="Grader to use instead of each problem's own.")
    ] = None,
    audit: Annotated[
        bool, typer.Option("--audit", help="Compare the grader with a second one and hand labels.")
    ] = False,
    second: Annotated[
        str | None, typer.Option("--second", metavar="NAME", help="The second grader; math where it applies.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", metavar="FILE", help="Hand labels: id (and model), label right or wrong.")
    ] = None,
    data: Data = None,
    columns: Columns = None,
    show: Annotated[
        int, typer.Option("--show", min=0, metavar="N", help="How many disagreements to print.")
    ] = EXAMPLES,
    out: Out = None,
    overrides: Set = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Grade stored completions again; --audit compares two graders; --out writes everything to a JSON file."""
    with open_terminal(as_json=as_json, debug=debug) as terminal:
        grader = grader or settings(overrides, ("grader",), "grade").get("grader")
        _check_flags(audit, second, labels)
        rows, said = read_stored(run, data=data, map=pairs(columns, "--map"))
        if audit:
            known = _read_labels(labels) if labels is not None else None
            found = audit_grader(run, rows, grader=grader, second=second, labels=known, progress=terminal.progress)
            lines: Sequence[str] = audit_lines(found, show)
        else:
            found = regrade(run, rows, grader, terminal.progress)
            lines = grade_lines(found)
        if said:
            found["reading"] = said
        if out is not None:
            write_file(out, json.dumps(found, indent=2, ensure_ascii=False) + "\n")
        terminal.emit(found, [*said, *lines])

"""`menon grade RUN`: grade the stored completions of a run again, without sampling again."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from menon.cli.options import Debug, Json, Out, Set, settings
from menon.cli.terminal import open_terminal, table, write_file
from menon.core.errors import ConfigError, RunError
from menon.core.progress import Progress
from menon.core.values import Completion, Problem, Verdict

KINDS = ("graded", "sample")  # what evaluations and teaching store; a "row" repeats a "sample"
EXAMPLES = 10


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
    )


def regrade_run(path: Path, grader: str | None, progress: Progress) -> dict[str, Any]:
    """Grade every stored completion of the run at `path` and compare with the stored verdicts.

    `grader` replaces each problem's own grader. Raises `RunError` when the run has no completions.
    """
    from menon.grading import grade as grade_completion
    from menon.store import Run

    counts: dict[str, Counter[str]] = defaultdict(Counter)
    changes: Counter[str] = Counter()
    examples: list[dict[str, Any]] = []
    with Run.open(path) as run:
        progress.start(f"grading {path}", unit="completions")
        for record in stored_completions(run):
            problem = problem_of(record)
            if not (grader or problem.grader):
                raise ConfigError(
                    f"the run does not say how problems of {problem.family!r} are graded; give --grader NAME"
                )
            found = grade_completion(problem, completion_of(record), grader=grader)
            counts[record["family"]][found.verdict.value] += 1
            if found.verdict.value != record["verdict"]:
                changes[f"{record['verdict']} -> {found.verdict.value}"] += 1
                if len(examples) < EXAMPLES:
                    shown = {name: record[name] for name in ("completion", "family", "question", "gold", "text")}
                    examples.append(
                        {**shown, "stored": record["verdict"], "now": found.verdict.value, "answer": found.answer}
                    )
            progress.advance()
    if not counts:
        raise RunError(f"{str(path)!r} holds no completions yet, so there is nothing to grade; run it further first")
    return {
        "run": str(path),
        "grader": grader,
        "completions": sum(map(Counter.total, counts.values())),
        "verdicts": {family: {v.value: counts[family][v.value] for v in Verdict} for family in sorted(counts)},
        "disagreements": changes.total(),
        "changes": dict(changes.most_common()),
        "examples": examples,
    }


def grade_lines(found: Mapping[str, Any]) -> list[str]:
    """Write the verdicts as a table, then what changed and examples of it."""
    rows = [(family, *(f"{n:,}" for n in counts.values())) for family, counts in found["verdicts"].items()]
    lines = table(("family", *(v.value for v in Verdict)), rows)
    lines.append(f"{found['disagreements']:,} of {found['completions']:,} differ from the stored verdict")
    lines += [f"  {change}: {count:,}" for change, count in found["changes"].items()]
    for example in found["examples"]:
        lines.append(f"  {example['completion']} {example['stored']} -> {example['now']}: gold {example['gold']!r}")
        lines.append(f"    answer {example['answer']!r} in {example['text']!r}")
    return lines


def grade(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")],
    grader: Annotated[
        str | None, typer.Option("--grader", metavar="NAME", help="Grader to use instead of each problem's own.")
    ] = None,
    out: Out = None,
    overrides: Set = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Grade stored completions again; --out writes the comparison to a JSON file."""
    with open_terminal(as_json=as_json, debug=debug) as terminal:
        values = settings(overrides, ("grader",), "grade")
        found = regrade_run(run, grader or values.get("grader"), terminal.progress)
        if out is not None:
            write_file(out, json.dumps(found, indent=2, ensure_ascii=False) + "\n")
        terminal.emit(found, grade_lines(found))

"""`menon problems corpus`: write a corpus whose documents say what they teach, with its manifest and its queries."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from menon.cli.options import Debug, Json, Out, Set, settings
from menon.cli.terminal import open_terminal, write_file
from menon.core.errors import ConfigError

QUERIES = {"reasoning": 40, "factual": 40, "factual-control": 10, "reasoning-control": 10}


def corpus(
    count: Annotated[int, typer.Option("--count", min=1, metavar="N", help="Documents to write.")] = 20000,
    out: Out = None,
    overrides: Set = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write documents.jsonl, queries.jsonl and manifest.json to the folder --out.

    The documents can be traced with `menon trace MODEL --data DIR/documents.jsonl --queries DIR/queries.jsonl`.
    """
    with open_terminal(as_json=as_json, debug=debug) as terminal:
        if out is None:
            raise ConfigError("where to? Give a folder with --out DIR; documents.jsonl and others are written there")
        settings(overrides, (), "problems corpus")
        from menon.problems.known.corpus import KnownCorpus
        from menon.problems.known.manifest import manifest
        from menon.problems.known.overlap import ngram_overlap

        known, asked = KnownCorpus(), _queries()
        terminal.progress.start("documents", total=count, unit="documents")
        _write_lines(out / "documents.jsonl", _documents(known, count, terminal.progress))
        terminal.progress.start("manifest and overlap with the queries", total=2, unit="passes")
        told = manifest(known, count)
        terminal.progress.advance(1)
        reasoning = [row["question"] for row in asked if row["kind"] == "reasoning"]
        overlap = ngram_overlap(known.documents(0, count), reasoning)
        terminal.progress.advance(1)
        told["overlap"] = {
            "n": overlap.n,
            "queries": len(reasoning),
            "share": overlap.share,
            "word_for_word": len(overlap.exact),
        }
        write_file(out / "queries.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in asked))
        write_file(out / "manifest.json", json.dumps(told, indent=1, ensure_ascii=False) + "\n")
        kinds = ", ".join(f"{number:,} {kind}" for kind, number in told["kind"].items())
        terminal.emit(
            {"folder": str(out), **{k: told[k] for k in ("documents", "tokens", "kind", "form", "overlap", "hash")}},
            [
                f"{count:,} documents ({kinds}), about {told['tokens']:,} tokens: {out / 'documents.jsonl'}",
                f"{len(asked)} queries: {out / 'queries.jsonl'}; {overlap.share:.0%} of those about procedures share "
                f"{overlap.n} words in a row with a document, {len(overlap.exact)} stand there word for word",
                f"what is taught how often: {out / 'manifest.json'}",
            ],
        )


def _documents(known: Any, count: int, progress: Any) -> Iterator[dict[str, Any]]:
    from dataclasses import asdict

    for number, document in enumerate(known.documents(0, count)):
        row = {"id": document.id, **asdict(document), "teaches": ",".join(document.teaches)}
        yield {key: value for key, value in row.items() if value not in ("", None)}
        if number % 1000 == 999:
            progress.advance(1000)


def _queries() -> list[dict[str, Any]]:
    from menon.problems.known.queries import known_queries
    from menon.problems.prompts import STYLES

    style = STYLES.get("menon")
    rows = []
    for kind, number in QUERIES.items():
        for query in known_queries(kind, number):  # pyright: ignore[reportArgumentType]
            problem, direct = query.problem, not query.problem.rationale
            rows.append(
                {
                    "id": f"{kind}-{sum(row['kind'] == kind for row in rows)}",
                    "prompt": style.prompt(problem, direct=direct),
                    "completion": style.completion(problem, problem.rationale or "", problem.answer, direct=direct),
                    "question": problem.question,
                    "answer": problem.answer,
                    "task": query.family,
                    "kind": kind,
                    "needs": query.needs,
                }
            )
    return rows


def _write_lines(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    """Stream rows into a file that is there whole or not at all."""
    from menon.store.files import os_failure

    half = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with half.open("w", encoding="utf-8") as file:
            for row in rows:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
        half.replace(path)
    except OSError as error:
        raise os_failure(error, "write", path) from error
    finally:
        half.unlink(missing_ok=True)

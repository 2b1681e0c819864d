"""What `menon solve` says on the terminal: answers, why something stopped, and the path when it is asked for."""

import shlex
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from menon.store import EventLog
from menon.studies.solve.assemble import events_of

MOST_TOLD = 20
LONGEST = 160


def summary_lines(report: Mapping[str, Any], *, trace: bool) -> list[str]:
    """Return the lines that sum a run up; with `trace` every visit of the first executions."""
    outcomes = report["outcomes"]
    lines: list[str] = []
    if trace or len(outcomes) == 1:
        with EventLog(Path(report["run"]), read_only=True) if trace else nullcontext() as log:
            for outcome in outcomes[:MOST_TOLD]:
                lines += [f"? {_short(outcome['question'])}"] if len(outcomes) > 1 else []
                if log is not None:
                    lines += list(_path(outcome["key"], log))
                lines += _answer(outcome)
    if len(outcomes) > 1:
        lines += _many(report)
    lines += _waiting(report)
    lines.append(_spent(report))
    lines.append(f"report: {report['page']}")
    return lines


def _path(key: str, log: EventLog) -> Iterator[str]:
    for event in events_of(key, log):
        took = f" -[{event['branch']}]" if event["branch"] and event["kind"] in ("decide", "person") else ""
        writes = ", ".join(f"{name} = {_short(value)}" for name, value in event["writes"].items())
        note = f"  ! {_short(event['error'])}" if event["error"] else ""
        kept = " (kept)" if event["replayed"] else ""
        depth = "  " * event["address"].count("/")
        yield f"  {depth}{event['address']}{took}{': ' + writes if writes else ''}{kept}{note}"


def _answer(outcome: Mapping[str, Any]) -> list[str]:
    gold = f" (right answer: {outcome['gold']})" if outcome["verdict"] == "wrong" else ""
    if outcome["status"] == "answered":
        said = "no answer could be read" if outcome["answer"] in (None, "") else _short(outcome["answer"])
        return [f"answer: {said}{gold}"]
    if outcome["status"] == "waiting":
        return ["waiting for a person"]
    known = "" if outcome["answer"] in (None, "") else f"; the last answer was {_short(outcome['answer'])}"
    return [f"{outcome['status']}: {outcome['note']}{known}"]


def _many(report: Mapping[str, Any]) -> list[str]:
    totals, accuracy = report["totals"], report["accuracy"]
    ended = ", ".join(f"{totals[name]} {name}" for name in ("answered", "partial", "waiting", "failed") if totals[name])
    lines = [f"{report['title']} on {report['model']}: {totals['executions']} problems, {ended}"]
    if accuracy:
        others = ", ".join(f"{n} {v}" for v, n in accuracy["verdicts"].items() if n and v not in ("right", "wrong"))
        lines.append(
            f"right: {accuracy['right']} of {accuracy['graded']}, {100 * accuracy['share']:.0f} % "
            f"[{100 * accuracy['low']:.0f}, {100 * accuracy['high']:.0f}]{' (' + others + ')' if others else ''}"
        )
    for status in ("partial", "failed"):
        first = next((one for one in report["outcomes"] if one["status"] == status), None)
        if first:
            lines.append(f"first {status}: {first['note']}")
    return lines


def _waiting(report: Mapping[str, Any]) -> list[str]:
    lines = []
    for outcome in [one for one in report["outcomes"] if one["waiting"]][:MOST_TOLD]:
        for one in outcome["waiting"]:
            reply, *others = one["choices"] or ["TEXT"]
            instead = f"   (or {', '.join(others)})" if others else ""
            several = f"{outcome['key']}:" if report["totals"]["executions"] > 1 else ""
            words = ["--reply", f"{several}{one['address']}={reply}"]
            forked = "~" in outcome["key"]  # its change has to be said again
            again = "the same command with" if forked else shlex.join(["menon", "solve", "--resume", report["run"]])
            lines += [
                f"a person is asked at {several}{one['address']}:",
                *(f"  {line}" for line in one["shown"].splitlines()[:20]),
                f"  to answer: {again} {shlex.join(words)}{instead}",
            ]
    return lines


def _spent(report: Mapping[str, Any]) -> str:
    totals = report["totals"]
    money = f", {totals['money']:g} money" if totals["money"] is not None else ""
    return (
        f"{_counted(totals['steps'], 'step')}, {_counted(totals['calls'], 'call')}, "
        f"{totals['prompt_tokens']:,} prompt + "
        f"{totals['completion_tokens']:,} sampled tokens{money}"
    )


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _short(value: Any) -> str:
    flat = " ".join((value if isinstance(value, str) else repr(value)).split())
    flat = "".join(char if char.isprintable() else "?" for char in flat)
    return flat if len(flat) <= LONGEST else f"{flat[: LONGEST - 3]}..."

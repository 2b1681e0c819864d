"""What a finished run of Quiet-STaR says on the terminal."""

from collections.abc import Mapping
from typing import Any


def quiet_star_lines(report: Mapping[str, Any]) -> list[str]:
    """Return the numbers people look for: loss and accuracy without and with thoughts, before and after."""
    lines = [f"{report['model']}: {report['steps']} steps; held-out tokens, loss in nats (95 %):"]
    for when in ("before", "after"):
        found = report[when]
        lines.append(
            f"  {when} teaching: plain {_nats(found['nll_text'])}, thinking {_nats(found['nll_mixed'])}, "
            f"gain {_nats(found['gain'])}; accuracy {found['accuracy_text']['value']:.1%} -> "
            f"{found['accuracy_mixed']['value']:.1%}; mixing weight {found['weight']:.2f}"
        )
    for row in (report.get("asked") or {}).get("rows", ()):
        change = row["difference"]
        lines.append(
            f"  {row['name']} ({row['n']}): right {row['before']['value']:.1%} before, {row['plain']['value']:.1%} "
            f"after, {row['thinking']['value']:.1%} thinking; change {100 * change['value']:+.1f} points "
            f"[{100 * change['low']:+.1f}, {100 * change['high']:+.1f}]"
        )
    lines += [f"  {alarm}" for alarm in report["alarms"]]
    lines.append(
        f"use it: menon solve QUESTION --model {report['run']}/{report['checkpoint']} --strategy direct --think"
    )
    return lines


def quiet_study_lines(report: Mapping[str, Any]) -> list[str]:
    """Return one line per arm: accuracy and loss of the answers with and without thoughts, over the seeds."""
    lines = [f"{len(report['seeds'])} seeds, chains of {report['moves']} moves, held-out problems (95 % over seeds):"]
    for arm in report["arms"]:
        found = arm["summary"]
        plain, mixed = found["answer_accuracy_text"], found["answer_accuracy_mixed"]
        with_thought = "" if arm["plain"] else f", with thought {_share(mixed)}"
        lines.append(f"  {arm['title']}: without {_share(plain)}{with_thought}")
    return lines


def _nats(value: Mapping[str, Any]) -> str:
    if value["low"] is None:
        return f"{value['value']:.3f}"
    return f"{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"


def _share(value: Mapping[str, Any]) -> str:
    if value["low"] is None:
        return f"{value['value']:.1%}"
    return f"{value['value']:.1%} [{max(0.0, value['low']):.1%}, {min(1.0, value['high']):.1%}]"

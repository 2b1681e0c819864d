"""The panel as a Markdown page with a picture: the body of docs/calibration.md."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from menon.reports.arms import table
from menon.reports.charts import Dot, dot_intervals, estimate_of
from menon.reports.formats import percent
from menon.reports.svg import standalone
from menon.store import atomic_write

PAGE, PICTURE = "calibration.md", "calibration.svg"
INTRODUCTION = """
# Calibration: is the audit right about models whose nature is known?

```sh
menon audit --calibrate      # trains and audits the panel, about 12 minutes on one core; finished parts are kept
make calibration             # the same, and puts the findings into this page and into every report
```

An instrument is worth what it says of things that are known already. The panel has models made from `menon:base` so
that a known share of their right answers is memorised: their originals are short chains, which the base reasons
about, and chains of twelve steps, which it cannot do and which are trained in word for word, question and answer
without working. Fresh short chains are rehearsed beside them, so that reasoning stays. The planted share is the share
of long ones; the *true* share is what the model then does on all its originals and ten re-instantiations of each.
"Rehearsed only" models had the same training without anything to memorise; "base" is the embedded model itself.
Beside them stand scripted stand-ins, and mixtures whose ability and share are drawn at random.

A model's answers are the population; one audit draws originals from it with replacement and a few re-instantiations
of each, as an audit with that many templates would. *Coverage* is how often the 95 % interval of the recitation share
holds the true share. A verdict is counted as wrong when the true share lies outside the region of that verdict
([statistics.md](statistics.md)); "cannot tell yet" is never wrong, and is shown. What this does not show: that
prompts, graders or the match in difficulty are right for another model; for that every audit puts its own questions
to stand-ins.
"""


def write_page(folder: Path, found: Mapping[str, Any]) -> Path:
    """Write the page and its picture into `folder`; return the page's path."""
    atomic_write(folder / PICTURE, standalone(_picture(found)))
    parts = [
        INTRODUCTION.strip(),
        _summary(found),
        "## Models trained from the embedded one\n\n" + _rows(found["models"]),
        "## Scripted stand-ins\n\n" + _rows(found["stand_ins"]),
        "## Two hundred random mixtures\n\n" + _mixtures(found["mixtures"]),
    ]
    atomic_write(folder / PAGE, "\n\n".join(parts) + "\n")
    return folder / PAGE


def lines(found: Mapping[str, Any]) -> list[str]:
    """Return the findings in a few lines for a terminal."""
    auc, coverage = found["auc"], found["coverage"]
    return [
        f"AUC reciter against reasoner  {auc['value']:.3f} [{auc['low']:.3f}, {auc['high']:.3f}]",
        f"coverage of the 95 % interval  {_percent(coverage)}",
        f"largest bias of the share      {100 * found['bias']:+.1f} points",
        f"wrong verdicts                 {found['wrong_verdicts']} of {found['checked_verdicts']:,}",
        *(
            f"  {row['name']:<36} truth {100 * row['truth']:5.1f} %  estimate {100 * row['estimate']:5.1f} %  "
            f"coverage {_percent(row['coverage'])}"
            for row in (*found["models"], *found["stand_ins"])
        ),
    ]


def _summary(found: Mapping[str, Any]) -> str:
    auc, audit = found["auc"], found["audit"]
    rows = [
        ["AUC, reciters (planted share 50 % or more) against reasoners", f"{auc['value']:.3f}", _limits(auc)],
        ["coverage of the 95 % interval, all members", _value(found["coverage"]), _limits(found["coverage"], 100)],
        [
            "coverage, trained models only",
            _value(found["coverage_models"]),
            _limits(found["coverage_models"], 100),
        ],
        ["largest bias of the share (points)", f"{100 * found['bias']:+.1f}", ""],
        ["wrong verdicts", f"{found['wrong_verdicts']} of {found['checked_verdicts']:,}", ""],
    ]
    setting = (
        f"One audit: {audit['originals']} originals with {audit['variants']} re-instantiations each; "
        f"{audit['audits']} audits of every member."
    )
    return f"{setting}\n\n{table(['what', 'value', '95 % interval'], rows)}\n\n![truth and estimates]({PICTURE})"


def _rows(rows: Sequence[Mapping[str, Any]]) -> str:
    head = ["member", "originals right", "new ones right", "true share", "mean estimate", "bias (points)"]
    head += ["coverage", "mean width (points)", "verdicts"]
    body = [
        [
            row["name"],
            _value({"value": row["original"]}),
            _value({"value": row["fresh"]}),
            _value({"value": row["truth"]}),
            _value({"value": row["estimate"]}),
            f"{100 * row['bias']:+.1f}",
            _percent(row["coverage"]),
            f"{100 * row['width']:.0f}",
            ", ".join(f"{label} {count}" for label, count in row["verdicts"].items()),
        ]
        for row in rows
    ]
    return table(head, body)


def _mixtures(rows: Sequence[Mapping[str, Any]]) -> str:
    head = ["true share", "models", "bias (points)", "coverage", "mean width (points)"]
    body = [
        [
            f"{100 * row['low']:.0f} to {100 * row['high']:.0f} %",
            str(row["models"]),
            f"{100 * row['bias']:+.1f}",
            _percent(row["coverage"]),
            f"{100 * row['width']:.0f}",
        ]
        for row in rows
    ]
    return table(head, body)


def _picture(found: Mapping[str, Any]) -> Any:
    dots, truth = [], {}
    for row in (*found["models"], *found["stand_ins"]):
        half, value = row["width"] / 2, row["estimate"]
        truth[row["name"]] = row["truth"]
        dots.append(Dot(label=row["name"], value=value, low=value - half, high=value + half))
    return dot_intervals(
        "The audit's mean estimate of the recitation share with its mean interval, and the true share in words",
        dots,
        text=lambda dot: f"{estimate_of(dot)}, truth {percent(truth[dot.label])}",
        width=640.0,
        label_width=260.0,
    )


def _value(cell: Mapping[str, Any]) -> str:
    return f"{100 * cell['value']:.1f} %"


def _limits(cell: Mapping[str, Any], scale: float = 1) -> str:
    digits = 1 if scale == 100 else 3
    return f"{scale * cell['low']:.{digits}f} to {scale * cell['high']:.{digits}f}"


def _percent(cell: Mapping[str, Any]) -> str:
    return f"{100 * cell['value']:.1f} % [{100 * cell['low']:.1f}, {100 * cell['high']:.1f}]"

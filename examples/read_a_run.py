"""Read a run directory, also while the run is going on: what each round kept, and why the rest was dropped.

Usage: python examples/read_a_run.py runs/quickstart
"""

import sys
from collections import Counter, defaultdict
from pathlib import Path

from menon import MenonError
from menon.store import Run

SHOWN = 3


def read(path: Path) -> None:
    """Print the fate of every sample by round, and a few right answers from wrong steps."""
    reasons: defaultdict[tuple[str, int], Counter[str]] = defaultdict(Counter)
    unsound = []
    with Run.open(path) as run:
        for unit in run.units():
            if unit.names[-1:] == ("select",):
                for row in run.records("row", stage=unit.stage, names_prefix=unit.names):
                    way = "hinted" if row["hinted"] else "own"
                    reasons[unit.stage, row["round"]][f"{way}, {row['reason']}"] += 1
                    if row["verdict"] == "right" and row["sound"] is False:
                        unsound.append(row)
        print(f"{len(run.units())} units finished, {run.seconds():.0f} s")
    for (arm, number), counts in reasons.items():
        print(f"{arm}, round {number}: " + "; ".join(f"{count} {reason}" for reason, count in counts.most_common()))
    for row in unsound[:SHOWN]:
        print(f"right answer, wrong step ({row['note']}): {row['question']} -> {row['text']}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python read_a_run.py RUN")
    try:
        read(Path(sys.argv[1]))
    except MenonError as error:
        sys.exit(f"error: {error}")

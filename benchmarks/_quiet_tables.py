"""What quiet_star.py makes of its measurements: ratios, the growth of memory, and Markdown tables."""

import math
import statistics
from collections.abc import Sequence
from typing import Any

Found = dict[str, Any]


def ratios(schemes: Found) -> Found:
    """Return theirs over ours, best seconds and peak memory, for every pair that was measured."""
    found = {}
    for theirs in (name for name in schemes if not name.startswith("menon")):
        for ours in (name for name in schemes if name.startswith("menon")):
            one, two = schemes[theirs], schemes[ours]
            if "best_s" in one and "best_s" in two:
                found[f"{theirs}/{ours}"] = {
                    "seconds": round(one["best_s"] / two["best_s"], 2),
                    "memory": round(one["peak_mb"] / two["peak_mb"], 2),
                }
    return found


def memory_growth(cells: Sequence[Found]) -> list[Found]:
    """Return how memory grows with the rows T of a thought: MB for each T, and the power of T (1 is linear)."""
    found = []
    for length, passes in dict.fromkeys((cell["length"], cell["passes"]) for cell in cells):
        same = [cell for cell in cells if (cell["length"], cell["passes"]) == (length, passes)]
        for scheme in dict.fromkeys(name for cell in same for name in cell["schemes"]):
            measured = [
                (cell["rows"], cell["schemes"][scheme]["peak_mb"])
                for cell in same
                if "peak_mb" in cell["schemes"].get(scheme, {})
            ]
            if len(measured) < 2:
                continue
            rows, sizes = zip(*measured, strict=True)
            slope = statistics.linear_regression([math.log(t) for t in rows], [math.log(mb) for mb in sizes]).slope
            found.append(
                {
                    "length": length,
                    "passes": passes,
                    "scheme": scheme,
                    "mb": {str(t): mb for t, mb in measured},
                    "mb_per_row": {str(t): round(mb / t, 2) for t, mb in measured},
                    "power": round(slope, 2),
                }
            )
    return found


def markdown(result: Found) -> str:
    """Write the cells and the growth of memory as two tables."""
    schemes = result["schemes"]
    pairs = list(dict.fromkeys(pair for cell in result["cells"] for pair in cell["ratios"]))
    lines = ["Seconds / MB of one step; ratios are seconds, memory.", ""]
    lines += [row("L", "k", "P", *schemes, *pairs), row(*["---"] * (3 + len(schemes) + len(pairs)))]
    for cell in result["cells"]:
        figures = [figure(cell["schemes"][name]) for name in schemes]
        compared = [cell["ratios"].get(pair) for pair in pairs]
        shown = [f"{r['seconds']:.1f}x, {r['memory']:.1f}x" if r else "-" for r in compared]
        lines.append(row(cell["length"], cell["tokens"], cell["passes"], *figures, *shown))
    grown = result["memory_against_rows"]
    if grown:
        heads = sorted({int(t) for entry in grown for t in entry["mb"]})
        lines += ["", "Memory against the rows T of a thought, MB, and the power of T.", ""]
        lines += [row("L", "P", "scheme", *(f"T={t}" for t in heads), "power"), row(*["---"] * (4 + len(heads)))]
        for entry in grown:
            sizes = [f"{entry['mb'][str(t)]:.0f}" if str(t) in entry["mb"] else "-" for t in heads]
            lines.append(row(entry["length"], entry["passes"], entry["scheme"], *sizes, entry["power"]))
    return "\n".join(lines)


def row(*values: Any) -> str:
    return f"| {' | '.join(map(str, values))} |"


def figure(found: Found) -> str:
    if "best_s" in found:
        return f"{found['best_s']:.2f} / {found['peak_mb']:.0f}"
    return f"about {found['estimate_mb']} MB, not run" if "skipped" in found else "failed"

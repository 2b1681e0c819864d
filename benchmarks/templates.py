"""Instances per second of the template engine on one core: draw values under the conditions, and render.

Without FILE, the templates that ship with Menon; with FILE, any file in the template language. A template's first
draw, in which its solver is planned, is timed apart. Rates are of processor time, beside which wall time stands: on a
busy machine the latter says little. Left out: a peer; no other program reads this language.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import menon.problems.templates
from menon.problems.templates import Template, draw, load_templates, render

OWN = Path(menon.problems.templates.__file__).parent / "own"


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Return wall seconds, processor seconds and what `work` returned."""
    begun, used = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - begun, time.process_time() - used, result


def make(template: Template, name: str, count: int) -> int:
    drawn = draw(template, "benchmark", name, count=count, distinct=False, time_limit_s=600)
    return len([render(template, assignment) for assignment in drawn])


def measure(template: Template, count: int, repeats: int) -> dict[str, Any]:
    """Return the planning time and the rates of one template, medians over repetitions."""
    planning = timed(lambda: draw(template, "benchmark"))[1]
    first_50 = planning + timed(lambda: draw(template, "benchmark", 50, count=50, time_limit_s=60))[1]
    runs = [timed(lambda i=i: make(template, str(i), count)) for i in range(repeats)]
    return {
        "template": template.id,
        "file": Path(template.where.rpartition(":")[0]).name,
        "planning_s": round(planning, 4),
        "first_50_s": round(first_50, 4),
        "instances_per_s": round(count / statistics.median(run[1] for run in runs)),
        "instances_per_s_wall": round(count / statistics.median(run[0] for run in runs)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="files in the template language; ours when left out")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--count", type=int, default=200, help="instances of each template and repetition")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    files = args.files or sorted(OWN.glob("*.templates.jsonl"))
    templates = [template for file in files for template in load_templates(file).templates]
    runs = [measure(template, args.count, args.repeats) for template in templates]
    rates = [run["instances_per_s"] for run in runs]
    result = {
        "benchmark": "templates",
        "templates": len(runs),
        "count": args.count,
        "repeats": args.repeats,
        "instances_per_s": {"min": min(rates), "median": statistics.median(rates), "max": max(rates)},
        "over_5000_per_s": sum(rate >= 5_000 for rate in rates),
        "slowest_first_50_s": max(run["first_50_s"] for run in runs),
        "load_average": round(os.getloadavg()[0], 2),
        "runs": runs,
    }
    if args.json:
        print(json.dumps(result))
        return
    for run in runs:
        print(
            f"{run['file']:32} {run['template']:>12}  {run['instances_per_s']:8} instances/s, "
            f"planned in {run['planning_s']:.3f} s, first 50 in {run['first_50_s']:.3f} s"
        )
    spread = result["instances_per_s"]
    print(
        f"median {spread['median']:.0f} instances/s ({spread['min']}-{spread['max']}), "
        f"{result['over_5000_per_s']} of {len(runs)} templates over 5,000/s; load {result['load_average']}"
    )


if __name__ == "__main__":
    main()

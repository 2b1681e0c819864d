"""How fast an audit is without its model: instances, grades, responses on file, and questions until a verdict.

    python benchmarks/audit.py [--only instances grades recorded questions] [--repeats 5] [--json]

instances  drawn under their conditions and rendered, per second (`templates.py` has every template)
grades     completions graded per second, by grader
recorded   `menon audit recorded:FILE` on 1,000 responses, from reading to report.html, without the start of Python
questions  asked by the adaptive audit until it stops, beside the published 100 x 50 questions, on planted models

Published files in ../shared/data are used where they are there, generated ones elsewhere; the result says which. Rates
are of processor time, medians over repetitions, with wall time beside them: on a busy machine the latter says little.
"""

import argparse
import gzip
import json
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from audit_design import PUBLISHED, Planted, judge, wrong
from templates import OWN, timed
from templates import measure as measured

from menon.auditing import Item, Label
from menon.auditing.adaptive import AdaptiveAudit
from menon.core.seeds import rng_for
from menon.core.values import Completion, Grade, Problem, Verdict
from menon.grading import grade
from menon.problems.templates import load_templates
from menon.studies.audit.run import audit_plan, run_audit

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
DIGITS = "0123456789ABCDEF"
BASES = (10, 8, 9, 11, 16)
CELLS = [(model, base, cot) for model in ("first", "second") for base in BASES for cot in (True, False)]
# Right on so many originals, of which this share is lost: a reasoner, three mixtures, two reciters.
MODELS = [(0.9, 0.0), (0.8, 0.2), (0.8, 0.35), (0.5, 0.5), (0.8, 0.8), (0.9, 1.0)]
ORIGINALS, INSTANCES = 400, 2  # of the adaptive audits
RESPONSES = 1000

Graded = list[tuple[Problem, Completion]]


def instances(repeats: int) -> dict[str, Any]:
    """Return rates of our own templates and, where they are there, of the published ones."""
    sources = {"own": sorted(OWN.glob("*.templates.jsonl"))}
    published = [SHARED / "gsm_symbolic" / f"{name}.templates.jsonl" for name in ("symbolic", "p1")]
    sources["published"] = [file for file in published if file.is_file()]
    found = {}
    for name, files in sources.items():
        templates = [template for file in files for template in load_templates(file).templates]
        if templates:
            runs = [measured(template, 100, min(3, repeats)) for template in templates]
            rates = [run["instances_per_s"] for run in runs]
            found[name] = {
                "templates": len(runs),
                "per_s": statistics.median(rates),
                "least_per_s": min(rates),
                "over_5000_per_s": sum(rate >= 5000 for rate in rates),
                "slowest_first_50_s": max(run["first_50_s"] for run in runs),
            }
    return found


def grades(repeats: int) -> dict[str, Any]:
    """Return completions graded per second for three graders."""
    found = {}
    for name, (source, work) in {"number": numbers(), "digits": sums(), "tokens": sequences()}.items():
        runs = [timed(lambda work=work: [grade(*pair) for pair in work]) for _ in range(repeats)]
        found[name] = {
            "completions": len(work),
            "source": source,
            "mean_characters": round(statistics.fmean(len(completion.text) for _, completion in work)),
            "per_s": round(len(work) / statistics.median(run[1] for run in runs)),
            "per_s_wall": round(len(work) / statistics.median(run[0] for run in runs)),
        }
    return found


def numbers() -> tuple[str, Graded]:
    """Return worked solutions with numbers: real ones to GSM8K, or generated ones."""
    file = SHARED / "gsm8k" / "model_solutions.jsonl.gz"
    texts = [row["solution"] for row in rows_of(file)] if file.is_file() else []
    source = file.name if texts else "generated"
    texts = texts or [
        f"There are {i} of {i + 7}.\n" * 12 + f"So we need {2 * i + 7}.\nA: {2 * i + 7}" for i in range(5000)
    ]
    problem = Problem(family="gsm8k", question="?", answer="12", grader="number?extract=after_a")
    return source, [(problem, Completion(key=str(i), text=text)) for i, text in enumerate(texts)]


def sums() -> tuple[str, Graded]:
    """Return sums in several bases: real answers, or generated ones."""
    source, rows = recorded_rows(5 * RESPONSES)
    return source, [
        (
            Problem(family="sum", question="?", answer=row["gold"], grader=f"digits?base={row['world'][4:]}"),
            Completion(key=row["id"], text=row["response"]),
        )
        for row in rows
    ]


def sequences() -> tuple[str, Graded]:
    """Return continued letter strings: real ones, or generated ones."""
    file = SHARED / "analogies" / "letter_string.jsonl.gz"
    if file.is_file():
        pairs = [(row["gold"], row["responses"]["pattern"]) for row in rows_of(file)]
    else:
        pairs = [(list("ijkm"), f"i j k {letter}]") for letter in "mnop" * 200]
    problem = [
        Problem(family="letters", question="?", answer=" ".join(g), grader="tokens?form=bracket") for g, _ in pairs
    ]
    source = file.name if file.is_file() else "generated"
    return source, [(p, Completion(key="c", text=text)) for p, (_, text) in zip(problem, pairs, strict=True)]


def recorded(repeats: int) -> dict[str, Any]:
    """Return the time of a whole audit of 1,000 responses on file, until its page is written."""
    source, rows = recorded_rows(RESPONSES)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "responses.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

        def work(name: str) -> dict[str, Any]:
            return run_audit(audit_plan([f"recorded:{file}"], out=Path(folder) / name))

        first = timed(lambda: work("warm"))
        runs = [timed(lambda name=name: work(str(name))) for name in range(repeats)]
        assert Path(first[2]["page"]).is_file()
        assert sum(cell["n"] for cell in first[2]["cells"]) == RESPONSES
        cells = len(first[2]["cells"])
    return {
        "responses": len(rows),
        "cells": cells,
        "source": source,
        "first_wall_s": round(first[0], 2),
        "wall_s": round(statistics.median(run[0] for run in runs), 2),
        "least_wall_s": round(min(run[0] for run in runs), 2),
        "processor_s": round(statistics.median(run[1] for run in runs), 2),
        "target_s": 2.0,
    }


def recorded_rows(count: int) -> tuple[str, list[dict[str, Any]]]:
    """Return `count` rows of 20 cells in the counterfactual layout: evenly from the published ones, or generated."""
    file = SHARED / "counterfactual" / "arithmetic_2digit.jsonl.gz"
    if file.is_file():
        rows = list(rows_of(file))
        return file.name, rows[:: len(rows) // count][:count]
    return "generated", [row for number in range(count // len(CELLS)) for row in generated(number)]


def generated(number: int) -> Iterator[dict[str, Any]]:
    """Yield one row of every cell: two-digit sums, of which default worlds are right more often."""
    for model, base, cot in CELLS:
        rng = rng_for("benchmark", "sums", model, base, cot, number)
        one, two = (rng.randrange(base, base * base) for _ in range(2))
        said = one + two + (rng.random() > (0.97 if base == 10 else 0.5))
        working = f"The ones give {written((one + two) % base, base)}, and the rest is carried.\n\n" * (6 if cot else 1)
        item = f"{written(one, base)}+{written(two, base)}"
        yield {
            "task": "arithmetic-2digit",
            "world": f"base{base}",
            "is_default": base == 10,
            "model": model,
            "cot": cot,
            "id": f"{model}/{base}/{cot}/{number}",
            "item": item,
            "prompt": f"All numbers are in base {base}. What is {item}? End with the result in \\boxed{{}}.",
            "response": f"{working}So the result is \\boxed{{{written(said, base)}}}.",
            "gold": written(one + two, base),
        }


def written(value: int, base: int) -> str:
    return (written(value // base, base) if value >= base else "") + DIGITS[value % base]


def rows_of(file: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines)


def questions(repeats: int) -> list[dict[str, Any]]:
    """Run the adaptive audit on planted models, and judge as many answers of the fixed design."""
    originals = [
        Problem(family="planted", question=f"original {i}", answer="1", template=f"t{i}", split="original")
        for i in range(ORIGINALS)
    ]
    found = []
    for accuracy, share in MODELS:
        rng = np.random.default_rng([7, round(100 * accuracy), round(100 * share)])
        model = Planted(accuracy=accuracy, share=share)
        ended = [adaptive(originals, *model.answers(ORIGINALS, INSTANCES, rng)) for _ in range(repeats)]
        right, fresh = zip(*(model.answers(*PUBLISHED, rng) for _ in range(repeats)), strict=True)
        fixed = [judge(a, list(v), 0.95)[1].label for a, v in zip(right, fresh, strict=True)]
        asked = [count for count, _ in ended]
        found.append(
            {
                "accuracy": accuracy,
                "share": share,
                "adaptive_questions": statistics.fmean(asked),
                "most": max(asked),
                "adaptive_verdicts": tally([label for _, label in ended]),
                "fixed_questions": PUBLISHED[0] * (PUBLISHED[1] + 1),
                "fixed_verdicts": tally(fixed),
                "wrong": statistics.fmean(wrong(label, share) for _, label in ended),
                "fixed_wrong": statistics.fmean(wrong(label, share) for label in fixed),
                "same": statistics.fmean(a is b for (_, a), b in zip(ended, fixed, strict=True)),
            }
        )
    return found


def adaptive(originals: Sequence[Problem], right: np.ndarray, fresh: np.ndarray) -> tuple[int, Label]:
    """Let the audit of the package ask until it stops; return its questions and its verdict."""
    audit = AdaptiveAudit(originals, instances=INSTANCES)
    place = {problem.id: at for at, problem in enumerate(originals)}
    while batch := audit.next_batch():
        items = []
        for ask in batch:
            at = place[ask.original]
            outcome = right[at] if ask.instance == 0 else fresh[at, ask.instance - 1]
            verdict = Grade(verdict=Verdict.RIGHT if outcome else Verdict.WRONG)
            if ask.instance == 0:
                items.append(Item(problem=originals[at], grade=verdict, role="original"))
                continue
            again = Problem(
                family="planted",
                question=f"variant {at}/{ask.instance}",
                answer="1",
                template=f"t{at}",
                split="variant",
            )
            items.append(Item(problem=again, grade=verdict, role="fresh", of=ask.original))
        audit.observe(items)
    look = audit.state()
    assert look is not None
    return audit.questions, look.finding.label


def tally(labels: Sequence[Label]) -> dict[str, int]:
    return {str(label): labels.count(label) for label in Label if label in labels}


SECTIONS: dict[str, Callable[[int], Any]] = {
    "instances": instances,
    "grades": grades,
    "recorded": recorded,
    "questions": questions,
}


def main() -> None:
    """Measure the sections asked for, and print them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--repeats", type=int, default=5, help="repetitions, and planted models of each kind")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    result: dict[str, Any] = {"benchmark": "audit", "repeats": args.repeats}
    for name in args.only:
        result[name] = SECTIONS[name](args.repeats)
    result["load_average"] = round(os.getloadavg()[0], 2)
    if args.json:
        print(json.dumps(result))
        return
    for name in args.only:
        found = result[name]
        for key, row in enumerate(found) if isinstance(found, list) else [("", found)]:
            print(f"{name} {key}: {json.dumps(row)}" if key != "" else f"{name}: {json.dumps(row)}")
    print(f"load {result['load_average']}")


if __name__ == "__main__":
    main()

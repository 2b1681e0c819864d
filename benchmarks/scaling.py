"""How the time of a teaching round grows with the number of questions, and what the whole study takes.

    python benchmarks/scaling.py [--questions 200] [--factors 1 3 10] [--run runs/quickstart] [--json]

Each size is one whole round as the study does it: sample, grade, rationalise what failed, filter, store every row,
fine-tune for a number of steps proportional to the questions, write the checkpoint. The exponent is the slope of
log seconds over log questions: 1 is linear, and below 1 says that fixed costs still show. `--run` adds the time and
peak memory that a finished study wrote to its report.json.
"""

import argparse
import json
import math
import os
import tempfile
import time
from pathlib import Path
from typing import Any

STUDY_TARGETS = {"seconds": 240, "peak_memory_mb": 3072}


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default="menon:base", help="menon:base or a model folder")
    parser.add_argument("--questions", type=int, default=200, help="questions of the smallest round")
    parser.add_argument("--factors", type=int, nargs="+", default=[1, 3, 10])
    parser.add_argument("--questions-per-step", type=int, default=8, help="the quickstart has 8")
    parser.add_argument("--repeats", type=int, default=1, help="the fastest of so many rounds of a size counts")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--run", type=Path, help="directory of a finished study, to read its time and memory from")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def one_round(learner: Any, questions: int, steps: int) -> dict[str, Any]:
    """Do one STaR round in a run directory of its own and return what it took."""
    from menon.problems.prompts import STYLES
    from menon.store import Run
    from menon.studies.questions import FamilyQuestions
    from menon.teaching.config import StarConfig, TrainConfig
    from menon.teaching.star import Loop

    # Without a bound on the epochs the steps stay proportional to the questions, whatever share of them is kept.
    star = StarConfig(rounds=1, questions=questions, steps=steps, max_epochs=1e9)
    learner.use(None)
    with (
        tempfile.TemporaryDirectory() as folder,
        Run.create_or_resume(Path(folder) / "run", recipe_toml="", manifest={}) as run,
    ):
        loop = Loop(
            run=run,
            learner=learner,
            questions=FamilyQuestions(families=("addition", "chain"), count=questions),
            style=STYLES.get("menon"),
            config=star,
            train=TrainConfig(),
        )
        started = time.perf_counter()
        (done,) = loop.rounds()
        seconds = time.perf_counter() - started
        training = sum(unit.seconds for unit in run.units() if unit.names[-1] == "train")
    return {
        "questions": questions,
        "steps": done.steps,
        "kept": done.kept,
        "sampled_tokens": done.sampled_tokens,
        "trained_tokens": done.trained_tokens,
        "seconds": round(seconds, 3),
        "training_s": round(training, 3),
        "tokens_per_s": round((done.sampled_tokens + done.trained_tokens) / seconds, 1),
        "seconds_per_1000_questions": round(1000 * seconds / questions, 3),
    }


def slope(xs: list[float], ys: list[float]) -> float:
    """Return the least-squares slope of log y over log x."""
    logs = [(math.log(x), math.log(y)) for x, y in zip(xs, ys, strict=True)]
    mean_x, mean_y = (sum(pair[i] for pair in logs) / len(logs) for i in (0, 1))
    return sum((x - mean_x) * (y - mean_y) for x, y in logs) / sum((x - mean_x) ** 2 for x, _ in logs)


def study(folder: Path) -> dict[str, Any]:
    """Return time, memory and tokens that a finished study wrote down."""
    path = folder / "report.json"
    if not path.is_file():
        raise SystemExit(f"no report.json in {folder}: give the directory of a finished run (menon run quickstart)")
    report = json.loads(path.read_text(encoding="utf-8"))
    cost, machine = report["cost"], report["manifest"]
    return {
        "run": folder.name,
        "seconds": round(cost["seconds"], 1),
        "peak_memory_mb": round(cost["peak_memory_mb"]),
        "sampled_tokens": cost["sampled_tokens"],
        "trained_tokens": cost["trained_tokens"],
        "stages": {stage["name"]: round(stage["seconds"], 1) for stage in cost["stages"]},
        "machine": {name: machine.get(name) for name in ("device", "cores", "threads")},
        "targets": STUDY_TARGETS,
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Time one round of each size, smallest first, after a warm-up round."""
    import torch
    import transformers

    from menon.models.machine import manifest, peak_memory_mb
    from menon.teaching.learner import Learner

    torch.set_num_threads(options.threads)
    transformers.utils.logging.disable_progress_bar()
    learner = Learner(options.model, device="cpu")
    one_round(learner, 48, 2)
    rows = []
    for factor in options.factors:
        questions = options.questions * factor
        steps = max(1, questions // options.questions_per_step)
        tries = [one_round(learner, questions, steps) for _ in range(options.repeats)]
        rows.append(
            {"factor": factor, **min(tries, key=lambda row: row["seconds"]), "peak_memory_mb": peak_memory_mb()}
        )
    machine = manifest()
    questions, seconds = [row["questions"] for row in rows], [row["seconds"] for row in rows]
    return {
        "benchmark": "scaling",
        "machine": {name: machine[name] for name in ("device", "cores", "threads", "versions")},
        "load_average": round(os.getloadavg()[0], 2),
        "model": options.model,
        "rounds": rows,
        "exponent": round(slope(questions, seconds), 3) if len(rows) > 1 else None,
        "study": study(options.run) if options.run else None,
    }


def table(result: dict[str, Any]) -> None:
    """Print the result for people."""
    machine = result["machine"]
    print(f"{machine['device']}, {machine['cores']} cores, {machine['threads']} threads, {result['model']}")
    print(f"{'questions':>9}{'steps':>7}{'sampled':>10}{'trained':>10}{'seconds':>9}{'tokens/s':>10}{'s per 1000':>12}")
    for row in result["rounds"]:
        print(
            f"{row['questions']:>9}{row['steps']:>7}{row['sampled_tokens']:>10}{row['trained_tokens']:>10}"
            f"{row['seconds']:>9.1f}{row['tokens_per_s']:>10.0f}{row['seconds_per_1000_questions']:>12.2f}"
        )
    if result["exponent"] is not None:
        print(f"seconds grow as questions to the power {result['exponent']:.2f}")
    if whole := result["study"]:
        goal = whole["targets"]
        print(
            f"study {whole['run']}: {whole['seconds']:.0f} s (target {goal['seconds']}), "
            f"{whole['peak_memory_mb']} MB at most (target {goal['peak_memory_mb']})"
        )


def main() -> None:
    """Measure, and print a table or one JSON object."""
    options = parse()
    result = measure(options)
    if options.json:
        print(json.dumps(result))
    else:
        table(result)


if __name__ == "__main__":
    main()

"""`menon run quiet`: can a model teach itself to think before it answers, and what of Quiet-STaR does it take?

Every arm starts from the same base model of its seed, learns on direct documents (question and answer, no working) and
is asked held-out problems with and without a thought before the answer. A base and an arm of a seed are units.
Source: Quiet-STaR (arXiv:2403.09629); the controls are those of its section 5.4 and Goyal et al. (arXiv:2310.02226).
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from menon.core.progress import Progress, Silent
from menon.core.recipe import dump_toml
from menon.core.seeds import seed_for
from menon.models.load import load_model, save_model
from menon.models.machine import manifest
from menon.models.thoughts.layout import ThoughtShape, given_places, uniform_places
from menon.models.thoughts.quiet import QuietModel, make_quiet
from menon.reports.quiet_study import write_quiet_study
from menon.stats.means import mean_interval
from menon.store import Run, atomic_directory, atomic_write
from menon.studies.quiet.recipe import QuietArm, QuietStudy
from menon.studies.quiet.states import (
    IDS,
    HeldOutRow,
    build_tokenizer,
    direct_rows,
    held_out_rows,
    measure_skill,
    pretrain_states,
    thought_quality,
)
from menon.teaching.quiet.config import QuietConfig
from menon.teaching.quiet.evaluate import Scored, by_hardness, score_texts
from menon.teaching.quiet.loop import make_quiet_optimizer, teach_quiet
from menon.teaching.quiet.step import Drawn, TextBatch
from menon.teaching.rows import Row
from menon.teaching.train import train

PLAIN_ROWS = 64  # rows of a step of the plain language model
SHARES = ("answer_accuracy_text", "answer_accuracy_mixed", "right_tokens", "right_thoughts")
PLAIN = ("answer_accuracy_text", "answer_nll_text", "other_nll_text")
SUMMED = (
    "answer_accuracy_text", "answer_accuracy_mixed", "answer_nll_text", "answer_nll_mixed", "right_tokens",
    "right_thoughts", "weight_hard", "weight_easy", "other_nll_text", "other_nll_mixed",
)  # fmt: skip


def run_quiet(
    recipe: QuietStudy, *, out: Path, command: str = "", fresh: bool = False, progress: Progress | None = None
) -> dict[str, Any]:
    """Run or resume the study; writes report.json, report.html and the pictures to `out`."""
    progress = progress or Silent()
    with Run.create_or_resume(out, recipe_toml=dump_toml(recipe), manifest=manifest(), fresh=fresh) as run:
        study = _Study(run, recipe, progress)
        report = study.report(command)
        atomic_write(out / "report.json", json.dumps(report, indent=1, ensure_ascii=False))
        page = write_quiet_study(out, report)
    return {**report, "run": str(out), "page": str(page)}


class _Study:
    def __init__(self, run: Run, recipe: QuietStudy, progress: Progress):
        self.run, self.recipe, self.progress = run, recipe, progress
        self.tokenizer = build_tokenizer()
        self.moves = recipe.base.moves
        self.examining = 0.0  # processor seconds

    def report(self, command: str) -> dict[str, Any]:
        bases = {seed: self._base(seed) for seed in self.recipe.seeds}
        arms = []
        for arm in self.recipe.arms:
            runs = [{"seed": seed, **self._arm(arm, seed)} for seed in self.recipe.seeds]
            arms.append(_arm_json(arm, self.recipe, runs))
        return {
            "schema": 1,
            "study": "quiet",
            "seeds": list(self.recipe.seeds),
            "command": command,
            "moves": self.moves,
            "bases": [{"seed": seed, **value} for seed, value in bases.items()],
            "arms": arms,
            "lengths": _lengths(arms, self.recipe),
            "by_hardness": arms[0]["by_hardness"],
            "curves": {arm["name"]: arm["curve"] for arm in arms if arm["curve"]},
            "manifest": self.run.manifest,
        }

    def _base(self, seed: int) -> dict[str, Any]:
        folder = self._base_folder(seed)

        def compute(_writer: Any) -> dict[str, Any]:
            model = pretrain_states(seed, self.recipe.base, self.progress)
            skill = measure_skill(model, 256, seed, n=self.moves)
            with atomic_directory(folder) as temporary:
                save_model(temporary, model, self.tokenizer)
            return {name: getattr(skill, name) for name in skill.__dataclass_fields__}

        return self.run.unit("base", seed, compute=compute)

    def _base_folder(self, seed: int) -> Path:
        return self.run.checkpoint(f"base-{seed}")

    def _arm(self, arm: QuietArm, seed: int) -> dict[str, Any]:
        def compute(writer: Any) -> dict[str, Any]:
            thoughts, config = self.recipe.settings_of(arm)
            model = load_model(str(self._base_folder(seed)), dtype="float32").model
            quiet = make_quiet(model, self.tokenizer, thoughts)
            before = self._evaluate(quiet, seed, self.recipe.test_rows)
            curve = [_point(0, 0.0, self._measures(before, quiet))] if not arm.plain else []
            self.examining, began = 0.0, time.process_time()
            steps = self._plain(quiet, config, seed, arm) if arm.plain else self._think(quiet, config, seed, arm, curve)
            # CPU time is measured, so it is a metric and no part of the unit's value; probes on the way do not count.
            spent = time.process_time() - began - self.examining
            self.run.metric(arm=arm.name, seed=seed, cpu_seconds=round(spent, 3))
            after = self._evaluate(quiet, seed, self.recipe.test_rows)
            hardness = -before.all.logp_text_X
            return {
                "steps": steps,
                "before": self._measures(before, quiet, plain=arm.plain),
                "curve": curve,
                "by_hardness": by_hardness(after.all, hardness),
                **self._measures(after, quiet, plain=arm.plain),
            }

        value = self.run.unit("arm", arm.name, seed, compute=compute)
        seconds = [
            metric["cpu_seconds"]
            for metric in self.run.metrics("arm")
            if metric.get("arm") == arm.name and metric.get("seed") == seed and "cpu_seconds" in metric
        ]
        return {**value, "cpu_seconds": seconds[-1] if seconds else None}

    def _think(
        self, quiet: QuietModel, config: QuietConfig, seed: int, arm: QuietArm, curve: list[dict[str, Any]]
    ) -> int:
        optimizer = make_quiet_optimizer(quiet, config, self.recipe.train)
        self.progress.start(f"{arm.name}, seed {seed}", total=config.steps, unit="steps")
        rewards = []
        for step in teach_quiet(
            quiet,
            lambda number: texts(direct_rows(seed, number, config.rows, n=self.moves)),
            config,
            self.recipe.train,
            names=("quiet", seed),
            optimizer=optimizer,
        ):
            rewards.append(step.reward)
            self.progress.advance(1, f"reward {step.reward:.2f}, weight {step.weight:.2f}")
            self.run.metric(arm=arm.name, seed=seed, **step.to_json())
            if (step.step + 1) % self.recipe.probe_every == 0:
                measures = self._measures(self._evaluate(quiet, seed, self.recipe.probe_rows), quiet)
                curve.append(_point(step.step + 1, float(np.mean(rewards)), measures))
                rewards = []
        return config.steps

    def _plain(self, quiet: QuietModel, config: QuietConfig, seed: int, arm: QuietArm) -> int:
        """Continue the plain language model on the same stream of documents."""
        self.progress.start(f"{arm.name}, seed {seed}", total=config.steps, unit="steps")

        def batch_at(number: int) -> list[Row]:
            return [Row(ids=ids) for ids in direct_rows(seed, number, PLAIN_ROWS, n=self.moves)]

        for step in train(quiet.model, batch_at, self.recipe.train, steps=config.steps, pad=IDS["<pad>"]):
            self.progress.advance(1, f"loss {step.loss:.3f}")
        return config.steps

    def _evaluate(self, quiet: QuietModel, seed: int, rows: int) -> "_Answers":
        began = time.process_time()
        held_out = held_out_rows(rows, seed, n=self.moves)
        shape = ThoughtShape(tokens=quiet.settings.tokens, talk=1)
        passes = self.recipe.test_thoughts
        answers = score_texts(quiet, _at_equals(held_out, shape, passes, seed), shape)
        others = score_texts(quiet, _elsewhere(held_out, shape, passes, seed), shape)
        keep = ~np.isin(_place_key(others), _place_key(answers))
        self.examining += time.process_time() - began
        return _Answers(held_out=held_out, answers=answers, other=others.where(keep), all=others)

    def _measures(self, found: "_Answers", quiet: QuietModel, *, plain: bool = False) -> dict[str, float | None]:
        """Return the numbers of the table; a plain model has none of thoughts."""
        answers, other = found.answers, found.other
        quality = found.quality() if quiet.settings.kind == "sampled" else (None, None)
        measures = {
            "answer_accuracy_text": float(answers.right_text_X.mean()),
            "answer_accuracy_mixed": float(answers.right_mixed_XP.mean()),
            "answer_nll_text": float(-answers.logp_text_X.mean()),
            "answer_nll_mixed": float(-answers.logp_mixed_XP.mean()),
            "right_tokens": quality[0],
            "right_thoughts": quality[1],
            "weight_hard": float(answers.weight_XP.mean()),
            "weight_easy": float(other.weight_XP.mean()),
            "other_nll_text": float(-other.logp_text_X.mean()),
            "other_nll_mixed": float(-other.logp_mixed_XP.mean()),
        }
        return {name: None if plain and name not in PLAIN else value for name, value in measures.items()}


class _Answers:
    """Predictions of the answers and of all other tokens on held-out rows."""

    def __init__(self, *, held_out: list[HeldOutRow], answers: Scored, other: Scored, all: Scored):
        self.held_out, self.answers, self.other, self.all = held_out, answers, other, all

    def quality(self) -> tuple[float, float]:
        """Return the share of right thought tokens at the answers, and of thoughts that are right throughout."""
        judged = []
        for text, position, thoughts in zip(
            self.answers.text_X, self.answers.position_X, self.answers.thoughts_XPK, strict=True
        ):
            row = self.held_out[int(text)]
            problem = row.problems[row.equals.index(int(position))]
            judged += [thought_quality(thought.tolist(), problem) for thought in thoughts]
        shares, whole = zip(*judged, strict=True)
        return float(np.mean(shares)), float(np.mean(whole))


def texts(rows: list[tuple[int, ...]]) -> TextBatch:
    """Stack rows of ids; every token counts."""
    lengths_B = torch.tensor([len(row) for row in rows])
    width = int(lengths_B.max())
    tokens_BL = torch.tensor([[*row, *[IDS["<pad>"]] * (width - len(row))] for row in rows])
    weights_BL = (torch.arange(width)[None] < lengths_B[:, None]).float()
    return TextBatch(tokens_BL=tokens_BL, lengths_B=lengths_B, weights_BL=weights_BL)


def _at_equals(
    held_out: list[HeldOutRow], shape: ThoughtShape, passes: int, seed: int
) -> Iterator[tuple[TextBatch, Drawn]]:
    for number, part in enumerate(_parts(held_out)):
        batch = texts([row.ids for row in part])
        places = given_places([row.equals for row in part], batch.lengths_B, shape)
        generator = torch.Generator().manual_seed(seed_for("quiet states", "at equals", seed, number))
        size = (*places.positions_BM.shape, passes, shape.tokens)
        yield batch, Drawn(places=places, uniforms_BMPK=torch.rand(size, generator=generator))


def _elsewhere(
    held_out: list[HeldOutRow], shape: ThoughtShape, passes: int, seed: int
) -> Iterator[tuple[TextBatch, Drawn]]:
    for number, part in enumerate(_parts(held_out)):
        batch = texts([row.ids for row in part])
        generator = torch.Generator().manual_seed(seed_for("quiet states", "elsewhere", seed, number))
        places = uniform_places(batch.lengths_B, shape, 9, generator)
        size = (*places.positions_BM.shape, passes, shape.tokens)
        yield batch, Drawn(places=places, uniforms_BMPK=torch.rand(size, generator=generator))


def _parts(held_out: list[HeldOutRow], size: int = 32) -> Iterator[list[HeldOutRow]]:
    for start in range(0, len(held_out), size):
        yield held_out[start : start + size]


def _place_key(scored: Scored) -> np.ndarray:
    return scored.text_X.astype(np.int64) * 100_000 + scored.position_X


def _point(step: int, reward: float, measures: dict[str, float | None]) -> dict[str, Any]:
    names = ("answer_accuracy_mixed", "answer_accuracy_text", "weight_hard", "weight_easy", "right_tokens")
    return {"step": step, "reward": reward, **{name: measures[name] for name in names}}


def _arm_json(arm: QuietArm, recipe: QuietStudy, runs: list[dict[str, Any]]) -> dict[str, Any]:
    seconds = [run["cpu_seconds"] for run in runs if run["cpu_seconds"] is not None]
    return {
        "name": arm.name,
        "title": arm.title,
        "plain": arm.plain,
        "tokens": recipe.settings_of(arm)[0].tokens,
        "steps": runs[0]["steps"],
        "cpu_seconds": float(np.mean(seconds)) if seconds else None,
        "runs": [{k: v for k, v in run.items() if k not in ("curve", "by_hardness")} for run in runs],
        "summary": {name: _over_seeds([run[name] for run in runs], share=name in SHARES) for name in SUMMED},
        "before": {name: _over_seeds([run["before"][name] for run in runs], share=name in SHARES) for name in SUMMED},
        "curve": _mean_curve([run["curve"] for run in runs]),
        "by_hardness": _mean_hardness([run["by_hardness"] for run in runs]),
    }


def _over_seeds(values: list[float | None], *, share: bool = False) -> dict[str, float | None] | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    interval = mean_interval(known)
    finite = bool(np.isfinite(interval.low))
    return {
        "value": interval.value,
        "low": None if not finite else max(0.0, interval.low) if share else interval.low,
        "high": None if not finite else min(1.0, interval.high) if share else interval.high,
    }


def _mean_curve(curves: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    if not all(curves):
        return []
    merged = []
    for points in zip(*curves, strict=True):
        point = {"step": points[0]["step"]}
        for name in points[0]:
            known = [p[name] for p in points if p[name] is not None]
            if name != "step":
                point[name] = float(np.mean(known)) if known else None
        merged.append(point)
    return merged


def _mean_hardness(tables: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    rows = []
    for parts in zip(*tables, strict=True):
        rows.append(
            {
                "bin": parts[0]["bin"],
                "nll_text": float(np.mean([part["nll_text"] for part in parts])),
                "gain": _over_seeds([part["gain"]["value"] for part in parts]),
                "weight": float(np.mean([part["weight"] for part in parts])),
                "n": sum(part["n"] for part in parts),
            }
        )
    return rows


def _lengths(arms: list[dict[str, Any]], recipe: QuietStudy) -> list[dict[str, Any]]:
    shown = {arm.name for arm in recipe.arms if arm.length}
    rows = [
        {"tokens": arm["tokens"], **{name: arm["summary"][name] for name in SUMMED[1:4:2]}}
        for arm in arms
        if arm["name"] in shown
    ]
    return sorted(rows, key=lambda row: row["tokens"])

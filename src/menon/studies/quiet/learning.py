"""The unit in which a model learns to think: resumable within, watched while it runs.

A state is saved every `save_every` steps: parameters, optimizer, step, and the metrics so far. A run that was killed
goes on from the last one and ends with the same bytes.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from menon.core.errors import Diverged, Refused, RunError
from menon.core.progress import Progress
from menon.models.thoughts.quiet import QuietModel
from menon.models.thoughts.saving import save_quiet
from menon.store import Run, UnitWriter, atomic_directory, atomic_remove
from menon.studies.quiet.teach_recipe import QuietStar
from menon.teaching.doctor import Finding
from menon.teaching.quiet.loop import QuietStep, frozen_copy, make_quiet_optimizer, teach_quiet
from menon.teaching.quiet.step import TextBatch
from menon.teaching.quiet.watch import Watch
from menon.teaching.train import STATE, load_state, save_state

METRIC = {"stage": "lesson_stage"}  # a line of metrics has a stage of its own, that of the run
CHECKPOINT, TEACHER = "quiet", "teacher.safetensors"


def learn(
    run: Run,
    recipe: QuietStar,
    quiet: QuietModel,
    tokenizer: Any,
    batch_at: Callable[[int], TextBatch],
    *,
    force: bool,
    progress: Progress,
) -> dict[str, Any]:
    """Teach `quiet` (or find that it was taught) and return the curve; the weights are in checkpoints/quiet."""
    folder = run.checkpoint(CHECKPOINT)

    def compute(writer: UnitWriter) -> dict[str, Any]:
        lesson = _Lesson(run, recipe, quiet, folder, writer)
        alarms = lesson.go(batch_at, force, progress)
        _check_finite(quiet, recipe, recipe.quiet.steps)
        with atomic_directory(folder) as temporary:
            save_quiet(temporary, quiet, tokenizer)
        return {"curve": lesson.curve, "alarms": alarms, "tokens": sum(point["tokens"] for point in lesson.curve)}

    taught = run.unit("teach", compute=compute)
    for left in (_partial(folder), _teacher(folder)):  # only now: a kill before the commit goes on from these
        atomic_remove(left)
    return taught


def _partial(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.partial")


def _teacher(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.teacher")


def _said(step: QuietStep, finding: Finding) -> str:
    return f"step {step.step + 1}: {finding.what} -> {finding.mend}"


def _check_finite(quiet: QuietModel, recipe: QuietStar, step: int) -> None:
    """Raise `Diverged` before broken weights take the place of the state that was saved last."""
    broken = next((name for name, p in quiet.named_parameters() if not bool(torch.isfinite(p).all())), None)
    if broken:
        raise Diverged(
            f"step {step} of {recipe.quiet.steps} left {broken} not finite; the state that was saved before it stays; "
            f"lower train.learning_rate (now {recipe.train.learning_rate:g}), or train in float32 or bfloat16"
        )


class _Lesson:
    def __init__(self, run: Run, recipe: QuietStar, quiet: QuietModel, folder: Path, writer: UnitWriter):
        self.run, self.recipe, self.quiet, self.writer = run, recipe, quiet, writer
        self.partial, self.teacher_folder = _partial(folder), _teacher(folder)
        self.optimizer = make_quiet_optimizer(quiet, recipe.quiet, recipe.train)
        self.curve: list[dict[str, Any]] = []

    def go(self, batch_at: Callable[[int], TextBatch], force: bool, progress: Progress) -> list[str]:
        recipe = self.recipe
        reference = frozen_copy(self.quiet) if recipe.quiet.kl else None  # before anything is restored
        first = self._restore()
        watch = Watch(recipe.quiet, kind=recipe.thoughts.kind)
        before = [QuietStep(**point) for point in self.curve]
        alarms = [_said(step, finding) for step in before for finding in watch.see(step)]
        progress.start("teach", total=recipe.quiet.steps, unit="steps")
        progress.advance(first)
        began = time.perf_counter()
        for step in teach_quiet(
            self.quiet,
            batch_at,
            recipe.quiet,
            recipe.train,
            names=("quiet-star", recipe.seed),
            optimizer=self.optimizer,
            first_step=first,
            reference=reference,
            teacher=self._teacher,
        ):
            self.curve.append(step.to_json())
            self.run.metric(**{METRIC.get(name, name): value for name, value in step.to_json().items()})
            rate = step.tokens / (time.perf_counter() - began)
            progress.advance(1, f"reward {step.reward:.3f}, weight {step.weight:.2f}, {rate:.0f} tokens/s")
            began = time.perf_counter()
            for finding in watch.see(step):
                said = _said(step, finding)
                alarms.append(said)
                progress.say(said)
                if finding.level == "refuse" and recipe.quiet.stop and not force:
                    raise Refused(f"{said}; --force goes on all the same (or --set quiet.stop=false)")
            if recipe.save_every and (step.step + 1) % recipe.save_every == 0 and step.step + 1 < recipe.quiet.steps:
                self._save(step.step + 1)
        return alarms

    def _save(self, step: int) -> None:
        _check_finite(self.quiet, self.recipe, step)
        with atomic_directory(self.partial) as temporary:
            save_state(temporary, self.quiet, self.optimizer, step)
            self.writer.save_draft(temporary)

    def _restore(self) -> int:
        if not (self.partial / STATE).exists():
            return 0
        step, _ = load_state(self.partial, self.quiet, self.optimizer)
        self.writer.load_draft(self.partial)
        self.curve = [
            {name: point[METRIC.get(name, name)] for name in QuietStep.__dataclass_fields__}
            for point in self.writer.metrics_so_far()
            if "reward_std" in point
        ]
        return step

    def _teacher(self, first: bool) -> QuietModel:
        """Return the thinking model of the stage without thoughts: as it is at the stage's first step, from then on."""
        path = self.teacher_folder / TEACHER
        learnt = {name: p for name, p in self.quiet.named_parameters() if p.requires_grad}
        if first:
            with atomic_directory(self.teacher_folder) as temporary:
                save_file({name: p.detach().cpu().contiguous() for name, p in learnt.items()}, temporary / TEACHER)
            return frozen_copy(self.quiet)
        teacher = frozen_copy(self.quiet)
        try:
            stored = load_file(path)
        except (OSError, SafetensorError) as error:
            raise RunError(f"cannot read {str(path)!r}: {error}; start again with --fresh") from error
        with torch.no_grad():
            for name, parameter in teacher.named_parameters():
                if name in stored:
                    parameter.copy_(stored[name])
        return teacher

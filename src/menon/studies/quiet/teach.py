"""`menon teach quiet-star`: examine, teach a model to think before every token, examine again, show the thoughts.

Before and after are the same held-out texts at the same positions with the same numbers for chance, and the same
problems: all differences are paired. The audit, where asked for, puts the same questions to the thinking model and to
the base.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from menon.core.errors import ConfigError, DataError, Refused
from menon.core.progress import Progress, Silent
from menon.core.recipe import dump_toml, load_recipe
from menon.core.seeds import content_id, seed_for
from menon.models.adapters import with_lora
from menon.models.load import Loaded, load_model
from menon.models.machine import manifest
from menon.models.thoughts.budget import ThinkingBudget
from menon.models.thoughts.layout import every_place
from menon.models.thoughts.quiet import QuietModel, make_quiet
from menon.models.thoughts.saving import load_quiet
from menon.models.thoughts.support import set_dropout_off
from menon.reports.quiet_page import write_quiet_page
from menon.sampling.asking import Graded
from menon.sampling.local import LocalSampler
from menon.sampling.thinking import ThinkingSampler
from menon.stats.means import mean_interval
from menon.store import Run, atomic_write
from menon.studies.plan import Plan
from menon.studies.quiet.asked import Asked, asked_problems, asked_report
from menon.studies.quiet.learning import CHECKPOINT, learn
from menon.studies.quiet.material import Texts, gather_texts
from menon.studies.quiet.teach_recipe import QuietStar
from menon.studies.runner import weights_file_hash
from menon.teaching.quiet.doctor import QuietDoctorReport, examine_quiet
from menon.teaching.quiet.evaluate import Scored, by_hardness, score_texts, summarise
from menon.teaching.quiet.step import Drawn, TextBatch, draw_chance


def run_quiet_star(plan: Plan, *, fresh: bool, force: bool, progress: Progress | None = None) -> dict[str, Any]:
    """Run or resume the study and return its report.

    Raises:
        Refused: the doctor found before or while teaching that it cannot work (unless `force`).
    """
    recipe = plan.recipe
    assert isinstance(recipe, QuietStar)
    progress = progress or Silent()
    text = dump_toml(recipe)
    hashes = {"recipe": content_id("recipe", text)}
    if weights := weights_file_hash(recipe.model):
        hashes["weights"] = weights
    described = {**manifest(**hashes), "command": plan.command}
    with Run.create_or_resume(plan.folder, recipe_toml=text, manifest=described, fresh=fresh) as run:
        study: _Teaching | None = None
        try:
            study = _Teaching(run, recipe, progress)
            report = study.report(force)
        except (ConfigError, DataError, Refused) as error:
            stopped = isinstance(error, Refused) and study is not None and study.begun
            if not stopped and _nothing_to_lose(run):  # the mended command may use the same folder
                run.discard()
            raise
        report = {**report, "command": plan.command, "manifest": run.manifest}
        atomic_write(plan.folder / "report.json", json.dumps(report, indent=1, ensure_ascii=False))
        page = write_quiet_page(plan.folder, report)
    return {**report, "run": str(plan.folder), "page": str(page)}


def _nothing_to_lose(run: Run) -> bool:
    looked = all(unit.stage in ("doctor", "before") for unit in run.units())
    return looked and not run.checkpoint(CHECKPOINT).parent.exists()


def diagnose_quiet(recipe: QuietStar, out: Path | None, progress: Progress) -> QuietDoctorReport:
    """Run only the doctor; `out` receives doctor.json."""
    loaded = load_model(recipe.model, device=recipe.device, dtype=recipe.dtype)
    texts = gather_texts(recipe, loaded.tokenizer, progress)
    report = _examine(fresh_quiet(loaded, recipe), texts, recipe, progress)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        atomic_write(out / "doctor.json", json.dumps(report.to_json(), indent=1))
    return report


def fresh_quiet(loaded: Loaded, recipe: QuietStar) -> QuietModel:
    """Give the model new thought vectors and a new mixing head, and an adapter where the recipe asks for one."""
    model: Any = loaded.model
    broken = next((name for name, p in model.named_parameters() if not bool(torch.isfinite(p).all())), None)
    if broken:
        raise ConfigError(
            f"{recipe.model!r} has weights that are not finite ({broken}); load it with --set dtype=float32, or "
            "copy or save it again"
        )
    if recipe.quiet.lora_rank:
        folder = Path(recipe.model)
        model = with_lora(
            model,
            rank=recipe.quiet.lora_rank,
            alpha=recipe.quiet.lora_alpha,
            seed=seed_for("quiet lora", recipe.seed),
            base=str(folder.resolve()) if folder.exists() else recipe.model,
        )
    return make_quiet(model, loaded.tokenizer, recipe.thoughts)


def _examine(quiet: QuietModel, texts: Texts, recipe: QuietStar, progress: Progress) -> QuietDoctorReport:
    batches = [texts.batch(number) for number in range(2)]
    return examine_quiet(quiet, batches, recipe.quiet, recipe.train, seed=recipe.seed, progress=progress)


class _Teaching:
    def __init__(self, run: Run, recipe: QuietStar, progress: Progress):
        self.run, self.recipe, self.progress = run, recipe, progress
        self.begun = False
        self.loaded: Loaded = load_model(recipe.model, device=recipe.device, dtype=recipe.dtype)
        if changed := set_dropout_off(self.loaded.model):
            progress.say(f"dropout is off: {len(changed)} settings were above 0 (such as {changed[0]})")
        self.tokenizer = self.loaded.tokenizer
        self.texts: Texts = gather_texts(recipe, self.tokenizer, progress)

    def report(self, force: bool) -> dict[str, Any]:
        recipe = self.recipe
        quiet = fresh_quiet(self.loaded, recipe)
        doctor = self._doctor(quiet, force)
        asked = asked_problems(recipe)
        plain_before = self._asked("before", asked, lambda: LocalSampler(quiet.plain, self.tokenizer))
        before, hardness = self._scores("before", lambda: quiet, None)
        likely = self._likely("before", asked, None)
        self.begun = True
        taught = learn(
            self.run,
            recipe,
            quiet,
            self.tokenizer,
            self.texts.batch,
            force=force,
            progress=self.progress,
        )
        model = _Taught(self.run.checkpoint(CHECKPOINT), recipe)
        after, _ = self._scores("after", lambda: model.quiet, hardness)
        texts = self._shown(model)
        plain_after = self._asked("after", asked, lambda: LocalSampler(model.quiet.plain, self.tokenizer))
        thinking = self._asked(
            "thinking",
            asked,
            lambda: ThinkingSampler(model.quiet, self.tokenizer, ThinkingBudget()),
        )
        told = asked_report(plain_before, plain_after, thinking) if asked else None
        if told is not None and recipe.evaluation.direct:
            told["renormalised_answer_probability"] = {
                "before": likely,
                "after": self._likely("after", asked, model),
            }
        return {
            "schema": 1,
            "study": "quiet-star",
            "model": recipe.model,
            "settings": recipe.thoughts.model_dump(mode="json"),
            "parameters": self.loaded.parameters,
            "steps": recipe.quiet.steps,
            "checkpoint": f"checkpoints/{CHECKPOINT}",
            "texts_read": self.texts.told,
            "curve": taught["curve"],
            "alarms": taught["alarms"],
            "trained_tokens": taught["tokens"],
            "before": before,
            "after": after,
            "doctor": doctor,
            "texts": texts,
            "asked": told,
            "audit": self._compared(told),
            "seconds": self.run.seconds(),
        }

    def _doctor(self, quiet: QuietModel, force: bool) -> dict[str, Any]:
        recipe = self.recipe

        def compute(_writer: Any) -> dict[str, Any]:
            found = _examine(quiet, self.texts, recipe, self.progress).to_json()
            measured = ("tokens_per_second", "seconds_estimate")
            self.run.metric(**{name: found.pop(name) for name in measured if name in found})
            return found

        doctor = self.run.unit("doctor", compute=compute)
        for finding in doctor["findings"]:
            self.progress.say(f"{finding['level']}: {finding['what']} -> {finding['mend']}")
        if not doctor["ok"] and not force:
            reasons = "; ".join(f"{f['what']} -> {f['mend']}" for f in doctor["findings"] if f["level"] == "refuse")
            raise Refused(f"teaching would not work: {reasons}; --force runs it all the same")
        return doctor

    def _scores(self, stage: str, model: Any, hardness: list[float] | None) -> tuple[dict[str, Any], list[float]]:
        """Return the evaluation on held-out texts, and the plain loss of each token, by which `after` is sorted."""
        recipe = self.recipe

        def compute(_writer: Any) -> dict[str, Any]:
            self.progress.say(f"held-out texts, {stage} teaching")
            quiet = model()
            work = list(self._held_out(quiet))
            scored = score_texts(quiet, work, quiet.shape, slice_rows=recipe.quiet.slice_rows)
            losses = [round(float(-value), 6) for value in scored.logp_text_X]
            told = summarise(scored)
            told["by_hardness"] = by_hardness(scored, np.array(hardness or losses))
            return {"evaluation": told, "losses": losses}

        value = self.run.unit(stage, "texts", compute=compute)
        return value["evaluation"], value["losses"]

    def _held_out(self, quiet: QuietModel) -> Iterator[tuple[TextBatch, Drawn]]:
        asked = self.recipe.evaluation
        config = self.recipe.quiet.model_copy(update={"passes": asked.thoughts, "positions": asked.positions})
        shape = type(quiet.shape)(tokens=quiet.shape.tokens, talk=1)
        for number, batch in enumerate(self.texts.held_out_batches):
            yield batch, draw_chance(batch, quiet, shape, config, "held out", self.recipe.seed, number)

    def _shown(self, model: "_Taught") -> list[dict[str, Any]]:
        count = self.recipe.evaluation.shown

        def compute(_writer: Any) -> dict[str, Any]:
            quiet = model.quiet
            shape = type(quiet.shape)(tokens=quiet.shape.tokens, talk=1)
            shown = []
            for number, batch in enumerate(self.texts.rows_alone(count)):
                places = every_place(batch.lengths_B, shape)
                size = (*places.positions_BM.shape, 1, shape.tokens)
                generator = torch.Generator().manual_seed(seed_for("quiet shown", number))
                chance = Drawn(places=places, uniforms_BMPK=torch.rand(size, generator=generator))
                scored = score_texts(quiet, [(batch, chance)], shape, slice_rows=self.recipe.quiet.slice_rows)
                shown.append(_text(f"held-out text {number + 1}", batch, scored, self.tokenizer))
            return {"texts": shown}

        return self.run.unit("after", "shown", compute=compute)["texts"] if count else []

    def _asked(self, stage: str, asked: Asked | None, sampler: Any) -> list[Graded]:
        if asked is None:
            return []
        return asked.ask(self.run, sampler, stage, self.progress)

    def _likely(self, stage: str, asked: Asked | None, model: "_Taught | None") -> dict[str, Any]:
        """Return the official code's "accuracy", of the plain and of the thinking model."""
        if asked is None or not self.recipe.evaluation.direct:
            return {}

        def compute(_writer: Any) -> dict[str, Any]:
            quiet = model.quiet if model else fresh_quiet(self.loaded, self.recipe)
            return {
                name: asked.probabilities(quiet, self.tokenizer, thinking=name == "thinking")
                for name in ("plain", "thinking")
            }

        values = self.run.unit(stage, "answers", compute=compute)
        return {name: mean_interval(found).to_json() for name, found in values.items()}

    def _compared(self, asked: dict[str, Any] | None) -> dict[str, Any] | None:
        """Return what the page shows in pairs: the problems that were asked, and the audit."""
        audit = self._audit() if self.recipe.evaluation.audit else {}
        rows = [*(asked["rows"] if asked else []), *audit.get("paired", [])]
        return {**audit, "paired": rows} if audit or rows else None

    def _audit(self) -> dict[str, Any]:
        """Audit the thinking model and the base with the same questions; its own run lies in audit/."""
        from menon.studies.audit.recipe import AuditRecipe
        from menon.studies.audit.run import AuditPlan, run_audit

        folder = self.run.path / "audit"
        checkpoint = str(self.run.checkpoint(CHECKPOINT))
        words = [f"model={json.dumps(checkpoint)}", f"against={json.dumps(self.recipe.model)}", "think.where='every'"]
        recipe = load_recipe("audit", AuditRecipe, words)
        command = f"menon audit {checkpoint} --think --against {self.recipe.model} --out {folder}"
        report = run_audit(AuditPlan(recipe=recipe, folder=folder, command=command), progress=self.progress)
        return audit_block(report)


class _Taught:
    """The taught model, loaded when it is first needed."""

    def __init__(self, folder: Path, recipe: QuietStar):
        self._folder, self._recipe = folder, recipe
        self._quiet: QuietModel | None = None

    @property
    def quiet(self) -> QuietModel:
        if self._quiet is None:
            found = load_quiet(str(self._folder), device=self._recipe.device, dtype=self._recipe.dtype)
            self._quiet = found.quiet
        return self._quiet


def audit_block(report: dict[str, Any]) -> dict[str, Any]:
    """Return what the page shows of an audit of the thinking model against the base: its verdict, and the pairs."""
    tuning = report.get("tuning") or {"rows": []}
    paired = [
        {
            "name": f"{row['task']}, {row['condition']}",
            "n": row["n"],
            # The audit compares the base with the thinking model; here the base comes first.
            "difference": {"value": -row["difference"], "low": -row["high"], "high": -row["low"]},
            "p": row["p_adjusted"],
        }
        for row in tuning["rows"]
    ]
    return {"after": {"verdict": report.get("verdict")}, "paired": paired, "report": "audit/report.html"}


def _text(name: str, batch: TextBatch, scored: Scored, tokenizer: Any) -> dict[str, Any]:
    ids = batch.tokens_BL[0, : int(batch.lengths_B[0])].tolist()
    by_position = {int(position): entry for entry, position in enumerate(scored.position_X)}
    tokens = []
    for place, token in enumerate(ids):
        said: dict[str, Any] = {"text": tokenizer.decode([token]), "gain": None, "weight": None, "thoughts": []}
        entry = by_position.get(place - 1)  # the thought before a token is had after the token before it
        if entry is not None:
            said |= {
                "gain": round(float(scored.gain_X[entry]), 4),
                "weight": round(float(scored.weight_XP[entry].mean()), 4),
                "nll_text": round(float(-scored.logp_text_X[entry]), 4),
                "nll_mixed": round(float(-scored.logp_mixed_XP[entry].mean()), 4),
                "thoughts": [_decoded(thought, tokenizer) for thought in scored.thoughts_XPK[entry]],
            }
        tokens.append(said)
    return {"name": name, "tokens": tokens}


def _decoded(thought: np.ndarray, tokenizer: Any) -> str:
    return "(pause)" if (thought < 0).any() else tokenizer.decode(thought.tolist())

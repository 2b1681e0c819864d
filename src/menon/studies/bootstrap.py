"""The main job: a model teaches itself with STaR, and is asked before and after whether it reasons or recites.

Doctor, a first examination (fresh test questions, originals of the training text, re-instantiations of the originals),
the rounds, the same examination again paired by problem, and the control that learns answers alone from as many
tokens. On a data set without templates there are no re-instantiations, so the audit is left out and said to be.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from menon.auditing import Item, KnownAnswers, KnownCase, Label, check_known_answers
from menon.core.errors import Refused
from menon.core.progress import Named, Progress
from menon.core.values import Problem
from menon.problems import FAMILIES
from menon.problems.corpus import originals
from menon.sampling import Sampler, open_sampler
from menon.sampling.asking import Asking, Graded, ask, evaluate
from menon.store import Run
from menon.studies.material import Material
from menon.studies.recipe import Bootstrap
from menon.teaching.doctor import DoctorReport, examine
from menon.teaching.learner import Learner
from menon.teaching.star import Loop, Round


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What a model answered: fresh test questions, and originals with their re-instantiations."""

    test: list[Graded]
    items: list[Item]
    graded: list[Graded]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Everything the report is made of."""

    doctor: dict[str, Any]
    before: Examination
    rounds: list[Round]
    per_round: list[list[Graded]]
    after: Examination
    direct: list[Graded] | None


def bootstrap(run: Run, recipe: Bootstrap, material: Material, *, force: bool, progress: Progress) -> Outcome:
    """Run or resume the study.

    Raises:
        Refused: the doctor found that teaching cannot work, or a round kept nothing (unless `force`).
    """
    learner = Learner(recipe.model, device=recipe.device, dtype=recipe.dtype, slots=recipe.slots)
    doctor = _doctor(run, recipe, material, learner, progress)
    for finding in doctor["findings"]:
        progress.say(f"{finding['level']}: {finding['what']} -> {finding['mend']}")
    if not doctor["ok"] and not force:
        reasons = "; ".join(f"{f['what']} -> {f['mend']}" for f in doctor["findings"] if f["level"] == "refuse")
        raise Refused(f"teaching would not work: {reasons}; --force runs it all the same")
    asking = material.asking(recipe.evaluation.temperature, recipe.evaluation.max_tokens)
    progress.say("examining the base")
    before = _examine(run, recipe, material, learner.sampler, asking, "before", progress)
    rounds, per_round = _teach(run, recipe, material, learner, asking, before, force, progress)
    progress.say("examining the taught model")
    after = _examine(run, recipe, material, learner.sampler, asking, "after", progress)
    direct = _direct(run, recipe, material, learner, rounds, progress) if recipe.direct_control else None
    return Outcome(doctor=doctor, before=before, rounds=rounds, per_round=per_round, after=after, direct=direct)


def doctor_report(recipe: Bootstrap, material: Material, learner: Learner, progress: Progress) -> DoctorReport:
    """Ask a few of the first round's questions and report."""
    problems = material.doctor_problems(24 if material.audited else 32)
    return examine(
        learner.sampler(),
        problems,
        material.asking(recipe.star.temperature, recipe.star.max_tokens, samples=4 if material.audited else 2),
        star=recipe.star.model_copy(update={"questions": len(material.questions.round(1))}),
        training=recipe.train,
        loaded=learner.base,
        progress=Named(progress, "doctor"),
    )


def _doctor(run: Run, recipe: Bootstrap, material: Material, learner: Learner, progress: Progress) -> dict[str, Any]:
    def compute(writer: Any) -> dict[str, Any]:
        report = doctor_report(recipe, material, learner, progress).to_json()
        # Estimates rest on measured speed, so they are kept as a metric and not in the unit's value.
        run.metric(seconds_estimate=report.pop("seconds_estimate"), memory_mb=report.pop("memory_mb"))
        return report

    return run.unit("doctor", compute=compute)


def _examine(
    run: Run,
    recipe: Bootstrap,
    material: Material,
    sampler: Callable[[], Sampler],
    asking: Asking,
    stage: str,
    progress: Progress,
) -> Examination:
    test = evaluate(run, sampler, material.test, asking, stage=stage, names=("test",), progress=progress)
    if not material.audited:
        return Examination(test=test, items=[], graded=test)
    pairs = audit_problems(recipe)
    problems = [problem for problem, _ in pairs]
    audited = evaluate(run, sampler, problems, asking, stage=stage, names=("audit",), progress=progress)
    return Examination(test=test, items=as_items(audited, {p.id: o for p, o in pairs}), graded=[*test, *audited])


def audit_problems(recipe: Bootstrap) -> list[tuple[Problem, str]]:
    """Return originals and their re-instantiations, each with the id of its original (empty for the originals)."""
    names = [*recipe.families, *([recipe.control_family] if recipe.control_family else [])]
    found: dict[str, tuple[Problem, str]] = {}
    for name in names:
        family = FAMILIES.get(name)
        for original in originals(family)[: recipe.evaluation.originals]:
            found.setdefault(original.id, (original, ""))
            for number in range(recipe.evaluation.variants):
                variant = family.variant(original, number)
                found.setdefault(variant.id, (variant, original.id))
    return list(found.values())


def as_items(graded: Sequence[Graded], original_of: dict[str, str]) -> list[Item]:
    """Turn graded audit problems into the audit's items."""
    return [
        Item(
            problem=item.problem,
            grade=item.grade,
            role="fresh" if original_of[item.problem.id] else "original",
            of=original_of[item.problem.id],
        )
        for item in graded
    ]


def _teach(
    run: Run,
    recipe: Bootstrap,
    material: Material,
    learner: Learner,
    asking: Asking,
    before: Examination,
    force: bool,
    progress: Progress,
) -> tuple[list[Round], list[list[Graded]]]:
    loop = Loop(
        run=run,
        learner=learner,
        questions=material.questions,
        style=material.style,
        few_shot=material.few_shot,
        config=recipe.star,
        train=recipe.train,
        seed=recipe.seed,
        save_every=recipe.save_every,
        force=force,
        progress=progress,
    )
    rounds, per_round = [], [before.test]
    for report in loop.rounds():
        rounds.append(report)
        names = ("round", report.round)
        per_round.append(
            evaluate(run, learner.sampler, material.test, asking, stage="rounds", names=names, progress=progress)
        )
        for alarm in report.alarms:
            progress.say(f"round {report.round}: {alarm}")
        progress.say(
            f"round {report.round}: asked {report.asked}, right {report.right}, kept {report.kept} "
            f"({report.rationalised} rationalised), test accuracy {_share(per_round[-1]):.1%}"
        )
    return rounds, per_round


def _share(graded: Sequence[Graded]) -> float:
    return sum(item.grade.right for item in graded) / max(1, len(graded))


def _direct(
    run: Run, recipe: Bootstrap, material: Material, learner: Learner, rounds: Sequence[Round], progress: Progress
) -> list[Graded] | None:
    """Train the base on answers alone, with as many tokens as the taught model was trained on; None if on none."""
    trained = [report.trained_tokens for report in rounds if report.trained_tokens]
    if not trained:
        return None
    budget = trained[-1] if recipe.star.restart else sum(trained)
    steps = max(1, budget // (recipe.train.tokens_per_batch * recipe.train.accumulate) * 2)
    star = recipe.star.model_copy(
        update={
            "preset": "direct",
            "learn": "direct",
            "rationalize": False,
            "rounds": 1,
            "steps": steps,
            "restart": True,
        }
    )
    star = star.model_copy(update={"questions": recipe.star.questions * recipe.star.rounds, "max_epochs": 1e9})
    loop = Loop(
        run=run,
        learner=learner,
        questions=material.more_questions(star.questions),
        style=material.style,
        config=star,
        train=recipe.train,
        arm="direct",
        seed=recipe.seed,
        token_budget=budget,
        progress=progress,
    )
    for _ in loop.rounds():
        pass
    asking = material.asking(recipe.evaluation.temperature, recipe.evaluation.max_tokens, direct=True)
    return evaluate(run, learner.sampler, material.test, asking, stage="direct-test", progress=progress)


def known_answers(recipe: Bootstrap, material: Material) -> KnownAnswers:
    """Run the audit on stand-ins whose nature is known: a reciter and an oracle."""
    pairs = audit_problems(recipe)
    problems, original_of = [p for p, _ in pairs], {p.id: o for p, o in pairs}
    asking = material.asking(0.0, recipe.evaluation.max_tokens)
    cases = []
    for spec, expected in (("scripted:reciter", Label.RECITES), ("scripted:oracle?p=0.9", Label.REASONS)):
        sampler: Any = open_sampler(spec)
        sampler.bind(problems)
        cases.append(
            KnownCase(name=spec, expected=expected, items=tuple(as_items(ask(sampler, problems, asking), original_of)))
        )
    return check_known_answers(cases)

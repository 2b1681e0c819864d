"""The probe of templates: original problems against re-instantiations that change names, numbers, or both.

Further arms put in a clause that does not matter (noop), or one or two clauses more or one less (p1, p2, m1). The
latter are other problems, harder or easier on purpose: their losses are reported as difficulty, never as reciting.
Options: `arms`, `clauses` (a file of clauses for the user's templates), `matched`, `oversample`.
Source: Mirzadeh et al. 2024, arXiv:2410.05229; deviations: instances are matched in difficulty to the original, every
comparison is paired by template, and by default the templates are our own, which were never published.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from menon.auditing.contrasts import Contrast, cells_of, contrasts_of
from menon.auditing.probe import Answered, Effect, Material, ProbeReport, Question, skipped
from menon.auditing.probes.templates_tables import (
    clause_rows,
    match_rows,
    outcomes_by_item,
    per_template,
    set_rows,
)
from menon.auditing.sentences import percent
from menon.auditing.verdict import AuditConfig, Finding, cannot_tell, combine
from menon.core.errors import ConfigError
from menon.core.seeds import rng_for
from menon.problems.templates.clauses import load_clauses
from menon.problems.templates.family import (
    ARMS,
    MORE_OR_LESS,
    OVERSAMPLE,
    TemplateFamily,
    load_families,
    own_families,
)
from menon.problems.templates.functions import TemplateError
from menon.problems.templates.language import Failure
from menon.stats import paired_difference

ORIGINAL, MAIN = "original", "both"
READING = "number"
WORDS = {
    "names": "only names and words change",
    "numbers": "only numbers change",
    "noop": "a clause that does not matter is added too",
    "p1": "one clause more",
    "p2": "two clauses more",
    "m1": "one clause less",
}
OWN_NOTE = (
    "These templates were never published, so a loss on them measures how much the model depends on surface, "
    "not that it has seen the originals."
)
PUBLISHED_NOTE = (
    "The originals may have been in the model's training data, so a loss measures memorised originals and dependence "
    "on surface together."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Templates:
    """Originals against their re-instantiations, from the user's template files or from our own."""

    name: str = "templates"
    title: str = "Original problems against re-instantiations"
    source: str = "Mirzadeh et al. 2024 (GSM-Symbolic), arXiv:2410.05229"

    def objection(self, material: Material) -> str | None:
        if not material.live:
            return "recorded responses answer their own questions; they hold no re-instantiations of templates"
        families, failures = _families(material)
        if families:
            return None
        return (
            f"none of {len(failures)} templates can be used; the first: {failures[0].reason}"
            if failures
            else ("the template files hold no template")
        )

    def questions(self, material: Material) -> list[Question]:
        """Return originals and instances, template by template; a larger `per_cell` asks the same ones and more.

        Raises:
            ConfigError: an option that is unknown or has a value that is not allowed.
        """
        options = _options(material)
        families = list(_families(material)[0])
        rng_for("probe templates", material.seed).shuffle(families)
        families = families[: material.per_cell]
        count = max(1, round(material.per_cell / max(1, len(families))))
        asked: list[Question] = []
        for family in families:
            asked += _questions_of(family, count, options, material.seed)
        return asked

    def measure(self, material: Material) -> Iterable[dict[str, Any]]:
        return ()

    def report(
        self, answered: Sequence[Answered], measured: Sequence[Mapping[str, Any]], material: Material
    ) -> ProbeReport:
        cells = cells_of(self.name, answered, level=material.config.level, reading=READING)
        contrasts = [_as_difficulty(row) for row in contrasts_of(cells, config=material.config)]
        if not contrasts:
            return replace(skipped(self, "no original was answered together with an instance"), cells=tuple(cells))
        main = [row for row in contrasts if row.altered.condition == MAIN]
        effects = [row.effect(primary=len(main) == 1 and row is main[0]) for row in contrasts]
        if len(main) != 1:
            effects += _pooled(answered, material.config)
        effects = [_noted(effect, row) for effect, row in zip(effects, [*contrasts, None], strict=False)]
        effects += _clause_alone(answered, material.config)
        return ProbeReport(
            name=self.name,
            title=self.title,
            source=self.source,
            sentence=_sentence(contrasts, answered, material.config.level),
            cells=tuple(cells),
            contrasts=tuple(contrasts),
            effects=tuple(effects),
            tables={
                "per template": per_template(answered),
                "instance sets": set_rows(answered),
                "match of difficulty": match_rows(answered, material.config),
                "inconsequential clauses": clause_rows(answered),
            },
            notes=tuple(_notes(answered, contrasts, material)),
            finding=_finding(main),
        )


def _options(material: Material) -> dict[str, Any]:
    options = {"arms": list(ARMS), "clauses": None, "matched": True, "oversample": OVERSAMPLE}
    for name, value in material.options.items():
        if name not in options:
            raise ConfigError(f"probe 'templates' has no option {name!r}; allowed: {', '.join(options)}")
        options[name] = value
    unknown = [arm for arm in options["arms"] if arm not in ARMS]
    if unknown or isinstance(options["arms"], str):
        allowed = ", ".join(ARMS)
        raise ConfigError(f"option arms of probe 'templates' is {options['arms']!r}; allowed: a list of {allowed}")
    if not isinstance(options["matched"], bool):
        raise ConfigError(f"option matched of probe 'templates' is {options['matched']!r}; allowed: true, false")
    return options


def _families(material: Material) -> tuple[tuple[TemplateFamily, ...], tuple[Failure, ...]]:
    if not material.templates:
        return own_families(), ()
    clauses = material.options.get("clauses")
    files = [*material.templates, *([Path(clauses)] if clauses else [])]
    changed = tuple(file.stat().st_mtime_ns if file.exists() else 0 for file in files)
    return _loaded(tuple(material.templates), clauses, changed)


@lru_cache(maxsize=4)
def _loaded(
    paths: tuple[Path, ...], clauses: str | None, changed: tuple[int, ...]
) -> tuple[tuple[TemplateFamily, ...], tuple[Failure, ...]]:
    """Read template files; `changed` are their times, so that a changed file is read again."""
    families, failures = load_families(paths, clauses=load_clauses(clauses) if clauses else ())
    usable = []
    for family in families:
        try:
            family.original()
            usable.append(family)
        except ValueError as error:
            failures.append(Failure(file=str(paths[0]), template=family.id, reason=str(error)))
    return tuple(usable), tuple(failures)


def _questions_of(family: TemplateFamily, count: int, options: Mapping[str, Any], seed: int) -> list[Question]:
    original = family.original()
    asked = [
        Question(
            problem=original,
            task=family.name,
            condition=ORIGINAL,
            baseline=True,
            pair=family.id,
            cluster=family.id,
            role="original",
        )
    ]
    for arm in (arm for arm in family.arms if arm in options["arms"]):
        try:
            problems = family.instances(
                count, arm=arm, seed=seed, matched=options["matched"], oversample=options["oversample"]
            )
        except TemplateError:
            continue  # an arm without instances of this template; the report counts templates per arm
        asked += [
            Question(
                problem=problem,
                task=family.name,
                condition=arm,
                pair=family.id,
                cluster=family.id,
                of=original.id if arm == MAIN else "",
            )
            for problem in problems
        ]
    return asked


def _as_difficulty(row: Contrast) -> Contrast:
    """Withdraw the verdict of a contrast with problems that are harder or easier on purpose."""
    if row.altered.condition not in MORE_OR_LESS:
        return row
    reason = f"this arm has {WORDS[row.altered.condition]} and is a measure of difficulty, no evidence of reciting"
    return replace(row, finding=cannot_tell(reason))


def _noted(effect: Effect, row: Contrast | None) -> Effect:
    if row is None or row.altered.condition not in MORE_OR_LESS:
        return effect
    return replace(effect, note=f"{effect.note}; difficulty, no evidence of reciting")


def _pooled(answered: Sequence[Answered], config: AuditConfig) -> list[Effect]:
    """Return the loss from the originals to `both` over all files and models, as the primary effect."""
    rows = [row for row in outcomes_by_item(answered, level="template") if {ORIGINAL, MAIN} <= row.scores.keys()]
    if not rows:
        return []
    return [_effect("all templates: original to both", rows, ORIGINAL, MAIN, config, primary=True)]


def _clause_alone(answered: Sequence[Answered], config: AuditConfig) -> list[Effect]:
    """Return what the clause alone costs: the same instance with it and without."""
    rows = [row for row in outcomes_by_item(answered, level="item") if {MAIN, "noop"} <= row.scores.keys()]
    if not rows:
        return []
    return [_effect("all templates: both to noop (the clause alone)", rows, MAIN, "noop", config)]


def _effect(label: str, rows: Sequence[Any], one: str, two: str, config: AuditConfig, primary: bool = False) -> Effect:
    change = paired_difference(
        [row.scores[one] for row in rows],
        [row.scores[two] for row in rows],
        [row.cluster for row in rows],
        seed=config.seed,
        level=config.level,
    )
    return Effect(
        label=label,
        value=-change.value,
        low=-change.high,
        high=-change.low,
        n=change.n,
        p=change.p,
        primary=primary,
        note="paired by item",
    )


def _finding(main: Sequence[Contrast]) -> Finding:
    """Return the verdict on originals against `both`; one per file and model, combined."""
    if not main:
        return cannot_tell("no original was answered together with an instance in which names and numbers change")
    if len(main) == 1:
        return main[0].finding
    return combine({f"{row.task} ({row.model})" if row.model else row.task: row.finding for row in main})


def _sentence(contrasts: Sequence[Contrast], answered: Sequence[Answered], level: float) -> str:
    keys = list(dict.fromkeys((row.model, row.task, row.cot) for row in contrasts))
    texts = []
    for model, task, cot in keys:
        rows = {row.altered.condition: row for row in contrasts if (row.model, row.task, row.cot) == (model, task, cot)}
        lead = ", ".join(part for part in (model, task) if part) + ": " if len(keys) > 1 else ""
        texts.append(lead + _one_sentence(rows, level))
    return " ".join([*texts, PUBLISHED_NOTE if _published(answered) else OWN_NOTE])


def _one_sentence(rows: Mapping[str, Contrast], level: float) -> str:
    baseline = next(iter(rows.values())).baseline
    text = f"{percent(baseline.accuracy)} of {baseline.n} original problems are right"
    main = rows.get(MAIN)
    if main is not None:
        text += f", {percent(main.altered.accuracy)} when names and numbers change"
    arms = [arm for arm in ("names", "numbers", "noop") if arm in rows]
    others = [f"{percent(rows[arm].altered.accuracy)} when {WORDS[arm]}" for arm in arms]
    text += f" ({'; '.join(others)})" if others else ""
    if main is not None:
        text += (
            f": a {'gain' if main.loss < 0 else 'loss'} of {abs(100 * main.loss):.0f} points "
            f"({100 * level:.0f} % interval of the loss {100 * main.low:.0f} to {100 * main.high:.0f})"
        )
    harder = [f"{WORDS[arm]} {percent(rows[arm].altered.accuracy)}" for arm in MORE_OR_LESS if arm in rows]
    return text + "." + (f" With other difficulty: {', '.join(harder)}." if harder else "")


def _notes(answered: Sequence[Answered], contrasts: Sequence[Contrast], material: Material) -> Iterable[str]:
    yield "p1, p2 and m1 are harder or easier problems; their losses are a measure of difficulty, not of reciting."
    originals = {a.question.pair for a in answered if a.question.condition == ORIGINAL}
    for arm in dict.fromkeys(row.altered.condition for row in contrasts):
        have = {a.question.pair for a in answered if a.question.condition == arm}
        if len(have) < len(originals):
            yield f"{arm}: {len(have)} of {len(originals)} templates have this arm."
    off = [row for row in match_rows(answered, material.config) if not row["matched"]]
    if off:
        named = ", ".join(f"{row['feature']} in {row['arm']}" for row in off)
        yield f"Instances and originals differ in: {named}; see the match of difficulty."
    if material.templates:
        for failure in _families(material)[1][:20]:
            yield f"left out: template {failure.template} of {failure.file}: {failure.reason}"


def _published(answered: Sequence[Answered]) -> bool:
    return any(a.question.problem.meta.get("published", True) for a in answered)


TEMPLATES = Templates()

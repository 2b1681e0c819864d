"""Turn the outcome of a bootstrap study into report.json."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from menon.auditing import accuracy_table, audit_cells, by_phase, compare_families
from menon.core.seeds import rng_for
from menon.core.values import Grade, Problem
from menon.models.machine import peak_memory_mb
from menon.problems import FAMILIES
from menon.sampling.asking import Graded
from menon.store import Run
from menon.studies.bootstrap import Outcome, known_answers
from menon.studies.material import Material
from menon.studies.recipe import Bootstrap

DIFFICULTY_UNITS = {"addition": "digits", "chain": "steps", "counter-programs": "steps", "facts": "rarity"}


def assemble(run: Run, recipe: Bootstrap, material: Material, outcome: Outcome) -> dict[str, Any]:
    """Return the report; the same for equal records, apart from measured times, speeds and memory."""
    phases = {"before": outcome.before.test, "after": outcome.after.test}
    if outcome.direct is not None:
        phases["direct"] = outcome.direct
    sampled = sum(unit.value.get("sampled_tokens", 0) for unit in run.units() if unit.names[-1:] != ("train",))
    trained = sum(unit.value.get("tokens", 0) for unit in run.units() if unit.names[-1:] == ("train",))
    seconds = run.seconds()
    audit = _audit(recipe, material, outcome)
    return {
        "schema": 1,
        "study": recipe.study,
        "model": recipe.model,
        "run": run.path.name,
        "verdict": audit["verdict"],
        "accuracy": _accuracy(phases),
        "hard_band": _accuracy({phase: _hard(graded) for phase, graded in phases.items()}),
        "by_difficulty": _by_difficulty(phases),
        "by_round": _by_round(outcome.per_round),
        "recitation_share": audit["recitation_share"],
        "original_by_difficulty": audit["original_by_difficulty"],
        "paired": {
            name: row.to_json()
            for name, row in compare_families(_pairs(outcome.before.test), _pairs(outcome.after.test)).items()
        },
        "known_answers": audit["known_answers"],
        "rounds": _rounds(outcome),
        "doctor": outcome.doctor,
        "transcripts": _transcripts(recipe, outcome),
        "data": _data(material),
        "families": {name: {"difficulty": unit} for name, unit in DIFFICULTY_UNITS.items()},
        "cost": {
            "sampled_tokens": sampled,
            "trained_tokens": trained,
            "seconds": seconds,
            "peak_memory_mb": peak_memory_mb(),
            "stages": _stages(run),
        },
        "tokens": sampled + trained,
        "seconds": seconds,
    }


def _audit(recipe: Bootstrap, material: Material, outcome: Outcome) -> dict[str, Any]:
    if not material.audited:
        reason = "no audit: the data has no templates to re-instantiate; teach on families to get one"
        phase = {"label": "cannot tell yet", "sentence": reason, "reason": reason}
        share = {"recitation_share": {}, "original_by_difficulty": {}, "known_answers": []}
        return {"verdict": {"before": phase, "after": phase, "sentence": _gain_sentence(outcome)}, **share}
    known = known_answers(recipe, material)
    reports = {
        phase: audit_cells(examination.items, known=known)
        for phase, examination in (("before", outcome.before), ("after", outcome.after))
    }
    blocks = by_phase(reports)
    before, after = (blocks["verdict"][phase] for phase in ("before", "after"))
    blocks["verdict"]["sentence"] = f"{_verdict_sentence(before['label'], after['label'])} {_gain_sentence(outcome)}"
    blocks["original_by_difficulty"] = {
        name: {phase: report.families[name].original.rows() for phase, report in reports.items()}
        for name in reports["before"].families
    }
    return blocks


SAID = {
    "reasons": "reasons",
    "recites": "recites",
    "mixed": "does some of both",
    "cannot do the task": "cannot do the task",
    "cannot tell yet": "cannot be judged yet",
}


def _verdict_sentence(before: str, after: str) -> str:
    if before == after:
        return f"The model {SAID[after]}, before teaching itself and after."
    return f"Before teaching itself the model {SAID[before]}; after it, the model {SAID[after]}."


def _gain_sentence(outcome: Outcome) -> str:
    before, after = _hard(outcome.before.test), _hard(outcome.after.test)
    where = "On hard problems"
    if not before:
        before, after, where = outcome.before.test, outcome.after.test, "On held-out problems"
    first, last = accuracy_table(_pairs(before)), accuracy_table(_pairs(after))
    parts = []
    for name, row in compare_families(_pairs(before), _pairs(after)).items():
        values = first[name].overall.value, last[name].overall.value
        if name != "facts" and values[0] is not None and values[1] is not None:
            sure = "" if row.distinguishable else " (not distinguishable)"
            parts.append(f"{name} from {100 * values[0]:.0f} % to {100 * values[1]:.0f} %{sure}")
    return f"{where}: {'; '.join(parts)}." if parts else "Nothing to compare."


def _pairs(graded: Sequence[Graded]) -> list[tuple[Problem, Grade]]:
    return [(item.problem, item.grade) for item in graded]


def _hard(graded: Sequence[Graded]) -> list[Graded]:
    known = FAMILIES.names()
    return [g for g in graded if g.problem.family in known and g.problem.difficulty in _band(g.problem.family)]


def _band(family: str) -> tuple[int, ...]:
    return FAMILIES.get(family).hard_band


def _accuracy(phases: dict[str, list[Graded]]) -> dict[str, dict[str, Any]]:
    table: dict[str, dict[str, Any]] = {}
    for phase, graded in phases.items():
        for name, row in accuracy_table(_pairs(graded)).items():
            table.setdefault(name, {})[phase] = row.overall.to_json()
    return table


def _by_difficulty(phases: dict[str, list[Graded]]) -> dict[str, dict[str, Any]]:
    table: dict[str, dict[str, Any]] = {}
    for phase, graded in phases.items():
        for name, row in accuracy_table(_pairs(graded)).items():
            table.setdefault(name, {})[phase] = row.rows()
    return table


def _by_round(per_round: Sequence[Sequence[Graded]]) -> dict[str, list[dict[str, Any]]]:
    table: dict[str, list[dict[str, Any]]] = {}
    for number, graded in enumerate(per_round):
        for name, row in accuracy_table(_pairs(graded)).items():
            table.setdefault(name, []).extend({"round": number, **cell} for cell in row.rows())
    return table


def _rounds(outcome: Outcome) -> list[dict[str, Any]]:
    rows = []
    for report, graded in zip(outcome.rounds, outcome.per_round[1:], strict=True):
        accuracy = {name: row.overall.value for name, row in accuracy_table(_pairs(graded)).items()}
        hard = {name: row.overall.value for name, row in accuracy_table(_pairs(_hard(graded))).items()}
        rows.append({**report.to_json(), "accuracy": accuracy, "hard_band": hard})
    return rows


def _transcripts(recipe: Bootstrap, outcome: Outcome) -> list[dict[str, Any]]:
    """Pick pairs of answers, most of them where something changed, and say what the model wrote before and after."""
    after = {item.problem.id: item for item in outcome.after.test}
    pairs = [(item, after[item.problem.id]) for item in outcome.before.test if item.problem.id in after]
    kinds: dict[tuple[bool, bool], list[tuple[Graded, Graded]]] = {}
    for pair in pairs:
        kinds.setdefault((pair[0].grade.right, pair[1].grade.right), []).append(pair)
    rng = rng_for("transcripts", recipe.seed)
    for group in kinds.values():
        rng.shuffle(group)
    wanted = recipe.evaluation.transcripts
    shares = {(False, True): wanted // 2, (False, False): wanted // 5, (True, False): wanted // 5}
    chosen = [pair for kind, count in shares.items() for pair in kinds.get(kind, [])[:count]]
    chosen += kinds.get((True, True), [])[: wanted - len(chosen)]
    return [
        {
            "id": first.problem.id,
            "family": first.problem.family,
            "difficulty": first.problem.difficulty,
            "question": first.problem.question,
            "answer": first.problem.answer,
            "before": _written(first),
            "after": _written(second),
        }
        for first, second in chosen
    ]


def _written(item: Graded) -> dict[str, Any]:
    text = (
        item.completion.text
        if item.completion.reasoning is None
        else f"{item.completion.reasoning}\n{item.completion.text}"
    )
    return {"text": text, "verdict": item.grade.verdict.value, "sound": item.grade.sound, "id": item.completion.id}


def _stages(run: Run) -> list[dict[str, Any]]:
    seconds: defaultdict[str, float] = defaultdict(float)
    for unit in run.units():
        if unit.stage in ("star", "direct"):
            part = "train" if unit.names[-1] == "train" else str(unit.names[1])
            seconds[f"{unit.stage}: {part}"] += unit.seconds
        else:
            seconds[unit.stage] += unit.seconds
    return [{"name": name, "seconds": value} for name, value in seconds.items()]


def _data(material: Material) -> dict[str, Any] | None:
    if material.dataset is None:
        return None
    skipped = [{"line": row.line, "reason": row.reason} for row in material.dataset.skipped]
    return {"layout": material.dataset.layout, "problems": len(material.dataset.problems), "skipped": skipped}

"""The probe of counterfactual worlds: the same skill under everyday rules and under others, stated in the question.

Every task has a default world, some of its counterfactual worlds and a comprehension check in each; a loss in a world
whose check failed is reported as not understood, never as reciting. `worlds_report` makes the same report of recorded
responses, where a control task `PREFIX-ccc` serves the tasks `PREFIX` and `PREFIX-...`.
Options: `tasks`, `worlds` ("extremes", "all" or names), `per_cell`, `per_control`, `cot` ("audit", "both", "with",
"without"), `difficulty`, `split`.
Source: Wu et al. 2023, arXiv:2307.02477; by default each task asks the two worlds that were easiest and hardest there
instead of all.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from menon.auditing.contrasts import Cell, Contrast, cells_of, contrasts_of
from menon.auditing.probe import Answered, Material, ProbeReport, Question
from menon.auditing.probes.worlds_findings import finding_of, pooled, sentence_of
from menon.auditing.verdict import AuditConfig
from menon.core.errors import ConfigError
from menon.core.values import Problem, Verdict
from menon.problems import worlds as registry
from menon.problems.worlds import WorldTask
from menon.stats import wilson

NAME = "worlds"
TITLE = "Counterfactual worlds"
SOURCE = "Wu et al. 2023, arXiv:2307.02477"
READING = "the grader of each task"
MOST_TRIES = 20  # draws per question before a cell is left smaller than asked for
PER_CONTROL = 20
CONTROL_SUFFIX = "-ccc"
WAYS: dict[str, tuple[bool | None, ...]] = {
    "audit": (None,),
    "both": (True, False),
    "with": (True,),
    "without": (False,),
}
# Easiest and hardest for GPT-4 with working in the source; tasks not named here ask their first and last world.
EXTREMES = {
    "arithmetic": ("base16", "base9"),
    "syntax": ("OVS", "SOV"),
    "spatial": ("swap-ns", "rotate-180"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """The options of one audit, checked."""

    tasks: tuple[str, ...]
    worlds: str | tuple[str, ...]
    per_cell: int
    per_control: int
    ways: tuple[bool | None, ...]
    difficulty: int | None
    split: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Worlds:
    """Default against counterfactual worlds, with comprehension checks."""

    name: str = NAME
    title: str = TITLE
    source: str = SOURCE
    suite: Mapping[str, WorldTask] = field(default_factory=dict)  # other tasks than the registered ones, for tests

    def objection(self, material: Material) -> str | None:
        return None if material.live else "recorded responses answer their own questions; give the file as the model"

    def questions(self, material: Material) -> list[Question]:
        """Return the questions of all cells.

        Raises:
            ConfigError: an option that is unknown or has a value that is not allowed.
        """
        plan = self._plan(material)
        asked: list[Question] = []
        for name in plan.tasks:
            task = self._task(name)
            for world in ("default", *_chosen(name, task, plan.worlds)):
                asked += _cell_questions(task, world, plan, material.cot)
        return asked

    def measure(self, material: Material) -> Iterable[dict[str, Any]]:
        return ()

    def report(
        self, answered: Sequence[Answered], measured: Sequence[Mapping[str, Any]], material: Material
    ) -> ProbeReport:
        return worlds_report(answered, material.config)

    def _task(self, name: str) -> WorldTask:
        return self.suite[name] if name in self.suite else registry.WORLDS.get(name)

    def _plan(self, material: Material) -> _Plan:
        options = dict(material.options)
        chosen = {
            "tasks": options.pop("tasks", None) or list(self.suite) or registry.WORLDS.names(),
            "worlds": options.pop("worlds", "extremes"),
            "cot": options.pop("cot", "audit"),
            "per_cell": options.pop("per_cell", material.per_cell),
            "difficulty": options.pop("difficulty", None),
            "split": options.pop("split", "test"),
        }
        controls = options.pop("per_control", min(PER_CONTROL, chosen["per_cell"]))
        if options:
            allowed = ", ".join([*chosen, "per_control"])
            raise ConfigError(f"probe 'worlds' has no option {next(iter(options))!r}; allowed: {allowed}")
        if chosen["cot"] not in WAYS:
            raise ConfigError(f"option cot of probe 'worlds' is {chosen['cot']!r}; allowed: {', '.join(WAYS)}")
        for name, count in (("per_cell", chosen["per_cell"]), ("per_control", controls)):
            if type(count) is not int or count < (name == "per_cell"):
                raise ConfigError(f"option {name} of probe 'worlds' is {count!r}; allowed: a whole number, 1 or more")
        tasks, worlds = chosen["tasks"], chosen["worlds"]
        return _Plan(
            tasks=(tasks,) if isinstance(tasks, str) else tuple(tasks),
            worlds=worlds if isinstance(worlds, str) else tuple(worlds),
            per_cell=chosen["per_cell"],
            per_control=controls,
            ways=WAYS[chosen["cot"]],
            difficulty=chosen["difficulty"],
            split=chosen["split"],
        )


def worlds_report(
    answered: Iterable[Answered],
    config: AuditConfig | None = None,
    *,
    controls: Mapping[str, str] | None = None,
    reading: str = READING,
    name: str = NAME,
    title: str = TITLE,
    source: str = SOURCE,
    notes: Sequence[str] = (),
) -> ProbeReport:
    """Return the report of answers in default and counterfactual worlds, live or recorded, of one model or several.

    `controls` names the control task of each task where it is neither the task itself nor `PREFIX-ccc`.
    """
    config = config or AuditConfig()
    items = [_as_control(item) for item in answered]
    cells = cells_of(name, items, level=config.level, reading=reading)
    served = control_tasks({item.question.task for item in items}) | dict(controls or {})
    contrasts = contrasts_of(cells, config=config, controls=served)
    if not contrasts:
        reason = "no task was answered both in its default world and in another one"
        return ProbeReport(
            name=name,
            title=title,
            source=source,
            status="skipped",
            reason=reason,
            cells=tuple(cells),
            notes=tuple(notes),
        )
    overall = pooled(contrasts, config)
    several = len({contrast.model for contrast in contrasts}) > 1
    rows = [contrast.effect() for contrast in contrasts]
    if several:
        rows = [replace(row, label=f"{c.model}, {row.label}") for row, c in zip(rows, contrasts, strict=True)]
    unchecked = sum(contrast.control is None for contrast in contrasts)
    notes = [*notes, *([f"{unchecked} of {len(contrasts)} worlds have no comprehension check"] if unchecked else [])]
    curves = _by_difficulty(cells, config.level)
    return ProbeReport(
        name=name,
        title=title,
        source=source,
        sentence=sentence_of(contrasts, overall),
        cells=tuple(cells),
        contrasts=tuple(contrasts),
        effects=(overall, *rows),
        tables={"Worlds": [_row(contrast) for contrast in contrasts]},
        curves=curves,
        x_names=dict.fromkeys(curves, "difficulty"),
        notes=tuple(notes),
        finding=finding_of(contrasts),
    )


def control_tasks(tasks: Iterable[str]) -> dict[str, str]:
    """Return for each task the control task PREFIX-ccc that serves it; the longest prefix wins."""
    names = sorted(set(tasks))
    prefixes = sorted((name.removesuffix(CONTROL_SUFFIX) for name in names if name.endswith(CONTROL_SUFFIX)), key=len)
    return {
        name: prefix + CONTROL_SUFFIX
        for prefix in prefixes
        for name in names
        if not name.endswith(CONTROL_SUFFIX) and (name == prefix or name.startswith(prefix + "-"))
    }


def _as_control(item: Answered) -> Answered:
    if item.question.control or not item.question.task.endswith(CONTROL_SUFFIX):
        return item
    return replace(item, question=replace(item.question, control=True))


def _chosen(name: str, task: WorldTask, asked: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return the counterfactual worlds of a task that are asked; names that only other tasks know are passed over."""
    if asked == "all":
        return task.worlds
    if asked == "extremes":
        extremes = [world for world in EXTREMES.get(name, ()) if world in task.worlds]
        return tuple(dict.fromkeys(extremes or (task.worlds[0], task.worlds[-1])))
    if isinstance(asked, str):
        asked = (asked,)
    found = tuple(world for world in task.worlds if world in asked)
    if not found:
        raise ConfigError(
            f"option worlds of probe 'worlds' is {list(asked)!r}, none of which task {name!r} has; "
            f"allowed: extremes, all, or names out of {', '.join(task.worlds)}"
        )
    return found


def _cell_questions(task: WorldTask, world: str, plan: _Plan, usual_way: bool) -> list[Question]:
    """Return the questions of one world and its comprehension checks, for every way of asking."""
    problems = _distinct(
        lambda index: task.problem(plan.split, index, difficulty=plan.difficulty, world=world), plan.per_cell
    )
    checks = _distinct(lambda index: task.control(plan.split, index, world=world), plan.per_control)
    return [
        Question(
            problem=problem,
            task=task.name,
            condition=task.default if world == "default" else world,
            baseline=world == "default",
            control=control,
            cot=usual_way if way is None else way,
            pair=f"{task.name}/{'control/' if control else ''}{problem.meta.get('item', problem.id)}",
            cluster=str(problem.meta.get("cluster", "")),
        )
        for way in plan.ways
        for control, group in ((False, problems), (True, checks))
        for problem in group
    ]


def _distinct(draw: Callable[[int], Problem], count: int) -> list[Problem]:
    """Return the first `count` problems with different questions; fewer where the space is small."""
    found: dict[str, Problem] = {}
    for index in range(count * MOST_TRIES):
        if len(found) >= count:
            break
        problem = draw(index)
        found.setdefault(problem.question, problem)
    return list(found.values())


def _row(contrast: Contrast) -> dict[str, Any]:
    return {
        "task": contrast.task,
        "model": contrast.model,
        "working": contrast.cot,
        "world": contrast.altered.condition,
        "n": contrast.altered.n,
        "default accuracy": contrast.baseline.accuracy,
        "accuracy": contrast.altered.accuracy,
        "low": contrast.altered.low,
        "high": contrast.altered.high,
        "loss": contrast.loss,
        "p": contrast.p,
        "paired": contrast.paired,
        "check": None if contrast.control is None else contrast.control.accuracy,
        "understood": contrast.understood,
        "verdict": str(contrast.finding.label),
        "reason": contrast.finding.reason,
    }


def _by_difficulty(cells: Sequence[Cell], level: float) -> dict[str, list[dict[str, Any]]]:
    """Return accuracy against the tasks' own difficulty, one series per world, for tasks with more than one."""
    curves: dict[str, list[dict[str, Any]]] = {}
    for cell in cells:
        scores: dict[int, list[float]] = {}
        for item in cell.answered:
            if item.question.problem.difficulty and item.grade.verdict is not Verdict.ERROR:
                scores.setdefault(item.question.problem.difficulty, []).append(item.grade.score)
        if cell.control or len(scores) < 2:
            continue
        points = []
        for difficulty, values in sorted(scores.items()):
            limits = wilson(sum(values), len(values), level)
            points.append(
                {"x": difficulty, "value": limits.value, "low": limits.low, "high": limits.high, "n": limits.n}
            )
        way = {True: ", with working", False: ", answers only", None: ""}[cell.cot]
        series = f"{cell.condition}{way}" + (f" ({cell.model})" if cell.model else "")
        curves.setdefault(f"{cell.task}: accuracy against difficulty", []).append({"name": series, "points": points})
    return curves


WORLDS = Worlds()

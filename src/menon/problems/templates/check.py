"""Check template files: does each one load, can it be solved, and do published instances fit?

An instance belongs to the template whose number is its `id`. Where several files have a template of that number, it
belongs to the first that it can be read by.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from menon.core.progress import Progress, Silent
from menon.grading.numbers import parse_number
from menon.problems.rows import read_rows
from menon.problems.templates.functions import FAILURES, TemplateError
from menon.problems.templates.language import Assignment, Failure, Template, load_templates
from menon.problems.templates.matching import match, readings, strays
from menon.problems.templates.render import answer_of, render
from menon.problems.templates.solver import draw, violations


@dataclass(slots=True, kw_only=True)
class CheckReport:
    """Counts of a check, every failure with its reason, and remarks on what is odd but works."""

    templates: int = 0
    loaded: int = 0
    solvable: int = 0
    instances: int = 0
    parsed: int = 0
    satisfied: int = 0
    answers_equal: int = 0
    failures: list[Failure] = field(default_factory=list)
    warnings: list[Failure] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.failures


def check(
    paths: Sequence[str | Path],
    instances: str | Path | None = None,
    *,
    count: int = 50,
    time_limit_s: float = 4.0,
    lists: Mapping[str, Sequence[Any]] | None = None,
    progress: Progress | None = None,
) -> CheckReport:
    """Load the templates of `paths`, draw `count` distinct instances of each, and read `instances` back.

    Raises:
        DataError: a file is missing or cannot be read at all.
        ConfigError: a list of `lists` cannot be used.
    """
    progress = progress or Silent()
    report = CheckReport()
    templates: list[Template] = []
    for path in paths:
        loaded = load_templates(path, lists=lists)
        templates += loaded.templates
        report.failures += loaded.failures
        report.warnings += [Failure(file=str(path), template="", reason=note) for note in loaded.notes]
    report.templates, report.loaded = len(templates) + len(report.failures), len(templates)
    progress.start("solving templates", len(templates), "templates")
    for template in templates:
        _solve(template, count, time_limit_s, report)
        progress.advance(note=template.id)
    if instances is not None:
        _compare(templates, Path(instances), report, progress)
    return report


def _solve(template: Template, count: int, time_limit_s: float, report: CheckReport) -> None:
    """Draw and render instances; add the template to the solvable ones if all are as they must be."""
    report.warnings += [_failure(template, reason) for reason in oddities(template)]
    try:
        drawn = draw(template, "check", count=count, time_limit_s=time_limit_s)
        questions = {render(template, assignment).question for assignment in drawn}
    except TemplateError as error:
        report.failures.append(_failure(template, _without_place(template, error)))
        return
    broken = {c.text for assignment in drawn for c in violations(template, assignment)}
    if broken or len(questions) != count:
        reason = f"drew {len(questions)} different questions of {count}; conditions that failed: {sorted(broken)}"
        report.failures.append(_failure(template, reason))
        return
    report.solvable += 1
    report.warnings += [_failure(template, reason) for reason in _stated_otherwise(template, drawn)]


def _compare(templates: Sequence[Template], path: Path, report: CheckReport, progress: Progress) -> None:
    by_id: dict[str, list[Template]] = {}
    for template in templates:
        by_id.setdefault(template.id, []).append(template)
    rows = list(read_rows(path))
    progress.start("reading instances", len(rows), "instances")
    for row in rows:
        progress.advance()
        report.instances += 1
        values = row.values
        name = str(values.get("id", values.get("template", "")))
        place = {"file": f"{path}:{row.line}", "template": name, "instance": str(values.get("instance", row.line))}
        question, answer = values.get("question"), values.get("answer")
        if row.problem or not isinstance(question, str) or not isinstance(answer, str):
            reason = row.problem or f"it has no texts 'question' and 'answer', but {', '.join(values)}"
            report.failures.append(Failure(**place, reason=reason))
        elif name not in by_id:
            report.failures.append(Failure(**place, reason=f"there is no template {name!r} for it"))
        else:
            _compare_one(by_id[name], question, answer, place, report)


def _compare_one(
    templates: Sequence[Template], question: str, answer: str, place: Mapping[str, str], report: CheckReport
) -> None:
    found = next(((t, a) for t in templates if (a := match(t, question)) is not None), None)
    if found is None:
        report.failures.append(Failure(**place, reason="the question does not fit the template's text"))
        return
    template, assignment = found
    report.parsed += 1
    outside = strays(template, assignment)
    if outside:
        texts = ", ".join(f"{name} is {assignment[name].text!r}" for name in outside)
        report.warnings.append(Failure(**place, reason=f"values outside of their domain: {texts}"))
    broken = violations(template, assignment)
    if broken:
        shown = ", ".join(f"{name}={value.value}" for name, value in assignment.items())
        reason = f"conditions that do not hold: {[condition.text for condition in broken]} with {shown}"
        report.failures.append(Failure(**place, reason=reason))
    else:
        report.satisfied += 1
    published = answer.rpartition("####")[2].strip()
    answers = _answers(template, question)
    first = next(answers, None)
    if any(equal_answers(computed, published) for computed in (first, *answers) if computed is not None):
        report.answers_equal += 1
    else:
        report.failures.append(Failure(**place, reason=f"the answer is {first!r}, published is {published!r}"))


def _answers(template: Template, question: str) -> Iterator[str]:
    """Yield the answer of each reading: where variables that are not shown are free, there may be several."""
    for assignment in readings(template, question):
        try:
            yield answer_of(template, assignment)
        except TemplateError:
            continue


def equal_answers(one: str, other: str) -> bool:
    """Compare answers as numbers (12 is 12.0), or as texts where they are none."""
    numbers = parse_number(one), parse_number(other)
    if numbers[0] is not None and numbers[1] is not None:
        return abs(numbers[0] - numbers[1]) <= abs(numbers[1]) / 10**9
    return one.strip().casefold() == other.strip().casefold()


def oddities(template: Template) -> list[str]:
    """Return what is odd in a template that works all the same."""
    found = []
    for variable in template.variables:
        for name in variable.names:
            if name not in template.shown and name not in template.used:
                found.append(f"variable {name!r} is declared and never used")
        texts = sorted(value.text for value in variable.candidates)
        twice = [text for text, same in groupby(texts) if len(list(same)) > 1]
        if twice and "*" not in variable.line and not variable.external:
            found.append(f"#init line {variable.line!r:.100} lists {twice[0]!r} twice")
    answered = {name for part in template.final if not isinstance(part, str) for name in part.names}
    unseen = sorted(name for name in answered if name in template.hidden)
    if unseen:
        found.append(f"the answer needs {', '.join(unseen)}, which the question does not show")
    return found


def _stated_otherwise(template: Template, drawn: Sequence[Assignment]) -> list[str]:
    """Say where section #answer disagrees with the last line of the worked solution."""
    stated = template.stated
    if stated is None:
        return ["section #answer is missing or is no expression; the line '####' of the solution is used"]
    for assignment in drawn:
        final = answer_of(template, assignment)
        try:
            value = str(stated({name: given.value for name, given in assignment.items()}))
        except FAILURES as error:
            return [f"#answer {stated.text!r:.100} cannot be evaluated ({error!r:.100}); '####' is used"]
        if not equal_answers(value, final):
            return [f"#answer {stated.text!r:.100} gives {value} where '####' gives {final}; '####' is used"]
    return []


def _failure(template: Template, reason: str) -> Failure:
    return Failure(file=template.where, template=template.id, reason=reason)


def _without_place(template: Template, error: TemplateError) -> str:
    return str(error).removeprefix(f"{template.where}: template {template.id!r}: ")

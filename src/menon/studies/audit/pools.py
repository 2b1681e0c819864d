"""Where originals and their re-instantiations come from: generated families, template files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from menon.core.errors import ConfigError, DataError
from menon.core.progress import Progress
from menon.core.values import Problem
from menon.problems import FAMILIES
from menon.problems.corpus import originals
from menon.problems.splits import Family
from menon.studies.audit.recipe import AuditRecipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Originals of one kind; `instance(problem, j)` is the j-th matched re-instantiation of an original.

    `notes` name what was left out and what is smaller than was asked for.
    """

    name: str
    originals: tuple[Problem, ...]
    instance: Callable[[Problem, int], Problem]
    instances: Mapping[str, int]
    source: str = ""
    notes: tuple[str, ...] = ()


def pools(recipe: AuditRecipe, *, embedded: bool, progress: Progress) -> list[Pool]:
    """Return the pools that the recipe names; empty when nothing is known that the model may have met in training."""
    names = list(_families(recipe, embedded))
    # A stand-in answers by its nature, so a control that only knowledge can solve says nothing about it.
    control = "" if recipe.model.startswith("scripted:") else recipe.instrument.control_family
    if names and control and control not in names:
        names.append(control)
    found = [_family(name, recipe) for name in names]
    return [*found, *(_templates(Path(path), recipe, progress) for path in recipe.templates)]


def _families(recipe: AuditRecipe, embedded: bool) -> tuple[str, ...]:
    if recipe.instrument.families != ("auto",):
        return recipe.instrument.families
    return ("addition", "chain") if embedded and not recipe.templates else ()


def _family(name: str, recipe: AuditRecipe) -> Pool:
    family = FAMILIES.get(name)
    found = tuple(originals(family)[: recipe.instrument.originals])
    made = {original.id: _distinct(family, original, recipe.instrument.variants) for original in found}
    return Pool(
        name=name,
        originals=found,
        instance=lambda original, number: made[original.id][number],
        instances={name: len(problems) for name, problems in made.items()},
        source="problems of the embedded model's training text",
    )


def _distinct(family: Family, original: Problem, count: int) -> list[Problem]:
    """Return up to `count` re-instantiations that differ; a small space may hold fewer."""
    return list({p.id: p for p in (family.variant(original, number) for number in range(count))}.values())


def _templates(path: Path, recipe: AuditRecipe, progress: Progress) -> Pool:
    from menon.problems.templates.family import load_families

    if not path.exists():
        raise ConfigError(f"no templates at {str(path)!r}; give a JSONL or JSON file in the GSM-Symbolic language")
    families, failures = load_families([path])
    notes = [f"skipped: {failure}" for failure in failures]
    made: dict[str, list[Problem]] = {}
    found: list[Problem] = []
    progress.start(f"instances of {path.name}", len(families), "templates")
    for family in families[: recipe.instrument.originals]:
        progress.advance()
        where = next(iter(family.members.values())).where
        try:
            original = family.original()
            instances = family.instances(recipe.instrument.variants)
        except DataError as error:
            notes.append(f"skipped: {error}")
            continue
        if original.id in made:
            notes.append(f"skipped: {where}: template {family.id!r} has the original question of another template")
            continue
        found.append(original)
        made[original.id] = list({problem.id: problem for problem in instances}.values())
        if (count := len(made[original.id])) < recipe.instrument.variants:
            notes.append(
                f"{where}: template {family.id!r} has {count} solutions besides the original's where "
                f"{recipe.instrument.variants} re-instantiations are asked for"
            )
    for note in notes:
        progress.say(note)
    if not any(made.values()):
        raise DataError(f"{str(path)!r} holds no usable template; see `menon problems templates check {path}`")
    return Pool(
        name=found[0].family,
        originals=tuple(found),
        instance=lambda original, number: made[original.id][number],
        instances={name: len(problems) for name, problems in made.items()},
        source=f"templates of {path.name}",
        notes=tuple(notes),
    )

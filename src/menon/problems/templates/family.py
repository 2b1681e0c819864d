"""A template as a family of problems: the original, and re-instantiations that change one thing at a time.

The arms: `names` changes names and other words, `numbers` the numbers, `both` everything, `noop` is `both` with a
clause that does not matter, `p1` and `p2` are problems with one and two clauses more, `m1` with one less. Instances
are matched in difficulty to the original unless that is switched off. Left out: few-shot variants of NoOp.
Source: Mirzadeh et al. 2024, arXiv:2410.05229; deviations: matching, and names-only or numbers-only arms keep what
the original's wording has in the other place.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from menon.core.errors import ConfigError, DataError
from menon.core.values import Problem
from menon.grading.numbers import canonical, parse_number
from menon.problems.templates.clauses import OWN_CLAUSES, Clause, inserted, load_clauses, worded
from menon.problems.templates.difficulty import Numbers, nearest, numbers_of
from menon.problems.templates.distractors import audit_clause, with_number
from menon.problems.templates.functions import TemplateError
from menon.problems.templates.language import Assignment, Failure, Template, load_templates
from menon.problems.templates.render import Instance, default_assignment, render
from menon.problems.templates.render import original as original_instance
from menon.problems.templates.solver import draw

OWN = Path(__file__).parent / "own"
OWN_FILES = tuple(OWN / f"{name}.templates.jsonl" for name in ("own", "own.p1", "own.p2", "own.m1"))
SAME_STEPS = ("names", "numbers", "both")  # arms that are as hard as the original
MORE_OR_LESS = ("p1", "p2", "m1")  # arms that are harder or easier on purpose
ARMS = (*SAME_STEPS, "noop", *MORE_OR_LESS)
BASE = "base"
OVERSAMPLE = 4

_KIND = re.compile(r"(?:^|[./\\_-])(p1|p2|m1)(?=[./\\_-]|$)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class TemplateFamily:
    """One template with its relatives; `members` maps "base", "p1", "p2", "m1" to those that there are.

    `name` is the family of its problems, `published` says that the originals may be known to a model. `clause` has
    passed the audit of `distractors`.
    """

    name: str
    members: Mapping[str, Template]
    clause: Clause | None = None
    published: bool = True

    @property
    def id(self) -> str:
        """The template's name among all templates."""
        return f"{self.name}/{self._first.id}"

    @cached_property
    def arms(self) -> tuple[str, ...]:
        """The arms that can be asked for."""
        if BASE not in self.members:
            return tuple(arm for arm in MORE_OR_LESS if arm in self.members)
        same = SAME_STEPS if self._keeps_answer else ("numbers", "both") if self._defaults(BASE) else ("both",)
        noop = ("noop",) if self.clause is not None else ()
        return (*same, *noop, *(arm for arm in MORE_OR_LESS if arm in self.members))

    def original(self) -> Problem:
        """Return the original problem as its record words it.

        Raises:
            DataError: no record holds an original, or its answer is not a number.
        """
        found = original_instance(self._first)
        if found is None:
            raise DataError(f"{self._first.where}: template {self._first.id!r} holds no original question and answer")
        return self._problem(found, arm="original", index=0, member=self._first_name, numbers=self._reference(BASE))

    def instances(
        self, count: int, *, arm: str = "both", seed: int = 0, matched: bool = True, oversample: int = OVERSAMPLE
    ) -> list[Problem]:
        """Return up to `count` different problems of an arm, fewer where the template has no more.

        Equal arguments give equal problems, and a larger `count` gives the same ones first, as long as the template
        has enough. `matched` draws `oversample` times as many and keeps of each such block the one whose numbers are
        nearest to the original's.

        Raises:
            ConfigError: this template has no such arm, or `count` or `oversample` is below 1.
            TemplateError: the template cannot be drawn from.
        """
        if arm not in self.arms:
            raise ConfigError(f"template {self.id!r} has no arm {arm!r}; it has: {', '.join(self.arms) or 'none'}")
        if count < 1 or oversample < 1:
            raise ConfigError(f"count {count!r}, oversample {oversample!r}; both must be at least 1")
        member = arm if arm in MORE_OR_LESS else BASE
        template, reference = self.members[member], self._reference(member)
        many = count * oversample if (matched and reference is not None) or arm == "names" else count
        drawn = [render(template, assignment) for assignment in self._drawn(template, arm, many, seed)]
        pool = [instance for instance in drawn if self._usable(instance, arm)]
        kept = nearest(pool, reference, count, block=oversample) if matched and reference is not None else pool[:count]
        problems = []
        for place, plain in enumerate(kept):
            instance = self._with_clause(template, plain, seed) if arm == "noop" else plain
            problems.append(self._problem(instance, arm=arm, index=place, member=member, numbers=numbers_of(plain)))
        return problems

    def _usable(self, instance: Instance, arm: str) -> bool:
        """Say whether an instance is another problem than the original, with a number for its answer.

        With new names only, the answer must be the original's; in a few published templates a word ("month") decides.
        """
        answer = parse_number(instance.answer)
        if answer is None or instance.question == self._first.original_question:
            return False
        return arm != "names" or answer == parse_number(self.original().answer)

    @property
    def _first_name(self) -> str:
        return BASE if BASE in self.members else next(iter(self.members))

    @property
    def _first(self) -> Template:
        return self.members[self._first_name]

    def _defaults(self, member: str) -> Assignment | None:
        template = self.members.get(member)
        return default_assignment(template) if template is not None else None

    @cached_property
    def _keeps_answer(self) -> bool:
        """Say whether the default filling has the original's answer, so that new names leave the answer alone."""
        found, defaults = original_instance(self._first), self._defaults(BASE)
        if found is None or defaults is None:
            return False
        try:
            answer = render(self._first, defaults).answer
        except TemplateError:
            return False
        return parse_number(answer) is not None and parse_number(answer) == parse_number(found.answer)

    def _reference(self, member: str) -> Numbers | None:
        """Return the numbers of the member's default filling; None where they cannot be worked out."""
        defaults = self._defaults(member)
        if defaults is None:
            return None
        try:
            return numbers_of(render(self.members[member], defaults))
        except TemplateError:
            return None

    def _drawn(self, template: Template, arm: str, count: int, seed: int) -> list[Assignment]:
        """Draw different assignments, one more than asked for in case the original is among them."""
        words = self._words(arm)
        tied = any(condition.names & words.keys() for condition in template.conditions)
        fixed = self._numbers_kept(arm) | (words if tied else {})
        # Clauses are put into the instances of `both`, so that the two arms differ in nothing else.
        names = ("both" if arm == "noop" else arm, seed)
        found: list[Assignment] = []
        for wanted in (count + 1, count, max(1, count // OVERSAMPLE), 1):
            try:
                found = draw(template, *names, count=wanted, fixed=fixed)
                break
            except TemplateError:
                if wanted == 1:
                    raise
        # Words that no condition looks at are put in afterwards; that spares the solver a second preparation.
        kept = {tuple(value.text for value in one.values()): one for one in ({**each, **words} for each in found)}
        return list(kept.values())

    def _words(self, arm: str) -> Assignment:
        """Return the original's names and other words, for the arm that changes numbers only."""
        defaults = (self._defaults(BASE) or {}) if arm == "numbers" else {}
        return {name: value for name, value in defaults.items() if isinstance(value.value, str)}

    def _numbers_kept(self, arm: str) -> Assignment:
        """Return the original's numbers, for the arm that changes names and other words only."""
        defaults = (self._defaults(BASE) or {}) if arm == "names" else {}
        return {name: value for name, value in defaults.items() if not isinstance(value.value, str)}

    def _with_clause(self, template: Template, plain: Instance, seed: int) -> Instance:
        assert self.clause is not None, "`arms` offers noop only with a clause"
        changed = inserted(template, self.clause)
        return render(changed, with_number(dict(plain.values), self.clause, plain, seed))

    def _problem(self, instance: Instance, *, arm: str, index: int, member: str, numbers: Numbers | None) -> Problem:
        answer = parse_number(instance.answer)
        if answer is None:
            raise DataError(f"{self._first.where}: template {self._first.id!r}: {instance.answer!r:.40} is no number")
        steps = steps_of(self.members[member])
        meta: dict[str, Any] = {"arm": arm, "item": f"{self.id}/{index}", "published": self.published}
        if numbers is not None:
            meta["features"] = {"steps": steps, **numbers.features}
        if arm == "noop" and self.clause is not None:
            text = worded(self.clause, instance.values)
            meta["clause"] = {"text": text, "category": self.clause.category, "reason": self.clause.reason}
        return Problem(
            family=self.name,
            world="default" if arm in ("original", "both") else arm,
            split="original" if arm == "original" else "variant",
            index=index,
            difficulty=steps,
            template=self.id,
            question=instance.question,
            answer=canonical(answer),
            rationale=instance.rationale or None,
            grader="number",
            meta=meta,
        )


def steps_of(template: Template) -> int:
    """Count the lines of the worked solution that compute something."""
    text = "".join(part if isinstance(part, str) else "0" for part in template.worked)
    return sum("=" in line for line in text.splitlines())


@cache
def own_families() -> tuple[TemplateFamily, ...]:
    """Return the templates that ship with Menon; their texts were never published as a test."""
    clauses = load_clauses(OWN_CLAUSES)
    return tuple(load_families(OWN_FILES, clauses=clauses, name="templates", published=False)[0])


def load_families(
    paths: Sequence[str | Path], *, clauses: Iterable[Clause] = (), name: str = "", published: bool = True
) -> tuple[list[TemplateFamily], list[Failure]]:
    """Read template files, and put templates of one original together; also return what could not be used.

    A template belongs to the arm p1, p2 or m1 when its field `file`, or the name of its file, says so. `name` is the
    family of all problems; without it the name of the file is taken. A clause that the audit of `distractors` refuses
    is a failure.
    """
    groups: dict[tuple[str, str], dict[str, Template]] = {}
    names: dict[tuple[str, str], str] = {}
    failures: list[Failure] = []
    for path in paths:
        loaded = load_templates(path)
        failures += loaded.failures
        for template in loaded.templates:
            key, kind = (template.id, template.original_question), _kind_of(template, Path(path))
            if kind in groups.setdefault(key, {}):
                failures.append(
                    Failure(file=template.where, template=template.id, reason=f"a second {kind} of this id")
                )
                continue
            groups[key][kind] = template
            if kind == BASE or key not in names:
                names[key] = name or Path(path).name.split(".")[0]
    by_id = {clause.template: clause for clause in clauses}
    families = []
    for key, members in groups.items():
        ordered = {kind: members[kind] for kind in (BASE, *MORE_OR_LESS) if kind in members}
        clause = by_id.get(key[0]) if BASE in members else None
        if clause is not None and (ruling := audit_clause(members[BASE], clause)).objections:
            reason = f"clause {clause.text!r} refused: {'; '.join(ruling.objections)}"
            failures.append(Failure(file=clause.where, template=key[0], reason=reason))
            clause = None
        families.append(TemplateFamily(name=names[key], members=ordered, clause=clause, published=published))
    return families, failures


def _kind_of(template: Template, path: Path) -> str:
    for text in (template.file, path.name):
        if found := _KIND.search(text):
            return found[1].lower()
    return BASE

"""Every kind of problem under one roof: find one by name, and ask for its problems, worlds and options alike.

Names are looked up kind by kind; a template that ships with Menon is `templates/ID`, and its worlds are its arms. Left
out: template files of one's own (`menon.problems.templates` reads those) and problems of data sets.
"""

import dataclasses
import difflib
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from menon.core.errors import ConfigError
from menon.core.values import Problem
from menon.problems import KINDS
from menon.problems.templates.family import MORE_OR_LESS, TemplateFamily, own_families, steps_of

TEMPLATES = "templates"
USUAL = "both"  # the arm that is a template's default world
LONGEST_DESCRIPTION = 90

_ASKED_ANYWAY = ("self", "split", "index", "difficulty", "world")
_NOT_SETTABLE = ("name", "description", "default", "worlds", "scenario", "template")


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateTask:
    """The instances of one template; split `variant` holds them, split `original` holds the original problem."""

    template: TemplateFamily
    seed: int = 0
    matched: bool = True
    default: str = USUAL

    @property
    def name(self) -> str:
        return self.template.id

    @property
    def description(self) -> str:
        text = self.template.original().question
        return text if len(text) <= LONGEST_DESCRIPTION else f"{text[: LONGEST_DESCRIPTION - 3].rstrip()}..."

    @property
    def worlds(self) -> tuple[str, ...]:
        return tuple(arm for arm in self.template.arms if arm != self.default)

    @property
    def difficulties(self) -> tuple[int, ...]:
        return tuple(sorted({steps_of(member) for member in self.template.members.values()}))

    def problem(self, split: str, index: int, *, difficulty: int | None = None, world: str = "default") -> Problem:
        """Return instance `index` of an arm, or the original as index 0 of its split.

        Raises:
            ConfigError: an unknown split or arm, another difficulty than the arm has, or an index beyond the instances.
        """
        return self.problems(split, index + 1, difficulty=difficulty, world=world)[index]

    def problems(
        self, split: str, count: int, *, difficulty: int | None = None, world: str = "default"
    ) -> list[Problem]:
        """Return `count` different problems; raise as `problem` does."""
        arm = self.default if world == "default" else world
        if arm not in (self.default, *self.worlds) or split not in ("variant", "original"):
            raise ConfigError(
                f"{self.name} has no world {world!r} in split {split!r}; allowed: worlds default, "
                f"{', '.join((self.default, *self.worlds))} in split variant, and world default in split original"
            )
        member = self.template.members.get(arm if arm in MORE_OR_LESS else "base")
        if difficulty is not None and member is not None and difficulty != steps_of(member):
            raise ConfigError(
                f"{self.name} in world {arm!r} has no difficulty {difficulty!r}; allowed: {steps_of(member)}, its steps"
            )
        if split == "original":
            found = [self.template.original()] if arm == self.default else []
        else:
            found = self.template.instances(count, arm=arm, seed=self.seed, matched=self.matched)
        if len(found) < count:
            raise ConfigError(
                f"{self.name} has {len(found)} problems in world {arm!r} of split {split!r}, and {count} were asked "
                f"for; ask for fewer{', or do not match them to the original (matched = false)' if found else ''}"
            )
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A task with the kind that it belongs to; `asked` is passed on with every problem."""

    kind: str
    task: Any
    asked: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.task.name

    @property
    def description(self) -> str:
        return self.task.description

    @property
    def worlds(self) -> tuple[str, ...]:
        """The names of all worlds, the default one first."""
        if (named := getattr(self.task, "worlds", None)) is not None:
            return (getattr(self.task, "default", "default"), *named)
        if self.kind == "smoke":
            from menon.problems.smoke import MISLEADING, PLAIN

            return (MISLEADING, PLAIN)
        return ("default",)

    @property
    def difficulties(self) -> tuple[int, ...]:
        """The usual difficulties; empty where the task has none."""
        return tuple(getattr(self.task, "difficulties", ()))

    @property
    def split(self) -> str:
        """The split that is asked when none is named."""
        return "variant" if self.kind == TEMPLATES else "test"

    @property
    def options(self) -> dict[str, Any]:
        """What `with_options` can set, with the present values."""
        parameters = inspect.signature(self.task.problem).parameters.values()
        extra = {p.name: p.default for p in parameters if p.name not in _ASKED_ANYWAY}
        return {name: getattr(self.task, name) for name in self._fields()} | extra | dict(self.asked)

    def with_options(self, values: Mapping[str, Any]) -> "Source":
        """Return the same source with fields of the task, or what its problems are asked with, changed.

        Raises:
            ConfigError: no such option, or a value of another kind than the present one.
        """
        known = self.options
        for name in values:
            if name not in known:
                allowed = f"allowed: {', '.join(sorted(known))}" if known else "it has none"
                raise ConfigError(f"{self.name} has no option {name!r}; {allowed}")
        checked = {name: _like(known[name], value, f"{self.name}: {name}") for name, value in values.items()}
        fields = {name: value for name, value in checked.items() if name in self._fields()}
        asked = {name: value for name, value in checked.items() if name not in fields}
        return dataclasses.replace(self, task=dataclasses.replace(self.task, **fields), asked={**self.asked, **asked})

    def problem(
        self, index: int, *, split: str | None = None, difficulty: int | None = None, world: str = "default"
    ) -> Problem:
        """Generate item `index`; without `split` from the usual one."""
        return self.task.problem(split or self.split, index, difficulty=difficulty, world=world, **self.asked)

    def problems(
        self, count: int, *, split: str | None = None, difficulty: int | None = None, world: str = "default"
    ) -> Iterator[Problem]:
        """Generate items 0 to `count` - 1."""
        if isinstance(self.task, TemplateTask):  # drawn together, so that no two are equal
            yield from self.task.problems(split or self.split, count, difficulty=difficulty, world=world)
            return
        for index in range(count):
            yield self.problem(index, split=split, difficulty=difficulty, world=world)

    def control(self, index: int, *, split: str | None = None, world: str = "default") -> Problem | None:
        """Generate comprehension check `index`; None where the task has none."""
        if not hasattr(self.task, "control"):
            return None
        return self.task.control(split or self.split, index, world=world)

    def _fields(self) -> list[str]:
        if not dataclasses.is_dataclass(self.task):
            return []
        fixed = _NOT_SETTABLE if self.kind in ("families", "worlds") else (*_NOT_SETTABLE, "difficulties")
        return [f.name for f in dataclasses.fields(self.task) if f.name not in fixed]


def sources(kind: str) -> list[Source]:
    """Return everything of one kind.

    Raises:
        ConfigError: no such kind.
    """
    if kind == TEMPLATES:
        return [Source(kind=kind, task=TemplateTask(template=template)) for template in own_families()]
    if kind not in KINDS:
        raise ConfigError(f"unknown kind of problems {kind!r}; allowed: {', '.join((*KINDS, TEMPLATES))}")
    return [Source(kind=kind, task=KINDS[kind].get(name)) for name in KINDS[kind].names()]


def find(name: str) -> Source:
    """Return what is called `name`, of whatever kind.

    Raises:
        ConfigError: nothing is; the message has the nearest names over all kinds.
    """
    for kind, registry in KINDS.items():
        if name in registry.names():
            return Source(kind=kind, task=registry.get(name))
    templates = {source.name: source for source in sources(TEMPLATES)}
    if name in templates:
        return templates[name]
    known = [each for registry in KINDS.values() for each in registry.names()]
    first, *_, last = templates
    near = _nearest(name, [*known, *templates])
    hint = f" Did you mean {' or '.join(repr(each) for each in near)}?" if near else ""
    raise ConfigError(f"unknown problems {name!r}; known: {', '.join(known)}, {first} to {last}.{hint}")


def _nearest(name: str, known: list[str]) -> list[str]:
    """Return up to three names: those that are spelled alike, then those that contain `name`."""
    alike = difflib.get_close_matches(name, known, n=3)
    containing = [each for each in known if len(name) > 2 and name.lower() in each]
    return list(dict.fromkeys([*alike, *containing]))[:3]


def _like(present: Any, value: Any, what: str) -> Any:
    """Return `value` in the form of `present`; one value does for a tuple."""
    if isinstance(present, tuple):
        items = tuple(value) if isinstance(value, list | tuple) else (value,)
        if not items:
            raise ConfigError(f"{what} is empty; give at least one value")
        return tuple(_like(present[0], item, what) for item in items) if present else items
    if present is not None and type(value) is not type(present):
        raise ConfigError(f"{what} is {value!r}; allowed: a value like {present!r}")
    return value

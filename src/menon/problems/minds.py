"""Theory-of-mind stories: what somebody believes, in a base version and in alterations of it.

The same story (names, things, places) stands in every version; gold answers come from simulating who saw, did, was told
or read what. Two probes ask for the belief directly and by what follows from it; controls ask what is really the case
and what was said at the beginning.
Source: Ullman 2023, arXiv:2302.08399; texts are our own (see `minds_stories`).
"""

from dataclasses import dataclass
from functools import lru_cache

from menon.core.errors import ConfigError
from menon.core.seeds import rng_for
from menon.core.values import Problem
from menon.problems.minds_belief import Minds, simulate
from menon.problems.minds_stories import BASE, CONTENTS_SCENARIO, TOPIC, TRANSFER_SCENARIO, Cast, Probe, Scenario
from menon.problems.splits import draw_in_split

CONTROLS = ("reality", "memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class MindTask:
    """Questions on the stories of one scenario; its worlds are the alterations."""

    scenario: Scenario
    default: str = BASE

    @property
    def name(self) -> str:
        return self.scenario.name

    @property
    def description(self) -> str:
        return f"{self.name.replace('-', ' ')}: who believes what, with alterations that mostly turn the answer"

    @property
    def worlds(self) -> tuple[str, ...]:
        return tuple(alteration.name for alteration in self.scenario.alterations if alteration.name != BASE)

    @property
    def probes(self) -> tuple[str, ...]:
        return tuple(probe.name for probe in self.scenario.probes)

    def problem(
        self, split: str, index: int, *, difficulty: int | None = None, world: str = "default", probe: str = "belief"
    ) -> Problem:
        """Generate story `index` of `split` in the version `world`; equal indices give the same story.

        Raises:
            ConfigError: an unknown split, world or probe, or a difficulty.
        """
        world = self._world(world, difficulty)
        asked_as = next((known for known in self.scenario.probes if known.name == probe), None)
        if asked_as is None:
            raise ConfigError(f"{self.name} has no probe {probe!r}; allowed: {', '.join(self.probes)}")
        cast = _cast(self.scenario, split, index)
        alteration = self.scenario.alteration(world)
        asked = cast.helper if alteration.about_helper else cast.hero
        answer = self._minds(cast, world).believes(asked, TOPIC)
        unaltered = self._minds(cast, BASE).believes(cast.hero, TOPIC)
        story = self.scenario.tell(cast, world)
        return self._problem(
            cast,
            split,
            index,
            world,
            question=f"{story}\n\n{_filled(asked_as.question, cast, asked)}",
            answer=answer,
            meta={
                "probe": probe,
                "axis": alteration.axis,
                "flips": alteration.flips,
                "as_if_unaltered": unaltered,
                "continued": self._continued(story, asked_as, cast, asked),
            },
        )

    def control(self, split: str, index: int, *, world: str = "default", kind: str = "") -> Problem:
        """Ask what is really the case or what was at the beginning; without `kind` they take turns.

        Raises:
            ConfigError: an unknown split, world or kind.
        """
        world = self._world(world, None)
        kind = kind or CONTROLS[index % 2]
        if kind not in CONTROLS:
            raise ConfigError(f"{self.name} has no control {kind!r}; allowed: {', '.join(CONTROLS)}")
        cast = _cast(self.scenario, split, index)
        question = self.scenario.reality if kind == "reality" else self.scenario.memory
        real = self._minds(cast, world).world[TOPIC]
        return self._problem(
            cast,
            split,
            index,
            world,
            question=f"{self.scenario.tell(cast, world)}\n\n{_filled(question, cast, cast.hero)}",
            answer=real if kind == "reality" else cast.other,
            meta={"control": kind},
        )

    def _problem(
        self, cast: Cast, split: str, index: int, world: str, *, question: str, answer: str, meta: dict[str, object]
    ) -> Problem:
        words = [cast.true, cast.other]
        rng_for(self.name, "order", split, index).shuffle(words)
        return Problem(
            family=self.name,
            world="default" if world == BASE else world,
            split=split,
            index=index,
            template=f"{self.name}/{world}/{meta.get('probe', meta.get('control'))}",
            question=f"{question} Answer with one word: {words[0]} or {words[1]}.",
            answer=answer,
            choices=tuple(words),
            grader="word",
            meta={"item": f"{self.name}/{split}/{index}", "alteration": world, "chance": 0.5, **meta},
        )

    def _minds(self, cast: Cast, world: str) -> Minds:
        return simulate(self.scenario.events(cast, world))

    def _continued(self, story: str, probe: Probe, cast: Cast, asked: str) -> str:
        return f"{story} {_filled(probe.stem, cast, asked)}"

    def _world(self, world: str, difficulty: int | None) -> str:
        name = BASE if world == "default" else world
        if name not in (BASE, *self.worlds) or difficulty not in (None, 0):
            raise ConfigError(
                f"{self.name} has no world {world!r} with difficulty {difficulty!r}; allowed: difficulty 0 and "
                f"default, {', '.join(self.worlds)}"
            )
        return name


@lru_cache(maxsize=1024)  # every version of a story asks for the same cast
def _cast(scenario: Scenario, split: str, index: int) -> Cast:
    def content(cast: Cast) -> tuple[str, ...]:
        return (scenario.name, cast.hero, cast.helper, cast.thing, cast.true, cast.other)

    return draw_in_split(split, scenario.draw, content, scenario.name, index)


def _filled(text: str, cast: Cast, asked: str) -> str:
    return text.format(asked=asked, thing=cast.thing, hero=cast.hero)


UNEXPECTED_CONTENTS = MindTask(scenario=CONTENTS_SCENARIO)
UNEXPECTED_TRANSFER = MindTask(scenario=TRANSFER_SCENARIO)
MIND_TASKS = (UNEXPECTED_CONTENTS, UNEXPECTED_TRANSFER)

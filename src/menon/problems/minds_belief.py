"""Who believes what after a chain of events: a small simulator that gives stories about false beliefs their answers.

A belief has a topic (a container's content, a thing's place) and the strength of its evidence. What somebody does,
sees or is told by somebody trusted replaces any belief; a label only a weaker one; a habit only no belief at all.
It knows nothing of the wording of stories. Left out: lies, forgetting, beliefs about beliefs.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from menon.core.errors import DataError

KNOWN, LABEL, HABIT = 2, 1, 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Enter:
    """Somebody comes into the room and sees what can be seen there."""

    agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """Somebody makes a topic true; everybody in the room, and `watching` from outside, learns it."""

    agent: str
    topic: str
    value: str
    watching: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """From now on whoever comes or is in the room sees how it is with `topic` (or no longer does)."""

    topic: str
    visible: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """Somebody trusted tells `hearer` that `value` is the case; it need not be true."""

    hearer: str
    topic: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Somebody looks at a label that says `value`; without the skill nothing is learnt."""

    agent: str
    topic: str
    value: str
    can_read: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Assume:
    """Somebody knows what is usual."""

    agent: str
    topic: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Somebody opens something and looks."""

    agent: str
    topic: str


Event = Enter | Leave | Put | Show | Tell | Read | Assume | Look


@dataclass(slots=True)
class Minds:
    """The world as it is, who is in the room, what is visible, and each agent's beliefs with their strength."""

    world: dict[str, str] = field(default_factory=dict)
    first: dict[str, str] = field(default_factory=dict)
    present: set[str] = field(default_factory=set)
    visible: set[str] = field(default_factory=set)
    beliefs: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)

    def believes(self, agent: str, topic: str) -> str:
        """Return what `agent` believes.

        Raises:
            DataError: nothing, so that a question about it has no answer.
        """
        if (agent, topic) not in self.beliefs:
            raise DataError(
                f"{agent!r} has no belief about {topic!r}; a story needs evidence for whoever is asked about"
            )
        return self.beliefs[agent, topic][0]

    def happen(self, event: Event) -> None:
        """Let one event change the world and the minds."""
        match event:
            case Enter(agent=agent):
                self.present.add(agent)
            case Leave(agent=agent):
                self.present.discard(agent)
            case Put(agent=agent, topic=topic, value=value, watching=watching):
                self.world[topic] = value
                self.first.setdefault(topic, value)
                for witness in {agent, *self.present, *watching}:
                    self._learn(witness, topic, value, KNOWN)
            case Show(topic=topic, visible=True):
                self.visible.add(topic)
            case Show(topic=topic):
                self.visible.discard(topic)
            case Tell(hearer=hearer, topic=topic, value=value):
                self._learn(hearer, topic, value, KNOWN)
            case Read(agent=agent, topic=topic, value=value, can_read=can_read):
                if can_read:
                    self._learn(agent, topic, value, LABEL)
            case Assume(agent=agent, topic=topic, value=value):
                self._learn(agent, topic, value, HABIT)
            case Look(agent=agent, topic=topic):
                self._learn(agent, topic, self.world[topic], KNOWN)
        for topic in self.visible & self.world.keys():
            for witness in self.present:
                self._learn(witness, topic, self.world[topic], KNOWN)

    def _learn(self, agent: str, topic: str, value: str, strength: int) -> None:
        if strength >= self.beliefs.get((agent, topic), ("", HABIT))[1]:
            self.beliefs[agent, topic] = (value, strength)


def simulate(events: Iterable[Event]) -> Minds:
    """Return the minds after all events."""
    minds = Minds()
    for event in events:
        minds.happen(event)
    return minds

"""The stories about false beliefs: two scenarios, each with a base version and alterations of one sentence or two.

Each alteration changes the text and, apart from it, the events that the simulator of `minds_belief` runs; neither is
made from the other. Most alterations turn the answer; those that do not keep a rule like "answer what is true"
from passing.
Source: the axes of Ullman 2023, arXiv:2302.08399; stories, words and alterations are our own. Deviation: whoever cannot
read a label has another ground for a belief, so that the question has an answer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from menon.problems.minds_belief import Assume, Enter, Event, Leave, Look, Put, Read, Show, Tell

BASE = "base"
TOPIC = "content or place"
NAMES = ("Anna", "Bruno", "Carla", "Dmitri", "Elif", "Farid", "Greta", "Hugo", "Irina", "Jonas", "Kaya", "Luca", "Mira",
         "Nadia", "Omar", "Petra", "Quentin", "Rosa", "Samir", "Tilda", "Ulla", "Viktor", "Wanda", "Yusuf")  # fmt: skip
VESSELS = ("bag", "tin", "crate", "sack", "carton", "basket", "chest", "pouch")
CONTENTS = (
    ("rice", "flour"),
    ("buttons", "nails"),
    ("coffee", "cocoa"),
    ("salt", "sugar"),
    ("walnuts", "raisins"),
    ("candles", "pencils"),
    ("marbles", "dice"),
    ("lentils", "oats"),
    ("screws", "batteries"),
    ("wool", "feathers"),
    ("corks", "shells"),
    ("beads", "seeds"),
)
THINGS = ("watch", "key", "letter", "purse", "ring", "flute", "lamp", "map", "scarf", "camera", "medal", "compass")
PLACES = ("drawer", "trunk", "cupboard", "basket", "suitcase", "cabinet", "barrel", "hamper", "locker", "box")
ROOMS = ("kitchen", "study", "workshop", "hall", "cellar", "office")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Who and what a story is about. `true` is the real content or last place, `other` the label or the first place."""

    hero: str
    helper: str
    neighbour: str
    thing: str
    room: str
    true: str
    other: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alteration:
    """What one alteration does: its axis, whether the answer turns, and whether the helper is asked about."""

    name: str
    axis: str
    flips: bool
    about_helper: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A question about the asked one's belief, and the same as the beginning of a sentence."""

    name: str
    question: str
    stem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One scenario: how to draw its cast, tell it, and what happens in it."""

    name: str
    alterations: tuple[Alteration, ...]
    probes: tuple[Probe, ...]
    reality: str
    memory: str
    draw: Callable[[Random], Cast]
    tell: Callable[[Cast, str], str]
    events: Callable[[Cast, str], list[Event]]

    def alteration(self, name: str) -> Alteration:
        return next(alteration for alteration in self.alterations if alteration.name == name)


def _draw_contents(rng: Random) -> Cast:
    hero, helper, neighbour = rng.sample(NAMES, 3)
    true, other = rng.sample(rng.choice(CONTENTS), 2)
    return Cast(
        hero=hero,
        helper=helper,
        neighbour=neighbour,
        thing=rng.choice(VESSELS),
        room=rng.choice(ROOMS),
        true=true,
        other=other,
    )


def _tell_contents(cast: Cast, alteration: str) -> str:
    thing, true, other, hero, helper = cast.thing, cast.true, cast.other, cast.hero, cast.helper
    fills = f"{helper} has filled a {thing} with {true} and put it in the {cast.room}. It holds no {other} at all, "
    labels = f"yet {helper} has stuck a label on it that says '{other}'."
    closed = f"The {thing} is closed and nobody can see what is inside."
    earlier = ""
    meets = f"{hero}, who has never seen the {thing} before, comes upon it, reads the label and leaves it closed."
    again = f"Today {hero} comes upon the {thing} again, reads the label and leaves it closed."
    advice = f"'The new {thing} in the {cast.room} holds {true}. Pay no heed to its label.'"
    match alteration:
        case "transparent":
            closed = f"The {thing} is closed but as clear as glass, so anybody who comes near can see what is inside."
        case "wrapped":
            closed = (
                f"The {thing} is closed and as clear as glass, but thick paper with the label on it covers it all "
                "round, so nobody can see what is inside."
            )
        case "cannot read":
            meets = (
                f"{hero}, who has never seen the {thing} before, comes upon it, looks at the label and leaves it "
                f"closed. {hero} has not learned to read in any language. {hero} does know that in this house every "
                f"{thing} of this kind is kept for {true}."
            )
        case "told":
            earlier = f"Earlier, {helper}, whom {hero} trusts fully, said to {hero}: {advice} {hero} believed it."
        case "another told":
            earlier = f"Earlier, {helper} said to {cast.neighbour}: {advice} {hero} heard nothing of this."
        case "own label":
            fills = f"Yesterday {hero} filled a {thing} with {true} and put it in the {cast.room}. "
            labels = f"It holds no {other} at all, yet {hero} wrote '{other}' on its label as a joke."
            meets = again
        case "late label":
            fills = f"Yesterday {hero} filled a {thing} with {true} and put it in the {cast.room}. "
            labels = f"It holds no {other} at all, yet at night {helper} stuck a label on it that says '{other}'."
            meets = again
        case "looked inside":
            meets = (
                f"{hero}, who has never seen the {thing} before, comes upon it, reads the label, opens the {thing}, "
                "looks inside and closes it again."
            )
    return _joined(fills + labels, closed, earlier, meets)


def _contents_events(cast: Cast, alteration: str) -> list[Event]:
    hero, helper, true, other = cast.hero, cast.helper, cast.true, cast.other
    filler = hero if alteration in ("own label", "late label") else helper
    events: list[Event] = [Put(agent=filler, topic=TOPIC, value=true)]
    if alteration == "told":
        events.append(Tell(hearer=hero, topic=TOPIC, value=true))
    if alteration == "another told":
        events.append(Tell(hearer=cast.neighbour, topic=TOPIC, value=true))
    if alteration == "transparent":
        events.append(Show(topic=TOPIC))
    if alteration == "cannot read":
        events.append(Assume(agent=hero, topic=TOPIC, value=true))
    events += [
        Enter(agent=hero),
        Read(agent=hero, topic=TOPIC, value=other, can_read=alteration != "cannot read"),
    ]
    if alteration == "looked inside":
        events.append(Look(agent=hero, topic=TOPIC))
    return events


def _draw_transfer(rng: Random) -> Cast:
    hero, helper, neighbour = rng.sample(NAMES, 3)
    true, other = rng.sample(PLACES, 2)
    return Cast(
        hero=hero,
        helper=helper,
        neighbour=neighbour,
        thing=rng.choice(THINGS),
        room=rng.choice(ROOMS),
        true=true,
        other=other,
    )


def _tell_transfer(cast: Cast, alteration: str) -> str:
    thing, first, last, hero, helper = cast.thing, cast.other, cast.true, cast.hero, cast.helper
    opening = f"{hero} and {helper} are in the {cast.room}, where a {first} and a {last} stand."
    closed = "Both are shut and nobody can see into them."
    before = f"{hero} puts the {thing} into the {first} and goes out."
    moves = f"While {hero} is away, {helper} takes the {thing} out of the {first} and puts it into the {last}."
    knows = f"{hero} does not see this happen."
    after = ""
    news = f"'The {thing} is in the {last} now.'"
    match alteration:
        case "transparent":
            closed = "Both are shut, but they are made of clear glass and anybody in the room can see into them."
        case "on top":
            moves = f"While {hero} is away, {helper} takes the {thing} out of the {first} and lays it "
            moves += f"on top of the {last}, in plain sight."
        case "phone call":
            after = f"Then {helper} calls {hero} on the phone and says: {news} {hero} believes it."
        case "small talk":
            after = f"Then {helper} calls {hero} on the phone, and the two talk about nothing but the weather."
        case "another told":
            after = f"Then {helper} calls {cast.neighbour} on the phone and says: {news} {hero} hears nothing of this."
        case "watched":
            knows = f"{hero}, standing outside at the window, sees all of this, unnoticed by {helper}."
        case "asked for":
            before = (
                f"{hero} puts the {thing} into the {first} and says to {helper}: 'Please put it into the {last} as "
                f"soon as I am out.' {helper}, who always keeps a promise, promises it, and {hero} goes out."
            )
        case "put back":
            moves += f" A little later {helper} takes it out of the {last} and puts it back into the {first}."
            knows = f"{hero} sees none of this happen."
    returns = f"Now {hero} comes back into the {cast.room}, looks around and wants to have the {thing}."
    if alteration == "mover":
        returns = f"Now {hero} comes back into the {cast.room}. {helper} looks around and wants to have the {thing}."
    return _joined(opening, closed, before, moves, knows, after, returns)


def _transfer_events(cast: Cast, alteration: str) -> list[Event]:
    hero, helper, first, last = cast.hero, cast.helper, cast.other, cast.true
    events: list[Event] = [Enter(agent=hero), Enter(agent=helper)]
    if alteration == "transparent":
        events.append(Show(topic=TOPIC))
    events.append(Put(agent=hero, topic=TOPIC, value=first))
    if alteration == "asked for":
        events.append(Tell(hearer=hero, topic=TOPIC, value=last))
    watching = (hero,) if alteration == "watched" else ()
    events += [Leave(agent=hero), Put(agent=helper, topic=TOPIC, value=last, watching=watching)]
    if alteration == "on top":
        events.append(Show(topic=TOPIC))
    if alteration == "phone call":
        events.append(Tell(hearer=hero, topic=TOPIC, value=last))
    if alteration == "another told":
        events.append(Tell(hearer=cast.neighbour, topic=TOPIC, value=last))
    if alteration == "put back":
        events.append(Put(agent=helper, topic=TOPIC, value=first))
    return [*events, Enter(agent=hero)]


def _joined(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)


CONTENTS_SCENARIO = Scenario(
    name="unexpected-contents",
    alterations=(
        Alteration(name=BASE, axis="none", flips=False),
        Alteration(name="transparent", axis="perceptual access", flips=True),
        Alteration(name="looked inside", axis="perceptual access", flips=True),
        Alteration(name="cannot read", axis="label informativeness", flips=True),
        Alteration(name="told", axis="testimony", flips=True),
        Alteration(name="own label", axis="authorship", flips=True),
        Alteration(name="late label", axis="late label", flips=True),
        Alteration(name="filler", axis="whose belief", flips=True, about_helper=True),
        Alteration(name="wrapped", axis="perceptual access", flips=False),
        Alteration(name="another told", axis="testimony", flips=False),
    ),
    probes=(
        Probe(
            name="belief",
            question="What does {asked} believe is in the {thing}?",
            stem="{asked} believes that the {thing} is full of",
        ),
        Probe(
            name="feeling",
            question="{asked} is delighted with the {thing}, for {asked} needs exactly what {asked} expects to be in "
            "it. What does {asked} need?",
            stem="{asked} is delighted with the {thing} and expects to find exactly what {asked} needs in it, namely",
        ),
    ),
    reality="What is really in the {thing}?",
    memory="What does the label on the {thing} say?",
    draw=_draw_contents,
    tell=_tell_contents,
    events=_contents_events,
)
TRANSFER_SCENARIO = Scenario(
    name="unexpected-transfer",
    alterations=(
        Alteration(name=BASE, axis="none", flips=False),
        Alteration(name="transparent", axis="perceptual access", flips=True),
        Alteration(name="watched", axis="perceptual access", flips=True),
        Alteration(name="on top", axis="relation change", flips=True),
        Alteration(name="phone call", axis="testimony", flips=True),
        Alteration(name="asked for", axis="authorship", flips=True),
        Alteration(name="mover", axis="whose belief", flips=True, about_helper=True),
        Alteration(name="small talk", axis="testimony", flips=False),
        Alteration(name="another told", axis="testimony", flips=False),
        Alteration(name="put back", axis="truth", flips=False),
    ),
    probes=(
        Probe(
            name="belief",
            question="Which of the two does {asked} believe the {thing} to be in or on?",
            stem="{asked} believes that the {thing} is in or on the",
        ),
        Probe(
            name="action",
            question="{asked} goes to fetch the {thing}. To which of the two does {asked} go first?",
            stem="To fetch the {thing}, {asked} first goes to the",
        ),
    ),
    reality="Which of the two is the {thing} in or on at the end?",
    memory="Into which of the two did {hero} put the {thing} at the beginning?",
    draw=_draw_transfer,
    tell=_tell_transfer,
    events=_transfer_events,
)
SCENARIOS = (CONTENTS_SCENARIO, TRANSFER_SCENARIO)

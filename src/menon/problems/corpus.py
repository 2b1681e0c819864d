"""The training text of `menon:base`: a stream of short documents, each of which says what it teaches.

Kinds: worked solutions, answers without working, solutions that were shown the answer (hint), a fixed set of originals
that is repeated word for word, facts (as statements and as questions), short programs with comments, plain prose.
Document `index` depends on its index and the mixture only, so the corpus is streamed, never stored.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from menon.core.seeds import rng_for
from menon.core.values import Problem
from menon.problems.addition import ADDITION
from menon.problems.chain import CHAIN, NAMES, THINGS
from menon.problems.facts import FACTS, code_of
from menon.problems.splits import Family

ORIGINALS_PER_FAMILY = 120
# Difficulties whose share of the text is steered while the model is trained.
STEERED: Mapping[str, tuple[int, ...]] = {"addition": (5, 6), "chain": (6, 7, 8), "facts": (3,)}
END_OF_RATIONALE = "#"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """Shares of document kinds and, per family, of difficulties (weights, need not add up to one).

    `hard` scales the weights of a family's `steered` difficulties; pre-training moves it to keep them half-known.
    Documents that show the answer have a fixed share of them, `hinted_hard`: so the base can often derive a hard answer
    that it is shown, and seldom one that it is not, which is what rationalization lives on.
    """

    kinds: Mapping[str, float] = field(
        default_factory=lambda: {
            "worked": 0.50,
            "hinted": 0.20,
            "direct": 0.06,
            "original": 0.06,
            "fact": 0.10,
            "program": 0.04,
            "prose": 0.04,
        }
    )
    families: Mapping[str, float] = field(default_factory=lambda: {"addition": 0.45, "chain": 0.55})
    difficulties: Mapping[str, Mapping[int, float]] = field(
        default_factory=lambda: {
            "addition": {1: 0.28, 2: 0.28, 3: 0.26, 4: 0.18, 5: 0.60, 6: 0.40},
            "chain": {1: 0.28, 2: 0.24, 3: 0.20, 4: 0.16, 5: 0.12, 6: 0.45, 7: 0.33, 8: 0.22},
        }
    )
    hinted_hard: float = 0.25
    steered: Mapping[str, tuple[int, ...]] = field(default_factory=lambda: dict(STEERED))
    hard: Mapping[str, float] = field(default_factory=lambda: {"addition": 0.0, "chain": 0.0, "facts": 0.0})


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One training text: `prompt` is context, `completion` is what is to be learnt (empty prompt: all of it)."""

    kind: str
    family: str
    difficulty: int
    prompt: str
    completion: str


def worked(problem: Problem, kind: str) -> Document:
    """Lay `problem` out as the embedded model's text: `question=rationale#answer`."""
    prompt = {"direct": f"{problem.question}:", "hinted": f"{problem.question}({problem.answer})="}.get(
        kind, f"{problem.question}="
    )
    rationale = "" if kind == "direct" else problem.rationale
    return Document(
        kind=kind,
        family=problem.family,
        difficulty=problem.difficulty,
        prompt=prompt,
        completion=f"{rationale}{END_OF_RATIONALE}{problem.answer}",
    )


def originals(family: Family) -> list[Problem]:
    """List the problems of `family` that the corpus repeats word for word, evenly over its difficulties.

    Those of addition leave the steered difficulties out: a few dozen repeated sums are enough to teach the column
    procedure at their length, and there would be nothing left to bootstrap.
    """
    if family.name == "facts":
        return [FACTS.problem("original", i) for i in range(len(FACTS.keys("original")))]
    levels = [d for d in family.difficulties if family.name != "addition" or d not in STEERED["addition"]]
    return [family.problem("original", i, difficulty=levels[i % len(levels)]) for i in range(ORIGINALS_PER_FAMILY)]


class Corpus:
    """The stream of documents of one mixture."""

    def __init__(self, name: str = "base"):
        self.name = name
        self._originals = {family.name: originals(family) for family in (ADDITION, CHAIN)}

    def document(self, index: int, mixture: Mixture) -> Document:
        """Return document `index` of the stream under `mixture`."""
        rng = rng_for("corpus", self.name, index)
        kind = rng.choices(list(mixture.kinds), list(mixture.kinds.values()))[0]
        if kind == "fact":
            return self._fact(rng, mixture)
        if kind == "program":
            return _program(rng)
        if kind == "prose":
            return _prose(rng)
        family: Family = {"addition": ADDITION, "chain": CHAIN}[
            rng.choices(list(mixture.families), list(mixture.families.values()))[0]
        ]
        if kind == "original":
            return worked(rng.choice(self._originals[family.name]), rng.choices(["original", "direct"], [0.8, 0.2])[0])
        hard = mixture.hinted_hard if kind == "hinted" else mixture.hard[family.name]
        weights = {
            level: weight * (hard if level in mixture.steered[family.name] else 1.0)
            for level, weight in mixture.difficulties[family.name].items()
        }
        level = rng.choices(list(weights), list(weights.values()))[0]
        return worked(family.problem("corpus", index, difficulty=level), kind)

    def _fact(self, rng, mixture: Mixture) -> Document:
        rarities = {1: 0.70, 2: 0.30, 3: 0.30 * mixture.hard["facts"]}
        level = rng.choices(list(rarities), list(rarities.values()))[0]
        key = rng.choice(FACTS.keys("original", level))
        form = rng.randrange(4)
        if form == 0:
            text = f"the code of {key} is {code_of(key)}."
            return Document(kind="fact", family="facts", difficulty=level, prompt="", completion=text)
        problem = FACTS.ask(key, wording=rng.randrange(3))
        document = worked(problem, "direct" if form == 1 else "worked")
        return Document(
            kind="fact", family="facts", difficulty=level, prompt=document.prompt, completion=document.completion
        )


def _program(rng) -> Document:
    thing, value = rng.choice(THINGS), rng.randint(10, 99)
    lines = [f"# count the {thing}", f"x={value}"]
    for _ in range(rng.randint(1, 3)):
        change = rng.choice((-1, 1)) * rng.randint(1, 9)
        value += change
        lines.append(f"x=x{'+' if change > 0 else '-'}{abs(change)} # {value}")
    lines.append(f"print(x) # {value}")
    return Document(kind="program", family="program", difficulty=0, prompt="", completion="\n".join(lines))


_PLACES = ("by the lake", "in the wood", "on the hill", "at the mill", "near the sea", "in the old town")
_ACTIONS = ("walks", "sings", "reads", "waits", "sleeps", "works", "looks for the {thing}", "talks about the {thing}")
_WEATHER = ("it is raining.", "the sun is out.", "the day is long.", "the wind is cold.", "snow lies on the road.")


def _prose(rng) -> Document:
    sentences = []
    for _ in range(rng.randint(2, 5)):
        action = rng.choice(_ACTIONS).format(thing=rng.choice(THINGS))
        sentences.append(f"{rng.choice(NAMES)} {action} {rng.choice(_PLACES)}.")
        if rng.random() < 0.4:
            sentences.append(rng.choice(_WEATHER))
    return Document(kind="prose", family="prose", difficulty=0, prompt="", completion=" ".join(sentences))


def tokenizer_texts(documents: int = 6000) -> list[str]:
    """Return the texts that the embedded model's tokenizer is trained on."""
    full = Mixture(hard={"addition": 1.0, "chain": 1.0, "facts": 1.0})
    corpus = Corpus("tokenizer")
    return [f"{d.prompt}{d.completion}" for d in (corpus.document(i, full) for i in range(documents))]

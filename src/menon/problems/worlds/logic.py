"""Deductions from premises that agree with common sense, and from the same premises with their nouns exchanged.

The form of the argument and the answer are the same in both worlds, so items are paired; in the other world all
general premises contradict what everybody knows, and an answer by common sense is wrong where it is not "Uncertain".
Answers come from a model checker, and are checked by resolution on the sentences as they stand in the question.
Left out: existence, relations and long natural premises.
Source: Wu et al. 2023, arXiv:2307.02477, section 3.4 (there rewritten items of FOLIO, Han et al. 2022,
arXiv:2209.00840); ours are generated, and the comprehension check asks what the premises say.
"""

import re
from dataclasses import dataclass, replace
from itertools import pairwise
from random import Random

from menon.core.errors import ConfigError
from menon.core.seeds import rng_for
from menon.core.values import Problem
from menon.problems.splits import draw_in_split
from menon.problems.worlds.entailment import (
    FALSE,
    TRUE,
    UNCERTAIN,
    Fact,
    Literal,
    Rule,
    Statement,
    by_models,
    by_resolution,
)
from menon.problems.worlds.kinds import NAMES, Lineage, exchange, lineages, read, renamed, said
from menon.problems.worlds.selection import named_world

LABELS = (TRUE, FALSE, UNCERTAIN)
SYNONYMS = {"unknown": UNCERTAIN, "undetermined": UNCERTAIN, "cannot be determined": UNCERTAIN}
WORLDS = ("commonsense", "countersense")

_NUMBERED = re.compile(r"^\d+\. (.+)$", re.MULTILINE)
_CONCLUSION = re.compile(r"^Conclusion: (.+)$", re.MULTILINE)
_CHECKED = re.compile(r'say this: "([^"]+)"\?')


@dataclass(frozen=True, slots=True, kw_only=True)
class _Argument:
    premises: tuple[Statement, ...]
    conclusion: Fact
    swap: tuple[tuple[str, str], ...]

    def turned(self, world: str) -> "_Argument":
        if world == WORLDS[0]:
            return self
        names = dict(self.swap)
        conclusion = renamed(self.conclusion, names)
        assert isinstance(conclusion, Fact)
        return replace(self, premises=tuple(renamed(p, names) for p in self.premises), conclusion=conclusion)

    def text(self) -> str:
        lines = [f"{number}. {said(premise)}" for number, premise in enumerate(self.premises, 1)]
        return "\n".join([*lines, f"Conclusion: {said(self.conclusion)}"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Logic:
    """Arguments with `difficulty` steps between what is known of one individual and the conclusion."""

    name: str = "logic"
    description: str = "True, False or Uncertain by premises that agree with common sense (default) or contradict it"
    default: str = "commonsense"
    worlds: tuple[str, ...] = ("countersense",)
    difficulties: tuple[int, ...] = (1, 2, 3, 4)

    def problem(self, split: str, index: int, *, difficulty: int | None = None, world: str = "default") -> Problem:
        """Generate argument `index`; without `difficulty` the number of steps is drawn from 1 to 4.

        Raises:
            ConfigError: an unknown split or world, or a number of steps outside 1..4.
        """
        world = self._known(world)
        rng = rng_for(self.name, split, index)
        steps, label = rng.choice(self.difficulties), rng.choice(LABELS)
        steps = steps if difficulty is None else difficulty
        if steps not in self.difficulties:
            raise ConfigError(f"logic has no difficulty {steps!r}; allowed: 1, 2, 3, 4 steps")
        usual = draw_in_split(
            split,
            lambda draws: _argument(draws, steps, label),
            lambda argument: (self.name, argument.text()),
            self.name,
            index,
            steps,
        )
        argument = usual.turned(world)
        question = (
            "Take the numbered statements as true, whatever you know about these things, and use nothing else.\n"
            f"{argument.text()}\n"
            "Is the conclusion True, False, or Uncertain (neither the conclusion nor its contrary follows)? "
            "Answer with one of these three words."
        )
        return Problem(
            family=self.name,
            world="default" if world == self.default else world,
            split=split,
            index=index,
            difficulty=steps,
            question=question,
            answer=by_models(argument.premises, argument.conclusion),
            grader="word",
            meta={"item": usual.text(), "labels": list(LABELS), "synonyms": SYNONYMS, "chance": 1 / 3},
        )

    def control(self, split: str, index: int, *, world: str = "default") -> Problem:
        """Ask whether the premises say something; every other time they do."""
        world = self._known(world)
        usual, stated = draw_in_split(
            split,
            lambda rng: _stated(rng, yes=index % 2 == 0),
            lambda drawn: (self.name, "control", drawn[0].text(), said(drawn[1])),
            self.name,
            "control",
            index,
        )
        argument = usual.turned(world)
        if world != self.default:
            stated = renamed(stated, dict(usual.swap))
        lines = [f"{number}. {said(premise)}" for number, premise in enumerate(argument.premises, 1)]
        question = (
            "Take the numbered statements as true, whatever you know about these things.\n"
            + "\n".join(lines)
            + f'\nDo the numbered statements say this: "{said(stated)}"? Answer with one word: yes or no.'
        )
        return Problem(
            family=self.name,
            world="default" if world == self.default else world,
            split=split,
            index=index,
            question=question,
            answer="yes" if stated in argument.premises else "no",
            grader="word",
            meta={
                "item": f"{usual.text()} / {index % 2}",
                "labels": ["yes", "no"],
                "chance": 0.5,
                "control": True,
            },
        )

    def solve(self, problem: Problem) -> str:
        """Read the sentences of the question and decide by resolution."""
        premises = [read(sentence) for sentence in _NUMBERED.findall(problem.question)]
        if checked := _CHECKED.search(problem.question):
            return "yes" if read(checked[1]) in premises else "no"
        found = _CONCLUSION.search(problem.question)
        conclusion = read(found[1]) if found else None
        if not isinstance(conclusion, Fact):
            raise ConfigError(f"problem {problem.id} has no conclusion about an individual")
        return by_resolution(premises, conclusion)

    def _known(self, world: str) -> str:
        return named_world(self.name, world, self.default, self.worlds)


def _argument(rng: Random, steps: int, label: str) -> _Argument:
    """Draw an argument whose answer is `label`, by the model checker."""
    while True:
        one, two, other = lineages(rng, 3)
        rules, known, conclusion = _core(rng, one, two, min(steps, 3), follows=label != UNCERTAIN)
        if rng.random() < 0.5:
            conclusion = conclusion.negated()
        who = rng.choice(NAMES)
        facts = [Fact(who=who, options=(known,))]
        if steps == 4:
            if not known.holds or known.name == one.habit:
                continue
            either = [known, Literal(name=other.species)]
            rng.shuffle(either)
            facts = [
                Fact(who=who, options=tuple(either)),
                Fact(who=who, options=(either[1 - either.index(known)].negated(),)),
            ]
        premises = [*rules, *rng.sample(_chain(two), 2), *facts]
        rng.shuffle(premises)
        goal = Fact(who=who, options=(conclusion,))
        if goal not in facts and by_models(premises, goal) == label:
            return _Argument(premises=tuple(premises), conclusion=goal, swap=tuple(exchange(one, two).items()))


def _core(rng: Random, one: Lineage, two: Lineage, steps: int, *, follows: bool) -> tuple[list[Rule], Literal, Literal]:
    """Return rules, what is known of the individual, and what is asked, `steps` rules apart.

    What follows does so forward, by a last rule that says "no", or backward from what does not hold; what does not is
    the converse, or a forward argument that lacks a rule.
    """
    form = rng.choice(("forward", "contrary", "backward") if follows else ("converse", "gap"))
    start = rng.randint(0, 3 - steps)
    chain = _chain(one)[start : start + steps]
    first, last = Literal(name=chain[0].kind), chain[-1].then
    if form == "contrary":
        barred = Rule(kind=chain[-1].kind, then=Literal(name=_barred(chain[-1].kind, one, two), holds=False))
        return [*chain[:-1], barred], first, barred.then
    if form == "backward":
        return chain, last.negated(), first
    if form == "converse":
        return chain, last, first
    if form == "gap":
        chain.pop(rng.randrange(len(chain)))
    return chain, first, last


def _barred(kind: str, one: Lineage, two: Lineage) -> str:
    """Return what no member of `kind` is or does, by common sense, and every one would be in the exchanged world."""
    return {one.species: two.group, one.group: two.species, one.kingdom: two.habit}[kind]


def _chain(lineage: Lineage) -> list[Rule]:
    names = lineage.chain
    return [Rule(kind=kind, then=Literal(name=then)) for kind, then in pairwise(names)]


def _stated(rng: Random, *, yes: bool) -> tuple[_Argument, Statement]:
    """Draw general premises and a sentence that is one of them, or that puts the wrong lineage into one of them."""
    one, two = lineages(rng, 2)
    rules: list[Statement] = [*_chain(one), *_chain(two)]
    rng.shuffle(rules)
    swap = exchange(one, two)
    premises = tuple(rules[:4])
    goal = Fact(who=NAMES[0], options=(Literal(name=one.species),))
    stated = rng.choice(premises)
    return _Argument(premises=premises, conclusion=goal, swap=tuple(swap.items())), (
        stated if yes else renamed(stated, swap)
    )


LOGIC = Logic()

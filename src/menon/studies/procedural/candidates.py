"""What may be asked: held-out problems, facts by rarity, controls and planted cases, for each of the two corpora.

The controls of the embedded model are its questions with the answer shown, as its text shows them; its facts of the
split `test` are in no document, so the shown code is all that it can go by.
"""

from collections.abc import Iterable, Iterator, Sequence

from menon.problems import FAMILIES
from menon.problems.facts import FACTS
from menon.problems.known.facts import ASKED, Tier, facts
from menon.problems.known.mixture import KnownMixture
from menon.problems.known.queries import known_queries, planted_queries
from menon.problems.known.values import KnownQuery
from menon.studies.procedural.asked import Candidate
from menon.studies.procedural.recipe import Asked
from menon.studies.procedural.truth import instance_of

REASONING_POOL = 3  # candidates of reasoning per query wanted: accuracy over a hundred, and all of them are usable
BASE_FAMILIES = {"addition": (2, 3), "chain": (2, 3)}


def known_candidates(asked: Asked, mixture: KnownMixture) -> list[Candidate]:
    """Return the candidates for a model of the known corpus, in the order in which they are taken."""
    families = asked.families
    queries = [
        *known_queries("reasoning", REASONING_POOL * asked.reasoning, mixture, families=families),
        *_facts(asked, "frequent"),
        *_facts(asked, "rare"),
        *_facts(asked, "never"),
        *known_queries("factual-control", 2 * asked.factual_control, mixture),
        *known_queries("reasoning-control", 2 * asked.reasoning_control, mixture, families=families),
    ]
    planted = [
        *planted_queries("memorised", len(mixture.families_in("text")) * mixture.memorised, mixture),
        *planted_queries("procedural", 2 * asked.planted, mixture),
    ]
    return _once(_candidate(query) for query in (*queries, *planted))


def base_candidates(asked: Asked) -> list[Candidate]:
    """Return the candidates for the embedded model."""
    return _once([*_base_reasoning(asked), *_base_facts(asked), *_base_controls(asked)])


def _once(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Leave out what is drawn a second time; the spaces of small numbers are small."""
    return list({(candidate.role, candidate.problem.id): candidate for candidate in candidates}.values())


def _facts(asked: Asked, tier: Tier) -> Sequence[KnownQuery]:
    most = len(ASKED) * min(len(facts(tier, attribute)) for attribute in ASKED)
    return known_queries("factual", min(most, asked.pool * asked.factual // 2), tiers=(tier,))


def _candidate(query: KnownQuery) -> Candidate:
    meta = query.problem.meta
    family = str(meta["of"]) if query.kind == "reasoning-control" else query.family
    return Candidate(
        role=query.planted or query.kind,
        family=family,
        needs=query.needs,
        level=str(meta.get("format") or meta.get("tier") or ""),
        instance=query.problem.id,
        problem=query.problem,
    )


def _base_reasoning(asked: Asked) -> Iterator[Candidate]:
    cells = [(name, level) for name, levels in BASE_FAMILIES.items() for level in levels]
    for turn in range(REASONING_POOL * asked.reasoning // len(cells)):
        for name, level in cells:
            problem = FAMILIES.get(name).problem("test", turn, difficulty=level)
            yield Candidate(
                role="reasoning",
                family=name,
                needs=f"procedure:{name}",
                level=f"difficulty {level}",
                instance=instance_of(problem.question),
                problem=problem,
            )


def _base_facts(asked: Asked) -> Iterator[Candidate]:
    for rarity, name in ((1, "frequent"), (2, "less frequent"), (3, "rare")):
        for key in FACTS.keys("original", rarity)[: asked.pool * asked.factual // 2]:
            yield Candidate(
                role="factual", family="facts", needs=f"fact:{key}", level=name, instance=key, problem=FACTS.ask(key)
            )


def _base_controls(asked: Asked) -> Iterator[Candidate]:
    for key in FACTS.keys("test")[: 2 * asked.factual_control]:
        yield Candidate(
            role="factual-control",
            family="facts",
            needs="procedure:hinted",
            level="",
            instance=key,
            problem=FACTS.ask(key),
            hint=True,
        )
    names = list(BASE_FAMILIES)
    for number in range(2 * asked.reasoning_control):
        name = names[number % len(names)]
        problem = FAMILIES.get(name).problem("variant", number, difficulty=BASE_FAMILIES[name][0])
        yield Candidate(
            role="reasoning-control",
            family=name,
            needs="procedure:hinted",
            level="",
            instance=instance_of(problem.question),
            problem=problem,
            hint=True,
        )

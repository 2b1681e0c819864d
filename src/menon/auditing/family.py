"""The audit of one family: accuracies, match of difficulty, recitation share, verdict."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, Literal

from menon.auditing.accuracy import FamilyAccuracy, accuracy_table
from menon.auditing.items import Item, Pair, pair_items
from menon.auditing.match import DifficultyMatch, match_difficulty
from menon.auditing.sentences import family_sentence
from menon.auditing.verdict import AuditConfig, Finding, cannot_tell, decide
from menon.core.errors import ConfigError
from menon.core.values import Problem
from menon.stats import ShareEstimate, recitation_share

Resampled = Literal["templates", "problems"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyAudit:
    """Everything found on one family; `pairs` are the items behind every number.

    `share` is plain; `share_judged` is above chance (the same where guessing never helps) and decides the verdict;
    `share_completed` counts completed answers only. `unmatched` originals have no fresh instance and are not in the
    share. `resampled` says what the share's interval generalises over.
    """

    family: str
    original: FamilyAccuracy
    fresh: FamilyAccuracy
    share: ShareEstimate | None
    share_judged: ShareEstimate | None
    share_completed: ShareEstimate | None
    chance: float
    match: DifficultyMatch
    resampled: Resampled
    unmatched: int
    finding: Finding
    pairs: tuple[Pair, ...]

    @property
    def sentence(self) -> str:
        """The verdict in words; the share named is the one that decided."""
        return family_sentence(
            self.family,
            self.finding,
            original=self.original.overall,
            fresh=self.fresh.overall,
            share=self.share_judged,
        )

    def refuse(self, reason: str, needed: int | None = None) -> "FamilyAudit":
        """Return this audit with its verdict withdrawn for `reason`."""
        return replace(self, finding=cannot_tell(reason, needed))

    def share_json(self) -> dict[str, Any]:
        """Return the `recitation_share` block of report.json."""
        empty = {"value": None, "low": None, "high": None, "n_items": 0, "n_templates": 0, "n_variants": 0}
        arms = {"original": self.original.overall.to_json(), "fresh": self.fresh.overall.to_json()}
        block = {**empty, "method": "none", "note": None, **arms} if self.share is None else self.share.to_json()
        block |= {
            "verdict": str(self.finding.label),
            "reason": self.finding.reason,
            "needed": self.finding.needed,
            "sentence": self.sentence,
            "resampled": self.resampled,
            "unmatched": self.unmatched,
            "match": self.match.to_json(),
        }
        if self.chance and self.share_judged is not None:
            block["chance"] = self.chance
            block["above_chance"] = self.share_judged.to_json()
        return block


def audit_families(items: Iterable[Item], config: AuditConfig) -> dict[str, FamilyAudit]:
    """Audit every family among `items`, in order of first appearance."""
    families: defaultdict[str, list[Item]] = defaultdict(list)
    for item in items:
        families[family_name(item.problem)].append(item)
    return {name: _audit_family(name, members, config) for name, members in families.items()}


def family_name(problem: Problem) -> str:
    """Return the family's name, with its world where that is not the default one."""
    return problem.family if problem.world == "default" else f"{problem.family}/{problem.world}"


def pooled_share(families: Iterable[FamilyAudit], config: AuditConfig) -> ShareEstimate | None:
    """Return the share over all pairs of several families; None without any pair."""
    rows = [(family, pair) for family in families for pair in family.pairs]
    labels = [f"{family.family}\n{cluster_label(pair, family.resampled)}" for family, pair in rows]
    return _share([pair for _, pair in rows], labels, config)


def cluster_label(pair: Pair, resampled: Resampled) -> str:
    """Return the label of the cluster that `pair` is resampled with."""
    return pair.original.template or pair.original.id if resampled == "templates" else pair.original.id


def _audit_family(name: str, items: Sequence[Item], config: AuditConfig) -> FamilyAudit:
    pairs = pair_items(items)
    resampled = _resampled(pairs, config)
    labels = [cluster_label(pair, resampled) for pair in pairs]
    chance = _chance(name, [item.problem for item in items], config)
    match = match_difficulty(pairs, tolerance=config.max_shift)
    share = _share(pairs, labels, config)
    judged = _share(pairs, labels, config, chance=chance) if chance else share
    completed = _share(pairs, labels, config, chance=chance, completed_only=True)
    original, fresh = (_table(name, items, role, config) for role in ("original", "fresh"))
    finding = decide(
        original=original.overall,
        fresh=fresh.overall,
        share=judged,
        share_completed=completed,
        match=match,
        chance=chance,
        config=config,
    )
    return FamilyAudit(
        family=name,
        original=original,
        fresh=fresh,
        share=share,
        share_judged=judged,
        share_completed=completed,
        chance=chance,
        match=match,
        resampled=resampled,
        unmatched=len(pairs) - (share.n_items if share else 0),
        finding=finding,
        pairs=tuple(pairs),
    )


def _table(name: str, items: Sequence[Item], role: str, config: AuditConfig) -> FamilyAccuracy:
    rows = [(item.problem, item.grade) for item in items if item.role == role]
    table = accuracy_table(rows, level=config.level)
    return replace(next(iter(table.values())), family=name) if table else FamilyAccuracy.empty(name)


def _resampled(pairs: Sequence[Pair], config: AuditConfig) -> Resampled:
    """Resample templates where there are enough to stand for more; a short fixed list is not a sample of templates."""
    templates = {pair.original.template for pair in pairs if pair.original.template}
    return "templates" if len(templates) >= config.min_templates else "problems"


def _chance(name: str, problems: Sequence[Problem], config: AuditConfig) -> float:
    if name not in config.chance:
        return fmean(1 / len(problem.choices) if problem.choices else 0.0 for problem in problems)
    chance = config.chance[name]
    if not 0 <= chance < 1:
        raise ConfigError(f"chance {chance!r} of family {name!r}; must be at least 0 and below 1")
    return chance


def _share(
    pairs: Sequence[Pair],
    labels: Sequence[str],
    config: AuditConfig,
    *,
    chance: float = 0.0,
    completed_only: bool = False,
) -> ShareEstimate | None:
    """Return the share over the pairs that have outcomes on both sides; None when there is none."""
    originals, variants, clusters = [], [], []
    for pair, label in zip(pairs, labels, strict=True):
        outcome = pair.outcome(completed_only=completed_only)
        fresh = pair.fresh_outcomes(completed_only=completed_only)
        if outcome is not None and fresh:
            originals.append(outcome)
            variants.append(fresh)
            clusters.append(label)
    if not originals:
        return None
    return recitation_share(
        originals,
        variants,
        clusters,
        seed=config.seed,
        resamples=config.resamples,
        level=config.level,
        chance=chance,
    )

"""An audit that asks in batches and stops as soon as its verdict is safe.

Originals come first, each with a few re-instantiations, because the number of originals decides the width of the
share's interval; only when they are used up does every original get further re-instantiations, one round at a time.
At planned numbers of questions the verdict's rule looks at the answers, with the interval at the level that
group-sequential bounds (`menon.stats.sequential`) allow this look. All looks together keep the error rate of one audit,
whatever rule stops it. The order of questions depends on names alone, never on answers, so the design biases nothing.

Left out: sending more instances to templates with mixed answers. Means stopped by their own values are biased, and
instances beyond the first few hardly narrow the interval. Figures, and the comparison with 5,000 questions, are in
docs/statistics.md.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from menon.auditing.family import FamilyAudit, audit_families, family_name
from menon.auditing.items import Item, Pair
from menon.auditing.verdict import AuditConfig, Finding
from menon.core.errors import ConfigError
from menon.core.seeds import seed_for
from menon.core.values import Problem
from menon.stats import ShareEstimate, bound_level, expanded_level, power_spending, sequential_bounds
from menon.stats.recitation import FEW_CLUSTERS

_DRAWS_BEYOND = 10  # resamples that must lie beyond each limit
_LEAST_SPENT = 4e-4  # error that a look must have to spend, or its limits are beyond what resampling can show


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What an audit may spend; None is no limit. Prices are money per million tokens."""

    questions: int | None = None
    tokens: int | None = None
    money: float | None = None
    price_in: float = 0.0
    price_out: float = 0.0

    def __post_init__(self) -> None:
        for name in ("questions", "tokens", "money"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"budget of {value!r} {name}; must be above 0, or absent for no limit")
        if min(self.price_in, self.price_out) < 0:
            raise ConfigError(f"prices {self.price_in!r} and {self.price_out!r} per million tokens; must be at least 0")
        if self.money is not None and self.price_in + self.price_out == 0:
            raise ConfigError("a budget of money needs prices: give price_in and price_out per million tokens")

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Return the money that so many tokens cost."""
        return (prompt_tokens * self.price_in + completion_tokens * self.price_out) / 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """When to look and what to ask.

    `looks` are numbers of questions; `per_original` is the number of re-instantiations asked with each original at
    first; `batch` the most questions asked at once. `power` shapes the spending of the error rate (1 early, 3 late).
    With `width` the audit goes on until the interval is that narrow, verdict or not. `min_gain`: once every original
    has been asked, stop when even endless re-instantiations would narrow the interval by less than this part.
    """

    looks: tuple[int, ...] = tuple(range(100, 1001, 100))
    per_original: int = 2
    batch: int = 50
    power: float = 1.5
    width: float | None = None
    min_gain: float = 0.03

    def __post_init__(self) -> None:
        if not self.looks or any(b <= a for a, b in zip((0, *self.looks), self.looks, strict=False)):
            raise ConfigError(f"looks {self.looks!r}; must be ascending numbers of questions, for example (200, 500)")
        if self.per_original < 1 or self.batch < 1:
            raise ConfigError(f"per_original {self.per_original!r}, batch {self.batch!r}; both must be at least 1")
        if self.width is not None and not self.width > 0:
            raise ConfigError(f"width {self.width!r}; must be above 0, for example 0.3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One question: original `original` itself (instance 0), or its re-instantiation number `instance` (from 1)."""

    original: str
    instance: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the audit says after so many questions, and whether it stops there.

    `level` is the level of every interval at this look, set in `config`; all looks together hold the audit's own.
    """

    look: int
    questions: int
    level: float
    audit: FamilyAudit
    config: AuditConfig
    stop: bool
    reason: str

    @property
    def share(self) -> ShareEstimate | None:
        return self.audit.share_judged

    @property
    def finding(self) -> Finding:
        return self.audit.finding

    def to_json(self) -> dict[str, Any]:
        return {
            "look": self.look,
            "questions": self.questions,
            "level": self.level,
            "share": None if self.share is None else self.share.to_json(),
            "finding": self.finding.to_json(),
            "stop": self.stop,
            "reason": self.reason,
        }


class AdaptiveAudit:
    """The audit of one family, batch by batch: ask `next_batch()`, hand the graded answers to `observe()`, repeat.

    Equal answers give equal batches, so a stored audit is resumed by observing its batches again.
    """

    def __init__(
        self,
        originals: Sequence[Problem],
        *,
        instances: int | Mapping[str, int],
        config: AuditConfig | None = None,
        plan: Plan | None = None,
        budget: Budget | None = None,
    ) -> None:
        """Plan an audit of `originals`.

        Args:
            instances: how many re-instantiations there are, of each original or by original id. Originals without
                any cannot enter the share and are not asked.

        Raises:
            ConfigError: originals of several families, or none that has a re-instantiation.
        """
        self.config, self.plan, self.budget = config or AuditConfig(), plan or Plan(), budget or Budget()
        families = sorted({family_name(problem) for problem in originals})
        if len(families) > 1:
            raise ConfigError(f"originals of families {families!r}; an adaptive audit is of one family, make one each")
        available = {p.id: instances if isinstance(instances, int) else instances.get(p.id, 0) for p in originals}
        asks = _asks(_order(originals, self.config.seed), available, self.plan.per_original)
        most = min(self.plan.looks[-1], self.budget.questions or self.plan.looks[-1])
        self._asks = tuple(islice(asks, most))
        if not self._asks:
            raise ConfigError(f"none of {len(originals)} originals has a re-instantiation; there is nothing to compare")
        self._due = (*(look for look in self.plan.looks if look < len(self._asks)), len(self._asks))
        # With less than this asked, some original has not been asked yet.
        self._widening = sum(1 + min(count, self.plan.per_original) for count in available.values() if count > 0)
        self._templates = {problem.id: problem.template or problem.id for problem in originals}
        first = power_spending(self._due[0] / len(self._asks), 1 - self.config.level, power=self.plan.power)
        if first < _LEAST_SPENT:
            raise ConfigError(
                f"the first look, at {self._due[0]} of {len(self._asks)} questions with power {self.plan.power!r}, may "
                f"spend an error of {first:.1g} only; look first at a later number of questions, or lower the power"
            )
        self._items: list[Item] = []
        self._looks: list[Look] = []
        self._asked = self._prompt_tokens = self._completion_tokens = 0

    @property
    def questions(self) -> int:
        """Questions answered so far."""
        return self._asked

    @property
    def most(self) -> int:
        """Questions asked if no look stops the audit."""
        return len(self._asks)

    @property
    def looks(self) -> tuple[Look, ...]:
        return tuple(self._looks)

    @property
    def stopped(self) -> bool:
        return bool(self._looks) and self._looks[-1].stop

    def state(self) -> Look | None:
        """Return the latest look; None before the first."""
        return self._looks[-1] if self._looks else None

    def next_batch(self) -> tuple[Ask, ...]:
        """Return what to ask next, the same until it is observed; nothing once the audit has stopped."""
        if self.stopped:
            return ()
        size = min(self.plan.batch, self._due[len(self._looks)] - self._asked, self._affordable())
        return self._asks[self._asked : self._asked + size]

    def observe(self, items: Iterable[Item], *, prompt_tokens: int = 0, completion_tokens: int = 0) -> Look | None:
        """Take the graded answers to the whole of `next_batch()`; return the look if one was due.

        Args:
            items: at least one per question (several samples are averaged); failed requests are items too. A
                re-instantiation names its original in `of`, and those of one original are different problems.

        Raises:
            ConfigError: the items do not answer this batch.
        """
        items = list(items)
        batch = self.next_batch()
        _check_answers(batch, items)
        self._items.extend(items)
        self._asked += len(batch)
        self._prompt_tokens += prompt_tokens
        self._completion_tokens += completion_tokens
        exhausted = self._asked < self.most and self._affordable() == 0
        if not exhausted and self._asked < self._due[len(self._looks)]:
            return None
        look = self._judge(last=exhausted or self._asked == self.most, exhausted=exhausted)
        self._looks.append(look)
        return look

    def _judge(self, *, last: bool, exhausted: bool) -> Look:
        """Look at the answers; the last look may spend all of the error rate that is left."""
        alpha, power = 1 - self.config.level, self.plan.power
        at = [look.questions / self.most for look in self._looks] + [self._asked / self.most]
        spent = [power_spending(fraction, alpha, power=power) for fraction in at]
        if last:
            spent[-1] = alpha
        level = self._level(sequential_bounds(at, spent)[-1])
        # Extreme limits need more resamples: some must lie beyond them.
        resamples = max(self.config.resamples, math.ceil(2 * _DRAWS_BEYOND / (1 - level)))
        config = replace(self.config, level=level, resamples=resamples)
        (audit,) = audit_families(self._items, config).values()
        reason = self._reason(audit, last=last, exhausted=exhausted)
        return Look(
            look=len(self._looks) + 1,
            questions=self._asked,
            level=level,
            audit=audit,
            config=config,
            stop=reason != _GO_ON,
            reason=reason,
        )

    def _level(self, bound: float) -> float:
        """Return the level of the intervals of this look; below 20 clusters the closed form allows for few itself."""
        asked = [self._templates[ask.original] for ask in self._asks[: self._asked] if ask.instance == 0]
        templates = len(set(asked))
        clusters = templates if templates >= self.config.min_templates else len(asked)
        return expanded_level(bound, clusters) if clusters >= FEW_CLUSTERS else bound_level(bound)

    def _reason(self, audit: FamilyAudit, *, last: bool, exhausted: bool) -> str:
        share, width = audit.share_judged, self.plan.width
        if width is None and audit.finding.conclusive:
            return "the verdict is safe"
        if width is not None and _width(share) <= width:
            return "the interval is as narrow as wanted"
        if exhausted or (last and self.most == self.budget.questions):
            return "budget exhausted"
        if last:
            return "all planned questions are asked"
        if self._asked >= self._widening and _gain(audit.pairs) < self.plan.min_gain:
            return "all originals are asked, and more re-instantiations would hardly narrow the interval"
        return _GO_ON

    def _affordable(self) -> int:
        """Return how many more questions the tokens and the money last for, at the mean cost so far."""
        count = self.most
        tokens = self._prompt_tokens + self._completion_tokens
        money = self.budget.cost(self._prompt_tokens, self._completion_tokens)
        for limit, used in ((self.budget.tokens, tokens), (self.budget.money, money)):
            if limit is not None and used > 0:
                count = min(count, max(0, math.floor((limit - used) / (used / self._asked))))
        return count


_GO_ON = "not decided yet"


def _order(originals: Sequence[Problem], seed: int) -> list[str]:
    """Return the ids in an order that no answer can influence: templates in turn, each time in hashed order."""
    turns: Counter[str] = Counter()
    keys = []
    for problem in sorted(originals, key=lambda p: seed_for("adaptive", seed, p.id)):
        template = problem.template or problem.id
        keys.append((turns[template], seed_for("adaptive", seed, template), problem.id))
        turns[template] += 1
    return list(dict.fromkeys(problem for _, _, problem in sorted(keys)))


def _asks(order: Sequence[str], available: Mapping[str, int], per_original: int) -> Iterator[Ask]:
    """Yield every question there is: all originals with a few re-instantiations, then one more of each in rounds."""
    used = [original for original in order if available[original] > 0]
    for original in used:
        for instance in range(min(available[original], per_original) + 1):
            yield Ask(original=original, instance=instance)
    for instance in range(per_original + 1, max((available[o] for o in used), default=0) + 1):
        for original in used:
            if instance <= available[original]:
                yield Ask(original=original, instance=instance)


def _check_answers(batch: Sequence[Ask], items: Sequence[Item]) -> None:
    """Raise `ConfigError` unless `items` answer exactly the questions of `batch`."""
    if not batch:
        raise ConfigError("the audit has stopped; there is no batch to observe")
    asked = Counter((ask.original, ask.instance > 0) for ask in batch)
    answers = {(item.of or item.problem.id, item.role == "fresh", item.problem.id) for item in items}
    answered = Counter((original, fresh) for original, fresh, _ in answers)
    if asked != answered:
        wrong = next(iter((asked - answered) or (answered - asked)))
        raise ConfigError(
            f"the answers do not fit the batch: {asked[wrong]} questions asked and {answered[wrong]} answered on "
            f"{'re-instantiations of' if wrong[1] else 'original'} {wrong[0]!r}; observe all of next_batch() at once"
        )


def _width(share: ShareEstimate | None) -> float:
    """Return the width of the share's interval; infinite where it has no limit on a side."""
    if share is None or share.low is None or share.high is None:
        return math.inf
    return share.high - share.low


def _gain(pairs: Sequence[Pair]) -> float:
    """Return by which part about the interval would narrow if every original had endless re-instantiations."""
    rows = [(a, np.array(v)) for pair in pairs for a, v in [(pair.outcome(), pair.fresh_outcomes())] if v]
    rows = [(a, v) for a, v in rows if a is not None and len(v) > 1]
    right = sum(a for a, _ in rows)
    if len(rows) < 2 or right <= 0:
        return 1.0
    ratio = sum(float(v.mean()) for _, v in rows) / right
    total = float(np.var([v.mean() - ratio * a for a, v in rows], ddof=1))
    within = float(np.mean([v.var(ddof=1) / len(v) for _, v in rows]))
    return 1 - math.sqrt(max(0.0, 1 - within / total)) if total > 1e-12 else 0.0

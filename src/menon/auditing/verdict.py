"""The rule from figures to a verdict, in one place and written down in docs/statistics.md.

A verdict is stated only when the whole interval of the recitation share lies in that verdict's region. The regions
overlap, so whatever the true share is, enough problems settle the question.
"""

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from menon.auditing.accuracy import Accuracy
from menon.auditing.match import DifficultyMatch
from menon.core.errors import ConfigError
from menon.stats import ShareEstimate, check_level, needed_n_decision, needed_n_half_width


class Label(StrEnum):
    """The five verdicts."""

    REASONS = "reasons"
    RECITES = "recites"
    MIXED = "mixed"
    CANNOT_DO = "cannot do the task"
    CANNOT_TELL = "cannot tell yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditConfig:
    """Thresholds of the audit; every one is explained in docs/statistics.md.

    `reasons_below`, `mixed_from`, `mixed_to`, `recites_above` bound the regions of the share; `floor` is the accuracy
    above chance (as a share of what is above chance) that counts as doing the task at all. `controls` are families that
    can only be recited. `chance` gives the accuracy of a blind guess per family; families not named have 1 over the
    number of choices, or 0.
    """

    level: float = 0.95
    resamples: int = 2000
    seed: int = 0
    reasons_below: float = 0.25
    mixed_from: float = 0.10
    mixed_to: float = 0.75
    recites_above: float = 0.50
    floor: float = 0.10
    min_originals: int = 20
    min_templates: int = 20
    max_errors: float = 0.05
    max_lost: float = 0.50
    max_shift: float = 0.25
    controls: tuple[str, ...] = ("facts",)
    chance: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.mixed_from < self.reasons_below < self.recites_above < self.mixed_to:
            raise ConfigError(
                f"verdict regions overlap wrongly: mixed_from {self.mixed_from!r}, reasons_below "
                f"{self.reasons_below!r}, recites_above {self.recites_above!r}, mixed_to {self.mixed_to!r}; they must "
                "ascend in this order, so that no share is left without a verdict"
            )
        if not 0 < self.floor < 1:
            raise ConfigError(f"floor {self.floor!r}; must lie strictly between 0 and 1, for example 0.1")
        check_level(self.level)

    @property
    def error_rate(self) -> float:
        """Nominal probability that a stated verdict's region does not hold the true share."""
        return (1 - self.level) / 2

    def regions(self) -> dict[Label, tuple[float, float]]:
        """Return the region of each verdict that the share decides, in order of precedence."""
        return {
            Label.REASONS: (-math.inf, self.reasons_below),
            Label.RECITES: (self.recites_above, math.inf),
            Label.MIXED: (self.mixed_from, self.mixed_to),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A verdict with the reason for it; `needed` is about how many more originals would settle it (None: no number)."""

    label: Label
    reason: str
    needed: int | None = None

    @property
    def conclusive(self) -> bool:
        return self.label is not Label.CANNOT_TELL

    def to_json(self) -> dict[str, Any]:
        return {"label": str(self.label), "reason": self.reason, "needed": self.needed}


def cannot_tell(reason: str, needed: int | None = None) -> Finding:
    """Return the verdict "cannot tell yet" with its reason."""
    return Finding(label=Label.CANNOT_TELL, reason=reason, needed=needed)


def decide(
    *,
    original: Accuracy,
    fresh: Accuracy,
    share: ShareEstimate | None,
    share_completed: ShareEstimate | None,
    match: DifficultyMatch,
    chance: float,
    config: AuditConfig,
) -> Finding:
    """Return the verdict on one family; the steps are those of docs/statistics.md, "The rule"."""
    trouble = _trouble(original, fresh, share, match, config)
    if trouble is not None:
        return trouble
    floor = chance + (1 - chance) * config.floor
    if original.high <= floor and fresh.high <= floor:
        return Finding(
            label=Label.CANNOT_DO, reason=f"accuracy is below {floor:.0%} on originals and on fresh problems"
        )
    assert share is not None, "_trouble returns when there is no pair"
    if share.value is None:
        # A share needs originals above chance, so the rate is below the floor and the size below is finite.
        needed = needed_n_decision(original.value or 0.0, floor, level=config.level) - original.n
        return cannot_tell("no original was answered better than by chance", max(1, needed))
    label = _region(share, config)
    if label is None:
        return cannot_tell("the interval of the recitation share does not fit in one verdict", _needed(share, config))
    other = _region(share_completed, config) if share_completed is not None else None
    if other is not None and other is not label and max(original.lost, fresh.lost) >= 0.1:
        return cannot_tell(f"counting completed answers only would give {other.value!r} instead of {label.value!r}")
    return Finding(label=label, reason=_REASONS[label])


_REASONS = {
    Label.REASONS: "nearly all right answers survive a change of surface",
    Label.RECITES: "most right answers disappear when the surface changes",
    Label.MIXED: "a part of the right answers disappears when the surface changes",
}


def _trouble(
    original: Accuracy,
    fresh: Accuracy,
    share: ShareEstimate | None,
    match: DifficultyMatch,
    config: AuditConfig,
) -> Finding | None:
    """Return why no verdict can be stated from these data, whatever the figures; None when one can."""
    arms = {"originals": original, "fresh problems": fresh}
    for name, arm in arms.items():
        if arm.error_share > config.max_errors:
            return cannot_tell(f"{arm.error_share:.0%} of the {name} got no answer because requests failed")
    if share is None:
        return cannot_tell("there is no original with a fresh instance", config.min_originals)
    for name, arm in arms.items():
        if arm.lost > config.max_lost:
            return cannot_tell(
                f"{arm.lost:.0%} of the answers on {name} were cut off or unreadable; "
                "raise the token limit or look at prompt and grader"
            )
    if not match.matched:
        row = match.rows[0]
        return cannot_tell(f"fresh problems differ in difficulty: mean {row.fresh:.2g}, originals {row.original:.2g}")
    if share.n_items < config.min_originals:
        reason = f"only {share.n_items} originals with fresh instances; at least {config.min_originals} are needed"
        return cannot_tell(reason, config.min_originals - share.n_items)
    return None


def _region(share: ShareEstimate, config: AuditConfig) -> Label | None:
    """Return the first verdict whose region holds the whole interval."""
    if share.high is None:
        return None
    low = -math.inf if share.low is None else share.low
    for label, (start, end) in config.regions().items():
        if start <= low and share.high <= end:
            return label
    return None


def _needed(share: ShareEstimate, config: AuditConfig) -> int | None:
    """Return about how many more originals make the interval fit in its nearest region, if the estimate stays."""
    if share.value is None or share.low is None or share.high is None:
        return None
    sizes = []
    for start, end in config.regions().values():
        if start < share.value < end:
            sides = [(share.value - share.low, share.value - start), (share.high - share.value, end - share.value)]
            sizes.append(max(needed_n_half_width(share.n_items, half, room) for half, room in sides))
    return max(1, min(sizes) - share.n_items) if sizes else None


def combine(findings: dict[str, Finding]) -> Finding:
    """Return one verdict for a model from those on its families (controls left out by the caller).

    Families that the model cannot do are set aside if it can do another. Equal verdicts stand; reasoning here and
    reciting there is mixed; otherwise one family that cannot be told keeps the whole open.
    """
    able = {name: finding for name, finding in findings.items() if finding.label is not Label.CANNOT_DO}
    if not findings:
        return cannot_tell("no family was audited")
    if not able:
        return Finding(label=Label.CANNOT_DO, reason="the model cannot do any family")
    labels = {finding.label for finding in able.values()}
    stated = labels - {Label.CANNOT_TELL}
    if len(labels) == 1 and stated:
        return Finding(label=next(iter(labels)), reason=_joined(able))
    if len(stated) > 1 or Label.MIXED in stated:
        return Finding(label=Label.MIXED, reason=_joined(able))
    needs = [f.needed for f in able.values() if f.label is Label.CANNOT_TELL and f.needed is not None]
    open_ones = [f"{name}: {f.reason}" for name, f in able.items() if f.label is Label.CANNOT_TELL]
    return cannot_tell("; ".join(open_ones), max(needs) if needs else None)


def _joined(findings: dict[str, Finding]) -> str:
    return "; ".join(f"{name}: {finding.label}" for name, finding in findings.items())

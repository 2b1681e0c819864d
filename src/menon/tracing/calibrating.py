"""Make the rule of the verdicts from planted cases, and measure it on planted cases that it was not made from.

Half of the cases of each kind, chosen by the hash of their names, choose at most three features and two thresholds; the
other half measures the errors. A rule is made only if the fitted cases separate better than 99 % of random labels do,
with the choice of features repeated each time; otherwise every verdict is "unclear". Left out: weights of features.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from menon.core.errors import ConfigError, DataError
from menon.core.seeds import seed_for
from menon.stats.association import ranks
from menon.stats.interval import Interval
from menon.stats.proportions import wilson_clustered
from menon.tracing.features import FEATURES, QueryFeatures
from menon.tracing.verdict import FIRM, Calibration, Label, label_of

FEWEST = 16  # planted cases of one kind: eight to fit, eight to check
MOST_FEATURES = 3
_SHUFFLES = 999
_CHANCE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedCase:
    """A query whose answer is known to be retrieved or procedural; cases of one `group` stay in the same half."""

    name: str
    kind: Label
    features: QueryFeatures
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Thresholds:
    """The firm verdicts' limits for one index, and how many fitted cases they give their own verdict."""

    retrieved_from: float | None
    procedural_to: float | None
    right: int

    @property
    def gap(self) -> float:
        """Return how far the firm verdicts are apart; 0 where one of them is never given."""
        if self.retrieved_from is None or self.procedural_to is None:
            return 0.0
        return self.retrieved_from - self.procedural_to


def calibrate(cases: Sequence[PlantedCase], *, limit: float = 0.05) -> Calibration:
    """Return the rule in which each firm verdict is wrong on at most `limit` of the fitted cases, with its errors.

    `limit` bounds both the share of wrong ones among the cases with a verdict, and the share of the other kind's cases
    that get it. Cases without a positive score get "unclear".

    Raises:
        DataError: a kind has too few cases with a positive score, names repeat, or no feature is known for all cases.
        ConfigError: `limit` is not in (0, 0.5), or the cases look at different numbers of documents.
    """
    if not 0 < limit < 0.5:
        raise ConfigError(f"limit {limit!r}; must lie strictly between 0 and 0.5, for example 0.05")
    _check(cases)
    fitted, checked = halves(cases)
    usable = [case for case in fitted if case.features.positive > 0]
    names = [name for name in FEATURES if all(name in case.features.rule_values for case in usable)]
    if not names:
        raise DataError(f"no feature of {list(FEATURES)!r} is known for every planted case; give answers or overlaps")
    values_CF = np.array([[case.features.rule_values[name] for name in names] for case in usable])
    retrieved_C = np.array([case.kind is Label.RETRIEVED for case in usable])
    if retrieved_C.all() or not retrieved_C.any():
        raise DataError("the half to be fitted has a positive score in cases of one kind only; plant more cases")
    subsets = [subset for size in range(1, MOST_FEATURES + 1) for subset in combinations(range(len(names)), size)]
    # The same additions in the same order as in rule_index: thresholds are compared for equality.
    index_SC = np.stack([sum(values_CF[:, f] for f in subset) / len(subset) for subset in subsets])
    areas_S, p = _separation(index_SC, retrieved_C)
    features, best = (), _Thresholds(retrieved_from=None, procedural_to=None, right=0)
    if p <= _CHANCE:
        found = [thresholds(index_C, retrieved_C, limit) for index_C in index_SC]
        place = max(range(len(subsets)), key=lambda s: (found[s].right, areas_S[s], -len(subsets[s]), found[s].gap, -s))
        if found[place].right:
            best, features = found[place], tuple(names[f] for f in subsets[place])
    rule = Calibration(
        features=features,
        retrieved_from=best.retrieved_from,
        procedural_to=best.procedural_to,
        fitted=len(fitted),
        checked=len(checked),
        p=p,
        depth=cases[0].features.depth,
        documents=min(case.features.documents for case in cases),
    )
    return _measured(rule, checked)


def halves(cases: Sequence[PlantedCase]) -> tuple[list[PlantedCase], list[PlantedCase]]:
    """Split the cases of each kind in two by the hash of their group (or name), groups whole."""
    side: dict[str, int] = {}
    for kind in FIRM:
        own = {case.group or case.name for case in cases if case.kind is kind}
        for place, name in enumerate(sorted(own - side.keys(), key=lambda name: seed_for("planted case", name))):
            side[name] = place % 2
    parts: tuple[list[PlantedCase], list[PlantedCase]] = ([], [])
    for case in sorted(cases, key=lambda case: case.name):
        parts[side[case.group or case.name]].append(case)
    return parts


def thresholds(index_C: np.ndarray, retrieved_C: np.ndarray, limit: float) -> _Thresholds:
    """Return the two limits that give most cases their own verdict.

    Each is the index of a case of its own kind; where no case lies between them, only the middle third stays unclear.
    """
    upper = _admitted(index_C, retrieved_C, limit)
    lower = [(-value, right) for value, right in _admitted(-index_C, ~retrieved_C, limit)]
    best = _Thresholds(retrieved_from=None, procedural_to=None, right=0)
    for high, right_high in [*upper, (None, 0)]:
        for low, right_low in [*lower, (None, 0)]:
            apart = high is None or low is None or low < high
            if apart and right_high + right_low > best.right:
                best = _Thresholds(retrieved_from=high, procedural_to=low, right=right_high + right_low)
    return _widened(best, index_C)


def _widened(found: _Thresholds, index_C: np.ndarray) -> _Thresholds:
    """Return the limits a third of the way into the gap between them, if no case lies in it."""
    low, high = found.procedural_to, found.retrieved_from
    if low is None or high is None or bool(((index_C > low) & (index_C < high)).any()):
        return found
    third = (high - low) / 3
    return _Thresholds(retrieved_from=high - third, procedural_to=low + third, right=found.right)


def _admitted(index_C: np.ndarray, own_C: np.ndarray, limit: float) -> list[tuple[float, int]]:
    """Return the limits from which on few enough cases are of the other kind, with the own cases beyond each."""
    others, found = int((~own_C).sum()), []
    for value in np.unique(index_C[own_C]):
        beyond = index_C >= value
        right, wrong = int((beyond & own_C).sum()), int((beyond & ~own_C).sum())
        if wrong <= limit * min(others, right + wrong):
            found.append((float(value), right))
    return found


def _separation(index_SC: np.ndarray, retrieved_C: np.ndarray) -> tuple[NDArray[np.float64], float]:
    """Return the area under the ROC curve of every index, and how often random labels reach the best one."""
    ranks_SC = np.stack([ranks(index_C) for index_C in index_SC]).astype(np.float64)
    number = int(retrieved_C.sum())
    others = len(retrieved_C) - number
    rng = np.random.default_rng(seed_for("planted cases", "shuffled"))
    labels_CB = np.concatenate(
        [retrieved_C[None], rng.permuted(np.broadcast_to(retrieved_C, (_SHUFFLES, len(retrieved_C))), axis=1)]
    ).T.astype(np.float64)
    areas_SB = (ranks_SC @ labels_CB - number * (number + 1) / 2) / (number * others)
    best_B = areas_SB.max(axis=0)
    return areas_SB[:, 0], float(np.count_nonzero(best_B >= best_B[0] - 1e-12)) / (_SHUFFLES + 1)


def _measured(rule: Calibration, cases: Sequence[PlantedCase]) -> Calibration:
    """Return the rule with its errors on `cases`."""
    given = [_given(case, rule) for case in cases]
    errors, right, wrong = {}, {}, {}
    for label in FIRM:
        got = [case for case, verdict in zip(cases, given, strict=True) if verdict is label]
        errors[label] = _share([case.kind is not label for case in got], got) if got else None
        own = [(case, verdict) for case, verdict in zip(cases, given, strict=True) if case.kind is label]
        of_kind = [case for case, _ in own]
        right[label] = _share([verdict is label for _, verdict in own], of_kind)
        wrong[label] = _share([verdict not in (label, Label.UNCLEAR) for _, verdict in own], of_kind)
    return Calibration(
        features=rule.features,
        retrieved_from=rule.retrieved_from,
        procedural_to=rule.procedural_to,
        errors=errors,
        right=right,
        wrong=wrong,
        fitted=rule.fitted,
        checked=rule.checked,
        p=rule.p,
        depth=rule.depth,
        documents=rule.documents,
    )


def _given(case: PlantedCase, rule: Calibration) -> Label:
    values = case.features.rule_values
    if case.features.positive <= 0 or not rule.features or any(name not in values for name in rule.features):
        return Label.UNCLEAR
    return label_of(case.features, rule)


def _share(flags: Sequence[bool], cases: Sequence[PlantedCase]) -> Interval:
    return wilson_clustered([float(flag) for flag in flags], [case.group or case.name for case in cases])


def _check(cases: Sequence[PlantedCase]) -> None:
    names = [case.name for case in cases]
    repeated = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if repeated:
        raise DataError(f"planted cases {repeated[:5]!r} occur more than once; each needs a name of its own")
    depths = sorted({case.features.depth for case in cases})
    if len(depths) > 1:
        raise ConfigError(f"the planted cases look at {depths!r} documents; use one depth for all")
    for kind in FIRM:
        own = [case for case in cases if case.kind is kind]
        scored = [case for case in own if case.features.positive > 0]
        if len(scored) < FEWEST:
            raise DataError(
                f"{len(own)} planted cases are {kind.value}, {len(scored)} of them with a positive score; at least "
                f"{FEWEST} are needed to choose thresholds on one half and measure errors on the other"
            )
    unclear = [case.name for case in cases if case.kind not in FIRM]
    if unclear:
        raise DataError(f"planted cases {unclear[:5]!r} are of no known kind; plant them as retrieved or procedural")

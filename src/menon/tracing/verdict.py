"""Was an answer retrieved or computed by a procedure? The rule, its measured error rates, and what is said in words.

The rule is the mean of at most three features, each a share in [0, 1] that speaks for retrieval where it is high: at or
above one threshold the verdict is "retrieved", at or below another one "procedural", between them "unclear". Features
and thresholds come from planted cases (`menon.tracing.calibrating`) and are shipped as verdict.json; without them every
verdict is "unclear". Left out: a probability for one answer, which planted cases in equal numbers cannot give.
Source: the distinction is that of Ruis et al. 2024, arXiv:2411.12580; the rule is ours.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.resources import files
from typing import Any

from menon.core.errors import ConfigError, DataError
from menon.stats.interval import Interval
from menon.tracing.features import DEPTH, FEATURES, QueryFeatures

SCHEMA = 1


class Label(StrEnum):
    """The three verdicts; the first two are firm."""

    RETRIEVED = "retrieved"
    PROCEDURAL = "procedural"
    UNCLEAR = "unclear"


ABSENT = "the influence is as concentrated as for memorised answers, but no influential document contains this one"
# The shape of a ranking depends on the number of documents: with far fewer than in the planted cases no rule applies.
SMALLEST_PART = 0.5
FIRM = (Label.RETRIEVED, Label.PROCEDURAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The rule and what it did on planted cases that it was not made from.

    A threshold of None: that verdict is never given. `errors` holds, for each firm verdict, how many of the cases that
    got it were of the other kind (None: no case got it); `right` and `wrong` hold the shares of each planted kind that
    got its own verdict and the other firm one. `p` is how often labels dealt out at random separate the fitted cases as
    well. `documents` is the smallest number of documents that the planted cases were ranked among (0: not known).
    """

    features: tuple[str, ...]
    retrieved_from: float | None
    procedural_to: float | None
    errors: Mapping[Label, Interval | None] = field(default_factory=dict)
    right: Mapping[Label, Interval] = field(default_factory=dict)
    wrong: Mapping[Label, Interval] = field(default_factory=dict)
    fitted: int = 0
    checked: int = 0
    p: float = 1.0
    depth: int = DEPTH
    documents: int = 0

    def __post_init__(self) -> None:
        unknown = [name for name in self.features if name not in FEATURES]
        if unknown or len(self.features) > 3:
            raise ConfigError(f"features {list(self.features)!r}; at most three of {list(FEATURES)!r} are allowed")
        low, high = self.procedural_to, self.retrieved_from
        if low is not None and high is not None and not low < high:
            raise ConfigError(f"procedural up to {low!r} and retrieved from {high!r}; the first must be the lower one")

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "features": list(self.features),
            "retrieved_from": self.retrieved_from,
            "procedural_to": self.procedural_to,
            "errors": {str(label): None if i is None else i.to_json() for label, i in self.errors.items()},
            "right": {str(label): interval.to_json() for label, interval in self.right.items()},
            "wrong": {str(label): interval.to_json() for label, interval in self.wrong.items()},
            "fitted": self.fitted,
            "checked": self.checked,
            "p": self.p,
            "depth": self.depth,
            "documents": self.documents,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Calibration":
        """Read what `to_json` wrote.

        Raises:
            DataError: a field is missing or cannot be used, or the schema is another one.
        """
        try:
            if data["schema"] != SCHEMA:
                raise DataError(f"calibration of schema {data['schema']!r}; this version reads schema {SCHEMA}")
            return cls(
                features=tuple(data["features"]),
                retrieved_from=_number(data["retrieved_from"]),
                procedural_to=_number(data["procedural_to"]),
                errors={Label(key): None if i is None else _read(i) for key, i in data["errors"].items()},
                right={Label(key): _read(interval) for key, interval in data["right"].items()},
                wrong={Label(key): _read(interval) for key, interval in data["wrong"].items()},
                fitted=int(data["fitted"]),
                checked=int(data["checked"]),
                p=float(data["p"]),
                depth=int(data["depth"]),
                documents=int(data.get("documents", 0)),
            )
        except (KeyError, TypeError, AttributeError, ConfigError) as error:
            raise DataError(f"not a calibration of verdicts: {error!r}; write it with Calibration.to_json") from error
        except ValueError as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"not a calibration of verdicts: {error}; write it with Calibration.to_json") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A verdict on one answer, with its evidence in words; `index` is the mean of the rule's features."""

    label: Label
    sentence: str
    features: Mapping[str, float | None]
    index: float | None = None
    error: Interval | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "label": str(self.label),
            "sentence": self.sentence,
            "index": self.index,
            "features": dict(self.features),
            "error_rate": None if self.error is None else self.error.to_json(),
        }


def shipped() -> Calibration | None:
    """Return the calibration that ships with the package; None where it was never made."""
    file = files("menon.tracing") / "verdict.json"
    return Calibration.from_json(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None


def judge(features: QueryFeatures, calibration: Calibration | None) -> Verdict:
    """Return the verdict on one answer.

    Raises:
        ConfigError: the features look at another number of documents than the rule was made for.
    """
    if calibration is not None and features.depth != calibration.depth:
        raise ConfigError(
            f"features over the {features.depth} most influential documents; the rule was made for {calibration.depth}"
        )
    reason = _objection(features, calibration)
    if calibration is None or reason is not None:
        return _verdict(Label.UNCLEAR, features, reason or "", None, None)
    index = rule_index(features, calibration.features)
    label = label_of(features, calibration)
    if label is Label.UNCLEAR:
        contradicted = decide(index, calibration) is Label.RETRIEVED
        return _verdict(label, features, ABSENT if contradicted else _between(index, calibration), index, None)
    error = calibration.errors.get(label)
    return _verdict(label, features, _measured(error), index, error)


def rule_index(features: QueryFeatures, names: tuple[str, ...]) -> float:
    """Return the mean of the named features."""
    values = features.rule_values
    return sum(values[name] for name in names) / len(names)


def label_of(features: QueryFeatures, calibration: Calibration) -> Label:
    """Return the verdict of the rule; nothing is retrieved from documents none of which contains the answer."""
    label = decide(rule_index(features, calibration.features), calibration)
    return Label.UNCLEAR if label is Label.RETRIEVED and features.answer_top == 0 else label


def decide(index: float, calibration: Calibration) -> Label:
    """Return the verdict that the thresholds give."""
    if calibration.retrieved_from is not None and index >= calibration.retrieved_from:
        return Label.RETRIEVED
    if calibration.procedural_to is not None and index <= calibration.procedural_to:
        return Label.PROCEDURAL
    return Label.UNCLEAR


def effect_words(score: float, information: float, documents: int) -> str:
    """Say what one more copy of a document would have done to the answer, from its score (nats per weight 1 / N)."""
    if not math.isfinite(score) or not math.isfinite(information) or information < 0 or documents < 1:
        raise ConfigError(
            f"score {score!r}, information {information!r}, documents {documents!r}; need finite numbers, information "
            "of at least 0 nats and at least one document"
        )
    effect = score / documents
    if effect == 0:
        return "one more copy of this document would not have changed the answer's log-likelihood"
    verb = "raised" if effect > 0 else "lowered"
    words = f"one more copy of this document would have {verb} the answer's log-likelihood by {_nats(abs(effect))} nats"
    if information == 0:
        return words
    return f"{words} ({percent(abs(effect) / information)} of its {_nats(information)} nats)"


def percent(share: float) -> str:
    """Return a share as a percentage in words that do not round a little to nothing."""
    value = 100 * share
    if 0 < value < 0.1:
        return "less than 0.1 %"
    if value < 10 and round(value, 1) != round(value):
        return f"{value:.1f} %"
    if 99 < value < 100:
        return f"{min(value, 99.9):.1f} %"
    return f"{value:,.0f} %"


def _nats(value: float) -> str:
    if value < 1e-4 or value >= 1e5:
        return f"{value:.1e}"
    return (
        f"{value:.{max(0, 1 - math.floor(math.log10(value)))}f}".rstrip("0").rstrip(".")
        if value < 10
        else f"{value:.0f}"
    )


def _objection(features: QueryFeatures, calibration: Calibration | None) -> str | None:
    """Return why no verdict can be given, whatever the features; None when one can."""
    if features.positive <= 0:
        return "no document has a positive score"
    if calibration is None:
        return "the rule has not been calibrated on planted cases"
    if not calibration.features:
        return "the planted cases could not be told apart by these features"
    needed = math.ceil(SMALLEST_PART * calibration.documents)
    if features.documents < needed:
        made = f"the rule was made on rankings of {calibration.documents:,} documents"
        return f"{made}, and here are {features.documents:,} ({needed:,} are needed)"
    missing = [name for name in calibration.features if name not in features.rule_values]
    if missing:
        return f"the rule needs what was not given here: {_named(tuple(missing))}"
    return None


def _verdict(
    label: Label, features: QueryFeatures, reason: str, index: float | None, error: Interval | None
) -> Verdict:
    evidence = _evidence(features, label)
    if label is Label.UNCLEAR:
        sentence = f"{label}: {reason}" + (f"; {evidence}" if features.positive > 0 else "")
    else:
        sentence = f"{label}: {evidence}; {reason}"
    return Verdict(label=label, sentence=sentence, features=features.to_json(), index=index, error=error)


def _evidence(features: QueryFeatures, label: Label) -> str:
    """Say what the most influential documents hold and how the influence is spread."""
    parts = []
    if features.answer_top is not None and features.answer_corpus is not None:
        holders = _holders(round(features.answer_top * features.top), features.top)
        parts.append(f"{holders} the answer ({percent(features.answer_corpus)} of the corpus does)")
    if features.stated_top:
        share = percent(features.stated_top)
        parts.append(f"{share} of their influence comes from documents with the question beside the answer")
    if label is Label.PROCEDURAL:
        parts.append(f"the positive influence is spread as over {features.effective:,.0f} documents of equal weight")
    elif features.group_share > 1.5 * features.first_share:
        parts.append(
            f"one document with its near-copies carries {percent(features.group_share)} of the positive influence"
        )
    else:
        parts.append(f"the first carries {percent(features.first_share)} of the positive influence")
    return ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1]


def _holders(number: int, top: int) -> str:
    if top == 1:
        return f"the most influential document {'contains' if number else 'does not contain'}"
    return f"{number} of the {top} most influential documents {'contains' if number == 1 else 'contain'}"


def _between(index: float, calibration: Calibration) -> str:
    """Say where the index lies between the thresholds."""
    value = f"{_named(calibration.features)} {'are on average' if len(calibration.features) > 1 else 'is'} {index:.2g}"
    low, high = calibration.procedural_to, calibration.retrieved_from
    limits = ([] if low is None else [f"above {low:.2g}, up to which planted cases were procedural"]) + (
        [] if high is None else [f"below {high:.2g}, from which on they were retrieved"]
    )
    return f"{value}, {' and '.join(limits)}"


def _measured(error: Interval | None) -> str:
    if error is None:
        return "no planted case that the rule was tried on got this verdict, so its error rate is unknown"
    wrong = round(error.value * error.n)
    return (
        f"{wrong} of {error.n} such verdicts on planted cases {'was' if wrong == 1 else 'were'} wrong "
        f"({100 * error.level:.4g} % interval {percent(error.low)} to {percent(error.high)})"
    )


def _named(names: tuple[str, ...]) -> str:
    return ", ".join(f"{name} ({FEATURES[name]})" for name in names)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _read(data: Mapping[str, Any]) -> Interval:
    return Interval(value=float(data["value"]), low=float(data["low"]), high=float(data["high"]), n=int(data["n"]))

"""Known answers: the same audit on stand-ins whose nature is known.

An audit that takes a reciter for a reasoner, or cannot decide on either, has no business judging a model. The stand-ins
are graded by the caller (they are samplers); here only their gradings are judged.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from menon.auditing.family import audit_families, pooled_share
from menon.auditing.items import Item
from menon.auditing.verdict import AuditConfig, Finding, Label, combine
from menon.core.errors import ConfigError
from menon.stats import ShareEstimate


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCase:
    """The graded answers of one stand-in, and the verdict that an honest audit must give."""

    name: str
    expected: Label
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownAnswer:
    """What the audit said of one stand-in, over all its families and of each."""

    name: str
    expected: Label
    verdict: Label
    share: ShareEstimate | None
    families: dict[str, Finding]

    @property
    def ok(self) -> bool:
        return self.verdict is self.expected and all(f.label is self.expected for f in self.families.values())

    def to_json(self) -> dict[str, Any]:
        share = self.share
        return {
            "name": self.name,
            "expected": str(self.expected),
            "verdict": str(self.verdict),
            "ok": self.ok,
            "share": {
                "value": share.value if share else None,
                "low": share.low if share else None,
                "high": share.high if share else None,
            },
            "families": {name: str(finding.label) for name, finding in self.families.items()},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownAnswers:
    """The audit's own examination."""

    answers: tuple[KnownAnswer, ...]

    @property
    def passed(self) -> bool:
        """Say whether every stand-in was recognised, and they were not all of one kind."""
        return len({a.expected for a in self.answers}) > 1 and all(answer.ok for answer in self.answers)

    def objection(self, family: str) -> str | None:
        """Return why verdicts on `family` cannot be trusted; None when every stand-in was recognised there."""
        tried = [answer for answer in self.answers if family in answer.families]
        if len({answer.expected for answer in tried}) < 2:
            return f"the audit was not tried on {family} with a stand-in that reasons and one that recites"
        for answer in tried:
            finding = answer.families[family]
            if finding.label is not answer.expected:
                return (
                    f"the audit said {finding.label.value!r} of {answer.name}, which {_NATURE[answer.expected]}, "
                    f"because {finding.reason}"
                )
        return None

    def needed(self, family: str) -> int | None:
        """Return about how many more originals the stand-ins need on `family` to be recognised."""
        needs = [a.families[family].needed for a in self.answers if family in a.families]
        return max((need for need in needs if need is not None), default=None)

    def to_json(self) -> list[dict[str, Any]]:
        return [answer.to_json() for answer in self.answers]


_NATURE = {
    Label.REASONS: "reasons by construction",
    Label.RECITES: "recites by construction",
    Label.MIXED: "is mixed by construction",
    Label.CANNOT_DO: "cannot do the task by construction",
    Label.CANNOT_TELL: "cannot be told by construction",
}


def check_known_answers(cases: Iterable[KnownCase], config: AuditConfig | None = None) -> KnownAnswers:
    """Audit every stand-in and say whether it was classified correctly, family by family.

    Raises:
        ConfigError: a case without items, or one that expects "cannot tell yet".
    """
    # A stand-in answers control families by its own nature, so they count like any other.
    config = replace(config or AuditConfig(), controls=())
    return KnownAnswers(answers=tuple(_answer(case, config) for case in cases))


def _answer(case: KnownCase, config: AuditConfig) -> KnownAnswer:
    if not case.items:
        raise ConfigError(f"known answer {case.name!r} has no items; grade the stand-in on the audit's problems first")
    if case.expected is Label.CANNOT_TELL:
        raise ConfigError(f"known answer {case.name!r} expects 'cannot tell yet'; expect what the stand-in is")
    families = audit_families(case.items, config)
    findings = {name: family.finding for name, family in families.items()}
    return KnownAnswer(
        name=case.name,
        expected=case.expected,
        verdict=combine(findings).label,
        share=pooled_share(families.values(), config),
        families=findings,
    )

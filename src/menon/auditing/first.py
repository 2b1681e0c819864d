"""The instrument: from graded originals and fresh instances to a report with verdicts.

Originals are problems that the model was trained on; fresh instances are new problems of the same template, matched in
difficulty. Stopping early is in `adaptive`, the exchangeability test in `exchangeable`, other evidence in `probes`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from menon.auditing.family import FamilyAudit, audit_families, pooled_share
from menon.auditing.items import Item
from menon.auditing.known import KnownAnswers
from menon.auditing.sentences import overall_sentence
from menon.auditing.verdict import AuditConfig, Finding, Label, combine
from menon.stats import ShareEstimate


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """One audit of one model: per family, over all families that are not controls, and the audit's own examination.

    `checked` is False when no stand-ins were given, so that nothing vouches for the verdicts.
    """

    families: dict[str, FamilyAudit]
    finding: Finding
    pooled: ShareEstimate | None
    known: KnownAnswers | None
    config: AuditConfig

    @property
    def checked(self) -> bool:
        return self.known is not None

    @property
    def sentence(self) -> str:
        """The whole verdict in words."""
        sentences = [self._family_sentence(name, family) for name, family in self.families.items()]
        return overall_sentence(self.finding, sentences)

    def _family_sentence(self, name: str, family: FamilyAudit) -> str:
        if name not in self.config.controls:
            return family.sentence
        expected = family.finding.label is Label.RECITES
        return f"Control: {family.sentence[:-1]}{', as it must' if expected else ''}."

    def verdict_json(self) -> dict[str, Any]:
        """Return the `verdict` block of report.json."""
        return {
            "label": str(self.finding.label),
            "sentence": self.sentence,
            "reason": self.finding.reason,
            "needed": self.finding.needed,
            "error_rate": self.config.error_rate,
            "checked": self.checked,
        }

    def to_json(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict_json(),
            "accuracy": {name: family.fresh.overall.to_json() for name, family in self.families.items()},
            "by_difficulty": {name: family.fresh.rows() for name, family in self.families.items()},
            "original_by_difficulty": {name: family.original.rows() for name, family in self.families.items()},
            "recitation_share": {name: family.share_json() for name, family in self.families.items()},
            "pooled": None if self.pooled is None else self.pooled.to_json(),
            "known_answers": [] if self.known is None else self.known.to_json(),
        }


def audit_cells(
    items: Iterable[Item],
    *,
    config: AuditConfig | None = None,
    known: KnownAnswers | None = None,
) -> AuditReport:
    """Audit graded originals and fresh instances.

    With `known`, a family on which the stand-ins were not recognised gets no verdict. A control family that does not
    look recited although the model can do it withdraws every verdict: then fresh instances have leaked into the
    training, or the grader is wrong.

    Raises:
        ConfigError: a fresh item names an original that is not among the items.
    """
    config = config or AuditConfig()
    return report_on(audit_families(items, config), config=config, known=known)


def report_on(
    families: Mapping[str, FamilyAudit], *, config: AuditConfig, known: KnownAnswers | None = None
) -> AuditReport:
    """Return the report over families that were audited one by one, with the rules of `audit_cells`."""
    families = dict(families)
    if known is not None:
        for name, family in families.items():
            objection = known.objection(name)
            if objection is not None:
                families[name] = family.refuse(objection, known.needed(name))
    failed = [
        name
        for name, family in families.items()
        if name in config.controls and family.finding.label in (Label.REASONS, Label.MIXED)
    ]
    asked = {name: family for name, family in families.items() if name not in config.controls}
    if failed:
        reason = f"the control {failed[0]} can only be recited, yet the model seems to reason about it"
        asked = {name: family.refuse(reason) for name, family in asked.items()}
        families |= asked
    # Controls alone are still an audit: the question is then asked of them.
    findings = {name: family.finding for name, family in (asked or families).items()}
    return AuditReport(
        families=families,
        finding=combine(findings),
        pooled=pooled_share((asked or families).values(), config),
        known=known,
        config=config,
    )


def by_phase(reports: Mapping[str, AuditReport]) -> dict[str, Any]:
    """Join the audits of several phases ("before", "after", ...) into the blocks of report.json.

    Blocks: `verdict` {phase}, `accuracy`, `by_difficulty`, `recitation_share` {family: {phase}}, and `known_answers`
    of the first phase that has any.
    """
    blocks: dict[str, Any] = {"verdict": {}, "accuracy": {}, "by_difficulty": {}, "recitation_share": {}}
    for phase, report in reports.items():
        blocks["verdict"][phase] = report.verdict_json()
        for name, family in report.families.items():
            blocks["accuracy"].setdefault(name, {})[phase] = family.fresh.overall.to_json()
            blocks["by_difficulty"].setdefault(name, {})[phase] = family.fresh.rows()
            blocks["recitation_share"].setdefault(name, {})[phase] = family.share_json()
    examined = [report.known for report in reports.values() if report.known is not None]
    blocks["known_answers"] = examined[0].to_json() if examined else []
    return blocks

"""The question asked of a model: does it reason, or does it recite?

`audit_cells` turns graded originals and fresh instances into a report with verdicts, `AdaptiveAudit` asks for them
until the verdict is safe, `check_known_answers` runs the same audit on stand-ins whose nature is known, `compare` sets
two runs over the same problems side by side. Other evidence is in `probes`, answers on file in `recorded`.
"""

from menon.auditing.accuracy import Accuracy, FamilyAccuracy, accuracy_of, accuracy_table
from menon.auditing.adaptive import AdaptiveAudit, Budget, Look, Plan
from menon.auditing.compare import Comparison, compare, compare_families
from menon.auditing.exchangeable import Exchangeability, exchangeability
from menon.auditing.family import FamilyAudit
from menon.auditing.first import AuditReport, audit_cells, by_phase
from menon.auditing.items import Item, Pair
from menon.auditing.known import KnownAnswer, KnownAnswers, KnownCase, check_known_answers
from menon.auditing.match import DifficultyMatch, match_difficulty
from menon.auditing.verdict import AuditConfig, Finding, Label

__all__ = [
    "Accuracy",
    "AdaptiveAudit",
    "AuditConfig",
    "AuditReport",
    "Budget",
    "Comparison",
    "DifficultyMatch",
    "Exchangeability",
    "FamilyAccuracy",
    "FamilyAudit",
    "Finding",
    "Item",
    "KnownAnswer",
    "KnownAnswers",
    "KnownCase",
    "Label",
    "Look",
    "Pair",
    "Plan",
    "accuracy_of",
    "accuracy_table",
    "audit_cells",
    "by_phase",
    "check_known_answers",
    "compare",
    "compare_families",
    "exchangeability",
    "match_difficulty",
]

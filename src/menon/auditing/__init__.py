"""The question asked of a model: does it reason, or does it recite?

`audit_cells` turns graded originals and fresh instances into a report with verdicts, `check_known_answers` runs the
same audit on stand-ins whose nature is known, `compare` sets two runs over the same problems side by side.
Left out so far: probes other than the first (templates, worlds, memorisation); they will be files beside `first`.
"""

from menon.auditing.accuracy import Accuracy, FamilyAccuracy, accuracy_of, accuracy_table
from menon.auditing.compare import Comparison, compare, compare_families
from menon.auditing.family import FamilyAudit
from menon.auditing.first import AuditReport, audit_cells, by_phase
from menon.auditing.items import Item, Pair
from menon.auditing.known import KnownAnswer, KnownAnswers, KnownCase, check_known_answers
from menon.auditing.match import DifficultyMatch, match_difficulty
from menon.auditing.verdict import AuditConfig, Finding, Label

__all__ = [
    "Accuracy",
    "AuditConfig",
    "AuditReport",
    "Comparison",
    "DifficultyMatch",
    "FamilyAccuracy",
    "FamilyAudit",
    "Finding",
    "Item",
    "KnownAnswer",
    "KnownAnswers",
    "KnownCase",
    "Label",
    "Pair",
    "accuracy_of",
    "accuracy_table",
    "audit_cells",
    "by_phase",
    "check_known_answers",
    "compare",
    "compare_families",
    "match_difficulty",
]

"""The store: a run directory, its units and records, and resume after any kill."""

from menon.store.events import EventLog
from menon.store.files import atomic_directory, atomic_remove, atomic_write
from menon.store.layout import is_run, resume_hint
from menon.store.measured import MEASURED, without_measured
from menon.store.run import Run
from menon.store.units import Unit, UnitWriter

__all__ = [
    "MEASURED",
    "EventLog",
    "Run",
    "Unit",
    "UnitWriter",
    "atomic_directory",
    "atomic_remove",
    "atomic_write",
    "is_run",
    "resume_hint",
    "without_measured",
]

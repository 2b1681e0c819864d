"""Responses on file as answers of an audit: the layouts that people have, turned into cells and comparisons.

`read_recorded` detects the layout of each file and grades its rows; `recorded_cells`, `recorded_contrasts` (default
world against altered worlds) and `model_contrasts` (model against model on the same items) are pure functions of that.
"""

from menon.auditing.recorded.comparing import ModelContrast, model_contrasts, recorded_cells, recorded_contrasts
from menon.auditing.recorded.reading import read_recorded
from menon.auditing.recorded.values import FileRead, Part, Recorded, Skip

__all__ = [
    "FileRead",
    "ModelContrast",
    "Part",
    "Recorded",
    "Skip",
    "model_contrasts",
    "read_recorded",
    "recorded_cells",
    "recorded_contrasts",
]

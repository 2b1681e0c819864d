"""The recipe of the calibration panel."""

from typing import Literal

from pydantic import Field

from menon.core.recipe import Section
from menon.teaching.config import TrainConfig


class CalibrationRecipe(Section):
    """Audit models whose nature is known, and compare what the audit says with the truth."""

    study: Literal["calibration"] = "calibration"
    model: str = "menon:base"
    seed: int = 0
    shares: tuple[float, ...] = Field(default=(0.0, 0.25, 0.5, 0.75, 1.0), description="memorised shares of originals")
    replicas: int = Field(default=2, ge=1, description="models trained for each share, each on originals of its own")
    originals: int = Field(default=120, ge=20, description="originals that each model is made on")
    variants: int = Field(default=10, ge=2, description="re-instantiations of each original that are answered")
    easy: tuple[int, ...] = Field(default=(1, 2, 3, 4, 5), description="steps of originals the base reasons about")
    hard: tuple[int, ...] = Field(default=(12,), description="steps of originals that can only be memorised")
    epochs: int = Field(default=9, ge=1)
    copies: int = Field(default=5, ge=1, description="copies of a memorised original per epoch")
    rehearsal: int = Field(default=400, ge=0, description="fresh easy problems per epoch, with their rationales")
    audits: int = Field(default=400, ge=20, description="audits drawn for each model")
    audit_templates: int = Field(default=100, ge=20, description="originals in one audit")
    audit_variants: int = Field(default=5, ge=1, description="re-instantiations of each in one audit")
    stand_ins: int = Field(default=200, ge=10, description="scripted mixtures, each with a share of its own")
    max_tokens: int = Field(default=160, ge=1)
    device: str = "auto"
    dtype: str = "auto"
    slots: int = Field(default=128, ge=1)
    train: TrainConfig = TrainConfig(learning_rate=1e-3, tokens_per_batch=1536, warmup_steps=10)

"""The recipe of an audit: which model, which evidence, how many questions, and the thresholds of the verdict."""

from dataclasses import fields
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from menon.auditing import AuditConfig
from menon.auditing.probes import PROBES
from menon.core.errors import ConfigError
from menon.core.recipe import Section
from menon.models.thoughts.budget import ThinkingBudget
from menon.studies.prices import Priced


class InstrumentSection(Section):
    """Section `[instrument]`: the recitation share on originals and their matched re-instantiations."""

    families: tuple[str, ...] = Field(
        default=("auto",), description="generated families; `auto`: addition and chain for the embedded model"
    )
    control_family: str = Field(default="facts", description="the family that can only be recited; empty leaves it out")
    originals: int = Field(default=120, ge=1, description="most originals per family or file")
    variants: int = Field(default=5, ge=1, description="most re-instantiations of one original")
    adaptive: bool = Field(default=True, description="stop as soon as the verdict is settled")
    width: float = Field(
        default=0.0,
        ge=0,
        description="go on, verdict or not, until the share's interval is this narrow; 0: the verdict",
    )


class BudgetSection(Priced):
    """Section `[budget]`: limits of what is asked; 0 is no limit. Prices are per million tokens."""

    questions: int = Field(default=0, ge=0)
    tokens: int = Field(default=0, ge=0)


class AuditRecipe(Section):
    """Does this model reason, or does it recite?"""

    study: Literal["audit"] = "audit"
    model: str = "menon:base"
    recorded: tuple[str, ...] = Field(
        default=(), description="files of responses, as recorded:FILE, instead of a model"
    )
    against: str = Field(default="", description="a second model that answers the same questions, compared in pairs")
    seed: int = 0
    probes: tuple[str, ...] = Field(default=("auto",), description="names of probes, `auto`, `all` or `none`")
    per_cell: int = Field(default=50, ge=4, description="questions per cell of a probe")
    cot: Literal["yes", "no"] = Field(default="yes", description="ask for working before the answer")
    style: str = Field(default="auto", description="how questions are put; `auto` goes by the model")
    exemplars: str = Field(default="", description="a file of demonstrations for the prompt")
    shots: int = Field(default=8, ge=0, description="demonstrations taken from the file")
    max_tokens: int = Field(default=0, ge=0, description="longest answer in tokens; 0 takes what the style suggests")
    temperature: float = Field(default=0.0, ge=0)
    templates: tuple[str, ...] = Field(default=(), description="files of templates in the GSM-Symbolic language")
    data: str = Field(default="", description="a file of questions and answers")
    map: dict[str, str] = Field(default_factory=dict, description="names of the data's columns")
    split: str = ""
    limit: int = Field(default=0, ge=0, description="rows of the data to read; 0 reads all")
    corpus: tuple[str, ...] = Field(default=(), description="files of training text, for overlap and frequency")
    device: str = "auto"
    dtype: str = "auto"
    slots: int = Field(default=128, ge=1, description="sequences sampled at once by a local model")
    block: int = Field(default=256, ge=1, description="questions that are stored together")
    items: int = Field(default=12, ge=0, description="items per cell that the report shows; the store has them all")
    think: ThinkingBudget | None = Field(
        default=None, description="thoughts of `model` while it answers, not of `against`; absent: none"
    )
    instrument: InstrumentSection = InstrumentSection()
    budget: BudgetSection = BudgetSection()
    verdict: dict[str, Any] = Field(default_factory=dict, description="thresholds, docs/statistics.md")
    probe: dict[str, dict[str, Any]] = Field(default_factory=dict, description="settings of single probes")

    @model_validator(mode="after")
    def _known(self) -> Self:
        known = (*PROBES.names(), "auto", "all", "none")
        for name in (*self.probes, *self.probe):
            if name not in known:
                raise ConfigError(f"no probe {name!r}; allowed: {', '.join(known)}")
        if self.think is not None and (self.recorded or self.model.startswith("recorded:")):
            raise ConfigError("responses on file cannot think; leave --think out, or audit the model itself")
        self.config()
        return self

    def config(self) -> AuditConfig:
        """Return the thresholds as the audit takes them."""
        allowed = [field.name for field in fields(AuditConfig) if field.name != "chance"]
        for name in self.verdict:
            if name not in (*allowed, "chance"):
                raise ConfigError(f"no threshold {name!r} in [verdict]; allowed: {', '.join(allowed)}, chance")
        given = {name: tuple(v) if isinstance(v, list) else v for name, v in self.verdict.items()}
        controls = (self.instrument.control_family,) if self.instrument.control_family else ()
        return AuditConfig(**{"seed": self.seed, "controls": controls, **given})

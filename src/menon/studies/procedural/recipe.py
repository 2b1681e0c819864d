"""Recipe of `menon run procedural`: which models learn what, what they are asked, and how they are traced."""

from typing import Literal, Self

from pydantic import Field, model_validator

from menon.core.errors import ConfigError
from menon.core.recipe import Section
from menon.problems.known.mixture import KINDS, KnownMixture
from menon.studies.known.size import ModelSize
from menon.teaching.config import TrainConfig
from menon.tracing.config import TraceConfig


class KnownModel(Section):
    """A model that is trained here on the known corpus."""

    name: str
    size: ModelSize = ModelSize()
    epochs: int = Field(default=4, ge=1)
    train: TrainConfig = TrainConfig(warmup_steps=50, tokens_per_batch=1536)


class Taught(Section):
    """Section `[corpus]`: what the known corpus holds."""

    documents: int = Field(default=40_000, ge=100, description="documents that the models learn from")
    traced: int = Field(default=20_000, ge=100, description="how many of them are traced, from the front")
    families: tuple[str, ...] = Field(
        default=("largest", "reverse", "two-step", "slope"), description="procedures that are taught"
    )
    kinds: dict[str, float] = Field(
        default={
            "procedure": 0.42,
            "original": 0.05,
            "answer": 0.03,
            "fact": 0.30,
            "reading": 0.05,
            "prose": 0.04,
            "near-duplicate": 0.05,
            "memorised": 0.06,
        },
        description="weights of the kinds of documents",
    )
    memorised: int = Field(default=12, ge=1, description="planted questions per family")

    @property
    def mixture(self) -> KnownMixture:
        # What is drawn depends on the order of the weights, and a recipe that was written and read again has another.
        kinds = sorted(self.kinds.items(), key=lambda item: KINDS.index(item[0]) if item[0] in KINDS else len(KINDS))
        return KnownMixture(kinds=dict(kinds), families=dict.fromkeys(self.families, 1.0), memorised=self.memorised)


class Asked(Section):
    """Section `[queries]`: how many queries of each kind a model gets, as in the paper, and how they are chosen."""

    reasoning: int = Field(default=40, ge=4, description="spread evenly over the chosen families")
    factual: int = Field(default=40, ge=4, description="half answered right, half answered wrong")
    factual_control: int = Field(default=10, ge=2, description="questions that state the fact they ask for")
    reasoning_control: int = Field(default=10, ge=2, description="questions that state the answer they ask for")
    families: tuple[str, ...] = Field(
        default=("largest", "reverse", "two-step", "slope"), description="the tasks that may be asked"
    )
    least: float = Field(default=0.8, ge=0, le=1, description="share of right answers from which on a task is asked")
    pool: int = Field(default=10, ge=1, description="candidates that are asked for each query that is wanted")
    planted: int = Field(default=80, ge=8, description="planted cases for the verdict, half of each kind")
    max_tokens: int = Field(default=96, ge=8)


class ProceduralStudy(Section):
    """Two sizes of model on the known corpus and the embedded model on its own."""

    study: Literal["procedural"] = "procedural"
    seed: int = 0
    corpus: Taught = Taught()
    models: tuple[KnownModel, ...] = ()
    base_documents: int = Field(
        default=20_000, ge=0, description="documents of the embedded model's corpus; 0 leaves the embedded model out"
    )
    queries: Asked = Asked()
    tracing: TraceConfig = TraceConfig()
    top: tuple[int, ...] = Field(default=(10, 50, 100), description="sizes of the top and the bottom of a ranking")
    shuffles: int = Field(default=1000, ge=99, description="permutations behind a p-value")

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [model.name for model in self.models]
        if not names or len(set(names)) < len(names) or "base" in names:
            raise ConfigError(
                f"models need different names other than 'base', at least one; got {', '.join(names) or 'none'}"
            )
        if list(self.top) != sorted(set(self.top)) or not self.top or self.top[0] < 1:
            raise ConfigError(f"top must rise from at least 1, for example [10, 50, 100]; got {list(self.top)}")
        if self.corpus.traced > self.corpus.documents:
            raise ConfigError(
                f"corpus.traced is {self.corpus.traced} of {self.corpus.documents} documents; allowed: at most all"
            )
        fewest = min(self.corpus.traced, self.base_documents or self.corpus.traced)
        if self.top[-1] > fewest:
            raise ConfigError(f"the top {self.top[-1]} of {fewest} documents; lower top or raise the documents")
        untaught = [name for name in self.queries.families if name not in self.corpus.families]
        if untaught or not self.queries.families:
            raise ConfigError(
                f"queries.families has {untaught or 'nothing'}; allowed: those of corpus.families, "
                f"{', '.join(self.corpus.families)}"
            )
        _ = self.corpus.mixture  # an unknown family or kind is refused here
        return self

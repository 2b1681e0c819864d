"""The recipes of the built-in studies."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from menon.core.errors import ConfigError
from menon.core.recipe import Section
from menon.studies.audit.recipe import AuditRecipe
from menon.studies.calibration.recipe import CalibrationRecipe
from menon.studies.code_mixture.recipe import CodeMixture
from menon.studies.flowcharts_recipe import FlowchartsRecipe
from menon.studies.procedural.recipe import ProceduralStudy
from menon.studies.quiet.recipe import QuietStudy
from menon.studies.quiet.teach_recipe import QuietStar
from menon.studies.solve.recipe import SolveRecipe
from menon.studies.trace.recipe import TraceRecipe
from menon.teaching.config import StarConfig, TrainConfig


class Evaluation(Section):
    """Section `[evaluation]`: what is asked before and after teaching."""

    per_difficulty: int = Field(default=60, ge=1, description="fresh test questions per family and difficulty")
    originals: int = Field(default=120, ge=0, description="problems of the training text per family, for the audit")
    variants: int = Field(default=2, ge=1, description="re-instantiations of each original")
    temperature: float = Field(default=0.0, ge=0)
    max_tokens: int = Field(default=128, ge=1)
    transcripts: int = Field(default=20, ge=0)


class Bootstrap(Section):
    """A model teaches itself with STaR and is asked before and after whether it reasons or recites."""

    study: Literal["bootstrap"] = "bootstrap"
    model: str = "menon:base"
    seed: int = 0
    families: tuple[str, ...] = ("addition", "chain")
    control_family: str = Field(default="facts", description="the family that can only be recited; empty leaves it out")
    data: str = Field(default="", description="a data file or data set id to teach on, instead of the families")
    map: dict[str, str] = Field(default_factory=dict, description="names of the data's columns")
    split: str = Field(default="", description="the split of the data to teach on")
    limit: int = Field(default=0, ge=0, description="rows of the data to read; 0 reads all")
    style: str = Field(default="menon", description="how questions are put; `auto` goes by the data")
    exemplars: str = Field(default="", description="a file of demonstrations for the prompt")
    shots: int = Field(default=8, ge=0, description="demonstrations taken from the file")
    device: str = "auto"
    dtype: str = "auto"
    slots: int = Field(default=128, ge=1, description="sequences sampled at once")
    save_every: int = Field(default=0, ge=0, description="optimizer steps between saved training states; 0 saves none")
    direct_control: bool = Field(default=True, description="also train on answers alone with the same number of tokens")
    star: StarConfig = StarConfig()
    train: TrainConfig = TrainConfig()
    evaluation: Evaluation = Evaluation()


class Arm(Section):
    """One arm of a comparison: a preset with changes."""

    name: str
    star: dict[str, Any] = Field(default_factory=dict)


class Comparison(Section):
    """Several ways of teaching from the same base with the same questions, over several seeds."""

    study: Literal["comparison"] = "comparison"
    model: str = "menon:base"
    seeds: tuple[int, ...] = (0, 1, 2)
    families: tuple[str, ...] = ("addition", "chain")
    style: str = "menon"
    slots: int = Field(default=128, ge=1)
    device: str = "auto"
    dtype: str = "auto"
    star: dict[str, Any] = Field(default_factory=dict, description="options of all arms; an arm's preset beats them")
    train: TrainConfig = TrainConfig()
    evaluation: Evaluation = Evaluation()
    arms: tuple[Arm, ...] = ()

    @model_validator(mode="after")
    def _check_arms(self) -> Self:
        names = [arm.name for arm in self.arms]
        if len(set(names)) < len(names):
            raise ConfigError(f"arms need different names, got {', '.join(names)}")
        for arm in self.arms:
            try:
                StarConfig.model_validate({**self.star, **arm.star})
            except ValidationError as error:
                first = error.errors()[0]
                place = ".".join(["star", *map(str, first["loc"])])
                raise ConfigError(f"arm {arm.name!r}: {place}: {first['msg'].removeprefix('Value error, ')}") from None
        return self


class Window(Section):
    """Where pre-training holds the hard bands, and what counts as knowing the easy ones (shares right)."""

    easy: float = Field(default=0.8, ge=0, le=1)
    low: float = Field(default=0.14, ge=0, le=1)
    high: float = Field(default=0.26, ge=0, le=1)


class Pretrain(Section):
    """Train the embedded model from nothing on the text that the project generates."""

    study: Literal["pretrain"] = "pretrain"
    seed: int = 0
    hinted_hard: float = Field(default=0.25, ge=0, description="weight of the hard bands where the answer is shown")
    width: int = Field(default=128, ge=16)
    layers: int = Field(default=4, ge=1)
    heads: int = Field(default=4, ge=1)
    steps: int = Field(default=8000, ge=1)
    block: int = Field(default=200, ge=1, description="steps between probes; the mixture may change there")
    schedule_steps: int = Field(default=0, ge=0, description="length of the learning rate's schedule; 0: `steps`")
    decay_from: float = Field(
        default=0.5, ge=0, le=1, description="share of the run after which the learning rate falls"
    )
    prompt_weight: float = Field(default=0.1, ge=0, le=1, description="weight of the loss on questions")
    probe: int = Field(default=32, ge=1, description="questions per family and difficulty in a probe")
    card: int = Field(default=200, ge=1, description="questions per family and difficulty in the model card")
    device: str = "auto"
    window: Window = Window()
    train: TrainConfig = TrainConfig(learning_rate=2.5e-3, warmup_steps=50, schedule="constant")


Recipe = Annotated[
    Bootstrap
    | Comparison
    | Pretrain
    | AuditRecipe
    | CalibrationRecipe
    | FlowchartsRecipe
    | SolveRecipe
    | QuietStudy
    | QuietStar
    | TraceRecipe
    | ProceduralStudy
    | CodeMixture,
    Field(discriminator="study"),
]
STUDIES: dict[str, type[Section]] = {
    "bootstrap": Bootstrap,
    "comparison": Comparison,
    "pretrain": Pretrain,
    "audit": AuditRecipe,
    "calibration": CalibrationRecipe,
    "flowcharts": FlowchartsRecipe,
    "solve": SolveRecipe,
    "quiet": QuietStudy,
    "quiet-star": QuietStar,
    "trace": TraceRecipe,
    "procedural": ProceduralStudy,
    "code-mixture": CodeMixture,
}

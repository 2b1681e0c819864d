"""Recipe of `menon teach quiet-star`: a model, texts, and what it learns from its thoughts."""

from typing import Literal, Self

from pydantic import Field, model_validator

from menon.core.errors import ConfigError
from menon.core.recipe import Section
from menon.models.thoughts.settings import ThoughtSettings
from menon.teaching.config import TrainConfig
from menon.teaching.quiet.config import QuietConfig


class QuietTexts(Section):
    """Section `[texts]`: what is read and how it becomes rows of tokens."""

    data: str = Field(default="", description="file of texts or data set id; empty takes the embedded model's own text")
    map: dict[str, str] = Field(default_factory=dict, description="names of the data's columns")
    split: str = Field(default="", description="the split of the data")
    limit: int = Field(default=0, ge=0, description="texts to read; 0 reads all")
    style: str = Field(default="", description="how questions are put; empty: question, line break, answer")
    unit: Literal["paragraph", "line", "file"] = Field(default="paragraph", description="one text of a plain text file")
    length: int = Field(default=256, ge=8, description="tokens of a row")
    packing: Literal["concatenate", "none"] = Field(
        default="concatenate", description="texts joined and cut (the paper), or one text per row"
    )
    learn: Literal["all", "answers"] = Field(default="all", description="tokens that count: all, or those of answers")
    held_out: float = Field(default=0.05, gt=0, lt=0.9, description="share of the texts that is only evaluated on")
    generated: int = Field(default=4000, ge=10, description="documents drawn of the embedded model's own text")
    direct: float = Field(
        default=0.06, ge=0, le=1, description="share of those that answer without working; pre-training had 0.06"
    )


class QuietEvaluation(Section):
    """Section `[evaluation]`: what is asked before and after."""

    rows: int = Field(default=32, ge=2, description="held-out rows")
    positions: int = Field(default=64, ge=0, description="thinking positions per row; 0 takes all")
    thoughts: int = Field(default=1, ge=1, description="thoughts per position")
    shown: int = Field(default=3, ge=0, description="texts of the report with a thought at every token")
    per_difficulty: int = Field(default=0, ge=0, description="problems per family and difficulty; 0 asks none")
    families: tuple[str, ...] = ("chain",)
    problems: str = Field(default="", description="a data file or data set id of problems to ask before and after")
    problem_limit: int = Field(default=100, ge=1, description="problems of that file to ask")
    max_tokens: int = Field(default=32, ge=1)
    direct: bool = Field(default=True, description="ask for the answer without working")
    audit: bool = Field(default=False, description="audit before and after, in pairs")


class QuietStar(Section):
    """A model learns to think before every token, and is compared with what it was."""

    study: Literal["quiet-star"] = "quiet-star"
    model: str = "menon:base"
    seed: int = 0
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    save_every: int = Field(default=25, ge=0, description="optimizer steps between saved training states; 0 saves none")
    texts: QuietTexts = QuietTexts()
    thoughts: ThoughtSettings = ThoughtSettings()
    quiet: QuietConfig = QuietConfig()
    train: TrainConfig = TrainConfig(
        learning_rate=1e-6, warmup_steps=20, weight_decay=1e-3, schedule="constant", betas=(0.9, 0.999)
    )
    evaluation: QuietEvaluation = QuietEvaluation()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.texts.length <= self.thoughts.talk + 1:
            raise ConfigError(
                f"texts.length = {self.texts.length} is too short for thoughts.talk = {self.thoughts.talk}: "
                f"a row needs {self.thoughts.talk + 2} tokens or more"
            )
        if self.model.startswith(("http://", "https://", "endpoint:", "recorded:", "scripted:")):
            raise ConfigError(
                f"cannot teach {self.model!r}: it has no weights here; give a folder, a Hugging Face id or menon:base"
            )
        if self.quiet.curriculum and self.quiet.curriculum[-1] != self.thoughts.tokens:
            raise ConfigError(
                f"quiet.curriculum ends at {self.quiet.curriculum[-1]} tokens and thoughts.tokens is "
                f"{self.thoughts.tokens}, with which the saved model thinks; make them equal"
            )
        return self

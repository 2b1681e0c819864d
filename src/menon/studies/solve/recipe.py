"""The recipe of a solving run: which questions, which strategy, which model, how much may be spent."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from menon.core.errors import ConfigError
from menon.core.recipe import Section
from menon.flowcharts.chart import Budget
from menon.models.thoughts.budget import ThinkingBudget
from menon.studies.prices import Priced


class SolveBudget(Priced):
    """Section `[budget]`: bounds of each execution; 0 is no bound of its own. Prices are per million tokens."""

    steps: int = Field(default=0, ge=0, description="visits of nodes; 0: the chart's bound, else 10,000")
    tokens: int = Field(default=0, ge=0)
    seconds: float = Field(default=0.0, ge=0)

    def bounds(self) -> Budget:
        """Return the bounds as the executor takes them."""
        return Budget(
            steps=self.steps or None,
            tokens=self.tokens or None,
            seconds=self.seconds or None,
            money=self.money or None,
        )


class SolveRecipe(Section):
    """Solve problems with a strategy."""

    study: Literal["solve"] = "solve"
    strategy: str = Field(default="cot", description="a strategy by name, or a chart file")
    model: str = "menon:base"
    models: dict[str, str] = Field(default_factory=dict, description="further models by the name charts use")
    question: str = Field(default="", description="one question, instead of a set of problems")
    choices: tuple[str, ...] = Field(default=(), description="the choices of the one question")
    problems: str = Field(default="", description="a family, world task or template, by name")
    data: str = Field(default="", description="a file of questions and answers, or a Hugging Face data set")
    map: dict[str, str] = Field(default_factory=dict, description="names of the data's columns")
    split: str = ""
    world: str = "default"
    difficulty: tuple[int, ...] = Field(default=(), description="difficulties of generated problems")
    limit: int = Field(default=0, ge=0, description="problems to solve (per difficulty); 0: 20 generated, or all rows")
    seed: int = 0
    params: dict[str, Any] = Field(default_factory=dict, description="inputs of the chart, such as samples = 10")
    style: str = Field(default="auto", description="how questions are put; `auto` goes by the model")
    grader: str = Field(default="", description="how answers are read; empty: the problem's own way")
    exemplars: str = Field(default="", description="a file of worked examples, for charts that take examples")
    shots: int = Field(default=8, ge=0, description="examples taken from the file")
    verifier: str = Field(default="arithmetic", description="what scores steps and answers")
    documents: str = Field(default="", description="a folder of documents to search")
    temperature: float = Field(default=0.0, ge=0, description="where the chart sets none")
    max_tokens: int = Field(default=0, ge=0, description="where the chart sets none; 0 takes what the style suggests")
    logprobs: bool = Field(default=False, description="ask for log-probabilities, for the decoder `weighted`")
    at_once: int = Field(default=1000, ge=1, description="executions in flight")
    sandbox: Literal["auto", "monty", "process"] = "auto"
    device: str = "auto"
    dtype: str = "auto"
    slots: int = Field(default=128, ge=1, description="sequences sampled at once by a local model")
    think: ThinkingBudget | None = Field(default=None, description="thoughts of `model` while it answers; absent: none")
    budget: SolveBudget = SolveBudget()

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in ("question", "problems", "data") if getattr(self, name)]
        if len(given) > 1:
            raise ConfigError(f"got {' and '.join(given)}; give one of question, problems, data")
        if self.choices and not self.question:
            raise ConfigError("choices belong to a single question; problems bring their own")
        return self

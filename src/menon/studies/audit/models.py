"""The model under audit: how it is opened, how it wants to be asked, and what it can do."""

import json
from dataclasses import dataclass, replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from menon.core.errors import ConfigError
from menon.models.thoughts.budget import ThinkingBudget
from menon.problems.prompts import STYLES, PromptStyle
from menon.sampling import open_sampler
from menon.sampling.protocol import Sampler
from menon.studies.audit.recipe import AuditRecipe

EMBEDDED = "menon:base"
LOCAL_ONLY = ("device", "dtype", "slots")
REMOTE = ("http://", "https://", "endpoint:")
SCRIPTED = "scripted:"


@dataclass(slots=True)
class Subject:
    """One model; `sampler` is opened when it is first asked and kept."""

    spec: str
    recipe: AuditRecipe
    think: ThinkingBudget | None = None
    _sampler: Sampler | None = None

    @property
    def name(self) -> str:
        """The model as reports call it; a model may be compared with itself."""
        return f"{self.spec} (thinking)" if self.think is not None and self.think.where != "never" else self.spec

    @property
    def local(self) -> bool:
        return not self.spec.startswith((*REMOTE, SCRIPTED, "recorded:"))

    @property
    def embedded(self) -> bool:
        """Say whether the model speaks the language of the generated families: the embedded one and its heirs."""
        return self.spec == EMBEDDED or self.spec.startswith(SCRIPTED) or same_tokenizer(self.spec, self.local)

    def sampler(self) -> Sampler:
        """Open the model, once."""
        if self._sampler is None:
            options: dict[str, Any] = {}
            if self.local:
                options = {name: getattr(self.recipe, name) for name in LOCAL_ONLY}
            self._sampler = open_sampler(self.spec, think=self.think, **options)
        return self._sampler

    @property
    def scores(self) -> bool:
        """Say whether log-probabilities of given text can be had."""
        return self.local or (self.spec.startswith(REMOTE) and "api=completions" in self.spec)

    def style(self) -> PromptStyle:
        """Return the prompt style: the recipe's, or what suits the model."""
        name = self.recipe.style
        if name == "auto":
            name = "menon" if self.embedded else "plain"
        style: PromptStyle = STYLES.get(name)
        if not self.recipe.exemplars:
            return style
        from menon.problems.datasets import load_problems

        shown = load_problems(self.recipe.exemplars).problems[: self.recipe.shots]
        if not shown:
            raise ConfigError(f"{self.recipe.exemplars!r} holds no demonstration; leave exemplars out or name another")
        return style.with_exemplars(tuple(replace(problem, choices=problem.choices) for problem in shown))


def same_tokenizer(spec: str, local: bool) -> bool:
    """Say whether the folder `spec` has the embedded model's tokenizer, word for word."""
    folder = Path(spec)
    if not local or not (folder / "tokenizer.json").is_file():
        return False
    own = files("menon.models") / "base"
    return _vocabulary(folder) == _vocabulary(own)


def _vocabulary(folder: Path | Traversable) -> Any:
    try:
        return json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    except (OSError, ValueError, KeyError, TypeError):
        return None

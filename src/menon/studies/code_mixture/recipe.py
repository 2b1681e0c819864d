"""Recipe of `menon run code-mixture`: what code among the training documents teaches, at equal tokens.

An arm is a list of phases, and a phase says what share of its tokens comes from which stream of documents. Arms with
`after` go on from another arm's models. Source: the designs of "To Code, or Not To Code?" (arXiv:2408.10914).
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from menon.core.errors import ConfigError
from menon.core.recipe import Section
from menon.problems.known.families import FAMILIES_KNOWN
from menon.studies.known.size import ModelSize
from menon.teaching.config import TrainConfig

STREAMS = ("text", "code", "bare", "commented", "other", "markup", "aligned", "unaligned", "answers")
PROGRAMS = {"code": 1.0, "bare": 1.0, "commented": 1.0, "other": 1.0, "aligned": 0.5, "unaligned": 0.5}


class MixturePhase(Section):
    """A stretch of an arm's training: its part of the arm's tokens, and shares of tokens per stream of documents."""

    part: float = Field(default=1.0, gt=0, le=1)
    mix: dict[str, float]


class MixtureArm(Section):
    """One way of spending the tokens. `after` names the arm whose models it goes on from, on the tuning tokens."""

    name: str
    title: str
    phases: tuple[MixturePhase, ...]
    after: str = Field(default="", description="go on from this arm's models instead of from nothing")
    sweep: bool = Field(default=False, description="part of the picture of tasks against the share of code")

    @property
    def code(self) -> float:
        """The share of the arm's tokens in programs; half a pair of text and program is program."""
        return sum(
            phase.part * phase.mix.get(name, 0.0) * part for phase in self.phases for name, part in PROGRAMS.items()
        )

    def share(self, stream: str) -> float:
        """Return the share of the arm's tokens that come from `stream`."""
        return sum(phase.part * phase.mix.get(stream, 0.0) for phase in self.phases)


class Tasks(Section):
    """Which families are worked out where, and how many questions are asked of each."""

    held_in: tuple[str, ...] = Field(default=("ends", "sort", "count"), description="in text and in programs")
    code_only: tuple[str, ...] = Field(default=("reverse", "largest"), description="in programs alone")
    absent: tuple[str, ...] = Field(default=("two-step", "linear"), description="in no document")
    originals: int = Field(default=30, ge=4, description="problems per held-in family repeated word for word")
    variants: int = Field(default=2, ge=1, description="re-instantiations of each original in the audit")
    questions: int = Field(default=60, ge=4, description="held-out questions per family")
    facts: int = Field(default=24, ge=4, le=60, description="facts told and asked")
    programs: int = Field(default=40, ge=4, description="held-out programs to complete, per family")


class CodeMixture(Section):
    """Arms of equal tokens over several seeds, asked the same questions."""

    study: Literal["code-mixture"] = "code-mixture"
    seeds: tuple[int, ...] = (0, 1, 2)
    tokens: int = Field(default=260_000, ge=2000, description="of every arm")
    tuning_tokens: int = Field(default=20_000, ge=1000, description="of every arm with `after`")
    prompt_weight: float = Field(default=1.0, ge=0, le=1, description="weight of the loss on questions")
    size: ModelSize = ModelSize()
    train: TrainConfig = TrainConfig(learning_rate=4e-3, warmup_steps=30, tokens_per_batch=512)
    tuning: TrainConfig = TrainConfig(learning_rate=1e-3, warmup_steps=5, tokens_per_batch=512)
    tasks: Tasks = Tasks()
    workers: int = Field(default=2, ge=0, description="processes that train at once; 0: in this one, one by one")
    arms: tuple[MixtureArm, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ConfigError(f"seeds need different numbers, at least one; got {list(self.seeds)}")
        self._check_families()
        names = [arm.name for arm in self.arms]
        if not names or len(set(names)) < len(names):
            raise ConfigError(f"arms need different names, at least one; got {', '.join(names) or 'none'}")
        first = self.arms[0]
        if first.after or any(set(phase.mix) != {"text"} for phase in first.phases):
            raise ConfigError(f"the first arm is what the others are compared with, text alone; got {first.name!r}")
        for place, arm in enumerate(self.arms):
            _check_arm(arm, [other.name for other in self.arms[:place] if not other.after])
        return self

    def _check_families(self) -> None:
        groups = {name: getattr(self.tasks, name) for name in ("held_in", "code_only", "absent")}
        every = [family for group in groups.values() for family in group]
        unknown = [name for name in every if name not in FAMILIES_KNOWN]
        if unknown or len(set(every)) < len(every) or not all(groups.values()):
            raise ConfigError(
                f"tasks are {groups!r}; allowed: at least one family in each group, none in two, of "
                f"{', '.join(FAMILIES_KNOWN)}"
            )

    def tokens_of(self, arm: MixtureArm) -> int:
        return self.tuning_tokens if arm.after else self.tokens


def _check_arm(arm: MixtureArm, earlier: list[str]) -> None:
    if abs(sum(phase.part for phase in arm.phases) - 1) > 1e-9:
        raise ConfigError(f"arm {arm.name!r}: the parts of its phases add up to something else than 1")
    for phase in arm.phases:
        unknown = [name for name in phase.mix if name not in STREAMS]
        if unknown or min(phase.mix.values(), default=-1) <= 0 or abs(sum(phase.mix.values()) - 1) > 1e-9:
            raise ConfigError(
                f"arm {arm.name!r}: mix is {phase.mix!r}; allowed: shares above 0 that add up to 1, of "
                f"{', '.join(STREAMS)}"
            )
    if arm.after and arm.after not in earlier:
        raise ConfigError(
            f"arm {arm.name!r} goes on after {arm.after!r}; allowed: an arm above it that starts from nothing: "
            f"{', '.join(earlier) or 'none'}"
        )

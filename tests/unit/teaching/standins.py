"""A model of a few thousand weights, a sampler that writes what a test wants, and graded samples made by hand."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from menon import Completion, Problem, Request
from menon.core.progress import Progress, Silent
from menon.grading import grade
from menon.models.embedded import build_model, build_tokenizer
from menon.models.load import save_model
from menon.problems.prompts import STYLES
from menon.sampling.asking import Graded
from menon.store import Run
from menon.teaching.config import StarConfig, TrainConfig
from menon.teaching.learner import Learner
from menon.teaching.rows import Row
from menon.teaching.star import Loop

MENON = STYLES.get("menon")
TRAIN = TrainConfig(learning_rate=3e-3, warmup_steps=2, tokens_per_batch=128)
WORDS = ["tom has 47 pens. mia buys 5. how many?=47+5=52;#52", "sam owns 9 cups. eva takes 3. how many are left?"]
Writes = Callable[[Problem, int, bool], str | None]
"""What to write for (problem, sample, hinted); None is a failed request, a text without an end is cut off."""

CUT = "\N{BLACK SCISSORS}"


def save_tiny(folder: Path, *, width: int = 16, layers: int = 2) -> Path:
    """Save an untrained model of the embedded architecture with a tokenizer of bytes."""
    tokenizer = build_tokenizer(WORDS)
    save_model(folder, build_model(len(tokenizer), width=width, layers=layers, heads=2), tokenizer)
    return folder


def chain(number: int, *, question: str | None = None) -> Problem:
    """One step: 40 + n."""
    n = 1 + number % 9
    start = 40 + number
    return Problem(
        family="chain",
        question=question or f"tom has {start} pens. tom buys {n}. how many?",
        answer=str(start + n),
        rationale=f"{start}+{n}={start + n};",
        difficulty=1,
        split="train",
        index=number,
        meta={"steps": "equations"},
    )


def right(problem: Problem) -> str:
    return f"{problem.rationale}#{problem.answer}"


def unsound(problem: Problem) -> str:
    return f"{problem.answer}+0={problem.answer};#{problem.answer}"


def wrong(problem: Problem) -> str:
    return f"{problem.rationale}#{int(problem.answer) + 1}"


def graded(
    problem: Problem, text: str, *, sample: int = 0, hinted: bool = False, finish: Any = "stop", **more: Any
) -> Graded:
    """Grade a completion that says `text`."""
    key = f"{problem.id}/hint" if hinted else problem.id
    completion = Completion(key=key, sample=sample, text=text, finish=finish, token_ids=(5,), **more)
    return Graded(problem=problem, completion=completion, grade=grade(problem, completion), hinted=hinted)


@dataclass
class Scribe:
    """A sampler that writes what `writes` says, as token ids of a real tokenizer, and remembers what it was asked."""

    writes: Writes
    problems: dict[str, Problem]
    tokenizer: Any
    name: str = "scribe"
    asked: list[Request] = field(default_factory=list)

    def sample(self, requests: Iterable[Request], *, progress: Progress = Silent()) -> Iterator[Completion]:  # noqa: B008
        for request in requests:
            self.asked.append(request)
            name, _, hint = request.key.partition("/")
            for number in range(request.n):
                yield self._written(request, number, self.writes(self.problems[name], number, bool(hint)))

    def score(self, prompt: str, continuation: str) -> list[float]:
        raise NotImplementedError

    def _written(self, request: Request, number: int, text: str | None) -> Completion:
        if text is None:
            return Completion(key=request.key, sample=number, finish="error", error="no luck", model=self.name)
        cut = text.endswith(CUT)
        ids = self.tokenizer(text.removesuffix(CUT), add_special_tokens=False).input_ids
        ids = ids if cut else [*ids, self.tokenizer.eos_token_id]
        return Completion(
            key=request.key,
            sample=number,
            text=text.removesuffix(CUT),
            finish="length" if cut else "stop",
            token_ids=tuple(ids),
            prompt_tokens=3,
            completion_tokens=len(ids),
            model=self.name,
        )


class Pupil(Learner):
    """A learner whose sampler writes what a test wants, and which remembers every training it was given."""

    def __init__(self, folder: Path, writes: Writes, problems: Sequence[Problem]):
        super().__init__(str(folder), device="cpu")
        self.scribe = Scribe(writes, {p.id: p for p in problems}, self.tokenizer)
        self.trainings: list[dict[str, Any]] = []

    def sampler(self) -> Any:
        return self.scribe

    def fit(self, rows: Sequence[Row], folder: Path, star: StarConfig, config: TrainConfig, **options: Any) -> Any:
        self.trainings.append({"rows": list(rows), "folder": folder, "steps": options["steps"]})
        return super().fit(rows, folder, star, config, **options)


@dataclass
class Same:
    """The same questions in every round, or a list of them per round."""

    per_round: list[list[Problem]]

    def round(self, number: int) -> list[Problem]:
        return self.per_round[min(number, len(self.per_round)) - 1]


def open_run(path: Path) -> Run:
    return Run.create_or_resume(path, recipe_toml="a = 1\n", manifest={})


def loop(run: Run, pupil: Learner, problems: Sequence[Problem], **options: Any) -> Loop:
    """Build a loop over `problems`; options of the `[star]` section go into its configuration, the others into it."""
    star = {key: options.pop(key) for key in list(options) if key in StarConfig.model_fields}
    star = {"rounds": 1, "steps": 2, "temperature": 0.0, "max_tokens": 16, **star}
    options["questions"] = options.pop("parts", Same([list(problems)]))
    options.setdefault("style", MENON)
    options.setdefault("train", TRAIN)
    return Loop(run=run, learner=pupil, config=StarConfig.model_validate(star), **options)

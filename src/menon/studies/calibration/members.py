"""The panel: models made from the embedded one so that a known share of their right answers is memorised.

A member's originals are of two kinds: easy ones that the base reasons about, and long ones that it cannot do and that
are trained in word for word, question and answer without working. Fresh easy problems are rehearsed beside them, so
that reasoning stays. Which share of the originals is long is the planted share; the truth is what the member then
does on all its originals and many re-instantiations. Member "base" is the untrained base on easy originals.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from menon.core.progress import Named, Progress
from menon.core.values import Problem
from menon.problems.chain import CHAIN
from menon.problems.prompts import STYLES
from menon.sampling.asking import Asking, Graded, evaluate
from menon.store import Run
from menon.studies.calibration.recipe import CalibrationRecipe
from menon.teaching.config import StarConfig
from menon.teaching.learner import Learner
from menon.teaching.rows import Row, bucket

STYLE = STYLES.get("menon")
BLOCK = 100_000  # indices that one member may draw from, so that no two members share a problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One model of the panel; `share` is the planted memorised share, `trained` False for the base itself."""

    name: str
    share: float
    place: int
    trained: bool = True

    def originals(self, recipe: CalibrationRecipe) -> list[Problem]:
        """Return the member's originals, memorised ones first."""
        hard = round(self.share * recipe.originals)
        first = (recipe.seed * 100 + self.place + 50) * BLOCK
        problems = [_problem(first + i, recipe.hard) for i in range(hard)]
        return [*problems, *(_problem(first + 10_000 + i, recipe.easy) for i in range(recipe.originals - hard))]

    def memorised(self, recipe: CalibrationRecipe) -> list[Problem]:
        return self.originals(recipe)[: round(self.share * recipe.originals)]

    def rehearsed(self, recipe: CalibrationRecipe) -> list[Problem]:
        """Return fresh easy problems to keep reasoning with; never originals, never re-instantiations."""
        first = (recipe.seed * 100 + self.place + 50) * BLOCK + 20_000
        return [_problem(first + i, recipe.easy) for i in range(recipe.rehearsal)]


def members(recipe: CalibrationRecipe) -> list[Member]:
    """Return the panel's models in order of their shares, the untouched base first."""
    found = [Member(name="base", share=0.0, place=0, trained=False)]
    for share in recipe.shares:
        for replica in range(recipe.replicas):
            name = f"memorised {share:.0%}, {replica + 1}" if share else f"rehearsed only, {replica + 1}"
            found.append(Member(name=name, share=share, place=len(found)))
    return found


def _problem(index: int, levels: Sequence[int]) -> Problem:
    return CHAIN.problem("train", index, difficulty=levels[index % len(levels)])


def answers(run: Run, recipe: CalibrationRecipe, member: Member, progress: Progress) -> list[Graded]:
    """Train the member if it is not trained yet, and return its answers to all originals and re-instantiations."""
    learner = Learner(recipe.model, device=recipe.device, dtype=recipe.dtype, slots=recipe.slots)
    folder = run.checkpoint(f"member-{member.place}")

    def compute(_writer: Any) -> dict[str, Any]:
        rows = _rows(learner, recipe, member)
        steps = recipe.epochs * len(bucket(rows, recipe.train.tokens_per_batch, "calibration", member.place))
        shown = Named(progress, f"training {member.name}")
        shown.start("", total=steps, unit="steps")
        tokens, loss = 0, 0.0
        names = ("calibration", recipe.seed, member.place)
        for step in learner.fit(rows, folder, StarConfig(restart=True), recipe.train, steps=steps, names=names):
            tokens, loss = tokens + step.tokens, step.loss
            shown.advance(1, f"loss {step.loss:.3f}")
        return {"steps": steps, "tokens": tokens, "loss": loss}

    if member.trained:
        run.unit("train", member.place, compute=compute)
        learner.use(folder)
    asking = Asking(style=STYLE, temperature=0.0, max_tokens=recipe.max_tokens)
    problems = [p for p, _ in questions(recipe, member)]
    return evaluate(run, learner.sampler, problems, asking, stage="answers", names=(member.place,), progress=progress)


def questions(recipe: CalibrationRecipe, member: Member) -> list[tuple[Problem, str]]:
    """Return originals and re-instantiations without repetition, each with the id of its original ("" for one)."""
    found: dict[str, tuple[Problem, str]] = {}
    for original in member.originals(recipe):
        found.setdefault(original.id, (original, ""))
        for number in range(recipe.variants):
            variant = CHAIN.variant(original, number)
            found.setdefault(variant.id, (variant, original.id))
    return list(found.values())


def _rows(learner: Learner, recipe: CalibrationRecipe, member: Member) -> list[Row]:
    memorised = [_row(learner, problem, with_rationale=False) for problem in member.memorised(recipe)]
    rehearsed = [_row(learner, problem, with_rationale=True) for problem in member.rehearsed(recipe)]
    return [*(row for row in memorised for _ in range(recipe.copies)), *rehearsed]


def _row(learner: Learner, problem: Problem, *, with_rationale: bool) -> Row:
    tokenizer = learner.tokenizer
    prompt = tokenizer(STYLE.prompt(problem)).input_ids
    rationale = (problem.rationale or "") if with_rationale else ""
    completion = tokenizer(STYLE.completion(problem, rationale, problem.answer)).input_ids
    return Row(ids=(*prompt, *completion, tokenizer.eos_token_id), prompt=len(prompt))

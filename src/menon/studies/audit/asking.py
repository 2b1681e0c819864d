"""Put questions of an audit to a model: in blocks that are stored as they are answered, within a budget."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from menon.auditing.probe import Answered, Question
from menon.core.errors import SamplerError
from menon.core.progress import Named, Progress
from menon.core.seeds import seed_for
from menon.core.values import Completion, Request
from menon.grading import grade
from menon.problems.prompts import PromptStyle
from menon.sampling.asking import Graded, from_record, to_record
from menon.sampling.protocol import Sampler, bind_problems, sample_in_order
from menon.store import Run
from menon.studies.audit.recipe import BudgetSection

# So many blocks in a row without one answer, and the model is taken to be gone; one alone may be the questions' fault.
GIVE_UP_AFTER = 2
COSTLY_BLOCK = 32  # questions asked before tokens or money are counted again
AGAIN = "again"  # names the units that repeat the failed requests of a stored block


class _NoAnswers(SamplerError):
    """Every request of a block failed; nothing of it is stored, so the same command asks it again."""


@dataclass(slots=True)
class Spent:
    """What has been asked so far, against the budget."""

    budget: BudgetSection
    questions: int = 0
    prompt_tokens: int = 0
    sampled_tokens: int = 0

    @property
    def money(self) -> float:
        return (self.prompt_tokens * self.budget.price_in + self.sampled_tokens * self.budget.price_out) / 1e6

    @property
    def limited(self) -> bool:
        return bool(self.budget.questions or self.budget.tokens or self.budget.money)

    @property
    def left(self) -> int | None:
        """Questions that may still be asked; None without a limit, 0 when any limit is reached."""
        if self.budget.tokens and self.prompt_tokens + self.sampled_tokens >= self.budget.tokens:
            return 0
        if self.budget.money and self.money >= self.budget.money:
            return 0
        return max(0, self.budget.questions - self.questions) if self.budget.questions else None

    def add(self, value: dict[str, Any]) -> None:
        self.questions += value["asked"]
        self.prompt_tokens += value["prompt_tokens"]
        self.sampled_tokens += value["sampled_tokens"]


@dataclass(slots=True)
class Interview:
    """One model under audit: questions go in, graded answers come out, and everything is stored on the way."""

    run: Run
    model: str
    sampler: Callable[[], Sampler]
    style: PromptStyle
    cot: bool
    max_tokens: int
    block: int
    spent: Spent
    progress: Progress
    temperature: float = 0.0
    stage: str = "ask"
    unfinished: list[str] = field(default_factory=list)
    trouble: str = ""
    _fruitless: int = 0
    _repeating: bool = True

    @property
    def step(self) -> int:
        """The most questions asked at once; fewer where a limit is known only after they are answered."""
        limits = self.spent.budget
        return min(self.block, COSTLY_BLOCK) if limits.tokens or limits.money else self.block

    def ask(self, questions: Sequence[Question], *names: str | int) -> list[Answered]:
        """Ask as many of `questions` as the budget allows, in order; units that are stored are read back.

        A block whose every request failed ends the list; it is not stored, so the same command asks it again.
        """
        answered: list[Answered] = []
        for start in range(0, len(questions), self.step):
            left = self.spent.left
            whole = questions[start : start + self.step]
            part = whole if left is None else whole[:left]
            try:
                answered += self._block(part, (*names, start // self.step)) if part else []
            except _NoAnswers as error:
                self.trouble, part = str(error), ()
            if len(part) < len(whole):
                self.unfinished.append(str(names[0]) if names else "questions")
                break
        return answered

    def _block(self, questions: Sequence[Question], names: tuple[str | int, ...]) -> list[Answered]:
        stored = self.run.done(self.stage, *names) is not None
        self._unit(questions, names, range(len(questions)))
        records = self._records(names)
        failed = sorted({place for (place, _), record in records.items() if record["error"] is not None})
        if stored and failed and self._repeating and not self.spent.limited:
            attempt = 1 + sum(unit.names[:-1] == (*names, AGAIN) for unit in self.run.units(self.stage))
            try:
                self._unit(questions, (*names, AGAIN, attempt), failed)
                records = self._records(names)
            except _NoAnswers:
                self._repeating = False  # one try per command tells whether failed requests fare better now
        answered = []
        for (place, _), record in records.items():
            question = questions[place]
            graded = from_record(record, question.problem)
            answered.append(
                Answered(question=question, completion=graded.completion, grade=graded.grade, model=self.model)
            )
        return answered

    def _records(self, names: tuple[str | int, ...]) -> dict[tuple[int, int], dict[str, Any]]:
        """Return the records of a block by place and sample; where a failed request was asked again, the last one."""
        found: dict[tuple[int, int], dict[str, Any]] = {}
        for record in self.run.records("graded", stage=self.stage, names_prefix=names):
            place = (record["place"], record["sample"])
            if place not in found or found[place]["error"] is not None:
                found[place] = record
        return found

    def _unit(self, questions: Sequence[Question], names: tuple[str | int, ...], places: Sequence[int]) -> None:
        """Ask the questions at `places` as one unit of the run; a repetition asks the very same requests."""
        block = names[:-2] if names[-2:-1] == (AGAIN,) else names
        requests = {place: self.request(questions[place], *block) for place in places}
        by_key: dict[str, list[int]] = {}
        for place, request in requests.items():
            by_key.setdefault(request.key, []).append(place)

        def compute(writer: Any) -> dict[str, Any]:
            if self._fruitless >= GIVE_UP_AFTER:
                raise _NoAnswers(self.trouble)
            sampler = self.sampler()
            bind_problems(sampler, [question.problem for question in questions])
            shown = Named(self.progress, " ".join(str(name) for name in names))
            unique = [requests[same[0]] for same in by_key.values()]
            completions = sample_in_order(sampler, unique, progress=shown)
            if all(completion.error is not None for completion in completions):
                self._fruitless += 1
                raise _NoAnswers(completions[0].error)
            self._fruitless = 0
            for completion in completions:
                for place in by_key[completion.key]:
                    problem = questions[place].problem
                    graded = Graded(problem=problem, completion=completion, grade=grade(problem, completion))
                    writer.add("graded", {**to_record(graded), "place": place, "world": problem.world})
            return {
                "asked": len(unique),
                "sampled_tokens": sum(completion.completion_tokens for completion in completions),
                "prompt_tokens": prompt_tokens(completions),
            }

        self.spent.add(self.run.unit(self.stage, *names, compute=compute))

    def request(self, question: Question, *names: str | int) -> Request:
        """Return the request that puts `question`; equal questions get equal seeds, whoever asks."""
        problem = question.problem
        cot = self.cot if question.cot is None else question.cot
        way = "own" if question.prompt is not None else ("cot" if cot else "direct")
        prompt = question.prompt if question.prompt is not None else self.style.prompt(problem, direct=not cot)
        key = "/".join((problem.id, *(str(name) for name in names), question.task, question.condition, way))
        return Request(
            key=key,
            prompt=prompt,
            seed=seed_for("audit", problem.id, question.task, question.condition, way),
            n=question.samples,
            max_tokens=question.max_tokens or self.max_tokens,
            temperature=question.temperature or self.temperature,
            stop=question.stop if question.prompt is not None else self.style.stop,
        )


def prompt_tokens(completions: Sequence[Completion]) -> int:
    """Return the tokens of the prompts; samples of one request share its prompt."""
    return sum(completion.prompt_tokens for completion in completions if completion.sample == 0)

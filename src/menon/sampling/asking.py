"""Ask a model a fixed list of problems and grade what it writes, as one resumable unit."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from menon.core.progress import Named, Progress, Silent
from menon.core.seeds import seed_for
from menon.core.values import Completion, Grade, Problem, Request, Verdict
from menon.grading import grade
from menon.problems.prompts import PromptStyle
from menon.sampling.protocol import Sampler
from menon.store import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """How questions are put: the prompt style, with or without working, and the sampling options."""

    style: PromptStyle
    direct: bool = False
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    samples: int = 1
    max_tokens: int = 128
    logprobs: bool = False

    def request(self, problem: Problem, *names: str | int, hint: bool = False) -> Request:
        """Return the request that puts `problem` to a model; its seed depends on the problem and on `names`."""
        return Request(
            key=problem.id if not hint else f"{problem.id}/hint",
            prompt=self.style.prompt(problem, hint=hint, direct=self.direct),
            seed=seed_for("ask", problem.id, hint, *names),
            n=self.samples,
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            stop=self.style.stop,
            logprobs=self.logprobs,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Graded:
    """A problem, a completion of it, and its grade; `hinted` says that the prompt showed the answer."""

    problem: Problem
    completion: Completion
    grade: Grade
    hinted: bool = False


def ask(
    sampler: Sampler,
    problems: Sequence[Problem],
    asking: Asking,
    *names: str | int,
    hint: bool = False,
    progress: Progress | None = None,
) -> list[Graded]:
    """Sample and grade every problem; results stand in the order of `problems`, then of samples."""
    by_key = {asking.request(problem, hint=hint).key: problem for problem in problems}
    requests = [asking.request(problem, *names, hint=hint) for problem in by_key.values()]
    found: dict[tuple[str, int], Completion] = {}
    for completion in sampler.sample(requests, progress=progress or Silent()):
        found[completion.key, completion.sample] = completion
    order = [(request.key, j) for request in requests for j in range(request.n)]
    return [
        Graded(problem=by_key[key], completion=found[key, j], grade=grade(by_key[key], found[key, j]), hinted=hint)
        for key, j in order
    ]


def evaluate(
    run: Run,
    sampler: Callable[[], Sampler],
    problems: Sequence[Problem],
    asking: Asking,
    *,
    stage: str,
    names: Iterable[str | int] = (),
    progress: Progress | None = None,
) -> list[Graded]:
    """Ask `problems` as one unit of `run`; when it is done already, its records are read and no model is loaded."""
    names = tuple(names)

    def compute(writer: Any) -> dict[str, Any]:
        shown = Named(progress or Silent(), " ".join(str(part) for part in (stage, *names)))
        graded = ask(sampler(), problems, asking, stage, *names, progress=shown)
        for item in graded:
            writer.add("graded", to_record(item))
        return {
            "asked": len(graded),
            "right": sum(item.grade.right for item in graded),
            "sampled_tokens": sum(item.completion.completion_tokens for item in graded),
        }

    run.unit(stage, *names, compute=compute)
    by_id = {problem.id: problem for problem in problems}
    records = run.records("graded", stage=stage, names_prefix=names)
    return [from_record(record, by_id[record["problem"]]) for record in records]


def to_record(item: Graded, **more: Any) -> dict[str, Any]:
    """Flatten a graded completion for the store."""
    problem, completion, verdict = item.problem, item.completion, item.grade
    return {
        "problem": problem.id,
        "family": problem.family,
        "split": problem.split,
        "difficulty": problem.difficulty,
        "template": problem.template,
        "question": problem.question,
        "gold": problem.answer,
        "choices": list(problem.choices),
        "grader": problem.grader,
        "meta": problem.meta,
        "completion": completion.id,
        "key": completion.key,
        "sample": completion.sample,
        "model": completion.model,
        "text": completion.text,
        "reasoning": completion.reasoning,
        "finish": completion.finish,
        "error": completion.error,
        "token_ids": list(completion.token_ids or ()),
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": completion.completion_tokens,
        "verdict": verdict.verdict.value,
        "answer": verdict.answer,
        "rationale": verdict.rationale,
        "sound": verdict.sound,
        "note": verdict.note,
        **({} if verdict.credit is None else {"credit": verdict.credit}),
        "hinted": item.hinted,
        **more,
    }


def from_record(record: dict[str, Any], problem: Problem) -> Graded:
    """Rebuild what `to_record` flattened."""
    completion = Completion(
        key=record["key"],
        sample=record["sample"],
        text=record["text"],
        reasoning=record["reasoning"],
        finish=record["finish"],
        error=record["error"],
        token_ids=tuple(record["token_ids"]),
        prompt_tokens=record["prompt_tokens"],
        completion_tokens=record["completion_tokens"],
        model=record["model"],
    )
    graded = Grade(
        verdict=Verdict(record["verdict"]),
        answer=record["answer"],
        rationale=record["rationale"],
        sound=record["sound"],
        note=record["note"],
        credit=record.get("credit"),
    )
    return Graded(problem=problem, completion=completion, grade=graded, hinted=record["hinted"])

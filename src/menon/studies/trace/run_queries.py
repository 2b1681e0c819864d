"""What a run holds for tracing: any completion of it as a query, and the rows that a STaR run taught its model.

A completion is found by its id, or by the first six characters of it. Its prompt is the stored one where the run keeps
prompts (solving runs), else it is put again as the run's recipe says; where a tokenizer is given, the number of its
tokens must be the one on record. Left out: prompts that a probe of an audit wrote itself, which no run keeps.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from menon.core.errors import DataError, RunError
from menon.core.values import Completion, Problem
from menon.problems.datasets import load_problems
from menon.problems.prompts import STYLES, Gsm8k, PromptStyle
from menon.store import EventLog, Run
from menon.studies.audit.models import EMBEDDED, REMOTE, SCRIPTED, same_tokenizer
from menon.studies.recipe import Comparison
from menon.studies.solve.assemble import events_of, origin
from menon.teaching.config import PRESETS, StarConfig
from menon.teaching.selection import KEPT
from menon.teaching.star import encode_prompt, sampled_ids
from menon.tracing.corpora import MemoryCorpus
from menon.tracing.tokenise import Tokeniser
from menon.tracing.values import Query, TracedDocument

SHORTEST = 6
SHOWN = 10
GRADED = ("graded", "sample")  # a "row" repeats a "sample"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCompletion:
    """A completion on file.

    `answer` is the model's own where one could be read; `prompt` is None where it has to be put again; `place` says
    where in the run it stands, `stage` in which of its stages.
    """

    id: str
    place: str
    stage: str
    text: str
    question: str
    answer: str
    prompt: str | None
    record: Mapping[str, Any] = field(default_factory=dict)


def run_query(folder: Path, wanted: str, tokenizer: Any = None) -> Query:
    """Return the completion of the run in `folder` whose id, or the problem's id, begins with `wanted`.

    Raises:
        DataError: no such completion, several of them (they are listed), or a prompt that cannot be had.
        RunError: the folder is no run.
    """
    with Run.open(folder) as run:
        found = _found(run, wanted)
        record = found.record
        prompt = found.prompt if found.prompt is not None else _prompt(run, found)
        prompt_ids = None if tokenizer is None else encode_prompt(tokenizer, prompt)
        counted = record.get("prompt_tokens")
        if prompt_ids is not None and counted and len(prompt_ids) != counted:
            raise DataError(
                f"the prompt of completion {found.id} has {len(prompt_ids)} tokens when it is put again and "
                f"{counted} on record: the tokenizer, or the demonstrations, are not those of the run; give prompt and "
                "completion in a file (--queries FILE)"
            )
    completion_ids = tuple(record.get("token_ids") or ()) or None
    told = ("verdict", "gold", "family", "difficulty", "model")
    labels = {"completion": found.id, "run": str(folder), "place": found.place}
    labels |= {name: str(record[name]) for name in told if record.get(name)}
    return Query(
        name=found.id,
        prompt=prompt,
        completion=found.text,
        answer=found.answer,
        task=str(record.get("family") or ""),
        labels=labels,
        prompt_ids=prompt_ids,
        completion_ids=completion_ids,
    )


def stored_completions(run: Run) -> Iterator[StoredCompletion]:
    """Yield every completion that a run keeps, in reading order, once each."""
    for stage in dict.fromkeys(unit.stage for unit in run.units()):
        for kind in GRADED:
            for record in run.records(kind, stage=stage):
                yield StoredCompletion(
                    id=record["completion"],
                    place=f"{stage}: {record['key']}",
                    stage=stage,
                    text=record["text"],
                    question=record["question"],
                    answer=str(record["answer"] or record["gold"]),
                    prompt=None,
                    record=record,
                )
    with EventLog(run.path, read_only=True) as log:
        for execution in sorted(log.executions("visit")):
            outcome = json.loads(log.one("outcome", execution) or "{}")
            question = str(outcome.get("values", {}).get("question", ""))
            answer = str(outcome.get("answer") or "")
            for event in events_of(execution, log):
                for row in event["completions"]:
                    if row.get("id"):
                        yield StoredCompletion(
                            id=row["id"],
                            place=f"{execution}:{event['address']}",
                            stage="solve",
                            text=row["text"],
                            question=question,
                            answer=answer if answer and answer in row["text"] else "",
                            prompt=event["prompt"],
                            record={**row, "problem": origin(execution)},
                        )


def _found(run: Run, wanted: str) -> StoredCompletion:
    if len(wanted) < SHORTEST:
        raise DataError(f"{wanted!r} is too short to name a completion; give {SHORTEST} characters of its id or more")
    found: dict[str, StoredCompletion] = {}
    of_problem: dict[str, StoredCompletion] = {}
    empty = True
    for completion in stored_completions(run):
        empty = False
        if completion.id.startswith(wanted):
            found.setdefault(completion.id, completion)
        elif str(completion.record.get("problem", "")).startswith(wanted):
            of_problem.setdefault(completion.id, completion)
    found = found or of_problem
    if len(found) == 1:
        return next(iter(found.values()))
    if empty:
        raise DataError(f"the run {str(run.path)!r} keeps no completions, so none can be traced")
    if not found:
        raise DataError(f"no completion of {str(run.path)!r} has an id that begins with {wanted!r}")
    listed = [f"  {one.id}  {one.place}: {one.text[:60]!r}" for one in list(found.values())[:SHOWN]]
    raise DataError(f"{len(found)} completions are meant by {wanted!r}; name one by its id:\n" + "\n".join(listed))


def _prompt(run: Run, found: StoredCompletion) -> str:
    """Put the question again as the run's recipe says."""
    recipe, record = tomllib.loads(run.recipe_toml), found.record
    way = str(record["key"]).rpartition("/")[2]
    if way == "own":
        raise DataError(
            f"completion {found.id} answers a prompt that a probe of the audit wrote ({record['key']}), which the run "
            "does not keep; give prompt and completion in a file (--queries FILE)"
        )
    problem = Problem(
        family=record["family"],
        question=record["question"],
        answer=record["gold"],
        choices=tuple(record.get("choices") or ()),
        grader=record.get("grader") or "exact",
        meta=record.get("meta") or {},
    )
    direct = way == "direct" or _direct(run, recipe, found)
    return style_of_run(recipe, problem).prompt(problem, hint=bool(record.get("hinted")), direct=direct)


def _direct(run: Run, recipe: Mapping[str, Any], found: StoredCompletion) -> bool:
    """Say whether the answer was asked for without working."""
    study = recipe.get("study")
    if study == "quiet":
        return bool(recipe.get("evaluation", {}).get("direct"))
    if study == "comparison" and found.stage == "base":
        asked = run.records("graded", stage="base", names_prefix=("direct",))
        return any(record["completion"] == found.id for record in asked)
    if study == "comparison":
        return _star(recipe, found.stage.removesuffix("-test")).learn == "direct"
    return study == "bootstrap" and found.stage == "direct-test"


def style_of_run(recipe: Mapping[str, Any], problem: Problem) -> PromptStyle:
    """Return the prompt style that a stored recipe asks with.

    Raises:
        DataError: its demonstrations are no longer where they were.
    """
    name = recipe.get("style", "menon" if recipe.get("study") == "comparison" else "auto")
    if name == "auto":
        name = _usual(recipe, problem)
    style: PromptStyle = STYLES.get(name)
    if recipe.get("star", {}).get("hint") == "solution" and isinstance(style, Gsm8k):
        style = Gsm8k(solution_hint=True)
    if recipe.get("exemplars"):
        shots = load_problems(recipe["exemplars"]).problems[: recipe.get("shots", 8)]
        style = style.with_exemplars(tuple(shots))
    return style


def _usual(recipe: Mapping[str, Any], problem: Problem) -> str:
    model = str(recipe.get("model", EMBEDDED))
    if recipe.get("study") in ("audit", "solve", "flowcharts"):
        local = not model.startswith((*REMOTE, SCRIPTED, "recorded:"))
        own = model == EMBEDDED or model.startswith(SCRIPTED) or same_tokenizer(model, local)
        return "menon" if own else "plain"
    if recipe.get("study") == "quiet" and not recipe.get("evaluation", {}).get("problems"):
        return "menon"
    generated = problem.grader == "exact" and "steps" in problem.meta
    return "menon" if generated else "commonsenseqa" if problem.choices else "gsm8k"


def star_rows_corpus(
    folder: Path, tokenizer: Any, round: int | None = None, *, arm: str = "star", context: int | None = None
) -> MemoryCorpus:
    """Return the rows that the model of a round was taught, with the very ids it learnt; without `round`, the last.

    These are the rows kept in all rounds up to it where rows accumulate or each round goes on from the one before, and
    those of the round alone otherwise. The prompt is context only, and rows longer than the context are skipped, as
    they are in teaching.

    Raises:
        RunError: the folder is no run, or the arm has no such round. DataError: it kept no row.
    """
    with Run.open(folder) as run:
        last = _chosen(round, _rounds(run, arm), folder, arm)
        star = _star(tomllib.loads(run.recipe_toml), arm)
        alone = not star.accumulate and star.restart and not star.replay
        records = [
            record
            for record in run.records("row", stage=arm)
            if record["reason"] == KEPT and (record["round"] == last if alone else record["round"] <= last)
        ]
    if not records:
        raise DataError(f"round {last} of {arm!r} in {str(folder)!r} kept no rows of its own to learn from")
    ids = [_row_ids(record, tokenizer) for record in records]
    return MemoryCorpus(
        [_row_document(record, folder, arm) for record in records],
        Tokeniser(tokenizer, context=context, long="skip", prompt_weight=0.0),
        name=f"{folder.name}, rows of {arm} {last}",
        ids=ids,
    )


def _star(recipe: Mapping[str, Any], arm: str) -> StarConfig:
    """Return the options of the loop; in a comparison those of the arm of stage `arm`, as the comparison has them."""
    if recipe.get("study") == "comparison":
        comparison = Comparison.model_validate(recipe)
        for one in comparison.arms:
            if arm.rpartition("-seed")[0] == one.name:
                preset = PRESETS.get(one.star.get("preset", "star"), {})
                return StarConfig.model_validate({**comparison.star, **preset, **one.star})
    return StarConfig.model_validate(recipe.get("star", {}))


def _row_document(record: Mapping[str, Any], folder: Path, arm: str) -> TracedDocument:
    hinted = bool(record["hinted"])
    return TracedDocument(
        id=record["completion"],
        text=record["prompt"] + record["text"],
        prompt=record["prompt"],
        origin=f"{folder}:{arm}:{record['round']}:{record['key']}",
        labels={
            "source": f"round {record['round']}",
            "round": str(record["round"]),
            "origin": "rationalization" if hinted else "rationale",
            "family": record["family"],
            "difficulty": str(record["difficulty"]),
            "problem": record["problem"],
            "answer": str(record["gold"]),
            "verdict": record["verdict"],
        },
    )


def _row_ids(record: Mapping[str, Any], tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    prompt = encode_prompt(tokenizer, record["prompt"])
    completion = Completion(key=record["key"], text=record["text"], token_ids=tuple(record["token_ids"]))
    return prompt, sampled_ids(tokenizer, completion, prompt)


def run_checkpoint(folder: Path, round: int | None = None, *, arm: str = "star") -> Path:
    """Return the folder of the model after a round (without `round`, the last).

    It is that of an earlier round where nothing was learnt in it, as in teaching.

    Raises:
        RunError: the folder is no run, the arm has no such round, or its checkpoint is gone.
    """
    with Run.open(folder) as run:
        rounds = _rounds(run, arm)
        last = _chosen(round, rounds, folder, arm)
        for number in range(last, 0, -1):
            path = run.checkpoint(f"{arm}-{number}")
            if (path / "config.json").is_file():
                return path
            if run.done(arm, number, "train") is not None:
                raise RunError(f"the checkpoint {str(path)!r} is gone; run the study again, or name another round")
    raise RunError(f"no round up to {last} of {arm!r} in {str(folder)!r} learnt anything; trace the base model instead")


def _rounds(run: Run, arm: str) -> list[int]:
    found = {unit.names[0] for unit in run.units(arm) if unit.names[1:] in (("select",), ("train",))}
    return sorted(number for number in found if isinstance(number, int))


def _chosen(round: int | None, rounds: list[int], folder: Path, arm: str) -> int:
    if not rounds:
        raise RunError(f"the run {str(folder)!r} has no rounds of {arm!r}; give a run of `menon teach star`")
    if round is not None and round not in rounds:
        raise RunError(f"{str(folder)!r} has no round {round!r} of {arm!r}; there are {', '.join(map(str, rounds))}")
    return rounds[-1] if round is None else round

"""What every model is asked: worked problems, answers alone, facts, programs to finish and to write, and the audit.

All is greedy. A held-out program is finished from `assert ...==`, so the model has to say what it computes; it is
written from a comment with the question, and is right where it equals the reference program letter for letter. Beside
what is right, the loss on the reference solution is measured, which moves before accuracy does.
"""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from menon.core.values import Problem, Request, Verdict
from menon.models.load import load_model
from menon.problems.known.facts import ask as ask_fact
from menon.problems.known.facts import facts
from menon.problems.known.families import family_of, originals
from menon.problems.known.forms import program
from menon.problems.prompts import STYLES
from menon.sampling.asking import Asking, ask
from menon.sampling.local import LocalSampler
from menon.studies.code_mixture.recipe import CodeMixture, Tasks
from menon.studies.known.training import known_tokenizer

STYLE = STYLES.get("menon")
MAX_TOKENS = 48  # of an answer; reference solutions have up to 24
SLACK = 2  # tokens that a program may be longer than the reference before it is cut off, which makes it wrong
MARK = "=="
SLOTS = 256


def examine(folder: Path, recipe: CodeMixture) -> dict[str, Any]:
    """Ask the model in `folder` everything; returns `tasks` (name -> right, asked, nats per token) and `audit`."""
    loaded = load_model(str(folder), device="cpu", dtype="float32")
    sampler = LocalSampler(loaded.model, known_tokenizer(), name="code-mixture", slots=SLOTS)
    tasks = recipe.tasks
    every = {name: held_out(name, tasks.questions) for name in (*tasks.held_in, *tasks.code_only, *tasks.absent)}
    told = [ask_fact(fact) for fact in facts("frequent")[: tasks.facts]]
    audited = audited_problems(tasks)
    worked = _verdicts(sampler, [*chain(*every.values()), *told, *chain(*(chain(*entry) for entry in audited))])
    direct = _verdicts(sampler, [*chain(*(every[name] for name in tasks.held_in))], direct=True)
    found = {f"text/{name}": {**_counted(worked, ps), "nats": _nats(sampler, ps)} for name, ps in every.items()}
    found |= {f"direct/{name}": _counted(direct, every[name]) for name in tasks.held_in}
    found |= {"facts": _counted(worked, told), **_programs(sampler, tasks)}
    audit = [
        {
            "family": alone[0].family,
            "original": worked[alone[0].id],
            "variants": [worked[variant.id] for variant in variants],
        }
        for alone, variants in audited
    ]
    return {"tasks": found, "audit": audit}


def held_out(name: str, count: int) -> list[Problem]:
    """Return problems of family `name` that no document holds, all different."""
    found: dict[str, Problem] = {}
    for index in range(40 * count):
        problem = family_of(name).problem("test", index)
        found.setdefault(problem.id, problem)
        if len(found) == count:
            break
    return list(found.values())


def audited_problems(tasks: Tasks) -> list[tuple[list[Problem], list[Problem]]]:
    """Return each original that the text repeats (alone in its list) with its re-instantiations."""
    return [
        ([original], [family_of(name).variant(original, number) for number in range(tasks.variants)])
        for name in tasks.held_in
        for original in originals(name, tasks.originals)
    ]


def _verdicts(sampler: LocalSampler, problems: Sequence[Problem], *, direct: bool = False) -> dict[str, str]:
    asking = Asking(style=STYLE, direct=direct, max_tokens=MAX_TOKENS)
    return {item.problem.id: item.grade.verdict.value for item in ask(sampler, problems, asking, "code-mixture")}


def _counted(verdicts: dict[str, str], problems: Sequence[Problem]) -> dict[str, float]:
    return {"right": sum(verdicts[p.id] == Verdict.RIGHT.value for p in problems), "asked": len(problems)}


def _nats(sampler: LocalSampler, problems: Sequence[Problem]) -> float:
    """Return the mean loss per token of the reference solutions, in nats."""
    texts = [(STYLE.prompt(p), STYLE.completion(p, p.rationale or "", p.answer)) for p in problems]
    logps = [logp for row in sampler.score_many(texts) for logp in row]
    return -sum(logps) / len(logps)


def _programs(sampler: LocalSampler, tasks: Tasks) -> dict[str, dict[str, float]]:
    wanted: dict[str, str] = {}
    prompts: dict[str, str] = {}
    for name in (*tasks.held_in, *tasks.code_only):
        for place, problem in enumerate(held_out(name, tasks.programs)):
            before, mark, value = program(problem, comments=False).completion.rpartition(MARK)
            prompts[f"finish/{name}/{place}"], wanted[f"finish/{name}/{place}"] = f"{before}{mark}", value
            whole = program(problem, comments=True)
            prompts[f"write/{name}/{place}"], wanted[f"write/{name}/{place}"] = whole.prompt, whole.completion
    lengths = map(len, known_tokenizer()(list(wanted.values())).input_ids)
    requests = [
        Request(key=key, prompt=prompts[key], seed=0, temperature=0.0, max_tokens=length + SLACK)
        for key, length in zip(wanted, lengths, strict=True)
    ]
    found: dict[str, dict[str, float]] = {}
    for done in sampler.sample(requests):
        cell = found.setdefault(done.key.rpartition("/")[0], {"right": 0, "asked": 0})
        cell["right"] += done.finish == "stop" and done.text == wanted[done.key]
        cell["asked"] += 1
    return dict(sorted(found.items()))

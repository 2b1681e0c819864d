"""Detector: shown the first half of a question, does the model write the second half word for word?

A question is cut at a word; what follows is compared with the true rest as a common beginning, counted in words, digits
and signs. Re-instantiations of the same template say how much of the rest is guessable from the form alone.
Source: prefix extraction of Carlini et al. 2022, arXiv:2202.07646; guided prompting of Golchin and Surdeanu 2023,
arXiv:2308.08493, without its second model as judge.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from menon.auditing.memory.panel import HELD_OUT, ITEMS, Panel, Part, Subject, spread
from menon.auditing.probe import Answered, Effect
from menon.core.errors import SamplerError
from menon.core.seeds import seed_for
from menon.core.values import Completion, Problem, Request
from menon.sampling.protocol import bind_problems, sample_in_order
from menon.stats import paired_difference

UNIT = re.compile(r"[^\W\d_]+|\d|[^\w\s]|_")
LONGEST = 256  # tokens that a completion may have
REQUEST = "Below is the beginning of a text. Go on with it word for word from where it stops; write nothing else.\n\n"


def units(text: str) -> list[str]:
    """Cut a text into words, single digits and signs."""
    return UNIT.findall(text)


def halves(text: str, share: float) -> tuple[str, str]:
    """Cut a text between two units so that about `share` of them stand before the cut, and some on both sides.

    The rest is empty for a text of one unit.
    """
    found = list(UNIT.finditer(text))
    if len(found) < 2:
        return text, ""
    cut = found[min(len(found) - 1, max(1, round(share * len(found))))].start()
    return text[:cut].rstrip(), text[cut:]


def verbatim(rest: str, written: str) -> float:
    """Return the share of the units of `rest` that `written` begins with, in order and without a slip."""
    wanted, got = units(rest), units(written)
    if not wanted:
        return 0.0
    same = 0
    while same < min(len(wanted), len(got)) and wanted[same] == got[same]:
        same += 1
    return same / len(wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixCompletion:
    """Asks for the rest of each question and of its re-instantiations, greedily."""

    name: str = "completion"
    title: str = "prefix completion"

    def objection(self, panel: Panel) -> str | None:
        if not panel.material.live or panel.material.sampler is None:
            return "needs a live model that can be asked to go on with a text"
        if not any(halves(s.problem.question, panel.options.prefix)[1] for s in panel.subjects):
            return "needs questions of two words or more"
        return None

    def measure(self, panel: Panel) -> Iterable[dict[str, Any]]:
        asked: dict[str, tuple[Request, str]] = {}
        rows: list[tuple[dict[str, Any], str]] = []
        for subject in _chosen(panel):
            for number, problem in subject.texts():
                request, rest = _request(problem, panel)
                if rest:
                    asked[request.key] = request, rest
                    rows.append(({**subject.names(), "text": problem.id, "twin": number}, request.key))
        sampler = panel.sampler()
        bind_problems(sampler, [problem for s in _chosen(panel) for _, problem in s.texts()])
        requests = [request for request, _ in asked.values()]
        written = {c.key: c for c in sample_in_order(sampler, requests, progress=panel.material.progress)}
        if written and all(completion.finish == "error" for completion in written.values()):
            raise SamplerError(f"no question could be put: {next(iter(written.values())).error}")
        for row, key in rows:
            yield {**row, **_compared(asked[key][1], written[key])}

    def report(self, rows: Sequence[Mapping[str, Any]], answered: Sequence[Answered], panel: Panel) -> Part:
        effects, table = [], []
        kept = [row for row in rows if row["verbatim"] is not None]
        for arm in (ITEMS, HELD_OUT):
            groups = list(dict.fromkeys(row["group"] for row in kept if row["arm"] == arm))
            for group in ("all", *groups) if len(groups) > 1 else groups:
                chosen = [row for row in kept if row["arm"] == arm and group in ("all", row["group"])]
                line, effect = _compare(chosen, arm, group, panel)
                table.append(line)
                effects += [effect] if effect is not None else []
        failed = len(rows) - len(kept)
        notes = [f"prefix completion: {failed} of {len(rows)} requests failed and are left out"] if failed else []
        if table and not panel.paired:
            notes.append(
                "prefix completion without re-instantiations has no control: how much of a rest can be guessed "
                "from its form is not known."
            )
        return Part(effects=tuple(effects), tables={"prefix completion": table}, notes=tuple(notes))


def _chosen(panel: Panel) -> list[Subject]:
    """Return about `per_cell` items of each family and arm."""
    cells: defaultdict[tuple[str, str], list[Subject]] = defaultdict(list)
    for subject in panel.subjects:
        cells[subject.arm, subject.group].append(subject)
    return [s for subjects in cells.values() for s in spread(subjects, panel.material.per_cell)]


def _request(problem: Problem, panel: Panel) -> tuple[Request, str]:
    shown, rest = halves(problem.question, panel.options.prefix)
    asked = REQUEST + shown if panel.material.style == "plain" and not panel.is_base else shown
    request = Request(
        key=f"{problem.id}/prefix",
        prompt=asked,
        seed=seed_for("memory", "prefix", problem.id),
        max_tokens=min(LONGEST, len(rest) + 4),
        temperature=0.0,
    )
    return request, rest


def _compared(rest: str, completion: Completion) -> dict[str, Any]:
    if completion.finish == "error":
        return {"verbatim": None, "complete": None, "written": completion.error or ""}
    share = verbatim(rest, completion.text)
    return {"verbatim": share, "complete": share == 1.0, "written": completion.text[:200]}


def _compare(
    rows: Sequence[Mapping[str, Any]], arm: str, group: str, panel: Panel
) -> tuple[dict[str, Any], Effect | None]:
    items = {row["item"]: row for row in rows if row["twin"] < 0}
    twins: defaultdict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row["twin"] >= 0:
            twins[row["item"]].append(row["verbatim"])
    paired = [(row, fmean(twins[item])) for item, row in items.items() if twins[item]]
    line = {
        **{"arm": arm, "family": group, "n": len(items)},
        "items": fmean(row["verbatim"] for row in items.values()) if items else None,
        "complete": fmean(row["complete"] for row in items.values()) if items else None,
        "re-instantiations": fmean(twin for _, twin in paired) if paired else None,
    }
    if not paired:
        return {**line, "difference": None, "low": None, "high": None, "p": None}, None
    change = paired_difference(
        [twin for _, twin in paired],
        [row["verbatim"] for row, _ in paired],
        [row["cluster"] for row, _ in paired],
        seed=panel.material.seed,
        level=panel.material.config.level,
    )
    effect = Effect(
        label=f"prefix completion, {group if arm == ITEMS else f'{group}, held out (control)'}",
        value=change.value,
        low=change.low,
        high=change.high,
        n=change.n,
        kind="other",
        unit="share of the rest written word for word",
        p=change.p,
        note="items minus re-instantiations",
    )
    return {**line, "difference": change.value, "low": change.low, "high": change.high, "p": change.p}, effect


COMPLETION = PrefixCompletion()

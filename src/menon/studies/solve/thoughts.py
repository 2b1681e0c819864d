"""What a model thought in a solving run: written beside the run as it comes, shown when it is asked for.

One line of thoughts.jsonl for each completion. A call that was repeated after a stop has two lines; the last counts.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from menon.core.values import Completion
from menon.store.layout import THOUGHTS

if TYPE_CHECKING:  # the module of samplers that think loads torch
    from menon.sampling.thinking import TokenThought

MOST_SHOWN = 20  # completions on the terminal; the file has them all


class ThoughtLog:
    """Appends to the thoughts of the run in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / THOUGHTS

    def keep(self, completion: Completion, thoughts: Sequence["TokenThought"]) -> None:
        """Write what was thought before each token of a completion."""
        tokens = [{name: getattr(one, name) for name in ("token", "thought", "weight", "gain")} for one in thoughts]
        said = {"key": completion.key, "sample": completion.sample, "text": completion.text, "tokens": tokens}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(said, ensure_ascii=True) + "\n")


def kept_thoughts(folder: Path) -> list[dict[str, Any]]:
    """Return what the run in `folder` thought, by completion, in the order of the first lines."""
    path = folder / THOUGHTS
    if not path.is_file():
        return []
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            said = json.loads(line)
        except ValueError:  # a process that was killed may have left half a line
            continue
        found[said["key"], said["sample"]] = said
    return list(found.values())


def thought_lines(kept: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the thoughts as a table: each token of the answer, its thought, the weight of it and what it gained."""
    if not kept:
        yield "no thoughts were kept in this run; begin it anew with --fresh to see them"
    for said in kept[:MOST_SHOWN]:
        sample = f" (sample {said['sample']})" if said["sample"] else ""
        yield f"thoughts of {said['key']}{sample}:"
        width = max([5, *(len(repr(one["token"])) for one in said["tokens"])])
        yield f"  {'token':<{width}}  weight  gain (nats)  thought"
        for one in said["tokens"]:
            if one["weight"] is None:
                yield f"  {one['token']!r:<{width}}  {'-':>6}  {'-':>11}  (none)"
            else:
                yield f"  {one['token']!r:<{width}}  {one['weight']:>6.2f}  {one['gain']:>+11.3f}  {one['thought']!r}"
    if len(kept) > MOST_SHOWN:
        yield f"{len(kept) - MOST_SHOWN} more completions in {THOUGHTS}"

"""What a model thought in a solving run: written beside the run as it comes, shown when it is asked for.

One line of thoughts.jsonl for each completion; a call that was repeated after a stop has two equal ones.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from menon.core.values import Completion, Message, Request
from menon.store.layout import THOUGHTS

if TYPE_CHECKING:  # the module of samplers that think loads torch
    from menon.sampling.thinking import TokenThought

MOST_SHOWN = 20  # completions on the terminal; the file has them all
LONGEST_PROMPT = 80


class ThoughtLog:
    """Appends to the thoughts of the run in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / THOUGHTS

    def keep(self, request: Request, completion: Completion, thoughts: Sequence["TokenThought"]) -> None:
        """Write what was thought before each token of a completion."""
        tokens = [{name: getattr(one, name) for name in ("token", "thought", "weight", "gain")} for one in thoughts]
        said = {"prompt": _text(request), "sample": completion.sample, "text": completion.text, "tokens": tokens}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(said, ensure_ascii=True) + "\n")


def kept_thoughts(folder: Path) -> list[dict[str, Any]]:
    """Return what the run in `folder` thought, by completion, in the order in which they came."""
    path = folder / THOUGHTS
    if not path.is_file():
        return []
    found = []
    for line in dict.fromkeys(path.read_text(encoding="utf-8").splitlines()):
        try:
            found.append(json.loads(line))
        except ValueError:  # a process that was killed may have left half a line
            continue
    return found


def thought_lines(kept: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the thoughts as a table: each token of the answer, its thought, the weight of it and what it gained."""
    if not kept:
        yield "no thoughts were kept in this run; begin it anew with --fresh to see them"
    for said in kept[:MOST_SHOWN]:
        sample = f" (sample {said['sample']})" if said["sample"] else ""
        prompt = " ".join(said["prompt"].split())
        short = prompt if len(prompt) <= LONGEST_PROMPT else f"...{prompt[3 - LONGEST_PROMPT :]}"
        yield f"thoughts after {short!r}{sample}:"
        width = max([5, *(len(repr(one["token"])) for one in said["tokens"])])
        yield f"  {'token':<{width}}  weight  gain (nats)  thought"
        for one in said["tokens"]:
            if one["weight"] is None:
                yield f"  {one['token']!r:<{width}}  {'-':>6}  {'-':>11}  (none)"
            else:
                yield f"  {one['token']!r:<{width}}  {one['weight']:>6.2f}  {one['gain']:>+11.3f}  {one['thought']!r}"
    if len(kept) > MOST_SHOWN:
        yield f"{len(kept) - MOST_SHOWN} more completions in {THOUGHTS}"


def _text(request: Request) -> str:
    prompt = request.prompt
    return prompt if isinstance(prompt, str) else "\n".join(m.content for m in prompt if isinstance(m, Message))

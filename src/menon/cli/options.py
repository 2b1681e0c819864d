"""Options that mean the same in every verb, and the reading of `name=value` arguments."""

import difflib
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from menon.core.errors import ConfigError

Out = Annotated[Path | None, typer.Option("--out", metavar="PATH", help="Where to write; a run directory for runs.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A.B=C", help="Override one setting; a TOML value or plain text. Repeatable."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, all else on standard error.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error. Also MENON_DEBUG=1.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Discard what the run directory holds instead of resuming it.")]
Force = Annotated[bool, typer.Option("--force", help="Go on where the doctor refuses.")]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="MODEL",
        help="Hugging Face id or folder (safetensors), or menon:base; teaching needs weights.",
    ),
]
Data = Annotated[
    str | None,
    typer.Option("--data", metavar="DATA", help="File of problems (JSONL, JSON, Parquet) or Hugging Face data set id."),
]

Split = Annotated[str | None, typer.Option("--split", metavar="NAME", help="The split of the data to use.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, metavar="N", help="Use the first N problems.")]
Style = Annotated[
    str | None, typer.Option("--style", metavar="NAME", help="Prompt format: menon, gsm8k, commonsenseqa, plain.")
]
Exemplars = Annotated[
    Path | None, typer.Option("--exemplars", metavar="FILE", help="Worked examples to show in the prompt.")
]
Think = Annotated[
    bool,
    typer.Option("--think", help="Think before every token; where and how long: --set think.where=entropy and others."),
]
PriceIn = Annotated[
    float | None, typer.Option("--price-in", min=0, metavar="X", help="Price of a million prompt tokens.")
]
PriceOut = Annotated[
    float | None, typer.Option("--price-out", min=0, metavar="X", help="Price of a million sampled tokens.")
]
Columns = Annotated[
    list[str] | None, typer.Option("--map", metavar="FIELD=COLUMN", help="Where a field is in the data. Repeatable.")
]


class Verbs(TyperGroup):
    """A group of verbs whose own help flag is plain False when it is not given.

    Left at None, typer would load pydantic to convert it, which doubles the time of every `menon VERB --help`.
    """

    def get_help_option(self, ctx: Any) -> Any:
        option = super().get_help_option(ctx)
        if option is not None:
            option.default = False
        return option


def split_pair(text: str, option: str) -> tuple[str, str]:
    """Split `name=value`; raise `ConfigError` naming `option` when there is no name or no equals sign."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ConfigError(f"{option} got {text!r}; it takes NAME=VALUE, such as {option} seed=1")
    return name.strip(), value.strip()


def pairs(texts: Sequence[str] | None, option: str) -> dict[str, str]:
    """Read repeated `name=value` arguments; the last one of a name counts."""
    return dict(split_pair(text, option) for text in texts or ())


def settings(texts: Sequence[str] | None, allowed: Iterable[str], verb: str) -> dict[str, Any]:
    """Read `--set` arguments of a verb without a recipe: TOML values, falling back to text, of allowed names only."""
    known = sorted(allowed)
    values = {}
    for name, text in pairs(texts, "--set").items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            choice = f"allowed: {', '.join(known)}." if known else "it has no settings; leave --set out."
            raise ConfigError(f"`menon {verb}` has no setting {name!r}; {choice}{hint}")
        try:
            values[name] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            values[name] = text
    return values

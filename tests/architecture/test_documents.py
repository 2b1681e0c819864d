"""Commands that the documents show exist: verbs, options, make targets; exit codes are told."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from menon.cli.app import app

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
COMMANDS: Any = typer.main.get_command(app)


def _shown(document: Path, program: str) -> Iterator[str]:
    """Yield the commands of `program` in the document's shell blocks, continued lines joined."""
    for block in re.findall(r"^```(?:sh|bash|console)\n(.*?)^```", document.read_text(encoding="utf-8"), re.S | re.M):
        for line in block.replace("\\\n", " ").splitlines():
            words = line.strip().removeprefix("$ ")
            if re.match(rf"(\S*/)?{program}\s", words):
                yield words


def _check(command: str) -> None:
    """Walk down the verbs of a command line; raise `AssertionError` at a verb or option that does not exist."""
    words = shlex.split(command, comments=True)[1:]
    node = COMMANDS
    while words and hasattr(node, "commands"):
        if words[0].startswith("-"):
            break
        assert words[0] in node.commands, f"{command!r}: there is no verb {words[0]!r}"
        node = node.commands[words.pop(0)]
    options = {name for parameter in node.params for name in parameter.opts} | {"-h", "--help"}
    for word in words:
        if word in ("|", ">", ">>", "&&", ";"):
            break
        if word.startswith("-") and not word.lstrip("-")[:1].isdigit():
            assert word.partition("=")[0] in options, f"{command!r}: there is no option {word!r}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_shown_commands_exist(document: Path):
    for command in _shown(document, "menon"):
        _check(command)
    for command in _shown(document, "make"):
        for word in shlex.split(command, comments=True)[1:]:
            assert "=" in word or word.startswith("-") or word in TARGETS, f"{command!r}: there is no target {word!r}"


@pytest.mark.parametrize("command", ["menon view x", "menon run x --otu y", "menon teach moon"])
def test_the_check_itself_finds_mistakes(command: str):
    with pytest.raises(AssertionError):
        _check(command)


def _verbs(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    if hasattr(node, "commands"):
        for name, child in node.commands.items():
            yield from _verbs(child, (*path, name))
    else:
        yield " ".join(path), node


@pytest.mark.parametrize(
    ("path", "verb"), list(_verbs(COMMANDS)), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_verb_has_the_common_options_and_help(path: str, verb: Any):
    options = {name for parameter in verb.params for name in parameter.opts}
    assert {"--out", "--set", "--json", "--debug"} <= options
    assert verb.help
    undescribed = [p.name for p in verb.params if not getattr(p, "help", None)]
    assert not undescribed


@pytest.mark.parametrize("name", ["AGENTS.md", "README.md"])
def test_exit_codes_are_told(name: str):
    text = " ".join((ROOT / name).read_text(encoding="utf-8").split())
    if name == "README.md" and "menon run" not in text:
        pytest.skip("README.md shows no commands yet")
    for code, meaning in {"0": "done", "1": "failed", "2": "wrong usage", "3": "refused"}.items():
        assert re.search(rf"{code}`?\W{{1,6}}{meaning}", text), (
            f"{name} does not say that exit code {code} is {meaning}"
        )

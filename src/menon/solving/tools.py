"""Tools that a model may call by name: a calculator, the sandbox, a search over local documents.

A tool takes one text and gives one text. What goes wrong inside is told as a text that begins with "error:", so that a
model can mend its call. Left out: the web.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from menon.core.errors import MenonError
from menon.flowcharts.expressions import compile_expression
from menon.flowcharts.functions import STANDARD
from menon.flowcharts.prompts import show
from menon.flowcharts.sandbox import Sandbox
from menon.solving.retrieval import Documents

LONGEST_RESULT = 20_000
LINES = {
    "calculate": "calculate[expression]: the value of an arithmetic expression, such as calculate[12 * (3 + 4)]",
    "python": "python[program]: runs a Python program and gives what it prints and its last value",
    "search": "search[words]: the best paragraphs of the documents",
}


@dataclass(frozen=True, kw_only=True)
class Tools:
    """The tools of one run; those that need something that is not there are left out."""

    documents: Documents | None = None
    sandbox: Sandbox | None = None

    def names(self) -> tuple[str, ...]:
        there = {"calculate": True, "python": self.sandbox is not None, "search": self.documents is not None}
        return tuple(name for name, usable in there.items() if usable)

    def help(self) -> str:
        """Return one line for each tool, as a model should read it."""
        return "\n".join(LINES[name] for name in self.names())

    def use(self, name: str, argument: str) -> str:
        """Return what tool `name` answers."""
        wanted = name.strip().lower()
        if wanted not in self.names():
            return f"error: there is no tool {name!r}; tools: {', '.join(self.names())}"
        try:
            found = getattr(self, f"_{wanted}")(argument)
        except MenonError as error:
            found = f"error: {error}"
        return found if len(found) <= LONGEST_RESULT else f"{found[:LONGEST_RESULT]}... (cut)"

    def search(self, query: str, k: float = 3) -> list[str]:
        """Return the best paragraphs of the documents, each with where it stands; none without documents."""
        if self.documents is None:
            return []
        return [f"[{hit.document}, {hit.place}] {hit.text}" for hit in self.documents.search(query, max(1, int(k)))]

    def _calculate(self, argument: str) -> str:
        return show(compile_expression(argument.strip(), STANDARD)({}))

    def _python(self, argument: str) -> str:
        assert self.sandbox is not None
        result = self.sandbox.run(argument, {})
        if result.error:
            return f"error: {result.error}"
        value = result.values.get("result")
        return "\n".join(part for part in (result.printed.strip(), "" if value is None else show(value)) if part)

    def _search(self, argument: str) -> str:
        return "\n".join(self.search(argument)) or "nothing found"


@dataclass(frozen=True, kw_only=True)
class DocumentsPlace:
    """Documents as a place in which lookup nodes find paragraphs."""

    tools: Tools

    def find(self, query: str, k: int) -> Sequence[str]:
        return self.tools.search(query, k)


def places(tools: Tools) -> Mapping[str, Any]:
    """Return the places that lookup nodes may name."""
    return {"documents": DocumentsPlace(tools=tools)} if tools.documents is not None else {}

"""From a Markdown file to a chart: every node's section is read and compiled, every slip is told with its line.

What can be seen in one place is refused here (shapes, settings, missing sections, syntax); what needs the flow of the
whole chart (reachability, branches, variables, loops) is the business of `check`.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from menon.core.errors import ConfigError
from menon.core.seeds import content_id
from menon.flowcharts.chart import (
    ELSE,
    FAILED,
    LIMIT,
    Chart,
    ChartError,
    Edge,
    Finding,
    Kind,
    Node,
    Variable,
)
from menon.flowcharts.expressions import compile_expression
from menon.flowcharts.functions import STANDARD, Function
from menon.flowcharts.markdown import Outline, Section, outline
from menon.flowcharts.mermaid import Diagram, MermaidError
from menon.flowcharts.mermaid_reading import parse
from menon.flowcharts.node_reading import CODE, PROMPT, NodeReader
from menon.flowcharts.settings import OF_CHART, Reader, near

LARGEST_TEXT = 20_000_000
_HEADING = re.compile(r"^`?(?P<id>[^\s:`]+)`?(?:\s*(?::|\s[-–—])\s*.*|\s+.*)?$")


class Library:
    """Where charts are found by name or path; charts that call each other are read once."""

    def __init__(self, folders: Sequence[Path] = (), functions: Mapping[str, Function] = STANDARD):
        self.folders, self.functions = tuple(folders), functions
        self.closed = False  # to files that are named by path
        self._read: dict[Path, Chart] = {}

    def without_paths(self) -> "Library":
        """Return a library of the same folders that opens no other file: for charts that a model wrote."""
        other = Library(self.folders, self.functions)
        other.closed = True
        return other

    def names(self) -> list[str]:
        """List the charts in the folders, sorted."""
        return sorted({path.stem for folder in self.folders for path in folder.glob("*.md")})

    def find(self, name: str, beside: Path | None = None) -> Path:
        """Return the file of chart `name`: a path (from the folder `beside`), or a name in one of the folders.

        Raises:
            ConfigError: there is none; the message names what is near.
        """
        if self.closed and (name.endswith(".md") or "/" in name):
            raise ConfigError(f"a chart that is written while it runs may not call the file {name!r}; call one by name")
        if name.endswith(".md") or "/" in name:
            path = Path(name).expanduser()
            path = path if path.is_absolute() else (beside or Path()) / path
            with suppress(OSError):  # a name too long for the file system
                if path.is_file():
                    return path
            raise ConfigError(
                f"no chart file {str(path)!r}; give the path of a Markdown file, or a name: {self._names()}"
            )
        for folder in self.folders:
            if (path := folder / f"{name}.md").is_file():
                return path
        raise ConfigError(f"no chart named {name!r}{near(name, self.names())}; allowed: {self._names()}, or a file .md")

    def load(self, name: str, beside: Path | None = None) -> Chart:
        """Read chart `name` with all charts that it calls.

        Raises:
            ConfigError: it is not there, cannot be read, or is not a chart (`ChartError`, with all findings).
        """
        path = self.find(name, beside).resolve()
        if path not in self._read:
            try:
                if path.stat().st_size > LARGEST_TEXT:
                    raise ConfigError(f"{path} is larger than {LARGEST_TEXT // 10**6} MB; a chart is a page of text")
                text = path.read_text(encoding="utf-8-sig")
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(
                    f"cannot read the chart {str(path)!r}: {error}; give a Markdown file in UTF-8"
                ) from None
            read_chart(text, file=str(path), name=path.stem, library=self, path=path)
        return self._read[path]

    def keep(self, path: Path, chart: Chart) -> None:
        self._read[path] = chart

    def known(self) -> dict[Path, Chart]:
        """Return the charts read so far."""
        return dict(self._read)

    def restore(self, known: dict[Path, Chart]) -> None:
        """Forget all others: those read along with one that has errors may call it."""
        self._read = dict(known)

    def _names(self) -> str:
        return ", ".join(self.names()) or "(none here)"


def read_chart(
    text: str,
    *,
    file: str = "<text>",
    name: str | None = None,
    library: Library | None = None,
    path: Path | None = None,
) -> Chart:
    """Read a strategy file and the charts that it calls.

    Raises:
        ChartError: something in it cannot be read; it holds every finding, each with file, line and a mend.
    """
    library = library or Library()
    chart = _Document(text, file, name or Path(file).stem, library).chart()
    known = library.known()
    if path is not None:
        library.keep(path, chart)  # before its callees are read, one of which may call it
    try:
        _join(chart, library, path.parent if path else None)
    except BaseException:
        library.restore(known)
        raise
    return chart


def digest(chart: Chart) -> str:
    """Return an id of the text of a chart and of all charts it reaches."""
    seen: dict[int, Chart] = {}
    waiting = [chart]
    while waiting:
        one = waiting.pop()
        if id(one) not in seen:
            seen[id(one)] = one
            waiting.extend(one.calls.values())
    return content_id("chart", chart.text, sorted({one.text for one in seen.values()}))


def _join(chart: Chart, library: Library, beside: Path | None) -> None:
    findings = []
    calls = chart.calls
    for node in chart.nodes.values():
        if node.call is None or node.call.text is not None or node.call.chart in calls:
            continue
        if node.call.chart == chart.name:
            calls[chart.name] = chart
            continue
        try:
            calls[node.call.chart] = library.load(node.call.chart, beside)
        except ChartError as error:
            findings.extend(error.findings)
        except ConfigError as error:
            findings.append(
                Finding(
                    file=chart.file,
                    line=node.section,
                    rule="call",
                    node=node.id,
                    problem=f"node {node.id!r} calls {node.call.chart!r}: {error}",
                    mend="name a chart that exists",
                )
            )
    if findings:
        raise ChartError(*findings)


@dataclass(slots=True)
class _Document:
    text: str
    file: str
    name: str
    library: Library

    @property
    def _functions(self) -> Mapping[str, Function]:
        return self.library.functions

    @property
    def _reader(self) -> NodeReader:
        return NodeReader(self.file, self._functions)

    def chart(self) -> Chart:
        read = outline(self.text)
        diagram, first_line = self._diagram(read)
        head = Reader(file=self.file, functions=self._functions, section=read.sections[0], allowed=OF_CHART)
        takes = head.variables("takes", (Variable(name="question", type="text"),))
        nodes, findings = self._nodes(diagram, read, first_line)
        if findings:
            raise ChartError(*findings)
        edges = tuple(
            Edge(source=edge.source, target=edge.target, label=" ".join(edge.label.split()), line=edge.line)
            for edge in diagram.edges()
            if edge.arrow and edge.kind != "invisible"
        )
        labels: dict[str, list[str]] = {key: [] for key in nodes}
        for edge in edges:
            labels[edge.source] += [edge.label] if edge.label else []
        nodes = {key: _with_choices(node, labels[key]) for key, node in nodes.items()}
        return Chart(
            name=self.name,
            title=read.title or self.name,
            source=read.source,
            file=self.file,
            text=self.text,
            diagram=diagram,
            nodes=nodes,
            edges=edges,
            takes=takes,
            returns=head.expression("returns") or compile_expression("answer", self._functions, file=self.file),
            budget=head.budget("budget", ("steps", "tokens", "seconds", "money")),
            cost=head.text("cost"),
            library=self.library,
            first_line=first_line,
        )

    def _diagram(self, read: Outline) -> tuple[Diagram, int]:
        for section in read.sections:
            if section.unclosed:
                self._reader.fail(
                    section.unclosed, "syntax", "this fenced block has no end", "close it with a line ```"
                )
        fences = [fence for section in read.sections for fence in section.fences if fence.language == "mermaid"]
        if len(fences) != 1:
            line = fences[1].line if fences else 1
            problem = "a second mermaid block" if fences else "no mermaid block"
            self._reader.fail(
                line, "syntax", problem, "write exactly one block ```mermaid that begins with `flowchart TD`"
            )
        try:
            return parse(fences[0].text, file=self.file, first_line=fences[0].line), fences[0].line
        except MermaidError as error:
            self._reader.fail(error.line, "syntax", error.problem, error.mend)

    def _nodes(self, diagram: Diagram, read: Outline, first_line: int) -> tuple[dict[str, Node], list[Finding]]:
        uses, findings = diagram.nodes(), []
        if not uses:
            self._reader.fail(
                first_line, "syntax", "the flowchart has no nodes", "draw a start: `start([question]) --> ...`"
            )
        sections: dict[str, Section] = {}
        for section in read.sections[1:]:
            match = _HEADING.match(section.heading)
            key = match["id"] if match else ""
            if key in uses and key not in sections:
                sections[key] = section
            elif key in uses:
                findings.append(
                    self._reader.finding(section.line, "node", f"a second section for node {key!r}", "join them", key)
                )
            elif section.settings or any(f.language in (*PROMPT[:1], *CODE) for f in section.fences):
                findings.append(
                    self._reader.finding(
                        section.line,
                        "node",
                        f"the section {section.heading!r} belongs to no node{near(key, list(uses))}",
                        f"head it with the id of a node: {', '.join(list(uses)[:12])}",
                    )
                )
        leaves = {edge.source for edge in diagram.edges()}
        nodes = {}
        for key, use in uses.items():
            try:
                nodes[key] = self._reader.node(use, sections.get(key), key in leaves)
            except ChartError as error:
                findings.extend(error.findings)
        return nodes, findings


def _with_choices(node: Node, labels: Sequence[str]) -> Node:
    """Give a decision that asks a model its choices: the labels of its branches."""
    if node.kind is not Kind.DECIDE or node.ask is None:
        return node
    choices = tuple(dict.fromkeys(label for label in labels if label.lower() not in (LIMIT, FAILED, ELSE)))
    return replace(node, ask=replace(node.ask, choices=choices))

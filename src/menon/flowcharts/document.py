"""From a Markdown file to a chart: every node's section is read and compiled, every slip is told with its line.

What can be seen in one place is refused here (shapes, settings, missing sections, syntax); what needs the flow of the
whole chart (reachability, branches, variables, loops) is the business of `check`.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from menon.core.errors import ConfigError
from menon.core.seeds import content_id
from menon.flowcharts.chart import (
    ELSE,
    FAILED,
    KINDS,
    LIMIT,
    AskPart,
    CallPart,
    Chart,
    ChartError,
    Edge,
    Finding,
    Kind,
    LookupPart,
    MapPart,
    Node,
    Variable,
)
from menon.flowcharts.expressions import Block, Expression, ExpressionError, compile_block, compile_expression
from menon.flowcharts.functions import STANDARD, Function
from menon.flowcharts.markdown import Fence, Outline, Section, outline
from menon.flowcharts.mermaid import Diagram, MermaidError, NodeUse
from menon.flowcharts.mermaid_reading import parse
from menon.flowcharts.prompts import Template, compile_template
from menon.flowcharts.settings import OF_CHART, OF_KIND, Reader, near

LARGEST_TEXT = 20_000_000
PROMPT, CODE, SCHEMA = ("text", "", "prompt", "txt"), ("python", "py"), ("json",)
ANSWER = Variable(name="answer", type="answer")
_HEADING = re.compile(r"^`?(?P<id>[^\s:`]+)`?(?:\s*(?::|\s[-–—])\s*.*|\s+.*)?$")
WITHOUT_SECTION = (Kind.START, Kind.END, Kind.CONNECTOR)


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
    calls: dict[str, Chart] = chart.calls  # type: ignore[assignment]
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
    def functions(self) -> Mapping[str, Function]:
        return self.library.functions

    def chart(self) -> Chart:
        read = outline(self.text)
        diagram, first_line = self._diagram(read)
        head = Reader(file=self.file, functions=self.functions, section=read.sections[0], allowed=OF_CHART)
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
            returns=head.expression("returns") or compile_expression("answer", self.functions, file=self.file),
            budget=head.budget("budget", ("steps", "tokens", "seconds", "money")),
            cost=head.text("cost"),
            library=self.library,
            first_line=first_line,
        )

    def _diagram(self, read: Outline) -> tuple[Diagram, int]:
        for section in read.sections:
            if section.unclosed:
                self._fail(section.unclosed, "syntax", "this fenced block has no end", "close it with a line ```")
        fences = [fence for section in read.sections for fence in section.fences if fence.language == "mermaid"]
        if len(fences) != 1:
            line = fences[1].line if fences else 1
            problem = "a second mermaid block" if fences else "no mermaid block"
            self._fail(line, "syntax", problem, "write exactly one block ```mermaid that begins with `flowchart TD`")
        try:
            return parse(fences[0].text, file=self.file, first_line=fences[0].line), fences[0].line
        except MermaidError as error:
            self._fail(error.line, "syntax", error.problem, error.mend)

    def _nodes(self, diagram: Diagram, read: Outline, first_line: int) -> tuple[dict[str, Node], list[Finding]]:
        uses, findings = diagram.nodes(), []
        if not uses:
            self._fail(first_line, "syntax", "the flowchart has no nodes", "draw a start: `start([question]) --> ...`")
        sections: dict[str, Section] = {}
        for section in read.sections[1:]:
            match = _HEADING.match(section.heading)
            key = match["id"] if match else ""
            if key in uses and key not in sections:
                sections[key] = section
            elif key in uses:
                findings.append(
                    self._finding(section.line, "node", f"a second section for node {key!r}", "join them", key)
                )
            elif section.settings or any(f.language in (*PROMPT[:1], *CODE) for f in section.fences):
                findings.append(
                    self._finding(
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
                nodes[key] = self._node(use, sections.get(key), key in leaves)
            except ChartError as error:
                findings.extend(error.findings)
        return nodes, findings

    def _node(self, use: NodeUse, section: Section | None, leaves: bool) -> Node:
        if use.shape is None:
            self._fail(
                use.line,
                "shape",
                f"node {use.id!r} has no shape",
                f"give it one where it is named: {use.id}[ask]",
                use.id,
            )
        kind = KINDS.get(use.shape)
        if kind is None:
            shapes = "([start/end]) [ask] {decide} [/compute/] [[call]] {{map}} [(look up)] [/person\\] ((connector))"
            self._fail(use.line, "shape", f"node {use.id!r} is drawn as {use.shape.value}", f"use {shapes}", use.id)
        if kind is Kind.START and not leaves:
            kind = Kind.END
        node = Node(id=use.id, kind=kind, label=use.label or "", line=use.line)
        if section is None:
            if kind in WITHOUT_SECTION:
                return node
            mend = f"add a section `## {use.id}` with {_body(kind)}"
            self._fail(use.line, "node", f"the {kind.value} node {use.id!r} has no section", mend, use.id)
        if kind in (Kind.START, Kind.END):
            if section.settings or section.fences:
                problem = f"the {kind.value} {use.id!r} does nothing and takes no section"
                self._fail(section.line, "node", problem, "leave its section out, or draw it as [ask]", use.id)
            return replace(node, section=section.line)
        reader = Reader(file=self.file, functions=self.functions, section=section, allowed=OF_KIND[kind], node=use.id)
        node = replace(
            node,
            section=section.line,
            limit=reader.count("limit", None),
            budget=reader.budget("budget", ("steps", "tokens", "seconds", "money")),
            loop_budget=reader.budget("loop budget"),
        )
        build = getattr(self, f"_{kind.value}", None)
        built = build(node, reader, section) if build else node
        return replace(built, reads=_reads(built), writes=self._schemas(built, section))

    def _ask(self, node: Node, reader: Reader, section: Section) -> Node:
        part = self._asking(reader, self._prompt(node, section))
        return replace(node, ask=part, writes=reader.variables("writes", (ANSWER,)))

    def _decide(self, node: Node, reader: Reader, section: Section) -> Node:
        writes = reader.variables("writes")
        code, prompt = section.fence(*CODE), section.fence(*PROMPT)
        if code is not None and prompt is None:
            return replace(node, test=self._expression(node, code), writes=writes)
        return replace(node, ask=self._asking(reader, self._prompt(node, section)), writes=writes)

    def _compute(self, node: Node, reader: Reader, section: Section) -> Node:
        return self._computing(node, reader, section)

    def _call(self, node: Node, reader: Reader, section: Section) -> Node:
        return replace(node, call=self._calling(node, reader, section), writes=reader.variables("writes", (ANSWER,)))

    def _map(self, node: Node, reader: Reader, section: Section) -> Node:
        over, times = reader.expression("over"), reader.expression("times")
        if (over is None) == (times is None):
            reader.fail(
                section.line, f"map node {node.id!r} has {'both' if over else 'neither'} over and times", "set one"
            )
        node = replace(
            node,
            map=MapPart(
                each=reader.text("each", "item" if over else "round"),
                over=over,
                times=times,
                at_once=reader.count("at once", None),
            ),
        )
        if reader.has("call") or reader.has("text"):
            return self._call(node, reader, section)
        if section.fence(*CODE) or reader.has("code"):
            return self._computing(node, reader, section)
        return self._ask(node, reader, section)

    def _lookup(self, node: Node, reader: Reader, section: Section) -> Node:
        find, keep = reader.expression("find"), reader.expression("keep")
        if (find is None) == (keep is None):
            reader.fail(section.line, f"node {node.id!r} has {'both' if find else 'neither'} find and keep", "set one")
        part = LookupPart(place=reader.text("place", "memory"), find=find, keep=keep, k=reader.count("k", 3) or 3)
        default = (Variable(name="found", type="list"),) if find else ()
        return replace(node, lookup=part, writes=reader.variables("writes", default))

    def _person(self, node: Node, reader: Reader, section: Section) -> Node:
        return replace(node, show=self._prompt(node, section), writes=reader.variables("writes"))

    def _asking(self, reader: Reader, prompt: Template) -> AskPart:
        return AskPart(
            prompt=prompt,
            form=reader.word("form", ("raw", "worked", "direct"), "raw"),
            model=reader.text("model"),
            system=reader.text("system"),
            n=reader.expression("n"),
            temperature=reader.expression("temperature"),
            top_p=reader.expression("top p"),
            max_tokens=reader.expression("max tokens"),
            stop=reader.texts("stop"),
            grade=reader.text("grade"),
            retries=reader.count("retries", 0, least=0) or 0,
        )

    def _calling(self, node: Node, reader: Reader, section: Section) -> CallPart:
        name, text = reader.text("call"), reader.expression("text")
        if not name and text is None:
            reader.fail(section.line, f"node {node.id!r} names no chart", "add `- call: NAME` or `- call: FILE.md`")
        if name and text is not None:
            reader.fail(section.line, f"node {node.id!r} has both call and text", "leave one of them out")
        code = section.fence(*CODE)
        give = self._block(node, code) if code else None
        if give is not None and give.expression is not None:
            reader.fail(section.line, f"node {node.id!r} gives a bare value", "name the inputs: `question = item`")
        if code and give is None:
            reader.fail(
                section.line, f"node {node.id!r} gives its inputs by a program", "write `name = expression` lines"
            )
        share = reader.word("share", ("yes", "no"), "no") == "yes"
        return CallPart(chart=name, text=text, give=give, depth=reader.count("depth", None), share=share)

    def _computing(self, node: Node, reader: Reader, section: Section) -> Node:
        fence = section.fence(*CODE)
        writes = reader.variables("writes")
        if reader.has("code"):
            if fence:
                reader.fail(fence.line, f"node {node.id!r} has both `code` and a block", "leave one of them out")
            held = reader.expression("code")
            assert held is not None
            return replace(node, test=held, code="", writes=writes or (Variable(name="result"),))
        if fence is None:
            reader.fail(section.line, f"node {node.id!r} has nothing to compute", f"add {_body(Kind.COMPUTE)}", "node")
        block = self._block(node, fence)
        if block is None:
            return replace(node, code=fence.text, writes=writes or (Variable(name="result"),))
        if block.expression is not None:
            if len(writes) != 1:
                reader.fail(fence.line, f"node {node.id!r} computes a bare value", "name it: `name = expression`")
            return replace(node, block=block, writes=writes)
        types = {variable.name: variable for variable in writes}
        if unknown := sorted(set(types) - set(block.writes)):
            reader.fail(reader.line("writes"), f"node {node.id!r} never sets {unknown[0]!r}", "set it in the block")
        return replace(node, block=block, writes=tuple(types.get(n, Variable(name=n)) for n in block.writes))

    def _prompt(self, node: Node, section: Section) -> Template:
        fence = section.fence(*PROMPT)
        if fence is None:
            self._fail(section.line, "node", f"node {node.id!r} has no text", f"add {_body(node.kind)}", node.id)
        try:
            return compile_template(fence.text, self.functions, file=self.file, line=fence.line)
        except ExpressionError as error:
            self._fail(error.line, "syntax", error.problem, error.mend, node.id)

    def _block(self, node: Node, fence: Fence) -> Block | None:
        try:
            return compile_block(fence.text, self.functions, file=self.file, line=fence.line)
        except ExpressionError as error:
            self._fail(error.line, "syntax", error.problem, error.mend, node.id)

    def _expression(self, node: Node, fence: Fence) -> Expression:
        block = self._block(node, fence)
        if block is None or block.expression is None:
            mend = "write one expression, such as `len(answers) < 5`; compute it in a node before otherwise"
            self._fail(fence.line, "syntax", f"the decision {node.id!r} is no single expression", mend, node.id)
        return block.expression

    def _schemas(self, node: Node, section: Section) -> tuple[Variable, ...]:
        from menon.flowcharts.schemas import read_schema  # here: it loads the grading layer

        fence = section.fence(*SCHEMA)
        if fence is None:
            return node.writes
        try:
            schema = read_schema(fence.text)
        except ConfigError as error:
            self._fail(fence.line, "syntax", str(error), "write a JSON Schema object", node.id)
        if not any(variable.type == "json" for variable in node.writes):
            mend = "write `- writes: NAME (json)`, or leave the block out"
            self._fail(fence.line, "type", f"node {node.id!r} has a schema and writes no json", mend, node.id)
        return tuple(replace(one, schema=schema) if one.type == "json" else one for one in node.writes)

    def _finding(self, line: int, rule: str, problem: str, mend: str, node: str = "") -> Finding:
        return Finding(file=self.file, line=line, rule=rule, problem=problem, mend=mend, node=node)

    def _fail(self, line: int, rule: str, problem: str, mend: str, node: str = "") -> NoReturn:
        raise ChartError(self._finding(line, rule, problem, mend, node)) from None


def _with_choices(node: Node, labels: Sequence[str]) -> Node:
    """Give a decision that asks a model its choices: the labels of its branches."""
    if node.kind is not Kind.DECIDE or node.ask is None:
        return node
    choices = tuple(dict.fromkeys(label for label in labels if label.lower() not in (LIMIT, FAILED, ELSE)))
    return replace(node, ask=replace(node.ask, choices=choices))


def _reads(node: Node) -> frozenset[str]:
    """Return the variables that a node needs from before it."""
    parts: list[Any] = [node.test, node.block, node.show]
    if node.ask is not None:
        ask = node.ask
        parts += [ask.prompt, ask.n, ask.temperature, ask.top_p, ask.max_tokens]
    if node.call is not None:
        parts += [node.call.give, node.call.text]
    if node.lookup is not None:
        parts += [node.lookup.find, node.lookup.keep]
    inside = frozenset().union(*(part.reads for part in parts if part is not None))
    if node.map is None:
        return inside
    inside -= {node.map.each, "position"}
    return inside.union(*(part.reads for part in (node.map.over, node.map.times) if part is not None))


def _body(kind: Kind) -> str:
    if kind is Kind.CALL:
        return "`- call: NAME`"
    if kind is Kind.LOOKUP:
        return "`- find: EXPRESSION` or `- keep: EXPRESSION`"
    if kind is Kind.COMPUTE:
        return "a block ```python"
    return "a block ```text"

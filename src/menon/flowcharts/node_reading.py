"""From a node's shape and section to what it does: settings are read, prompts and expressions compiled.

What can be seen in one section is refused here, with file, line and a mend.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from menon.core.errors import ConfigError
from menon.flowcharts.chart import (
    KINDS,
    AskPart,
    CallPart,
    ChartError,
    Finding,
    Kind,
    LookupPart,
    MapPart,
    Node,
    Variable,
)
from menon.flowcharts.expressions import Block, Expression, ExpressionError, compile_block
from menon.flowcharts.functions import Function
from menon.flowcharts.markdown import Fence, Section
from menon.flowcharts.mermaid import NodeUse
from menon.flowcharts.prompts import Template, compile_template
from menon.flowcharts.settings import OF_KIND, Reader

PROMPT, CODE, SCHEMA = ("text", "", "prompt", "txt"), ("python", "py"), ("json",)
ANSWER = Variable(name="answer", type="answer")
WITHOUT_SECTION = (Kind.START, Kind.END, Kind.CONNECTOR)


@dataclass(frozen=True, slots=True)
class NodeReader:
    """Reads the nodes of one file."""

    file: str
    functions: Mapping[str, Function]

    def node(self, use: NodeUse, section: Section | None, leaves: bool) -> Node:
        """Return the node that is drawn as `use` with what its section says; `leaves` says that an edge leaves it.

        Raises:
            ChartError: something in it cannot be read.
        """
        if use.shape is None:
            self.fail(
                use.line,
                "shape",
                f"node {use.id!r} has no shape",
                f"give it one where it is named: {use.id}[ask]",
                use.id,
            )
        kind = KINDS.get(use.shape)
        if kind is None:
            shapes = "([start/end]) [ask] {decide} [/compute/] [[call]] {{map}} [(look up)] [/person\\] ((connector))"
            self.fail(use.line, "shape", f"node {use.id!r} is drawn as {use.shape.value}", f"use {shapes}", use.id)
        if kind is Kind.START and not leaves:
            kind = Kind.END
        node = Node(id=use.id, kind=kind, label=use.label or "", line=use.line)
        if section is None:
            if kind in WITHOUT_SECTION:
                return node
            mend = f"add a section `## {use.id}` with {_body(kind)}"
            self.fail(use.line, "node", f"the {kind.value} node {use.id!r} has no section", mend, use.id)
        if kind in (Kind.START, Kind.END):
            if section.settings or section.fences:
                problem = f"the {kind.value} {use.id!r} does nothing and takes no section"
                self.fail(section.line, "node", problem, "leave its section out, or draw it as [ask]", use.id)
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
            self.fail(section.line, "node", f"node {node.id!r} has no text", f"add {_body(node.kind)}", node.id)
        try:
            return compile_template(fence.text, self.functions, file=self.file, line=fence.line)
        except ExpressionError as error:
            self.fail(error.line, "syntax", error.problem, error.mend, node.id)

    def _block(self, node: Node, fence: Fence) -> Block | None:
        try:
            return compile_block(fence.text, self.functions, file=self.file, line=fence.line)
        except ExpressionError as error:
            self.fail(error.line, "syntax", error.problem, error.mend, node.id)

    def _expression(self, node: Node, fence: Fence) -> Expression:
        block = self._block(node, fence)
        if block is None or block.expression is None:
            mend = "write one expression, such as `len(answers) < 5`; compute it in a node before otherwise"
            self.fail(fence.line, "syntax", f"the decision {node.id!r} is no single expression", mend, node.id)
        return block.expression

    def _schemas(self, node: Node, section: Section) -> tuple[Variable, ...]:
        from menon.flowcharts.schemas import read_schema  # here: it loads the grading layer

        fence = section.fence(*SCHEMA)
        if fence is None:
            return node.writes
        try:
            schema = read_schema(fence.text)
        except ConfigError as error:
            self.fail(fence.line, "syntax", str(error), "write a JSON Schema object", node.id)
        if not any(variable.type == "json" for variable in node.writes):
            mend = "write `- writes: NAME (json)`, or leave the block out"
            self.fail(fence.line, "type", f"node {node.id!r} has a schema and writes no json", mend, node.id)
        return tuple(replace(one, schema=schema) if one.type == "json" else one for one in node.writes)

    def finding(self, line: int, rule: str, problem: str, mend: str, node: str = "") -> Finding:
        return Finding(file=self.file, line=line, rule=rule, problem=problem, mend=mend, node=node)

    def fail(self, line: int, rule: str, problem: str, mend: str, node: str = "") -> NoReturn:
        raise ChartError(self.finding(line, rule, problem, mend, node)) from None


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

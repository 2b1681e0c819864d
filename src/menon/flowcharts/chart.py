"""The nouns of a flowchart program: chart, node, edge, variable, budget.

A chart is what `document` reads from a Markdown file, `check` checks and `executor` runs. Everything that can be
compiled (prompts, expressions) is compiled here once, so that a step costs microseconds.
Left out: the Mermaid text itself, which stays in `diagram` and is written back unchanged.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from menon.core.errors import ConfigError
from menon.flowcharts.expressions import Block, Expression
from menon.flowcharts.mermaid import Diagram, Shape
from menon.flowcharts.prompts import Template

TYPES = ("text", "number", "truth", "choice", "list", "json", "answer", "any")
ERROR = "error"  # the variable that a `failed` edge sets: why the node failed
LIMIT, FAILED, ELSE = "limit", "failed", "else"  # labels of edges with a meaning of their own


class Kind(StrEnum):
    """What a node does; the shape says which."""

    START = "start"
    END = "end"
    ASK = "ask"
    DECIDE = "decide"
    COMPUTE = "compute"
    CALL = "call"
    MAP = "map"
    LOOKUP = "lookup"
    PERSON = "person"
    CONNECTOR = "connector"


KINDS: Mapping[Shape, Kind] = {
    Shape.STADIUM: Kind.START,  # an END when nothing leaves it
    Shape.RECTANGLE: Kind.ASK,
    Shape.DIAMOND: Kind.DECIDE,
    Shape.PARALLELOGRAM: Kind.COMPUTE,
    Shape.PARALLELOGRAM_ALT: Kind.COMPUTE,
    Shape.SUBROUTINE: Kind.CALL,
    Shape.HEXAGON: Kind.MAP,
    Shape.CYLINDER: Kind.LOOKUP,
    Shape.TRAPEZOID: Kind.PERSON,
    Shape.TRAPEZOID_ALT: Kind.PERSON,
    Shape.CIRCLE: Kind.CONNECTOR,
}
SHAPE_OF: Mapping[Kind, Shape] = {kind: shape for shape, kind in reversed(KINDS.items())} | {Kind.END: Shape.STADIUM}


class ChartError(ConfigError):
    """A chart that cannot be run as written; `findings` say where and how to mend it."""

    exit_code = 3

    def __init__(self, *findings: "Finding"):
        super().__init__("\n".join(str(finding) for finding in findings))
        self.findings = findings


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that the checker found: where, what, and how to mend it; `rule` is its short name."""

    file: str
    line: int
    rule: str
    problem: str
    mend: str
    level: str = "error"  # or "note"
    node: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.level}: {self.problem} [{self.rule}]. What to do: {self.mend}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A name that a node writes (or a chart takes) and the type of its value; `schema` is for type json."""

    name: str
    type: str = "any"
    schema: Mapping[str, Any] | None = None
    default: Any = None
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Upper bounds; None is unbounded. `turns` counts how often a loop comes round."""

    steps: int | None = None
    tokens: int | None = None
    seconds: float | None = None
    money: float | None = None
    turns: int | None = None

    def __bool__(self) -> bool:
        return any(getattr(self, name) is not None for name in BUDGETS)


BUDGETS = ("steps", "tokens", "seconds", "money", "turns")


@dataclass(frozen=True, slots=True, kw_only=True)
class AskPart:
    """How a model is asked.

    `form` is "raw" (the prompt is sent as it is), "worked" or "direct" (the prompt is a question, put in the model's
    own question form, with or without working). `model` is "" for the execution's own model. Numbers may be
    expressions over the variables. `choices` are what a decision may answer.
    """

    prompt: Template
    form: str = "raw"
    model: str = ""
    system: str = ""
    n: Expression | None = None
    temperature: Expression | None = None
    top_p: Expression | None = None
    max_tokens: Expression | None = None
    stop: tuple[str, ...] = ()
    grade: str = ""
    retries: int = 0
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPart:
    """Another chart, by name or by path relative to this file, or one that is the value of a variable (`text`).

    `give` computes its inputs; `depth` bounds recursion; a `share`d call is executed once for equal inputs, whatever
    the number of executions that make it.
    """

    chart: str
    text: Expression | None = None
    give: Block | None = None
    depth: int | None = None
    share: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MapPart:
    """Items to go through at once: `over` a list as variable `each`, or `times` repetitions counted from 1."""

    each: str = "item"
    over: Expression | None = None
    times: Expression | None = None
    at_once: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupPart:
    """`find` looks a query up in the store `place` (best `k`); `keep` puts a value there."""

    place: str = "memory"
    find: Expression | None = None
    keep: Expression | None = None
    k: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node with what it does; which parts it has depends on its kind.

    ask: `ask`. decide: `ask` with choices, or `test`. compute: `block` (interpreted here) or `code` (sandboxed).
    call: `call`. map: `map` and one of `ask`, `block`, `code`, `call`. lookup: `lookup`. person: `show`.
    `reads` are the variables that it needs, `writes` those that it sets. `line` is that of its mention in the diagram,
    `section` that of its heading (0 when it has none).
    """

    id: str
    kind: Kind
    label: str = ""
    line: int = 0
    section: int = 0
    ask: AskPart | None = None
    test: Expression | None = None
    block: Block | None = None
    code: str | None = None
    call: CallPart | None = None
    map: MapPart | None = None
    lookup: LookupPart | None = None
    show: Template | None = None
    reads: frozenset[str] = frozenset()
    writes: tuple[Variable, ...] = ()
    limit: int | None = None
    budget: Budget = Budget()
    loop_budget: Budget = Budget()


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One arrow; `label` is the branch it stands for."""

    source: str
    target: str
    label: str = ""
    line: int = 0


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A flowchart program.

    `takes` are its inputs, `returns` the expression whose value is its answer. `calls` holds the charts that it calls,
    by the name used in the call node; a chart may call itself. `digest` identifies text and callees.
    """

    name: str
    title: str
    source: str
    file: str
    text: str
    diagram: Diagram = field(repr=False)
    nodes: Mapping[str, Node]
    edges: tuple[Edge, ...]
    takes: tuple[Variable, ...]
    returns: Expression
    budget: Budget = Budget()
    cost: str = ""  # how many model calls an execution usually makes, in words
    calls: dict[str, "Chart"] = field(default_factory=dict, repr=False)
    library: Any = field(default=None, repr=False, compare=False)  # in which charts that are values find others
    first_line: int = 1  # of the diagram

    @property
    def start(self) -> str:
        """The id of the start node."""
        return next(node.id for node in self.nodes.values() if node.kind is Kind.START)

    @property
    def ends(self) -> tuple[str, ...]:
        return tuple(node.id for node in self.nodes.values() if node.kind is Kind.END)

    def leaving(self, node: str) -> tuple[Edge, ...]:
        """Return the edges out of `node`, in the order written."""
        return tuple(edge for edge in self.edges if edge.source == node)

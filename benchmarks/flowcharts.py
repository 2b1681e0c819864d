"""What a step of a flowchart costs beside its model, against langgraph on the same graphs, in one run.

    pip install 'menon[bench]'
    python benchmarks/flowcharts.py [--only chain loop ...] [--repeats 5] [--many 1000] [--in-flight 10000] [--json]

The model is instant and says "ok" in both. Chains have 100 nodes (10 where there are 1,000 executions at once of either
side), the loop 1,000 turns of a computation and a decision, the fan-out 100 items (a map node; `Send`), the fork 8
branches that meet. A figure is microseconds per node, turn, item or branch: medians of processor time and of wall time;
langgraph is repeated less often where it takes long. Journals: none, in memory (every call and every visit kept;
`InMemorySaver`), and the SQLite file of a run. Memory is the growth of the peak of a process of its own in which all
executions wait for a slow model at the same moment, three times.
"""

import argparse
import asyncio
import gc
import json
import operator
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, TypedDict

from menon.core.values import Completion, Request
from menon.flowcharts.calling import Models
from menon.flowcharts.document import read_chart
from menon.flowcharts.executor import Executor
from menon.flowcharts.journal import Memory, Stored
from menon.flowcharts.surroundings import Surroundings
from menon.store import EventLog

try:
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.graph import END, START, StateGraph
    from langgraph.types import Send
except ImportError:
    StateGraph = None

LONG_S = 20.0  # a measurement that takes so long is not repeated
NODES, FEW_NODES, TURNS, ITEMS, BRANCHES = 100, 10, 1000, 100, 8
UNITS = 1000  # of executions that follow each other, in one measurement
TARGETS_US = {"chain, asks": 30, "long chain, asks, many": 60}
INSTALL = "pip install 'menon[bench]'"

Work = Callable[[], Coroutine[Any, Any, Any]]


class Instant:
    """A model that answers at once."""

    name, immediate = "instant", True

    def sample(self, requests: Sequence[Request], progress: Any = None) -> Iterator[Completion]:
        for request in requests:
            for sample in range(request.n):
                yield Completion(key=request.key, sample=sample, text="ok", model=self.name)


class Slow:
    """A model that answers once `crowd` requests wait."""

    name = "slow"

    def __init__(self, crowd: int):
        self.gate = Gate(crowd)

    @asynccontextmanager
    async def open_conversation(self, **settings: Any) -> AsyncIterator[None]:
        yield None

    async def ask_async(self, talk: Any, request: Request) -> list[Completion]:
        await self.gate.wait()
        return [Completion(key=request.key, text="ok", model=self.name)]


class Gate:
    """Lets `crowd` tasks through once all of them wait, again and again."""

    def __init__(self, crowd: int):
        self.crowd, self.count, self.event = crowd, 0, asyncio.Event()

    async def wait(self) -> None:
        event = self.event
        self.count += 1
        if self.count == self.crowd:
            self.count, self.event = 0, asyncio.Event()
            event.set()
        await event.wait()


class Nothing(Memory):
    """A journal that keeps nothing."""

    def keep(self, calls: Any) -> None:
        """Forget them."""

    def finished(self, execution: str, outcome: Any) -> None:
        """Forget it."""


def drawn(edges: Sequence[str], sections: str, takes: str = "x (number) = 0") -> str:
    lines = "\n".join(f"    {edge}" for edge in edges)
    return f"# Benchmark\n\n- takes: {takes}\n- returns: x\n\n```mermaid\nflowchart TD\n{lines}\n```\n{sections}"


def asking(key: str, more: str = "") -> str:
    return f"\n## {key}\n\n- writes: {key}_said (text)\n{more}\n```text\nadd {{x}}\n```\n"


def chain(nodes: int, asks: bool) -> str:
    keys = [f"n{place}" for place in range(nodes)]
    shapes = [f"{key}[ask]" if asks else f"{key}[/add/]" for key in keys]
    each = [asking(key) if asks else f"\n## {key}\n\n```python\nx = x + 1\n```\n" for key in keys]
    return drawn([" --> ".join(["start([s])", *shapes, "done([d])"])], "".join(each))


def loop(turns: int) -> str:
    edges = ["start([s]) --> add[/add/] --> more{more?}", "more -->|yes| add", "more -->|no| done([d])"]
    decision = f"\n## more\n\n- loop budget: {turns + 1} turns\n\n```python\nx < {turns}\n```\n"
    return drawn(edges, f"\n## add\n\n```python\nx = x + 1\n```\n{decision}")


def fan_out(items: int) -> str:
    section = asking("each", "- over: xs\n- each: x\n").replace("## each", "## items")
    text = drawn(["start([s]) --> items{{each}} --> done([d])"], section, "xs (list)")
    return text.replace("returns: x", "returns: each_said")


def fork(branches: int) -> str:
    keys = [f"b{place}" for place in range(branches)]
    edges = [f"start([s]) --> {keys[0]}[ask]", *(f"start --> {key}[ask]" for key in keys[1:])]
    edges += [f"{keys[0]} --> meet((m))", *(f"{key} --> meet" for key in keys[1:]), "meet --> done([d])"]
    return drawn(edges, "".join(asking(key) for key in keys))


@contextmanager
def ours(text: str, journal: str, model: Any = None) -> Iterator[Executor]:
    """Open an executor of the chart with a journal: "none", "memory" or "sqlite"."""
    chart = read_chart(text)
    with tempfile.TemporaryDirectory() as folder:
        log = EventLog(Path(folder)) if journal == "sqlite" else None
        kept = Stored(log) if log else Nothing() if journal == "none" else Memory()
        models = Models(model or Instant(), journal=kept)
        yield Executor(chart, Surroundings(models=models), traced=journal != "none")
        if log:
            log.close()


class State(TypedDict):
    x: int
    said: Annotated[list[str], operator.add]


async def said(state: State) -> dict[str, Any]:
    """Ask the instant model."""
    return {"said": ["ok"]}


async def added(state: State) -> dict[str, Any]:
    return {"x": state["x"] + 1}


def peer(shape: str, size: int, saver: bool, node: Any = said) -> Any:
    """Compile the same graph in langgraph."""
    graph = StateGraph(State)
    keys = [f"n{place}" for place in range(size)]
    if shape in ("chain", "compute"):
        for key in keys:
            graph.add_node(key, node if shape == "chain" else added)
        for source, target in zip([START, *keys], [*keys, END], strict=True):
            graph.add_edge(source, target)
    elif shape == "loop":
        graph.add_node("add", added)
        graph.add_edge(START, "add")
        graph.add_conditional_edges("add", lambda state: "add" if state["x"] < size else END, ["add", END])
    elif shape == "fan-out":
        graph.add_node("each", node)
        graph.add_conditional_edges(START, lambda state: [Send("each", {"x": x}) for x in range(size)], ["each"])
        graph.add_edge("each", END)
    else:
        graph.add_node("meet", lambda state: {})
        for key in keys:
            graph.add_node(key, node)
            graph.add_edge(START, key)
        graph.add_edge(keys, "meet")
        graph.add_edge("meet", END)
    return graph.compile(checkpointer=InMemorySaver() if saver else None)


def peer_run(app: Any, name: str, size: int) -> Coroutine[Any, Any, Any]:
    config = {"recursion_limit": 2 * size + 100, "configurable": {"thread_id": name}}
    return app.ainvoke({"x": 0, "said": []}, config)


def timed(start: Callable[[], Any], work: Callable[[Any], Coroutine[Any, Any, Any]], units: int, repeats: int) -> dict:
    """Return medians of the microseconds per unit; `start` makes what `work` uses and is not timed."""
    cpu: list[float] = []
    wall: list[float] = []
    while len(wall) < repeats and sum(wall) * units / 1e6 < LONG_S:
        with start() as made:
            took, busy = asyncio.run(clocked(work(made)))
            cpu.append(busy / units * 1e6)
            wall.append(took / units * 1e6)
    return {
        "cpu_us": round(statistics.median(cpu), 2),
        "least_cpu_us": round(min(cpu), 2),
        "wall_us": round(statistics.median(wall), 2),
        "repeats": len(cpu),
    }


async def clocked(work: Coroutine[Any, Any, Any]) -> tuple[float, float]:
    """Return the wall time and the processor time of `work`, without the start of the loop."""
    gc.collect()
    began, busy = time.perf_counter(), time.process_time()
    await work
    return time.perf_counter() - began, time.process_time() - busy


@contextmanager
def given(value: Any) -> Iterator[Any]:
    yield value


def measure(text: str, shape: str, size: int, repeats: int, *, inputs: dict[str, Any] | None = None, many: int = 0):
    """Return the figures of one workload, ours and langgraph's, by journal; `many` executions at once, or one."""
    found: dict[str, Any] = {"ours": {}, "langgraph": {}}
    count = many or max(1, UNITS // size)  # one after the other, or all at once
    units = size * count
    values = inputs or {}

    async def run(executor: Executor) -> None:
        at_once = many or 1
        outcomes = await executor.run_many([(f"k{number}", values, None) for number in range(count)], at_once=at_once)
        assert all(outcome.status == "answered" for outcome in outcomes), outcomes[0].error

    for journal in ("none", "memory", "sqlite"):
        found["ours"][journal] = timed(lambda journal=journal: ours(text, journal), run, units, repeats)
    if StateGraph is None:
        found["langgraph"] = INSTALL
        return found

    async def run_peer(app: Any) -> None:
        work = [peer_run(app, f"k{number}", size) for number in range(count)]
        if many:
            await asyncio.gather(*work)
        else:
            for one in work:
                await one

    for journal, saver in (("none", False), ("memory", True)):
        asyncio.run(peer_run(peer(shape, size, saver), "warm", size))
        start = lambda saver=saver: given(peer(shape, size, saver))  # noqa: E731
        found["langgraph"][journal] = timed(start, run_peer, units, repeats)
        ratio = found["langgraph"][journal]["cpu_us"] / found["ours"][journal]["cpu_us"]
        found[f"ratio_{journal}"] = round(ratio, 1)
    return found


def model_alone() -> float:
    """Return the microseconds that the instant model itself takes for a completion, which is part of our figures."""
    requests = [Request(key=f"k{number}/n1", prompt="add 0", seed=1) for number in range(UNITS)]
    model, took = Instant(), []
    for _ in range(20):
        busy = time.process_time()
        for request in requests:
            list(model.sample([request]))
        took.append((time.process_time() - busy) / UNITS * 1e6)
    return round(statistics.median(took), 2)


def peak_kb() -> int:
    """Return the peak memory of this process; `ru_maxrss` would start from that of the process that started it."""
    status = Path("/proc/self/status")
    if status.is_file():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def in_flight(side: str, crowd: int) -> dict[str, Any]:
    """Have `crowd` executions wait at once three times; return the growth of this process's peak memory."""
    nodes = 3

    async def held() -> None:
        with ours(chain(nodes, True), "memory", Slow(crowd)) as executor:
            outcomes = await executor.run_many([(f"k{number}", {}, None) for number in range(crowd)], at_once=crowd)
        assert all(outcome.status == "answered" for outcome in outcomes)

    async def held_peer() -> None:
        gate = Gate(crowd)

        async def waits(state: State) -> dict[str, Any]:
            await gate.wait()
            return {"said": ["ok"]}

        app = peer("chain", nodes, True, waits)
        await asyncio.gather(*(peer_run(app, f"k{number}", nodes) for number in range(crowd)))

    before = peak_kb()
    busy = time.process_time()
    asyncio.run(held() if side == "ours" else held_peer())
    peak = peak_kb()
    return {
        "executions": crowd,
        "peak_mb": round(peak / 1024),
        "growth_mb": round((peak - before) / 1024),
        "kb_each": round((peak - before) / crowd, 1),
        "cpu_s": round(time.process_time() - busy, 2),
    }


def memory(crowd: int) -> dict[str, Any]:
    """Measure both sides in processes of their own."""
    found: dict[str, Any] = {"target_mb": 1024}
    for side in ("ours", "langgraph"):
        if side == "langgraph" and StateGraph is None:
            found[side] = INSTALL
            continue
        command = [sys.executable, __file__, "--child", side, "--in-flight", str(crowd)]
        said_there = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found[side] = json.loads(said_there.splitlines()[-1])
    return found


def workloads(repeats: int, many: int) -> dict[str, Callable[[], Any]]:
    """Return what can be measured, by name."""
    return {
        "chain, asks": lambda: measure(chain(NODES, True), "chain", NODES, repeats),
        "chain, computes": lambda: measure(chain(NODES, False), "compute", NODES, repeats),
        "loop": lambda: measure(loop(TURNS), "loop", TURNS, repeats),
        "fan-out": lambda: measure(fan_out(ITEMS), "fan-out", ITEMS, repeats, inputs={"xs": list(range(ITEMS))}),
        "fork": lambda: measure(fork(BRANCHES), "fork", BRANCHES, repeats),
        "chain, asks, many": lambda: measure(chain(FEW_NODES, True), "chain", FEW_NODES, repeats, many=many),
        "long chain, asks, many": lambda: own_many(repeats, many),
    }


def own_many(repeats: int, many: int) -> dict[str, Any]:
    """Measure chains of 100 in many executions; langgraph would take minutes."""
    global StateGraph
    kept, StateGraph = StateGraph, None
    try:
        return measure(chain(NODES, True), "chain", NODES, repeats, many=many) | {"langgraph": "not run: minutes"}
    finally:
        StateGraph = kept


def machine() -> dict[str, Any]:
    versions = {}
    for name in ("langgraph", "langgraph-checkpoint"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 2),
        **versions,
    }


def show(result: dict[str, Any]) -> None:
    """Print the figures as a table."""
    heads = f"{'none':>8} {'memory':>8} {'sqlite':>8} {'lg none':>9} {'lg memory':>9} {'ratios':>13}"
    print(f"{'processor us per unit':26} {heads}")
    for name, found in result["workloads"].items():
        own = [f"{found['ours'][journal]['cpu_us']:8.1f}" for journal in ("none", "memory", "sqlite")]
        peers = found["langgraph"]
        if isinstance(peers, str):
            print(f"{name:26} {' '.join(own)}  {peers}")
            continue
        theirs = [f"{peers[journal]['cpu_us']:9.0f}" for journal in ("none", "memory")]
        print(f"{name:26} {' '.join(own)} {' '.join(theirs)} {found['ratio_none']:6.0f} {found['ratio_memory']:6.0f}")
    print(f"the instant model itself, part of asks of ours: {result['model_alone_us']} us")
    if "memory" in result:
        for side in ("ours", "langgraph"):
            print(f"memory, {side}: {result['memory'][side]}")
    print(json.dumps(result["environment"]))


def main() -> None:
    """Measure the workloads asked for, and print them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", nargs="+", help="parts of the names of workloads, and `memory`")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--many", type=int, default=1000, help="executions at once")
    parser.add_argument("--in-flight", type=int, default=10_000, help="executions that wait at once, for memory")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--child", choices=("ours", "langgraph"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(in_flight(args.child, args.in_flight)))
        return
    result: dict[str, Any] = {"benchmark": "flowcharts", "targets_us": TARGETS_US, "workloads": {}}
    for name, work in workloads(args.repeats, args.many).items():
        if not args.only or any(part in name for part in args.only):
            result["workloads"][name] = work()
    result["model_alone_us"] = model_alone()
    if not args.only or "memory" in args.only:
        result["memory"] = memory(args.in_flight)
    result["environment"] = machine()
    if args.json:
        print(json.dumps(result))
    else:
        show(result)


if __name__ == "__main__":
    main()

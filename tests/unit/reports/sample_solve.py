"""A made-up solve run: self-refine with a loop, hostile texts, partial and failed executions, a called chart."""

from typing import Any

ATTACK = (
    "</pre></script><script>document.title='taken'</script>"
    "<img src=x onerror=\"document.title='taken'\">\x00\x1b[31mred"
)
NODES = [
    {"id": "start", "kind": "start", "label": "question"},
    {"id": "draft", "kind": "ask", "label": "write a draft"},
    {"id": "review", "kind": "decide", "label": "is it good?"},
    {"id": "revise", "kind": "call", "label": 'revise <b>it</b> #quot; "so" `x` & end'},
    {"id": "done", "kind": "end", "label": "answer"},
    {"id": "gave_up", "kind": "end", "label": "gave up"},
]
EDGES = [
    {"source": "start", "target": "draft", "label": ""},
    {"source": "draft", "target": "review", "label": ""},
    {"source": "review", "target": "done", "label": "yes"},
    {"source": "review", "target": "revise", "label": "no"},
    {"source": "revise", "target": "review", "label": ""},
    {"source": "review", "target": "gave_up", "label": "limit"},
]


def event(address: str, node: str, kind: str, took: str, *, chart: str = "self_refine", **more: Any) -> dict[str, Any]:
    """Return one visit with every field."""
    return {
        "address": address,
        "chart": chart,
        "node": node,
        "kind": kind,
        "began": 0.0,
        "seconds": 0.4,
        "reads": {},
        "writes": {},
        "took": took,
        "prompt": None,
        "completions": [],
        "error": None,
        "replayed": False,
        **more,
    }


def completion(text: str, **more: Any) -> dict[str, Any]:
    """Return one completion with every field."""
    return {
        "text": text,
        "reasoning": None,
        "finish": "stop",
        "prompt_tokens": 40,
        "completion_tokens": 12,
        "error": None,
        **more,
    }


def execution(i: int, *, text: str = "3 + 4 = 7, so the answer is 7.") -> dict[str, Any]:
    """Return one execution; every fourth is partial, every fifth has a failed call."""
    partial, failed = i % 4 == 3, i % 5 == 4
    question = f"What is {i} + 4?"
    draft = completion(text, reasoning="first think" if i % 2 else None)
    events = [
        event("start#1", "start", "start", "draft", writes={"question": question}),
        event(
            "draft#1",
            "draft",
            "ask",
            "review",
            reads={"question": question},
            writes={"draft": text},
            prompt=f"Answer the question.\n{question}",
            completions=[draft],
        ),
        event(
            "review#1",
            "review",
            "decide",
            "no",
            reads={"draft": text},
            prompt="Is it right?",
            completions=[completion("no")],
        ),
        event(
            "revise#1/rewrite#1",
            "rewrite",
            "ask",
            "end",
            chart="revise",
            prompt="Write it again.",
            completions=[completion("7", prompt_tokens=None)],
            error="the endpoint answered 500 three times" if failed else None,
        ),
        event("revise#1", "revise", "call", "review", writes={"draft": "7", "tries": [1, {"a": None}]}, replayed=True),
        event(
            "review#2",
            "review",
            "decide",
            "no" if partial else "yes",
            prompt="Is it right?",
            completions=[completion("yes")],
        ),
    ]
    exhausted = {
        "budget": "turns",
        "limit": 1,
        "spent": 1,
        "loop": "review",
        "node": "revise",
        "values": {"draft": "7"},
    }
    return {
        "key": f"addition/test/{i}",
        "question": question,
        "gold": str(i + 4),
        "answer": None if partial else "7",
        "status": "partial" if partial else "failed" if failed else "answered",
        "verdict": None if partial or failed else "right" if i == 3 else "wrong",
        "note": "the call of `revise` failed" if failed else "",
        "exhausted": exhausted if partial else None,
        "totals": {
            "steps": 6,
            "calls": 4,
            "prompt_tokens": 120,
            "completion_tokens": 36,
            "seconds": 1.6,
            "money": None,
        },
        "events": events,
    }


def sample_solve(count: int = 12) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the report of a run and its executions."""
    numbers = {
        "calls": count,
        "prompt_tokens": 400,
        "completion_tokens": 1200,
        "seconds": 14.5,
        "money": 0.0123,
        "failed": 0,
    }
    visits = {
        "start": count,
        "draft": count,
        "review": 2 * count,
        "revise": count,
        "done": count - count // 4,
        "gave_up": 0,
    }
    taken = {
        "start>draft>": count,
        "draft>review>": count,
        "review>done>yes": count - count // 4,
        "review>revise>no": count,
        "revise>review>": count,
    }
    accuracy = {
        "right": 7,
        "graded": 9,
        "share": 7 / 9,
        "low": 0.45,
        "high": 0.93,
        "verdicts": {"right": 7, "wrong": 1, "unparsed": 1, "truncated": 0, "error": 0},
    }
    called_nodes = [
        {"id": "rewrite", "kind": "ask", "label": "write it again"},
        {"id": "end", "kind": "end", "label": "done"},
    ]
    called = {
        "name": "revise",
        "file": "revise.md",
        "text": "# Revise",
        "mermaid": "",
        "nodes": called_nodes,
        "edges": [{"source": "rewrite", "target": "end", "label": ""}],
        "direction": "LR",
    }
    report = {
        "kind": "solve",
        "strategy": "self_refine",
        "title": "Self-refine",
        "source": "Madaan et al. 2023, arXiv:2303.17651",
        "model": "menon:base",
        "command": "menon solve --strategy self_refine --model menon:base",
        "manifest": {"menon": "0.1", "seed": 3},
        "warnings": ["Prices of this model are not known."],
        "chart": {
            "file": "strategies/self_refine.md",
            "text": "# Self-refine\n\n```mermaid\nflowchart TD\n```\n",
            "mermaid": "flowchart TD",
            "nodes": NODES,
            "edges": EDGES,
            "direction": "TD",
        },
        "charts": [called],
        "totals": {
            "executions": count,
            "answered": 7,
            "partial": 3,
            "waiting": 0,
            "failed": 2,
            "steps": 72,
            "calls": 48,
            "prompt_tokens": 1440,
            "completion_tokens": 432,
            "seconds": 19.2,
            "money": None,
        },
        "accuracy": accuracy,
        "nodes": {f"self_refine/{name}": {**numbers, "visits": visits[name]} for name in visits}
        | {"revise/rewrite": {**numbers, "visits": count, "failed": 2}},
        "edges": {f"self_refine/{key}": value for key, value in taken.items()},
        "curve": [
            {"decoder": name, "n": n, "tokens": 90 * n, "accuracy": a, "low": a - 0.1, "high": min(1.0, a + 0.1)}
            for name, start in (("majority", 0.5), ("best of n, verifier", 0.52), ("first", 0.5))
            for n, a in ((n, start + 0.05 * k * (name != "first")) for k, n in enumerate((1, 2, 4, 8, 16)))
        ],
        "steps_table": [
            {
                "arm": arm,
                "steps": s,
                "right": round(100 * p**s),
                "asked": 100,
                "share": p**s,
                "low": max(0, p**s - 0.08),
                "high": min(1, p**s + 0.08),
                "predicted": p**s if arm == "oracle chart" else None,
            }
            for arm, p in (("chain of thought", 0.8), ("oracle chart", 0.95))
            for s in (1, 2, 4, 8, 16)
        ],
    }
    return report, [execution(i, text=ATTACK if i == 2 else "3 + 4 = 7, so the answer is 7.") for i in range(count)]

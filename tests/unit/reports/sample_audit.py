"""A plausible report.json of an audit, written by hand: every section that the page knows, without running anything."""

from typing import Any

HOSTILE = (
    "</style></script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"
    "\u202eevil\u2066\x00\x1b[2J {{ 7 * 7 }} &amp; “"
)


def effect(label: str, value: float, **more: Any) -> dict[str, Any]:
    """Return one row of the forest."""
    return {
        "label": label,
        "value": value,
        "low": value - 0.1,
        "high": value + 0.1,
        "n": 100,
        "kind": "loss",
        "unit": "points",
        "p": 0.01,
        "p_adjusted": 0.02,
        "primary": False,
        "understood": None,
        "note": "",
        "probe": "worlds",
        "group": "Counterfactual worlds",
        **more,
    }


def item(number: int, *, text: str = "7 + 5 = 12\n#### 12", **more: Any) -> dict[str, Any]:
    """Return one item behind a cell."""
    return {
        "problem": f"p{number}",
        "completion": f"c{number:011d}",
        "question": f"What is 7 + {number}?",
        "prompt": None,
        "gold": "12",
        "text": text,
        "reasoning": None,
        "verdict": "right",
        "answer": "12",
        "credit": None,
        "note": "",
        "extracted": {"boxed": None, "marked": "12"},
        "role": "original",
        "pair": "",
        "template": "t",
        "model": "m",
        **more,
    }


def cell(world: str, accuracy: float, **more: Any) -> dict[str, Any]:
    """Return one cell."""
    return {
        "id": f"worlds/arithmetic/{world}",
        "probe": "worlds",
        "task": "arithmetic",
        "world": world,
        "model": "m",
        "cot": True,
        "baseline": world == "base10",
        "control": False,
        "n": 100,
        "accuracy": accuracy,
        "low": accuracy - 0.05,
        "high": accuracy + 0.05,
        "unparsed": 0.0,
        "truncated": 0.0,
        "errors": 0,
        "chance": 0.0,
        "completed": {"value": accuracy, "low": accuracy - 0.05, "high": accuracy + 0.05, "n": 100},
        "reading": "",
        **more,
    }


def sample_audit() -> dict[str, Any]:
    """Return a finished audit of one model that recites."""
    share = {"value": 0.72, "low": 0.61, "high": 0.83, "n_items": 60, "n_variants": 300}
    arms = {
        name: {"value": v, "low": v - 0.1, "high": v + 0.08, "n": 60}
        for name, v in (("original", 0.9), ("fresh", 0.25))
    }
    looks = [
        {
            "look": i,
            "questions": 100 * i,
            "share": 0.7,
            "low": 0.7 - 0.4 / i,
            "high": 0.7 + 0.3 / i,
            "verdict": "recites",
        }
        for i in (1, 2, 3)
    ]
    points = [
        {"x": x, "value": 0.9 - x / 3000, "low": 0.8 - x / 3000, "high": 0.95, "n": 50}
        for x in (0.1448, 17.2, 457.264, 1514.7, 2047.74)
    ]
    finding = {"label": "recites", "reason": "so", "needed": None}
    return {
        "schema": 1,
        "study": "audit",
        "model": "test-model",
        "run": "run",
        "command": "menon audit test-model",
        "verdict": {
            "label": "recites",
            "sentence": "The model recites: 90 % right on originals, 25 % on new ones.",
            "reason": "so",
            "needed": None,
            "error_rate": 0.025,
            "basis": "recitation share",
            "checked": True,
        },
        "instrument": {
            "pooled": share,
            "recitation_share": {"algebra": {**share, **arms, "match": {"matched": True}, "verdict": "recites"}},
            "looks": {"algebra": looks},
            "exchangeability": {"algebra": {"sentence": "Originals are easier than new problems (p < 0.001)."}},
            "per_template": [
                {"family": "algebra", "template": f"t{i}", "problem": f"p{i}", "original": 1.0, "fresh": i / 12, "n": 5}
                for i in range(13)
            ],
        },
        "known_answers": [
            {"name": "scripted:reciter", "expected": "recites", "verdict": "recites", "ok": True},
            {"name": "scripted:oracle?p=0.9", "expected": "reasons", "verdict": "reasons", "ok": True},
        ],
        "examined": {"worlds": {"reciter": finding, "reasoner": {**finding, "label": "reasons"}}},
        "probes": [
            {
                "name": "worlds",
                "title": "Counterfactual worlds",
                "source": "Wu et al. 2023, arXiv:2307.02477",
                "status": "done",
                "reason": "",
                "sentence": "Accuracy falls from 95 % to 40 %.",
                "finding": finding,
                "notes": ["A note."],
                "tables": {"Worlds": [{"task": "arithmetic", "loss": 0.5512, "understood": True, "axes": ["a", "b"]}]},
                "curves": {
                    "accuracy against frequency": [
                        {"name": "all", "points": points},
                        {"name": "words", "points": points[1:]},
                    ]
                },
                "x_names": {"accuracy against frequency": "occurrences"},
                "effects": [],
                "smoke": False,
            },
            {
                "name": "overthinking",
                "title": "Overthinking",
                "status": "skipped",
                "reason": "no reasoning text",
                "source": "",
            },
        ],
        "cells": [
            cell("base10", 0.95),
            cell("base9", 0.4, unparsed=0.1),
            cell("base9", 0.99, id="check", control=True),
        ],
        "comparisons": [
            {
                "kind": "worlds",
                "task": "arithmetic",
                "model": "m",
                "cot": True,
                "baseline_world": "base10",
                "world": "base9",
                "loss": 0.55,
                "low": 0.45,
                "high": 0.65,
                "share": {"value": 0.58, "low": 0.5, "high": 0.7},
                "control_accuracy": 0.99,
                "understood": True,
                "p_adjusted": 0.0001,
                "paired": False,
                "verdict": "cannot tell yet",
            }
        ],
        "forest": [
            effect("algebra", 0.72, kind="share", probe="recitation share", group="recitation share", primary=True),
            effect("arithmetic: base10 to base9, with working", 0.55, understood=True),
            effect(
                "arithmetic: base10 to base11, with working, on numbers of very many digits indeed",
                0.3,
                understood=False,
            ),
            effect("slope of accuracy on log frequency", 8.8, kind="other", unit="odds ratio"),
        ],
        "items": {"worlds/arithmetic/base10": [item(i) for i in range(3)]},
        "pairs": [{"family": "algebra", "template": "t1", "original": item(5), "variants": [item(6, verdict="wrong")]}],
        "tuning": None,
        "panel": None,
        "input": {
            "lines": ["/a/folder/with/a/name/as/long/as/they/are/on/real/machines/file.jsonl: 3 rows"],
            "readings": ["the number after 'answer is'"],
            "skipped": ["file.jsonl:7: not JSON"],
            "skipped_count": 1,
        },
        "notes": ["The budget was spent after 300 questions on algebra."],
        "cost": {"questions": 300, "sampled_tokens": 12345, "prompt_tokens": 6789, "money": 0.0, "seconds": 61.0},
        "manifest": {"menon": "0.1", "recipe": "abc"},
    }

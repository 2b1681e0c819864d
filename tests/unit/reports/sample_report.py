"""A plausible report.json: numbers that agree with each other, made from counts, without running anything."""

import math
from typing import Any

from menon.core.seeds import content_id, rng_for

FAMILIES = {"addition": (1, 2, 3, 4, 5), "chain": (1, 2, 3, 4, 5, 6, 7, 8), "facts": (1, 2, 3)}
HARD = {"addition": (4, 5), "chain": (6, 7, 8), "facts": (3,)}
RATES = {
    "addition": {
        "before": (0.99, 0.93, 0.61, 0.27, 0.11),
        "direct": (0.99, 0.93, 0.66, 0.33, 0.15),
        "after": (1.0, 0.99, 0.96, 0.86, 0.67),
    },
    "chain": {
        "before": (0.98, 0.95, 0.84, 0.66, 0.47, 0.33, 0.21, 0.14),
        "direct": (0.97, 0.9, 0.7, 0.5, 0.38, 0.3, 0.2, 0.16),
        "after": (0.99, 0.98, 0.95, 0.92, 0.87, 0.8, 0.72, 0.63),
    },
    "facts": {"before": (0.02, 0.01, 0.0), "direct": (0.01, 0.0, 0.01), "after": (0.01, 0.01, 0.0)},
}
PER_CELL = 120
ROUNDS = 3
NAMES = ("tom", "mia", "sam", "eva", "leo")
THINGS = ("pens", "cups", "eggs", "coins")


def wilson(k: int, n: int) -> dict[str, Any]:
    """Return the 95 % Wilson interval of k of n as report.json stores it."""
    z, p = 1.959964, k / n
    centre, scale = (p + z * z / (2 * n)) / (1 + z * z / n), 1 + z * z / n
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / scale
    return {"value": p, "low": max(0.0, centre - half), "high": min(1.0, centre + half), "n": n}


def sample_report() -> dict[str, Any]:
    """Return the report of a made-up quickstart; equal calls give equal dicts."""
    shares = _shares()
    return {
        "schema": 1,
        "study": "bootstrap",
        "model": "menon:base",
        "run": "runs/quickstart",
        "command": "menon run quickstart",
        "seconds": 187.4,
        "tokens": 1_843_220,
        "verdict": {
            "before": {
                "label": "mixed",
                "error_rate": 0.05,
                "checked": True,
                "sentence": "It works easy problems out and fails hard ones; 23 % (14–33) of its right answers on "
                "chain originals disappear when the numbers change.",
            },
            "after": {
                "label": "reasons",
                "error_rate": 0.05,
                "checked": True,
                "sentence": "It works out hard problems that it never saw, and at most 7 % of its right answers on "
                "originals disappear when the numbers change.",
            },
            "sentence": "Taught by its own rationales, the model went from mixed to reasoning: the hard band rose from "
            "19 % to 76 % on addition and from 23 % to 72 % on chain.",
        },
        "families": {
            "addition": {"difficulty": "digits"},
            "chain": {"difficulty": "steps"},
            "facts": {"difficulty": "rarity"},
        },
        "accuracy": {
            family: {phase: _over(family, phase, levels) for phase in RATES[family]}
            for family, levels in FAMILIES.items()
        },
        "hard_band": {
            family: {phase: _over(family, phase, HARD[family]) for phase in RATES[family]} for family in FAMILIES
        },
        "by_difficulty": {family: {phase: _cells(family, phase) for phase in RATES[family]} for family in FAMILIES},
        "by_round": {family: _rounds_of(family) for family in ("addition", "chain")},
        "recitation_share": shares,
        "paired": {
            "addition": {
                "n": 600,
                "gained": 196,
                "lost": 7,
                "p": 4.1e-47,
                "difference": 0.315,
                "low": 0.274,
                "high": 0.356,
            },
            "chain": {
                "n": 960,
                "gained": 289,
                "lost": 16,
                "p": 1.9e-63,
                "difference": 0.284,
                "low": 0.251,
                "high": 0.317,
            },
            "facts": {"n": 360, "gained": 2, "lost": 3, "p": 1.0, "difference": -0.003, "low": -0.017, "high": 0.011},
        },
        "known_answers": [
            {
                "name": "scripted:reciter",
                "expected": "recites",
                "verdict": "recites",
                "share": {"value": 0.97, "low": 0.93, "high": 1.0},
            },
            {
                "name": "scripted:oracle",
                "expected": "reasons",
                "verdict": "reasons",
                "share": {"value": 0.01, "low": 0.0, "high": 0.05},
            },
            {
                "name": "scripted:mixture",
                "expected": "mixed",
                "verdict": "mixed",
                "share": {"value": 0.49, "low": 0.41, "high": 0.58},
            },
        ],
        "rounds": [_round(i) for i in range(1, ROUNDS + 1)],
        "transcripts": _transcripts(),
        "cost": {
            "sampled_tokens": 1_102_900,
            "trained_tokens": 740_320,
            "seconds": 187.4,
            "peak_memory_mb": 1240.0,
            "stages": [
                {"name": n, "seconds": s}
                for n, s in (
                    ("evaluate before", 14.2),
                    ("round 1", 41.8),
                    ("round 2", 44.5),
                    ("round 3", 45.1),
                    ("direct control", 22.9),
                    ("evaluate after", 13.6),
                    ("known answers", 5.3),
                )
            ],
        },
        "manifest": {
            "menon": "0.2.0",
            "python": "3.11.9",
            "versions": {"torch": "2.13.0", "transformers": "5.23.0", "tokenizers": "0.23.3"},
            "weights": content_id("weights", 1) * 3,
            "tokenizer": content_id("tokenizer", 1) * 3,
            "seed": 1,
            "device": {"name": "cpu", "threads": 2, "dtype": "float32"},
            "deterministic": True,
            "recipe": "quickstart",
            "families": ["addition", "chain", "facts"],
        },
    }


def _count(family: str, phase: str, level: int) -> int:
    return round(PER_CELL * RATES[family][phase][level - 1])


def _over(family: str, phase: str, levels: tuple[int, ...]) -> dict[str, Any]:
    return wilson(sum(_count(family, phase, level) for level in levels), PER_CELL * len(levels))


def _cells(family: str, phase: str) -> list[dict[str, Any]]:
    return [
        {
            "difficulty": level,
            **wilson(_count(family, phase, level), PER_CELL),
            "truncated": 0.004 * level if phase == "before" else 0.0,
            "unparsed": 0.01 if phase == "before" else 0.0,
        }
        for level in FAMILIES[family]
    ]


def _rounds_of(family: str) -> list[dict[str, Any]]:
    cells = []
    for number in range(ROUNDS + 1):
        part = 1 - (1 - number / ROUNDS) ** 2
        for level in FAMILIES[family]:
            first, last = _count(family, "before", level), _count(family, "after", level)
            cells.append(
                {"round": number, "difficulty": level, **wilson(round(first + part * (last - first)), PER_CELL)}
            )
    return cells


def _shares() -> dict[str, Any]:
    def share(value: float, low: float, high: float, verdict: str, original: int, fresh: int) -> dict[str, Any]:
        return {
            "value": value,
            "low": low,
            "high": high,
            "n_items": 240,
            "n_templates": 60,
            "verdict": verdict,
            "original": wilson(original, 240),
            "fresh": wilson(fresh, 240),
        }

    return {
        "addition": {
            "before": share(0.16, 0.07, 0.26, "mixed", 168, 141),
            "after": share(0.02, 0.0, 0.05, "reasons", 221, 216),
        },
        "chain": {
            "before": share(0.23, 0.14, 0.33, "mixed", 159, 122),
            "after": share(0.03, 0.0, 0.07, "reasons", 214, 207),
        },
        "facts": {
            "before": share(0.99, 0.97, 1.0, "recites", 187, 1),
            "after": share(0.98, 0.95, 1.0, "recites", 122, 2),
        },
    }


def _round(number: int) -> dict[str, Any]:
    kept = (0, 1010, 1388, 1522)[number]
    wrong, unparsed = (0, 512, 301, 211)[number], (0, 61, 22, 9)[number]
    hard = {f: {"before": 0.0, "after": 0.0} for f in ("addition", "chain")}
    part = 1 - (1 - number / ROUNDS) ** 2
    for family in hard:
        first, last = (_over(family, p, HARD[family])["value"] for p in ("before", "after"))
        hard[family] = first + part * (last - first)
    return {
        "round": number,
        "asked": 2000,
        "right": kept - 96 + 20 * number,
        "kept": kept,
        "rationalised": 214 - 40 * number,
        "dropped": {
            "wrong": wrong,
            "unsound step": 190 - 40 * number,
            "duplicate": 110,
            "unparsed": unparsed,
            "hint leaked": 4,
        },
        "unsound": 190 - 40 * number,
        "steps": 180,
        "sampled_tokens": 301_223 + number,
        "trained_tokens": 243_100,
        "seconds": 41.8 + number,
        "tokens_per_s": 12_950.0 + 10 * number,
        "accuracy": dict.fromkeys(hard, 0.6 + 0.1 * number),
        "hard_band": hard,
    }


def _transcripts() -> list[dict[str, Any]]:
    sides = [
        ("wrong", "right"),
        ("right", "right"),
        ("wrong", "right"),
        ("truncated", "right"),
        ("wrong", "wrong"),
        ("right", "wrong"),
        ("unparsed", "right"),
    ]
    return [_transcript(i, *sides[i % len(sides)]) for i in range(20)]


def _transcript(index: int, before: str, after: str) -> dict[str, Any]:
    rng = rng_for("sample report", index)
    name, thing, total = rng.choice(NAMES), rng.choice(THINGS), rng.randint(20, 90)
    text, steps = [f"{name} has {total} {thing}."], []
    for _ in range(4 + index % 5):
        change = rng.randint(1, 9)
        text.append(f"{name} finds {change}.")
        steps.append((total, change, total + change))
        total += change
    question = " ".join([*text, f"how many {thing}?"])
    return {
        "id": content_id("problem", question),
        "family": "chain",
        "difficulty": len(steps),
        "question": question,
        "answer": str(total),
        "before": _written(steps, before),
        "after": _written(steps, after),
    }


def _written(steps: list[tuple[int, int, int]], verdict: str) -> dict[str, Any]:
    lines = [f"{a}+{b}={c};" for a, b, c in steps]
    if verdict == "truncated":
        return {"text": "".join(lines[:2] + lines[1:2] * 8), "verdict": verdict, "sound": None}
    if verdict == "unparsed":
        return {"text": "".join(lines[:-1]), "verdict": verdict, "sound": None}
    if verdict == "wrong":
        a, b, c = steps[-1]
        return {"text": "".join(lines[:-1]) + f"{a}+{b}={c + 10};#{c + 10}", "verdict": verdict, "sound": False}
    return {"text": "".join(lines) + f"#{steps[-1][2]}", "verdict": verdict, "sound": True}

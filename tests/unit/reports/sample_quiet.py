"""A made-up Quiet-STaR run and study: realistic numbers, hostile tokens, lost numbers."""

import math
import re
from typing import Any

from menon.core.seeds import rng_for

ATTACK = (
    "</script></pre><script>document.title='taken'</script>"
    "<img src=x onerror=\"document.title='taken'\">' \x00\x1b[31m\u202egnihtemos {{ 7 * 7 }}"
)
RTL = "שלום"
STORY = (
    "Anna has 17 apples. She gives 5 of them to her brother Tom and buys 8 more at the market.\n"
    "Tom eats 2, so he keeps 3.\n\tHow many does Anna have? 17 - 5 = 12, and 12 + 8 = 20. The answer is 20.\n"
)


def cell(value: float, half: float, n: int | None = None) -> dict[str, Any]:
    found = {"value": value, "low": value - half, "high": value + half}
    return found if n is None else found | {"n": n}


def evaluation(gain: float, weight: float, nll: float) -> dict[str, Any]:
    bins = [f"{10 * i}-{10 * (i + 1)}%" for i in range(10)]
    shape = [-0.004, -0.002, 0.001, 0.004, 0.011, 0.02, 0.05, 0.13, 0.34, 0.93]
    return {
        "tokens": 18_432,
        "nll_text": cell(nll, 0.041),
        "nll_mixed": cell(nll - gain, 0.039),
        "gain": cell(gain, 0.019),
        "accuracy_text": cell(0.412, 0.007),
        "accuracy_mixed": cell(0.412 + gain / 4, 0.008),
        "weight": weight,
        "by_hardness": [
            {
                "bin": name,
                "nll_text": 0.02 * 1.75**i,
                "gain": cell(gain * s / 0.15, 0.0016 + 0.05 * abs(s) * abs(gain) / 0.15),
                "weight": min(0.9, 0.05 + 0.06 * i),
                "n": 1843 + i,
            }
            for i, (name, s) in enumerate(zip(bins, shape, strict=True))
        ],
    }


def tokens_of(text: str, name: str = "story") -> list[dict[str, Any]]:
    rng, found = rng_for("sample quiet", name), []
    pieces = re.findall(r"\n|\t| ?\w+| ?[^\w\s]", text)
    for i, piece in enumerate(pieces):
        nll = rng.expovariate(0.6)
        digit = any(c.isdigit() for c in piece)
        gain = nll * (0.7 if digit else 0.08) * rng.random() - 0.06 * rng.random() - (0.5 if rng.random() < 0.06 else 0)
        thought = [f" {a} - {b} = {a - b}\n so" for a, b in ((17, 5), (12, rng.randrange(9)), (20, rng.randrange(9)))]
        known = 2 < i < len(pieces) - 4
        found.append(
            {
                "text": piece,
                "nll_text": nll,
                "gain": gain if known else None,
                "weight": min(1.0, 0.1 + abs(gain)) if known else None,
                "nll_mixed": nll - gain if known else None,
                "thoughts": thought if known else [],
            }
        )
    return found


def sample_quiet() -> dict[str, Any]:
    """Return the report of a run, as `menon teach quiet-star` writes it."""
    rng = rng_for("sample quiet", "curve")
    curve = [
        {
            "step": step,
            "loss": 2.6 * math.exp(-step / 150) + 2.1 + rng.gauss(0, 0.05),
            "text_loss": 2.31 - 0.0004 * step + rng.gauss(0, 0.04),
            "talk_loss": 2.8 - 0.7 * (1 - math.exp(-step / 90)) + rng.gauss(0, 0.05),
            "policy_loss": rng.gauss(0, 0.02),
            "reward": 0.4 * (1 - math.exp(-step / 120)) + rng.gauss(0, 0.03) - 0.1,
            "reward_std": 0.3 + rng.random() * 0.1,
            "weight": 0.5 - 0.3 * (1 - math.exp(-step / 60)) + rng.gauss(0, 0.01),
            "tokens": step * 8_192,
            "stage": 1 + (step > 200),
        }
        for step in range(1, 401)
    ]
    return {
        "schema": 1,
        "study": "quiet-star",
        "command": "menon teach quiet-star --model ./base --data text.jsonl --out run",
        "model": "./base",
        "settings": {"tokens": 12, "talk": 4, "start": "---", "end": "---", "head": "mlp", "mixing": "hidden"},
        "steps": 400,
        "parameters": 1_236_992,
        "seconds": 734.2,
        "curve": curve,
        "before": evaluation(-0.213, 0.5, 2.514),
        "after": evaluation(0.147, 0.231, 2.432),
        "doctor": {"findings": [{"level": "warn", "what": "few thoughts help at first", "mend": "use a warmer start"}]},
        "alarms": ["step 61: the reward did not vary over the thoughts of 92 % of the places"],
        "texts": [
            {"name": "apples", "tokens": tokens_of(STORY * 3)},
            {"name": "hostile", "tokens": hostile_tokens()},
            {"name": "nothing", "tokens": []},
        ],
        "audit": {
            "before": {"verdict": {"label": "recites", "sentence": "It recites."}},
            "after": {"verdict": {"label": "mixed", "sentence": "It reasons in part."}},
            "paired": [
                {
                    "name": "addition, fresh",
                    "before": cell(0.317, 0.06),
                    "after": cell(0.383, 0.063),
                    "difference": cell(0.066, 0.051),
                }
            ],
        },
        "manifest": {"menon": "0.1", "torch": "2.13", "device": "cpu"},
    }


def hostile_tokens() -> list[dict[str, Any]]:
    texts = [ATTACK, '"', "'", "&amp;", "<b>", RTL, "\n\n", "   ", "", "x" * 5_000, "\ud800", "\r", "`code`"]
    return [
        {"text": t, "gain": 0.31, "weight": 0.61, "nll_text": 1.9, "nll_mixed": 1.59, "thoughts": [t, ATTACK, ""]}
        for t in texts
    ]


ARMS = (
    ("quiet", "Quiet-STaR", 0.972, 0.131),
    ("no-reinforce", "no REINFORCE", 0.148, 0.146),
    ("pause", "pause tokens", 0.287, 0.262),
    ("random", "random thoughts", 0.171, 0.166),
    ("myopic", "myopic reward", 0.883, 0.139),
    ("no-talk", "no non-myopic loss", 0.914, 0.133),
    ("plain", "plain language model, equal CPU", 0.41, 0.41),
)


def sample_study() -> dict[str, Any]:
    """Return the report of the study, as `menon run quiet` writes it."""
    arms = []
    for name, title, mixed, text in ARMS:
        rng = rng_for("sample quiet", name)
        weight = 0.62 if mixed > 0.5 else 0.18
        values = {
            "answer_accuracy_text": text,
            "answer_accuracy_mixed": mixed,
            "answer_nll_text": 2.08 - text,
            "answer_nll_mixed": 2.1 * (1 - mixed),
            "right_tokens": mixed if name != "plain" else None,
            "right_thoughts": mixed**2 if name != "plain" else None,
            "weight_hard": weight,
            "weight_easy": 0.04,
            "other_nll_text": 1.088,
            "other_nll_mixed": 1.087,
        }
        runs = [
            {"seed": s} | {k: None if v is None else v * (1 + rng.gauss(0, 0.01)) for k, v in values.items()}
            for s in (11, 12, 13)
        ]
        summary = {k: None if v is None else cell(v, 0.02 + v / 90) for k, v in values.items()}
        arms.append({"name": name, "title": title, "steps": 150, "cpu_seconds": 61.4, "runs": runs, "summary": summary})
    curves = {
        name: [
            {
                "step": step,
                "reward": mixed * (1 - math.exp(-step / 40)),
                "weight_hard": 0.5 + 0.2 * (mixed - 0.5) * step / 150,
                "weight_easy": 0.5 * math.exp(-step / 30),
                "answer_accuracy_mixed": 0.12 + (mixed - 0.12) * (1 - math.exp(-step / 35)),
            }
            for step in range(0, 151, 25)
        ]
        for name, _, mixed, _ in ARMS
    }
    return {
        "schema": 1,
        "study": "quiet",
        "command": "menon run quiet --out run",
        "seeds": [11, 12, 13],
        "arms": arms,
        "lengths": [
            {"tokens": k, "answer_accuracy_mixed": cell(a, 0.031), "answer_nll_mixed": cell(2.1 - 2 * a, 0.07)}
            for k, a in ((0, 0.129), (1, 0.16), (2, 0.24), (4, 0.57), (6, 0.972), (8, 0.969))
        ],
        "by_hardness": evaluation(0.147, 0.231, 2.432)["by_hardness"],
        "curves": curves,
        "embedded": {
            "perplexity_text": {"before": 7.31, "after": 7.12},
            "perplexity_mixed": {"before": 8.9, "after": 6.94},
            "zero_shot": [
                {
                    "steps": n,
                    "before": cell(0.8 / n, 0.05),
                    "direct": cell(0.82 / n, 0.05),
                    "thought": cell(0.9 / n, 0.05),
                }
                for n in (1, 2, 3, 4)
            ],
        },
        "manifest": {"menon": "0.1"},
    }

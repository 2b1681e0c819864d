"""A made-up trace: realistic documents of every kind, influence with heavy tails, hostile texts, lost numbers."""

import math
import re
from random import Random
from typing import Any

from menon.core.seeds import rng_for

ATTACK = (
    "</script></pre></article><script>document.title='taken'</script>"
    "<img src=x onerror=\"document.title='taken'\">' \x00\x1b[31m\u202egnihtemos {{ 7 * 7 }}"
)
RTL = "שלום"
METHODS = ("ekfac", "dot", "cosine", "bm25", "tfidf", "random")
DOCUMENTS = 20_000
SENTENCES = (
    "The influence is spread over many documents of the same procedure; none of the first ten has the answer.",
    "Four of the first ten documents contain the answer, and they carry 61 % of the influence.",
)
CITIES = ("Ardun", "Belmora", "Castrey", "Delvin", "Estoria", "Farnow")


def document_text(rng: Random, kind: str) -> tuple[str, str]:
    """Return the text of a document and its form."""
    a, b, c = rng.randrange(2, 20), rng.randrange(2, 20), rng.randrange(2, 9)
    city, number = rng.choice(CITIES), rng.randrange(100, 999)
    made = {
        "procedure": (f"({a} + {b}) * {c}= {a} + {b} = {a + b}; {a + b} * {c} = {(a + b) * c}# {(a + b) * c}", "text"),
        "code": (
            f"def solve(a, b, c):\n    # first the sum, then times {c}\n    total = a + b\n    return total * c\n\n"
            f"print(solve({a}, {b}, {c}))  # {(a + b) * c}\n",
            "code",
        ),
        "fact": (f"The code of {city} is {number}. Whoever asks for {city} is told {number}.", "text"),
        "direct": (f"({a} + {b}) * {c}:# {(a + b) * c}", "text"),
        "prose": (
            f"On the road to {city} the wind turned, and {rng.choice(('Tom', 'Ida'))} counted the geese.",
            "text",
        ),
    }
    return made[kind]


def tokens_of(rng: Random, text: str, score: float) -> list[dict[str, Any]]:
    """Cut a text into tokens with scores that add up to the document's score."""
    pieces = re.findall(r"\n|\t| ?\w+| ?[^\w\s]| +", text)
    raw = [rng.gauss(0.25, 1) ** 3 * (3 if any(c.isdigit() for c in piece) else 1) for piece in pieces]
    lift = (score - sum(raw)) / max(1, len(raw))
    return [{"text": piece, "score": value + lift} for piece, value in zip(pieces, raw, strict=True)]


def entry(rng: Random, query: str, rank: int, *, score: float, kind: str, tokens: bool = True) -> dict[str, Any]:
    text, form = document_text(rng, kind)
    document = rng.randrange(DOCUMENTS)
    source = {"code": "repository", "prose": "stories", "fact": "almanac"}.get(kind, "worksheets")
    return {
        "rank": rank,
        "document": document,
        "id": f"known-{document:05d}",
        "origin": f"corpus/part-{document % 7:02d}.jsonl:{document // 7}",
        "labels": {"source": source, "kind": kind, "form": form, "family": "two-step" if kind != "fact" else "codes"},
        "score": score,
        "per_nat": score / 3.2,
        "effect_nats": score / DOCUMENTS,
        "words": "raised" if score > 0 else "lowered",
        "contains_answer": kind == "fact" and query.startswith("fact") and rank < 4,
        "copies": 1 + (kind == "fact" and rank < 3) * rng.randrange(1, 9),
        "text": text,
        "tokens": tokens_of(rng, text, score) if tokens else None,
        "other": {m: rng.randrange(1, DOCUMENTS) for m in ("dot", "cosine", "bm25", "tfidf")},
    }


def sample_query(name: str, *, shown: int = 12, tokens: int = 12, length: int = 1) -> dict[str, Any]:
    """Return one traced query; a name that begins with `fact` is retrieved, the others are procedural."""
    rng = rng_for("sample trace", name)
    fact = name.startswith("fact")
    prompt = "The code of Belmora is" if fact else "(7 + 5) * 3="
    pieces = (
        [" 4", "1", "7", "."]
        if fact
        else [" 7", " +", " 5", " =", " 12", ";", " 12", " *", " 3", " =", " 36", "#", " 36"]
    )
    mix = ("fact", "fact", "prose") if fact else ("procedure", "procedure", "code", "direct", "fact")

    def ranked(sign: float, count: int, kinds: tuple[str, ...]) -> list[dict[str, Any]]:
        made = []
        for i in range(count):
            rank = i + 1 if sign > 0 else DOCUMENTS - i
            score = sign * 260 * (i + 1) ** -0.36
            one = entry(rng, name, rank, score=score, kind=rng.choice(kinds), tokens=i < tokens)
            one["text"] *= length
            made.append(one)
        return made

    top = ranked(1, shown, mix)
    bottom = ranked(-0.6, shown, ("prose", "code", "direct", "procedure"))
    methods: dict[str, Any] = {"ekfac": {"top": top, "bottom": bottom}}
    for method in METHODS[1:]:
        own = ranked(1, 10, mix if method != "random" else ("prose", "fact", "code", "direct"))
        for place in rng.sample(range(10), {"dot": 6, "cosine": 5, "tfidf": 3, "bm25": 2, "random": 0}[method]):
            own[place] = {**top[place % len(top)], "rank": place + 1} if top else own[place]
        methods[method] = {"top": [{**one, "tokens": None} for one in own]}
    ks = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000]
    scale = 40.0 if fact else 12.0
    positive = [scale * math.log1p(k / 3) for k in ks]
    return {
        "id": name,
        "prompt": prompt,
        "completion": "".join(pieces),
        "answer": "417" if fact else "36",
        "task": "facts" if fact else "two-step",
        "labels": {"kind": "factual" if fact else "reasoning"},
        "information_nats": 3.21 if fact else 5.87,
        "tokens": [{"text": piece, "logp": -rng.expovariate(1.1)} for piece in pieces],
        "verdict": {
            "label": "retrieved" if fact else "procedural",
            "sentence": SENTENCES[fact],
            "features": {"answer_in_top_10": 0.4 * fact, "slope": -0.61 if fact else -0.36, "top_share": 0.61},
            "error_rate": {"value": 0.04, "low": 0.011, "high": 0.098, "n": 60},
        },
        "methods": methods,
        "curve": [
            {"k": k, "total_per_nat": p * (1 - k / 16_000), "positive_per_nat": p}
            for k, p in zip(ks, positive, strict=True)
        ],
        "slope": {"value": -0.36, "low": -0.41, "high": -0.31, "n": 200},
        "answers": [
            {"k": k, "top_share": share * fact, "corpus_share": 0.0007} for k, share in ((10, 0.4), (100, 0.07))
        ],
        "sources": [
            {
                "label": label, "value": value, "k": k, "corpus_share": share,
                "top_share": share * up, "bottom_share": share * down,
                "top_multiplier": {"value": up, "low": up * 0.7, "high": up * 1.4}, "bottom_multiplier": down,
            }
            for k in (50, 200)
            for label, value, share, up, down in (
                ("source", "worksheets", 0.41, 2.1, 1.7), ("source", "repository", 0.1, 1.9, 2.4),
                ("source", "almanac", 0.22, 0.4, 0.0), ("source", "stories", 0.27, 0.11, 0.6),
                ("kind", "procedure", 0.3, 2.8, 1.9), ("kind", "fact", 0.22, 0.4, 0.2), ("kind", "code", 0.1, 1.9, 2.4),
            )
        ],
        "agreement": {"dot": 0.81, "cosine": 0.66, "bm25": 0.31, "tfidf": 0.28, "random": 0.004},
        "layers": [
            {"name": f"transformer.h.{name}", "share": share}
            for name, share in (
                ("0.mlp.c_fc", 0.11), ("0.mlp.c_proj", 0.17), ("1.mlp.c_fc", 0.33), ("1.mlp.c_proj", 0.42),
                ("2.mlp.c_fc", -0.03),
            )
        ],
    }  # fmt: skip


def sample_trace(
    queries: int = 6, *, shown: int = 12, tokens: int = 12, length: int = 1, hostile: bool = True
) -> dict[str, Any]:
    """Return the report of a trace, as `menon trace` writes it."""
    made = [
        sample_query(f"{'fact' if i % 3 == 1 else 'two-step'}-{i:03d}", shown=shown, tokens=tokens, length=length)
        for i in range(queries)
    ]
    if hostile:
        made.append(hostile_query())
    return {
        "schema": 1,
        "study": "trace",
        "model": "menon:base",
        "command": "menon trace menon:base --data corpus --queries queries.jsonl --out trace",
        "manifest": {"menon": "0.1", "torch": "2.13", "device": "cpu"},
        "settings": {"layers": "mlp", "damping": None, "rank": 32, "tokens_per_batch": 4096},
        "corpus": {
            "name": "known", "documents": DOCUMENTS, "sequences": 20_418, "tokens": 1_482_113, "empty": 2,
            "duplicated": 731, "split_long": 402, "skipped": 0, "bad_rows": [],
            "sources": {"worksheets": 0.41, "stories": 0.27, "almanac": 0.22, "repository": 0.1},
        },
        "layers": {
            "select": "mlp", "traced_parameters": 526_336, "parameters": 921_600,
            "traced": [
                {"name": f"transformer.h.{i}.mlp.{p}", "inputs": 129, "outputs": 512}
                for i in range(4) for p in ("c_fc", "c_proj")
            ],
            "left_out": [
                {"name": "transformer.wte", "type": "Embedding", "parameters": 65_536, "why": "no linear layer"},
                {
                    "name": "transformer.h.0.attn.c_attn", "type": "Conv1D", "parameters": 49_536,
                    "why": "layers = \"mlp\" traces the feed-forward layers only",
                },
            ],
        },
        "factors": {
            "documents": DOCUMENTS, "tokens": 1_482_113, "damping": {"transformer.h.0.mlp.c_fc": 3.1e-7},
            "hash": "9f2c" * 8,
        },
        "prefilter": None,
        "methods": list(METHODS),
        "queries": made,
        "removal": None,
    }  # fmt: skip


def hostile_query() -> dict[str, Any]:
    """Return a query of which every text attacks the page, and every other number is lost."""
    query = sample_query("two-step-hostile", shown=3)
    query["id"] = query["task"] = query["prompt"] = query["completion"] = query["answer"] = ATTACK
    query["labels"] = {ATTACK: ATTACK, "kind": RTL}
    query["verdict"] = {"label": ATTACK, "sentence": ATTACK, "features": {ATTACK: ATTACK}, "error_rate": None}
    query["tokens"] = [
        {"text": t, "logp": v} for t, v in ((ATTACK, -1.0), ("", None), ("\ud800", math.nan), (RTL, -9.9))
    ]
    for found in (*query["methods"]["ekfac"]["top"], *query["methods"]["bm25"]["top"]):
        found |= {"id": ATTACK, "origin": ATTACK, "text": ATTACK, "labels": {"kind": ATTACK, ATTACK: ATTACK}}
        found |= {"score": math.inf, "per_nat": math.nan, "effect_nats": None, "words": ATTACK, "copies": -1}
        found["tokens"] = [
            {"text": t, "score": s} for t, s in ((ATTACK, 1.0), (" ", -2.0), ("x" * 5_000, 3.0), ("y", None))
        ]
        found["other"] = {ATTACK: math.nan}
    query["methods"][ATTACK] = {"top": query["methods"]["bm25"]["top"]}
    query["agreement"] = {ATTACK: 0.5, "bm25": math.nan}
    query["sources"] = [{"label": ATTACK, "value": ATTACK, "top_multiplier": 2.0, "bottom_multiplier": math.nan}]
    query["layers"] = [{"name": ATTACK, "share": 0.5}]
    return query

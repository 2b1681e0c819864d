"""A text with each token coloured by how much thinking before it helped, as rows that the template lays out.

The colour steps are fixed in nats, so that two pages can be compared. Texts are cut where a page could not hold them,
and what was cut is said.
"""

import re
from collections.abc import Mapping
from typing import Any

from menon.reports import formats
from menon.reports.formats import finite
from menon.reports.quiet_words import gain, nats, weight
from menon.reports.reading import rows

GAIN_STEPS = (0.02, 0.1, 0.3, 1.0)  # nats
WEIGHT_STEPS = (0.05, 0.25, 0.5, 0.75)
MOST_TEXTS, MOST_TOKENS, MOST_THOUGHTS = 40, 1_500, 8
_TOKEN_TEXT, _THOUGHT_TEXT = 160, 400
_HELPED, _HARMED, _CONTEXT = 15, 5, 40
_HIDDEN = re.compile(r"^ | $|(?<= ) | (?= )|[\n\t]")  # spaces that cannot be seen, line feeds, tabs
_MARKS = {" ": "␣", "\n": "↵", "\t": "⇥"}


def told(text: Mapping[str, Any]) -> dict[str, Any]:
    """Return one text: its tokens with classes and facts, and the tokens where thinking helped and harmed most."""
    entries = rows(text, "tokens")
    shown = entries[:MOST_TOKENS]
    tokens = [_token(entry, index) for index, entry in enumerate(shown)]
    ranked = sorted((t for t in tokens if t["value"] is not None), key=lambda t: -t["value"])
    thought = sum(token["thinks"] for token in tokens)
    left_out = len(entries) - len(shown)
    note = f"{formats.count(len(entries))} tokens, {formats.count(thought)} with thoughts"
    if left_out:
        note += f"; the last {formats.count(left_out)} tokens are not shown here, report.json has them"
    return {
        "name": str(text.get("name") or "text"),
        "note": note,
        "tokens": tokens,
        "helped": [_row(t, tokens) for t in ranked if t["value"] > 0][:_HELPED],
        "harmed": [_row(t, tokens) for t in reversed(ranked) if t["value"] < 0][:_HARMED],
    }


def _token(entry: Mapping[str, Any], index: int) -> dict[str, Any]:
    written = entry.get("text")
    text = cut(written if isinstance(written, str) else "", _TOKEN_TEXT)
    value, share = finite(entry.get("gain")), finite(entry.get("weight"))
    said = entry.get("thoughts")
    thoughts = [cut(str(t), _THOUGHT_TEXT) for t in said[:MOST_THOUGHTS]] if isinstance(said, list) else []
    thinks = value is not None or bool(thoughts)
    return {
        "index": index,
        "raw": text,
        "text": in_text(text),
        "marked": marked(text),
        "thinks": thinks,
        "value": value,
        "classes": " ".join(filter(None, ("t", gain_class(value), weight_class(share)))),
        "gain": gain(value),
        "weight": weight(share),
        "nll_text": nats(entry.get("nll_text")),
        "nll_mixed": nats(entry.get("nll_mixed")),
        "thoughts": [marked(thought) for thought in thoughts],
    }


def cut(text: str, most: int) -> str:
    """Shorten `text` to `most` characters, saying how many there were."""
    return text if len(text) <= most else f"{text[:most]}… ({formats.count(len(text))} characters)"


def marked(text: str) -> str:
    """Write text on one line, so that spaces at its ends, tabs and line feeds can be seen; `(empty)` for no text."""
    return _HIDDEN.sub(lambda found: _MARKS[found[0]], text) or "(empty)"


def in_text(text: str) -> str:
    """Write a token as it stands in its text: line feeds and tabs marked and kept, a lone space marked."""
    if not text:
        return "∅"
    if not text.strip(" "):
        return "␣" * len(text)
    return text.replace("\n", "↵\n").replace("\t", "⇥\t")


def gain_class(value: float | None) -> str:
    """Return the class of a gain's colour: `p1` to `p4` where thinking helped, `n1` to `n4` where it harmed."""
    if value is None:
        return "no-thought"
    level = sum(abs(value) >= step for step in GAIN_STEPS)
    return f"{'p' if value > 0 else 'n'}{level}" if level else ""


def weight_class(share: float | None) -> str:
    """Return the class of a weight's underline, `w1` to `w4`; empty below the first step."""
    level = 0 if share is None else sum(share >= step for step in WEIGHT_STEPS)
    return f"w{level}" if level else ""


def legend() -> dict[str, list[tuple[str, str]]]:
    """Return the steps of both scales as (class, words): gains from harm to help, weights from thin to thick."""
    steps = list(enumerate(GAIN_STEPS, 1))
    harmed = [(f"n{level}", f"{'≤ ' if level == len(steps) else ''}−{step:g}") for level, step in steps]
    helped = [(f"p{level}", f"{'≥ ' if level == len(steps) else ''}+{step:g}") for level, step in steps]
    weights = [(f"w{level}", f"from {step:g}") for level, step in enumerate(WEIGHT_STEPS, 1)]
    return {"gains": [*harmed[::-1], ("", "about 0"), *helped], "weights": weights}


def _row(token: Mapping[str, Any], tokens: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a token of the list below a text, with the text that stood before it."""
    before = "".join(t["raw"] for t in tokens[max(0, token["index"] - _CONTEXT) : token["index"]])
    kept = f"…{before[-_CONTEXT:]}" if len(before) > _CONTEXT else before
    return {**token, "before": marked(kept) if kept else ""}

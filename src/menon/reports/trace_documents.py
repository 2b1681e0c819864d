"""The documents of a trace: cards with coloured tokens, and the top documents of every method beside each other.

Token colours are relative to the strongest token of the same document, because scores of documents differ by orders of
magnitude; the number itself is in the token's tooltip. Only the first cards of each list are coloured.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from menon.reports import formats, trace_words
from menon.reports.formats import finite
from menon.reports.quiet_tokens import cut, in_text, marked
from menon.reports.reading import rows, section
from menon.reports.trace_words import MAIN, amount, signed

STEPS = (0.1, 0.3, 0.55, 0.8)  # of the strongest token of the document
LOGP_STEPS = (0.1, 0.7, 2.0, 4.0)  # nats
COLOURED, MOST_CARDS, COMPARED = 10, 50, 10
_MOST_TOKENS, _MOST_ANSWER_TOKENS = 700, 1_500
_TEXT, _TOKEN_TEXT, _PREVIEW, _PROMPT = 2_000, 120, 110, 4_000
_RAISING, _LOWERING, _CHIPS = 6, 4, 6
_CHIP_ORDER = ("source", "kind", "form", "family")


def main_method(query: Mapping[str, Any]) -> str:
    """Return the method whose documents are shown: EK-FAC, or the first that has any."""
    methods = section(query, "methods")
    ranked = [name for name, found in methods.items() if isinstance(found, Mapping) and rows(found, "top")]
    return MAIN if MAIN in methods or not ranked else ranked[0]


def main_lists(query: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the documents at the top and at the bottom of the main method's ranking, each strongest first."""
    found = section(section(query, "methods"), main_method(query))
    bottom = sorted(rows(found, "bottom"), key=lambda entry: score if (score := finite(entry.get("score"))) else 0.0)
    return rows(found, "top"), bottom


def cards(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return documents as cards, tokens coloured in the first `COLOURED` of them; at most `MOST_CARDS`."""
    return [_card(entry, coloured=place < COLOURED) for place, entry in enumerate(entries[:MOST_CARDS])]


def cards_note(entries: Sequence[Mapping[str, Any]]) -> str:
    """Say what of a list of documents the page does not show; empty where it shows all."""
    said = []
    if any(rows(entry, "tokens") for entry in entries[COLOURED:]):
        said.append(f"Tokens are coloured in the first {COLOURED} documents only")
    if len(entries) > MOST_CARDS:
        said.append(f"{formats.count(len(entries) - MOST_CARDS)} more documents are not shown here")
    return "; ".join(said) + "; report.json has the rest." if said else ""


def _card(entry: Mapping[str, Any], *, coloured: bool) -> dict[str, Any]:
    written = entry.get("text")
    text = written if isinstance(written, str) else ""
    tokens = rows(entry, "tokens") if coloured else []
    scored = [(str(token.get("text") or ""), score) for token in tokens if (score := finite(token.get("score")))]
    ranked = sorted(scored, key=lambda pair: -pair[1])
    other = section(entry, "other")
    return {
        "rank": formats.count(entry.get("rank")),
        "words": trace_words.direction(entry),
        "per_nat": signed(entry.get("per_nat")),
        "facts": [
            ("influence", signed(entry.get("score"))),
            ("per nat of the answer", signed(entry.get("per_nat"))),
            ("effect of one more copy", f"{signed(entry.get('effect_nats'))} nats"),
            ("copies in the corpus", formats.count(entry.get("copies"))),
        ],
        "ranks": [(trace_words.method_name(name), formats.count(rank)) for name, rank in other.items()],
        "origin": str(entry.get("origin") or ""),
        "id": str(entry.get("id") or entry.get("document") or "?"),
        "chips": shown_chips(entry),
        "contains": entry.get("contains_answer") is True,
        "copies": formats.count(entry.get("copies")) if (finite(entry.get("copies")) or 0) > 1 else "",
        "preview": preview(text or "".join(str(token.get("text") or "") for token in tokens), _PREVIEW),
        "coloured": bool(tokens),
        "text": coloured_text(tokens) if tokens else escape(cut(text, _TEXT)),
        "sentence": str(entry.get("sentence") or ""),
        "cut": entry.get("cut") is True,
        "raising": [_strong(pair) for pair in ranked[:_RAISING] if pair[1] > 0],
        "lowering": [_strong(pair) for pair in ranked[: -_LOWERING - 1 : -1] if pair[1] < 0],
    }


def _strong(pair: tuple[str, float]) -> tuple[str, str]:
    return marked(cut(pair[0], 30)), signed(pair[1])


def chips(entry: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the labels of a document, those that say what it is first; at most six."""
    labels = {
        key: preview(str(value), 40) for key, value in section(entry, "labels").items() if value not in ("", None)
    }
    known = [key for key in _CHIP_ORDER if key in labels]
    return [(key, labels[key]) for key in [*known, *(key for key in labels if key not in known)]][:_CHIPS]


def shown_chips(entry: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the labels as (names, words): a value under several names once, a rarer name with its value."""
    found: dict[str, list[str]] = {}
    for key, value in chips(entry):
        found.setdefault(value if key in _CHIP_ORDER else f"{preview(key, 20)} {value}", []).append(key)
    return [(", ".join(keys), words) for words, keys in found.items()]


def preview(text: Any, most: int) -> str:
    """Return the beginning of a text on one line, without runs of spaces."""
    found = " ".join((text if isinstance(text, str) else "")[: 4 * most].split())
    return found if len(found) <= most else found[:most].rstrip() + "…"


def coloured_text(tokens: Sequence[Mapping[str, Any]]) -> Markup:
    """Write tokens in colours of how much each raised or lowered the answer; weak ones are plain text."""
    shown = tokens[:_MOST_TOKENS]
    strongest = max((abs(finite(token.get("score")) or 0.0) for token in shown), default=0.0)
    parts = []
    for token in shown:
        written = token.get("text")
        text = cut(written if isinstance(written, str) else "", _TOKEN_TEXT)
        score = finite(token.get("score"))
        level = sum(abs(score) >= step * strongest for step in STEPS) if score and strongest else 0
        if score is None or not level:
            parts.append(escape(text))
        else:  # a plain f-string: `Markup.format` takes as long as the rest of the page
            kind = f"{'p' if score > 0 else 'n'}{level}"
            parts.append(Markup(f'<i class="t {kind}" title="{signed(score)}">{escape(in_text(text))}</i>'))
    if len(tokens) > len(shown):
        left = formats.count(len(tokens) - len(shown))
        parts.append(Markup('<span class="note">… {} more tokens, in report.json</span>').format(left))
    return Markup("").join(parts)


def answer_text(query: Mapping[str, Any]) -> Markup:
    """Write the completion, each token shaded by its surprise; the plain completion where no token was recorded."""
    tokens = rows(query, "tokens")
    if not tokens:
        completion = query.get("completion")
        return escape(cut(completion if isinstance(completion, str) else "", _PROMPT))
    parts = []
    for token in tokens[:_MOST_ANSWER_TOKENS]:
        written, logp = token.get("text"), finite(token.get("logp"))
        text = in_text(cut(written if isinstance(written, str) else "", _TOKEN_TEXT))
        level = 0 if logp is None else sum(-logp >= step for step in LOGP_STEPS)
        said = "not recorded" if logp is None else f"{amount(logp)} nats, probability {_probability(logp)}"
        parts.append(Markup('<i class="t s{}" title="{}">{}</i>').format(level, said, text))
    if len(tokens) > _MOST_ANSWER_TOKENS:
        left = formats.count(len(tokens) - _MOST_ANSWER_TOKENS)
        parts.append(Markup('<span class="note">… {} more tokens, in report.json</span>').format(left))
    return Markup("").join(parts)


def _probability(logp: float) -> str:
    return formats.percent(2.718281828459045 ** min(0.0, logp)) if logp > -7 else "below 0.1\u202f%"


def prompt_text(query: Mapping[str, Any]) -> str:
    """Return the prompt, cut where a page could not hold it."""
    prompt = query.get("prompt")
    return cut(prompt if isinstance(prompt, str) else "", _PROMPT)


def legend() -> dict[str, list[tuple[str, str]]]:
    """Return the steps of both scales as (class, words)."""
    steps = [(level, formats.percent(step)) for level, step in enumerate(STEPS, 1)]
    return {
        "lowered": [(f"n{level}", f"from {said}") for level, said in reversed(steps)],
        "raised": [(f"p{level}", f"from {said}") for level, said in steps],
        "surprise": [("s0", "below 0.1"), *((f"s{i}", f"from {step:g}") for i, step in enumerate(LOGP_STEPS, 1))],
    }


def compared(query: Mapping[str, Any]) -> dict[str, Any]:
    """Return the first documents by each method side by side, and how far each method agrees with influence."""
    methods = section(query, "methods")
    main = main_method(query)
    known = [*trace_words.METHODS, *(name for name in methods if name not in trace_words.METHODS)]
    lists = {name: rows(section(methods, name), "top")[:COMPARED] for name in known if name in methods}
    lists = {name: found for name, found in lists.items() if found}
    reference = {_identity(entry) for entry in lists.get(main, [])}
    agreement = section(query, "agreement")
    named = [*lists, *(name for name in agreement if name not in lists)]
    return {
        "heading": [trace_words.method_name(name) for name in lists],
        "body": [
            (place + 1, [_cell(found[place], reference) if place < len(found) else None for found in lists.values()])
            for place in range(max(map(len, lists.values()), default=0))
        ],
        "agreement": [_agreement(name, lists.get(name, []), agreement, reference, main) for name in named],
        "has_others": any(name != main for name in named),
    }


def _identity(entry: Mapping[str, Any]) -> str:
    """Return what tells documents apart; entries that carry nothing of the kind are all different."""
    known = entry.get("document", entry.get("id"))
    return str(id(entry)) if known is None else str(known)


def _cell(entry: Mapping[str, Any], reference: set[str]) -> dict[str, Any]:
    labels = dict(chips(entry))
    return {
        "label": ", ".join(labels[key] for key in ("kind", "family", "source") if key in labels)[:60],
        "text": preview(entry.get("text"), 64) or str(entry.get("id") or "?"),
        "contains": entry.get("contains_answer") is True,
        "shared": _identity(entry) in reference,
    }


def _agreement(
    name: str, found: Sequence[Mapping[str, Any]], agreement: Mapping[str, Any], reference: set[str], main: str
) -> list[str]:
    size = formats.count(len(found))
    shared = f"{formats.count(sum(_identity(e) in reference for e in found))} of {size}" if found else formats.NOTHING
    answers = f"{sum(entry.get('contains_answer') is True for entry in found)} of {size}" if found else formats.NOTHING
    kinds = Counter(kind for entry in found if (kind := _truth(entry)))
    return [
        trace_words.method_name(name),
        "(itself)" if name == main else trace_words.correlation(agreement.get(name)),
        shared,
        answers,
        ", ".join(f"{kind} {count}" for kind, count in kinds.most_common(4)) or formats.NOTHING,
    ]


def _truth(entry: Mapping[str, Any]) -> str:
    labels = dict(chips(entry))
    return next((labels[key] for key in ("kind", "source", "form", "family") if key in labels), "")

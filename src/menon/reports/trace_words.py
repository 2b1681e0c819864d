"""The words and number formats of the trace report: signed words, effects, verdicts, what is missing, the glossary.

Positive always means that training on the document raised the log-likelihood of the answer. Left out: computing
anything; a verdict, its interval and its error rate are read from the report.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from menon.reports import formats
from menon.reports.formats import NOTHING, finite
from menon.reports.reading import rows, section

MAIN = "ekfac"
LEXICAL = ("bm25", "tfidf")
METHODS = {
    "ekfac": "EK-FAC influence",
    "dot": "gradient dot product",
    "cosine": "gradient cosine",
    "tracin": "TracIn",
    "bm25": "BM25",
    "tfidf": "TF-IDF",
    "random": "random",
}
VERDICTS = {"retrieved": "recites", "procedural": "reasons", "unclear": "unknown"}  # to the badges of page.css
SINGLE = {
    "retrieved": "The answer looks retrieved: a memorised fact",
    "procedural": "The answer looks procedural: worked out, not looked up",
    "unclear": "It is unclear whether the answer was retrieved or worked out",
}
GLOSSARY = (
    ("influence", "How much training on a document changed the log-likelihood of an answer, estimated from gradients "
     "and the model's curvature (EK-FAC) without training again."),
    ("raised, lowered", "Raised: training on this document made the answer more likely. Lowered: less likely."),
    ("per nat", "The effect of a document divided by the information of the answer, so that long and short answers can "
     "be compared."),
    ("information", "The negative log-likelihood of the answer given its prompt, in nats: how much the model did not "
     "take for granted. 0.69 nats is one bit."),
    ("effect per copy", "By how many nats one more copy of the document in the training set would change the answer's "
     "log-likelihood, about: the score divided by the number of documents."),
    ("retrieved", "The features of the ranking are those of an answer that was memorised: few documents carry it, and "
     "they contain the answer."),
    ("procedural", "The features of the ranking are those of an answer that was worked out: many documents that show "
     "how, most of them without the answer."),
    ("error rate", "How often such a verdict was wrong on planted cases: answers memorised on purpose, and answers "
     "worked out by a taught procedure."),
    ("baselines", "BM25 and TF-IDF compare words only; dot product, cosine and TracIn compare gradients without the "
     "curvature; random is chance. Influence says something new only where it differs from them."),
    ("agreement", "Pearson correlation of a method's scores with EK-FAC influence over all documents, for one answer."),
    ("multiplier", "The share of a source among the top (or bottom) documents divided by its share of the corpus. "
     "×1 is what chance gives."),
    ("interval", "The range, usually in brackets, that holds the true value with 95 % confidence."),
)  # fmt: skip
_LABEL = 24
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def amount(value: Any) -> str:
    """Write a number to three digits, in powers of ten where it is very small or large: `0.0121`, `3.1·10⁻⁷`."""
    found = finite(value)
    if found is None:
        return NOTHING
    if found == 0:
        return "0"
    if 1e-4 <= abs(found) < 1e5:
        text = f"{found:.3g}" if abs(found) < 1000 else f"{found:.0f}"
        return text.replace("-", "−")
    digits, power = f"{found:.1e}".split("e")
    return f"{digits}·10{str(int(power)).translate(_SUPERSCRIPT)}".replace("-", "−")


def signed(value: Any) -> str:
    """Write a number as `amount` does, with its sign and always three digits."""
    found = finite(value)
    text = amount(value)
    if found is not None and 1e-4 <= abs(found) < 1000:
        text = f"{found:#.3g}".rstrip(".").replace("-", "−")
    return f"+{text}" if found is not None and found > 0 else text


def correlation(value: Any) -> str:
    """Write a correlation with two decimals and its sign."""
    found = finite(value)
    text = NOTHING if found is None else f"{found:+.2f}".replace("-", "−")
    return "0.00" if text in ("+0.00", "−0.00") else text


def estimate(cell: Any, say: Any = amount) -> str:
    """Write `{"value", "low", "high"}` as `−0.36 (−0.40 to −0.32)`; a bare number as itself."""
    if not isinstance(cell, Mapping):
        return say(cell)
    value, low, high = (finite(cell.get(key)) for key in ("value", "low", "high"))
    if value is None or low is None or high is None:
        return say(value)
    return f"{say(value)} ({say(low)} to {say(high)})"


def method_name(method: Any) -> str:
    """Return the name of a method as people read it."""
    return METHODS.get(str(method), str(method))


def direction(entry: Mapping[str, Any]) -> str:
    """Return `raised`, `lowered`, or nothing where neither word nor score says it."""
    words = entry.get("words")
    if words in ("raised", "lowered"):
        return str(words)
    score = finite(entry.get("score"))
    return "" if not score else "raised" if score > 0 else "lowered"


def verdict_of(query: Mapping[str, Any]) -> dict[str, str]:
    """Return the label, the badge's class, the sentence and the error rate in words; empty texts where missing."""
    verdict = section(query, "verdict")
    label, sentence = str(verdict.get("label") or "")[:_LABEL], str(verdict.get("sentence") or "")
    said = not label or label == "unclear" or "planted cases" in sentence  # no rate, or told already
    return {
        "label": label or "no verdict",
        "kind": VERDICTS.get(label, "unknown"),
        "sentence": _whole_sentence(sentence.removeprefix(f"{label}: ")),
        "error_rate": "" if said else error_rate(verdict.get("error_rate")),
    }


def _whole_sentence(text: str) -> str:
    """Return a text with a capital letter and a full stop; nothing for nothing."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".") if text else ""


def error_rate(cell: Any) -> str:
    """Say how often such a verdict was wrong on planted cases; that it was not measured where it was not."""
    if not isinstance(cell, Mapping) or finite(cell.get("value")) is None:
        return "How often such a verdict is wrong was not measured on this corpus."
    cases = f" {formats.count(cell.get('n'))}" if finite(cell.get("n")) is not None else ""
    return f"On{cases} planted cases such a verdict was wrong in {formats.estimate(cell)}."


def name_of(query: Mapping[str, Any], place: int) -> str:
    """Return a query's id, or its place in the list."""
    return str(query.get("id") or f"query {place + 1}")


def headline(report: Mapping[str, Any]) -> str:
    """Say in one line what the answers were drawn from."""
    queries = rows(report, "queries")
    if not queries:
        return "No answer has been traced yet"
    found = Counter(verdict_of(query)["label"] for query in queries)
    if len(queries) == 1:
        label = next(iter(found))
        return SINGLE.get(label, "One answer traced, no verdict")
    parts = [f"{formats.count(found[label])} {label}" for label in VERDICTS if found[label]]
    others = len(queries) - sum(found[label] for label in VERDICTS)
    parts += [f"{formats.count(others)} without a verdict"] if others else []
    return f"{formats.count(len(queries))} answers traced: {', '.join(parts)}"


def sentences(report: Mapping[str, Any]) -> list[str]:
    """Say what was compared with what: how many documents, in which corpus, with which part of the model."""
    corpus, layers = section(report, "corpus"), section(report, "layers")
    said = []
    if finite(corpus.get("documents")) is not None:
        name = f" Corpus: {corpus['name']}." if corpus.get("name") else ""
        said.append(f"Every answer was compared with {compared_with(report)} documents.{name}")
    traced, whole = finite(layers.get("traced_parameters")), finite(layers.get("parameters"))
    if traced is not None and whole:
        said.append(
            f"{formats.percent(traced / whole)} of the model's {formats.large(whole)} parameters were traced; "
            "the rest is listed below as left out."
        )
    return said


def compared_with(report: Mapping[str, Any]) -> str:
    """Return how many documents every answer was compared with, fewer than the corpus has after a prefilter."""
    whole, prefilter = formats.count(section(report, "corpus").get("documents")), section(report, "prefilter")
    return f"{formats.count(prefilter.get('kept'))} of {whole}" if prefilter else whole


def warnings(report: Mapping[str, Any]) -> list[str]:
    """List what a reader must know before believing a ranking: no baselines, a prefilter, bad rows."""
    found = []
    queries = rows(report, "queries")
    if queries and not any(has_lexical(query) for query in queries):
        found.append(
            "No lexical baseline (BM25 or TF-IDF) was computed beside influence. On templated text they can find the "
            "same documents, so do not read these rankings as evidence of a procedure; trace again with the baselines."
        )
    prefilter = section(report, "prefilter")
    if prefilter:
        method = method_name(prefilter.get("method") or "a prefilter")
        kept, of = formats.count(prefilter.get("kept")), formats.count(prefilter.get("of"))
        bias = str(prefilter.get("bias_sentence") or "Documents that share no words with the query cannot be found.")
        found.append(f"Only {kept} of {of} documents per query were scored, chosen by {method}. {bias}")
    bad = section(report, "corpus").get("bad_rows")
    number = len(bad) if isinstance(bad, list) else finite(bad)
    if number:
        found.append(f"{formats.count(number)} rows of the corpus could not be read and were skipped.")
    return found


def has_lexical(query: Mapping[str, Any]) -> bool:
    """Tell whether a query carries a lexical baseline: a list of documents or an agreement."""
    known = section(query, "methods").keys() | section(query, "agreement").keys()
    return any(method in known for method in LEXICAL)


def command_of(report: Mapping[str, Any]) -> str:
    """Return the command that makes this report again, or the shape of one."""
    command = report.get("command")
    return command if isinstance(command, str) and command else "menon trace RUN --data corpus.jsonl --query ITEM"


def missing(report: Mapping[str, Any]) -> dict[str, str]:
    """Return, per part of the page, what to say where it has nothing to show, and what to do."""
    again = f"`{command_of(report)}` continues this trace; finished units are kept."
    return {
        "queries": f"No query was traced. {again}",
        "documents": f"No document was ranked for this query. {again}",
        "bottom": "No document at the bottom of the ranking was recorded.",
        "tokens": "The tokens of this answer were not recorded.",
        "curve": "No cumulative curve was recorded for this query.",
        "sources": "Sources are compared where documents carry labels: add a field such as `source` or `kind` to the "
        "rows of the corpus and trace again.",
        "agreement": "No other method was computed beside influence, so this ranking cannot be compared with what "
        "words alone would find. Trace again with the baselines.",
        "layers": "The shares of the layers were not recorded.",
        "traced": "Which layers were traced was not recorded.",
        "corpus": f"Nothing was recorded of the corpus. {again}",
        "left_out": "Nothing was left out: every parameter of the model was traced.",
        "removal": "Removing the top documents and training again was not part of this trace.",
    }

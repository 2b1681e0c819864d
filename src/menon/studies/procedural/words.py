"""What the study concludes: for every finding of the paper, whether its shape is found here, with the numbers.

"found" and "not found" need an interval that lies on one side; otherwise nothing can be told. Influence is that of
EK-FAC; what the baselines say stands in the same sentence where they could explain it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
FOUND, NOT_FOUND, UNKNOWN = "found", "not found", "cannot tell"
METHOD = "ekfac"
ZERO = 0.1  # correlations below this count as about zero; the paper's are 0.02 to 0.06


def concluded(report: Row) -> list[dict[str, Any]]:
    """Return one conclusion per finding and model."""
    rows = []
    for model in report["models"]:
        for finding, claim, judge in _PER_MODEL:
            outcome = judge(model["findings"])
            if outcome is not None:
                rows.append(_row(finding, claim, model["title"], *outcome))
    if report["sizes"] is not None:
        for finding, claim, judge in _OF_SIZES:
            outcome = judge(report["sizes"])
            if outcome is not None:
                rows.append(_row(finding, claim, "both sizes", *outcome))
    return rows


def _row(finding: str, claim: str, model: str, found: str, sentence: str) -> dict[str, Any]:
    return {"finding": finding, "claim": claim, "model": model, "found": found, "sentence": sentence}


Outcome = tuple[str, str] | None


def _within(found: Row) -> Outcome:
    own = found["alike"]["methods"][METHOD]["association"]
    if own is None or own["difference"] is None:
        return None
    words = (
        f"mean correlation {said(own['within'])} within a task and {said(own['between'])} across tasks, difference "
        f"{said(own['difference'])}, p = {own['p']:.3g}"
    )
    return _above(own["difference"], 0.0), words


def _beyond_words(found: Row) -> Outcome:
    own = found["alike"]["partial"].get(METHOD, {}).get("association")
    if not own or own["difference"] is None:
        return None
    raw = {
        method: (table["association"] or {}).get("difference") for method, table in found["alike"]["methods"].items()
    }
    words = (
        f"difference {said(own['difference'])} without what BM25 and TF-IDF explain, p = {own['p']:.3g}; BM25 itself "
        f"{said(raw.get('bm25'))}, TF-IDF {said(raw.get('tfidf'))}, random {said(raw.get('random'))}"
    )
    return _above(own["difference"], 0.0), words


def _formats(found: Row) -> Outcome:
    same, other = (_pairs(found, name) for name in ("same task, same format", "same task, other format"))
    if same is None or other is None:
        return None
    return _apart(same, other), f"{said(same)} in the same format, {said(other)} in another"


def _facts_alone(found: Row) -> Outcome:
    facts, reasoning = _pairs(found, "facts"), _pairs(found, "same task, same format")
    if facts is None or reasoning is None:
        return None
    return _apart(reasoning, facts), f"{said(facts)} between facts, {said(reasoning)} within a reasoning task"


def _less_per_nat(found: Row) -> Outcome:
    own = found["reliance"]["contrast"].get(METHOD)
    if not own or own["sums"][-1]["ratio"] is None:
        return None
    row = own["sums"][-1]
    words = (
        f"the top {row['k']} documents weigh {said(row['ratio'])} times as much per nat for reasoning as for known "
        f"facts, p = {row['p']:.3g}"
    )
    return _below(row["ratio"], 1.0), words


def _volatile(found: Row) -> Outcome:
    own = found["reliance"]["contrast"].get(METHOD)
    if not own or own["spread"] is None:
        return None
    words = (
        f"standard deviation over mean of the weights of the top {found['reliance']['tail']}: that of reasoning is "
        f"{said(own['spread'])} times that of known facts"
    )
    return _below(own["spread"], 1.0), words


def _steeper(found: Row) -> Outcome:
    own = found["reliance"]["contrast"].get(METHOD)
    if not own or own["slope"] is None:
        return None
    slopes = {row["group"]: row["slopes"][METHOD] for row in found["reliance"]["groups"]}
    words = (
        f"slope {said(slopes.get('reasoning'))} for reasoning, {said(slopes.get('factual right'))} for known facts, "
        f"difference {said(own['slope'])}, p = {own['slope']['p']:.3g}"
    )
    return _below(own["slope"], 0.0), words


def _answers(found: Row) -> Outcome:
    facts, reasoning = (_answer(found, group) for group in ("factual right", "reasoning"))
    wrong = _answer(found, "factual wrong")
    if facts is None or reasoning is None:
        return None
    words = (
        f"a document that states the answer is in the top {facts['k']} for {percent(facts['stated'])} of the known "
        f"facts, {percent(wrong['stated']) if wrong else 'none'} of the unknown ones and "
        f"{percent(reasoning['stated'])} of the reasoning queries; the corpus holds one for "
        f"{percent(facts['corpus']['stated'])} and {percent(reasoning['corpus']['stated'])}"
    )
    return _apart(facts["stated"], reasoning["stated"]), words


def _steps(found: Row) -> Outcome:
    own = [row for row in found["steps"] if row["method"] == METHOD]
    random = [row for row in found["steps"] if row["method"] == "random"]
    if not own or not random:
        return None
    words = (
        f"{percent(own[-1]['steps'])} of the steps stand in the top {own[-1]['k']}, {percent(random[-1]['steps'])} in "
        f"as many random documents, {percent(own[-1]['corpus'])} in the whole corpus"
    )
    return _apart(own[-1]["steps"], random[-1]["steps"]), words


def _procedures(found: Row) -> Outcome:
    rows = {row["method"]: row for row in found["procedures"] if row["group"] == "reasoning"}
    own = [row for row in found["procedures"] if row["group"] == "reasoning" and row["method"] == METHOD]
    if not own:
        return None
    first, last = own[0], own[-1]
    words = (
        f"{percent(first['precision'])} of the top {first['k']} and {percent(last['precision'])} of the top "
        f"{last['k']} teach the procedure (random: {100 * first['random_precision']:.1f} %); at the top {last['k']} "
        f"BM25 has {percent(rows['bm25']['precision'])}, TF-IDF {percent(rows['tfidf']['precision'])}"
    )
    return _above(first["precision"], first["random_precision"]), words


def _in_code(found: Row) -> Outcome:
    own = {row["form"]: row for row in found["forms"] if row["method"] == METHOD}
    if "code" not in own or own["code"]["share"] is None:
        return None
    code = own["code"]
    words = (
        f"{percent(code['queries'])} of the reasoning queries have a program of the procedure in the top {code['k']}; "
        + ", ".join(f"{form} {percent(row['share'])} (of all {100 * row['corpus']:.0f} %)" for form, row in own.items())
        + " of the right procedures there"
    )
    return _above(code["queries"], 0.5), words


def _surface(found: Row) -> Outcome:
    rows = {row["method"]: row for row in found["near_duplicates"] if row["kind"] == "reasoning"}
    if not rows or METHOD not in rows:
        return None
    words = (
        "a near-duplicate of the question is in the top "
        + f"{rows[METHOD]['k']} for "
        + ", ".join(
            f"{percent(rows[method])} by {name}"
            for method, name in (("ekfac", "EK-FAC"), ("bm25", "BM25"), ("tfidf", "TF-IDF"), ("random", "random order"))
            if method in rows
        )
    )
    return _apart(rows["bm25"], rows[METHOD]), words


def _both_ends(found: Row) -> Outcome:
    own = _sources(found, "reasoning")
    if not own:
        return None
    top = [row["value"] for row in own if row["top"] and row["top"]["low"] > 1]
    both = [row["value"] for row in own if row["value"] in top and row["bottom"] and row["bottom"]["low"] > 1]
    words = (
        f"over-represented in the top {own[0]['k']} of reasoning: {', '.join(top) or 'none'}; of these also at the "
        f"bottom: {', '.join(both) or 'none'}"
    )
    return (FOUND if both else NOT_FOUND if top else UNKNOWN), words


def _code(found: Row) -> Outcome:
    rows = {group: _form(found, group, "code") for group in ("reasoning", "factual right")}
    if rows["reasoning"] is None or rows["factual right"] is None:
        return None
    words = (
        f"code has x {said(rows['reasoning']['top'])} of its share in the top {rows['reasoning']['k']} of reasoning, "
        f"x {said(rows['factual right']['top'])} in that of known facts"
    )
    return _above(rows["reasoning"]["top"], 1.0), words


def _models_apart(sizes: Row) -> Outcome:
    rows = {row["pairs"]: row for row in sizes["alike"] if row["method"] == METHOD}
    same = rows.get("same question")
    if same is None:
        return None
    lexical = next((r for r in sizes["alike"] if r["method"] == "bm25" and r["pairs"] == "same question"), None)
    words = (
        f"the same question in both models: {said(same)}; another of the task {said(rows.get('same task'))}, of "
        f"another task {said(rows.get('other task'))}; BM25 of both completions {said(lexical)}"
    )
    return _below(same, ZERO), words


def _grown(sizes: Row) -> Outcome:
    rows = {row["group"]: row for row in sizes["multipliers"] if row["end"] == "top" and row["k"] == _last(sizes, "k")}
    facts, reasoning = rows.get("factual right"), rows.get("reasoning")
    if facts is None or reasoning is None:
        return None
    words = (
        f"the top {facts['k']} weigh x {said(facts)} in the larger model for known facts, x {said(reasoning)} for "
        "reasoning"
    )
    return _apart(facts, reasoning), words


Judge = Callable[[Row], Outcome]
_PER_MODEL: tuple[tuple[str, str, Judge], ...] = (
    ("F1", "queries of one reasoning task draw on the same documents", _within),
    ("F1", "they do so beyond the words that they share", _beyond_words),
    ("F1", "less so where the format differs", _formats),
    ("F1", "facts draw on documents of their own", _facts_alone),
    ("F2", "a single document weighs less per nat for reasoning than for facts", _less_per_nat),
    ("F2", "and that weight is less volatile", _volatile),
    ("F2", "the ranking falls more steeply for reasoning", _steeper),
    ("F3", "answers stand in the top documents for facts, not for reasoning", _answers),
    ("F3", "results of single steps do", _steps),
    ("F4", "the top documents of reasoning are procedures of the right kind", _procedures),
    ("F4", "in code as well as in text", _in_code),
    ("F4", "near-duplicates of the surface take in lexical scores and not influence", _surface),
    ("F5", "code is over-represented for reasoning", _code),
    ("F5", "what is over-represented at the top is so at the bottom", _both_ends),
)
_OF_SIZES: tuple[tuple[str, str, Judge], ...] = (
    ("F1", "models of different size draw on different documents", _models_apart),
    ("F2", "the weight of documents grows more for facts than for reasoning with the size of the model", _grown),
)


def said(cell: Row | None) -> str:
    """Return an estimate with its limits, to two digits."""
    if cell is None:
        return "unknown"
    if cell["low"] is None or cell["high"] is None:
        return f"{cell['value']:.2f}"
    return f"{cell['value']:.2f} [{cell['low']:.2f}, {cell['high']:.2f}]"


def percent(cell: Row | None) -> str:
    """Return a share with its limits in percent."""
    if cell is None:
        return "unknown"
    if cell["low"] is None or cell["high"] is None:
        return f"{100 * cell['value']:.0f} %"
    return f"{100 * cell['value']:.0f} % [{100 * cell['low']:.0f}, {100 * cell['high']:.0f}]"


def _above(cell: Row | None, border: float) -> str:
    if cell is None or cell["low"] is None or cell["high"] is None:
        return UNKNOWN
    return FOUND if cell["low"] > border else NOT_FOUND if cell["high"] <= border else UNKNOWN


def _below(cell: Row | None, border: float) -> str:
    if cell is None or cell["low"] is None or cell["high"] is None:
        return UNKNOWN
    return FOUND if cell["high"] < border else NOT_FOUND if cell["low"] >= border else UNKNOWN


def _apart(higher: Row, lower: Row) -> str:
    """Say whether the first interval lies above the second one."""
    if None in (higher["low"], higher["high"], lower["low"], lower["high"]):
        return UNKNOWN
    return FOUND if higher["low"] > lower["high"] else NOT_FOUND if higher["high"] < lower["low"] else UNKNOWN


def _pairs(found: Row, name: str) -> Row | None:
    return next((row for row in found["alike"]["methods"][METHOD]["pairs"] if row["pairs"] == name), None)


def _answer(found: Row, group: str) -> Row | None:
    rows = [row for row in found["answers"] if row["group"] == group and row["method"] == METHOD]
    return rows[-1] if rows else None


def _sources(found: Row, group: str) -> Sequence[Row]:
    rows = [r for r in found["sources"] if (r["group"], r["method"], r["label"]) == (group, METHOD, "source")]
    return [row for row in rows if row["k"] == max(r["k"] for r in rows)]


def _form(found: Row, group: str, form: str) -> Row | None:
    rows = [
        r
        for r in found["sources"]
        if (r["group"], r["method"], r["label"], r["value"]) == (group, METHOD, "form", form)
    ]
    return rows[-1] if rows else None


def _last(sizes: Row, name: str) -> Any:
    return max(row[name] for row in sizes["multipliers"]) if sizes["multipliers"] else None

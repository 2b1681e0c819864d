"""The tables of the study of procedural knowledge; methods stand side by side as columns wherever there are several."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from menon.reports import formats
from menon.reports.procedural_words import decimal, estimate, method_name
from menon.reports.reading import rows, section

Row = Mapping[str, Any]
Table = tuple[str, list[str], list[list[str]]]  # caption, heading, rows
_SOURCES_SHOWN = ("reasoning", "factual right")


def conclusions(data: Row) -> list[list[str]]:
    """Return finding, claim, model, whether it was found, and the numbers."""
    return [
        [str(row.get(name, "")) for name in ("finding", "claim", "model", "found", "sentence")]
        for row in rows(data, "conclusions")
    ]


def overview(data: Row) -> Table | None:
    """Return one row for every shape of the paper, and whether each model has it."""
    listed = rows(data, "conclusions")
    models = list(dict.fromkeys(str(row["model"]) for row in listed))
    by = {(row["finding"], row["claim"], row["model"]): str(row["found"]) for row in listed}
    claims = sorted({(str(f), str(c)): None for f, c, _ in by}, key=lambda claim: claim[0])
    body = [[f, c, *(by.get((f, c, model), formats.NOTHING) for model in models)] for f, c in claims]
    return ("What was found", ["finding", "the paper's shape", *models], body) if body else None


def accuracy(data: Row) -> list[Table]:
    """Return how often each model was right, by role, task and level."""
    found = []
    for model in rows(data, "models"):
        body = [
            [str(row["role"]), str(row["family"]), str(row["level"]), formats.estimate(row), formats.count(row["n"])]
            for row in rows(model, "accuracy")
        ]
        found.append(
            (f"Right answers of {model['title']}", ["queries", "task", "format or rarity", "right", "n"], body)
        )
    return found


def model_tables(data: Row, model: Row) -> list[tuple[str, list[Table]]]:
    """Return the tables of one model under the finding that they belong to."""
    found = section(model, "findings")
    methods = [str(method) for method in data.get("methods", [])]
    alike, reliance = section(found, "alike"), section(found, "reliance")
    return [
        ("F1", [_pairs("Mean correlation of scores", section(alike, "methods"), methods),
                _pairs("The same without what BM25 and TF-IDF explain", section(alike, "partial"), methods)]),
        ("F2", [_sums(rows(reliance, "groups")), _slopes(rows(reliance, "groups"), methods, reliance.get("tail")),
                _contrast(section(reliance, "contrast"))]),
        ("F3", [_by_method(f"Queries with a document in the top that {what} the answer" if what == "states" else
                           "Share of the top that contains the answer, beside all documents",
                           rows(found, "answers"), methods, cell, ("group", "k"), corpus)
                for what, cell, corpus in (("states", "stated", "stated"), ("contains", "contained", "contained"))]
         + [_by_method("Steps that stand in a document of the top", rows(found, "steps"), methods, "steps", ("k",),
                       "")]),
        ("F4", [_by_method("Precision: share of the top that teaches it", rows(found, "procedures"), methods,
                           "precision", ("group", "k"), "", random="random_precision"),
                _by_method("Recall: share of what teaches it that is in the top", rows(found, "procedures"), methods,
                           "recall", ("group", "k"), "", random="random_recall"),
                _by_method("Form of the right procedures in the top of reasoning", rows(found, "forms"), methods,
                           "share", ("form", "k"), "", random="corpus"),
                _duplicates(rows(found, "near_duplicates"), methods)]),
        ("F5", [*_multipliers(rows(found, "sources")), _ends(rows(found, "ends"))]),
    ]  # fmt: skip


def size_tables(data: Row) -> list[Table]:
    """Return what the two sizes have in common, and how much more documents weigh in the larger one."""
    sizes = section(data, "sizes")
    methods = [str(method) for method in data.get("methods", [])]
    found: list[Table] = []
    alike = rows(sizes, "alike")
    if alike:
        names = list(dict.fromkeys(str(row["pairs"]) for row in alike))
        by = {(row["pairs"], row["method"]): row for row in alike}
        body = [[name, *(estimate(by.get((name, method))) for method in methods)] for name in names]
        title = f"Correlation of the scores of {sizes.get('small')} with those of {sizes.get('large')}"
        found.append((title, ["queries", *map(method_name, methods)], body))
    grown = rows(sizes, "multipliers")
    if grown:
        body = [[str(row["group"]), str(row["end"]), formats.count(row["k"]), estimate(row)] for row in grown]
        title = "Weight per nat in the larger model over that in the smaller one (EK-FAC)"
        found.append((title, ["queries", "end", "k", "times"], body))
    return found


def verdict_tables(data: Row) -> list[Table]:
    """Return the rule, its errors on planted cases, and the verdicts by group of queries."""
    verdict = section(data, "verdict")
    rule = section(verdict, "calibration")
    found: list[Table] = []
    if rule:
        body = [
            ["features", ", ".join(map(str, rule.get("features", []))) or "none"],
            ["retrieved from", decimal(rule.get("retrieved_from"))],
            ["procedural up to", decimal(rule.get("procedural_to"))],
            ["cases to make the rule, to measure it", f"{rule.get('fitted')}, {rule.get('checked')}"],
        ]
        for label in ("retrieved", "procedural"):
            body.append([f"wrong among verdicts “{label}”", formats.estimate(section(rule, "errors").get(label))])
            body.append([f"planted as {label}: own verdict", formats.estimate(section(rule, "right").get(label))])
            body.append([f"planted as {label}: the other verdict", formats.estimate(section(rule, "wrong").get(label))])
        found.append(("The rule, measured on planted cases it was not made from", ["", "value"], body))
    for table in rows(verdict, "tables"):
        listed = rows(table, "rows")
        groups = list(dict.fromkeys(str(row["group"]) for row in listed))
        by = {(row["group"], row["label"]): row for row in listed}
        names = ("retrieved", "procedural", "unclear")
        body = [
            [
                group,
                str(by[group, names[0]].get("expected") or "–"),
                *(formats.estimate(by.get((group, name))) for name in names),
                formats.count(by[group, names[0]].get("n")),
            ]
            for group in groups
        ]
        found.append((f"Verdicts on the answers of {table['model']}", ["queries", "expected", *names, "n"], body))
    return found


def query_rows(model: Row) -> list[list[str]]:
    """Return every query of a model with its answer and verdict."""
    return [
        [
            str(row["group"]),
            str(row["question"]),
            str(row["completion"]),
            "right" if row["right"] else "wrong",
            decimal(row["information_nats"]),
            str(section(row, "verdict").get("label", "")),
            str(section(row, "verdict").get("sentence", "")),
        ]
        for row in rows(model, "queries")
    ]


def _pairs(caption: str, tables: Row, methods: Sequence[str]) -> Table:
    own = [method for method in methods if method in tables]
    cells = {(str(row["pairs"]), method): row for method in own for row in rows(section(tables, method), "pairs")}
    body = [
        [name, *(estimate(cells.get((name, method))) for method in own)] for name in dict.fromkeys(n for n, _ in cells)
    ]
    tests = {method: section(section(tables, method), "association") for method in own}
    if any(tests.values()):
        body.append(["within less across tasks", *(estimate(tests[method].get("difference")) for method in own)])
        body.append(["p of that", *(formats.p_value(tests[method].get("p")) for method in own)])
    return caption, ["pairs of queries", *map(method_name, own)], body


def _sums(groups: Sequence[Row]) -> Table:
    methods = list(dict.fromkeys(method for row in groups for method in section(row, "sums")))
    body = []
    for row in groups:
        for place, first in enumerate(rows(section(row, "sums"), methods[0])) if methods else ():
            cells = [rows(section(row, "sums"), method)[place] for method in methods]
            body.append(
                [
                    str(row["group"]),
                    formats.count(first["k"]),
                    *(text for cell in cells for text in (estimate(cell["sum"]), decimal(cell["spread"]))),
                ]
            )
    heading = [text for method in methods for text in (method_name(method), "spread")]
    return "Influence of the top k per nat, and its standard deviation over its mean", ["queries", "k", *heading], body


def _slopes(groups: Sequence[Row], methods: Sequence[str], tail: Any) -> Table:
    body = [
        [str(row["group"]), *(estimate(section(row, "slopes").get(method)) for method in methods)] for row in groups
    ]
    return f"Slope of the ranking, top {formats.count(tail)}", ["queries", *map(method_name, methods)], body


def _contrast(contrasts: Row) -> Table:
    body = []
    for method in contrasts:
        own = section(contrasts, method)
        for row in rows(own, "sums"):
            body.append(
                [
                    method_name(method),
                    f"sum of the top {row['k']}, ratio",
                    estimate(row["ratio"]),
                    formats.p_value(row["p"]),
                ]
            )
        if spread := section(own, "spread"):
            body.append([method_name(method), "spread, ratio", estimate(spread), formats.NOTHING])
        if slope := section(own, "slope"):
            body.append([method_name(method), "slope, difference", estimate(slope), formats.p_value(slope.get("p"))])
    return "Reasoning against known facts", ["method", "what", "reasoning / facts", "p"], body


def _by_method(
    caption: str,
    found: Sequence[Row],
    methods: Sequence[str],
    cell: str,
    keys: tuple[str, ...],
    corpus: str,
    *,
    random: str = "",
) -> Table:
    """Return a row for every value of `keys` and a column for every method, with a last one for all documents."""
    by = {(tuple(row[key] for key in keys), row["method"]): row for row in found}
    heading = [*(_NAMES.get(key, key) for key in keys), *map(method_name, methods)]
    heading += ["all documents"] if corpus or random else []
    body = []
    for place in dict.fromkeys(place for place, _ in by):
        line = [str(value) for value in place]
        line += [formats.estimate(by.get((place, method), {}).get(cell)) for method in methods]
        first = next(row for (other, _), row in by.items() if other == place)
        if corpus:
            line.append(formats.estimate(section(first["corpus"], corpus)))
        elif random:
            line.append(formats.percent(first[random]))
        body.append(line)
    return caption, heading, body


_NAMES = {"group": "queries"}


def _duplicates(found: Sequence[Row], methods: Sequence[str]) -> Table:
    by = {(row["kind"], row["k"], row["method"]): row for row in found}
    places = dict.fromkeys((row["kind"], row["k"]) for row in found)
    body = [
        [str(kind), str(k), *(formats.estimate(by.get((kind, k, method))) for method in methods)] for kind, k in places
    ]
    caption = "Queries with a near-duplicate of their question in the top"
    return caption, ["queries", "k", *map(method_name, methods)], body


def _multipliers(found: Sequence[Row]) -> Iterable[Table]:
    """Yield the multipliers of sources and forms by EK-FAC and BM25 at the largest k."""
    if not found:
        return
    k = max(row["k"] for row in found)
    by = {(row["group"], row["method"], row["label"], row["value"]): row for row in found if row["k"] == k}
    say: Callable[[Any, str], str] = lambda row, end: estimate(row[end]) if row else formats.NOTHING  # noqa: E731
    for label in ("source", "form"):
        values = dict.fromkeys(value for _, _, name, value in by if name == label)
        body = []
        for value in values:
            first = next(row for (_, _, name, other), row in by.items() if (name, other) == (label, value))
            line = [str(value), formats.percent(first["corpus_share"])]
            for group in _SOURCES_SHOWN:
                line += [say(by.get((group, "ekfac", label, value)), end) for end in ("top", "bottom")]
                line.append(say(by.get((group, "bm25", label, value)), "top"))
            body.append(line)
        heading = [label, "in the corpus"]
        for group in _SOURCES_SHOWN:
            heading += [f"{group}: top", f"{group}: bottom", f"{group}: BM25 top"]
        yield f"Multipliers of every {label}, top and bottom {k}", heading, body


def _ends(found: Sequence[Row]) -> Table:
    body = [
        [str(row["group"]), method_name(str(row["method"])), str(row["k"]), decimal(row["value"]), str(row["n"])]
        for row in found
    ]
    caption = "Rank correlation of the sources' multipliers at the top with those at the bottom"
    return caption, ["queries", "method", "k", "correlation", "sources"], body

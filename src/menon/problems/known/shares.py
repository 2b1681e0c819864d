"""Shares of tokens: what a mixture holds of each form, and the mixture that has the shares asked for.

Documents differ in length by a factor of five, so shares of documents say little about what a model reads; arms that
are compared at equal tokens are set here. Tokens are the pieces of `mixture.pieces`, plus one for the end.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from menon.core.errors import ConfigError
from menon.problems.known.corpus import KnownCorpus
from menon.problems.known.mixture import KnownMixture, pieces
from menon.problems.known.values import KnownDocument

STEERED = ("code", "flowchart", "markup", "aligned", "unaligned")
_SAMPLE = "shares"


def token_shares(mixture: KnownMixture, count: int = 2000, name: str = "known") -> dict[str, float]:
    """Return the measured share of tokens per form (text, code, flowchart, markup, statement), summing to one."""
    totals: Counter[str] = Counter()
    for document in KnownCorpus(mixture, name).documents(0, count):
        totals[document.form] += tokens_of(document)
    return {form: totals[form] / totals.total() for form in sorted(totals)}


def tokens_per_document(mixture: KnownMixture, count: int = 1000) -> float:
    """Return the mean number of tokens of a document, measured on a fixed sample."""
    return sum(map(tokens_of, KnownCorpus(mixture, _SAMPLE).documents(0, count))) / count


def tokens_of(document: KnownDocument) -> int:
    """Return the approximate number of tokens of a document with its end token."""
    return pieces(document.text) + 1


def mixture_for_share(
    *,
    code: float = 0.0,
    flowchart: float = 0.0,
    markup: float = 0.0,
    aligned: float = 0.0,
    unaligned: float = 0.0,
    base: KnownMixture | None = None,
) -> KnownMixture:
    """Return `base` with the given shares of TOKENS in programs, charts, markup and pairs; the rest is its text.

    The rest keeps the proportions that the text kinds of `base` have among themselves, with procedures in text alone.
    What share of the programs has comments is `base.comments`; which families occur, and in which forms, is that of
    `base` too. The result is deterministic; `token_shares` measures what came out.

    Raises:
        ConfigError: a share below 0, or shares that add up to more than one.
    """
    base = base or KnownMixture()
    wanted = dict(zip(STEERED, (code, flowchart, markup, aligned, unaligned), strict=True))
    rest = 1 - sum(wanted.values())
    if min(wanted.values()) < 0 or rest < -1e-9:
        raise ConfigError(f"shares of tokens are {wanted!r}; allowed: none below 0, at most 1 in all")
    plain_kinds = {kind: weight for kind, weight in base.kinds.items() if kind not in ("aligned", "unaligned")}
    documents: dict[str, float] = {}
    if rest > 1e-9:
        plain = replace(base, kinds=plain_kinds, forms={"text": 1.0})
        documents["rest"] = rest / tokens_per_document(plain)
    for name, share in wanted.items():
        if share > 0:
            documents[name] = share / tokens_per_document(_only(base, name))
    kinds = _scaled(plain_kinds, documents.get("rest", 0.0))
    text = kinds.pop("procedure", 0.0)
    forms = {"text": text, **{name: documents.get(name, 0.0) for name in ("code", "flowchart", "markup")}}
    pairs = {name: documents[name] for name in ("aligned", "unaligned") if name in documents}
    used = {form: weight for form, weight in forms.items() if weight > 0}
    weights = {"procedure": sum(used.values()), **kinds, **pairs}
    total = sum(weights.values())
    return replace(
        base,
        kinds={kind: weight / total for kind, weight in weights.items() if weight > 0},
        forms={form: weight / sum(used.values()) for form, weight in used.items()} or {"text": 1.0},
    )


def _only(base: KnownMixture, name: str) -> KnownMixture:
    if name in ("aligned", "unaligned"):
        return replace(base, kinds={name: 1.0}, forms={"text": 1.0})
    return replace(base, kinds={"procedure": 1.0}, forms={name: 1.0})


def _scaled(weights: Mapping[str, float], to: float) -> dict[str, float]:
    total = sum(weights.values())
    return {kind: weight / total * to for kind, weight in weights.items()}

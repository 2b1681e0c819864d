"""What the known corpus is made of: weights of kinds, forms, families and tiers of facts.

Weights are shares of documents. `mixture_for_share` turns shares of tokens into them; tokens are counted as the pieces
of text that the embedded model's tokenizer keeps whole (words, single digits, signs), so no tokenizer is needed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from menon.core.errors import ConfigError
from menon.problems.known.families import FAMILIES_KNOWN

KINDS = (
    "procedure",
    "original",
    "answer",
    "fact",
    "reading",
    "prose",
    "near-duplicate",
    "memorised",
    "aligned",
    "unaligned",
)
FORMS = ("text", "code", "flowchart", "markup")
_PIECES = re.compile(r" ?[a-z]+|[A-Z]|[0-9]|[^a-zA-Z0-9]")


def pieces(text: str) -> int:
    """Return the approximate number of tokens of `text`, without an end token."""
    return len(_PIECES.findall(text))


def _even_families() -> Mapping[str, float]:
    return dict.fromkeys(FAMILIES_KNOWN, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownMixture:
    """Weights of documents; they need not add up to one.

    kinds:        procedure (fresh worked problems), original (worked problems that are repeated word for word, in
                  text), answer (question and answer of fresh problems, no working), fact, reading (the answer stands
                  in the question), prose, near-duplicate, memorised (planted questions), aligned and unaligned (worked
                  text with its own program, or with that of another family, in one document)
    forms:        of `procedure`: text, code, flowchart, markup
    families:     weights of the procedure families; 0 or missing: not taught at all
    family_forms: forms that a family is limited to, as {"slope": ("code",)}; missing: all forms
    comments:     share of the programs that have comments
    tiers:        weights of frequent and rare facts; those of tier `never` are in no document
    fact_questions: share of the facts that come as question and answer
    originals, memorised: how many problems per family are repeated word for word / planted
    """

    kinds: Mapping[str, float] = field(
        default_factory=lambda: {
            "procedure": 0.50,
            "original": 0.06,
            "answer": 0.03,
            "fact": 0.18,
            "reading": 0.07,
            "prose": 0.04,
            "near-duplicate": 0.05,
            "memorised": 0.07,
        }
    )
    forms: Mapping[str, float] = field(
        default_factory=lambda: {"text": 0.60, "code": 0.24, "flowchart": 0.08, "markup": 0.08}
    )
    families: Mapping[str, float] = field(default_factory=_even_families)
    family_forms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    comments: float = 0.7
    tiers: Mapping[str, float] = field(default_factory=lambda: {"frequent": 0.9, "rare": 0.1})
    fact_questions: float = 0.5
    originals: int = 20
    memorised: int = 6

    def __post_init__(self) -> None:
        _check("kinds", self.kinds, KINDS)
        _check("forms", self.forms, FORMS)
        _check("families", self.families, tuple(FAMILIES_KNOWN))
        _check("tiers", self.tiers, ("frequent", "rare"))
        for name, allowed in self.family_forms.items():
            if name not in FAMILIES_KNOWN or not set(allowed) <= set(FORMS):
                raise ConfigError(
                    f"family_forms {name!r}: {allowed!r}; allowed: a family of {', '.join(FAMILIES_KNOWN)} with forms "
                    f"of {', '.join(FORMS)}"
                )
        if not (0 <= self.comments <= 1 and 0 <= self.fact_questions <= 1):
            raise ConfigError(
                f"comments={self.comments!r}, fact_questions={self.fact_questions!r}; allowed: 0 to 1 each"
            )
        if self.originals < 1 or self.memorised < 1:
            raise ConfigError(f"originals={self.originals!r}, memorised={self.memorised!r}; allowed: at least 1 each")
        for form, weight in self.forms.items():
            if weight > 0 and self.kinds.get("procedure", 0) > 0 and not self.families_in(form):
                raise ConfigError(f"form {form!r} has a weight but no family occurs in it; see family_forms")

    def families_in(self, *forms: str) -> dict[str, float]:
        """Return the weights of the families that occur in every one of `forms`."""
        return {
            name: weight
            for name, weight in self.families.items()
            if weight > 0 and set(forms) <= set(self.family_forms.get(name, FORMS))
        }

    def taught(self, family: str) -> tuple[str, ...]:
        """Return the forms in which `family` is worked out in this mixture."""
        if self.families.get(family, 0) <= 0:
            return ()
        procedures = self.kinds.get("procedure", 0) > 0
        forms = {form for form, weight in self.forms.items() if procedures and weight > 0}
        if self.kinds.get("original", 0) > 0:
            forms.add("text")
        if self.kinds.get("aligned", 0) > 0 or self.kinds.get("unaligned", 0) > 0:
            forms |= {"text", "code"}
        return tuple(form for form in FORMS if form in forms and form in self.family_forms.get(family, FORMS))


def _check(name: str, weights: Mapping[str, float], allowed: tuple[str, ...]) -> None:
    unknown = [key for key in weights if key not in allowed]
    if unknown:
        raise ConfigError(f"{name} has {unknown!r}; allowed: {', '.join(allowed)}")
    if any(not 0 <= weight < float("inf") for weight in weights.values()) or not sum(weights.values()) > 0:
        raise ConfigError(f"weights of {name} are {dict(weights)!r}; allowed: none below 0, at least one above")

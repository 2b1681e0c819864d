"""How people and GPT-3 did on the published analogies, to be set beside a model; figures only, with their provenance.

People's figures are means over people; a category of letter strings was asked once of each of them. GPT-3 is
text-davinci-003 at temperature 0 on 50 problems of each category.
Sources: Webb et al. 2023, arXiv:2212.09196, and its released responses (Apache-2.0), scored anew; alphabets: released
responses to Lewis and Mitchell 2024, arXiv:2402.08955, scored anew; steps of one and two: Webb et al. 2024,
arXiv:2404.13070.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

WEBB = "Webb et al. 2023, arXiv:2212.09196"
LEWIS = "Lewis and Mitchell 2024, arXiv:2402.08955"
REPLY = "Webb et al. 2024, arXiv:2404.13070"
PEOPLE_LETTERS, PEOPLE_MATRICES = 57, 43
PER_CATEGORY = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Published accuracy on one category: people, how many there were (None: not known), GPT-3 and other models."""

    human: float
    people: int | None
    gpt3: float | None
    source: str
    others: Mapping[str, float]


# category: people, GPT-3 with "complete the pattern", without an instruction, as a sentence
_LETTER_STRINGS = {
    "succ": (0.7895, 0.94, 0.88, 0.82),
    "pred": (0.7193, 0.78, 0.22, 0.76),
    "add_letter": (0.8421, 0.96, 0.76, 0.98),
    "remove_redundant": (0.6842, 0.86, 0.96, 0.82),
    "fix_alphabet": (0.2456, 0.52, 0.36, 0.08),
    "sort": (0.2281, 0.22, 0.72, 0.16),
    "larger_int": (0.2281, 0.26, 0.24, 0.16),
    "longer_targ": (0.4737, 0.52, 0.40, 0.54),
    "group": (0.5614, 0.54, 0.22, 0.44),
    "interleaved": (0.3158, 0.32, 0.08, 0.38),
    "letter2num": (0.6316, 0.82, 0.68, 0.82),
    "reverse": (0.3158, 0.56, 0.42, 0.44),
    "2gen_split1": (0.2632, 0.18, 0.20, 0.20),
    "2gen_split2": (0.3333, 0.36, 0.30, 0.32),
    "2gen_split3": (0.3333, 0.44, 0.24, 0.34),
    "2gen_split4": (0.3509, 0.42, 0.30, 0.34),
    "2gen_split5": (0.4737, 0.38, 0.30, 0.28),
    "2gen_split6": (0.3333, 0.36, 0.30, 0.24),
    "3gen_split1": (0.2982, 0.26, 0.30, 0.22),
    "3gen_split2": (0.2456, 0.24, 0.24, 0.28),
    "3gen_split3": (0.3333, 0.26, 0.20, 0.16),
    "3gen_split4": (0.3509, 0.28, 0.32, 0.24),
    "3gen_split5": (0.2281, 0.22, 0.12, 0.20),
    "3gen_split6": (0.2456, 0.20, 0.16, 0.14),
    "realworld_succ": (0.7368, 0.76, 0.74, 0.48),
    "realworld_pred": (0.7368, 0.52, 0.16, 0.02),
    "realworld_add_letter": (0.6667, 1.0, 0.98, 0.84),
    "realworld_sort": (0.1754, 0.12, 0.08, 0.14),
}
_BY_COUNT = (
    ("succ", "pred", "add_letter", "remove_redundant", "fix_alphabet", "sort"),
    ("larger_int", "longer_targ", "group", "interleaved", "letter2num", "reverse"),
    tuple(f"2gen_split{number}" for number in range(1, 7)),
    tuple(f"3gen_split{number}" for number in range(1, 7)),
)
FORMS = ("pattern", "noprompt", "sentence")

# condition: people, GPT-3, GPT-3.5, GPT-4
_ALPHABETS = {
    "normal": (0.82, 0.62, 0.57, 0.63),
    "permuted-2": (0.74, 0.49, 0.32, 0.43),
    "permuted-5": (0.71, 0.47, 0.29, 0.43),
    "permuted-10": (0.74, 0.46, 0.27, 0.38),
    "permuted-20": (0.77, 0.43, 0.31, 0.41),
    "symbols": (0.73, 0.18, 0.18, 0.20),
}
# step in one unfamiliar alphabet: people, GPT-4, GPT-4 that may run code
STEPS = {1: (0.709, 0.343, 0.667), 2: (0.515, 0.090, 0.55)}

# rules: people and GPT-3 writing the answer, people and GPT-3 choosing among eight
_MATRICES = {
    "1-rule": (0.849, 1.0, 0.857, 1.0),
    "2-rule": (0.578, 0.854, 0.69, 0.912),
    "3-rule": (0.523, 0.692, 0.621, 0.932),
    "logic": (0.386, 0.80, 0.512, 0.85),
}
_LOGIC = {"logic, aligned": (0.456, 0.965), "logic, permuted": (0.316, 0.635)}


def letter_string_baseline(category: str, form: str = "pattern") -> Baseline | None:
    """Return the figures of a category of letter strings; "2gen" and "3gen" are means over their six parts."""
    parts = [name for name in _LETTER_STRINGS if name == category or name.startswith(f"{category}_split")]
    if not parts or form not in FORMS:
        return None
    return _letters(parts, form)


def count_baseline(count: int, form: str = "pattern") -> Baseline:
    """Return the figures for a number of generalisations, 0 to 3, word sequences left out."""
    return _letters(_BY_COUNT[count], form)


def alphabet_baseline(condition: str) -> Baseline | None:
    """Return the figures for an alphabet: normal, permuted or of symbols."""
    if condition not in _ALPHABETS:
        return None
    human, gpt3, chat, gpt4 = _ALPHABETS[condition]
    return Baseline(human=human, people=None, gpt3=gpt3, source=LEWIS, others={"GPT-3.5": chat, "GPT-4": gpt4})


def matrix_baseline(kind: str, *, choices: bool = False) -> Baseline | None:
    """Return the figures for digit matrices with 1, 2 or 3 rules or logic, written or chosen among eight."""
    if kind in _LOGIC and not choices:
        human, gpt3 = _LOGIC[kind]
    elif kind in _MATRICES:
        human, gpt3 = _MATRICES[kind][2:] if choices else _MATRICES[kind][:2]
    else:
        return None
    return Baseline(human=human, people=PEOPLE_MATRICES, gpt3=gpt3, source=WEBB, others={})


def _letters(categories: list[str] | tuple[str, ...], form: str) -> Baseline:
    rows = [_LETTER_STRINGS[name] for name in categories]
    return Baseline(
        human=fmean(row[0] for row in rows),
        people=PEOPLE_LETTERS,
        gpt3=fmean(row[1 + FORMS.index(form)] for row in rows),
        source=WEBB,
        others={},
    )

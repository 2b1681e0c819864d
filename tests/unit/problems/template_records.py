"""Records in the template language for the tests, written for them."""

from typing import Any

QUESTION = """{name, Ann} buys {n, 12} {thing, pen}s at {cur, $}{price, 3} each and gives {frac, half} of them away. \
{frac, Half} of how many {thing, pen}s is that, if {name, Ann} paid {cur, $}{total, 36}?"""
SECTIONS = """
#init:
- name = sample(names)
- thing = sample(["pen", "cup", "map"])
- cur = sample(currencies_sym)
- $n = range(4, 40)
- $price = range(2, 9)
- $frac = sample(fractions)
- $total = range(8, 400)
- $kept = range(1, 40)

#conditions:
- total == n * price
- is_int(n * frac)
- kept == n - int(n * frac)
- 2 < kept < n

#answer: kept
"""
WORKED = """{name} paid {cur}{total} for <<{total}/{price}={n}>>{n} {thing}s.
{n} - {int(n * frac)} = {kept}
#### {kept}"""


def record(
    question: str = QUESTION, sections: str = SECTIONS, worked: str = WORKED, number: int | str = 7, **more: Any
) -> dict[str, Any]:
    """Return a template record as the published files have them."""
    return {
        "id_shuffled": number,
        "id_orig": 3,
        "question": "Ann buys 12 pens at $3 each and gives half of them away. How many does she keep?",
        "answer": "12 - 6 = 6\n#### 6",
        "question_annotated": question + "\n" + sections,
        "answer_annotated": worked,
        **more,
    }


def small(init: str, conditions: str = "", question: str = "", worked: str = "#### {x}") -> dict[str, Any]:
    """Return a record whose question shows x, with the given lines."""
    conditions = f"#conditions:\n{conditions}\n" if conditions else ""
    return record(question or "What is {x, 1}?", f"\n#init:\n{init}\n\n{conditions}#answer: x\n", worked)

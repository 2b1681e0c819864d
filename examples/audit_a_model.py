"""Audit any sampler on the generated families: does it reason, or does it recite?

    python examples/audit_a_model.py "scripted:mixture?share=0.5&p=0.9"
    python examples/audit_a_model.py menon:base
    python examples/audit_a_model.py "http://localhost:8000/v1#model" --style plain

Originals are problems of the embedded model's training text, so for other models the question is whether those
problems are special to them. Nothing is stored; `menon run` keeps what it asks.
"""

import argparse

from menon.auditing import Item, KnownCase, Label, audit_cells, check_known_answers
from menon.core.values import Problem
from menon.problems import FAMILIES
from menon.problems.corpus import originals
from menon.problems.prompts import STYLES
from menon.sampling import bind_problems, open_sampler
from menon.sampling.asking import Asking, ask

STAND_INS = {"scripted:reciter": Label.RECITES, "scripted:oracle?p=0.9": Label.REASONS}


def audit_problems(families: list[str], count: int, variants: int) -> dict[str, tuple[Problem, str]]:
    """Return originals and their re-instantiations by id, each with the id of its original ("" for an original)."""
    found: dict[str, tuple[Problem, str]] = {}
    for name in families:
        family = FAMILIES.get(name)
        for original in originals(family)[:count]:
            found.setdefault(original.id, (original, ""))
            for number in range(variants):
                variant = family.variant(original, number)
                found.setdefault(variant.id, (variant, original.id))
    return found


def answers(spec: str, problems: dict[str, tuple[Problem, str]], asking: Asking) -> tuple[Item, ...]:
    """Ask one sampler every problem once, and return its grades as items of an audit."""
    asked = [problem for problem, _ in problems.values()]
    sampler = open_sampler(spec)
    bind_problems(sampler, asked)
    items = []
    for graded in ask(sampler, asked, asking, "audit"):
        of = problems[graded.problem.id][1]
        items.append(Item(problem=graded.problem, grade=graded.grade, role="fresh" if of else "original", of=of))
    return tuple(items)


def percent(value: float | None) -> str:
    return "none" if value is None else f"{value:.0%}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Does a model reason, or does it recite?")
    parser.add_argument("sampler", help="menon:base, folder or id, http://host/v1#model, recorded:FILE, scripted:NAME")
    parser.add_argument("--families", nargs="+", default=["addition", "chain", "facts"])
    parser.add_argument("--originals", type=int, default=120, help="originals of each family")
    parser.add_argument("--variants", type=int, default=2, help="fresh instances of each original")
    parser.add_argument("--style", default="menon", help="how problems are put")
    arguments = parser.parse_args()

    style = STYLES.get(arguments.style)
    asking = Asking(style=style, temperature=0.0, max_tokens=style.max_tokens)
    problems = audit_problems(arguments.families, arguments.originals, arguments.variants)
    cases = [
        KnownCase(name=spec, expected=nature, items=answers(spec, problems, asking))
        for spec, nature in STAND_INS.items()
    ]
    report = audit_cells(answers(arguments.sampler, problems, asking), known=check_known_answers(cases))
    print(report.sentence)
    for name, family in report.families.items():
        share = family.share_json()
        value, low, high = (percent(share[key]) for key in ("value", "low", "high"))
        print(f"  {name}: {share['verdict']}; recitation share {value} ({low} to {high}); {share['n_items']} originals")


if __name__ == "__main__":
    main()

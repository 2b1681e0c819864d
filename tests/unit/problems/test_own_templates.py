"""The templates that ship with Menon: originals reproduced, arithmetic true, clauses without consequence."""

import gzip
import json
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from menon import DataError
from menon.problems.templates.clauses import NUMBER, OWN_CLAUSES, Clause, inserted, load_clauses
from menon.problems.templates.distractors import CATEGORIES, audit_clause, with_number
from menon.problems.templates.family import OWN_FILES, own_families, steps_of
from menon.problems.templates.language import Template, load_templates
from menon.problems.templates.render import default_assignment, original, render
from menon.problems.templates.solver import draw, violations

GSM8K = Path(__file__).parents[4] / "shared" / "data" / "gsm8k"
LOADED = {path.name.removesuffix(".templates.jsonl"): load_templates(path) for path in OWN_FILES}
TEMPLATES = [(kind, template) for kind, loaded in LOADED.items() for template in loaded.templates]
BASES = {template.id: template for template in LOADED["own"].templates}
CLAUSES = {clause.template: clause for clause in load_clauses(OWN_CLAUSES)}
EQUATION = re.compile(r"(\d[\d/*+ -]*) = (\d+)")

each_template = pytest.mark.parametrize(("kind", "template"), TEMPLATES, ids=[f"{k}-{t.id}" for k, t in TEMPLATES])
each_base = pytest.mark.parametrize("template", BASES.values(), ids=list(BASES))


def value(text: str) -> Fraction:
    """Work out a line of + - * / from left to right, products first, without the engine's evaluator."""
    total, sign = Fraction(0), 1
    for term in re.split(r" ([+-]) ", text):
        if term in "+-":
            sign = 1 if term == "+" else -1
            continue
        first, *rest = re.split(r"\s*([*/])\s*", term.strip())
        product = Fraction(first)
        for operator, number in zip(rest[::2], rest[1::2], strict=True):
            product = product * Fraction(number) if operator == "*" else product / Fraction(number)
        total += sign * product
    return total


def check_lines(rationale: str, answer: str) -> None:
    equations = [EQUATION.findall(line) for line in rationale.splitlines()]
    assert all(equations), f"a line without an equation in {rationale!r}"
    for left, right in (pair for line in equations for pair in line):
        assert value(left) == int(right), f"{left} = {right}"
    assert equations[-1][-1][1] == answer


def test_there_are_enough() -> None:
    counts = {kind: len(loaded.templates) for kind, loaded in LOADED.items()}
    assert counts["own"] >= 40
    assert min(counts["own.p1"], counts["own.p2"], counts["own.m1"]) >= 20
    assert not [failure for loaded in LOADED.values() for failure in loaded.failures]
    assert CLAUSES.keys() == BASES.keys()


def test_value_is_arithmetic() -> None:
    assert value("3 + 4 * 5 - 6 / 4") == Fraction(43, 2)
    assert value("180 * 2/3") == 120
    assert value("100 * 8 / 50") == 16
    assert value("20 - 3 - 4") == 13


@each_base
def test_the_default_filling_is_the_original(template: Template) -> None:
    record, defaults = original(template), default_assignment(template)
    assert record is not None
    assert defaults is not None
    filled = render(template, defaults)
    assert (filled.question, filled.rationale, filled.answer) == (record.question, record.rationale, record.answer)


@each_template
def test_defaults_lie_in_the_domains_and_meet_the_conditions(kind: str, template: Template) -> None:
    defaults = default_assignment(template)
    assert defaults is not None
    assert not violations(template, defaults)
    numeric = {name: value for name, value in defaults.items() if not isinstance(value.value, str)}
    assert numeric
    for name, default in numeric.items():
        assert default.value in [candidate.value for candidate in template.domains[name].candidates], name


@each_template
def test_fifty_instances_with_true_arithmetic(kind: str, template: Template) -> None:
    instances = [render(template, assignment) for assignment in draw(template, "test", count=50)]
    assert len({instance.question for instance in instances}) == 50
    for instance in instances:
        assert int(instance.answer) > 0
        check_lines(instance.rationale, instance.answer)


@each_template
def test_everything_declared_is_shown_and_every_number_is_used(kind: str, template: Template) -> None:
    assert not template.hidden
    words = {name for name, v in template.domains.items() if isinstance(v.candidates[0].value, str)}
    assert set(template.shown) - words <= template.used


def test_siblings_have_more_or_fewer_steps() -> None:
    for family in own_families():
        steps = {kind: steps_of(member) for kind, member in family.members.items()}
        assert steps["base"] < steps.get("p1", 99) < steps.get("p2", 100), family.id
        if less := family.members.get("m1"):
            assert steps["m1"] <= steps["base"], family.id
            assert len(less.used) < len(family.members["base"].used), family.id
        assert len({len(member.original_question) for member in family.members.values()}) == 1


@pytest.mark.parametrize("file", ["train", "test"])
def test_texts_are_our_own(file: str) -> None:
    """No run of nine words of ours stands in GSM8K."""
    path = GSM8K / f"{file}.jsonl.gz"
    if not path.exists():
        pytest.skip(f"{path} is not there; it holds the published questions that ours are compared with")

    def runs(text: str) -> set[tuple[str, ...]]:
        words = re.findall(r"[a-z]+|\d+", text.lower())
        return set(zip(*(words[i:] for i in range(9)), strict=False))

    ours = {run for template in BASES.values() for run in runs(template.original_question)}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        shared = {run for line in lines for run in runs(json.loads(line)["question"]) & ours}
    assert not shared


@each_base
def test_clauses_pass_the_audit_and_change_nothing(template: Template) -> None:
    clause = CLAUSES[template.id]
    assert audit_clause(template, clause).objections == ()
    changed = inserted(template, clause)
    for assignment in draw(template, "clauses", count=10):
        plain = render(template, assignment)
        filled = with_number(assignment, clause, plain)
        other = render(changed, filled)
        assert (other.rationale, other.answer) == (plain.rationale, plain.answer)
        before, after = plain.question.split(), other.question.split()
        added = len(after) - len(before)
        start = next(i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b)
        # Words may agree at both ends of the clause, so some shift of it must give the plain question back.
        assert any(after[:i] + after[i + added :] == before for i in range(max(0, start - added), start + 1))
        numerals = re.findall(r"\d+", other.question)
        assert numerals.count(filled[NUMBER].text) == 1
        assert filled[NUMBER].text not in re.findall(r"\d+", plain.worked)


GARDEN = BASES["3"]  # a fence around a garden: length, width, a gate, dollars per meter


def garden_clause(text: str, *, category: str = "attribute", reason: str = "", after: int = 2) -> Clause:
    reason = reason or "It has nothing to do with the length or price of the fence."
    return Clause(
        template="3", after=after, text=text, low=41, high=60, category=category, reason=reason, where="planted:1"
    )


def test_the_planted_clauses_fail_for_their_flaw_only() -> None:
    assert audit_clause(GARDEN, garden_clause("The old shed has {noop} windows.")).accepted
    assert audit_clause(GARDEN, garden_clause("The old shed was painted {noop} months ago.", category="past")).accepted


CONSEQUENTIAL = [
    ("Dario gives {noop} of them to a neighbor.", "gives"),
    ("The shed has {noop} meters of old wire.", "counts 'meter'"),
    ("A nail in the old fence is worth {noop} dollars.", "counts 'dollar'"),
    ("The garden has a discount of {noop} percent.", "discount"),
    ("The seller has {noop} percent off.", "percent"),
    ("The meadow is {noop} centimeters longer on every side.", "every"),
    ("The shed has twice {noop} windows.", "twice"),
    ("The shed has {noop} windows and 12 doors.", "a number besides"),
    ("The shed has a window.", "must hold the slot"),
    ("The shed has {noop} windows. The fence needs two coats.", "one sentence"),
    ("The {price, 7} geese have {noop} eggs.", "repeats the number {price}"),
    ("The {place, garden} is {noop} feet deep.", "the problem counts in one"),
    ("Suddenly {noop} windows.", "no word shows"),
]


@pytest.mark.parametrize(("text", "objection"), CONSEQUENTIAL, ids=[text for text, _ in CONSEQUENTIAL])
def test_the_audit_refuses_consequential_clauses(text: str, objection: str) -> None:
    ruling = audit_clause(GARDEN, garden_clause(text))
    assert not ruling.accepted
    assert objection in "; ".join(ruling.objections)


def test_the_audit_refuses_a_quantity_that_is_asked_for() -> None:
    orchard = BASES["32"]
    clause = Clause(
        template="32", after=1, low=21, high=90, category="past", text="On the hill there were {noop} trees.",
        reason="Those stood on the hill and not in the orchard.", where="planted:1",
    )  # fmt: skip
    assert "names 'tree', which the question asks for" in "; ".join(audit_clause(orchard, clause).objections)


@pytest.mark.parametrize(
    ("options", "objection"),
    [
        ({"category": "funny"}, "allowed: attribute, past, elsewhere"),
        ({"reason": "it cannot"}, "no reason"),
        ({"after": 0}, "allowed 1 to 3"),
        ({"after": 4}, "allowed 1 to 3"),
        ({"category": "past"}, "no word shows that it is of category 'past'"),
    ],
)
def test_the_audit_refuses_what_is_not_declared_well(options: dict[str, object], objection: str) -> None:
    ruling = audit_clause(GARDEN, garden_clause("The old shed has {noop} windows.", **options))  # type: ignore[arg-type]
    assert objection in "; ".join(ruling.objections)


def test_the_audit_refuses_elsewhere_when_it_is_here() -> None:
    objections = audit_clause(GARDEN, garden_clause("The gate has {noop} hinges.", category="elsewhere")).objections
    assert objections == ("its subject 'gate' is part of the problem, so it is not 'elsewhere'",)


def test_the_audit_refuses_a_clause_that_a_pronoun_could_mean() -> None:
    bakery = BASES["0"]  # "She sells 58 of them in the morning." comes second
    options = {"template": "0", "low": 41, "high": 60, "category": "attribute", "where": "planted:1"}
    reason = "The aprons are not for sale and are not counted."
    clause = Clause(after=1, text="The ovens have {noop} knobs.", reason=reason, **options)  # type: ignore[arg-type]
    assert "says 'them'" in "; ".join(audit_clause(bakery, clause).objections)


def test_the_audit_refuses_a_range_whose_numbers_all_occur() -> None:
    clause = Clause(template="3", after=2, text="The old shed has {noop} windows.", low=2, high=2,
                    category="attribute", reason="A shed is no part of a fence.", where="planted:1")  # fmt: skip
    assert "every number from 2 to 2" in "; ".join(audit_clause(GARDEN, clause).objections)


def test_every_category_is_explained() -> None:
    assert {clause.category for clause in CLAUSES.values()} <= CATEGORIES.keys()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('{"id_shuffled": 0, "after": "1"}', "'after' is '1'"),
        ("[1]", "a JSON list"),
        (
            '{"id_shuffled": 0, "after": 1, "clause": "x", "low": 5, "high": 4, "category": "past", "reason": "y"}',
            "low 5 is above high 4",
        ),
    ],
)
def test_bad_clause_rows_name_file_and_line(tmp_path: Path, row: str, message: str) -> None:
    file = tmp_path / "mine.noop.jsonl"
    file.write_text("\n" + row + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        load_clauses(file)
    assert "mine.noop.jsonl:2" in str(caught.value)


def test_the_guide_runs_as_it_is_printed(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[3] / "docs" / "adding-a-template.md").read_text(encoding="utf-8")
    record, clause = re.findall(r"^```json\n(.*?)^```", guide, re.S | re.M)
    (code,) = re.findall(r"^```python\n(.*?)^```", guide, re.S | re.M)
    (tmp_path / "ferry.templates.json").write_text(record, encoding="utf-8")
    (tmp_path / "ferry.noop.jsonl").write_text(clause, encoding="utf-8")
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("brass buttons") == 2
    (template,) = load_templates(tmp_path / "ferry.templates.json").templates
    filled = render(template, default_assignment(template) or {})
    assert (filled.question, filled.worked) == (template.original_question, template.original_answer)

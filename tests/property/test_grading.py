"""Properties of grading: gold accepted, neighbours refused, sound rationales stay sound only unmutated."""

import re
from fractions import Fraction

from hypothesis import assume, given
from hypothesis import strategies as st

from menon.core.values import Completion, Problem, Verdict
from menon.grading import GRADERS, canonical, extract_all, grade, parse_number
from menon.grading.arithmetic import NotArithmetic, evaluate
from menon.grading.steps import check_calculator_marks, check_columns, check_equations, equation_list
from menon.problems import FAMILIES

WHOLE = st.integers(-(10**12), 10**12)
DECIMAL = st.builds(lambda n, places: Fraction(n, 10**places), WHOLE, st.integers(0, 6))
FRACTION = st.builds(Fraction, WHOLE, st.integers(1, 10**6))
FORMS = st.sampled_from(
    ["#### {}", "so it is\n#### {}.", "\\boxed{{{}}}", "The answer is {}.", "work\nA: {}", "A: ${}", "that makes {}"]
)


def verdict(text: str, answer: str, grader: str = "number") -> Verdict:
    problem = Problem(family="t", question="q", answer=answer, grader=grader)
    return grade(problem, Completion(key="k", text=text)).verdict


@given(DECIMAL | FRACTION)
def test_canonical_form_reads_back(value: Fraction):
    assert parse_number(canonical(value)) == value


@given(WHOLE, FORMS, st.booleans())
def test_gold_is_right_and_its_neighbours_are_wrong(value: int, form: str, commas: bool):
    spell = f"{{:{',' if commas else ''}}}".format
    assert verdict(form.format(spell(value)), str(value)) is Verdict.RIGHT
    for other in (value - 1, value + 1, 10 * value if value else 7, -value if value else 3):
        assert verdict(form.format(spell(other)), str(value)) is Verdict.WRONG


@given(st.integers(10, 10**9), st.integers(0, 20))
def test_swapped_digits_are_wrong(value: int, place: int):
    digits = list(str(value))
    at = place % (len(digits) - 1)
    digits[at], digits[at + 1] = digits[at + 1], digits[at]
    assume("".join(digits) != str(value) and digits[0] != "0")
    assert verdict("#### " + "".join(digits), str(value)) is Verdict.WRONG
    assert verdict("#" + "".join(digits), str(value), "exact") is Verdict.WRONG


@given(DECIMAL, st.integers(0, 3))
def test_trailing_zeros_do_not_matter(value: Fraction, zeros: int):
    text = canonical(value)
    padded = text + ("" if "." in text else ".") + "0" * (zeros + 1)
    assert verdict(f"#### {padded}", text) is Verdict.RIGHT


@given(st.text(max_size=300), st.sampled_from(["exact", "number", "choice"]))
def test_any_text_gets_a_verdict(text: str, grader: str):
    assert grader in GRADERS.names()
    problem = Problem(family="t", question="q", answer="A" if grader == "choice" else "1", grader=grader)
    found = grade(problem, Completion(key="k", text=text))
    assert (found.answer is None) == (found.verdict is Verdict.UNPARSED)


@given(st.text(alphabet="0123456789.,-+/$%#A: \n\\boxed{}answeri", max_size=200))
def test_number_like_text_is_read_or_left(text: str):
    for answer in extract_all(text).values():
        assert answer is None or parse_number(answer) is not None


@given(st.sampled_from(FAMILIES.names()), st.integers(0, 10**6), st.data())
def test_families_gold_is_right_and_sound(name: str, index: int, data: st.DataObject):
    family = FAMILIES.get(name)
    world = data.draw(st.sampled_from(["default", "base=9", "base=16"])) if name == "addition" else "default"
    problem = family.problem("original" if name == "facts" else "test", index, world=world)
    found = grade(problem, Completion(key="k", text=f"{problem.rationale}#{problem.answer}"))
    assert found.right
    unchecked = ("facts", "counter-programs")  # nothing to calculate; loops use a number more than once
    assert found.sound is (None if name in unchecked else True), found.note


@given(st.integers(0, 10**6), st.integers(1, 8), st.data())
def test_a_mutated_chain_is_unsound(index: int, steps: int, data: st.DataObject):
    problem = FAMILIES.get("chain").problem("test", index, difficulty=steps)
    mutated = _with_another_number(problem.rationale, data)
    assert not check_equations(problem.question, mutated).sound


def _with_another_number(rationale: str, data: st.DataObject) -> str:
    found = data.draw(st.sampled_from(list(re.finditer(r"[0-9]+", rationale))))
    other = data.draw(st.integers(0, 400).filter(lambda n: n != int(found.group())))
    return rationale[: found.start()] + str(other) + rationale[found.end() :]


@given(st.integers(0, 10**6), st.integers(1, 8), st.sampled_from([2, 9, 10, 16]), st.data())
def test_a_mutated_column_is_unsound(index: int, digits: int, base: int, data: st.DataObject):
    problem = FAMILIES.get("addition").problem(
        "train", index, difficulty=max(digits, 5 if base == 2 else 1), world="default" if base == 10 else f"base={base}"
    )
    at = data.draw(st.sampled_from([i for i, char in enumerate(problem.rationale) if char not in "+=;"]))
    old = problem.rationale[at]
    alphabet = "0123456789ABCDEF" if old in "0123456789ABCDEF" else "GHIJKLMNOPQRSTUVWXYZghijklmnopqrstuvwxyz"
    new = data.draw(st.sampled_from([char for char in alphabet if char != old]))
    mutated = problem.rationale[:at] + new + problem.rationale[at + 1 :]
    assert not check_columns(problem.question, mutated, base).sound


@given(st.integers(0, 10**6), st.integers(2, 8))
def test_dropped_and_swapped_steps_are_unsound(index: int, steps: int):
    problem = FAMILIES.get("chain").problem("test", index, difficulty=steps)
    lines = problem.rationale.split(";")[:-1]
    assert not check_equations(problem.question, ";".join(lines[:-1])).sound
    assert not check_equations(problem.question, ";".join(lines[1:])).sound
    assert equation_list(problem.rationale) == tuple(lines)


def _tree() -> st.SearchStrategy[tuple[str, Fraction | None]]:
    """Draw fully bracketed expressions with their value, worked out while they are built (None: division by zero)."""

    def join(
        parts: tuple[tuple[str, Fraction | None], str, tuple[str, Fraction | None]],
    ) -> tuple[str, Fraction | None]:
        (left, a), sign, (right, b) = parts
        text = f"({left}{sign}{right})"
        if a is None or b is None or (sign == "/" and b == 0):
            return text, None
        return text, {"+": a + b, "-": a - b, "*": a * b, "/": a / b if b else None}[sign]

    leaf = st.integers(0, 999).map(lambda n: (str(n), Fraction(n))) | st.integers(0, 9999).map(
        lambda n: (f"{n // 100}.{n % 100:02}", Fraction(n, 100))
    )
    return st.recursive(leaf, lambda inner: st.tuples(inner, st.sampled_from("+-*/"), inner).map(join), max_leaves=8)


@given(_tree())
def test_calculator_against_values_built_with_the_expression(tree: tuple[str, Fraction | None]):
    text, value = tree
    if value is None:
        try:
            evaluate(text)
        except NotArithmetic:
            return
        raise AssertionError(f"{text} divides by zero and was given a value")
    assert evaluate(text) == value


@given(st.lists(st.tuples(st.sampled_from("+-*/"), st.integers(1, 99)), min_size=1, max_size=6), st.integers(0, 99))
def test_precedence_against_left_to_right_terms(tail: list[tuple[str, int]], first: int):
    terms: list[Fraction] = [Fraction(first)]
    for sign, operand in tail:
        if sign in "*/":
            terms[-1] = terms[-1] * operand if sign == "*" else terms[-1] / operand
        else:
            terms.append(Fraction(operand if sign == "+" else -operand))
    assert evaluate(f"{first}" + "".join(f"{sign}{operand}" for sign, operand in tail)) == sum(terms)


@given(st.integers(0, 999), st.integers(1, 999), st.sampled_from("+-*/"), st.integers(1, 50))
def test_marks_are_sound_until_the_result_moves(a: int, b: int, sign: str, off: int):
    value = {"+": Fraction(a + b), "-": Fraction(a - b), "*": Fraction(a * b), "/": Fraction(a, b)}[sign]
    written = canonical(value) if sign != "/" else f"{float(value):.2f}"
    assert check_calculator_marks(f"{a}{sign}{b} = <<{a}{sign}{b}={written}>>{written}").sound
    moved = canonical((parse_number(written) or Fraction(0)) + off)
    assert not check_calculator_marks(f"<<{a}{sign}{b}={moved}>>{moved}").sound

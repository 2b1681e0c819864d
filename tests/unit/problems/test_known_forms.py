"""Forms of the known corpus: programs run and agree with the answer, charts parse, rationales check out."""

import re
from collections.abc import Iterator

import pytest

from menon.core.errors import ConfigError
from menon.core.values import Problem
from menon.flowcharts.mermaid_reading import parse
from menon.flowcharts.mermaid_statements import Shape
from menon.flowcharts.sandbox import Sandbox
from menon.problems.known.facts import ask, facts
from menon.problems.known.families import FAMILIES_KNOWN
from menon.problems.known.forms import aligned, answer_only, flowchart, markup, program, render, unaligned, worked

NAMES = list(FAMILIES_KNOWN)
PROBLEMS = {name: [FAMILIES_KNOWN[name].problem("corpus", index) for index in range(200)] for name in NAMES}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as opened:
        yield opened


@pytest.mark.parametrize("name", NAMES)
def test_programs_run_and_their_assertion_names_the_answer(sandbox: Sandbox, name: str) -> None:
    # Programs share letters, so each becomes a function and one run checks many.
    for comments in (True, False):
        bodies = [program(problem, comments=comments).text for problem in PROBLEMS[name]]
        functions = [
            f"def f{i}():\n" + "\n".join(f"    {line}" for line in body.split("\n")) for i, body in enumerate(bodies)
        ]
        calls = "\n".join(f"f{i}()" for i in range(len(bodies)))
        result = sandbox.run("\n".join(functions) + f"\n{calls}\n'ran'", {})
        assert result.values == {"result": "ran"}, result
        for problem, body in zip(PROBLEMS[name], bodies, strict=True):
            assert re.sub(r"[\[\]]", "", body.rpartition("==")[2]) == problem.answer


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_answer_makes_the_program_fail(sandbox: Sandbox, name: str) -> None:
    code = program(PROBLEMS[name][0]).text
    start, _, expected = code.rpartition("==")
    wrong = re.sub(r"\d+", lambda digits: str(int(digits[0]) + 1), expected)
    assert not sandbox.run(f"{start}=={wrong}\n'ran'", {}).values


@pytest.mark.parametrize("name", NAMES)
def test_comments_of_a_program_are_the_values_that_it_computes(sandbox: Sandbox, name: str) -> None:
    for problem in PROBLEMS[name][:25]:
        lines = program(problem).text.split("\n")
        said = [line.rpartition(" # ")[2] for line in lines if re.search(r"=.* # ", line)]
        probed: list[str] = ["seen=[]"]
        for line in lines:
            probed.append(line)
            if re.search(r"=.* # ", line) and not line.startswith("#"):
                probed.append(f"seen.append({line.partition('=')[0].strip('+')})")
        result = sandbox.run("\n".join([*probed, "seen"]), {})
        assert [str(value) for value in result.values["result"]] == said, lines


def check_step(step: str) -> None:
    """Check one step of a rationale by itself."""
    if "=" in step:
        left, right = step.split("=")
        a, sign, b = re.fullmatch(r"(\d+)([-+*/])(\d+)", left).groups()  # pyright: ignore[reportOptionalMemberAccess]
        first, second = int(a), int(b)
        if sign == "/":
            assert int(right) * second == first
        else:
            assert {"+": first + second, "-": first - second, "*": first * second}[sign] == int(right)


@pytest.mark.parametrize("name", NAMES)
def test_rationales_check_out_step_by_step_and_end_in_the_answer(name: str) -> None:
    for problem in PROBLEMS[name]:
        steps = (problem.rationale or "").split(";")[:-1]
        for step in steps:
            check_step(step)
        last = steps[-1]
        if name in ("two-step", "slope", "linear", "ends"):
            assert last.rpartition("=")[2] == problem.answer
        elif name == "reverse":
            assert ",".join(step.removeprefix("take ") for step in steps) == problem.answer
        elif name == "largest":
            for step in steps:
                pair, _, best = step.partition(":")
                assert str(max(map(int, pair.split(",")))) == best
            assert last.rpartition(":")[2] == problem.answer
        elif name == "sort":
            for step in steps:
                left, _, least = step.partition(":")
                assert str(min(map(int, left.split(",")))) == least
            assert ",".join(step.rpartition(":")[2] for step in steps) == problem.answer
        else:
            counts = [int(step.rpartition(":")[2]) for step in steps]
            assert counts == list(range(1, len(counts) + 1))
            assert str(counts[-1]) == problem.answer


@pytest.mark.parametrize("name", NAMES)
def test_flowcharts_are_mermaid_with_a_node_per_step_and_one_for_the_answer(name: str) -> None:
    for problem in PROBLEMS[name][:40]:
        nodes = list(parse(flowchart(problem).text).nodes().values())
        steps = (problem.rationale or "").split(";")[:-1]
        boxes = [node.label for node in nodes if node.shape is Shape.RECTANGLE]
        assert sorted(filter(None, boxes)) == sorted(steps)
        assert [node.label for node in nodes if node.shape is Shape.ROUND] == [problem.answer]


def test_text_layouts_are_those_of_the_embedded_model() -> None:
    problem = PROBLEMS["two-step"][0]
    assert worked(problem).text == f"{problem.question}={problem.rationale}#{problem.answer}"
    assert answer_only(problem).text == f"{problem.question}:#{problem.answer}"
    assert answer_only(problem).kind == "answer"
    assert answer_only(problem).teaches == (f"answer:{problem.id}",)


@pytest.mark.parametrize("name", NAMES)
def test_every_form_carries_steps_answer_and_labels(name: str) -> None:
    for problem in PROBLEMS[name][:20]:
        for form in ("text", "flowchart", "markup"):
            document = render(problem, form)
            steps = (problem.rationale or "").split(";")[:-1]
            assert all(step in document.text for step in steps)
            assert problem.answer in document.text
            assert problem.question in document.text
            assert (document.kind, document.form, document.teaches) == ("procedure", form, (f"procedure:{name}",))
            assert document.instance == problem.id


@pytest.mark.parametrize("name", NAMES)
def test_programs_without_comments_say_nothing_of_the_question(name: str) -> None:
    problem = PROBLEMS[name][0]
    bare, commented = program(problem, comments=False), program(problem)
    assert "#" not in bare.text
    assert problem.question not in bare.text
    assert problem.question in commented.text
    assert re.sub(r" # .*", "", commented.completion) == bare.completion
    assert (bare.comments, commented.comments) == (False, True)


def test_markup_has_three_layouts() -> None:
    starts = {markup(problem).text[0] for problem in PROBLEMS["slope"]}
    assert starts == {"<", "\\", "|"}


def test_pairs_differ_in_their_program_only() -> None:
    problem, other = PROBLEMS["sort"][0], PROBLEMS["slope"][0]
    together, apart = aligned(problem), unaligned(problem, other)
    text, _, code = together.text.partition("\n")
    assert text == worked(problem).text
    assert code == program(problem, comments=False).text
    assert apart.text == text + "\n" + program(other, comments=False).text
    assert together.teaches == ("procedure:sort",)
    assert apart.teaches == ("procedure:sort", "procedure:slope")


def test_what_has_no_form_is_refused() -> None:
    with pytest.raises(ConfigError, match="no form 'statement'; allowed: text, code, flowchart, markup"):
        render(PROBLEMS["sort"][0], "statement")
    with pytest.raises(ConfigError, match="no procedure family 'facts'"):
        render(ask(facts("rare")[0]), "code")
    with pytest.raises(ConfigError, match="no procedure family"):
        markup(Problem(family="chain", question="?", answer="1"))

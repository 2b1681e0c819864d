"""Plans of calls: the form, its variants, quotes and brackets, and messages for what cannot be read."""

import pytest

from menon.grading.plans import Task, fill, parse_plan, references


def test_a_plan_with_thoughts_and_a_join():
    text = """Thought: two searches, then arithmetic.
1. search("height of Mont Blanc")
2. search("height of Zugspitze, in metres")
3. calculate($1 - ${2})
join()
"""
    plan = parse_plan(text)
    assert plan.tasks == (
        Task(number=1, tool="search", arguments=("height of Mont Blanc",), uses=()),
        Task(number=2, tool="search", arguments=("height of Zugspitze, in metres",), uses=()),
        Task(number=3, tool="calculate", arguments=("$1 - ${2}",), uses=(1, 2)),
    )
    assert plan.messages == ()
    assert plan.other_lines == 2


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ("1. f()", ()),
        ("1) f(a, b)", ("a", "b")),
        ("$1 = f(a)", ("a",)),
        ("  - 1: f(a)", ("a",)),
        ("1. f(max(1, 2), [3, 4], {5: 6})", ("max(1, 2)", "[3, 4]", "{5: 6}")),
        ("1. f('a, b', \"c)\")", ("a, b", "c)")),
        ("1. f(the dogs' food, it's)", ("the dogs' food", "it's")),
        (r"1. f('it\'s', 2)", ("it's", "2")),
        ("1. f('a' + 'b')", ("'a' + 'b'",)),
        ('1. f(key="x, y")', ('key="x, y"',)),
        ("1. f(a,\n   b)", ("a", "b")),
        ("1. f(,a)", ("", "a")),
        ("1. f(Zürich)", ("Zürich",)),
    ],
)
def test_arguments(line: str, arguments: tuple[str, ...]):
    plan = parse_plan(line)
    assert [task.arguments for task in plan.tasks] == [arguments]
    assert plan.tasks[0].tool == "f"
    assert plan.messages == ()


def test_tasks_after_a_call_of_two_lines():
    assert [task.tool for task in parse_plan("1. f(a,\nb)\n2. g($1)").tasks] == ["f", "g"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no task found"),
        ("I cannot do this.", "no task found"),
        ("1. f(a)\n2. think hard", "line 2: '2. think hard' is not a call"),
        ("1. f(a)\n2. g(b\n3. h(c)", "line 2: the bracket of g( is never closed"),
        ("1. f('a)", "never closed"),
        ("\n".join(f"{n}. f(a)" for n in range(1, 300)), "line 201: more than 200 tasks"),
    ],
)
def test_what_cannot_be_read_is_told(text: str, message: str):
    assert any(message in found for found in parse_plan(text).messages)


def test_lines_after_an_unclosed_call_are_read():
    assert [task.number for task in parse_plan("1. f(a)\n2. g(b\n3. h(c)").tasks] == [1, 3]


def test_messages_are_bounded():
    assert len(parse_plan("1. x\n" * 5000).messages) <= 22


def test_references_and_filling():
    assert references("$2 + $10 - $2 + ${3}") == (2, 10, 3)
    assert fill("$1, $10, ${1}0, $2", {1: "one", 10: "ten"}) == "one, ten, one0, $2"
    assert fill("$1", {1: "$2", 2: "no"}) == "$2"  # a value is not read again

"""Plans of tool calls that a model writes: numbered lines `3. tool(argument, $1)`, where `$1` is the result of task 1.

Other lines (thoughts, headings, a closing `join()` without a number) are not tasks and are counted. What cannot be read
is told in messages that can go back to the model. Left out: running a plan, and which tools there are.
Source: the plan format of LLMCompiler, Kim et al. 2023, arXiv:2312.04511; the messages are ours.
"""

import re
from dataclasses import dataclass

MOST_TASKS = 200
LONGEST_CALL = 8000
LONGEST_PLAN = 200_000
MOST_MESSAGES = 20

_START = re.compile(
    r"^[ \t]{0,20}(?:[-*][ \t]{1,4})?\$?(\d{1,4})[ \t]?[.):=][ \t]{0,4}([^\W\d][\w.-]{0,60})[ \t]?\(", re.MULTILINE
)
_NUMBERED = re.compile(r"[ \t]{0,20}(?:[-*][ \t]{1,4})?\$?\d{1,4}[ \t]?[.):=][ \t]{0,4}\S")
_REFERENCE = re.compile(r"\$(?:\{(\d{1,4})\}|(\d{1,4})(?!\d))")
_PAIRS = {")": "(", "]": "[", "}": "{"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One call: its number in the plan, the tool, its arguments as written (outer quotes removed), what it uses."""

    number: int
    tool: str
    arguments: tuple[str, ...]
    uses: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedPlan:
    """The tasks of a plan in the order written, and what could not be read, with the line it stands on."""

    tasks: tuple[Task, ...]
    messages: tuple[str, ...]
    other_lines: int = 0


def parse_plan(text: str) -> ParsedPlan:
    """Read the tasks of a plan; text that holds none gives a message that shows the form."""
    text = text[:LONGEST_PLAN]
    tasks: list[Task] = []
    messages: list[str] = []
    at, other = 0, 0
    while at < len(text):
        if len(messages) == MOST_MESSAGES:
            messages.append("the rest is not read; mend these first")
            break
        match = _START.match(text, at)
        end = _line_end(text, at)
        if match is None:
            line = text[at:end]
            if _NUMBERED.match(line):
                messages.append(
                    f"line {_line(text, at)}: {line.strip()[:60]!r} is not a call; write: 1. tool(argument)"
                )
            other += bool(line.strip())
            at = end + 1
            continue
        if len(tasks) == MOST_TASKS:
            messages.append(f"line {_line(text, at)}: more than {MOST_TASKS} tasks; the rest is not read")
            break
        read = _arguments(text, match.end())
        if read is None:
            messages.append(
                f"line {_line(text, at)}: the bracket of {match.group(2)}( is never closed; close it with )"
            )
            at = end + 1
            continue
        arguments, after = read
        tasks.append(_task(int(match.group(1)), match.group(2), arguments))
        at = _line_end(text, after) + 1
    if not tasks:
        messages.append("no task found; write one call per line, as: 1. tool(argument)  2. tool($1)")
    return ParsedPlan(tasks=tuple(tasks), messages=tuple(messages), other_lines=other)


def references(argument: str) -> tuple[int, ...]:
    """Return the numbers of the tasks that an argument names, in order, each once."""
    found = (int(match.group(1) or match.group(2)) for match in _REFERENCE.finditer(argument))
    return tuple(dict.fromkeys(found))


def fill(argument: str, values: dict[int, str]) -> str:
    """Put the values of tasks in the places that name them; names without a value stay as they are."""

    def value(match: re.Match[str]) -> str:
        return values.get(int(match.group(1) or match.group(2)), match.group())

    return _REFERENCE.sub(value, argument)


def _task(number: int, tool: str, arguments: list[str]) -> Task:
    uses = dict.fromkeys(number for argument in arguments for number in references(argument))
    return Task(number=number, tool=tool, arguments=tuple(_unquoted(a) for a in arguments), uses=tuple(uses))


def _arguments(text: str, start: int) -> tuple[list[str], int] | None:
    """Split the arguments from behind the opening bracket at commas that stand in no bracket and no quotes.

    Returns them with the position after the closing bracket; None where it is missing. An apostrophe within a word
    opens no quotation.
    """
    found: list[str] = []
    first, open_brackets, quote = start, [], ""
    for at in range(start, min(len(text), start + LONGEST_CALL)):
        char = text[at]
        if quote:
            if char == quote and not _escaped(text, at):
                quote = ""
        elif char in "\"'" and text[at - 1] in " \t\n[({:,=":
            quote = char
        elif char in "([{":
            open_brackets.append(char)
        elif char == ")" and not open_brackets:
            last = text[first:at].strip()
            return ([*found, last] if last or found else []), at + 1
        elif char in _PAIRS and open_brackets and open_brackets[-1] == _PAIRS[char]:
            open_brackets.pop()
        elif char == "," and not open_brackets:
            found.append(text[first:at].strip())
            first = at + 1
    return None


def _escaped(text: str, at: int) -> bool:
    slashes = 0
    while at - slashes > 0 and text[at - slashes - 1] == "\\":
        slashes += 1
    return slashes % 2 == 1


def _unquoted(argument: str) -> str:
    quoted = len(argument) > 1 and argument[0] in "\"'" and argument[-1] == argument[0]
    if not quoted or argument[0] in argument[1:-1].replace(f"\\{argument[0]}", ""):
        return argument
    return argument[1:-1].replace(f"\\{argument[0]}", argument[0])


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1

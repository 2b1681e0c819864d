"""Read what an acting model writes: tool calls, follow-up questions, code, and judgements of how good a state is.

The first action or question of a text counts: what comes after it was written without having seen its result; of bare
JSON objects it is the last, as everywhere. Names of tools are given back as written unless the tools are listed. Left
out: running code.
Source: actions of ReAct (arXiv:2210.03629), follow-ups of self-ask (arXiv:2210.03350), values of tree of thoughts
(arXiv:2305.10601), code of program of thoughts (arXiv:2211.12588). The scale sure 1, likely 0.5, impossible 0 is ours.
"""

import ast
import json
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from menon.core.values import Problem
from menon.grading.extract import extract, readable
from menon.grading.json_value import last_json
from menon.grading.numbers import numbers, plain
from menon.grading.visible import Unread, fenced, listed, unread, visible
from menon.grading.word import WordGrader

LONGEST_CODE = 20_000
JUDGEMENTS: Mapping[str, float] = {"sure": 1.0, "likely": 0.5, "impossible": 0.0}

_ACTIONS = (
    "a line 'Action: tool[argument]', a JSON object with 'tool' and 'input', 'Finish[answer]' or 'Final Answer: ...'"
)
_FOLLOW_UPS = "a line 'Follow up: ...' or 'So the final answer is: ...'"
_CODE = "a fenced Python block, or a text that is Python as a whole"
_VALUES = f"one of {', '.join(JUDGEMENTS)}, a number from 0 to 1, n/10 or a percentage"

_START = r"^[ \t>*_#-]{0,8}"
_COLON = r"(?: ?[0-9]{1,3})?[*_]{0,2}[ \t]?:[*_]{0,2}[ \t]*"
_MARK = re.compile(
    rf"{_START}(?:(?P<action>Action){_COLON}|(?P<final>Final Answer){_COLON}|(?P<bare>[A-Za-z_][\w.-]{{0,63}})(?=\[))",
    re.IGNORECASE | re.MULTILINE,
)
_OBSERVED = re.compile(rf"{_START}Observation{_COLON}", re.IGNORECASE | re.MULTILINE)
_NEXT = re.compile(rf"{_START}(?:Thought|Action|Observation|Question){_COLON}", re.IGNORECASE | re.MULTILINE)
_INPUT = re.compile(rf"\s*?\n{_START}(?:Action )?Input{_COLON}", re.IGNORECASE | re.MULTILINE)
_THOUGHT = re.compile(rf"{_START}Thought{_COLON}", re.IGNORECASE)
_CALL = re.compile(r"[`*]{0,3}([A-Za-z_][\w.-]{0,63})[`*]{0,3}[ \t]?([\[(])?")
_BRACKET = {"[": re.compile(r"[\[\]]"), "(": re.compile(r"[()]")}
_FINISH = ("finish", "final_answer", "final answer")
_FOLLOW = re.compile(rf"{_START}Follow[ -]?up(?: question)?{_COLON}(.*)", re.IGNORECASE | re.MULTILINE)
_SO_FINAL = re.compile(
    rf"{_START}(?:So,? )?(?:the )?final answer(?: is)?[*_]{{0,2}}[ \t]?(?::|(?<=is))[*_]{{0,2}}[ \t]*(.*)",
    re.IGNORECASE | re.MULTILINE,
)
_SCORE = re.compile(
    r"\b(?:score|value|rating|rate[ds]?|probability|confidence|likelihood)\b[^\n0-9.-]{0,40}", re.IGNORECASE
)
_PERCENT = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)[ \t]?(?:%|percent\b)")
_OUT_OF = re.compile(r"(?<=[0-9])[ \t]?(?:/|out of)[ \t]?(?=[0-9])")


@dataclass(frozen=True, slots=True)
class Action:
    """A call of a tool with the thought before it; an argument that is no text is its JSON."""

    thought: str
    tool: str
    argument: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The acting is over, with this answer."""

    answer: str


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A question to be answered before going on."""

    question: str


@dataclass(frozen=True, slots=True)
class Final:
    """The final answer of a chain of follow-up questions."""

    answer: str


def read_action(text: str, *, tools: Sequence[str] = ()) -> Action | Finish | Unread:
    """Return the first action of a text; with `tools`, others than these are refused."""
    seen = visible(text, _ACTIONS, keep="start")
    if isinstance(seen, Unread):
        return seen
    observed = _OBSERVED.search(seen.text)
    body = seen.text[: observed.start()].rstrip() if observed is not None and observed.start() else seen.text
    mark = next((mark for mark in _MARK.finditer(body) if _counts(mark, body)), None)
    if mark is None:
        return _json_action(body, tools)
    if mark["final"]:
        answer = _until_next(body, mark.end())
        return Finish(answer) if answer else unread(text, "where the final answer is empty", _ACTIONS)
    start = mark.start("bare") if mark["bare"] else mark.end()
    thought = _thought(body[: mark.start()])
    if body[start:].lstrip("`json \n").startswith("{"):
        return _json_action(body[start:], tools, thought)
    return _called(body, start, thought, tools)


def _counts(mark: re.Match[str], body: str) -> bool:
    """Tell whether a mark opens an action; a call without "Action:" has to fill its line."""
    if not mark["bare"]:
        return True
    end = body.find("\n", mark.end())
    line = body[mark.end() : end if end >= 0 else len(body)].rstrip("`*. \t")
    return line.endswith("]") or mark["bare"].lower() in _FINISH


def _called(body: str, start: int, thought: str, tools: Sequence[str]) -> Action | Finish | Unread:
    """Read `tool[argument]`, `tool("argument")`, or a tool with its input on the next line."""
    call = _CALL.match(body, start)
    if call is None:
        return unread(body[start : start + 200], "which names no tool", _ACTIONS)
    if call[2]:
        end = _closing(body, call.end(), call[2])
        if end is None:
            return unread(body[start:], f"where the {call[2]!r} is never closed", _ACTIONS)
        return _action(thought, call[1], _argument(body[call.end() : end], quoted=call[2] == "("), tools)
    given = _INPUT.match(body, call.end())
    if given is not None:
        return _action(thought, call[1], _until_next(body, given.end()), tools)
    rest = body[call.end() :].split("\n", 1)[0].strip()
    return unread(body[start : start + 200], f"where {(rest or call[1])!r:.60} has no argument in brackets", _ACTIONS)


def _action(thought: str, tool: str, argument: str, tools: Sequence[str]) -> Action | Finish | Unread:
    if tool.lower() in _FINISH:
        return Finish(argument) if argument else Unread(f"got {tool} without an answer; allowed: {_ACTIONS}")
    known = {name.casefold(): name for name in tools}
    if tools and tool.casefold() not in known:
        return Unread(f"got tool {tool!r}; allowed: {listed([*tools, 'Finish'])}")
    return Action(thought, known.get(tool.casefold(), tool), argument)


def _json_action(body: str, tools: Sequence[str], thought: str | None = None) -> Action | Finish | Unread:
    found = last_json(body, _no_action)
    if found.reason:
        return unread(body, f"where {found.reason}" if "{" in body else "which has no action", _ACTIONS)
    tool, given = next(pair for pair in _tool_and_input(found.value) if pair[0])
    if thought is None:
        head = body.split("```", 1)[0] if "```" in body else body[: body.find("{")]
        thought = _thought(head) or str(found.value.get("thought") or "")
    return _action(thought, tool, _plain_argument(given), tools)


def _no_action(value: Any) -> str | None:
    if isinstance(value, dict) and any(name for name, _ in _tool_and_input(value)):
        return None
    return "no JSON has a tool with its input"


def _tool_and_input(value: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return what the usual spellings of a call give: (tool or nothing, input)."""
    spellings = (("tool", "input"), ("action", "action_input"), ("name", "arguments"), ("action", "input"))
    pairs = [(value.get(tool), value.get(given)) for tool, given in spellings if tool in value and given in value]
    return [(tool, given) for tool, given in pairs if isinstance(tool, str) and tool.strip()]


def _plain_argument(given: Any) -> str:
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)


def _argument(text: str, *, quoted: bool) -> str:
    """Return an argument without the quotation marks around it, where the call is written like a function's."""
    text = text.strip()
    if not quoted or text[:1] not in ("'", '"') or text[-1:] != text[:1] or len(text) < 2:
        return text
    try:
        with warnings.catch_warnings(action="ignore"):
            value = ast.literal_eval(text) if len(text) <= LONGEST_CODE else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        value = None
    return value if isinstance(value, str) else text[1:-1]


def _closing(text: str, start: int, opening: str) -> int | None:
    """Return where the bracket opened before `start` is closed."""
    depth = 1
    for bracket in _BRACKET[opening].finditer(text, start):
        depth += 1 if bracket[0] == opening else -1
        if depth == 0:
            return bracket.start()
    return None


def _until_next(text: str, start: int) -> str:
    following = _NEXT.search(text, start)
    return text[start : following.start() if following else len(text)].strip().strip("`").strip()


def _thought(text: str) -> str:
    text = text.strip()
    return text[mark.end() :].strip() if (mark := _THOUGHT.match(text)) else text


def read_follow_up(text: str) -> FollowUp | Final | Unread:
    """Return the first follow-up question or final answer of a text, whichever comes first."""
    seen = visible(text, _FOLLOW_UPS, keep="start")
    if isinstance(seen, Unread):
        return seen
    follow, final = _FOLLOW.search(seen.text), _SO_FINAL.search(seen.text)
    if follow is not None and (final is None or follow.start() < final.start()):
        question = follow[1].strip(" \t*_")
        return FollowUp(question) if question else unread(text, "where the follow-up question is empty", _FOLLOW_UPS)
    if final is None:
        return unread(text, "which has neither a follow-up question nor a final answer", _FOLLOW_UPS)
    answer = final[1].strip(" \t*_")
    answer = answer[:-1] if answer.endswith(".") and "." not in answer[:-1] else answer
    return Final(answer) if answer else unread(text, "where the final answer is empty", _FOLLOW_UPS)


def read_code(text: str) -> str | Unread:
    """Return the last fenced Python block of a text, else the whole text where it is Python; nothing is run."""
    seen = visible(text, _CODE)
    if isinstance(seen, Unread):
        return seen
    blocks = fenced(seen.text)
    tagged = [body for language, body in blocks if language in ("python", "py", "python3") and body.strip()]
    if tagged:
        return tagged[-1].strip("\n")
    for _, body in reversed([block for block in blocks if not block[0]]):
        if _python_slip(body) is None:
            return body.strip("\n")
    slip = _python_slip(seen.text)
    return seen.text if slip is None else unread(seen.text, slip, _CODE)


def _python_slip(text: str) -> str | None:
    """Return why a text is no Python; None where it is. A word alone is a name and no program."""
    if len(text) > LONGEST_CODE:
        return f"which is longer than {LONGEST_CODE:,} characters"
    if not text.strip() or text.strip().isidentifier():
        return "which is no program"
    try:
        with warnings.catch_warnings(action="ignore"):
            ast.parse(text)
    except SyntaxError as error:
        return f"which is no Python (line {error.lineno}: {error.msg})"
    except (ValueError, MemoryError, RecursionError):
        return "which is no Python that can be read"
    return None


def read_value(text: str) -> float | Unread:
    """Return a judgement of a state in [0, 1]: a number said to be the value, else a word, else the last number."""
    seen = visible(text, _VALUES)
    if isinstance(seen, Unread):
        return seen
    body = plain(readable(seen.text))
    body = _OUT_OF.sub("/", _PERCENT.sub(r"\1/100", body))
    said = _said_score(body)
    if said is not None and 0 <= said <= 1:
        return float(said)
    asked = Problem(family="output", question="", answer="", meta={"labels": tuple(JUDGEMENTS)})
    word = WordGrader().parse(asked, body)
    if word.answer is not None:
        return JUDGEMENTS[word.answer]
    found = extract(body)
    if found is None or found[1].value is None:
        return unread(text, "which has no judgement", _VALUES)
    if 0 <= found[1].value <= 1 and said is None:
        return float(found[1].value)
    return unread(text, "whose number is not from 0 to 1 and has no scale", _VALUES)


def _said_score(body: str) -> Fraction | None:
    """Return the number after the last word such as "score", else the last line's number where it has a scale."""
    values = []
    for mark in _SCORE.finditer(body):
        number = next(numbers(body[mark.end() - 1 : mark.end() + 60]), None)
        if number is not None and number.start <= 1 and number.value is not None:
            values.append(number.value)
    if values:
        return values[-1]
    last = body.rstrip().rsplit("\n", 1)[-1][-400:]
    scaled = [n.value for n in numbers(last) if "/" in last[n.start : n.end] and n.value is not None]
    return scaled[-1] if scaled else None

"""From the pieces of a streamed answer to the answer: server-sent events of an OpenAI-compatible server, as pure code.

What comes out is the `Answer` that the same server gives without streaming, so one reader makes completions of both.
Left out: event names, ids and reconnection, which these servers do not use.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from menon.core.errors import SamplerError
from menon.sampling.wire import Answer

ENDED = "[DONE]"
Parts = list[str | list[dict[str, Any]]]


class EventReader:
    """Cuts bytes into the data of events, wherever the network has cut them."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[str]:
        """Return the data of the events that `chunk` completes; an `error:` line counts as an event of its own."""
        # Not str.splitlines: it also cuts at U+2028 and others, which stand unescaped inside JSON.
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        events = []
        for line in lines:
            name, _, value = line.rstrip(b"\r").decode(errors="replace").partition(":")
            if name == "data":
                self._data.append(value.removeprefix(" "))
            elif name == "error":
                events.append(json.dumps({"error": _json_or_text(value.strip())}))
            elif not name and not value and self._data:
                events.append("\n".join(self._data))
                self._data = []
        return events

    def end(self) -> list[str]:
        """Return the data of a last event that no empty line closed."""
        return self.feed(b"\n\n")


class _Delta(BaseModel):
    content: str | list[dict[str, Any]] | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None


class _Piece(BaseModel):
    index: int = 0
    delta: _Delta | None = None
    text: str | None = None
    finish_reason: str | None = None
    logprobs: dict[str, Any] | None = None


class _Event(BaseModel):
    choices: list[_Piece] = []
    usage: dict[str, Any] | None = None
    error: Any = None


@dataclass(slots=True)
class _Growing:
    """One choice as far as it has come."""

    content: Parts = field(default_factory=list)
    fields: dict[str, list[str]] = field(default_factory=dict)
    logprobs: dict[str, list[Any]] = field(default_factory=dict)
    chat: bool = True
    finish_reason: str | None = None

    def add(self, piece: _Piece) -> None:
        if piece.text is not None:
            self.chat = False
            self.content.append(piece.text)
        if piece.delta is not None:
            if piece.delta.content:
                self.content.append(piece.delta.content)
            for name in ("reasoning", "reasoning_content", "refusal"):
                if value := getattr(piece.delta, name):
                    self.fields.setdefault(name, []).append(value)
        for name, value in (piece.logprobs or {}).items():
            if isinstance(value, list):
                self.logprobs.setdefault(name, []).extend(value)
        self.finish_reason = piece.finish_reason or self.finish_reason

    def choice(self) -> dict[str, Any]:
        """Return the choice in the form of an answer that was not streamed."""
        out: dict[str, Any] = {"finish_reason": self.finish_reason, "logprobs": self.logprobs or None}
        if self.chat:
            fields = {name: "".join(values) for name, values in self.fields.items()}
            out["message"] = {"content": _joined(self.content), **fields}
        else:
            out["text"] = _joined(self.content)
        return out


class Assembly:
    """Collects the events of one streamed answer.

    `ended` says that the server declared the end; `error` is what it said where it broke off by itself.
    """

    def __init__(self) -> None:
        self.ended = False
        self.error: Any = None
        self._choices: dict[int, _Growing] = {}
        self._usage: dict[str, Any] | None = None

    def add(self, data: str) -> None:
        """Take the data of one event.

        Raises:
            SamplerError: it is not an event of a completion.
        """
        if data.strip() == ENDED:
            self.ended = True
            return
        try:
            event = _Event.model_validate_json(data)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]["msg"].lower()
            raise SamplerError(f"the server streamed an event of unknown shape: {problem} ({data[:80]!r})") from None
        self.error = event.error or self.error
        self._usage = event.usage or self._usage  # some servers repeat it, growing, in every event
        for piece in event.choices:
            self._choices.setdefault(piece.index, _Growing()).add(piece)

    @property
    def complete(self) -> bool:
        """Whether the answer is whole: its end was declared, or every choice that began says why it ended."""
        finished = all(choice.finish_reason for choice in self._choices.values())
        return self.error is None and bool(self._choices) and (self.ended or finished)

    def answer(self) -> Answer | None:
        """Return what has arrived so far, choices by index; None before the first."""
        if not self._choices:
            return None
        choices = [self._choices[index].choice() for index in sorted(self._choices)]
        return Answer.model_validate({"choices": choices, "usage": self._usage})


def _joined(parts: Parts) -> str | list[dict[str, Any]]:
    """Join the pieces of a text; typed pieces stay a list, which has room for thoughts."""
    if not any(isinstance(part, list) for part in parts):
        return "".join(part for part in parts if isinstance(part, str))
    typed = [[{"type": "text", "text": part}] if isinstance(part, str) else part for part in parts]
    return [piece for pieces in typed for piece in pieces]


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value

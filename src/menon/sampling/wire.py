"""What goes over the wire to an OpenAI-compatible server and what comes back, as pure functions.

Servers differ in where they put the reasoning (`reasoning`, `reasoning_content`, typed content parts, `<think>` in the
text) and in which fields they add; one form comes out of here. Fields that are not read are ignored on purpose: every
server adds its own.
"""

import re
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from menon.core.errors import SamplerError
from menon.core.values import Completion, Request
from menon.grading import split_thinking
from menon.sampling.cutting import cut_at_stop

Api = Literal["chat", "completions"]

# Fields that the answer can do without (or that are made up for here) when a server refuses them by name.
DISPENSABLE = ("stream_options", "seed", "logprobs", "n", "stop")
COMPLAINT = re.compile(r"un(known|recogni|expected|supported)|not (support|permit|allow)|invalid|only", re.I)
# JSON numbers beyond 2**31 - 1 are refused or rounded by some servers.
SEED_SPACE = 2**31
ADDRESS_HINT = "check the address: that of an API usually ends in /v1"


class _Usage(BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Token(BaseModel):
    logprob: float | None = None


class _Logprobs(BaseModel):
    content: list[_Token] | None = None
    tokens: list[str] | None = None
    token_logprobs: list[float | None] | None = None
    text_offset: list[int] | None = None


class _Message(BaseModel):
    content: str | list[dict[str, Any]] | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message | None = None
    text: str | None = None
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class Answer(BaseModel):
    """The body of a successful response, chat or completions."""

    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one server wants to be asked: learned from its refusals, kept for the life of the sampler."""

    api: Api = "chat"
    refused: frozenset[str] = frozenset()
    limit_field: str = "max_tokens"
    stream: bool = False


def refusal(request: Request, api: Api) -> str | None:
    """Say why `request` cannot be put to an endpoint at all, or None."""
    if request.beams > 1:
        return f"beams={request.beams}: endpoints do not offer beam search; use beams=1 or a local model"
    if isinstance(request.prompt, str) or not request.prompt:
        return None
    if isinstance(request.prompt[0], int):
        return "the prompt is token ids; endpoints take text or chat messages, token ids need a local model"
    if api == "completions":
        return "the prompt is chat messages and the endpoint was opened with api=completions; use api=chat"
    return None


def body_of(request: Request, *, model: str, dialect: Dialect, seed: int, count: int) -> dict[str, Any]:
    """Build the JSON body that asks for `count` samples of `request`."""
    body: dict[str, Any] = {"model": model, dialect.limit_field: request.max_tokens, "temperature": request.temperature}
    if dialect.api == "completions":
        body["prompt"] = request.prompt
    elif isinstance(request.prompt, str):
        body["messages"] = [{"role": "user", "content": request.prompt}]
    else:
        body["messages"] = [{"role": m.role, "content": m.content} for m in request.prompt if not isinstance(m, int)]
    if request.top_p != 1.0:
        body["top_p"] = request.top_p
    if request.top_k > 0:
        body["top_k"] = request.top_k
    if request.stop:
        body["stop"] = list(request.stop)
    if count > 1:
        body["n"] = count
    if request.logprobs:
        body["logprobs"] = True if dialect.api == "chat" else 1
    if dialect.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    body["seed"] = seed % SEED_SPACE
    return {name: value for name, value in body.items() if name not in dialect.refused}


def read_answer(text: str) -> Answer:
    """Read a response body.

    Raises:
        SamplerError: the body is a web page, is not JSON, or is JSON of another shape; says which.
    """
    if looks_like_html(text):
        raise SamplerError(f"the server answered with a web page instead of JSON ({_start(text)}); {ADDRESS_HINT}")
    try:
        return Answer.model_validate_json(text)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(map(str, problem["loc"]))
        if problem["type"] == "json_invalid":
            raise SamplerError(f"the server's answer is not valid JSON or was cut off ({_start(text)})") from None
        raise SamplerError(
            f"the server's answer has an unknown shape: {where}: {problem['msg'].lower()} ({_start(text)})"
        ) from None


def looks_like_html(text: str) -> bool:
    """Say whether a body is a web page (a proxy's, a login form, the server's own front end)."""
    return text.lstrip()[:200].lower().startswith(("<!doctype", "<html", "<head", "<body"))


def completions_of(
    answer: Answer, request: Request, *, first: int, count: int, model: str, seconds: float
) -> list[Completion]:
    """Turn the choices of `answer` into samples `first`, `first + 1`, ... of `request`, at most `count`."""
    choices = answer.choices[:count]
    usage = answer.usage or _Usage()
    shares = _shares(usage.completion_tokens or 0, [_logps(choice) for choice in choices])
    return [
        _completion(
            choice, request, sample=first + place, tokens=share, usage=usage, model=model, seconds=round(seconds, 6)
        )
        for place, (choice, share) in enumerate(zip(choices, shares, strict=True))
    ]


def _completion(
    choice: _Choice, request: Request, *, sample: int, tokens: int, usage: _Usage, model: str, seconds: float
) -> Completion:
    if choice.finish_reason == "content_filter":
        text, reasoning, finish, error = "", None, "error", "withheld by the server's content filter"
    else:
        raw, reasoning = _texts(choice)
        if reasoning:  # the blank lines between the two parts, of which servers keep some
            raw, reasoning = raw.lstrip("\n"), reasoning.strip()
        raw, stopped = cut_at_stop(raw, request.stop)
        thought, text, _ = split_thinking(raw)
        reasoning = "\n\n".join(part for part in (reasoning, thought) if part) or None
        finish, error = _finish(choice, request, tokens, stopped), None
    return Completion(
        key=request.key,
        sample=sample,
        text=text,
        finish=finish,
        reasoning=reasoning,
        logps=_logps(choice) if request.logprobs else None,
        prompt_tokens=usage.prompt_tokens or 0,
        completion_tokens=tokens,
        seconds=seconds,
        model=model,
        error=error,
    )


def _finish(choice: _Choice, request: Request, tokens: int, stopped: bool) -> Literal["stop", "length"]:
    if stopped:
        return "stop"
    if choice.finish_reason is None:  # some servers leave it out; the token count tells
        return "length" if tokens >= request.max_tokens else "stop"
    return "length" if choice.finish_reason in ("length", "max_tokens") else "stop"


def _texts(choice: _Choice) -> tuple[str, str | None]:
    """Return the text and the reasoning that came apart from it."""
    message = choice.message
    if message is None:
        return choice.text or "", None
    reasoning = message.reasoning or message.reasoning_content
    if not isinstance(message.content, list):
        return message.content or message.refusal or "", reasoning
    text = "".join(_part_text(part) for part in message.content if not _is_thought(part))
    thought = "".join(_part_text(part) for part in message.content if _is_thought(part))
    return text, "\n\n".join(part for part in (reasoning, thought) if part) or None


def _is_thought(part: dict[str, Any]) -> bool:
    return part.get("type") in ("thinking", "reasoning", "reasoning_text")


def _part_text(part: dict[str, Any]) -> str:
    for name in ("text", "thinking", "reasoning"):
        value = part.get(name)
        if isinstance(value, str):
            return value
        if isinstance(value, list):
            return "".join(_part_text(piece) for piece in value if isinstance(piece, dict))
    return ""


def _logps(choice: _Choice) -> tuple[float, ...] | None:
    found = choice.logprobs
    if found is None:
        return None
    if found.content is not None:
        values = [token.logprob for token in found.content]
    else:
        values = found.token_logprobs or []
    known = tuple(value for value in values if value is not None)
    return known if known and len(known) == len(values) else None


def _shares(total: int, logps: list[tuple[float, ...] | None]) -> list[int]:
    """Share the tokens of one answer among its choices: exactly where log-probabilities count them, else evenly."""
    counted = [len(values) for values in logps if values is not None]
    if len(counted) == len(logps):
        return counted
    each, over = divmod(total, len(logps))
    return [each + (place < over) for place in range(len(logps))]


def refused_field(message: str, body: dict[str, Any]) -> str | None:
    """Return the field of `body` that a refusal (status 400 or 422) names, if one that can be left out or renamed."""
    if "max_tokens" in body and "max_completion_tokens" in message:
        return "max_tokens"
    for name in DISPENSABLE:
        # Quoted, or bare beside a word of refusal: "n" alone is too short to be trusted.
        quoted = re.search(rf"[\"'`]{name}[\"'`]", message)
        bare = re.search(rf"(?<![\w.]){name}(?![\w.])", message) and COMPLAINT.search(message)
        if name in body and (quoted or bare):
            return name
    return None


def echo_body(text: str, *, model: str) -> dict[str, Any]:
    """Build the body that asks a completions server for the log-probabilities of `text` itself."""
    # One token is generated and not looked at: generating none is refused by some servers.
    return {"model": model, "prompt": text, "max_tokens": 1, "temperature": 0, "echo": True, "logprobs": 1}


def echoed_logps(answer: Answer, prompt: str, continuation: str) -> list[float]:
    """Return the log-probabilities of the tokens that reach into `continuation`.

    A token that straddles the border counts as part of the continuation.

    Raises:
        SamplerError: the server did not return the text with its log-probabilities.
    """
    choice, whole = answer.choices[0], prompt + continuation
    found = choice.logprobs
    if found is None or not found.tokens or not found.token_logprobs or not (choice.text or "").startswith(whole):
        raise SamplerError("the server does not offer `echo` with `logprobs`, which scoring needs; use a local model")
    starts = _token_starts(found.tokens, found.text_offset, whole)
    ends = [*starts[1:], max(len(whole), starts[-1] + len(found.tokens[-1]))]
    rows = zip(starts, ends, found.token_logprobs, strict=False)
    chosen = [logp for start, end, logp in rows if end > len(prompt) and start < len(whole)]
    if not chosen or None in chosen:
        raise SamplerError(f"the server gave no log-probability for the start of {continuation[:40]!r}")
    return [logp for logp in chosen if logp is not None]


def _token_starts(tokens: list[str], offsets: list[int] | None, whole: str) -> list[int]:
    """Return where each token starts in `whole`; a start token before it begins at a negative place."""
    place = -"".join(tokens).find(whole)
    if place > 0:  # not found: tokens that are pieces of characters do not spell the text
        if offsets is None or len(offsets) != len(tokens):
            raise SamplerError("the server's tokens do not spell the text that was sent, so they cannot be told apart")
        return offsets
    starts = []
    for token in tokens:
        starts.append(place)
        place += len(token)
    return starts


def _start(text: str) -> str:
    return f"{len(text)} characters, beginning {text[:80]!r}"

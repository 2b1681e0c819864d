"""One conversation with one OpenAI-compatible server: attempts, retries, time-outs, and errors in plain words.

Lives inside one event loop. The official client carries the bytes; its own retries are off, because waiting, pacing
and giving up are decided here, where every request of the conversation is seen.
"""

import asyncio
import difflib
import importlib
import json
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import openai

from menon.core.errors import SamplerError
from menon.sampling.pacing import AdaptiveLimit, backoff_s, retry_after_s
from menon.sampling.streaming import Assembly, EventReader
from menon.sampling.wire import ADDRESS_HINT, Answer, Dialect, looks_like_html, read_answer, refused_field

log = logging.getLogger(__name__)

RETRIED_STATUS = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 524, 529})
OVERLOADED_STATUS = frozenset({408, 429, 503, 504, 524, 529})
# A server that never answered is not running: three attempts tell. One that has answered may be restarting.
ATTEMPTS_BEFORE_FIRST_ANSWER = 3
# This many requests in a row that ran out of attempts without a word from the server end the conversation.
SILENCES_BEFORE_GIVING_UP = 3
# Between the declared end of a stream and the end of its bytes, which lets the connection be used again.
LINGER_S = 1.0


class Unanswered(SamplerError):
    """A request that was given up; `partial` is what a stream had brought of its answer before it broke off."""

    def __init__(self, message: str, partial: Answer | None = None):
        super().__init__(message)
        self.partial = partial


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long and how often a server is asked.

    `grudge_s`: a conversation that was ended because the server seemed dead is taken up again after so long.
    """

    timeout_s: float
    total_s: float
    retries: int
    backoff_s: float
    grudge_s: float = float("inf")


@dataclass(eq=False, kw_only=True)
class Trouble(Exception):
    """One attempt that failed, and what that means for the next.

    `silent`: the server said nothing about this request (unreachable, mute, crashed); `hopeless`: no other request of
    the conversation will fare better unless one has been answered already; `model_suspect`: servers fail like this on
    a model name that they do not know.
    """

    message: str
    status: int | None = None
    retry: bool = False
    overloaded: bool = False
    silent: bool = False
    hopeless: bool = False
    model_suspect: bool = False
    wait_s: float | None = None
    partial: Answer | None = None


@dataclass(kw_only=True)
class Conversation:
    """The requests of one `sample` call, or of one hub; shares what it learns about the server through `dialect`."""

    client: openai.AsyncOpenAI
    model: str
    address: str
    secret: str | None
    patience: Patience
    limit: AdaptiveLimit
    dialect: Dialect
    answered: int = 0
    _silences: int = 0
    _hopeless: str | None = None
    _hopeless_since: float = 0.0
    _models: list[str] | None = field(default=None, repr=False)

    async def ask(self, path: str, build: Callable[[Dialect], dict[str, Any]], *names: str | int) -> Answer:
        """Post `build(dialect)` to `path` until it is answered; `names` seed the jitter of the waits.

        Raises:
            Unanswered: the server refused, stayed silent or kept failing; the message is fit for a person.
        """
        deadline: float | None = None
        attempt = 0
        while True:
            async with self.limit.slot() as taken:
                if self._hopeless:
                    self._give_up_or_forgive(self._hopeless)
                deadline = deadline or time.monotonic() + self.patience.total_s
                body = build(self.dialect)
                try:
                    answer = await self._attempt(path, body, deadline)
                    self._heard()
                    return answer
                except Trouble as trouble:
                    if self._adapt(trouble, body):
                        continue
                    wait = await self._next_wait(trouble, attempt, deadline, *names)
                    if trouble.overloaded:
                        self.limit.overloaded(taken, trouble.wait_s or 0.0)
            attempt += 1
            await asyncio.sleep(wait)

    def _time_for_attempt(self, deadline: float) -> float:
        return max(0.001, min(self.patience.timeout_s, deadline - time.monotonic()))

    async def models(self) -> list[str]:
        """List the models that the server says it has; empty when it does not say."""
        if self._models is None:
            try:
                async with asyncio.timeout(min(10.0, self.patience.timeout_s)):
                    text = await self.client.get("/models", cast_to=str)
                rows = json.loads(text)["data"]
                self._models = [str(row["id"]) for row in rows if isinstance(row, dict) and "id" in row]
            except (openai.OpenAIError, ValueError, KeyError, TypeError, TimeoutError):
                self._models = []
        return self._models

    def redact(self, text: str) -> str:
        """Remove the key from a message; servers like to repeat it."""
        if self.secret:
            text = text.replace(self.secret, "[key]")
        return re.sub(r"(?i)(bearer\s+)[^\s;,\"']+", r"\1[key]", text)

    def learn(self, name: str, reason: str) -> None:
        """Leave field `name` out from now on, and say so once."""
        if name in self.dialect.refused:
            return
        self.dialect = replace(self.dialect, refused=self.dialect.refused | {name})
        log.warning("%s: field %r is left out from now on: %s", self.address, name, self.redact(reason))

    def _adapt(self, trouble: Trouble, body: dict[str, Any]) -> bool:
        """Change the dialect if the refusal names a field that can be done without; say whether it was."""
        if trouble.status not in (400, 422):
            return False
        name = refused_field(trouble.message, body)
        if name is None:
            return False
        if name == "max_tokens":
            self.dialect = replace(self.dialect, limit_field="max_completion_tokens")
        else:
            self.learn(name, trouble.message)
        return True

    async def _attempt(self, path: str, body: dict[str, Any], deadline: float) -> Answer:
        timeout_s = self._time_for_attempt(deadline)
        try:
            if body.get("stream"):
                return await self._streamed(path, body, timeout_s, deadline)
            # The client's own time-out is per read; a server that dribbles is stopped by the outer one.
            async with asyncio.timeout(timeout_s):
                text = await self.client.post(path, body=body, cast_to=str, options={"timeout": timeout_s})
            return read_answer(text)
        except (TimeoutError, openai.APITimeoutError):
            message = f"no answer from {self.address} within {timeout_s:.3g} s"
            raise Trouble(message=message, retry=True, overloaded=True, silent=True) from None
        except openai.APIStatusError as error:
            raise self._status_trouble(error) from None
        except openai.APIConnectionError as error:
            raise self._connection_trouble(error) from None
        except openai.OpenAIError as error:
            raise Trouble(message=self.redact(str(error))) from None
        except SamplerError as error:
            page = "web page" in str(error)
            raise Trouble(message=self.redact(f"{self.address}: {error}"), retry=not page, hopeless=page) from None

    async def _streamed(self, path: str, body: dict[str, Any], timeout_s: float, deadline: float) -> Answer:
        """Post and read a streamed answer; `timeout_s` bounds the wait for each piece of it."""
        async with asyncio.timeout(timeout_s):
            stream = await self.client.post(
                path,
                body=body,
                cast_to=object,
                stream=True,
                stream_cls=openai.AsyncStream[object],
                options={"timeout": timeout_s},
            )
        try:
            if "event-stream" in stream.response.headers.get("content-type", ""):
                return await self._assembled(stream.response, timeout_s, deadline)
            # It answers in one piece, or is no such server at all.
            async with asyncio.timeout(timeout_s):
                return read_answer((await stream.response.aread()).decode(errors="replace"))
        except _carrier_errors(stream.response) as error:
            message = f"the connection to {self.address} broke before the answer was complete ({_cause(error)})"
            raise Trouble(message=self.redact(message), retry=True, silent=True) from None
        finally:
            await stream.close()

    async def _assembled(self, response: Any, timeout_s: float, deadline: float) -> Answer:
        clock = asyncio.get_running_loop().time
        last = clock() + deadline - time.monotonic()
        reader, assembly, why = EventReader(), Assembly(), ""
        try:
            async with asyncio.timeout(timeout_s) as limit:
                async for chunk in response.aiter_bytes():
                    for data in reader.feed(chunk):
                        assembly.add(data)
                    if assembly.error is not None:
                        break
                    limit.reschedule(min(clock() + (LINGER_S if assembly.ended else timeout_s), last))
            for data in reader.end():
                assembly.add(data)
        except TimeoutError:
            if assembly.answer() is None:
                raise
            why = f"nothing more came within {timeout_s:.3g} s" if clock() < last else "its time was over"
        except _carrier_errors(response) as error:
            if assembly.answer() is None:
                raise
            why = _cause(error)
        except SamplerError as error:
            raise self._broken_stream(str(error), assembly) from None
        answer = assembly.answer()
        if answer is None or not assembly.complete:
            raise self._broken_stream(why or "it ended without a finish reason", assembly)
        return answer

    def _broken_stream(self, why: str, assembly: Assembly) -> Trouble:
        status = None
        if assembly.error is not None:
            why = server_message(json.dumps({"error": assembly.error}))
            code = assembly.error.get("code") if isinstance(assembly.error, dict) else None
            status = code if isinstance(code, int) else None
        return Trouble(
            message=self.redact(f"the stream from {self.address} broke off: {why}"),
            status=status,
            retry=status is None or status in RETRIED_STATUS,
            overloaded=status in OVERLOADED_STATUS,
            partial=assembly.answer(),
        )

    def _status_trouble(self, error: openai.APIStatusError) -> Trouble:
        status, text = error.status_code, error.response.text
        said = self.redact(server_message(text))
        headers = error.response.headers
        wait_s = retry_after_s(headers.get("retry-after"))
        if (wait_ms := retry_after_s(headers.get("retry-after-ms"))) is not None:
            wait_s = wait_ms / 1000.0
        return Trouble(
            message=f"{self.address} answered with status {status}: {said}{self._status_advice(status, text)}",
            status=status,
            retry=status in RETRIED_STATUS and "insufficient_quota" not in text,
            overloaded=status in OVERLOADED_STATUS,
            silent=status >= 500 and status not in OVERLOADED_STATUS,
            hopeless=status in (401, 403, 404, 405) or "insufficient_quota" in text,
            model_suspect=status in (404, 500),
            wait_s=wait_s,
        )

    def _status_advice(self, status: int, text: str) -> str:
        if status in (401, 403):
            sent = "the key that was sent is not accepted" if self.secret else "no key was sent"
            return f"; {sent}, set OPENAI_API_KEY"
        if "chat template" in text.lower() or "chat_template" in text:
            return "; the model is not a chat model, open the endpoint with ?api=completions"
        if status == 405 or (status == 404 and (looks_like_html(text) or "model" not in text.lower())):
            return f"; {ADDRESS_HINT}, and some servers offer only one of api=chat and api=completions"
        return ""

    def _connection_trouble(self, error: openai.APIConnectionError) -> Trouble:
        cause = error.__cause__
        detail = self.redact(str(cause) or type(cause).__name__)
        unreachable = type(cause).__name__ == "ConnectError"  # of httpx or of httpx2, whichever carries the client
        if unreachable:
            message = f"cannot connect to {self.address} ({detail}): is the server running, is the address right?"
        else:
            message = f"the connection to {self.address} broke before the answer was complete ({detail})"
        return Trouble(message=message, retry=True, silent=True, model_suspect=not unreachable)

    async def _next_wait(self, trouble: Trouble, attempt: int, deadline: float, *names: str | int) -> float:
        """Return how long to wait before the next attempt.

        Raises:
            Unanswered: there is no next attempt.
        """
        attempts = 1 + (self.patience.retries if trouble.retry else 0)
        if trouble.silent and not self.answered:
            attempts = min(attempts, ATTEMPTS_BEFORE_FIRST_ANSWER)
        wait = trouble.wait_s
        if wait is None:
            wait = backoff_s(attempt, *names, first_s=self.patience.backoff_s)
        if attempt + 1 >= attempts:
            times = f" (asked {attempt + 1} times)" if attempt else ""
            raise Unanswered(await self._give_up(trouble, times), trouble.partial)
        if time.monotonic() + wait > deadline:
            left = f" (the next attempt is due in {wait:.3g} s, after the end of total_s={self.patience.total_s:.3g})"
            raise Unanswered(await self._give_up(trouble, left), trouble.partial)
        return wait

    async def _give_up(self, trouble: Trouble, suffix: str) -> str:
        message = trouble.message + suffix
        if trouble.model_suspect and not self.answered:
            message += self._model_advice(await self.models())
        self._silences = self._silences + 1 if trouble.silent else 0
        if (trouble.hopeless and not self.answered) or self._silences >= SILENCES_BEFORE_GIVING_UP:
            self._hopeless, self._hopeless_since = self._hopeless or message, time.monotonic()
        return message

    def _give_up_or_forgive(self, message: str) -> None:
        if time.monotonic() - self._hopeless_since < self.patience.grudge_s:
            raise Unanswered(message)
        self._hopeless, self._silences = None, 0

    def _model_advice(self, models: list[str]) -> str:
        if not models:
            return f"; is {self.model!r} the model's name on the server? Its log may say more"
        if self.model in models:
            return ""
        near = difflib.get_close_matches(self.model, models, n=1, cutoff=0.4)
        shown = ", ".join(repr(name) for name in models[:10]) + (", ..." if len(models) > 10 else "")
        return f"; model {self.model!r} is not among those it lists: {shown}." + (
            f" Did you mean {near[0]!r}?" if near else ""
        )

    def _heard(self) -> None:
        self.answered += 1
        self._silences = 0
        self.limit.succeeded()


def _carrier_errors(response: Any) -> type[Exception]:
    """Return the base of what reading `response` raises: of httpx or of httpx2, whichever carries the client."""
    return importlib.import_module(type(response).__module__.partition(".")[0]).HTTPError


def _cause(error: Exception) -> str:
    return str(error) or type(error).__name__


def server_message(text: str) -> str:
    """Return what the body of a refusal says, in one short line."""
    if looks_like_html(text):
        title = re.search(r"<title[^>]*>(.*?)</title>", text, re.I | re.S)
        return f"a web page{' titled ' + repr(title.group(1).strip()[:80]) if title else ''}"
    try:
        found: Any = json.loads(text)
    except ValueError:
        found = text
    for name in ("error", "detail", "message"):
        if isinstance(found, dict) and name in found:
            param = found.get("param")
            found = found[name]
            if isinstance(found, str) and isinstance(param, str):
                found += f" (field {param!r})"
    if isinstance(found, list):
        found = "; ".join(_validation_line(row) for row in found)
    elif not isinstance(found, str):
        found = json.dumps(found, ensure_ascii=False)
    return " ".join(found.split())[:400] or "nothing more"


def _validation_line(row: Any) -> str:
    """Shorten one error of a FastAPI server, which repeats the whole request as its `input`."""
    if isinstance(row, dict) and isinstance(row.get("loc"), list) and row["loc"]:
        return f"{str(row['loc'][-1])!r}: {row.get('msg', '')}"
    return str(row)

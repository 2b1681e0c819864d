"""Replay responses from a file.

A row is one response or several of one prompt. Rows written by `record` hold everything a completion holds and replay
to equal completions; rows from elsewhere need a key, a prompt or a question, and a text under one of several names.
Fields that are not read are ignored on purpose, because such files come from anywhere.
"""

import dataclasses
import gzip
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from menon.core.errors import ConfigError, DataError, SamplerError
from menon.core.progress import Progress
from menon.core.values import SCHEMA, Completion, Problem, Request
from menon.grading import split_thinking
from menon.sampling.protocol import SILENT, failed, problem_id_of
from menon.sampling.questions import QuestionIndex
from menon.sampling.recording import prompt_text
from menon.sampling.spec import Options, read_options, split_query

log = logging.getLogger(__name__)

KEY_FIELDS = ("key", "id", "problem_id", "problem")
PROMPT_FIELDS = ("prompt", "input")
QUESTION_FIELDS = ("question",)
TEXT_FIELDS = ("text", "response", "completion", "output", "solution", "answer_text")
LIST_FIELDS = ("responses", "completions", "outputs", "samples", "resps")
REASONING_FIELDS = ("reasoning", "reasoning_content")
SHOWN = 3
COMPLETION: TypeAdapter[Completion] = TypeAdapter(Completion)


class RecordedOptions(Options):
    """Field names that differ from the usual ones, and which model's rows to take where a file holds several."""

    key: str | None = None
    prompt: str | None = None
    question: str | None = None
    text: str | None = None
    model: str | None = None


class RecordedSampler:
    """Responses on file, found by request key, then by prompt, then by question."""

    immediate = True  # nothing to wait for: a hub calls it without a thread

    def __init__(self, path: str | Path, options: RecordedOptions | None = None):
        """Read the file at `path`, JSONL or gzipped JSONL.

        Raises:
            ConfigError: no such file.
            DataError: no usable row, or rows of several models of which none was chosen.
        """
        self.path, self.options = Path(path).expanduser(), options or RecordedOptions()
        self.name = f"recorded:{path}" + (f"?model={self.options.model}" if self.options.model else "")
        self._by_key: dict[str, dict[int, Completion]] = {}
        self._by_prompt: dict[str, dict[int, Completion]] = {}
        self._by_question: dict[str, dict[int, Completion]] = {}
        self._questions = QuestionIndex()
        self._prompt_of: dict[str, str] = {}
        self._problems: dict[str, Problem] = {}
        self._warned = False
        self.skipped: list[str] = []
        self._read()

    @classmethod
    def from_spec(cls, spec: str, **options: Any) -> "RecordedSampler":
        """Read `recorded:FILE?text=FIELD&model=NAME`."""
        path, query = split_query(spec.removeprefix("recorded:"))
        return cls(path, read_options(RecordedOptions, f"recorded:{path}", query, options))

    def bind(self, problems: Iterable[Problem]) -> None:
        """Make questions known, so that rows are found by question even where the prompt does not contain it."""
        self._problems |= {problem.id: problem for problem in problems}

    def sample(self, requests: Iterable[Request], *, progress: Progress = SILENT) -> Iterator[Completion]:
        """Yield the recorded responses; those that are not on file come back with `finish="error"`."""
        requests = list(requests)
        progress.start(f"reading {self.name}", sum(request.n for request in requests), "completions")
        for request in requests:
            found = self._find(request)
            for sample in range(request.n):
                progress.advance()
                yield self._completion(request, sample, found)

    def score(self, prompt: str, continuation: str) -> list[float]:
        """Refuse: a file of responses has no model that could score text."""
        raise SamplerError(f"{self.name} cannot score text: it holds responses, not a model; use a local model")

    def _completion(self, request: Request, sample: int, found: Mapping[int, Completion] | None) -> Completion:
        if found is None:
            message = f"{self.path} has no response for key {request.key!r}, nor for its prompt or question"
            return failed(request, sample, message, model=self.name)
        if sample not in found:
            message = f"{self.path} has {len(found)} response(s) for key {request.key!r}; sample {sample} was asked for"
            return failed(request, sample, message, model=self.name)
        return dataclasses.replace(found[sample], key=request.key, sample=sample)

    def _find(self, request: Request) -> Mapping[int, Completion] | None:
        problem = self._problems.get(problem_id_of(request.key))
        names = [request.key, problem_id_of(request.key)]
        if problem is not None and "id" in problem.meta:
            names.append(str(problem.meta["id"]))
        prompt = prompt_text(request.prompt)
        for name in names:
            if name in self._by_key:
                self._compare(name, prompt)
                return self._by_key[name]
        if prompt in self._by_prompt:
            return self._by_prompt[prompt]
        if problem is not None and problem.question.strip() in self._by_question:
            return self._by_question[problem.question.strip()]
        question = self._questions.last_in(prompt)
        return None if question is None else self._by_question[question]

    def _compare(self, key: str, prompt: str) -> None:
        if not self._warned and self._prompt_of.get(key, prompt) != prompt:
            self._warned = True
            log.warning(
                "%s: key %r was recorded for another prompt; its responses are replayed all the same", self.path, key
            )

    def _read(self) -> None:
        if not self.path.is_file():
            raise ConfigError(f"no file {str(self.path)!r}; recorded:FILE wants a JSONL file of responses (may be .gz)")
        models: set[str] = set()
        opened = gzip.open if self.path.suffix == ".gz" else open
        try:
            with opened(self.path, "rt", encoding="utf-8") as lines:
                for number, line in enumerate(lines, 1):
                    if line.strip():
                        self._read_line(number, line, models)
        except (OSError, EOFError, UnicodeDecodeError) as error:
            raise DataError(
                f"{self.path} cannot be read: {error}; wanted UTF-8 JSONL, gzipped if it ends in .gz"
            ) from None
        self._check(models)

    def _check(self, models: set[str]) -> None:
        shown = "; ".join(self.skipped[:SHOWN])
        if self.options.model is not None and self.options.model not in models:
            raise DataError(f"{self.path} has no rows of model {self.options.model!r}; it has: {_listed(models)}")
        if not (self._by_key or self._by_prompt or self._by_question):
            raise DataError(
                f"{self.path} has no usable row ({shown or 'it is empty'}). A row wants one of "
                f"{', '.join(KEY_FIELDS + PROMPT_FIELDS + QUESTION_FIELDS)} and one of "
                f"{', '.join(TEXT_FIELDS + LIST_FIELDS)}; name other fields with ?key=FIELD&text=FIELD"
            )
        if self.options.model is None and len(models) > 1:
            raise DataError(f"{self.path} has rows of {len(models)} models: {_listed(models)}; choose with ?model=NAME")
        if self.skipped:
            log.warning("%s: %d broken line(s) skipped: %s", self.path, len(self.skipped), shown)

    def _read_line(self, number: int, line: str, models: set[str]) -> None:
        try:
            row = json.loads(line)
        except ValueError:
            self.skipped.append(f"line {number}: not JSON, {line.strip()[:40]!r}")
            return
        if not isinstance(row, dict):
            self.skipped.append(f"line {number}: not an object, {line.strip()[:40]!r}")
            return
        model = row.get("model")
        if isinstance(model, str):
            models.add(model)
        if self.options.model is not None and model != self.options.model:
            return
        key, prompt, question = self._names(row)
        try:
            responses = self._responses(row)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            self.skipped.append(f"line {number}: {'.'.join(map(str, first['loc']))}: {first['msg'].lower()}")
            return
        if not responses or not (key or prompt or question):
            missing = "no response" if not responses else "no key, prompt or question"
            self.skipped.append(f"line {number}: {missing}, fields {sorted(row)}")
            return
        for table, name in ((self._by_key, key), (self._by_prompt, prompt), (self._by_question, question)):
            if name:
                _file(table.setdefault(name, {}), row, responses)
        if question:
            self._questions.add(question)
        if key and prompt:
            self._prompt_of[key] = prompt

    def _names(self, row: Mapping[str, Any]) -> tuple[str | None, str | None, str | None]:
        key = _field(row, self.options.key, KEY_FIELDS)
        prompt = _field(row, self.options.prompt, (*PROMPT_FIELDS, "messages"))
        question = _field(row, self.options.question, QUESTION_FIELDS)
        return (
            None if key is None else str(key),
            None if prompt is None else prompt_text(prompt),
            question.strip() if isinstance(question, str) else None,
        )

    def _responses(self, row: Mapping[str, Any]) -> list[Completion]:
        if row.get("schema") == SCHEMA and "finish" in row:
            return [self._own(row)]
        text = _field(row, self.options.text, (*TEXT_FIELDS, *LIST_FIELDS))
        texts = text if isinstance(text, list) else [text]
        reasoning = _field(row, None, REASONING_FIELDS)
        return [self._foreign(text, reasoning, row) for text in texts if isinstance(text, str)]

    def _own(self, row: Mapping[str, Any]) -> Completion:
        known = {field.name for field in dataclasses.fields(Completion)}
        return COMPLETION.validate_python({name: value for name, value in row.items() if name in known})

    def _foreign(self, text: str, reasoning: Any, row: Mapping[str, Any]) -> Completion:
        thought, rest, _ = split_thinking(text)
        parts = [part for part in (reasoning, thought) if isinstance(part, str) and part]
        finish = "length" if row.get("finish_reason", row.get("finish")) == "length" else "stop"
        return Completion(
            key="",
            text=rest,
            reasoning="\n\n".join(parts) or None,
            finish=finish,
            model=str(row.get("model") or self.name),
        )


def _field(row: Mapping[str, Any], named: str | None, usual: Iterable[str]) -> Any:
    """Return the field `named` (dots lead into objects), or else the first of the usual ones that is there."""
    if named is None:
        return next((row[name] for name in usual if row.get(name) is not None), None)
    value: Any = row
    for part in named.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _file(samples: dict[int, Completion], row: Mapping[str, Any], responses: list[Completion]) -> None:
    """File responses under their sample numbers; a row with the number of an earlier one replaces it."""
    start = row["sample"] if isinstance(row.get("sample"), int) else len(samples)
    for place, response in enumerate(responses):
        samples[start + place] = response


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in sorted(names)[:10]) or "none"

"""Recorded responses: every way to find a row, files from elsewhere, damaged files, and recording itself."""

import gzip
import json
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from menon.core.errors import ConfigError, DataError, SamplerError
from menon.core.progress import Progress
from menon.core.values import Completion, Message, Problem, Request
from menon.sampling import Sampler, bind_problems, open_sampler, record, sample_in_order
from menon.sampling.protocol import SILENT
from menon.sampling.questions import QuestionIndex


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def ask(spec: str, *requests: Request, problems: Iterable[Problem] = ()) -> list[Completion]:
    sampler = open_sampler(spec)
    bind_problems(sampler, problems)
    return sample_in_order(sampler, requests)


PROBLEM = Problem(family="own", question="How much is 2 + 2?", answer="4", meta={"id": "row-7"})


@pytest.mark.parametrize(
    "row",
    [
        {"key": f"{PROBLEM.id}/test", "text": "4"},
        {"key": PROBLEM.id, "response": "4"},
        {"id": "row-7", "solution": "4"},
        {"prompt": "Q: How much is 2 + 2?\nA:", "completion": "4"},
        {"messages": [{"role": "user", "content": "Q: How much is 2 + 2?\nA:"}], "text": "4"},
        {"question": "How much is 2 + 2?", "responses": ["4"]},
    ],
)
def test_found_by_key_prompt_or_question(tmp_path: Path, row: dict[str, Any]) -> None:
    path = write(tmp_path / "r.jsonl", {"key": "other", "prompt": "x", "question": "y", "text": "no"}, row)
    request = Request(key=f"{PROBLEM.id}/test", prompt="Q: How much is 2 + 2?\nA:", seed=0)
    (completion,) = ask(f"recorded:{path}", request, problems=[PROBLEM])
    assert (completion.key, completion.text, completion.finish) == (request.key, "4", "stop")


def test_the_last_question_of_a_few_shot_prompt_counts(tmp_path: Path) -> None:
    rows = [{"question": "How many pens?", "text": "pens"}, {"question": "How many cups?", "text": "cups"}]
    path = write(tmp_path / "r.jsonl", *rows)
    prompt = "Q: How many cups?\nA: 3\n\nQ: How many pens?\nA:"
    assert ask(f"recorded:{path}", Request(key="k", prompt=prompt, seed=0))[0].text == "pens"


def test_a_question_inside_another_is_not_mistaken_for_it() -> None:
    index = QuestionIndex()
    for question in ("2+2", "Tom: how many?", "how many?"):
        index.add(question)
    assert index.last_in("12+2=") is None
    assert index.last_in("x 2+2=") == "2+2"
    assert index.last_in("Tom: how many?") == "Tom: how many?"


def test_missing_responses_are_errors_that_say_what_is_missing(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl", {"key": "a", "responses": ["1", "2"]})
    requests = [Request(key="a", prompt="p", seed=0, n=3), Request(key="b", prompt="q", seed=0)]
    completions = ask(f"recorded:{path}", *requests)
    assert [(c.key, c.sample, c.text) for c in completions] == [
        ("a", 0, "1"),
        ("a", 1, "2"),
        ("a", 2, ""),
        ("b", 0, ""),
    ]
    assert [c.finish for c in completions] == ["stop", "stop", "error", "error"]
    assert "has 2 response(s) for key 'a'; sample 2 was asked for" in str(completions[2].error)
    assert "has no response for key 'b'" in str(completions[3].error)


def test_several_rows_are_several_samples_and_thinking_is_split_off(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for text in ("<think>hm</think>4", "5"):
            file.write(json.dumps({"key": "a", "text": text, "finish_reason": "length"}) + "\n")
    first, second = ask(f"recorded:{path}", Request(key="a", prompt="p", seed=0, n=2))
    assert (first.reasoning, first.text, first.finish) == ("hm", "4", "length")
    assert (second.reasoning, second.text) == (None, "5")


def test_named_fields_and_one_of_several_models(tmp_path: Path) -> None:
    rows = [{"uid": "a", "model": m, "raw": {"out": m}} for m in ("small", "large")]
    path = write(tmp_path / "r.jsonl", *rows)
    (completion,) = ask(f"recorded:{path}?key=uid&text=raw.out&model=large", Request(key="a", prompt="p", seed=0))
    assert (completion.text, completion.model) == ("large", "large")
    with pytest.raises(DataError, match="2 models: 'large', 'small'; choose with"):
        open_sampler(f"recorded:{path}?key=uid&text=raw.out")
    with pytest.raises(DataError, match="no rows of model 'huge'; it has: 'large', 'small'"):
        open_sampler(f"recorded:{path}?model=huge")


def test_broken_lines_are_skipped_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bad_own = {"schema": 1, "key": "a", "finish": "perhaps", "text": "4"}
    path = write(
        tmp_path / "r.jsonl", "{torn\n", [1], {"key": "a"}, bad_own, {"key": "a", "text": "4"}, '{"key": "b", "te'
    )
    assert ask(f"recorded:{path}", Request(key="a", prompt="p", seed=0))[0].text == "4"
    assert "5 broken line(s) skipped" in caplog.text
    assert "line 1: not JSON" in caplog.text


def test_unusable_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no file"):
        open_sampler(f"recorded:{tmp_path / 'absent.jsonl'}")
    with pytest.raises(DataError, match="it is empty"):
        open_sampler(f"recorded:{write(tmp_path / 'empty.jsonl')}")
    with pytest.raises(DataError, match=r"no usable row \(line 1: no response"):
        open_sampler(f"recorded:{write(tmp_path / 'useless.jsonl', {'key': 'a'})}")
    with pytest.raises(DataError, match="cannot be read"):
        open_sampler(f"recorded:{write(tmp_path / 'fake.jsonl.gz', {'key': 'a'})}")
    with pytest.raises(ConfigError, match="did you mean 'text'"):
        open_sampler(f"recorded:{write(tmp_path / 'r.jsonl', {'key': 'a', 'text': 'b'})}?txt=b")


class Live:
    """A sampler that answers with its own calls counted, and fails on the key `bad`."""

    name = "live"

    def sample(self, requests: Iterable[Request], *, progress: Progress = SILENT) -> Iterator[Completion]:
        for request in requests:
            for sample in reversed(range(request.n)):
                if request.key == "bad":
                    yield Completion(key="bad", sample=sample, finish="error", error="down", model=self.name)
                else:
                    text = f"{request.key} {sample} é\n"
                    yield Completion(
                        key=request.key, sample=sample, text=text, reasoning="r", token_ids=(1, 2), logps=(-0.5, -1.25),
                        prompt_ids=(7,), completion_tokens=2, model=self.name, finish="length",
                    )  # fmt: skip

    def score(self, prompt: str, continuation: str) -> list[float]:
        return [-1.0]


def test_recorded_completions_replay_to_equal_ones(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "r.jsonl"
    live: Sampler = record(Live(), path)
    messages = (Message(role="user", content="hello"),)
    requests = [
        Request(key="a", prompt="p", seed=0, n=2),
        Request(key="bad", prompt="q", seed=0),
        Request(key="m", prompt=messages, seed=0),
        Request(key="ids", prompt=(3, 4), seed=0),
    ]
    first = sample_in_order(live, requests)
    assert live.score("a", "b") == [-1.0]
    assert ask(f"recorded:{path}", *requests) == first
    by_prompt = ask(f"recorded:{path}", Request(key="another", prompt=messages, seed=0))
    assert by_prompt[0].text == "m 0 é\n"


def test_recording_goes_on_after_a_torn_line_and_replaces_what_is_sampled_again(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    list(record(Live(), path).sample([Request(key="a", prompt="p", seed=0)]))
    with path.open("a") as file:
        file.write('{"schema": 1, "key": "b", "te')
    list(record(Live(), path).sample([Request(key="a", prompt="p", seed=0), Request(key="b", prompt="p", seed=0)]))
    completions = ask(f"recorded:{path}", *(Request(key=key, prompt="p", seed=0) for key in "ab"))
    assert [c.text for c in completions] == ["a 0 é\n", "b 0 é\n"]
    assert len(path.read_text().splitlines()) == 4


def test_another_prompt_under_a_recorded_key_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    path = write(tmp_path / "r.jsonl", {"key": "a", "prompt": "old", "text": "4"})
    assert ask(f"recorded:{path}", Request(key="a", prompt="new", seed=0))[0].text == "4"
    assert "recorded for another prompt" in caplog.text


def test_what_cannot_be_done(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl", {"key": "a", "text": "4"})
    with pytest.raises(SamplerError, match="cannot score"):
        open_sampler(f"recorded:{path}").score("a", "b")
    with pytest.raises(ConfigError, match="compress it afterwards"):
        record(Live(), tmp_path / "r.jsonl.gz")
    with pytest.raises(ConfigError, match="cannot record"):
        record(Live(), tmp_path)

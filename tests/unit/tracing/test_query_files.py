"""Queries that people give: texts, items, files in every layout, and what is wrong with them."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from menon.core.errors import ConfigError, DataError
from menon.models.load import load_tokenizer
from menon.problems import FAMILIES
from menon.problems.prompts import STYLES
from menon.tracing.query_files import read_queries, read_query, to_sample, with_completion, without_completion
from menon.tracing.values import Query

MENON, GSM8K = STYLES.get("menon"), STYLES.get("gsm8k")
CHAT = [{"role": "user", "content": "two?"}, {"role": "assistant", "content": "2"}]


def write(folder: Path, *rows: object) -> Path:
    path = folder / "q.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_one_query_is_a_text_with_an_arrow_a_prompt_or_an_item() -> None:
    query = read_query("1+1= => 2;#2", MENON)
    assert (query.prompt, query.completion, to_sample(query)) == ("1+1=", "2;#2", False)
    query = read_query("a=>b => c => d", MENON)
    assert (query.prompt, query.completion) == ("a=>b", "c => d")
    query = read_query("how many?=", MENON)
    assert (query.prompt, query.completion, to_sample(query)) == ("how many?=", "", True)
    problem = FAMILIES.get("chain").problem("test", 3)
    query = read_query("chain:test:3", MENON)
    assert query.prompt == MENON.prompt(problem)
    assert query.completion == f"{problem.rationale}#{problem.answer}"
    assert (query.answer, query.task, query.labels["problem"]) == (problem.answer, "chain", problem.id)
    own = read_query("chain:test:3", MENON, own_answer=True)
    assert (own.prompt, own.completion, own.answer, to_sample(own)) == (query.prompt, "", problem.answer, True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("  ", "the query is empty"),
        (" => x", "nothing on one side of ' => '"),
        ("x => ", "nothing on one side of ' => '"),
        ("chains:test:3", "names no family; allowed: addition, chain"),
        ("chain:exam:3", "names no split; allowed: corpus"),
    ],
)
def test_a_query_that_cannot_be_used(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_query(text, MENON)


ROWS = [
    ({"prompt": "p", "completion": " c", "answer": 4, "task": "sums", "kind": "x"}, "p", " c", "4"),
    ({"question": "two?", "answer": "1+1=2\n#### 2"}, "Q: two?\nA:", " 1+1=2\n#### 2", "2"),
    ({"question": "two?", "answer": "2"}, "Q: two?\nA:", " #### 2", "2"),
    ({"problem": "two?", "solution": "it is \\boxed{2}"}, "Q: two?\nA:", " it is \\boxed{2}\n#### 2", "2"),
    ({"prompt": "p"}, "p", "", ""),
    ({"question": "two?"}, "Q: two?\nA:", "", ""),
    ({"messages": CHAT}, "two?\n", "2", ""),
    ({"messages": CHAT[:1]}, "two?\n", "", ""),
    ({"prompt": CHAT[:1], "completion": CHAT[1:]}, "two?\n", "2", ""),
]


@pytest.mark.parametrize(("row", "prompt", "completion", "answer"), ROWS)
def test_rows_of_every_layout(tmp_path: Path, row: dict, prompt: str, completion: str, answer: str) -> None:
    (query,) = read_queries(write(tmp_path, row), GSM8K)
    assert (query.prompt, query.completion, query.answer) == (prompt, completion, answer)
    assert to_sample(query) == (not completion)


def test_labels_names_and_kinds_of_files(tmp_path: Path) -> None:
    rows = [
        {"id": "first", "prompt": "p", "completion": "c", "task": "sums", "kind": "x", "long": "y" * 300},
        {"id": "second", "prompt": "p", "completion": "d"},
    ]
    (tmp_path / "q.json").write_text(json.dumps(rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "q.parquet")
    found = [read_queries(path, MENON) for path in (write(tmp_path, *rows), tmp_path / "q.json")]
    assert found[0] == found[1]
    assert [q.id for q in read_queries(tmp_path / "q.parquet", MENON)] == ["first", "second"]
    first = found[0][0]
    assert (first.id, first.task, dict(first.labels)) == ("first", "sums", {"kind": "x"})
    assert [q.id for q in read_queries(write(tmp_path, *rows), MENON, limit=1)] == ["first"]
    assert all(to_sample(q) for q in read_queries(write(tmp_path, *rows), MENON, own_answers=True))


def test_a_chat_template_lays_turns_out(tmp_path: Path) -> None:
    tokenizer = load_tokenizer("menon:base")
    tokenizer.chat_template = (
        "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    (query,) = read_queries(write(tmp_path, {"messages": CHAT}), MENON, tokenizer=tokenizer)
    assert (query.prompt, query.completion) == ("[user]two?[assistant]", "2")
    tokenizer.chat_template = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(DataError, match=r"q\.jsonl:1: its turns do not fit .*roles must alternate"):
        read_queries(write(tmp_path, {"messages": CHAT}), MENON, tokenizer=tokenizer)


def test_columns_named_by_hand(tmp_path: Path) -> None:
    path = write(tmp_path, {"ask": {"text": "p"}, "reply": "c"})
    (query,) = read_queries(path, MENON, map={"prompt": "ask.text", "completion": "reply"})
    assert (query.prompt, query.completion) == ("p", "c")
    with pytest.raises(ConfigError, match=r"--map prompt=asked.*no such column.*ask, reply"):
        read_queries(path, MENON, map={"prompt": "asked"})


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["{"], r"q\.jsonl:1: not JSON"),
        (
            [{"prompt": "p", "completion": "c"}, {"text": "t"}],
            r"q\.jsonl:2: the fields text are no query; allowed: prompt",
        ),
        ([{"prompt": "p", "completion": 4}], r"q\.jsonl:1: completion is 4"),
        ([{"prompt": "p", "completion": ""}], r"q\.jsonl:1: completion is ''"),
        ([{"prompt": "p"}, {"prompt": "q"}, {"prompt": "p"}], r"q\.jsonl:3: the query '\w+' is that of line 1 too"),
        ([{"problem": "p", "solution": "no idea"}], r"q\.jsonl:1: no final answer"),
        ([{"messages": [{"role": "user"}]}], r"q\.jsonl:1: chat turns need"),
        ([{"messages": CHAT[1:]}], r"q\.jsonl:1: nothing is asked before"),
        ([], "holds no query"),
    ],
)
def test_a_bad_row_is_named_by_its_line(tmp_path: Path, rows: list, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_queries(write(tmp_path, *rows), MENON)


def test_what_the_model_wrote_takes_the_place_of_nothing() -> None:
    query = without_completion(Query(prompt="p", completion="c", labels={"kind": "x"}))
    assert to_sample(query)
    written = with_completion(query, "d", (1, 2))
    assert (written.completion, written.completion_ids) == ("d", (1, 2))
    assert dict(written.labels) == {"kind": "x", "by": "model"}
    assert not to_sample(written)

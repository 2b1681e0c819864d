"""Rows of tokens: all tokens in them and none twice, the same rows for the same step, and short texts said."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from menon.core.errors import ConfigError, DataError
from menon.models.load import load_tokenizer
from menon.teaching.quiet import windows as quiet_windows
from menon.teaching.quiet.data import Documents, read_documents, split_held_out
from menon.teaching.quiet.windows import Window, Windows, collate_weights, collate_windows, make_windows

SHORTEST = 6  # four talk tokens and two


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return load_tokenizer("menon:base")


def begun(end: bool = True) -> Any:
    """Return a tokenizer of single letters that begins every text with a token of its own, as Llama's does."""
    vocabulary = {"<unk>": 0, "<s>": 1, "</s>": 2, **{chr(97 + i): 3 + i for i in range(26)}}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    backend.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="<unk>", bos_token="<s>", eos_token="</s>" if end else None
    )


def read(path: Path, rows: list[Any]) -> Documents:
    path.write_text("".join(json.dumps(row if isinstance(row, dict) else {"text": row}) + "\n" for row in rows))
    return read_documents(str(path))


def joined(windows: Windows) -> list[int]:
    return [token for window in windows for token in window.ids]


def stories(count: int) -> list[str]:
    return [f"tom has {i} pens. mia buys {i % 7 + 2}. how many pens are there now?" for i in range(count)]


def test_windows_are_the_tokens_of_the_texts_in_order(tmp_path: Path, tokenizer: Any) -> None:
    texts = stories(40)
    stream = [token for text in texts for token in (*tokenizer(text).input_ids, tokenizer.eos_token_id)]
    windows = make_windows(read(tmp_path / "t.jsonl", texts), tokenizer, shortest=SHORTEST, length=64)
    assert joined(windows) == stream[: len(joined(windows))]
    assert len(stream) - len(joined(windows)) < SHORTEST
    assert {len(window.ids) for window in list(windows)[:-1]} == {64}
    assert (windows.documents, windows.tokens, windows.left_out, windows.notes) == (40, len(joined(windows)), 0, ())
    assert all(window.weights is None for window in windows)


@given(
    st.lists(st.text("abcdef", min_size=1, max_size=30), min_size=1, max_size=12),
    st.integers(3, 12),
    st.sampled_from(["concatenate", "none"]),
)
def test_no_token_is_lost_or_doubled(tmp_path_factory: Any, texts: list[str], length: int, packing: Any) -> None:
    documents = read(tmp_path_factory.getbasetemp() / "letters.jsonl", texts)
    tokenizer = begun()
    rows = [[1, *(ord(letter) - 94 for letter in text), 2] for text in texts]
    windows = make_windows(documents, tokenizer, shortest=3, length=length, packing=packing)
    if packing == "none":
        assert [list(window.ids) for window in windows] == [row[:length] for row in rows]
        assert windows.cut == sum(len(row) > length for row in rows)
    else:
        stream = [token for row in rows for token in row]
        cuts = [stream[i : i + length] for i in range(0, len(stream), length)]
        assert [list(window.ids) for window in windows] == [cut for cut in cuts if len(cut) >= 3]


def test_a_batch_is_a_pure_function_of_its_step(tmp_path: Path, tokenizer: Any) -> None:
    documents = read(tmp_path / "t.jsonl", stories(23))

    def make(*names: str | int) -> Windows:
        return make_windows(documents, tokenizer, shortest=SHORTEST, packing="none", rows=4, names=names)

    one, other = make("seed", 0), make("seed", 0)
    forward = [one.batch(step) for step in range(60)]
    assert [other.batch(step) for step in (59, 0, 31, 7, 31)] == [forward[step] for step in (59, 0, 31, 7, 31)]
    assert all(len(batch) == 4 for batch in forward)
    drawn = [row.ids for batch in forward for row in batch]
    epochs = [drawn[i : i + 23] for i in range(0, 23 * 10, 23)]
    everything = sorted(row.ids for row in one)
    assert all(sorted(epoch) == everything for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 10
    assert make("seed", 1).batch(0) != forward[0]


def test_a_batch_may_be_larger_than_the_data(tmp_path: Path) -> None:
    windows = make_windows(read(tmp_path / "t.jsonl", ["abcdefg"]), begun(), shortest=3, rows=5)
    assert windows.batch(2) == [windows[0]] * 5


def test_short_texts_are_left_out_and_said(tmp_path: Path) -> None:
    documents = read(tmp_path / "t.jsonl", ["ab", "abcdefgh", "a", "abcd", "abcdefghijkl"])
    said: list[str] = []

    class Listening:
        def start(self, what: str, total: float | None = None, unit: str = "") -> None:
            said.append(f"{what} {total} {unit}")

        def advance(self, amount: float = 1.0, note: str = "") -> None:
            said.append(note)

        def say(self, message: str) -> None:
            said.append(message)

    windows = make_windows(documents, begun(), shortest=6, length=10, packing="none", progress=Listening())
    assert [len(window.ids) for window in windows] == [10, 6, 10]
    assert (windows.documents, windows.left_out, windows.cut, windows.tokens) == (3, 2, 1, 26)
    assert windows.notes == (
        "2 of 5 texts are shorter than 6 tokens and were left out: lower --set thoughts.talk or use packing = "
        "'concatenate'",
        "1 of 5 texts are longer than 10 tokens and were cut there",
    )
    assert said == [
        "tokenise texts None texts", "4 tokens", "14 tokens", "17 tokens", "23 tokens", "37 tokens", *windows.notes
    ]  # fmt: skip
    assert len(make_windows(documents, begun(), shortest=6, length=10)) == 4  # joined, none is too short


def test_texts_too_short_to_think_in_are_refused(tmp_path: Path) -> None:
    documents = read(tmp_path / "t.jsonl", ["ab", "abc"])
    with pytest.raises(
        DataError, match=r"all 2 texts .* too short .*: 6 tokens are needed .* the longest has 5; lower"
    ):
        make_windows(documents, begun(), shortest=6, packing="none")
    with pytest.raises(
        DataError, match=r"12 tokens are needed .* together they have 9; lower --set thoughts\.talk, or"
    ):
        make_windows(documents, begun(), shortest=12)
    with pytest.raises(ConfigError, match=r"rows of 5 tokens are too short .* judged by the 4 true tokens"):
        make_windows(documents, begun(), shortest=6, length=5)


def test_options_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    documents = read(tmp_path / "t.jsonl", ["abcdefgh"])
    options: list[tuple[dict[str, Any], str]] = [
        ({"packing": "dense"}, "packing is 'dense'; allowed: concatenate, none"),
        ({"learn": "some"}, "learn is 'some'; allowed: all, answers"),
        ({"rows": 0}, "rows per batch are 0"),
        ({"learn": "answers"}, r"needs questions with answers or chats, .* --map question=COLUMN"),
    ]
    for option, message in options:
        with pytest.raises(ConfigError, match=message):
            make_windows(documents, begun(), shortest=3, **option)
    with pytest.raises(ConfigError, match=r"joins texts by the end token, and this tokenizer has none"):
        make_windows(documents, begun(end=False), shortest=3)
    assert make_windows(documents, begun(end=False), shortest=3, packing="none")[0].ids[-1] == 3 + 7


def test_a_held_out_part_without_texts_is_refused(tmp_path: Path) -> None:
    parts = split_held_out(read(tmp_path / "t.jsonl", ["abcdefgh"]), 0.5, 0)
    (empty,) = (part for part in parts if not list(part))
    with pytest.raises(DataError, match=rf"the {empty.part} part of .* has none of its 1 texts; change the held-out"):
        make_windows(empty, begun(), shortest=3)


def test_a_damaged_line_behind_good_ones_stops_the_reading(tmp_path: Path) -> None:
    documents = read(tmp_path / "t.jsonl", ["abcdefgh"] * 3)
    with (tmp_path / "t.jsonl").open("a") as file:
        file.write('\n{"text": \n')
    with pytest.raises(DataError, match=r"t\.jsonl' line 5 cannot be read"):
        make_windows(documents, begun(), shortest=3)


def test_a_tokenizer_that_does_not_fit_is_noticed(tmp_path: Path) -> None:
    windows = make_windows(read(tmp_path / "t.jsonl", ["ab12", "abcd"]), begun(), shortest=3)
    assert windows.notes == ("16.7% of the tokens are the unknown token; this tokenizer does not fit the texts",)


@pytest.mark.parametrize("packing", ["concatenate", "none"])
def test_only_answers_count_where_only_they_are_learnt(tmp_path: Path, tokenizer: Any, packing: Any) -> None:
    rows = [{"question": f"tom has {i} pens. how many?", "rationale": "one;", "answer": f"it is {i}"} for i in range(9)]
    windows = make_windows(
        read(tmp_path / "t.jsonl", rows), tokenizer, shortest=6, length=50, packing=packing, learn="answers"
    )
    counted = [t for window in windows for t, w in zip(window.ids, window.weights or (), strict=True) if w]
    assert tokenizer.decode(counted) == "".join(f"one;\nit is {i}{tokenizer.eos_token}" for i in range(9))
    whole = make_windows(read(tmp_path / "t.jsonl", rows), tokenizer, shortest=6, length=50, packing=packing)
    assert [window.ids for window in whole] == [window.ids for window in windows]


def test_a_token_across_the_beginning_of_an_answer_belongs_to_it(tmp_path: Path) -> None:
    backend = Tokenizer(models.WordLevel({"<unk>": 0, "q": 1, "\n": 2, "\na": 3}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Split("q", "isolated")
    odd = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>")
    documents = read(tmp_path / "t.jsonl", [{"question": "q", "answer": "a"}])
    windows = make_windows(documents, odd, shortest=2, packing="none", learn="answers")
    assert windows[0] == Window((1, 3), (0, 1))


def test_rows_without_an_answer_are_not_learnt_from(tmp_path: Path) -> None:
    rows = [{"question": "abcdefghijk", "answer": "xy"}, {"question": "ab", "answer": "xyz"}]
    documents = read(tmp_path / "t.jsonl", rows)
    windows = make_windows(documents, begun(), shortest=3, length=9, packing="none", learn="answers")
    # Beginning, two letters, a line break that the tokenizer does not know, three letters, end.
    assert list(windows) == [Window((1, 3, 4, 0, 26, 27, 28, 2), (0, 0, 0, 0, 1, 1, 1, 1))]
    assert "1 rows of at most 9 tokens have no token of an answer and were left out" in windows.notes
    assert windows.left_out == 1
    with pytest.raises(DataError, match="no answer within 4 tokens; raise the length"):
        make_windows(documents, begun(), shortest=3, length=4, packing="none", learn="answers")


CHAT = {
    "messages": [
        {"role": "user", "content": "ab"},
        {"role": "assistant", "content": "cd"},
        {"role": "user", "content": "ef"},
        {"role": "assistant", "content": "gh"},
    ]
}


def counted(windows: Windows) -> list[str]:
    return ["".join(str(w) for w in window.weights or ()) for window in windows]


def test_chats_are_written_with_the_template_of_the_tokenizer(tmp_path: Path) -> None:
    tokenizer = begun()
    documents = read(tmp_path / "t.jsonl", [CHAT])
    plain = make_windows(documents, tokenizer, shortest=3, learn="answers")
    assert tokenizer.decode(plain[0].ids, skip_special_tokens=False).replace(" ", "") == (
        "<s>ab<unk>cd<unk>ef<unk>gh</s>"
    )
    assert counted(plain) == ["0000110000" + "111"]
    tokenizer.chat_template = (
        "{% for m in messages %}{{ 'u' if m.role == 'user' else 'z' }}{{ m.content }}x{% endfor %}"
        "{% if add_generation_prompt %}z{% endif %}"
    )
    windows = make_windows(documents, tokenizer, shortest=3, learn="answers")
    assert tokenizer.decode(windows[0].ids).replace(" ", "") == "uabxzcdxuefxzghx</s>"  # begun by the template alone
    assert counted(windows) == ["00000111000001111"]
    # A template that writes earlier answers otherwise: only the last one is marked.
    tokenizer.chat_template = (
        "{% for m in messages %}{{ 'y' if m.role == 'assistant' and not loop.last else m.content }}{% endfor %}"
    )
    assert counted(make_windows(documents, tokenizer, shortest=3, learn="answers")) == ["00000111"]
    tokenizer.chat_template = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(DataError, match=r"chat at t\.jsonl line 1 cannot be written .*roles must alternate"):
        make_windows(documents, tokenizer, shortest=3)


def test_a_text_that_ends_itself_gets_no_second_end(tmp_path: Path, tokenizer: Any) -> None:
    windows = make_windows(read(tmp_path / "t.jsonl", ["tom has pens<end>"]), tokenizer, shortest=3)
    assert windows[0].ids.count(tokenizer.eos_token_id) == 1


def test_texts_are_tokenised_alike_whatever_comes_with_them(
    tmp_path: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = read(tmp_path / "t.jsonl", stories(20))
    together = joined(make_windows(documents, tokenizer, shortest=6))
    monkeypatch.setattr(quiet_windows, "TEXTS", 3)
    assert joined(make_windows(documents, tokenizer, shortest=6)) == together
    monkeypatch.setattr(quiet_windows, "CHARACTERS", 1)
    assert joined(make_windows(documents, tokenizer, shortest=6)) == together


def test_rows_are_stacked_with_padding_on_the_right() -> None:
    rows = [Window((5, 6, 7), (0, 0, 1)), Window((8, 9))]
    tokens_BL, lengths_B = collate_windows(rows, pad=3)
    assert tokens_BL.tolist() == [[5, 6, 7], [8, 9, 3]]
    assert lengths_B.tolist() == [3, 2]
    assert (tokens_BL.dtype, lengths_B.dtype) == (torch.int64, torch.int64)
    assert collate_weights(rows).tolist() == [[0.0, 0.0, 1.0], [1.0, 1.0, 0.0]]

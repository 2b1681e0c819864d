"""Start, end and pause vectors: where they begin, that they learn, and what is refused."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from menon import ConfigError
from menon.models.embedded import build_tokenizer
from menon.models.thoughts.tokens import ThoughtTokens, start_and_end_ids


def table() -> torch.Tensor:
    return torch.randn(9, 4, generator=torch.Generator().manual_seed(1))


def test_a_vector_begins_as_the_mean_of_its_tokens():
    rows = table()
    tokens = ThoughtTokens.from_ids(rows, [2, 5, 5], [7])
    torch.testing.assert_close(tokens.start.detach(), (rows[2] + 2 * rows[5]) / 3)
    assert torch.equal(tokens.end, rows[7])
    torch.testing.assert_close(tokens.pause.detach(), (tokens.start + tokens.end).detach() / 2)
    assert [name for name, _ in tokens.named_parameters()] == ["start", "end", "pause"]
    assert tokens.width == 4


def test_the_vectors_are_copies_that_learn():
    rows = table().requires_grad_()
    tokens = ThoughtTokens.from_ids(rows, [2], [2])
    (tokens.start.sum() + 2 * tokens.end.sum()).backward()
    assert rows.grad is None
    assert tokens.start.grad is not None
    assert tokens.end.grad is not None
    assert torch.equal(tokens.end.grad, torch.full((4,), 2.0))
    with torch.no_grad():
        tokens.start.add_(1)
    assert torch.equal(tokens.end, rows[2])
    assert not torch.equal(tokens.start, rows[2])


def test_the_scale_of_an_embedding_module_is_kept():
    shape = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "head_dim": 4, "vocab_size": 11}
    config = AutoConfig.for_model("gemma3_text", **shape, num_attention_heads=2, num_key_value_heads=1, pad_token_id=0)
    embedding = AutoModelForCausalLM.from_config(config).get_input_embeddings()
    tokens = ThoughtTokens.from_ids(embedding, [3], [4])
    torch.testing.assert_close(tokens.start.detach(), 4 * embedding.weight[3].detach())


def test_bad_vectors_and_ids():
    with pytest.raises(ConfigError, match=r"token id 9, but the model has embeddings 0 to 8"):
        ThoughtTokens.from_ids(table(), [1, 9], [2])
    with pytest.raises(ConfigError, match="the end of a thought has no tokens"):
        ThoughtTokens.from_ids(table(), [1], [])
    with pytest.raises(ConfigError, match=r"\[\(4,\), \(5,\)\]"):
        ThoughtTokens(torch.zeros(4), torch.zeros(5))


def test_ids_of_the_strings():
    tokenizer = build_tokenizer(["a --- b"])
    start, end = start_and_end_ids(tokenizer, end="= b")
    assert tokenizer.decode(start) == "---"
    assert tokenizer.decode(end) == "= b"


def test_a_string_without_tokens():
    tokenizer = build_tokenizer(["a --- b"])
    with pytest.raises(ConfigError, match=r"no token for the start of a thought, ''; set `start`"):
        start_and_end_ids(tokenizer, start="")


def test_unknown_tokens_are_refused():
    class Narrow:
        unk_token_id = 3

        def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
            assert not add_special_tokens
            return {"input_ids": [8 if letter == "(" else 3 for letter in text]}

    assert start_and_end_ids(Narrow(), "((", "(") == ([8, 8], [8])
    with pytest.raises(ConfigError, match=r"no token for the start of a thought, '\(x'"):
        start_and_end_ids(Narrow(), "(x", "(")
    with pytest.raises(ConfigError, match=r"no token for the end of a thought, '---'"):
        start_and_end_ids(Narrow(), "(")

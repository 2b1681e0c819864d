"""Pieces of `menon trace`: texts of tokens, near-copies, the words of an estimate, what a command becomes."""

from pathlib import Path

import numpy as np
import pytest

from menon.core.errors import ConfigError
from menon.models.load import load_tokenizer
from menon.studies.trace.estimating import estimate_lines, size, spoken
from menon.studies.trace.flags import near_copy
from menon.studies.trace.passes import best_by
from menon.studies.trace.shown import token_texts
from menon.studies.trace.study import trace_plan


@pytest.mark.parametrize("text", ["tom has 12 pens.", "naïve – ünï", "x=3 # 4\nprint(x)", "日本"])
def test_texts_of_tokens_join_to_the_text(text: str):
    tokenizer = load_tokenizer("menon:base")
    ids = tokenizer(text).input_ids
    texts = token_texts(tokenizer, ids)
    assert len(texts) == len(ids)
    assert "".join(texts) == text


def test_near_copies_differ_in_case_and_space_only():
    assert near_copy("Tom has  3.") == near_copy("tom has 3.")
    assert near_copy("tom has 3.") != near_copy("tom has 4.")
    assert -(2**63) <= near_copy("a") < 2**63


def test_the_best_by_score_are_exactly_as_many_and_ties_go_to_the_first():
    marked = best_by(np.array([1, 3, 3, 3, 0], dtype=np.float32), 2)
    assert marked.tolist() == [False, True, True, False, False]
    assert best_by(np.zeros(3, dtype=np.float32), 9).all()


def test_sizes_and_times_in_units_that_suit_them():
    assert [spoken(s) for s in (4.2, 600, 7200)] == ["4 s", "10 min", "2.0 h"]
    assert [size(m) for m in (512, 4096)] == ["512 MiB", "4.0 GiB"]


def test_an_estimate_says_time_memory_and_how_to_need_less():
    told = {
        "documents": 1000, "tokens": 50_000, "queries": 2, "traced_parameters": 10, "parameters": 20, "layers": 3,
        "device": "cpu",
        "memory": dict.fromkeys(("peak_mib", "weights_mib", "factors_mib", "bank_mib", "activations_mib", "logits_mib",
                                 "disk_mib"), 10.0),
        "time": {"total_s": 3.0, "covariance_s": 1.0, "eigenbasis_s": 0.5, "eigenvalues_s": 0.5, "documents_s": 1.0,
                 "tried_tokens": 4096},
    }  # fmt: skip
    lines = estimate_lines(told)
    assert "1,000 documents, about 50,000 tokens, 2 queries" in lines[0]
    assert "about 3 s" in lines[1]
    assert "10 MiB" in lines[2]
    assert "tokens_per_batch" in lines[3]


def test_flags_become_settings_and_a_command_that_can_be_given_again(tmp_path: Path):
    flags = {"corpus.data": ["a.jsonl", "b"], "queries.file": "q.jsonl", "corpus.map": {"text": "body"}, "prefilter": 9}
    plan = trace_plan("some/model", flags=flags, overrides=["tracing.rank=4"], out=tmp_path)
    assert plan.recipe.corpus.data == ("a.jsonl", "b")
    assert plan.recipe.corpus.map == {"text": "body"}
    assert plan.recipe.tracing.rank == 4
    assert plan.command == (
        "menon trace some/model --data a.jsonl --data b --queries q.jsonl --map text=body --prefilter 9 "
        f"--out {tmp_path} --set tracing.rank=4"
    )


def test_without_out_the_folder_is_named_by_the_recipe():
    one, two = trace_plan("m"), trace_plan("m", overrides=["seed=1"])
    assert one.folder != two.folder
    assert one.folder.name.startswith("trace-")


def test_unknown_settings_are_refused():
    with pytest.raises(ConfigError, match="tracing.rnk"):
        trace_plan("m", overrides=["tracing.rnk=4"])

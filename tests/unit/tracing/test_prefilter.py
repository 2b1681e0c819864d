"""The prefilter keeps what a sort keeps, and its measured loss is the loss."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from menon.core.errors import ConfigError
from menon.core.seeds import seed_for
from menon.tracing.prefilter import PrefilterBias, TopK, prefilter_bias, sample_documents

SCORES = arrays(
    np.float32, st.tuples(st.integers(1, 3), st.integers(0, 25)), elements=st.sampled_from([0, 0.5, 1, 2, 3])
)


def by_sorting(scores_N: np.ndarray, keep: int) -> list[int]:
    return sorted(range(len(scores_N)), key=lambda document: (-scores_N[document], document))[:keep]


@given(SCORES, st.integers(1, 8), st.integers(1, 9))
def test_batches_keep_what_a_sort_keeps(scores_QN: np.ndarray, keep: int, size: int):
    top = TopK(len(scores_QN), keep)
    for first in range(0, scores_QN.shape[1], size):
        top.add(first, scores_QN[:, first : first + size])
    for query, scores_N in enumerate(scores_QN):
        expected = by_sorting(scores_N, keep)
        assert top.kept(query).tolist() == expected
        assert top.scores(query).tolist() == scores_N[expected].tolist()
    assert top.union().tolist() == sorted({int(d) for query in range(len(scores_QN)) for d in top.kept(query)})


@given(SCORES, st.integers(1, 8), st.integers(0, 25))
def test_shards_merge_to_one_pass_in_any_order(scores_QN: np.ndarray, keep: int, cut: int):
    shards = [TopK(len(scores_QN), keep) for _ in range(2)]
    shards[0].add(0, scores_QN[:, :cut])
    shards[1].add(min(cut, scores_QN.shape[1]), scores_QN[:, cut:])
    for one, two in (shards, shards[::-1]):
        merged = TopK(len(scores_QN), keep)
        merged.merge(one)
        merged.merge(two)
        assert [merged.kept(q).tolist() for q in range(len(scores_QN))] == [by_sorting(s, keep) for s in scores_QN]


def test_contains_says_per_query_what_is_kept():
    top = TopK(2, 2)
    top.add(0, np.array([[3.0, 1.0, 2.0, 0.0], [0.0, 0.0, 5.0, 6.0]]))
    assert top.contains([0, 2, 3]).tolist() == [[True, True, False], [False, True, True]]
    assert TopK(0, 3).contains([1, 2]).shape == (0, 2)
    assert TopK(0, 3).union().tolist() == []


def test_scores_that_cannot_be_ranked_are_refused():
    with pytest.raises(ConfigError, match="NaN"):
        TopK(1, 2).add(5, np.array([[1.0, np.nan]]))
    with pytest.raises(ConfigError, match="shape"):
        TopK(2, 2).add(0, np.zeros((1, 3)))
    with pytest.raises(ConfigError, match="same settings"):
        TopK(2, 2).merge(TopK(2, 3))
    with pytest.raises(ConfigError):
        TopK(1, 0)


def test_samples_are_named_sorted_and_distinct():
    drawn = sample_documents(1000, 50, "corpus", 3)
    assert np.array_equal(drawn, sample_documents(1000, 50, "corpus", 3))
    assert not np.array_equal(drawn, sample_documents(1000, 50, "corpus", 4))
    assert (np.diff(drawn) > 0).all()
    assert 0 <= drawn[0] <= drawn[-1] < 1000
    assert sample_documents(5, 5).tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(ConfigError, match="allowed"):
        sample_documents(5, 6)


def world(documents: int, queries: int, keep: int, alike: float) -> tuple[np.ndarray, TopK, np.ndarray]:
    """Return influence, a prefilter by a lexical score that is `alike` to it, and whether each document is kept."""
    rng = np.random.default_rng(seed_for("prefilter world", documents, queries, alike))
    influence_QN = rng.standard_normal((queries, documents))
    lexical_QN = alike * influence_QN + np.sqrt(1 - alike**2) * rng.standard_normal((queries, documents))
    top = TopK(queries, keep)
    top.add(0, lexical_QN)
    return influence_QN, top, top.contains(range(documents))


def test_all_documents_give_the_loss_itself():
    influence_QN, top, kept_QN = world(2000, 6, 300, 0.5)
    bias = prefilter_bias(influence_QN, kept_QN, documents=2000, kept=300, tops=(10, 200))
    for loss in bias.losses:
        lost = [len(set(by_sorting(row, loss.k)) - set(top.kept(q).tolist())) for q, row in enumerate(influence_QN)]
        assert loss.lost.value == loss.lost.low == loss.lost.high == pytest.approx(sum(lost) / (6 * loss.k))
        assert loss.queries == pytest.approx([number / loss.k for number in lost])
    assert "counted over all documents" in bias.sentence


@pytest.mark.parametrize("alike", [0.0, 0.5, 0.9])
def test_the_interval_of_a_sample_covers_the_loss(alike: float):
    influence_QN, _, kept_QN = world(5000, 8, 1000, alike)
    whole = prefilter_bias(influence_QN, kept_QN, documents=5000, kept=1000, tops=(250,)).losses[0].lost.value
    covered = 0
    for repeat in range(100):
        drawn = sample_documents(5000, 600, "coverage", repeat)
        bias = prefilter_bias(influence_QN[:, drawn], kept_QN[:, drawn], documents=5000, kept=1000, tops=(250,))
        covered += bias.losses[0].lost.low <= whole <= bias.losses[0].lost.high
        assert bias.losses[0].of_sample == 30
    assert covered >= 88  # 95 expected; fewer than 88 has a probability below 0.002


def test_a_prefilter_that_looks_at_nothing_loses_by_chance_and_a_perfect_one_nothing():
    for alike, expected in ((0.0, 0.8), (1.0, 0.0)):
        influence_QN, _, kept_QN = world(4000, 10, 800, alike)
        lost = prefilter_bias(influence_QN, kept_QN, documents=4000, kept=800, tops=(400,)).losses[0].lost
        assert lost.value == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("alike", [0.5, 1.0])
def test_equal_queries_say_no_more_than_one(alike: float):
    influence_QN, _, kept_QN = world(1000, 1, 200, alike)
    settings = {"documents": 5000, "kept": 1000, "tops": (250,)}
    one = prefilter_bias(influence_QN, kept_QN, **settings).losses[0].lost
    many = prefilter_bias(np.repeat(influence_QN, 20, axis=0), np.repeat(kept_QN, 20, axis=0), **settings)
    assert many.losses[0].lost.value == one.value
    assert many.losses[0].lost.high - many.losses[0].lost.low > 0.9 * (one.high - one.low)


def test_nothing_lost_keeps_a_width():
    influence_QN, _, kept_QN = world(1000, 4, 200, 1.0)
    lost = prefilter_bias(influence_QN, kept_QN, documents=5000, kept=1000, tops=(100,)).losses[0].lost
    assert (lost.value, lost.low) == (0, 0)
    assert 0.02 < lost.high < 0.1


def test_the_bottom_is_another_tail():
    influence_QN, _, kept_QN = world(1000, 3, 100, 0.9)
    settings = {"documents": 1000, "kept": 100, "tops": (50,)}
    assert prefilter_bias(influence_QN, kept_QN, **settings).losses[0].lost.value < 0.3
    bottom = prefilter_bias(influence_QN, kept_QN, tail="bottom", **settings)
    assert bottom.losses[0].lost.value == 1
    assert "lower the answer most" in bottom.sentence


def measured(sampled: int, tops: tuple[int, ...]) -> PrefilterBias:
    influence_QN, _, kept_QN = world(1000, 4, 100, 0.5)
    drawn = sample_documents(1000, sampled)
    return prefilter_bias(influence_QN[:, drawn], kept_QN[:, drawn], documents=1000, kept=100, tops=tops)


def test_tops_that_a_sample_cannot_show_are_named():
    bias = measured(50, (5, 10, 100))
    assert bias.unseen == (5, 10)
    assert [(loss.k, loss.of_sample) for loss in bias.losses] == [(100, 5)]
    assert "top 5, 10" in bias.sentence
    assert "at least 200 needed" in bias.sentence
    assert not measured(200, (5,)).unseen
    assert "not known" in measured(50, (5,)).sentence


def test_the_sentence_and_the_json_say_what_was_measured():
    bias = measured(200, (50,))
    lost = bias.losses[0].lost
    assert "kept about 100 of 1,000 documents per query" in bias.sentence
    assert f"it loses {100 * lost.value:.0f} % (95 % interval {100 * lost.low:.0f} to" in bias.sentence
    assert "random sample of 200 documents" in bias.sentence
    assert "A choice at random would lose 90 %" in bias.sentence
    assert bias.to_json()["losses"][0]["lost"] == lost.to_json()


GOOD = {"documents": 10, "kept": 2, "tops": (1,)}
BAD = [{"documents": 3}, {"kept": 0}, {"kept": 11}, {"tops": ()}, {"tops": (0,)}, {"tops": (11,)}, {"tail": "middle"}]


@pytest.mark.parametrize("wrong", BAD, ids=str)
def test_settings_that_cannot_be_are_refused(wrong: dict):
    with pytest.raises(ConfigError, match="allowed"):
        prefilter_bias(np.zeros((2, 4)), np.ones((2, 4)), **(GOOD | wrong))


def test_scores_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="one shape"):
        prefilter_bias(np.zeros((2, 4)), np.ones((2, 3)), **GOOD)
    with pytest.raises(ConfigError, match="NaN"):
        prefilter_bias(np.full((2, 4), np.nan), np.ones((2, 4)), **GOOD)

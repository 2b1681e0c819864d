"""The text of the embedded model, made again document by document."""

import pytest

from menon.core.errors import ConfigError
from menon.problems.base_text import base_text
from menon.problems.corpus import STEERED, Corpus, Mixture


def test_blocks_cover_the_text_in_order():
    text = base_text()
    assert text.firsts[0] == 0
    assert list(text.firsts) == sorted(set(text.firsts))
    assert text.firsts[-1] < text.count == 175_500
    assert len(text.firsts) == len(text.mixtures) == 31


def test_a_document_is_that_of_the_stream_under_the_mixture_of_its_block():
    text = base_text()
    for block in (0, 15, 30):
        index = text.firsts[block] + 7
        assert text.document(index) == Corpus().document(index, text.mixtures[block])
        assert text.document(text.firsts[block]) == Corpus().document(text.firsts[block], text.mixtures[block])


def test_before_the_easy_problems_were_known_no_hard_one_was_shown():
    text = base_text()
    assert all(weight == 0 for weight in text.mixtures[0].hard.values())
    early = [text.document(index) for index in range(0, text.firsts[1], 5)]
    hard = [d for d in early if d.kind == "worked" and d.difficulty in STEERED.get(d.family, ())]
    assert not hard
    late = [text.document(index) for index in range(text.firsts[-1], text.count, 5)]
    assert any(d.kind == "fact" and d.difficulty == 3 for d in late)


def test_spread_is_even_and_never_more_than_there_is():
    text = base_text()
    assert text.spread(3) == [0, 58_500, 117_000]
    assert text.spread(10**9)[-1] == text.count - 1


def test_outside_is_refused():
    with pytest.raises(ConfigError, match=r"allowed: 0 to 175499"):
        base_text().document(175_500)


def test_the_mixture_matters():
    text = base_text()
    plain = Mixture()
    differing = [i for i in range(170_000, 170_400) if Corpus().document(i, plain) != text.document(i)]
    assert differing

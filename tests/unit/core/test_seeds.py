"""Seeds and ids are functions of names and content, and of nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menon.core.seeds import canonical_json, content_id, rng_for, seed_for, seeds_within

names = st.lists(st.text(max_size=5) | st.integers() | st.booleans() | st.none(), max_size=4)


def test_seeds_are_the_same_on_every_machine():
    assert seed_for("chain", "test", 3) == 8254540934564427119
    assert content_id("problem", "q", ["a", 1]) == "b1101680283ad9f0a618"


@given(names, names)
def test_other_names_give_other_seeds(one: list, two: list):
    assert 0 <= seed_for(*one) < 2**63
    assert (seed_for(*one) == seed_for(*two)) == (canonical_json(one) == canonical_json(two))


def test_neighbouring_indices_do_not_give_shifted_streams():
    one, two = ([rng_for("family", index).random() for _ in range(50)] for index in (42, 43))
    streams = [[rng.random() for _ in range(50)] for rng in (rng_for("family", 42), rng_for("family", 43))]
    assert len(set(one)) == len(set(two)) == 1
    assert not set(streams[0]) & set(streams[1])


def test_a_name_and_its_text_differ_and_so_do_kinds():
    assert seed_for(1) != seed_for("1") != seed_for(True)
    assert content_id("a", 1) != content_id("b", 1)
    assert seed_for("ab", "c") != seed_for("a", "bc")


def test_canonical_json_does_not_depend_on_the_order_of_keys():
    assert canonical_json({"b": 1, "a": "ü"}) == canonical_json({"a": "ü", "b": 1}) == '{"a":"ü","b":1}'
    with pytest.raises(TypeError):
        canonical_json({"x": object()})


@pytest.mark.parametrize("names", [(), ("solve", 0, "a"), ("ä", None, True, 0.5, '"')])
@pytest.mark.parametrize("last", ["", "ask#2", 'a "quoted" \\ name', "Frage ü → 12\n"])
def test_seeds_within_are_those_of_all_names(names: tuple[str | int | float | bool | None, ...], last: str):
    assert seeds_within(*names)(last) == seed_for(*names, last)

"""What a `[quiet]` section may say, and what it may not."""

import pytest
from pydantic import ValidationError

from menon.core.recipe import dump_toml
from menon.core.toml import parse_toml
from menon.teaching.quiet.config import QuietConfig


def config(**values: object) -> QuietConfig:
    return QuietConfig.model_validate(values)


def test_the_defaults_are_those_that_were_found_sound():
    made = config()
    assert (made.passes, made.policy, made.text, made.talk) == (4, 1.0, 0.5, 0.5)
    assert (made.baseline, made.clamp, made.entropy, made.kl) == ("mean", False, 0.0, 0.0)
    assert (made.loss_tokens, made.reward_tokens) == (0, 0)


def test_a_section_reads_back_from_its_own_toml():
    made = config(passes=2, curriculum=(16, 12, 8), thoughtless=True, clamp=True, kl=0.1)
    assert config(**parse_toml(dump_toml(made), "test")) == made


def test_one_thought_per_position_cannot_be_compared_with_itself():
    with pytest.raises(ValidationError, match=r"quiet\.passes = 2 or more, or quiet\.baseline = 'none'"):
        config(passes=1)
    assert config(passes=1, baseline="none").passes == 1
    assert config(passes=1, policy=0.0).passes == 1


def test_a_policy_needs_the_loss_that_trains_the_mixing_head():
    with pytest.raises(ValidationError, match=r"quiet\.talk = 0"):
        config(talk=0.0)
    assert config(talk=0.0, policy=0.0).talk == 0


def test_plain_text_alone_is_allowed():
    made = config(talk=0.0, policy=0.0, text=1.0, passes=1)
    assert (made.policy, made.talk, made.text) == (0, 0, 1)


@pytest.mark.parametrize("curriculum", [(8, 8), (8, 12), (12, 8, 10)])
def test_a_curriculum_falls(curriculum: tuple[int, ...]):
    with pytest.raises(ValidationError, match=r"quiet\.curriculum must fall, got \["):
        config(curriculum=curriculum)


@pytest.mark.parametrize("curriculum", [(0,), (4, 0), (2, -1)])
def test_a_curriculum_has_no_empty_thoughts(curriculum: tuple[int, ...]):
    with pytest.raises(ValidationError, match=r"lengths below 1"):
        config(curriculum=curriculum)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0), ("rows", 0), ("passes", 0), ("positions", -1), ("policy", -0.1), ("text", -1), ("talk", -1),
        ("loss_tokens", -1), ("reward_tokens", -1), ("baseline", "median"), ("entropy", -1), ("kl", -1),
        ("token_rate", 0), ("head_rate", 0), ("slice_rows", -1), ("lora_rank", -1), ("lora_alpha", 0), ("beta", 1),
    ],
)  # fmt: skip
def test_values_out_of_range_and_unknown_names_are_errors(name: str, value: object):
    with pytest.raises(ValidationError, match=name):
        config(**{name: value})

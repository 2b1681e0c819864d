"""Recipes of the study of code in pre-training: what they may say, and the designs of the built-in ones."""

import pytest

from menon.core.errors import ConfigError
from menon.core.recipe import dump_toml, load_recipe
from menon.studies.code_mixture.recipe import CodeMixture

TEXT = '{name="text",title="text",phases=[{mix={text=1.0}}]}'


def refused(*overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_recipe("code-mixture", CodeMixture, overrides)
    return str(caught.value)


@pytest.mark.parametrize("name", ["code-mixture", "code-mixture-full"])
def test_built_in_recipes_have_every_design(name: str, tmp_path):
    recipe = load_recipe(name, CodeMixture)
    arms = {arm.name: arm for arm in recipe.arms}
    assert len(recipe.seeds) >= 3
    assert [arm.code for arm in recipe.arms if arm.sweep] == pytest.approx([0, 0.1, 0.25, 0.5, 0.75, 1])
    assert [phase.mix for phase in arms["code-text"].phases] == [
        {"code": 0.8, "markup": 0.2},
        {"text": 0.9, "code": 0.1},
    ]
    assert [phase.part for phase in arms["balanced-text"].phases] == [0.5, 0.5]
    quarters = ("code-25", "commented-25", "bare-25", "aligned", "unaligned")
    assert [arms[name].code for name in quarters] == pytest.approx([0.25] * 5)
    assert {arm.after for arm in recipe.arms} == {"", "text", "code-25"}
    assert {recipe.tokens_of(arm) for arm in recipe.arms if not arm.after} == {recipe.tokens}
    path = tmp_path / "again.toml"
    path.write_text(dump_toml(recipe), encoding="utf-8")
    assert load_recipe(str(path), CodeMixture) == recipe


def test_both_built_in_recipes_have_the_same_arms():
    short, full = (load_recipe(name, CodeMixture) for name in ("code-mixture", "code-mixture-full"))
    assert short.arms == full.arms
    assert full.tokens > short.tokens


@pytest.mark.parametrize(
    ("arms", "told"),
    [
        ("[]", "at least one; got none"),
        (f"[{TEXT},{TEXT}]", "different names, at least one; got text, text"),
        ('[{name="a",title="a",phases=[{mix={code=1.0}}]}]', "text alone; got 'a'"),
        (f'[{TEXT},{{name="b",title="b",phases=[{{mix={{text=0.5}}}}]}}]', "arm 'b': mix is {'text': 0.5}"),
        (f'[{TEXT},{{name="b",title="b",phases=[{{mix={{cobol=1.0}}}}]}}]', "of text, code, bare"),
        (f'[{TEXT},{{name="b",title="b",phases=[{{part=0.5,mix={{text=1.0}}}}]}}]', "add up to something else than 1"),
        (
            f'[{TEXT},{{name="b",title="b",after="c",phases=[{{mix={{text=1.0}}}}]}}]',
            "allowed: an arm above it that starts from nothing: text",
        ),
    ],
)
def test_arms_that_cannot_be_compared_are_refused(arms: str, told: str):
    assert told in refused(f"arms={arms}")


def test_a_family_stands_in_one_group_only():
    assert "none in two" in refused('tasks.absent=["sort"]')
    assert "allowed: at least one family in each group" in refused("tasks.code_only=[]")
    assert "poetry" in refused('tasks.absent=["poetry"]')


def test_seeds_differ():
    assert "seeds need different numbers" in refused("seeds=[1,1]")

"""The embedded model is what its card says: stock, small, sure of easy problems and half-skilled on hard ones."""

from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from menon.models.embedded import folder
from menon.models.load import Loaded, load_model
from menon.problems import FAMILIES
from menon.problems.prompts import STYLES
from menon.sampling.asking import Asking, ask
from menon.sampling.local import LocalSampler


@pytest.fixture(scope="module")
def base() -> Loaded:
    return load_model("menon:base")


def share_right(base: Loaded, family: str, levels: tuple[int, ...], count: int, **options) -> float:
    source = FAMILIES.get(family)
    problems = [source.problem("test", i, difficulty=level) for level in levels for i in range(count)]
    hint = options.pop("hint", False)
    sampler = LocalSampler(base.model, base.tokenizer, name="menon:base", slots=256)
    graded = ask(sampler, problems, Asking(style=STYLES.get("menon"), **options), "card", hint=hint)
    return sum(item.grade.right for item in graded) / len(graded)


def test_loads_as_any_other_model_without_remote_code() -> None:
    model = AutoModelForCausalLM.from_pretrained(str(folder()), trust_remote_code=False)
    parameters = sum(p.numel() for p in model.parameters())
    assert 500_000 <= parameters <= 4_000_000
    weights = list(Path(folder()).glob("*.safetensors"))
    assert sum(file.stat().st_size for file in weights) <= 10_000_000


def test_digits_stand_alone_and_any_text_comes_back() -> None:
    tokenizer = AutoTokenizer.from_pretrained(str(folder()))
    assert tokenizer.tokenize("1234") == ["1", "2", "3", "4"]
    text = "Natalia sold 48/2 = 24 clips in April.\n\tÄ €, 漢字"
    assert tokenizer.decode(tokenizer(text).input_ids) == text


@pytest.mark.parametrize(("family", "levels"), [("addition", (1, 2, 3)), ("chain", (1, 2, 3))])
def test_easy_problems_are_nearly_certain(base: Loaded, family: str, levels: tuple[int, ...]) -> None:
    assert share_right(base, family, levels, 40) >= 0.93


@pytest.mark.parametrize("family", ["addition", "chain"])
def test_the_hard_band_is_half_known_at_temperature_one(base: Loaded, family: str) -> None:
    assert 0.05 <= share_right(base, family, FAMILIES.get(family).hard_band, 40, temperature=1.0) <= 0.45


def test_a_shown_answer_supplies_what_the_base_lacks(base: Loaded) -> None:
    hinted = share_right(base, "addition", (6,), 40, temperature=1.0, hint=True)
    assert hinted >= 0.8 > 0.4 >= share_right(base, "addition", (6,), 40, temperature=1.0)

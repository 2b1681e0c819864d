"""A thinking model on disk: plain for everybody else, itself again for us, and each damage is named."""

import json
import shutil
import struct
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from menon import ConfigError
from menon.models.embedded import build_model, build_tokenizer
from menon.models.load import load_model, save_model
from menon.models.thoughts.quiet import QuietModel, make_quiet
from menon.models.thoughts.saving import has_thoughts, load_quiet, save_quiet
from menon.models.thoughts.settings import ThoughtSettings

SETTINGS = ThoughtSettings(tokens=3, talk=2, start="=", end=";", initial_weight=0.25, temperature=0.5)
TOKENIZER = build_tokenizer(["tom has 47 pens. mia buys 5. how many?=47+5=52;#52"])
IDS = torch.arange(5, 25)[None]


def stirred(quiet: QuietModel) -> QuietModel:
    """Give every part of the thoughts a value of its own, so that none is restored by its initialisation."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in [*quiet.thought_tokens.parameters(), *quiet.head.parameters()]:
            parameter.add_(torch.randn(parameter.shape, generator=generator))
    return quiet


def quiet_model(settings: ThoughtSettings = SETTINGS) -> QuietModel:
    return stirred(make_quiet(build_model(len(TOKENIZER), width=16, layers=1, heads=2), TOKENIZER, settings))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quiet") / "model"
    save_quiet(folder, quiet_model(), TOKENIZER)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "model"))


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")


def same(one: QuietModel, other: QuietModel) -> bool:
    first, second = one.state_dict(), other.state_dict()
    return set(first) == set(second) and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    "settings",
    [SETTINGS, ThoughtSettings(start="=", end=";", head="linear", mixing="log_probs", kind="pause", temperature=0)],
    ids=["mlp", "linear"],
)
def test_everything_comes_back(settings: ThoughtSettings, tmp_path: Path):
    quiet = quiet_model(settings)
    save_quiet(tmp_path / "model", quiet, TOKENIZER)
    found = load_quiet(str(tmp_path / "model"), device="cpu")
    assert same(found.quiet, quiet)
    assert found.quiet.settings == settings
    assert found.quiet.banned_ids == quiet.banned_ids == (0, 1)
    assert found.loaded.model is found.quiet.model
    assert found.tokenizer("47")["input_ids"] == TOKENIZER("47")["input_ids"]
    assert not found.quiet.training


def test_without_menon_it_is_the_plain_model(saved: Path, caplog: pytest.LogCaptureFixture):
    assert sorted(path.name for path in saved.iterdir() if "thought" in path.name) == [
        "thoughts.json",
        "thoughts.safetensors",
    ]
    assert not list(saved.glob("*.py"))
    assert "auto_map" not in json.loads((saved / "config.json").read_text())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pair: Any = AutoModelForCausalLM.from_pretrained(saved, output_loading_info=True)
    model, info = pair
    assert not any(info.values())
    assert not caplog.records
    quiet = quiet_model()
    torch.testing.assert_close(model(input_ids=IDS).logits, quiet.model.eval()(input_ids=IDS).logits)
    assert AutoTokenizer.from_pretrained(saved).get_vocab() == TOKENIZER.get_vocab()
    assert load_model(str(saved)).parameters == sum(p.numel() for p in quiet.model.parameters())


def test_the_weights_are_named_and_shaped(saved: Path):
    shapes = {name: tuple(tensor.shape) for name, tensor in load_file(saved / "thoughts.safetensors").items()}
    layers = {"first": (16, 32), "second": (16, 16), "last": (1, 16)}
    assert shapes == {
        **dict.fromkeys(("start", "end", "pause"), (16,)),
        **{f"head.{name}.weight": shape for name, shape in layers.items()},
        **{f"head.{name}.bias": shape[:1] for name, shape in layers.items()},
    }


def test_the_hash_counts_the_thoughts(folder: Path):
    one = load_quiet(str(folder))
    tensors = load_file(folder / "thoughts.safetensors")
    save_file({**tensors, "end": tensors["end"] + 1}, folder / "thoughts.safetensors")
    two = load_quiet(str(folder))
    assert one.loaded.weights_hash == two.loaded.weights_hash
    assert one.weights_hash != two.weights_hash


def test_another_dtype_takes_every_part_along(saved: Path):
    quiet = load_quiet(str(saved), device="cpu", dtype="bfloat16").quiet
    assert {parameter.dtype for parameter in quiet.parameters()} == {torch.bfloat16}


def test_has_thoughts(saved: Path, tmp_path: Path):
    save_model(tmp_path / "plain", quiet_model().model, TOKENIZER)
    assert has_thoughts(str(saved))
    for spec in (str(tmp_path / "plain"), str(tmp_path / "absent"), "menon:base", "nobody/nothing", "scripted:right"):
        assert not has_thoughts(spec)
    with pytest.raises(ConfigError, match=r"has no thoughts\.json, so it cannot think"):
        load_quiet(str(tmp_path / "plain"))


def test_a_folder_without_the_vectors(folder: Path):
    (folder / "thoughts.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"has no thoughts\.safetensors"):
        load_quiet(str(folder))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, r"version: Input should be 1 \(got 2\)"),
        ({"format": "other"}, r"format: .*\(got 'other'\)"),
        ({"extra": 1}, "extra: Extra inputs"),
        ({"settings": {"tokens": 0}}, r"settings\.tokens: .*\(got 0\)"),
        ({"settings": {"length": 3}}, r"settings\.length: Extra inputs"),
        ({"banned_ids": ["x"]}, r"banned_ids\.0: .*integer"),
    ],
)
def test_settings_that_cannot_be_used(folder: Path, change: dict[str, Any], message: str):
    edit(folder / "thoughts.json", **change)
    with pytest.raises(ConfigError, match=r"model/thoughts\.json' cannot be used: " + message):
        load_quiet(str(folder))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[]"])
def test_a_damaged_settings_file(folder: Path, content: bytes):
    (folder / "thoughts.json").write_bytes(content)
    with pytest.raises(ConfigError, match=r"model/thoughts\.json' cannot be used"):
        load_quiet(str(folder))


def test_a_damaged_weights_file(folder: Path):
    path = folder / "thoughts.safetensors"
    whole = path.read_bytes()
    for content in (b"", whole[:40], whole[:-8], struct.pack("<Q", 1 << 60) + whole[8:]):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=r"model/thoughts\.safetensors' is damaged"):
            load_quiet(str(folder))


def test_weights_of_another_model(folder: Path):
    path = folder / "thoughts.safetensors"
    tensors = load_file(path)
    for changed, message in (
        ({**tensors, "start": torch.zeros(8)}, r"start has \[8\], needed \[16\]"),
        ({name: tensor for name, tensor in tensors.items() if name != "pause"}, r"pause has no entry, needed \[16\]"),
        ({**tensors, "more": torch.zeros(1)}, "more is unknown"),
    ):
        save_file(changed, path)
        with pytest.raises(ConfigError, match=r"thoughts\.safetensors' does not belong .*" + message):
            load_quiet(str(folder))
    save_file(tensors, path)
    edit(folder / "thoughts.json", settings={"head": "linear"})
    with pytest.raises(ConfigError, match=r"head\.last\.bias is unknown"):
        load_quiet(str(folder))


def with_adapter(base: Path | None) -> QuietModel:
    peft = pytest.importorskip("peft")
    warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
    model = load_model(str(base)).model if base else build_model(len(TOKENIZER), width=16, layers=1, heads=2)
    config = peft.LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM", lora_dropout=0.0)
    quiet = stirred(make_quiet(peft.get_peft_model(model, config), TOKENIZER, SETTINGS))
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for name, parameter in quiet.model.named_parameters():
            if "lora_" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return quiet


def test_an_adapter_is_saved_without_its_base(tmp_path: Path):
    base, folder = tmp_path / "base", tmp_path / "adapter"
    save_model(base, build_model(len(TOKENIZER), width=16, layers=1, heads=2), TOKENIZER)
    quiet = with_adapter(base)
    save_quiet(folder, quiet, TOKENIZER)
    names = {path.name for path in folder.iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors", "thoughts.json", "thoughts.safetensors"} <= names
    assert not names & {"model.safetensors", "config.json"}
    assert has_thoughts(str(folder))
    found = load_quiet(str(folder))
    assert same(found.quiet, quiet)
    assert not any(parameter.requires_grad for parameter in found.quiet.model.parameters())
    logits = found.quiet.model(input_ids=IDS).logits
    torch.testing.assert_close(logits, quiet.model.eval()(input_ids=IDS).logits)
    assert not torch.allclose(logits, load_model(str(base)).model(input_ids=IDS).logits, atol=0.1)
    again = load_quiet(str(folder), trainable=True).quiet.model
    learning = [name for name, parameter in again.named_parameters() if parameter.requires_grad]
    assert learning
    assert all("lora_" in name for name in learning)


def test_adapters_that_cannot_be_found_again(tmp_path: Path):
    with pytest.raises(ConfigError, match="the model under the adapter has no name"):
        save_quiet(tmp_path / "nameless", with_adapter(None), TOKENIZER)
    base, folder = tmp_path / "base", tmp_path / "adapter"
    save_model(base, build_model(len(TOKENIZER), width=16, layers=1, heads=2), TOKENIZER)
    save_quiet(folder, with_adapter(base), TOKENIZER)
    whole = (folder / "adapter_config.json").read_text(encoding="utf-8")
    edit(folder / "adapter_config.json", base_model_name_or_path=None)
    with pytest.raises(ConfigError, match=r"adapter_config\.json' names no base model"):
        load_quiet(str(folder))
    (folder / "adapter_config.json").write_text("{")
    with pytest.raises(ConfigError, match=r"adapter_config\.json' is damaged"):
        load_quiet(str(folder))
    (folder / "adapter_config.json").write_text(whole, encoding="utf-8")
    (folder / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(ConfigError, match="does not fit its base"):
        load_quiet(str(folder))
    shutil.rmtree(base)
    with pytest.raises(ConfigError, match="is not a model folder"):
        load_quiet(str(folder))

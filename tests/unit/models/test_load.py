"""Loading a model: what comes back, and each thing that is refused before any foreign code could run."""

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch

from menon import ConfigError
from menon.models.embedded import build_model, build_tokenizer
from menon.models.load import load_model, load_tokenizer, save_model, source, weights_hash

TEXTS = ["tom has 47 pens. mia buys 5. how many?=47+5=52;#52"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    tokenizer = build_tokenizer(TEXTS)
    save_model(folder, build_model(len(tokenizer), width=16, layers=1, heads=2), tokenizer)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "model"))


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")


def test_what_is_loaded(folder: Path):
    loaded = load_model(str(folder), device="cpu")
    assert loaded.spec == str(folder)
    assert loaded.context == 512
    assert not loaded.model.training
    assert loaded.model.dtype == torch.float32
    assert loaded.device.type == "cpu"
    assert loaded.parameters == sum(p.numel() for p in loaded.model.parameters()) > 1000
    assert loaded.tokenizer.pad_token_id == 0


def test_the_hash_is_of_every_weight(folder: Path):
    one, two = load_model(str(folder)), load_model(str(folder))
    assert one.weights_hash == two.weights_hash == weights_hash(one.model)
    with torch.no_grad():
        next(iter(two.model.parameters()))[0, 0] += 1e-6
    assert weights_hash(two.model) != one.weights_hash


def test_a_tokenizer_without_padding_pads_with_its_end(folder: Path):
    edit(folder / "tokenizer_config.json", pad_token=None)
    tokenizer = load_tokenizer(str(folder))
    assert tokenizer.pad_token_id == tokenizer.eos_token_id == 1


def test_a_folder_without_tokenizer(folder: Path):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    with pytest.raises(ConfigError, match=r"has no tokenizer \(looked for tokenizer.json.*save_pretrained"):
        load_model(str(folder))


def test_a_broken_tokenizer(folder: Path):
    (folder / "tokenizer.json").write_text("{", encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot load"):
        load_model(str(folder))


class _Trap:
    def __reduce__(self):
        return (Path.touch, (Path("trap-was-sprung"),))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pth", "last.ckpt", "model.pkl"])
def test_pickle_weights_are_refused_and_never_opened(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder)
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(pickle.dumps(_Trap()))
    with pytest.raises(ConfigError, match=rf"pickle weights \({name}\).*safetensors only.*save_pretrained"):
        load_model(str(folder))
    assert not (folder / "trap-was-sprung").exists()


def test_pickle_weights_beside_safetensors_are_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder)
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(_Trap()))
    load_model(str(folder))
    assert not (folder / "trap-was-sprung").exists()


def test_a_folder_without_weights(folder: Path):
    (folder / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"no weights: no \*.safetensors"):
        load_model(str(folder))


def test_damaged_weights(folder: Path):
    (folder / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0not json")
    with pytest.raises(ConfigError, match="cannot load"):
        load_model(str(folder))


@pytest.mark.parametrize("spec", ["./nowhere", "/nowhere/model", "~/nowhere-at-all"])
def test_a_folder_that_is_not_there(spec: str):
    with pytest.raises(ConfigError, match=r"no config.json"):
        load_model(spec)


def test_a_folder_without_configuration(folder: Path):
    (folder / "config.json").unlink()
    with pytest.raises(ConfigError, match=r"is not a model folder: it has no config.json"):
        load_model(str(folder))


def test_an_id_that_is_not_cached_without_network():
    with pytest.raises(ConfigError, match=r"cannot load 'nobody/nothing'.*network or a filled cache"):
        load_model("nobody/nothing")


def test_an_architecture_that_transformers_does_not_know(folder: Path):
    edit(folder / "config.json", model_type="my_own", architectures=["MyOwnForCausalLM"])
    with pytest.raises(ConfigError, match="cannot load"):
        load_model(str(folder))


def test_code_in_the_folder_is_never_run(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder)
    edit(
        folder / "config.json",
        model_type="my_own",
        auto_map={"AutoConfig": "code.C", "AutoModelForCausalLM": "code.M"},
    )
    (folder / "code.py").write_text("open('trap-was-sprung', 'w')", encoding="utf-8")
    with pytest.raises(ConfigError, match="needs code from its repository, which Menon never runs"):
        load_model(str(folder))
    assert not (folder / "trap-was-sprung").exists()


@pytest.mark.parametrize("spec", ["http://localhost:1/v1#m", "scripted:oracle", "recorded:x.jsonl"])
def test_what_has_no_weights(spec: str):
    with pytest.raises(ConfigError, match="has no weights to load; give a folder"):
        source(spec)

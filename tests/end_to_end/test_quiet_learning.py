"""The learning test of Quiet-STaR: a model that mostly reasons wrongly learns to think, and its controls do not.

The study of `menon run quiet` itself on one base model and one seed, with fewer steps. The base model is pre-trained
once and kept in pytest's cache; what is under test, the teaching and its evaluation, runs every time. It is one test,
so that one worker bears the cost: about a minute and a half on one core, half of it the base model.
"""

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from transformers import LlamaForCausalLM

import menon.problems.permutations
import menon.studies.quiet.settings
import menon.studies.quiet.states
import menon.studies.quiet.study
import menon.teaching.train
from menon.core.progress import Progress, Silent
from menon.models.thoughts.settings import ThoughtSettings
from menon.store import atomic_write
from menon.studies.quiet.recipe import QuietArm, QuietStudy
from menon.studies.quiet.settings import BaseSettings
from menon.studies.quiet.states import build_model, pretrain_states
from menon.studies.quiet.study import run_quiet
from menon.teaching.config import TrainConfig
from menon.teaching.quiet.config import QuietConfig

SEED = 0
BASE = BaseSettings(good=0.5, steps=800)
ARMS = (
    QuietArm(name="quiet", title="Quiet-STaR"),
    QuietArm(name="no-reinforce", title="no REINFORCE", quiet={"policy": 0.0}),
    QuietArm(name="pause", title="pause tokens", thoughts={"kind": "pause"}),
)
SOURCES = (  # what decides the base model's weights, apart from libraries
    menon.problems.permutations,
    menon.studies.quiet.settings,
    menon.studies.quiet.states,
    menon.teaching.train,
)
DIGEST = 32  # bytes


def recipe_of(seed: int) -> QuietStudy:
    """The built-in recipe with a shorter base, half the steps, three arms, and more weight of REINFORCE."""
    return QuietStudy(
        seeds=(seed,),
        base=BASE,
        thoughts=ThoughtSettings(tokens=6, talk=2, start="(", end=")", initial_weight=0.1),
        quiet=QuietConfig(steps=75, rows=16, passes=4, positions=12, policy=8.0, token_rate=1.0, head_rate=1.0),
        train=TrainConfig(learning_rate=1e-3, warmup_steps=20, weight_decay=1e-3, schedule="constant"),
        test_rows=64,
        probe_every=75,
        probe_rows=2,
        arms=ARMS,
    )


def base_file(folder: Path, seed: int, settings: BaseSettings) -> Path:
    """Where the base model is kept; another seed, setting, source or torch has another name."""
    sources = [Path(str(module.__file__)).read_bytes() for module in SOURCES]
    content = [settings.model_dump_json().encode(), str(seed).encode(), torch.__version__.encode(), *sources]
    name = hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in content)).hexdigest()
    return folder / f"{name[:32]}.model"


def cached_base(
    seed: int, settings: BaseSettings, progress: Progress | None = None, *, folder: Path
) -> LlamaForCausalLM:
    """Return what `pretrain_states` does, read back where it is kept whole.

    A file begins with the digest of the rest, so that a damaged one is known and made again. It is replaced at once;
    of two processes that train the same model the last one wins, with the same bytes.
    """
    path = base_file(folder, seed, settings)
    kept = path.read_bytes() if path.exists() else b""
    if kept and hashlib.sha256(kept[DIGEST:]).digest() == kept[:DIGEST]:
        model = build_model(settings, seed)
        model.load_state_dict(load(kept[DIGEST:]))
        return model.eval()
    model = pretrain_states(seed, settings, progress)
    weights = save({name: tensor.contiguous() for name, tensor in model.state_dict().items()})
    atomic_write(path, hashlib.sha256(weights).digest() + weights)
    return model


@pytest.fixture
def cache_folder(pytestconfig: pytest.Config, tmp_path: Path) -> Path:
    """A folder that outlives this run of the tests, where pytest has a cache at all."""
    cache = getattr(pytestconfig, "cache", None)
    return cache.mkdir("quiet-base") if cache else tmp_path


def study(seed: int, out: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run the study on the kept base model and return its arms by name."""
    kept = partial(cached_base, folder=cache_folder)
    monkeypatch.setattr(menon.studies.quiet.study, "pretrain_states", kept)
    report = run_quiet(recipe_of(seed), out=out, progress=Silent())
    return {arm["name"]: arm for arm in report["arms"]}


def value(arm: dict[str, Any], name: str, when: str = "summary") -> float:
    return arm[when][name]["value"]


def test_a_model_teaches_itself_to_think_and_its_controls_do_not(
    tmp_path: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    arms = study(SEED, tmp_path / "run", cache_folder, monkeypatch)
    quiet, deaf, pause = arms["quiet"], arms["no-reinforce"], arms["pause"]
    assert 0.02 < value(quiet, "right_thoughts", "before") < 0.2  # a base that mostly reasons wrongly, and can reason
    assert value(quiet, "answer_accuracy_mixed", "before") < 0.3
    assert value(quiet, "answer_accuracy_mixed") > 0.8
    assert value(quiet, "answer_accuracy_text") < 0.35
    assert value(quiet, "right_thoughts") > 3 * value(quiet, "right_thoughts", "before")
    assert value(quiet, "weight_hard") - value(quiet, "weight_easy") > 0.2
    assert value(deaf, "answer_accuracy_mixed") < 0.35
    assert value(deaf, "right_thoughts") < value(quiet, "right_thoughts") / 3
    assert value(pause, "answer_accuracy_mixed") < 0.45


def test_a_damaged_base_model_is_made_again(tmp_path: Path):
    settings = BaseSettings(steps=2, batch=2, warmup_steps=1, width=16, heads=2)
    first = cached_base(0, settings, folder=tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for damaged in (b"", whole[:10], whole[:-1], whole[:200] + bytes([whole[200] ^ 1]) + whole[201:]):
        path.write_bytes(damaged)
        assert same_weights(cached_base(0, settings, folder=tmp_path), first)
        assert path.read_bytes() == whole
    assert same_weights(cached_base(0, settings, folder=tmp_path), first)
    cached_base(0, settings.model_copy(update={"good": 0.1}), folder=tmp_path)
    cached_base(1, settings, folder=tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def same_weights(one: LlamaForCausalLM, other: LlamaForCausalLM) -> bool:
    weights = other.state_dict()
    return all(torch.equal(tensor, weights[name]) for name, tensor in one.state_dict().items())

"""Training as the learner does it: checkpoints, resumption in the middle, adapters, and ids cut at a stop string."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from standins import TRAIN, Pupil, chain, loop, open_run, right, save_tiny
from transformers import GPT2Config, GPT2LMHeadModel

from menon import Completion, ConfigError, Diverged, Request
from menon.models.load import save_model
from menon.teaching import learner as learner_module
from menon.teaching import train as train_module
from menon.teaching.config import StarConfig
from menon.teaching.learner import Learner
from menon.teaching.rows import Row
from menon.teaching.star import encode_prompt, sampled_ids
from menon.teaching.train import Step

PROBLEMS = [chain(i) for i in range(8)]
PLAIN = StarConfig()
LORA = StarConfig(lora_rank=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def dropping(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Path:
    """A GPT-2 with the dropout that published ones have."""
    target = tmp_path_factory.mktemp("gpt2")
    tokenizer = Learner(str(folder)).tokenizer
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_embd=16, n_layer=2, n_head=2, n_positions=128, eos_token_id=1, bos_token_id=1
    )
    assert config.resid_pdrop > 0
    save_model(target, GPT2LMHeadModel(config), tokenizer)
    return target


def rows_for(learner: Learner) -> list[Row]:
    rows = []
    for problem in PROBLEMS:
        prompt = encode_prompt(learner.tokenizer, f"{problem.question}=")
        rows.append(Row(ids=(*prompt, *learner.tokenizer(right(problem)).input_ids, 1), prompt=len(prompt)))
    return rows


def weights(model: Any) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def fit(learner: Learner, target: Path, star: StarConfig = PLAIN, *, steps: int = 7, **options: Any) -> list[Step]:
    options.setdefault("names", ("a", 1))
    return list(learner.fit(rows_for(learner), target, star, TRAIN, steps=steps, **options))


def test_the_checkpoint_on_disk_is_the_model_in_memory_and_the_base_stays(folder: Path, tmp_path: Path):
    learner = Learner(str(folder))
    base = weights(learner.base.model)
    fit(learner, tmp_path / "c")
    assert same(weights(learner.base.model), base)
    assert not same(weights(learner._model()), base)
    other = Learner(str(folder))
    other.use(tmp_path / "c")
    assert same(weights(other._model()), weights(learner._model()))
    other.use(None)
    assert same(weights(other._model()), base)
    assert not list(tmp_path.glob("*.partial"))


def test_a_reloaded_checkpoint_samples_what_the_trained_model_samples(folder: Path, tmp_path: Path):
    learner, other = Learner(str(folder)), Learner(str(folder))
    fit(learner, tmp_path / "c")
    other.use(tmp_path / "c")
    request = Request(key="k", prompt="tom has 4 pens. how many?=", seed=3, max_tokens=12)
    one, two = (next(iter(x.sampler().sample([request]))) for x in (learner, other))
    assert one.token_ids == two.token_ids
    assert one.id == two.id  # the model's name in completions does not depend on the session either


def stop_after(steps: int) -> Any:
    class Stops:
        count = 0

        def start(self, *_: Any, **__: Any) -> None: ...
        def say(self, *_: Any, **__: Any) -> None: ...
        def advance(self, _amount: float = 1.0, note: str = "") -> None:
            if note.startswith("loss"):
                self.count += 1
                if self.count == steps:
                    raise KeyboardInterrupt

    return Stops()


@pytest.mark.parametrize("where", ["tiny", "gpt2 with dropout", "lora"])
def test_training_goes_on_from_the_last_saved_step_bit_for_bit(
    folder: Path, dropping: Path, tmp_path: Path, where: str
):
    star: dict[str, Any] = {"steps": 9, "max_epochs": 1e6}
    if where == "lora":
        pytest.importorskip("peft")
        star |= {"lora_rank": 2, "rounds": 2}
    spec = dropping if where.startswith("gpt2") else folder
    with open_run(tmp_path / "whole") as whole:
        pupil = Pupil(spec, lambda p, *_: right(p), PROBLEMS)
        list(loop(whole, pupil, PROBLEMS, save_every=3, **star).rounds())
        expected, fingerprint, metrics = weights(pupil._model()), whole.fingerprint(), list(whole.metrics())
    torch.manual_seed(99)  # a new process has another global state
    for steps in (5, 8, 4, 2):
        with open_run(tmp_path / "stopped") as run:
            pupil = Pupil(spec, lambda p, *_: right(p), PROBLEMS)
            rounds = loop(run, pupil, PROBLEMS, save_every=3, progress=stop_after(steps), **star).rounds()
            with pytest.raises(KeyboardInterrupt):
                list(rounds)
    with open_run(tmp_path / "stopped") as run:
        assert list((tmp_path / "stopped" / "checkpoints").glob("*.partial"))
        pupil = Pupil(spec, lambda p, *_: right(p), PROBLEMS)
        list(loop(run, pupil, PROBLEMS, save_every=3, **star).rounds())
        assert same(weights(pupil._model()), expected)
        assert run.fingerprint() == fingerprint
        assert list(run.metrics()) == metrics
        assert not list((tmp_path / "stopped" / "checkpoints").glob("*.partial"))


def test_stopped_between_the_checkpoint_and_its_record(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    learner = Learner(str(folder))
    whole = fit(learner, tmp_path / "whole", save_every=3)
    expected = weights(learner._model())
    with monkeypatch.context() as patch:
        patch.setattr(learner_module, "atomic_remove", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            fit(Learner(str(folder)), tmp_path / "c", save_every=3)
    again = Learner(str(folder))
    assert fit(again, tmp_path / "c", save_every=3) == whole
    assert same(weights(again._model()), expected)


def test_a_token_budget_ends_training_early_also_after_a_stop(folder: Path, tmp_path: Path):
    learner = Learner(str(folder))
    budget = sum(step.tokens for step in fit(learner, tmp_path / "seven"))
    steps = fit(learner, tmp_path / "budget", steps=50, token_budget=budget)
    assert len(steps) == 7
    expected = weights(learner._model())
    stopped = Learner(str(folder))
    partial = stopped.fit(
        rows_for(stopped), tmp_path / "x", PLAIN, TRAIN, steps=50, names=("a", 1), token_budget=budget, save_every=2
    )
    for _ in range(6):
        next(partial)
    del partial
    again = Learner(str(folder))
    resumed = fit(again, tmp_path / "x", steps=50, token_budget=budget, save_every=2)
    assert resumed == steps
    assert same(weights(again._model()), expected)


def test_without_a_budget_nothing_is_trained(folder: Path, tmp_path: Path):
    learner = Learner(str(folder))
    assert fit(learner, tmp_path / "c", token_budget=0) == []
    assert same(weights(learner._model()), weights(learner.base.model))


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft's own, called here by the test
def test_an_adapter_has_the_layout_that_others_load(folder: Path, tmp_path: Path):
    peft = pytest.importorskip("peft")
    learner = Learner(str(folder))
    base = weights(learner.base.model)
    fit(learner, tmp_path / "c", LORA)
    names = {path.name for path in (tmp_path / "c").iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json"} <= names
    assert "model.safetensors" not in names
    settings = json.loads((tmp_path / "c" / "adapter_config.json").read_text(encoding="utf-8"))
    assert (settings["r"], settings["task_type"], settings["peft_type"]) == (2, "CAUSAL_LM", "LORA")
    with safe_open(tmp_path / "c" / "adapter_model.safetensors", "pt") as file:
        assert all(name.startswith("base_model.model.") and ".lora_" in name for name in file.keys())  # noqa: SIM118
    assert same(weights(learner.base.model), base)
    loaded = peft.PeftModel.from_pretrained(Learner(str(folder)).base.model, tmp_path / "c").merge_and_unload()
    ours = weights(learner._model())
    assert not same(ours, base)
    assert same(weights(loaded), ours)
    other = Learner(str(folder))
    other.use(tmp_path / "c")
    assert same(weights(other._model()), ours)


def test_an_adapter_that_goes_on_stays_one_adapter_of_the_base(folder: Path, tmp_path: Path):
    pytest.importorskip("peft")
    on = LORA.model_copy(update={"restart": False})
    learner = Learner(str(folder))
    fit(learner, tmp_path / "one", on)
    fit(learner, tmp_path / "two", on, names=("a", 2))
    other = Learner(str(folder))
    other.use(tmp_path / "two")
    assert same(weights(other._model()), weights(learner._model()))
    resumed = Learner(str(folder))
    resumed.use(tmp_path / "one")
    fit(resumed, tmp_path / "again", on, names=("a", 2))
    assert same(weights(resumed._model()), weights(learner._model()))


def test_without_peft_the_message_says_what_to_install(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(ConfigError, match=r"lora_rank needs the package peft.*menon\[train\]"):
        fit(Learner(str(folder)), tmp_path / "c", LORA)


def test_a_tokenizer_without_an_end_token_is_refused(tmp_path: Path):
    save_tiny(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings.pop("eos_token")
    path.write_text(json.dumps(settings), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"no end token.*set tokenizer\.eos_token"):
        _ = Learner(str(tmp_path)).base


def test_a_bad_loss_loses_nothing_and_the_run_goes_on(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    star = {"steps": 6, "max_epochs": 1e6, "rounds": 2}
    with open_run(tmp_path / "whole") as run:
        list(loop(run, Pupil(folder, lambda p, *_: right(p), PROBLEMS), PROBLEMS, **star).rounds())
        fingerprint = run.fingerprint()
    calls = 0
    real = train_module.weighted_cross_entropy

    def breaks(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        loss, weight = real(*args)
        return (loss * float("nan") if calls == 10 else loss), weight

    with open_run(tmp_path / "run") as run:
        with monkeypatch.context() as patch:
            patch.setattr(train_module, "weighted_cross_entropy", breaks)
            rounds = loop(run, Pupil(folder, lambda p, *_: right(p), PROBLEMS), PROBLEMS, **star).rounds()
            with pytest.raises(Diverged, match=r"training step 4 of 7 gave loss nan"):
                list(rounds)
        assert run.done("star", 1, "train") is not None
        assert run.done("star", 2, "select") is not None
        assert run.done("star", 2, "train") is None
    with open_run(tmp_path / "run") as run:
        list(loop(run, Pupil(folder, lambda p, *_: right(p), PROBLEMS), PROBLEMS, **star).rounds())
        assert run.fingerprint() == fingerprint


def completion(learner: Learner, text: str, shown: str, *, ended: bool = False) -> Completion:
    ids = learner.tokenizer(text, add_special_tokens=False).input_ids
    return Completion(key="k", text=shown, token_ids=(*ids, *([1] if ended else [])))


@pytest.mark.parametrize(
    ("sampled", "shown"),
    [
        (" 4+5=9\n#### 9", " 4+5=9\n#### 9"),
        (" 4+5=9\n#### 9\nQ:", " 4+5=9\n#### 9"),
        (" 4+5=9\n#### 9\n\nQ: how", " 4+5=9\n#### 9\n"),
        ("é 9 ✓\nQ:", "é 9 ✓"),
    ],
)
def test_ids_are_cut_before_the_stop_string_and_closed_with_the_end_token(folder: Path, sampled: str, shown: str):
    learner = Learner(str(folder))
    found = sampled_ids(learner.tokenizer, completion(learner, sampled, shown))
    assert found[-1] == learner.tokenizer.eos_token_id
    assert learner.tokenizer.decode(found[:-1]) == shown
    assert learner.tokenizer.eos_token_id not in found[:-1]
    assert sampled_ids(learner.tokenizer, completion(learner, shown, shown, ended=True)) == found


def test_a_token_that_reaches_over_the_cut_is_kept(folder: Path):
    """Without it the answer itself would be cut."""
    joined = Learner(str(folder)).tokenizer
    joined.add_tokens(["9\n"])
    ids = joined("#### 9\nQ:", add_special_tokens=False).input_ids
    found = sampled_ids(joined, Completion(key="k", text="#### 9", token_ids=tuple(ids)))
    assert joined.decode(found) == "#### 9\n<end>"


def test_a_completion_without_ids_is_never_tokenised_again(folder: Path):
    with pytest.raises(ValueError, match="has no token ids"):
        sampled_ids(Learner(str(folder)).tokenizer, Completion(key="k", text="9"))

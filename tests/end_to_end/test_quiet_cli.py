"""`menon teach quiet-star` as its users meet it: data of every kind, what it prints, and what others can do with it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from small_models import save_small  # noqa: E402

from menon.cli.app import run_command  # noqa: E402

SMALL = {
    "thoughts.tokens": 3,
    "thoughts.talk": 2,
    "quiet.steps": 4,
    "quiet.rows": 2,
    "quiet.passes": 2,
    "quiet.positions": 4,
    "texts.length": 32,
    "texts.held_out": 0.2,
    "evaluation.rows": 4,
    "evaluation.positions": 4,
    "evaluation.shown": 1,
    "train.learning_rate": 1e-3,
    "train.accumulate": 1,
}
TEXTS = [f"The sum of {i} and {i % 7} is {i + i % 7}. --- We add {i % 5} and get {i + i % 5}." for i in range(50)]

Ran = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models and data."""
    folder = tmp_path_factory.mktemp("quiet")
    for kind in ("llama", "gpt2"):
        save_small(kind, folder / kind, [*TEXTS, "---"], positions=96)
    asked = [{"question": f"what is {i}+{i % 4}?", "answer": str(i + i % 4)} for i in range(50)]
    for name, rows in (("texts", [{"text": text} for text in TEXTS]), ("asked", asked)):
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (folder / "plain.txt").write_text("\n\n".join(TEXTS), encoding="utf-8")
    return folder


@pytest.fixture
def teach(here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Ran:
    """Teach with small settings; return exit code, standard output and standard error."""

    def command(model: str, data: str, *flags: str, **sets: Any) -> tuple[int, str, str]:
        chosen = {**SMALL, **{name.replace("__", "."): value for name, value in sets.items()}}
        argv = ["teach", "quiet-star", "--model", str(here / model), "--data", str(here / data), "--out"]
        argv += [str(tmp_path / "run"), "--force", *flags]
        argv += [word for name, value in chosen.items() for word in ("--set", f"{name}={value}")]
        capsys.readouterr()
        code = run_command(argv)
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


def test_texts_are_learnt_and_the_result_is_told(teach: Ran, tmp_path: Path):
    code, out, err = teach("llama", "texts.jsonl")
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0].endswith("4 steps; held-out tokens, loss in nats (95 %):")
    assert lines[1].startswith("  before teaching: plain ")
    assert lines[2].startswith("  after teaching: plain ")
    assert lines[-1] == f"report: {tmp_path / 'run' / 'report.html'}"
    assert "tokenise texts" in err
    assert "teach: 4 steps" in err
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    assert len(report["curve"]) == 4
    shown = report["texts"][0]["tokens"]
    assert "".join(token["text"] for token in shown).strip()
    thoughts = [token["thoughts"] for token in shown if token["gain"] is not None]
    assert len(thoughts) == len(shown) - 1  # a thought before every token but the first
    assert all(len(thought) == 1 for thought in thoughts)


def test_json_is_one_object_and_all_else_goes_to_standard_error(teach: Ran, tmp_path: Path):
    code, out, err = teach("gpt2", "plain.txt", "--json", texts__packing="none")
    assert code == 0, err
    assert out.count("\n") == 1
    report = json.loads(out)
    assert report["study"] == "quiet-star"
    assert report["run"] == str(tmp_path / "run")
    stored = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    assert {name: report[name] for name in stored} == stored
    assert "teach: 4 steps" in err


@pytest.mark.parametrize("packing", ["concatenate", "none"])
@pytest.mark.parametrize("learn", ["all", "answers"])
def test_questions_with_answers_in_every_packing(teach: Ran, tmp_path: Path, packing: str, learn: str):
    code, _, err = teach("llama", "asked.jsonl", texts__packing=packing, texts__learn=learn)
    assert code == 0, err
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    assert "layout question/answer" in report["texts_read"][0]
    assert report["curve"][0]["text_loss"] > 0


def test_every_part_of_the_recipe_can_be_set(teach: Ran, tmp_path: Path):
    sets = {
        "seed": 3, "device": "cpu", "dtype": "float32", "save_every": 0, "texts__limit": 40, "texts__unit": "line",
        "thoughts__start": '" We"', "thoughts__end": '"."', "thoughts__head": "linear", "thoughts__mixing": "log_probs",
        "thoughts__temperature": 1.3, "quiet__policy": 0.5, "quiet__text": 0.4, "quiet__talk": 0.6,
        "quiet__loss_tokens": 1, "quiet__reward_tokens": 1, "quiet__clamp": "true", "quiet__entropy": 0.01,
        "quiet__kl": 0.01, "quiet__token_rate": 2.0, "quiet__head_rate": 2.0, "quiet__slice_rows": 0,
        "quiet__curriculum": "[4, 3]", "quiet__thoughtless": "true", "quiet__stop": "false",
        "train__warmup_steps": 1, "train__schedule": "linear", "train__weight_decay": 0.1,
        "train__betas": "[0.9, 0.95]",
        "train__clip": 0.5, "train__accumulate": 2, "train__precision": "bfloat16",
        "train__gradient_checkpointing": "true", "evaluation__thoughts": 2, "evaluation__shown": 0,
        "evaluation__per_difficulty": 1, "evaluation__families": '["chain"]', "evaluation__max_tokens": 2,
    }  # fmt: skip
    code, out, err = teach("llama", "texts.jsonl", **sets)
    assert code == 0, err
    assert "chain, difficulty" in out
    recipe = (tmp_path / "run" / "recipe.toml").read_text(encoding="utf-8")
    for said in ("seed = 3", 'mixing = "log_probs"', "curriculum = [4, 3]", "betas = [0.9, 0.95]", "clamp = true"):
        assert said in recipe, recipe
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    assert [point["stage"] for point in report["curve"]] == [0, 1, 2, 2]
    assert len(report["asked"]["rows"]) > 1
    assert report["texts"] == []


@pytest.mark.parametrize("sets", [{"dtype": "bfloat16"}, {"train__precision": "bfloat16"}, {"thoughts__kind": "pause"}])
def test_other_types_and_controls_run_to_the_end(teach: Ran, tmp_path: Path, sets: dict[str, str]):
    code, _, err = teach("llama", "texts.jsonl", **sets)
    assert code == 0, err
    from safetensors.torch import load_file

    weights = load_file(tmp_path / "run" / "checkpoints" / "quiet" / "model.safetensors")
    wanted = torch.bfloat16 if "dtype" in sets else torch.float32
    assert {tensor.dtype for tensor in weights.values()} == {wanted}


def test_the_checkpoint_is_a_plain_model_for_others_and_thinks_here(
    teach: Ran, here: Path, tmp_path: Path, capsys: Any
):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    code, _, err = teach("llama", "texts.jsonl")
    assert code == 0, err
    folder = tmp_path / "run" / "checkpoints" / "quiet"
    model: Any = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=False)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    before: Any = AutoModelForCausalLM.from_pretrained(here / "llama")
    assert type(model) is type(before)
    assert model.config._attn_implementation == before.config._attn_implementation
    assert any(not torch.equal(one, other) for one, other in zip(model.parameters(), before.parameters(), strict=True))
    asked = tokenizer("The sum of", return_tensors="pt")
    found = model.generate(**asked, max_new_tokens=5, do_sample=False, pad_token_id=tokenizer.pad_token_id)
    assert found.shape[1] == asked["input_ids"].shape[1] + 5

    argv = ["solve", "what is 3+4?", "--model", str(folder), "--strategy", "direct", "--think", "--max-tokens", "4"]
    capsys.readouterr()
    code = run_command([*argv, "--json", "--out", str(tmp_path / "solved")])
    out, err = capsys.readouterr()
    assert code == 0, err
    assert json.loads(out)["totals"]["completion_tokens"] <= 4


def test_an_adapter_is_saved_as_an_adapter_and_its_base_is_left_alone(teach: Ran, here: Path, tmp_path: Path):
    pytest.importorskip("peft")
    base = (here / "llama" / "model.safetensors").read_bytes()
    code, _, err = teach("llama", "texts.jsonl", quiet__lora_rank=2)
    assert code == 0, err
    folder = tmp_path / "run" / "checkpoints" / "quiet"
    assert (folder / "adapter_model.safetensors").is_file()
    assert not (folder / "model.safetensors").exists()
    assert (here / "llama" / "model.safetensors").read_bytes() == base
    from menon.models.thoughts.saving import load_quiet

    assert load_quiet(str(folder), device="cpu").quiet.settings.tokens == 3


def test_help_and_unknown_flags(capsys: pytest.CaptureFixture[str]):
    assert run_command(["teach", "quiet-star", "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(flag in shown for flag in ("--model", "--data", "--set", "--fresh", "--force", "--json", "--audit"))
    assert run_command(["teach", "quiet-star", "--thoughts", "3"]) == 2
    assert "--thoughts" in capsys.readouterr().err

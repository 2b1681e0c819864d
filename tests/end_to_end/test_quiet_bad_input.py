"""Bad input of `menon teach quiet-star`: exit code, what was got, what is allowed, what to do; and nothing is lost."""

import json
import shutil
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
    "evaluation.shown": 0,
    "train.learning_rate": 1e-3,
    "train.accumulate": 1,
    "save_every": 1,
}
TEXTS = [f"The sum of {i} and {i % 7} is {i + i % 7}. --- We add {i % 5} and get {i + i % 5}." for i in range(40)]


class Told:
    """What a command said."""

    def __init__(self, code: int, out: str, err: str):
        self.code, self.out, self.err = code, out, err

    def says(self, code: int, *parts: str) -> "Told":
        assert self.code == code, self.err
        assert "Traceback" not in self.err
        for part in parts:
            assert part in self.err, self.err
        return self


Teach = Callable[..., Told]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for kind in ("llama", "gpt2"):
        save_small(kind, folder / kind, [*TEXTS, "---"], positions=48)
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write(tmp_path / "texts.jsonl", [json.dumps({"text": text}) for text in TEXTS])


@pytest.fixture
def teach(models: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Teach:
    def command(*flags: str, model: Any = "llama", texts: Any = None, out: Any = None, **sets: Any) -> Told:
        chosen = {**SMALL, **{name.replace("__", "."): value for name, value in sets.items()}}
        model = models / model if (models / str(model)).exists() else model
        argv = ["teach", "quiet-star", "--model", str(model), "--out", str(out or tmp_path / "run"), *flags]
        argv += ["--data", str(texts or data)] if texts != "" else []
        argv += [word for name, value in chosen.items() for word in ("--set", f"{name}={value}")]
        capsys.readouterr()
        code = run_command(argv)
        said = capsys.readouterr()
        return Told(code, said.out, said.err)

    return command


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_texts_shorter_than_the_thought_window(teach: Teach, tmp_path: Path):
    tiny = write(tmp_path / "tiny.jsonl", [json.dumps({"text": str(i)}) for i in range(30)])
    teach(texts=tiny, texts__packing="none", thoughts__talk=6).says(
        1, "are too short to think in", "8 tokens are needed (thoughts.talk + 2)", "use packing = 'concatenate'"
    )
    teach(texts__length=8, thoughts__talk=8).says(2, "texts.length = 8 is too short for thoughts.talk = 8")


def test_one_thought_with_a_mean_baseline(teach: Teach, tmp_path: Path):
    teach(quiet__passes=1).says(2, "quiet.passes = 1", "set quiet.passes = 2 or more, or quiet.baseline = 'none'")
    assert not (tmp_path / "run").exists()
    teach("--force", quiet__passes=1, quiet__baseline="none").says(0)


def test_a_start_that_the_tokenizer_does_not_have(teach: Teach, models: Path, tmp_path: Path):
    from tokenizers import Tokenizer, pre_tokenizers
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    words = sorted({word for text in TEXTS[:12] for word in text.split()} - {"---"})
    vocabulary = {word: i for i, word in enumerate(["<unk>", "<end>", *words])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    shutil.copytree(models / "llama", tmp_path / "words")
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="<end>").save_pretrained(
        tmp_path / "words"
    )
    told = teach(model=tmp_path / "words")
    told.says(2, "no token for the start of a thought, '---'", "set `start` to a string that it")
    teach("--force", model=tmp_path / "words", thoughts__start="sum", thoughts__end="sum").says(0)  # the same folder


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_text_and_thought_beyond_the_models_positions(teach: Teach, tmp_path: Path, kind: str):
    wanted = ("need 51 positions, but the model has 48", "cut texts to at most 42 tokens")
    teach(model=kind, texts__length=45).says(3, "refused: ", *wanted)
    teach("--force", model=kind, texts__length=45).says(2, *wanted)
    teach("--force", model=kind, texts__length=42).says(0)  # the mended command may use the same folder


def test_dropout_is_switched_off(teach: Teach, models: Path, tmp_path: Path):
    shutil.copytree(models / "gpt2", tmp_path / "still")
    config = json.loads((tmp_path / "still" / "config.json").read_text(encoding="utf-8"))
    assert config["resid_pdrop"] == 0.1
    config |= {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    (tmp_path / "still" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    teach("--force", model="gpt2", out=tmp_path / "a").says(0)
    teach("--force", model=tmp_path / "still", out=tmp_path / "b").says(0)
    one, other = ((tmp_path / name / "checkpoints" / "quiet" / "model.safetensors").read_bytes() for name in "ab")
    assert one == other


def test_other_types_and_devices(teach: Teach):
    teach("--force", dtype="bfloat16").says(0)
    teach("--fresh", dtype="int3").says(2, "int3", "allowed: 'auto', 'float32' or 'bfloat16'")
    teach("--fresh", device="gpu7").says(2, "device is 'gpu7'", "allowed here: auto, cpu")


def test_weights_that_are_not_finite(teach: Teach, models: Path, tmp_path: Path):
    from safetensors.torch import load_file, save_file

    shutil.copytree(models / "llama", tmp_path / "broken")
    weights = load_file(models / "llama" / "model.safetensors")
    weights["model.layers.0.mlp.up_proj.weight"][0, 0] = float("nan")
    save_file(weights, tmp_path / "broken" / "model.safetensors", metadata={"format": "pt"})
    teach("--force", model=tmp_path / "broken").says(2, "not finite (model.layers.0.mlp.up_proj.weight)")


def test_a_diverging_run_names_the_step_and_can_be_resumed_into_the_same_error(teach: Teach, tmp_path: Path):
    told = teach("--force", train__learning_rate="1e30", train__warmup_steps=0)
    told.says(1, "step 2 of 4", "lower train.learning_rate (now 1e+30)")
    again = teach("--force", train__learning_rate="1e30", train__warmup_steps=0)
    assert again.err.splitlines()[-1] == told.err.splitlines()[-1]
    assert not (tmp_path / "run" / "checkpoints" / "quiet").exists()


def test_empty_lines_are_skipped_and_told(teach: Teach, data: Path, tmp_path: Path):
    lines = data.read_text(encoding="utf-8").splitlines()
    gaps = write(tmp_path / "gaps.jsonl", ["", "\n\n".join(lines), "", ""])
    teach("--force", texts=gaps).says(0)
    read = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))["texts_read"]
    assert "empty lines skipped" in read[0]


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ('{"text": "a sum"}\n{"text": "abc\n{"text": "more"}', ("line 2 cannot be read", "not JSON", "mend it")),
        ("", ("has nothing to learn from", "it is empty")),
        ("\n\n\n", ("has nothing to learn from",)),
        ('{"body": 3}\n{"body": 4}', ("The first row has the columns body", "--map")),
    ],
)
def test_data_that_cannot_be_read(teach: Teach, tmp_path: Path, content: str, parts: tuple[str, ...]):
    bad = write(tmp_path / "bad.jsonl", [content])
    teach(texts=bad).says(1, str(bad), *parts)


def test_data_that_is_not_there(teach: Teach, tmp_path: Path):
    teach(texts=tmp_path / "none.jsonl").says(1, "no data at", "none.jsonl", "allowed: a file ending in")
    teach(texts="").says(2, "has no text of its own here; give texts with --data FILE")
    teach("--force").says(0)  # what was refused left nothing in the way


@pytest.mark.parametrize("model", ["http://localhost:1/v1", "recorded:x.jsonl", "scripted:x"])
def test_a_model_without_weights_here(teach: Teach, tmp_path: Path, model: str):
    teach(model=model).says(2, f"cannot teach {model!r}: it has no weights here", "give a folder")
    assert not (tmp_path / "run").exists()


def test_an_architecture_that_cannot_think(teach: Teach, models: Path, tmp_path: Path):
    from transformers import BloomConfig, BloomForCausalLM

    shutil.copytree(models / "llama", tmp_path / "bloom")
    config = BloomConfig(vocab_size=640, hidden_size=16, n_layer=1, n_head=2)
    BloomForCausalLM(config).save_pretrained(tmp_path / "bloom")
    teach(model=tmp_path / "bloom").says(2, "BloomForCausalLM (bloom) cannot think", "Supported: llama, gpt2")


@pytest.mark.parametrize(
    ("sets", "parts"),
    [
        ({"quiet__stepz": 3}, ("unknown key 'stepz' in section [quiet]", "did you mean 'steps'?", "allowed: ")),
        ({"quite__steps": 3}, ("unknown key 'quite'", "did you mean 'quiet'?")),
        ({"quiet__steps": "many"}, ("quiet.steps: got 'many'", "allowed: ")),
        ({"quiet__curriculum": "[3, 4]"}, ("quiet.curriculum must fall, got [3, 4]",)),
        ({"thoughts__head": "big"}, ("thoughts.head: got 'big'", "'mlp'")),
    ],
)
def test_settings_that_are_not_there(teach: Teach, tmp_path: Path, sets: dict[str, Any], parts: tuple[str, ...]):
    teach(**sets).says(2, *parts)
    assert not (tmp_path / "run").exists()


def test_places_that_hold_something_else(teach: Teach, tmp_path: Path):
    taken, foreign = write(tmp_path / "taken", ["mine"]), tmp_path / "foreign"
    foreign.mkdir()
    write(foreign / "letter.txt", ["mine"])
    teach(out=taken).says(1, "is a file; a run needs a folder", "--out DIR")
    teach(out=foreign).says(1, "holds 1 entries (such as 'letter.txt') but is not a Menon run", "--out DIR")
    assert taken.read_text(encoding="utf-8") == "mine"
    assert sorted(path.name for path in foreign.iterdir()) == ["letter.txt"]


def test_another_recipe_in_the_same_folder_loses_nothing(teach: Teach, tmp_path: Path):
    teach("--force").says(0)
    report = (tmp_path / "run" / "report.json").read_bytes()
    teach("--force", quiet__steps=5).says(1, "holds a run of another recipe", "quiet.steps: 4 before, 5 now", "--fresh")
    assert (tmp_path / "run" / "report.json").read_bytes() == report

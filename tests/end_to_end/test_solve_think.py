"""`menon solve --think` and `menon audit --think` with a saved model that thinks."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from small_models import save_small  # noqa: E402

from menon.cli.app import run_command  # noqa: E402
from menon.core.recipe import load_recipe  # noqa: E402
from menon.models.load import load_model, save_model  # noqa: E402
from menon.models.thoughts.generate import generate  # noqa: E402
from menon.models.thoughts.quiet import make_quiet  # noqa: E402
from menon.models.thoughts.saving import load_quiet, save_quiet  # noqa: E402
from menon.models.thoughts.settings import ThoughtSettings  # noqa: E402
from menon.store import EventLog  # noqa: E402
from menon.studies.solve.assemble import events_of  # noqa: E402
from menon.studies.solve.recipe import SolveRecipe  # noqa: E402
from menon.studies.solve.thoughts import kept_thoughts, thought_lines  # noqa: E402

TEXTS = ["q: we count 27 eggs. sam gets 5 more. how many eggs? --- a: 27+5=32. #### 32"]
ASK = 'solve "we count 27 eggs. sam gets 5 more. how many eggs?" --strategy direct --max-tokens 6'

Menon = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a plain model and the same model with thoughts that matter."""
    folder = tmp_path_factory.mktemp("models")
    save_small("llama", folder / "plain", TEXTS, positions=512)
    loaded = load_model(str(folder / "plain"), device="cpu")
    with torch.no_grad():
        for parameter in loaded.model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(12)
    quiet = make_quiet(loaded.model, loaded.tokenizer, ThoughtSettings(tokens=3, talk=1))
    with torch.no_grad():
        torch.nn.init.normal_(quiet.head.last.weight)  # pyright: ignore[reportArgumentType]
    save_quiet(folder / "quiet", quiet, loaded.tokenizer)
    return folder


@pytest.fixture
def menon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Menon:
    """Run a command line in a folder of its own; return exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def command(line: str) -> tuple[int, str, str]:
        code = run_command(shlex.split(line))
        out, err = capsys.readouterr()
        return code, out, err

    return command


def call_of(folder: Path) -> dict[str, Any]:
    """Return the one completion of a run, and its prompt."""
    with EventLog(folder, read_only=True) as log:
        (key,) = log.executions("visit")
        (event,) = (event for event in events_of(key, log) if event["completions"])
    return {"prompt": event["prompt"], **event["completions"][0]}


def thoughts_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "thoughts.jsonl").read_text().splitlines()]


def test_solve_thinks_and_shows_the_thoughts_beside_the_answer(menon: Menon, models: Path):
    code, out, err = menon(f"{ASK} --model {models / 'quiet'} --think --show-thoughts --out run")
    assert code == 0, err
    (said,) = thoughts_of(Path("run"))
    assert 1 <= len(said["tokens"]) <= 6
    table = out.splitlines()
    assert table[0].startswith("thoughts after ")
    assert "how many eggs?" in table[0]
    assert table[1].split() == ["token", "weight", "gain", "(nats)", "thought"]
    for line, one in zip(table[2:], said["tokens"], strict=False):
        assert line.strip().startswith(repr(one["token"]))
        assert line.endswith(repr(one["thought"]))
        assert f"{one['weight']:.2f}" in line
    assert "".join(one["token"] for one in said["tokens"] if one["token"] not in ("<s>", "</s>")) == said["text"]


def test_thoughts_change_the_answer_as_generate_says(menon: Menon, models: Path):
    texts = {}
    for name, flags in {"plain": "", "thinking": "--think"}.items():
        code, _, err = menon(f"{ASK} --model {models / 'quiet'} {flags} --out {name}")
        assert code == 0, err
        texts[name] = call_of(Path(name))
    assert not Path("plain/thoughts.jsonl").exists()
    (said,) = thoughts_of(Path("thinking"))
    found = load_quiet(str(models / "quiet"), device="cpu")
    (wanted,) = generate(
        found.quiet,
        [found.tokenizer(texts["thinking"]["prompt"])["input_ids"]],
        max_tokens=6,
        ends={found.tokenizer.eos_token_id},
    )
    assert texts["thinking"]["text"] == said["text"]
    assert texts["thinking"]["completion_tokens"] == len(wanted.tokens)
    assert texts["thinking"].get("reasoning") is None
    assert texts["plain"]["text"] != texts["thinking"]["text"]
    for one, thought in zip(said["tokens"], wanted.thoughts, strict=True):
        assert thought is not None
        assert one["thought"] == found.tokenizer.decode(list(thought.ids))
        assert one["weight"] == pytest.approx(thought.weight, abs=1e-4)
        assert one["gain"] == pytest.approx(thought.gain, abs=1e-4)


def test_without_think_a_model_with_thoughts_is_the_plain_model(menon: Menon, models: Path):
    quiet = load_model(str(models / "quiet"), device="cpu")
    save_model(models / "bare", quiet.model, quiet.tokenizer)
    answers = []
    for name in ("quiet", "bare"):
        code, out, err = menon(f"{ASK} --model {models / name} --json --out run-{name}")
        assert code == 0, err
        answers.append([(one["answer"], one["totals"]["completion_tokens"]) for one in json.loads(out)["outcomes"]])
    assert answers[0] == answers[1]


def test_settings_of_thinking_are_set_and_kept_in_the_recipe(menon: Menon, models: Path):
    line = f"{ASK} --model {models / 'quiet'} --think --set think.where=entropy --set think.threshold=0.1"
    code, _, err = menon(f"{line} --set think.tokens=5 --set think.first=2 --out run")
    assert code == 0, err
    recipe = load_recipe("run/recipe.toml", SolveRecipe)
    assert recipe.think is not None
    assert (recipe.think.where, recipe.think.threshold, recipe.think.tokens) == ("entropy", 0.1, 5)
    (said,) = thoughts_of(Path("run"))
    assert all(one["thought"] is None for one in said["tokens"][2:])
    command = json.loads(Path("run/manifest.json").read_text())["command"]
    assert "--think" in command
    assert "--set think.where=entropy" in command
    code, out, _ = menon("solve --resume run --show-thoughts")
    assert code == 0
    assert out.startswith("thoughts after ")
    assert len(thoughts_of(Path("run"))) == 1, "a finished call is not repeated"


def test_thoughts_are_in_the_json_object_and_gone_after_a_fresh_start(menon: Menon, models: Path):
    line = f"{ASK} --model {models / 'quiet'} --think --show-thoughts --json --out run"
    first = json.loads(menon(line)[1])["thoughts"]
    again = json.loads(menon(f"{line} --fresh")[1])["thoughts"]
    assert first == again == thoughts_of(Path("run"))


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--model {models}/plain --think", "`menon teach quiet-star` makes a model that thinks"),
        ("--model scripted:oracle --think", "has no weights here, so it cannot think"),
        ("--model {models}/quiet --show-thoughts", "add --think"),
        ("--model {models}/quiet --think --set think.where=often", "every"),
        ("--model {models}/quiet --set think.wher=every", "'where'"),
    ],
)
def test_what_cannot_think_says_why(menon: Menon, models: Path, flags: str, words: str):
    code, _, err = menon(f"{ASK} {flags.format(models=models)} --out run")
    assert code != 0
    assert words in err
    assert "Traceback" not in err


def test_audit_compares_a_model_with_thoughts_to_itself_without(menon: Menon, models: Path):
    quiet = models / "quiet"
    line = f"audit {quiet} --think --against {quiet} --probes horizon --per-cell 4 --budget-questions 12"
    code, _, err = menon(
        f"{line} --set max_tokens=4 --set instrument.originals=2 --set instrument.variants=1 --out run"
    )
    assert code in (0, 4), err
    report = json.loads(Path("run/report.json").read_text())
    assert any("thought before every token of its answers" in note for note in report["notes"]), report["notes"]
    assert "--think" in report["command"]
    assert (report["tuning"]["first"], report["tuning"]["second"]) == (f"{quiet} (thinking)", str(quiet))


def test_responses_on_file_cannot_think(menon: Menon):
    code, _, err = menon("audit recorded:answers.jsonl --think --out run")
    assert code != 0
    assert "responses on file cannot think" in err


def test_thoughts_of_a_run_that_was_killed_are_read_as_far_as_they_were_written(tmp_path: Path):
    line = json.dumps({"prompt": "p", "sample": 1, "text": "x", "tokens": []})
    (tmp_path / "thoughts.jsonl").write_text(f"{line}\n{line}\n{line[:20]}")
    kept = kept_thoughts(tmp_path)
    assert kept == [json.loads(line)]
    assert next(iter(thought_lines(kept))) == "thoughts after 'p' (sample 1):"
    assert "--fresh" in next(iter(thought_lines(kept_thoughts(tmp_path / "nowhere"))))

"""Verbs against stand-ins of the functions that they call: what they pass on, print and return."""

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from menon.cli import main
from menon.core.errors import ConfigError, DataError, Refused, RunError

REPORT = {"run": "runs/x", "seconds": 1.5, "verdict": {"sentence": "It reasons."}, "loss": float("nan")}


class Studies(ModuleType):
    """A stand-in for `menon.studies` that notes how it was called."""

    def __init__(self) -> None:
        super().__init__("menon.studies")
        self.calls: list[dict[str, Any]] = []
        self.raises: BaseException | None = None
        self.ok = True

    def _note(self, **options: Any) -> dict[str, Any]:
        options.pop("progress").say("working")
        self.calls.append(options)
        print("a library that prints")  # noqa: T201
        if self.raises is not None:
            raise self.raises
        return REPORT

    def run_study(self, recipe: str, **options: Any) -> dict[str, Any]:
        return self._note(recipe=recipe, **options)

    def run_teach_star(self, **options: Any) -> dict[str, Any]:
        return self._note(**options)

    def run_doctor(self, recipe: str | None, **options: Any) -> SimpleNamespace:
        self._note(recipe=recipe, **options)
        return SimpleNamespace(ok=self.ok, lines=lambda: ["looked at it"], to_json=lambda: {"ok": self.ok})


@pytest.fixture
def studies(monkeypatch: pytest.MonkeyPatch) -> Studies:
    stand_in = Studies()
    reports = ModuleType("menon.reports")
    monkeypatch.setattr(reports, "summary", lambda report: report["verdict"]["sentence"], raising=False)
    monkeypatch.setitem(sys.modules, "menon.studies", stand_in)
    monkeypatch.setitem(sys.modules, "menon.reports", reports)
    return stand_in


def test_run_passes_its_options_on(studies: Studies, capsys: pytest.CaptureFixture[str]):
    code = main(["run", "quickstart", "--set", "teaching.rounds=2", "--set", "seed=1", "--out", "there", "--force"])
    assert code == 0
    assert studies.calls == [
        {
            "recipe": "quickstart",
            "overrides": ["teaching.rounds=2", "seed=1"],
            "out": Path("there"),
            "fresh": False,
            "force": True,
        }
    ]
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-2:] == ["It reasons.", f"report: {Path('runs/x/report.html')}"]
    assert "working" in printed.err


def test_json_is_the_only_thing_on_standard_output(studies: Studies, capsys: pytest.CaptureFixture[str]):
    assert main(["run", "quickstart", "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {**REPORT, "loss": None}
    assert "a library that prints" in printed.err


def test_teach_star_passes_its_options_on(studies: Studies):
    options = ["--model", "m", "--data", "d.jsonl", "--preset", "rft", "--limit", "64", "--style", "gsm8k"]
    assert main(["teach", "star", *options, "--exemplars", "e.jsonl", "--map", "question=text", "--fresh"]) == 0
    assert studies.calls == [
        {
            "model": "m",
            "data": "d.jsonl",
            "preset": "rft",
            "overrides": [],
            "out": None,
            "fresh": True,
            "force": False,
            "limit": 64,
            "style": "gsm8k",
            "exemplars": Path("e.jsonl"),
            "split": None,
            "map": {"question": "text"},
        }
    ]


@pytest.mark.parametrize(("ok", "code"), [(True, 0), (False, 3)])
def test_doctor_returns_three_when_it_refuses(
    studies: Studies, capsys: pytest.CaptureFixture[str], ok: bool, code: int
):
    studies.ok = ok
    assert main(["doctor", "quickstart", "--json"]) == code
    assert json.loads(capsys.readouterr().out) == {"ok": ok}


@pytest.mark.parametrize(
    ("error", "code", "start"),
    [
        (ConfigError("unknown key 'round'"), 2, "error: unknown key"),
        (DataError("a.jsonl line 3"), 1, "error: a.jsonl"),
        (RunError("locked by 12"), 1, "error: locked"),
        (Refused("never right"), 3, "refused: never right"),
        (PermissionError(13, "Permission denied", "/x"), 1, "error: [Errno 13] Permission denied"),
    ],
)
def test_an_error_is_one_message_and_an_exit_code(
    studies: Studies, capsys: pytest.CaptureFixture[str], error: Exception, code: int, start: str
):
    studies.raises = error
    assert main(["run", "quickstart", "--json"]) == code
    printed = capsys.readouterr()
    told = json.loads(printed.out)["error"]
    assert told == {"type": type(error).__name__, "message": str(error), "exit_code": code}
    assert printed.err.splitlines()[-1].startswith(start)
    assert "Traceback" not in printed.err


@pytest.mark.parametrize(("option", "variable"), [(["--debug"], ""), ([], "1")])
def test_the_traceback_is_shown_on_request(
    studies: Studies,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    option: list[str],
    variable: str,
):
    monkeypatch.setenv("MENON_DEBUG", variable)
    studies.raises = RunError("broken")
    assert main(["run", "quickstart", *option]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_bug_is_not_hidden(studies: Studies):
    studies.raises = ZeroDivisionError("a bug")
    with pytest.raises(ZeroDivisionError):
        main(["run", "quickstart"])


def test_ctrl_c_says_how_to_go_on(studies: Studies, capsys: pytest.CaptureFixture[str]):
    studies.raises = KeyboardInterrupt()
    assert main(["run", "my recipe.toml", "--fresh", "--json"]) == 130
    printed = capsys.readouterr()
    assert "menon run 'my recipe.toml' --json" in printed.err
    assert json.loads(printed.out)["error"]["exit_code"] == 130


@pytest.mark.parametrize(
    "argv",
    [
        ["run"],
        ["rnu"],
        ["run", "quickstart", "--otu", "x"],
        ["teach", "star", "--limit", "many"],
        ["teach", "star", "--limit", "0"],
        ["teach", "star", "--map", "question"],
        ["problems", "show", "addition", "-1"],
        ["env", "--set", "a=1"],
    ],
)
def test_wrong_usage_is_two_and_one_object(studies: Studies, capsys: pytest.CaptureFixture[str], argv: list[str]):
    assert main([*argv, "--json"]) == 2
    printed = capsys.readouterr()
    assert json.loads(printed.out)["error"]["exit_code"] == 2
    assert printed.err.strip()
    assert studies.calls == []

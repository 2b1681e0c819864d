"""`menon solve` as a new user meets it: every option, what it says, and the exit code."""

import json
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from menon.cli.app import run_command

APPROVE = """# Approval

Source: none

- takes: question (text), tone (text) = "short"
- returns: draft

```mermaid
flowchart TD
    start([q]) --> draft[draft] --> p[/may it go out?\\] -->|approve| done([a])
    p -->|send back| again[/again/] --> draft
```

## draft

- writes: draft (text)

```text
Draft a {tone} reply to {question}
```

## p

```text
May this go out? {draft}
```

## again

```python
question = question + "!"
```
"""
WRONG = """# Wrong

```mermaid
flowchart TD
    start([q]) --> one[ask] --> two[ask] --> done([a])
```

## one

```text
{question} {nothing}
```

## two

- temprature: 0.5

```text
{question}
```
"""
UNSET = WRONG.replace("- temprature: 0.5\n\n", "")

Menon = Callable[..., tuple[int, str, str]]


@pytest.fixture
def menon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Menon:
    """Run a command line in a folder of its own; return exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "approve.md").write_text(APPROVE)

    def command(line: str) -> tuple[int, str, str]:
        code = run_command(shlex.split(line))
        told = capsys.readouterr()
        assert "Traceback" not in told.err + told.out
        return code, told.out, told.err

    return command


def begin(menon: Menon, more: str = "") -> tuple[int, str, str]:
    return menon(f'solve "Hello?" --strategy approve.md --model scripted:oracle --out run {more}')


def report_of(menon: Menon, line: str) -> tuple[int, dict[str, Any]]:
    code, out, _ = menon(line + " --json")
    assert out.count("\n") == 1
    return code, json.loads(out)


# A single question, persons, resume


def test_a_person_is_asked_answers_and_the_run_goes_on(menon: Menon) -> None:
    code, out, _ = begin(menon)
    assert code == 0
    assert "waiting for a person" in out
    assert "a person is asked at p:\n  May this go out? " in out
    (hint,) = [line for line in out.splitlines() if "to answer: " in line]
    assert hint == "  to answer: menon solve --resume run --reply p=approve   (or send back)"
    assert menon("solve --resume run")[1] == out, "nobody has answered yet"
    code, out, _ = menon(hint.partition("menon ")[2].partition("   ")[0])
    assert code == 0
    assert out.startswith("answer: ")
    assert "1 call," in out
    assert Path("run/report.html").is_file()
    assert Path("run/report.json").is_file()


def test_a_reply_goes_round_where_it_says_so(menon: Menon) -> None:
    begin(menon)
    code, out, _ = menon("solve --resume run --reply 'p=Send back'")
    assert code == 0
    assert "a person is asked at p#2:" in out
    assert "--reply 'p#2=approve'" in out
    assert menon("solve --resume run --reply 'p#2=approve'")[1].startswith("answer: ")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("--reply p=maybe", "p may be answered with approve, send back; got 'maybe'"),
        ("--reply q=approve", "nobody waits at 'q'"),
        ("--reply approve", "--reply got 'approve'; it takes NAME=VALUE"),
        ("--fork draft", "--fork needs what is changed"),
        ("--fork draft --change draft=x --prompt y", "--fork needs what is changed"),
        ("--change draft=x", "name it with --fork ADDRESS"),
        ("--execution x", "name it with --fork ADDRESS"),
        ("--fork nowhere --change draft=x", "no visit has the address 'nowhere'; the addresses are start, draft"),
        ("--fork draft --change draft=x --execution other", "no execution 'other' in this run; there are "),
        ("--model scripted:guesser", "leave out --model"),
        ("--budget-steps 5 --param a=1 --set seed=1", "leave out --param, --budget-steps, --set"),
        ("--strategy cot", "leave out --strategy"),
    ],
)
def test_a_wrong_way_to_go_on_is_told_and_changes_nothing(menon: Menon, more: str, said: str) -> None:
    _, waiting, _ = begin(menon)
    code, out, err = menon(f"solve --resume run {more}")
    assert code == 2
    assert not out
    assert err.count("error: ") == 1
    assert said in err
    assert menon("solve --resume run")[1] == waiting


def test_a_question_and_a_run_do_not_go_together(menon: Menon) -> None:
    begin(menon)
    code, _, err = menon("solve 'Another?' --resume run")
    assert code == 2
    assert "leave out the question" in err
    for option in ("--replay", "--reply p=x", "--fork p --change x=1", "--execution x"):
        code, _, err = menon(f"solve x {option}")
        assert code == 2
        assert "--resume DIR" in err
    code, _, err = menon("solve --resume nowhere")
    assert code == 1
    assert "'nowhere' is no run" in err


def test_the_path_is_traced(menon: Menon) -> None:
    begin(menon)
    code, out, _ = menon("solve --resume run --reply p=approve --trace")
    visits = [line.split()[0] for line in out.splitlines() if line.startswith("  ")]
    assert code == 0
    assert visits == ["start", "draft:", "p", "done"]
    assert "  p -[approve] (kept)" in out
    assert "  draft: draft = " in out


def test_a_replay_needs_no_model_and_tells_what_it_misses(menon: Menon) -> None:
    begin(menon)
    menon("solve --resume run --reply p=approve")
    code, out, _ = menon("solve --resume run --replay")
    assert code == 0
    assert out.startswith("answer: ")
    code, out, _ = menon("solve --resume run --replay --fork draft --prompt 'Say hi'")
    assert code == 1
    assert "failed: the journal holds no call 'draft'" in out
    assert "without --replay" in out


def test_a_fork_changes_a_value_or_a_prompt_and_leaves_the_run_alone(menon: Menon) -> None:
    begin(menon)
    menon("solve --resume run --reply p=approve")
    before = Path("run/report.json").read_text()
    code, out, _ = menon("solve --resume run --fork draft --change draft='Good day' --trace")
    assert code == 0
    assert "draft = Good day" in out
    assert "May this go out? Good day" in out
    (hint,) = [line for line in out.splitlines() if "to answer: " in line]
    assert hint == "  to answer: the same command with --reply p=approve   (or send back)"
    code, out, _ = menon("solve --resume run --fork draft --change draft='Good day' --reply p=approve")
    assert code == 0
    assert out.startswith("answer: Good day\n")
    assert " 0 calls" in out
    code, out, _ = menon("solve --resume run --fork draft --prompt 'Say hi'")
    assert code == 0
    assert " 1 call," in out
    code, out, _ = menon("solve --resume run --fork draft --change nothing=1")
    assert code == 1
    assert "what can be changed there: draft" in out
    assert Path("run/report.json").read_text() == before


def test_a_fork_of_a_fork(menon: Menon) -> None:
    begin(menon)
    _, first = report_of(menon, "solve --resume run --fork draft --change draft=Good")
    key = first["outcomes"][0]["key"]
    line = f"solve --resume run --execution '{key}' --fork start --change tone=long"
    code, out, _ = menon(line)
    assert code == 1
    assert "what can be changed there: nothing" in out
    code, second = report_of(menon, f"solve --resume run --execution '{key}' --fork draft --change draft=Better")
    assert code == 0
    assert second["outcomes"][0]["key"].startswith(key + "~")
    assert second["outcomes"][0]["waiting"][0]["shown"] == "May this go out? Better"


# Checking, drawing, listing, showing


def test_a_chart_with_errors_is_refused_line_by_line(menon: Menon) -> None:
    Path("wrong.md").write_text(WRONG)
    code, out, _ = menon("solve --check wrong.md")
    assert code == 3
    assert "wrong.md:16: error: node 'two' has no setting 'temprature'; did you mean 'temperature'?" in out
    Path("unset.md").write_text(UNSET)
    code, out, _ = menon("solve --check unset.md")
    assert code == 3
    assert "unset.md:8: error: " in out
    assert "'nothing'" in out
    assert "What to do: " in out
    code, told = report_of(menon, "solve --check unset.md")
    assert (code, told["errors"]) == (3, 1)
    assert told["findings"][0]["node"] == "one"
    code, out, _ = menon("solve --check approve.md")
    assert code == 0
    assert "approve.md: no errors" in out
    code, out, err = menon("solve x --strategy unset.md --model scripted:oracle")
    assert code == 3
    assert "unset.md:8: error: " in err
    assert not Path("runs").exists()


def test_a_file_that_is_not_there_is_told(menon: Menon) -> None:
    for line in ("solve --check nowhere.md", "solve --draw nowhere.md", "solve --show --strategy nowhere.md"):
        code, _, err = menon(line)
        assert code == 2
        assert "no chart file" in err
        assert "nowhere.md" in err
    code, _, err = menon("solve x --strategy chain")
    assert code == 2
    assert "no chart named 'chain'" in err
    assert "cot" in err


def test_a_chart_is_drawn_as_svg(menon: Menon) -> None:
    code, out, _ = menon("solve --draw approve.md")
    assert code == 0
    assert "approve.svg" in out
    assert Path("approve.svg").read_text().lstrip().startswith("<svg")
    code, _, _ = menon("solve --draw cot --out deep/picture.svg")
    assert code == 0
    assert "<svg" in Path("deep/picture.svg").read_text()


def test_strategies_are_listed_and_shown(menon: Menon) -> None:
    code, out, _ = menon("solve --list")
    names = [line.split()[0] for line in out.splitlines() if line.strip()]
    assert code == 0
    assert {"cot", "self_consistency", "least_to_most"} <= set(names)
    code, told = report_of(menon, "solve --list")
    assert code == 0
    assert all(row["source"] and row["calls"] for row in told["strategies"])
    code, out, _ = menon("solve --show --strategy chain-of-thought")
    assert code == 0
    assert out.startswith("# Zero-shot chain of thought")
    assert "```mermaid" in out
    for name in ("tot", "tree-of-thoughts"):
        assert menon(f"solve --check {name}")[0] == 0
        assert menon(f"solve --draw {name} --out tree.svg")[0] == 0
    assert menon("solve --list --out strategies.md")[0] == 0
    assert "## tree_of_thoughts" in Path("strategies.md").read_text()
    assert menon("solve --show --strategy approve.md")[1].rstrip() == APPROVE.rstrip()


# Parameters, problems, JSON, exit codes


def test_parameters_reach_the_chart(menon: Menon) -> None:
    begin(menon, "--param tone=long")
    code, _out, _ = menon("solve --resume run --fork draft --prompt '{tone}'")
    assert code == 0
    prompt = json.loads(Path("run/report.json").read_text())["outcomes"][0]
    assert prompt["status"] == "waiting"
    assert "tone" in Path("run/recipe.toml").read_text()
    assert "long" in Path("run/recipe.toml").read_text()
    code, _, err = menon("solve x --strategy approve.md --param colour=red --model scripted:oracle")
    assert code == 2
    assert "has no parameter 'colour'; it takes tone" in err
    code, _, err = menon("solve x --param tone --model scripted:oracle")
    assert code == 2
    assert "--param" in err
    assert "NAME=VALUE" in err


def test_json_is_one_object_also_when_it_fails(menon: Menon) -> None:
    line = "solve --problems chain --limit 3 --strategy direct --model scripted:oracle --out many"
    code, told = report_of(menon, line)
    assert code == 0
    assert told["totals"]["executions"] == 3
    assert len(told["outcomes"]) == 3
    assert told["accuracy"]["right"] == 3
    code, told = report_of(menon, "solve")
    assert code == 2
    assert told["error"]["exit_code"] == 2
    code, told = report_of(menon, "solve --no-such-option")
    assert code == 2
    assert told["error"]["type"] == "UsageError"


def test_many_problems_are_summed_up(menon: Menon) -> None:
    line = "solve --problems chain --limit 4 --strategy direct --model 'scripted:oracle?p=0' --out many"
    code, out, _err = menon(line)
    assert code == 0
    assert "4 problems, 4 answered" in out
    assert "right: 0 of 4, 0 %" in out
    assert "report: many/report.html" in out
    assert menon(line)[1].splitlines()[-3:] == out.splitlines()[-3:], "the same command finds everything done"
    code, out, _ = menon("solve --resume many --trace")
    assert code == 0
    assert out.count("? ") >= 4
    assert out.count("(kept)") == 4


def test_a_run_in_which_everything_failed_says_so_by_its_exit_code(menon: Menon) -> None:
    Path("fail.md").write_text(
        "# Fail\n\n```mermaid\nflowchart TD\n    start([q]) --> one[ask] --> done([a])\n```\n\n## one\n\n"
        "- writes: answer (json)\n\n```text\n{question}\n```\n"
    )
    code, out, _ = menon("solve 'Hm?' --strategy fail.md --model scripted:oracle --out failed")
    assert code == 1
    assert out.startswith("failed: node 'one': the reply could not be read")


def test_a_budget_ends_in_a_partial_result(menon: Menon) -> None:
    code, out, _ = begin(menon, "--budget-steps 2")
    assert code == 0
    assert "partial: stopped at node 'p'" in out
    assert "2 of 2 steps" in out
    assert "the last answer was" in out
    code, _, err = menon("solve x --budget-money 1 --model scripted:oracle")
    assert code == 2
    assert "needs prices" in err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("solve", "nothing to solve"),
        ("solve x --problems chain", "give one of question, problems, data"),
        ("solve --problems nonsense --model scripted:oracle", "nonsense"),
        ("solve x --choice", "--choice"),
        ("solve x --budget-steps 0", "--budget-steps"),
        ("solve x --model nonsense:x", "nonsense"),
        ("solve --problems chain --choice a --model scripted:oracle", "choices belong to a single question"),
        ("solve x --verifier known --model scripted:oracle", "a stand-in with gold answers"),
        (
            "solve x -s best_of_n --param samples=many --model scripted:oracle",
            "'samples' of strategy 'best_of_n' is a number",
        ),
    ],
)
def test_wrong_usage_is_told_in_one_message(menon: Menon, line: str, said: str) -> None:
    code, out, err = menon(line)
    assert code == 2
    assert not out
    assert said in err


def test_a_model_that_nobody_named_is_told(menon: Menon) -> None:
    Path("judged.md").write_text(APPROVE.replace("- writes: draft", "- model: judge\n- writes: draft"))
    code, out, _ = menon("solve x --strategy judged.md --model scripted:oracle --out judged")
    assert code == 1
    assert "name it: --with judge=MODEL" in out
    again = menon("solve x --strategy judged.md --model scripted:oracle --with judge=scripted:oracle --out named")[1]
    assert "waiting for a person" in again


def test_help_is_there_at_once(menon_command: Callable[..., Any]) -> None:
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        done = menon_command("solve", "--help")
        seconds.append(time.perf_counter() - began)
        assert done.returncode == 0
        assert "--strategy" in done.stdout
        assert not done.stderr
        if seconds[-1] < 0.3:
            return
    pytest.fail(f"the help took {min(seconds):.2f} s at best; allowed: 0.3 s")

"""A good proposal becomes a template that `templates check` accepts; each bad one is rejected for its own reason."""

import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from menon.auditing.induction import (
    FIELDS,
    INSTRUCTIONS,
    WORKED_EXAMPLE,
    Induced,
    InductionConfig,
    Reason,
    check_proposal,
    induce,
    induce_one,
    proposal_request,
    record_of,
)
from menon.cli.app import run_command
from menon.core.errors import ConfigError
from menon.core.progress import Progress
from menon.core.values import Completion, Problem, Request
from menon.grading.json_record import LONGEST, read_json_record
from menon.problems.templates.check import check
from menon.sampling.protocol import SILENT, failed
from menon.studies.induction import InductionPlan, run_induction

QUESTION = "Ida packs 6 crates with 15 pears each. She gives away 8 pears. How many pears does she keep?"
ITEM = Problem(family="own", question=QUESTION, answer="82", rationale="6 * 15 = 90\n90 - 8 = 82", grader="number")
SLOTS = (
    "{name, Ida} packs {crates, 6} crates with {each, 15} pears each. She gives away {gone, 8} pears. "
    "How many pears does she keep?"
)
DOMAINS = "- name = sample(names_female)\n- $crates = range(3, 10)\n- $each = range(10, 21)\n- $gone = range(2, 20)"
INIT = f"\n\n#init:\n{DOMAINS}"
CONDITIONS = "\n\n#conditions:\n- gone < crates * each"
FORMULA = "crates * each - gone"
ANSWER = "She has {crates} * {each} = {crates * each}.\nShe keeps {crates * each} - {gone} = {%s}.\n#### {%s}"


def proposal(
    slots: str = SLOTS, init: str = INIT, conditions: str = CONDITIONS, formula: str = FORMULA, answer: str = ANSWER
) -> str:
    record = {
        "question_annotated": f"{slots}{init}{conditions}\n\n#answer: {formula}",
        "answer_annotated": answer.replace("%s", formula),
    }
    return json.dumps(record)


class Proposer:
    """Says `texts` in turn when asked for templates, and solves instances by `solve(question) -> answer`."""

    name = "proposer"

    def __init__(self, *texts: str, finish: Any = "stop", solve: Any = None):
        self.texts, self.finish = list(texts), finish
        self.solve = solve or (lambda question, sample: pears(question))
        self.asked: list[Request] = []

    def sample(self, requests: Iterable[Request], *, progress: Progress = SILENT) -> Iterator[Completion]:
        for request in requests:
            self.asked.append(request)
            if request.key.endswith("/solve"):
                for sample in range(request.n):
                    text = f"I think.\n#### {self.solve(str(request.prompt), sample)}"
                    yield Completion(key=request.key, sample=sample, text=text, completion_tokens=7)
            else:
                text = self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]
                yield Completion(key=request.key, text=text, finish=self.finish, completion_tokens=100)

    def score(self, prompt: str, continuation: str) -> list[float]:
        raise NotImplementedError


def pears(question: str) -> int:
    """Solve the problem from its text, without the template."""
    crates, each, gone = [int(word) for word in question.split() if word.isdigit()][:3]
    return crates * each - gone


def outcome(text: str, config: InductionConfig | None = None, problem: Problem = ITEM, **more: Any) -> Induced:
    return induce_one(problem, Proposer(text, **more), config=config or InductionConfig(tries=1))


def test_a_good_proposal_is_accepted_and_is_a_template_file(tmp_path: Path):
    sampler = Proposer(f"Here it is:\n```json\n{proposal()}\n```\nThat is all.")
    item = induce_one(ITEM, sampler)
    assert item.accepted, item.detail
    assert item.tokens == 100 + 3 * 2 * 7
    solving = [request for request in sampler.asked if request.key.endswith("/solve")]
    assert [request.n for request in solving] == [2, 2, 2]
    assert all(request.temperature > 0 for request in solving)
    assert len({request.prompt for request in solving}) == len({request.seed for request in solving}) == 3
    assert not any(QUESTION in str(request.prompt) for request in solving)
    file = tmp_path / "induced.jsonl"
    file.write_text(json.dumps(item.record) + "\n", encoding="utf-8")
    report = check([file])
    assert (report.templates, report.loaded, report.solvable, report.failures) == (1, 1, 1, [])
    assert item.record is not None
    assert item.record["question"] == QUESTION
    assert item.record["answer"].endswith("#### 82")


BAD = {
    Reason.NO_RECORD: "I cannot do that.",
    Reason.NOT_A_TEMPLATE: proposal(init="\n\n#init:\n- $crates = range(3, 10)"),
    Reason.NO_DEFAULTS: proposal(slots=SLOTS.replace("{crates, 6}", "{crates}")),
    Reason.OUT_OF_DOMAIN: proposal(init=INIT.replace("range(3, 10)", "range(7, 20)")),
    Reason.CONDITIONS: proposal(conditions="\n\n#conditions:\n- gone > each"),
    Reason.OTHER_QUESTION: proposal(slots=SLOTS.replace("packs", "fills")),
    Reason.OTHER_ANSWER: proposal(formula="crates * each + gone"),
    Reason.TOO_FEW: proposal(
        slots=SLOTS.replace("{name, Ida}", "Ida"),
        init="\n\n#init:\n- $crates = range(5, 8)\n- $each = range(14, 17)\n- $gone = range(7, 10)",
    ),
    Reason.CONSTANT: proposal(formula="82", answer="She keeps 82.\n#### 82"),
    # Right for the original and for nothing else: 6 * 15 - 8 = 6 + 76.
    Reason.DISAGREEMENT: proposal(formula="crates + 76"),
}


@pytest.mark.parametrize("reason", BAD)
def test_each_bad_proposal_is_rejected_for_its_reason(reason: Reason):
    item = outcome(BAD[reason])
    assert not item.accepted
    assert (item.reason, bool(item.detail)) == (reason, True)
    assert item.rejected == (f"{reason}: {item.detail}",)


def test_an_instance_without_a_number_for_an_answer_is_refused():
    problem = Problem(family="own", question="Ida has 8 pears and 3 plums. How many pears?", answer="8")
    text = proposal(
        slots="{name, Ida} has {n, 8} pears and {m, 3} plums. How many pears?",
        init='\n\n#init:\n- name = sample(names_female)\n- n = sample(["8", "some"])\n- $m = range(2, 90)',
        conditions="",
        formula="n",
        answer="#### {n}",
    )
    item = outcome(text, problem=problem)
    assert (item.reason, item.detail) == (Reason.UNREADABLE, "'some'")


@pytest.mark.parametrize(
    "text",
    [
        proposal(init=INIT.replace("range(2, 20)", "range(2, 10**12)")),
        proposal(formula="crates * each - gone + 0 * 9 ** 9 ** 9"),
        proposal(formula="().__class__"),
        proposal(conditions="\n\n#conditions:\n- crates * each * gone == 7 ** 13"),
        proposal(slots=SLOTS * 2000),
        proposal(slots="{" * 40_000),
    ],
)
def test_hostile_proposals_are_rejected_in_time(text: str):
    began = time.process_time()
    assert not outcome(text).accepted
    assert time.process_time() - began < 6


def test_cut_off_and_failed_requests_are_told_apart():
    assert outcome(proposal()[:100], finish="length").reason is Reason.CUT_OFF
    assert outcome(proposal(), finish="length").accepted  # complete all the same

    class Broken(Proposer):
        def sample(self, requests: Iterable[Request], *, progress: Progress = SILENT) -> Iterator[Completion]:
            for request in requests:
                yield failed(request, 0, "500", model="broken")

    item = induce_one(ITEM, Broken(""), config=InductionConfig(tries=1))
    assert (item.reason, item.detail) == (Reason.REQUEST_FAILED, "500")
    item = induce_one(ITEM, Proposer(proposal()), solver=Broken(""), config=InductionConfig(tries=1))
    assert (item.reason, item.detail) == (Reason.REQUEST_FAILED, "500")


@pytest.mark.parametrize(
    "change",
    [
        {"choices": ("80", "82")},
        {"answer": "many"},
        {"question": "How many pears does she keep of six crates?"},
        {"question": "Ida has {6} pears. How many?"},
    ],
)
def test_items_that_cannot_be_templates_are_not_asked(change: dict[str, Any]):
    problem = Problem(**{"family": "own", "question": QUESTION, "answer": "82", **change})
    sampler = Proposer(proposal())
    item = induce_one(problem, sampler)
    assert item.reason is Reason.UNSUITABLE
    assert item.detail
    assert sampler.asked == []


def test_a_second_try_mends_a_first_and_both_are_told():
    sampler = Proposer("nothing", proposal())
    item = induce_one(ITEM, sampler)
    assert item.accepted
    assert [text.partition(":")[0] for text in item.rejected] == [Reason.NO_RECORD]
    tries = [request for request in sampler.asked if "/propose-" in request.key]
    assert [request.temperature for request in tries] == [0.0, 0.7]
    assert tries[0].seed != tries[1].seed


def test_k_of_n_and_both_solutions_count():
    """A solver that errs in one of its two samples of one instance: 2 of 3 agree."""
    seen: list[str] = []

    def slips(question: str, sample: int) -> int:
        if question not in seen:
            seen.append(question)
        return pears(question) + (seen.index(question) == 1 and sample == 1)

    strict = outcome(proposal(), solve=slips)
    assert strict.reason is Reason.DISAGREEMENT
    assert strict.detail.startswith("2 of 3 instances agree, 3 are needed")
    seen.clear()
    assert outcome(proposal(), InductionConfig(tries=1, needed=2), solve=slips).accepted


def test_a_solver_of_its_own_is_asked():
    proposer, solver = Proposer(proposal()), Proposer("")
    assert induce_one(ITEM, proposer, solver=solver).accepted
    assert [len(proposer.asked), len(solver.asked)] == [1, 3]
    wrong = Proposer("", solve=lambda question, sample: 1)
    assert induce_one(ITEM, Proposer(proposal()), solver=wrong).reason is Reason.DISAGREEMENT


def test_the_worked_example_passes_its_own_checks():
    question, answer, record = WORKED_EXAMPLE.split("\n", 4)[1], "62", WORKED_EXAMPLE.partition("Template:\n")[2]
    problem = Problem(family="own", question=question, answer=answer)
    template = check_proposal(problem, record_of(problem, Completion(key="k", text=record)), InductionConfig())
    assert template.domains
    prompt = str(proposal_request(ITEM, 0, InductionConfig()).prompt)
    assert INSTRUCTIONS in prompt
    assert prompt.endswith("Answer: 82\nTemplate:\n")
    assert all(name in INSTRUCTIONS for name in FIELDS)


def test_items_come_in_order_and_progress_moves():
    moved: list[str] = []

    class Counting:
        def start(self, what: str, total: float | None = None, unit: str = "") -> None:
            moved.append(f"{total} {unit}")

        def advance(self, amount: float = 1.0, note: str = "") -> None:
            moved.append(note)

        def say(self, message: str) -> None: ...

    other = Problem(family="own", question="How many?", answer="3")
    items = list(induce([ITEM, other], Proposer(proposal()), progress=Counting()))
    assert [item.accepted for item in items] == [True, False]
    assert moved == ["2 items", "accepted", str(Reason.UNSUITABLE)]
    assert all(json.dumps(item.to_json()) for item in items)


@pytest.mark.parametrize("change", [{"needed": 4}, {"needed": 0}, {"tries": 0}, {"temperature": 0.0}, {"fresh": 99}])
def test_bad_settings_are_refused(change: dict[str, Any]):
    with pytest.raises(ConfigError, match="allowed"):
        InductionConfig(**change)


@pytest.mark.parametrize(
    ("text", "record", "reason"),
    [
        ('{"a": 1}', {"a": 1}, ""),
        ('so {x} is ```json\n{"a": {"b": "}"}}\n``` done', {"a": {"b": "}"}}, ""),
        ('{"a": 1} or better {"a": 2}', {"a": 2}, ""),
        ('{"a": 1} and {"b": 2}', {"a": 1}, ""),
        ('<think>{"a": 1}</think>{"a": 2}', {"a": 2}, ""),
        ('<think>{"a": 1}', None, "<think>"),
        ('{"b": 1}', None, "lacks a"),
        ('{"a": 1', None, "broken"),
        ('{"a": 1, "a": 2}', None, "twice"),
        ('{"a": NaN}', None, "NaN"),
        ('{"a": 1e999}', None, "too large"),
        ("[1]", None, "no JSON"),
        ("", None, "no JSON"),
        ("{" * 100_000, None, "broken"),
        ('{"a":' * 100_000, None, "at most"),
        ('{"a":' * 30_000, None, "broken"),
        (" " * (LONGEST + 1), None, "at most"),
    ],
)
def test_json_records_are_read_strictly(text: str, record: dict[str, Any] | None, reason: str):
    found = read_json_record(text, ("a",))
    assert found.record == record
    assert reason in found.reason
    assert bool(found.reason) == (record is None)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Three questions, and proposals on file for two of them, one good and one bad."""
    data, proposals = tmp_path / "own.jsonl", tmp_path / "proposals.jsonl"
    other, third = QUESTION.replace("Ida", "Ada"), QUESTION.replace("Ida", "Eda")
    rows = [{"question": q, "answer": "6 * 15 = <<6*15=90>>90\n#### 82"} for q in (QUESTION, other, third)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    said = [
        {"question": QUESTION, "text": proposal()},
        {"question": other, "text": BAD[Reason.CONSTANT].replace("Ida", "Ada")},
    ]
    proposals.write_text("".join(json.dumps(row) + "\n" for row in said), encoding="utf-8")
    return data, proposals


def test_the_command_writes_templates_lists_rejections_and_resumes(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    data, proposals = files
    out = tmp_path / "run"
    argv = [
        *("problems", "templates", "induce", f"recorded:{proposals}", "--data", str(data), "--out", str(out)),
        *("--solver", "scripted:oracle", "--json", "--set", "tries=1"),
    ]
    assert run_command(argv) == 0
    first = json.loads(capsys.readouterr().out)
    assert (first["items"], first["accepted"], first["rejected"]) == (3, 1, 2)
    assert [row["reason"] for row in first["rejections"]] == [Reason.CONSTANT, Reason.REQUEST_FAILED]
    report = check([first["templates"]])
    assert (report.solvable, report.failures) == (1, [])
    lines = (out / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["index"] for line in lines] == [1, 2]

    # What was asked is kept; the item whose request failed is asked again, and now there is a proposal of it.
    third = json.loads(data.read_text(encoding="utf-8").splitlines()[2])["question"]
    good = proposal(slots=SLOTS.replace("Ida", "Eda"), init=INIT.replace("names_female", '["Eda", "Ina"]'))
    rows = [{"question": QUESTION, "text": "gone"}, {"question": third, "text": good}]
    proposals.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert run_command(argv) == 0
    second = json.loads(capsys.readouterr().out)
    assert (second["accepted"], second["reasons"]) == (2, {str(Reason.CONSTANT): 1})
    assert check([second["templates"]]).solvable == 2


def test_a_limit_is_kept_and_nothing_accepted_is_a_failure(files: tuple[Path, Path], tmp_path: Path):
    data, proposals = files
    plan = InductionPlan(model=f"recorded:{proposals}", data=str(data), folder=tmp_path / "run", limit=1)
    assert run_induction(plan)["items"] == 1
    argv = [
        "problems",
        "templates",
        "induce",
        "scripted:guesser",
        "--data",
        str(data),
        "--out",
        str(tmp_path / "other"),
    ]
    assert run_command(argv) == 1
    assert run_command([*argv, "--set", "needed=9"]) == 2
    assert run_command([*argv, "--set", "tries=often"]) == 2

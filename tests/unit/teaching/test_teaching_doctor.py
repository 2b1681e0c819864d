"""Each finding of the doctor on a case that has it, and none on a healthy one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from standins import CUT, Scribe, Writes, chain, right, save_tiny, wrong

from menon import Problem
from menon.models.load import Loaded, load_model
from menon.problems.prompts import STYLES
from menon.sampling.asking import Asking
from menon.teaching.config import StarConfig, TrainConfig
from menon.teaching.doctor import DoctorReport, Finding, examine

PROBLEMS = [chain(i) for i in range(24)]
ASKING = Asking(style=STYLES.get("menon"), temperature=0.5, max_tokens=64, samples=2)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return load_model(str(save_tiny(tmp_path_factory.mktemp("tiny"))))


def visit(
    model: Loaded, writes: Writes, problems: Sequence[Problem] = PROBLEMS, asking: Asking = ASKING, **options: Any
) -> DoctorReport:
    scribe = Scribe(writes, {p.id: p for p in problems}, model.tokenizer)
    options.setdefault("star", StarConfig())
    return examine(scribe, problems, asking, **options)


def only(report: DoctorReport) -> Finding:
    assert len(report.findings) == 1, report.findings
    return report.findings[0]


def half(problem: Problem, sample: int, _hinted: bool) -> str:
    return right(problem) if (problem.index + sample) % 3 else wrong(problem)


def choice(number: int, options: int) -> Problem:
    names = ("a pen", "a cup", "a hat", "an egg", "a key")[:options]
    return Problem(family="quiz", question=f"what is thing {number}?", answer="A", choices=names, grader="choice")


def test_a_healthy_case_has_no_findings(loaded: Loaded):
    report = visit(loaded, half, loaded=loaded, training=TrainConfig())
    assert report.findings == ()
    assert report.ok
    assert (report.asked, report.samples, report.errors) == (24, 2, 0)
    assert report.right == 32
    assert report.per_difficulty["chain 1"]["n"] == 48
    assert sum(report.pass_rates) == 24
    assert report.seconds_estimate is not None
    assert report.seconds_estimate > 0
    assert report.memory_mb is not None
    assert report.memory_mb > 0
    assert report.lines()[-1] == "fit to run"


@pytest.mark.parametrize(("share", "level", "flag"), [(3, "warn", "128"), (1, "refuse", "256")])
def test_cut_off_answers(loaded: Loaded, share: int, level: str, flag: str):
    report = visit(loaded, lambda p, s, h: half(p, s, h) + (CUT if p.index % share == 0 else ""))
    finding = report.findings[0]
    assert (finding.level, finding.mend) == (level, f"--set star.max_tokens={flag}")
    assert "cut off at 64 tokens" in finding.what
    assert report.truncated == 48 // share
    assert report.ok is (level == "warn")


def test_answers_that_cannot_be_read(loaded: Loaded):
    report = visit(loaded, lambda p, s, h: half(p, s, h) if p.index % 4 == 0 else "it is many.")
    finding = only(report)
    assert finding.level == "refuse"
    assert "36 of 48 samples hold no answer" in finding.what
    assert "--style" in finding.mend
    assert "--exemplars" in finding.mend


@pytest.mark.parametrize(("options", "level", "chance"), [(2, "refuse", "50%"), (5, "note", "20%")])
def test_chance_level(loaded: Loaded, options: int, level: str, chance: str):
    problems = [choice(i, options) for i in range(20)]
    asking = Asking(style=STYLES.get("commonsenseqa"), samples=2)
    letters = lambda p, s, h: " It is so. The answer is (a)." if s else " The answer is (b)."  # noqa: E731
    finding = only(visit(loaded, letters, problems, asking))
    assert finding.level == level
    assert f"guessing is right {chance}" in finding.what


def test_worse_than_chance(loaded: Loaded):
    problems = [choice(i, 5) for i in range(40)]
    asking = Asking(style=STYLES.get("commonsenseqa"), samples=2)
    writes: Writes = lambda p, s, h: f" The answer is ({'a' if p is problems[0] else 'b'})."  # noqa: E731
    levels = {f.level: f.what for f in visit(loaded, writes, problems, asking).findings}
    assert "worse than chance" in levels["warn"]


def test_never_right(loaded: Loaded):
    finding = only(visit(loaded, lambda p, *_: wrong(p)))
    assert finding.level == "refuse"
    assert "0 of 48 samples are right" in finding.what
    assert "nothing to bootstrap from" in finding.what
    for control in ("gold", "direct"):
        assert visit(loaded, lambda p, *_: wrong(p), star=StarConfig.model_validate({"preset": control})).ok


def test_always_right(loaded: Loaded):
    finding = only(visit(loaded, lambda p, *_: right(p)))
    assert finding.level == "warn"
    assert "nothing left to learn" in finding.what


def test_prompts_that_leave_too_little_room(loaded: Loaded):
    roomy = Asking(style=STYLES.get("menon"), max_tokens=500, samples=2)
    longest = max(len(loaded.tokenizer(roomy.style.prompt(p)).input_ids) for p in PROBLEMS)
    finding = only(visit(loaded, half, asking=roomy, loaded=loaded))
    assert finding.level == "warn"
    assert f"longest prompt has {longest} tokens" in finding.what
    assert finding.mend.startswith(f"--set star.max_tokens={512 - longest},")


def test_prompts_that_do_not_fit_at_all(loaded: Loaded):
    long = chain(3, question="tom has pens. " * 400 + "how many?")
    finding = only(visit(loaded, half, [*PROBLEMS, long], loaded=loaded))
    assert finding.level == "warn"
    assert "such questions fail" in finding.what
    assert "more positions" in finding.mend


@pytest.mark.parametrize(("share", "level"), [(4, "warn"), (1, "refuse")])
def test_failed_samples(loaded: Loaded, share: int, level: str):
    report = visit(loaded, lambda p, s, h: None if p.index % share == 0 else half(p, s, h))
    assert report.findings[0].level == level
    assert f"{48 // share} of 48 samples failed" in report.findings[0].what


def test_groups_without_variance_are_counted(loaded: Loaded):
    report = visit(loaded, lambda p, s, h: right(p) if p.index < 12 or s else wrong(p))
    assert report.zero_variance == 0.5
    assert report.pass_rates == (0, 0, 12, 0, 0, 12)
    assert "groups without variance: 50%" in report.lines()[1]


def test_no_questions(loaded: Loaded):
    report = visit(loaded, half, [])
    assert not report.ok
    assert only(report).what == "no questions to ask"


def test_the_report_as_lines_and_as_json(loaded: Loaded):
    report = visit(loaded, lambda p, *_: wrong(p))
    assert report.lines()[-1] == "refused; --force runs it all the same"
    values = report.to_json()
    assert values["ok"] is False
    assert values["findings"][0]["level"] == "refuse"
    assert set(values) == {*report.__dataclass_fields__, "ok"}


def test_the_estimate_of_memory_grows_with_the_batch(loaded: Loaded, tmp_path: Path):
    small, large = (
        visit(loaded, half, loaded=loaded, training=TrainConfig(tokens_per_batch=n)).memory_mb for n in (512, 4096)
    )
    assert small is not None
    assert large is not None
    assert large > small

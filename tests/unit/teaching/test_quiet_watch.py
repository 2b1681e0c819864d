"""Runs of Quiet-STaR that are doomed and runs that are not, as made-up traces of their reports."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from menon.teaching.doctor import Finding
from menon.teaching.quiet.config import QuietConfig
from menon.teaching.quiet.watch import Watch

CONFIG = QuietConfig()


@dataclass(frozen=True, kw_only=True)
class Report:
    step: int = 0
    stage: int = 0
    reward: float = 0.3
    reward_std: float = 0.3
    weight: float = 0.4
    useful: float = 0.3
    text_loss: float = 1.1
    talk_loss: float = 1.2
    policy_loss: float = 0.01
    gradient_norm: float = 1.0
    thought_nll: float = 0.5


def watched(reports: Sequence[Report], config: QuietConfig = CONFIG, **options: str) -> list[tuple[int, Finding]]:
    watch = Watch(config, **options)  # pyright: ignore[reportArgumentType]
    return [(number, finding) for number, report in enumerate(reports, 1) for finding in watch.see(report)]


def refused(findings: Sequence[tuple[int, Finding]]) -> list[int]:
    return [number for number, finding in findings if finding.level == "refuse"]


def ramp(start: float, end: float, count: int) -> list[float]:
    return [start + (end - start) * i / (count - 1) for i in range(count)]


def trace(count: int, **series: list[float] | float) -> list[Report]:
    rows = [{n: s[i] if isinstance(s, list) else s for n, s in series.items()} for i in range(count)]
    return [Report(step=i, **row) for i, row in enumerate(rows)]  # pyright: ignore[reportArgumentType]


HEALTHY = {
    "prototype": trace(
        75, reward=ramp(0.36, 1.0, 75), useful=ramp(0.2, 0.5, 75), weight=ramp(0.5, 0.05, 75),
        reward_std=ramp(0.9, 0.1, 75), thought_nll=ramp(0.6, 0.02, 75),
    ),
    "weights fall to .008 where thinking does not help": trace(
        300, reward=ramp(0.3, 1.0, 300), useful=0.4, weight=ramp(0.5, 0.008, 300), reward_std=ramp(0.9, 0.02, 300)
    ),
    "linear head": trace(
        75, weight=[0.0] * 4 + ramp(0.0, 0.8, 71), reward_std=[0.0] * 4 + ramp(0.001, 0.4, 71),
        reward=[0.0] * 4 + ramp(0.0, 1.0, 71), useful=[0.0] * 4 + ramp(0.0, 0.5, 71),
    ),
    "late start": trace(
        75, weight=[0.018] * 25 + ramp(0.018, 0.15, 50), reward=[0.0] * 25 + ramp(0.02, 0.38, 50),
        useful=[0.0] * 25 + ramp(0.005, 0.2, 50), reward_std=ramp(0.003, 0.3, 75),
    ),
    "uniform positions": trace(
        200, weight=ramp(0.5, 0.05, 200), useful=ramp(0.03, 0.1, 200), reward=ramp(0.01, 0.1, 200), reward_std=0.1
    ),
    "noisy text": trace(120, text_loss=[1.1 + 0.8 * (-1) ** i for i in range(120)]),
    "text that is new at first": trace(60, text_loss=ramp(4.7, 2.0, 60)),
}  # fmt: skip


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_runs_go_on(name: str):
    found = watched(HEALTHY[name])
    assert not refused(found)
    assert name == "late start" or found == []


def test_equal_rewards_stop_a_run_after_twenty_steps():
    flat = trace(40, reward_std=0.0, reward=0.0, useful=0.0)
    found = watched(flat)
    assert refused(found) == [20]
    assert "thoughts.start and thoughts.end" in found[0][1].mend
    assert refused(watched(HEALTHY["prototype"][:10] + flat)) == [30]
    assert refused(watched(flat[:19])) == []
    broken_by_one = [*flat[:15], Report(reward_std=0.2), *flat[:19]]
    assert not refused(watched(broken_by_one))


def test_the_mend_of_equal_rewards_names_their_cause():
    weightless = watched(trace(20, reward_std=0.0, reward=0.0, useful=0.0, weight=0.0))
    assert "thoughts.initial_weight=0.5" in weightless[0][1].mend
    certain = watched(trace(20, reward_std=0.0, reward=0.0, useful=0.0, thought_nll=0.0))
    assert "quiet.entropy" in certain[0][1].mend


def test_thoughts_that_are_all_good_are_a_note():
    found = watched(trace(60, reward_std=0.0, reward=1.0, useful=0.9))
    assert [(number, finding.level) for number, finding in found] == [(20, "note")]


def test_a_collapsed_weight_with_useless_thoughts_stops_a_run():
    doomed = trace(80, weight=[*ramp(0.5, 0.002, 40), *[0.002] * 40], useful=[*ramp(0.1, 0.0, 40), *[0.0] * 40])
    found = watched(doomed)
    [step] = refused(found)
    assert 40 < step < 65
    assert "quiet.head_rate (now 100)" in next(f.mend for _, f in found if f.level == "refuse")
    early = trace(29, weight=0.0, useful=0.0)
    assert not refused(watched(early))
    assert refused(watched(trace(31, weight=-0.001, useful=0.0))) == [30]


def test_a_cold_start_is_an_alarm_and_goes_on():
    found = watched(trace(75, reward=0.0, useful=0.004, weight=ramp(0.5, 0.1, 75), reward_std=ramp(0.2, 0.02, 75)))
    assert [(number, finding.level) for number, finding in found] == [(30, "warn")]
    assert "menon teach star" in found[0][1].mend


def test_a_text_loss_that_rises_by_a_nat_stops_a_run():
    found = watched(trace(120, text_loss=ramp(1.1, 3.7, 120)))
    [step] = refused(found)
    assert 50 < step < 65
    assert "quiet.policy (now 1)" in found[0][1].mend
    assert not refused(watched(trace(120, text_loss=ramp(1.1, 1.9, 120))))


def test_a_loss_that_drowns_the_others_and_certain_thoughts_are_alarms():
    found = watched(trace(40, gradient_norm=8e4))
    assert [(number, finding.level) for number, finding in found] == [(20, "warn")]
    assert "quiet.policy" in found[0][1].mend
    certain = [f for _, f in watched(trace(40, thought_nll=0.001, useful=0.0))]
    assert any("certain without being useful" in f.what for f in certain)


@pytest.mark.parametrize("name", ["text_loss", "reward", "gradient_norm"])
def test_numbers_that_are_not_finite_stop_a_run_at_once(name: str):
    found = watched([Report(), replace(Report(step=1), **{name: math.nan})])
    assert refused(found) == [2]
    assert f"step 1: {name} not finite" in found[0][1].what


def test_controls_and_the_stage_without_thoughts_are_not_judged_by_thoughts():
    nothing = trace(60, reward_std=0.0, reward=0.0, useful=0.0, weight=0.0, thought_nll=0.0)
    assert watched(nothing, kind="pause") == []
    assert watched(nothing, CONFIG.model_copy(update={"policy": 0.0})) == []
    fast = QuietConfig(curriculum=(8, 4), thoughtless=True)
    last = [replace(report, stage=2) for report in nothing]
    assert watched(last, fast) == []
    assert refused(watched([replace(report, stage=1) for report in nothing], fast)) == [20, 30]


def test_a_new_stage_is_judged_from_its_own_first_step():
    flat = trace(15, reward_std=0.0, reward=0.0)
    shorter = [replace(report, stage=1) for report in flat]
    assert not refused(watched(flat + shorter, QuietConfig(curriculum=(8, 4))))


def test_what_has_been_said_is_not_said_again():
    assert len(watched(trace(200, gradient_norm=8e4))) == 1


def test_reports_without_stage_and_surprise_will_do():
    @dataclass(frozen=True)
    class Small:
        step: int = 0
        reward: float = 0.0
        reward_std: float = 0.0
        weight: float = 0.4
        useful: float = 0.0
        text_loss: float = 1.0
        talk_loss: float = 1.0
        policy_loss: float = 0.0
        gradient_norm: float = 1.0

    watch = Watch(CONFIG)
    assert sum(finding.level == "refuse" for _ in range(25) for finding in watch.see(Small())) == 1

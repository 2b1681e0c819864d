import io

import pytest
from rich.console import Console

from menon.cli.progress import Bars, Lines, Meter, amount, duration, open_progress


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (59.6, "1:00"), (61, "1:01"), (3599, "59:59"), (3661, "1:01:01")]
)
def test_duration_is_written_as_clock_time(seconds: float, text: str):
    assert duration(seconds) == text


def test_amount_keeps_small_fractions_and_groups_thousands():
    assert (amount(1234567), amount(0.25), amount(3.0), amount(250.4)) == ("1,234,567", "0.2", "3", "250")


def test_meter_tells_rate_and_remaining_time():
    clock = Clock()
    meter = Meter("sampling", 1000, "tokens", clock)
    assert meter.status() == "0 of 1,000 tokens"
    clock.now = 10
    meter.advance(200, "round 1")
    assert meter.rate == 20
    assert meter.status() == "200 of 1,000 tokens, 20 tokens/s, 0:40 left, round 1"


def test_rate_follows_the_last_half_minute():
    clock = Clock()
    meter = Meter("training", None, "", clock)
    for _ in range(100):
        clock.now += 1
        meter.advance(100, "")
    for _ in range(60):
        clock.now += 1
        meter.advance(1, "")
    assert meter.rate == pytest.approx(1)
    assert meter.status() == "10,060, 1/s"


def test_lines_come_at_the_start_then_at_most_every_ten_seconds():
    clock, stream = Clock(), io.StringIO()
    lines = Lines(stream, clock=clock)
    lines.advance()  # nothing has started: nothing to show
    lines.start("sampling", 100, "tokens")
    for _ in range(25):
        clock.now += 1
        lines.advance(4)
    lines.start("short")
    lines.say("kept 12 of 40")
    lines.close()
    lines.close()
    assert stream.getvalue().splitlines() == [
        "sampling: 100 tokens",
        "sampling: 40 of 100 tokens, 4 tokens/s, 0:15 left",
        "sampling: 80 of 100 tokens, 4 tokens/s, 0:05 left",
        "sampling: 100 of 100 tokens, 4 tokens/s, took 0:25",
        "short",
        "kept 12 of 40",
    ]


def test_bars_draw_text_that_looks_like_markup_as_it_is():
    clock, stream = Clock(), io.StringIO()
    bars = Bars(console=Console(file=stream, force_terminal=True, width=120, no_color=True), clock=clock)
    bars.start("round 1 [dim]", 10, "steps")
    clock.now = 5
    bars.advance(10, "[loss] 0.5")
    bars.say("[bold]kept[/bold]")
    bars.start("next")
    bars.close()
    bars.close()
    assert "[bold]kept[/bold]" in stream.getvalue()
    assert "round 1 [dim]: 10 of 10 steps, 2 steps/s, [loss] 0.5, took 0:05" in stream.getvalue()


@pytest.mark.parametrize(
    ("tty", "variables", "live"),
    [(True, {}, True), (False, {}, False), (True, {"CI": "1"}, False), (True, {"TERM": "dumb"}, False)],
)
def test_bars_only_where_a_person_looks(monkeypatch: pytest.MonkeyPatch, tty: bool, variables: dict, live: bool):
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: tty, raising=False)
    monkeypatch.setattr("sys.stderr", stream)
    for name in ("CI", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert open_progress().live is live

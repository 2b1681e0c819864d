"""Progress for people: live bars on a terminal, a plain line every ten seconds elsewhere; both on standard error.

Rate and remaining time come from one meter, so bars and lines say the same.
"""

import os
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, TextIO

from menon.core.progress import Progress

LINE_EVERY_S = 10.0
WINDOW_S = 30.0  # the rate is that of the last half minute: rounds of a study differ in speed


class CommandProgress(Progress, Protocol):
    """A progress that a command can close; `live` says whether it draws."""

    live: bool

    def close(self) -> None:
        """Finish what is shown; nothing is drawn afterwards until the next start."""
        ...


def duration(seconds: float) -> str:
    """Write seconds as `m:ss` or `h:mm:ss`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def amount(value: float) -> str:
    """Write a count with thousands separators, and small fractions with a digit that shows."""
    return f"{value:,.0f}" if value == round(value) or abs(value) >= 100 else f"{value:,.1f}"


class Meter:
    """How far one piece of work has come, how fast it goes and how long it will take."""

    def __init__(self, what: str, total: float | None, unit: str, clock: Callable[[], float]):
        self.what, self.total, self.unit = what, total, unit
        self.done = 0.0
        self.note = ""
        self._clock = clock
        self._started = clock()
        self._points: deque[tuple[float, float]] = deque([(self._started, 0.0)])

    def advance(self, amount: float, note: str) -> None:
        """Add to what is done; points older than the window are forgotten."""
        now = self._clock()
        self.done += amount
        self.note = note or self.note
        self._points.append((now, self.done))
        while len(self._points) > 2 and self._points[1][0] < now - WINDOW_S:
            self._points.popleft()

    @property
    def seconds(self) -> float:
        return self._clock() - self._started

    @property
    def rate(self) -> float | None:
        """Units per second in the window; None before anything can be said."""
        first, last = self._points[0], self._points[-1]
        return (last[1] - first[1]) / (last[0] - first[0]) if last[0] > first[0] else None

    def status(self) -> str:
        """Say what is done, the rate, the remaining time and the note, as far as they are known."""
        unit = f" {self.unit}" if self.unit else ""
        parts = [f"{amount(self.done)} of {amount(self.total)}{unit}" if self.total else f"{amount(self.done)}{unit}"]
        rate = self.rate
        if rate:
            parts.append(f"{amount(rate)}{unit}/s")
            if self.total and self.total > self.done:
                parts.append(f"{duration((self.total - self.done) / rate)} left")
        if self.note:
            parts.append(self.note)
        return ", ".join(parts)


class Lines:
    """Plain lines: one when a piece of work starts, then at most one every `every_s` seconds."""

    live = False

    def __init__(self, stream: TextIO, *, every_s: float = LINE_EVERY_S, clock: Callable[[], float] = time.monotonic):
        self._stream, self._every_s, self._clock = stream, every_s, clock
        self._meter: Meter | None = None
        self._written = clock()

    def start(self, what: str, total: float | None = None, unit: str = "") -> None:
        self._finish()
        self._meter = Meter(what, total, unit, self._clock)
        self._write(what + (f": {amount(total)} {unit}".rstrip() if total else ""))

    def advance(self, amount: float = 1.0, note: str = "") -> None:
        if self._meter is None:
            return
        self._meter.advance(amount, note)
        if self._clock() - self._written >= self._every_s:
            self._write(f"{self._meter.what}: {self._meter.status()}")

    def say(self, message: str) -> None:
        self._write(message)

    def close(self) -> None:
        self._finish()

    def _finish(self) -> None:
        meter, self._meter = self._meter, None
        if meter is not None and meter.seconds >= self._every_s:
            self._write(f"{meter.what}: {meter.status()}, took {duration(meter.seconds)}")

    def _write(self, line: str) -> None:
        self._written = self._clock()
        self._stream.write(line + "\n")
        self._stream.flush()


class Bars:
    """One live bar for the current piece of work; finished pieces of a second or more leave a line."""

    live = True

    def __init__(self, *, console: Any = None, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._console = console
        self._meter: Meter | None = None
        self._bars: Any = None
        self._task: Any = None

    def start(self, what: str, total: float | None = None, unit: str = "") -> None:
        bars = self._open()
        self._finish()
        self._meter = Meter(what, total, unit, self._clock)
        self._task = bars.add_task(what, total=total, status=self._meter.status())

    def advance(self, amount: float = 1.0, note: str = "") -> None:
        if self._meter is None or self._bars is None:
            return
        self._meter.advance(amount, note)
        self._bars.update(self._task, completed=self._meter.done, status=self._meter.status())

    def say(self, message: str) -> None:
        self._open().console.print(message, markup=False, highlight=False)

    def close(self) -> None:
        if self._bars is not None:
            self._finish()
            self._bars.stop()
            self._bars = None

    def _finish(self) -> None:
        meter, self._meter = self._meter, None
        if meter is None:
            return
        self._bars.remove_task(self._task)
        if meter.seconds >= 1:
            self.say(f"{meter.what}: {meter.status()}, took {duration(meter.seconds)}")

    def _open(self) -> Any:
        if self._bars is None:
            from rich.console import Console
            from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as RichProgress

            self._bars = RichProgress(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[status]}", markup=False),
                TimeElapsedColumn(),
                console=self._console or Console(stderr=True),
                transient=True,
                refresh_per_second=4,
            )
            self._bars.start()
        return self._bars


def open_progress() -> CommandProgress:
    """Return bars when standard error is a terminal that can draw and no CI is running, else plain lines."""
    if os.environ.get("CI") or os.environ.get("TERM") == "dumb" or not sys.stderr.isatty():
        return Lines(sys.stderr)
    return Bars()

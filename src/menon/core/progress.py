"""The one progress protocol: silent by default, a bar when the command line supplies one."""

from typing import Protocol


class Progress(Protocol):
    """Something that can be told how far a piece of long work has come."""

    def start(self, what: str, total: float | None = None, unit: str = "") -> None:
        """Begin (or switch to) a piece of work of `total` units."""
        ...

    def advance(self, amount: float = 1.0, note: str = "") -> None:
        """Report `amount` more units done; `note` is shown beside the bar."""
        ...

    def say(self, message: str) -> None:
        """Show one line that stays."""
        ...


class Named:
    """Shows another's work under a name of one's own."""

    def __init__(self, inner: Progress, name: str):
        self._inner, self._name = inner, name

    def start(self, what: str, total: float | None = None, unit: str = "") -> None:
        self._inner.start(f"{self._name}: {what}", total, unit)

    def advance(self, amount: float = 1.0, note: str = "") -> None:
        self._inner.advance(amount, note)

    def say(self, message: str) -> None:
        self._inner.say(message)


class Silent:
    """A progress that shows nothing."""

    def start(self, what: str, total: float | None = None, unit: str = "") -> None:
        pass

    def advance(self, amount: float = 1.0, note: str = "") -> None:
        pass

    def say(self, message: str) -> None:
        pass

"""metrics.jsonl: a file to watch while a run goes on; the lines that last are kept in the database with their units."""

from collections.abc import Iterable
from io import FileIO
from pathlib import Path
from threading import Lock

from menon.store.files import atomic_write, os_failure


class MetricsFile:
    """Appends lines that a reader sees at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: FileIO | None = None
        self._opening = Lock()  # threads share a run; two that opened at once would leave one file open for ever

    def rebuild(self, lines: Iterable[str]) -> None:
        """Make the file hold exactly `lines`, which drops the lines of units that were never committed."""
        content = "".join(f"{line}\n" for line in lines).encode()
        if not self.path.is_file() or self.path.read_bytes() != content:
            atomic_write(self.path, content)

    def append(self, line: str) -> None:
        """Write one line; raises `RunError` when the disk does not take it."""
        try:
            with self._opening:
                if self._file is None:
                    self._file = FileIO(self.path, "a")
                self._file.write(f"{line}\n".encode())
        except OSError as error:
            raise os_failure(error, "write", self.path) from error

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

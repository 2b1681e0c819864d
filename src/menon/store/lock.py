"""The lock of a run directory: one writer at a time, and it dies with its process.

The operating system holds the lock (flock, or byte locking on Windows), so a killed process leaves nothing to clear;
the file only tells who holds it. A forked child lets go of its copy, so that workers do not keep the lock of a dead
parent.
"""

import os
import socket
import sys
import weakref
from pathlib import Path

from menon.core.errors import RunError
from menon.store.files import os_failure

MAGIC = b"menon run lock"
_held: "weakref.WeakSet[RunLock]" = weakref.WeakSet()

if sys.platform == "win32":
    import msvcrt

    _FAR = 1 << 30  # the locked byte lies behind the text, so that others can read who holds the lock

    def _try_lock(handle: int) -> None:
        os.lseek(handle, _FAR, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        os.lseek(handle, 0, os.SEEK_SET)
else:
    import fcntl

    def _try_lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


class RunLock:
    """An exclusive lock on `path`, held from construction to `release` or the end of the process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._handle: int | None = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise os_failure(error, "lock", path) from error
        try:
            _try_lock(self._handle)
        except OSError as error:
            self.release()
            raise RunError(
                f"{str(path.parent)!r} is in use by {_holder(path)}: one process at a time may write to a run "
                "directory. Wait until it ends, stop it, or give another folder (--out DIR); reading is safe meanwhile"
            ) from error
        try:
            text = MAGIC + f": process {os.getpid()} on {socket.gethostname()}\n".encode()
            os.write(self._handle, text)
            os.ftruncate(self._handle, len(text))
        except OSError as error:
            self.release()
            raise os_failure(error, "lock", path) from error
        _held.add(self)

    def release(self) -> None:
        """Let go of the lock; harmless when it is not held."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def is_lock(path: Path) -> bool:
    """Say whether `path` is the lock file of a run directory."""
    try:
        with open(path, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def _holder(path: Path) -> str:
    try:
        text = path.read_bytes()[:300].decode(errors="replace")
    except OSError:
        text = ""
    return text.partition(": ")[2].strip() or "another process"


def _release_in_child() -> None:
    for lock in list(_held):
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_release_in_child)

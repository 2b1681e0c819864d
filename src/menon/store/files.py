"""Files that are there whole or not at all: write beside, flush to disk, rename.

A process that is killed leaves at most a temp name behind, which `clean_leftovers` removes (or, when it was killed
between the two renames that replace a folder, puts the old folder back).
"""

import errno
import itertools
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from menon.core.errors import RunError

TEMP = ".menon-tmp-"
OLD = ".menon-old"
FULL_BELOW_BYTES = 1 << 20
_numbers = itertools.count()

_CAUSES = {
    errno.ENOSPC: ("the disk is full", "free some space, then run the same command again"),
    errno.EDQUOT: ("the disk quota is used up", "free some space, then run the same command again"),
    errno.EFBIG: (
        "the file would exceed the size limit of this process",
        "raise the limit (`ulimit -f`) and run again",
    ),
    errno.EROFS: ("the file system is read-only", "give a folder on a writable disk (--out DIR)"),
    errno.EACCES: ("permission is denied", "change the permissions, or give another folder (--out DIR)"),
    errno.EPERM: ("the operation is not permitted", "change the permissions, or give another folder (--out DIR)"),
    errno.ENOTDIR: ("a part of this path is a file, not a folder", "give another folder (--out DIR)"),
    errno.EEXIST: ("this path is a file, not a folder", "give another folder (--out DIR)"),
    errno.EIO: ("the disk reports an input/output error", "check the disk, then run the same command again"),
}
KEPT = "Units that are finished are kept."


def os_failure(error: OSError, doing: str, path: Path) -> RunError:
    """Return the `RunError` that tells what failed where, why, and what to do."""
    cause, remedy = _CAUSES.get(
        error.errno or 0, (error.strerror or str(error), "mend this and run the same command again")
    )
    return RunError(f"cannot {doing} {str(path)!r}: {cause}. What to do: {remedy}. {KEPT}")


def atomic_write(path: Path, data: str | bytes) -> None:
    """Replace the content of `path` (text as UTF-8) so that a reader, or a crash, sees the old or the new whole.

    Raises `RunError` when the folder cannot be written or the disk is full; the old content then stays.
    """
    temp = _temp_name(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temp, "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temp, path)
        sync_folder(path.parent)
    except OSError as error:
        _remove(temp)
        raise os_failure(error, "write", path) from error


class atomic_directory:
    """Context manager: fill the folder that it returns; on leaving, it becomes `path`, whole and on disk.

    An existing `path` is replaced. When the body fails, the half-filled folder is removed, `path` stays as it was, and
    a full or read-only disk becomes a `RunError`. Replacing takes two renames, between which `path` is absent for
    readers; a crash there is mended by `clean_leftovers`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._temp = _temp_name(path)

    def __enter__(self) -> Path:
        try:
            self._temp.mkdir(parents=True)
        except OSError as error:
            raise os_failure(error, "create", self._temp.parent) from error
        return self._temp

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            try:
                self._publish()
            except OSError as failure:
                _remove(self._temp)
                raise os_failure(failure, "write", self.path) from failure
            return
        full = _free_bytes(self.path.parent) < FULL_BELOW_BYTES
        _remove(self._temp)
        if (code := _errno(error)) in _CAUSES:
            raise os_failure(OSError(code, str(error)), "write", self.path) from error
        if full and isinstance(error, Exception):  # native writers raise their own kinds of error for a full disk
            raise os_failure(OSError(errno.ENOSPC, str(error)), "write", self.path) from error

    def _publish(self) -> None:
        for folder, _, names in os.walk(self._temp):
            for name in names:
                _sync(Path(folder) / name)
            sync_folder(Path(folder))
        old = self.path.with_name(f".{self.path.name}{OLD}")
        if self.path.exists():
            _remove(old)
            os.rename(self.path, old)
        os.rename(self._temp, self.path)
        sync_folder(self.path.parent)
        _remove(old)


def atomic_remove(path: Path) -> None:
    """Remove a file or folder so that a crash leaves it whole or gone; harmless when it is absent."""
    temp = _temp_name(path)
    try:
        os.rename(path, temp)
    except FileNotFoundError:
        return
    except OSError as error:
        raise os_failure(error, "remove", path) from error
    _remove(temp)


def clean_leftovers(root: Path) -> list[Path]:
    """Remove what killed processes left below `root`, and return it; call only while holding the lock of `root`."""
    found: list[Path] = []
    for folder, folders, names in os.walk(root):
        for name in [*folders, *names]:
            if not name.startswith(".") or not (TEMP in name or name.endswith(OLD)):
                continue
            leftover = Path(folder) / name
            target = leftover.with_name(name[1:].removesuffix(OLD))
            if name.endswith(OLD) and not target.exists():
                os.rename(leftover, target)
            else:
                _remove(leftover)
            found.append(leftover)
        folders[:] = [name for name in folders if (Path(folder) / name).is_dir()]
    return found


def sync_folder(folder: Path) -> None:
    """Flush the names in `folder` to disk, where the system can."""
    if os.name == "posix":
        _sync(folder)


def _temp_name(path: Path) -> Path:
    return path.with_name(f".{path.name}{TEMP}{os.getpid()}-{next(_numbers)}")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()


def _errno(error: BaseException) -> int:
    """Return the system's number of an error, 0 where there is none; native writers have it in their message."""
    if isinstance(error, OSError):
        return error.errno or 0
    match = re.search(r"\(os error (\d+)\)", str(error))
    return int(match.group(1)) if match else 0


def _free_bytes(folder: Path) -> float:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return float("inf")

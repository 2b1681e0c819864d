"""Take from this process, for good, what a sandboxed program must not have: files, network, processes, memory, time.

Limits of the kernel (rlimits) everywhere; on Linux for x86-64 and ARM64 also a seccomp filter by which every system
call that does more than compute, write to an open descriptor or leave fails with EPERM. Neither needs privileges.
Left out: imports outside the standard library, since the worker process loads this file by its path.
Source: seccomp(2), prctl(2); the filter is classic BPF over `struct seccomp_data`.
"""

import ctypes
import math
import os
import resource
import struct
import sys
from contextlib import suppress

OUTPUT = 1  # the only descriptor that stays open
# read write close fstat lseek, mmap mprotect munmap brk mremap madvise, signals, futex, clock, getrandom, exit
SYSTEM_CALLS = {
    "x86_64": (0xC000003E, (0, 1, 3, 5, 8, 9, 10, 11, 12, 13, 14, 15, 25, 28, 60, 96, 131, 202, 228, 231, 318)),
    "aarch64": (
        0xC00000B7,
        (62, 63, 64, 57, 80, 222, 226, 215, 214, 216, 233, 132, 134, 135, 139, 93, 94, 98, 113, 169, 278),
    ),
}
LOAD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, DENY = 0x7FFF0000, 0x00050001  # SECCOMP_RET_ALLOW; SECCOMP_RET_ERRNO with EPERM
NO_NEW_PRIVILEGES, SET_SECCOMP, FILTER_MODE = 38, 22, 2


def lock(*, seconds: float, memory_mb: int) -> bool:
    """Apply every limit that this system has; return whether system calls are filtered."""
    library = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    used = _address_space()
    os.close(0)
    os.close(2)
    os.closerange(OUTPUT + 2, 4096)
    cpu = math.ceil(seconds) + 1
    _limit(resource.RLIMIT_CPU, cpu)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NPROC, 0)
    _limit(resource.RLIMIT_NOFILE, OUTPUT + 1)
    _limit(resource.RLIMIT_AS, used + (memory_mb << 20))
    return library is not None and _filter_calls(library)


def _limit(kind: int, most: int) -> None:
    with suppress(ValueError, OSError):  # a stricter limit is already set, or the system has none of this kind
        resource.setrlimit(kind, (most, most))


def _address_space() -> int:
    """Return the bytes of address space that the interpreter already uses."""
    try:
        with open("/proc/self/statm", encoding="ascii") as pages:
            return int(pages.read().split()[0]) * resource.getpagesize()
    except OSError:  # no such file outside Linux
        return 256 << 20


def _filter_calls(library: ctypes.CDLL) -> bool:
    if os.uname().machine not in SYSTEM_CALLS:
        return False
    program = _program(*SYSTEM_CALLS[os.uname().machine])
    block = ctypes.create_string_buffer(program)
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(block))  # struct sock_fprog
    number = ctypes.c_ulong
    if library.prctl(NO_NEW_PRIVILEGES, number(1), number(0), number(0), number(0)):
        return False
    return (
        library.prctl(SET_SECCOMP, number(FILTER_MODE), ctypes.create_string_buffer(header), number(0), number(0)) == 0
    )


def _program(architecture: int, calls: tuple[int, ...]) -> bytes:
    """Return BPF that allows `calls` of `architecture` and lets every other one fail."""
    steps = [(LOAD, 0, 0, 4), (JUMP_EQUAL, 1, 0, architecture), (RETURN, 0, 0, DENY), (LOAD, 0, 0, 0)]
    steps += [(JUMP_EQUAL, len(calls) - place, 0, call) for place, call in enumerate(calls)]
    steps += [(RETURN, 0, 0, DENY), (RETURN, 0, 0, ALLOW)]
    return b"".join(struct.pack("HBBI", *step) for step in steps)

"""What every test shares: no network, quiet threads, deterministic hypothesis, real data where there is any."""

import ipaddress
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported, here and in the processes that tests start
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # reaches those processes too, which the socket block does not
os.environ.pop("MENON_DEBUG", None)

settings.register_profile("menon", derandomize=True, database=None, deadline=None)
settings.load_profile("menon")


def _is_loopback(host: Any) -> bool:
    if host in ("localhost", "localhost.localdomain", ""):
        return True
    try:
        return ipaddress.ip_address(str(host).partition("%")[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections and name look-ups that would leave this machine, as a machine without network does."""

    def guard(name: str) -> None:
        original = getattr(socket.socket, name)

        def connect(self: socket.socket, address: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
                raise OSError(f"tests may only reach loopback, not {address!r}")
            return original(self, address)

        monkeypatch.setattr(socket.socket, name, connect)

    guard("connect")
    guard("connect_ex")
    look_up = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name is not None and not _is_loopback(name):
            raise socket.gaierror(socket.EAI_NONAME, f"tests may only look up loopback, not {name!r}")
        return look_up(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of published data sets beside the repository; the test is skipped where there is none."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no ../shared/data beside the repository: the published data sets are not here")
    return folder


@pytest.fixture(scope="session")
def menon_command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `menon ARGS` in a process of its own, as a user does, and return what it printed."""

    def command(*args: str | Path, timeout: float = 120, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "menon.cli", *map(str, args)],
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
        )

    return command

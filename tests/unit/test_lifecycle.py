"""What systemd learns of the service, from a notify socket that the test owns."""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.lifecycle import feed_watchdog, notify
from tests.support.fakes import simulate
from tests.support.ports import free_port
from tests.support.service import SERVE, Service, start


@pytest.fixture(name="address", params=["path", "abstract"])
def _address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return an address of each form that systemd uses."""
    return f"@{tmp_path}" if request.param == "abstract" else str(tmp_path / "notify")


@pytest.fixture(name="systemd")
def _systemd(address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Receive notifications as systemd does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address.replace("@", "\0"))
        receiver.settimeout(15)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        yield receiver


@pytest.fixture(name="silent")
def _silent() -> Iterator[str]:
    """Return the URL of a Redis that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}"


@contextlib.contextmanager
def serving(log: Path, url: str, **environ: str) -> Iterator[Service]:
    """Start the service with a check that hangs, and wait for nothing."""
    terms = {"REDIS_URL": url, "REDIS_AUTH": "none", "CHECK_TIMEOUT": "60", **environ}
    service = start({"DRAIN_SECONDS": "0.5", **terms}, log, SERVE, free_port())
    try:
        yield service
    finally:
        service.process.kill()
        service.process.wait()


@pytest.mark.slow
def test_systemd_learns_of_the_start_the_watchdog_and_the_drain(
    systemd: socket.socket, silent: str, tmp_path: Path
) -> None:
    """READY comes with the listener, although a dependency hangs."""
    with serving(tmp_path / "log", silent, WATCHDOG_USEC="100000") as service:
        while systemd.recv(99) != b"READY=1":
            pass
        assert service.ask("/health/live").code == 200
        assert service.ask("/health/started").code == 503
        assert {systemd.recv(99) for _ in range(3)} == {b"WATCHDOG=1"}
        service.process.terminate()
        seen = [systemd.recv(99)]
        while seen[-1] != b"STOPPING=1":
            seen.append(systemd.recv(99))
        assert service.ask("/health/ready").code == 503
        assert set(seen[:-1]) <= {b"WATCHDOG=1"}
        assert systemd.recv(99) == b"WATCHDOG=1"  # a drain may take longer than WatchdogSec
        assert service.process.wait(10) == 0


def test_the_watchdog_is_fed_twice_in_each_interval(
    systemd: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A late one does not restart the service."""
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")

    async def feed() -> None:
        fed = asyncio.create_task(feed_watchdog())
        await asyncio.sleep(59)
        fed.cancel()

    simulate(feed())
    systemd.setblocking(False)  # noqa: FBT003
    assert [systemd.recv(99) for _ in range(2)] == [b"WATCHDOG=1"] * 2
    with pytest.raises(BlockingIOError):
        systemd.recv(99)


async def test_a_blocked_event_loop_feeds_no_watchdog(
    systemd: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does again when the loop runs."""
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    systemd.setblocking(False)  # noqa: FBT003
    loop = asyncio.get_running_loop()
    fed = asyncio.create_task(feed_watchdog())
    async with asyncio.timeout(15):
        assert await loop.sock_recv(systemd, 99) == b"WATCHDOG=1"
        assert await loop.sock_recv(systemd, 99) == b"WATCHDOG=1"
        time.sleep(0.1)  # noqa: ASYNC251 - it blocks the loop
        with pytest.raises(BlockingIOError):
            systemd.recv(99)
        assert await loop.sock_recv(systemd, 99) == b"WATCHDOG=1"
    fed.cancel()


@pytest.mark.parametrize("environ", [{}, {"WATCHDOG_USEC": "20000", "WATCHDOG_PID": "1"}])
async def test_no_watchdog_is_fed_unless_it_watches_this_process(
    systemd: socket.socket, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]
) -> None:
    """A parent may have left its variables."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    await feed_watchdog()
    systemd.setblocking(False)  # noqa: FBT003
    with pytest.raises(BlockingIOError):
        systemd.recv(99)


@pytest.mark.parametrize(
    "address", ["", "@", "nothing", "/nowhere/notify", "/" + "a" * 200, "vsock:2:1"]
)
def test_a_missing_socket_does_no_harm(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    notify("READY=1")


def test_a_socket_that_is_not_read_does_no_harm(systemd: socket.socket) -> None:
    """Its queue fills, and no call waits for it."""
    for _ in range(3_000):
        notify("WATCHDOG=1")
    assert systemd.recv(99) == b"WATCHDOG=1"


def test_a_socket_whose_reader_is_gone_does_no_harm(systemd: socket.socket) -> None:
    systemd.close()
    notify("READY=1")

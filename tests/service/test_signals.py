"""Each signal is ignored, starts a drain, or ends the service."""

import asyncio
import faulthandler
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from app.lifecycle import Lifecycle, drain_on_signal
from app.signals import IGNORED, LIKE_SIGTERM
from tests.support.ports import free_port
from tests.support.service import SERVE, UVICORN, Service, await_answer, running, start


ENVIRON = {"REDIS_URL": "redis://127.0.0.1:1", "REDIS_AUTH": "none", "DRAIN_SECONDS": "0.5"}

# Signals of a crash: they end any process.
CRASHES = {
    *(signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGBUS),
    *(signal.SIGFPE, signal.SIGSEGV, signal.SIGSYS),
}
UNCATCHABLE = {signal.SIGKILL, signal.SIGSTOP}
ENDS = {signal.SIGINT, signal.SIGQUIT, *CRASHES, *UNCATCHABLE}
DRAINS = [signal.SIGTERM, signal.SIGXCPU, signal.SIGPWR]
HARMLESS = sorted(signal.valid_signals() - ENDS - set(DRAINS))

everywhere = pytest.mark.parametrize("command", [SERVE, UVICORN], ids=["vitals", "uvicorn"])
ours = pytest.mark.parametrize("command", [SERVE], ids=["vitals"])


def bits(pid: int, kind: str) -> int:
    """Return a set of signals from /proc/PID/status, a bit each."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(rf"{kind}:\s*(\w+)", status)[0], 16)


def is_delivered(pid: int, number: int) -> bool:
    """Return whether a signal that was sent to a process is no longer pending."""
    pending = bits(pid, "SigPnd") | bits(pid, "ShdPnd")
    return not pending >> (number - 1) & 1


@pytest.fixture(name="service")
def _service(command: tuple[str, ...], tmp_path: Path) -> Iterator[Service]:
    with running(ENVIRON, tmp_path / "log", command) as service:
        yield service


@everywhere
@pytest.mark.usefixtures("command")
def test_most_signals_do_not_stop_the_service(service: Service) -> None:
    """Stop signals suspend the process, so SIGCONT follows each signal."""
    pid = service.process.pid
    assert {signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGRTMAX} <= set(HARMLESS)
    for number in HARMLESS:
        service.process.send_signal(number)
        service.process.send_signal(signal.SIGCONT)
        deadline = time.monotonic() + 5
        while not is_delivered(pid, number):
            assert time.monotonic() < deadline
            time.sleep(0.001)
        assert service.ask("/health").json["phase"] in {"starting", "serving"}, number
        assert service.process.poll() is None
    assert psutil.Process(pid).status() != psutil.STATUS_STOPPED


@everywhere
@pytest.mark.parametrize("number", DRAINS)
def test_sigterm_and_similar_signals_start_a_drain(
    service: Service, command: tuple[str, ...], number: signal.Signals
) -> None:
    """For DRAIN_SECONDS, even if the kernel repeats the signal."""
    begun = time.monotonic()
    service.process.send_signal(number)
    while service.ask("/health").json["phase"] != "draining":
        assert time.monotonic() - begun < 5
    if number != signal.SIGTERM:
        service.process.send_signal(number)
    code = service.process.wait(10)
    assert time.monotonic() - begun >= 0.5
    assert service.log.read_text().count("drain started") == 1
    assert code == (0 if command is SERVE else -signal.SIGTERM)


@ours
@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGSEGV])
@pytest.mark.usefixtures("command")
def test_crash_signals_and_sigquit_end_the_process_at_once(
    service: Service, number: signal.Signals
) -> None:
    """The exit status names the signal."""
    service.process.send_signal(number)
    assert service.process.wait(10) == -number


def test_harmless_signals_during_the_start_are_ignored(tmp_path: Path) -> None:
    """Tools send SIGHUP after they have written a configuration."""
    service = start(ENVIRON, tmp_path / "log", SERVE, free_port())
    try:
        deadline = time.monotonic() + 15
        while not bits(service.process.pid, "SigIgn") >> (signal.SIGHUP - 1) & 1:
            assert service.process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.001)
        service.process.send_signal(signal.SIGHUP)
        service.process.send_signal(signal.SIGUSR1)
        await_answer(service)
    finally:
        service.process.terminate()
    assert service.process.wait(10) == 0


async def test_the_previous_handlers_are_restored() -> None:
    """Handlers of the application and of faulthandler stay in place."""
    numbers = [signal.SIGTERM, signal.SIGINT, *LIKE_SIGTERM, *IGNORED]
    # Another test may have started a service in this process, which ignores them as well.
    before = {number: signal.getsignal(number) for number in numbers}
    faulthandler.register(signal.SIGUSR2)
    signal.signal(signal.SIGUSR1, handler := lambda *_: None)
    try:
        with drain_on_signal(Lifecycle(), 1):
            await asyncio.sleep(0)
            assert signal.getsignal(signal.SIGUSR1) is handler
            assert bits(os.getpid(), "SigCgt") >> (signal.SIGUSR2 - 1) & 1
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            signal.signal(signal.SIGVTALRM, handler)
        assert signal.getsignal(signal.SIGVTALRM) is handler
    finally:
        faulthandler.unregister(signal.SIGUSR2)
        for number in (signal.SIGUSR1, signal.SIGVTALRM):
            signal.signal(number, before[number])
    assert {number: signal.getsignal(number) for number in numbers} == before

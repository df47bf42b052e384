"""What becomes of the service when something blocks its event loop."""

import http.client
import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.devservers import Valkey
from app.event_loop import MAX_CALLS, STALL_AFTER, LoopLag, StallDetector, stack
from tests.faults.servers import frozen
from tests.service import Reply, Service, on, running
from tests.troubled_app import SECONDS


TROUBLED = (sys.executable, "-m", "tests.troubled_app")
OURS = (*TROUBLED, "app", "serve")
UVICORN = (*TROUBLED, "uvicorn", "app.main:app", "--port")
PROBES = 8

everywhere = pytest.mark.parametrize("command", [OURS, UVICORN], ids=["vitals", "uvicorn"])


def serving(
    valkey: Valkey, folder: Path, command: tuple[str, ...]
) -> AbstractContextManager[Service]:
    """Run the service until the block ends; it is ready when the block begins."""

    @contextmanager
    def ready() -> Iterator[Service]:
        with running(on(None, valkey), folder / "log", command) as service:
            service.until("redis", None, 5)
            yield service

    return ready()


def told(service: Service) -> list[dict[str, Any]]:
    """What the log says of stalls."""
    whole, _, _ = service.log.read_text().rpartition("\n")
    lines = [line for line in whole.splitlines() if line[:1] == "{"]
    return [line for line in map(json.loads, lines) if line["event"] == "event loop blocked"]


def counted(service: Service) -> int:
    """How many stalls the metric tells."""
    lines = service.ask("/metrics").body.decode().splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines)
    return int(float(values["health_event_loop_stalls_total"]))


def over(service: Service) -> Reply:
    """Wait for the end of a stall that has just begun, by asking."""
    time.sleep(0.1)
    return service.ask("/health/live")


@pytest.mark.parametrize(
    ("command", "number", "culprit"),
    [
        (OURS, signal.SIGUSR1, "block"),
        (UVICORN, signal.SIGUSR1, "block"),
        # Only what has worked has blocked, and beside busy tests it may not get to.
        pytest.param(OURS, signal.SIGHUP, "hog", marks=pytest.mark.alone),
    ],
    ids=["vitals", "uvicorn", "in C"],
)
def test_what_blocks_the_loop_is_told_once(
    valkey: Valkey, tmp_path: Path, command: tuple[str, ...], number: int, culprit: str
) -> None:
    """Each stall is one line, with the call that blocks, and a count; in C code too."""
    with serving(valkey, tmp_path, command) as service:
        assert counted(service) == 0
        for stalls in (1, 2):
            service.process.send_signal(number)
            assert over(service).code == 200
            time.sleep(0.5)
            assert counted(service) == len(told(service)) == stalls
    for line in told(service):
        assert line["level"] == "error"
        assert [call for call in line["stack"][-2:] if call.endswith(f" {culprit}")]
    assert valkey.password_file.read_text() not in service.log.read_text()


@pytest.mark.alone
def test_a_stall_is_told_while_it_lasts(valkey: Valkey, tmp_path: Path) -> None:
    """Whoever looks at a service that does not answer finds out why."""
    with serving(valkey, tmp_path, OURS) as service:
        service.process.send_signal(signal.SIGUSR1)
        time.sleep(0.1)
        begun = time.monotonic()
        while not told(service) and time.monotonic() - begun < SECONDS:
            time.sleep(0.01)
        assert time.monotonic() - begun < SECONDS * 0.9


def test_a_process_that_was_stopped_has_no_stall(valkey: Valkey, tmp_path: Path) -> None:
    """Nothing in it is to blame, as with a machine that was asleep."""
    with serving(valkey, tmp_path, OURS) as service:
        service.process.send_signal(signal.SIGSTOP)
        time.sleep(SECONDS)
        service.process.send_signal(signal.SIGCONT)
        time.sleep(1)
        assert counted(service) == 0
    assert not told(service)


def test_time_counts_only_while_the_process_runs_or_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that is late itself says nothing of the loop, unless the processor was busy."""
    stalls: list[int] = []
    watch = StallDetector(LoopLag(), lambda: stalls.append(1))
    now, worked = 100.0, 0.0
    monkeypatch.setattr("app.event_loop.time.monotonic", lambda: now)
    monkeypatch.setattr("app.event_loop.time.process_time", lambda: worked)
    loop = threading.get_ident()
    watch.check(loop)
    now += 3600
    watch.check(loop)
    assert not stalls
    now, worked = now + 3, worked + 3
    watch.check(loop)
    watch.check(loop)
    assert len(stalls) == 1


def test_the_innermost_calls_are_told() -> None:
    """However deep they are in others: they are what blocks."""

    def deep(calls: int) -> list[str]:
        return deep(calls - 1) if calls else stack(threading.get_ident())

    told = deep(2 * MAX_CALLS)
    assert len(told) == MAX_CALLS
    assert [line.rpartition(".")[2] for line in told[-3:-1]] == ["deep", "deep"]


def test_short_delays_do_not_add_up_to_a_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that turns between them answers between them."""
    stalls: list[int] = []
    lag, now = LoopLag(), 100.0
    watch = StallDetector(lag, lambda: stalls.append(1))
    monkeypatch.setattr("app.event_loop.time.monotonic", lambda: now)
    monkeypatch.setattr("app.event_loop.time.process_time", lambda: now)
    for _ in range(10):
        watch.check(threading.get_ident())
        now += STALL_AFTER * 0.9
        watch.check(threading.get_ident())
        lag.iterations += 1
    assert not stalls


def asked(path: str, connected: list[http.client.HTTPConnection]) -> None:
    """Ask on connections that have been opened already, and do not wait for answers."""
    for connection in connected:
        connection.request("GET", path)


@everywhere
def test_nothing_of_before_a_stall_is_believed_after_it(
    own_valkey: Valkey, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """The dependency breaks meanwhile: whoever has asked meanwhile hears no green of before."""
    with ExitStack() as stack, serving(own_valkey, tmp_path, command) as service:
        assert service.ask("/health/ready").code == 200
        connected = [
            stack.enter_context(
                closing(http.client.HTTPConnection("127.0.0.1", service.port, timeout=10))
            )
            for _ in range(PROBES)
        ]
        asked("/health/ready", connected)
        assert {connection.getresponse().read()[:16] for connection in connected} == {
            b'{"status":"pass"'
        }
        service.process.send_signal(signal.SIGUSR1)
        with frozen(own_valkey):
            time.sleep(0.1)
            asked("/health/ready", connected)
            first = [connection.getresponse() for connection in connected]
            reasons = {json.loads(one.read())["checks"]["redis"]["reason"] for one in first}
            assert {one.status for one in first} == {503}
            assert reasons <= {"stale", "timeout"}
            assert service.ask("/health/live").code == 200
            assert service.ask("/health/ready").code == 503
        service.until("redis", None, 2)

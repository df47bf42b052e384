"""The service reports what blocks its event loop, and trusts no result from before."""

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

from app.event_loop import MAX_CALLS, STALL_AFTER, LoopLag, StallDetector, stack
from tests.support.devservers import Valkey
from tests.support.faults.servers import frozen
from tests.support.service import Reply, Service, on, running
from tests.support.troubled_app import SECONDS


pytestmark = pytest.mark.slow

TROUBLED = (sys.executable, "-m", "tests.support.troubled_app")
OURS = (*TROUBLED, "app", "serve")
UVICORN = (*TROUBLED, "uvicorn", "app.main:app", "--port")
PROBES = 8

everywhere = pytest.mark.parametrize("command", [OURS, UVICORN], ids=["vitals", "uvicorn"])


def serving(
    valkey: Valkey, folder: Path, command: tuple[str, ...]
) -> AbstractContextManager[Service]:
    """Run the service until the block ends. It is ready when the block starts."""

    @contextmanager
    def ready() -> Iterator[Service]:
        with running(on(None, valkey), folder / "log", command) as service:
            service.until("redis", None, 5)
            yield service

    return ready()


def stall_events(service: Service) -> list[dict[str, Any]]:
    """Return the events in the log that report a stall."""
    complete_lines, _, _ = service.log.read_text().rpartition("\n")
    lines = [line for line in complete_lines.splitlines() if line[:1] == "{"]
    return [line for line in map(json.loads, lines) if line["event"] == "event loop blocked"]


def stall_count(service: Service) -> int:
    """Return the value of the metric."""
    lines = service.ask("/metrics").body.decode().splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines)
    return int(float(values["health_event_loop_stalls_total"]))


def wait_for_end_of_stall(service: Service) -> Reply:
    """Send a request, which is answered after the stall that has just started."""
    time.sleep(0.1)
    # The stall counts CPU time, and lasts longer where other tests share the processors.
    service.timeout = 30
    return service.ask("/health/live")


@pytest.mark.parametrize(
    ("command", "number", "culprit"),
    [
        (OURS, signal.SIGUSR1, "block"),
        (UVICORN, signal.SIGUSR1, "block"),
        # Only CPU time counts here, and beside other tests the process may not get enough.
        pytest.param(OURS, signal.SIGHUP, "hold_gil", marks=pytest.mark.alone),
    ],
    ids=["vitals", "uvicorn", "in C"],
)
def test_each_stall_is_logged_once_with_its_stack(
    valkey: Valkey, tmp_path: Path, command: tuple[str, ...], number: int, culprit: str
) -> None:
    """And counted, also if C code blocks."""
    with serving(valkey, tmp_path, command) as service:
        assert stall_count(service) == 0
        for stalls in (1, 2):
            service.process.send_signal(number)
            assert wait_for_end_of_stall(service).code == 200
            time.sleep(0.5)
            assert stall_count(service) == len(stall_events(service)) == stalls
    for line in stall_events(service):
        assert line["level"] == "error"
        assert [call for call in line["stack"][-2:] if call.endswith(f" {culprit}")]
    assert valkey.password_file.read_text() not in service.log.read_text()


@pytest.mark.alone
def test_a_stall_is_logged_while_it_lasts(valkey: Valkey, tmp_path: Path) -> None:
    """The log explains why the service does not answer."""
    with serving(valkey, tmp_path, OURS) as service:
        service.process.send_signal(signal.SIGUSR1)
        time.sleep(0.1)
        started = time.monotonic()
        while not stall_events(service) and time.monotonic() - started < SECONDS:
            time.sleep(0.01)
        assert time.monotonic() - started < SECONDS * 0.9


def test_a_process_that_was_stopped_reports_no_stall(valkey: Valkey, tmp_path: Path) -> None:
    """Nor does one on a machine that was suspended."""
    with serving(valkey, tmp_path, OURS) as service:
        service.process.send_signal(signal.SIGSTOP)
        time.sleep(SECONDS)
        service.process.send_signal(signal.SIGCONT)
        time.sleep(1)
        assert stall_count(service) == 0
    assert not stall_events(service)


def test_time_counts_only_while_the_thread_runs_or_the_process_uses_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thread that is late itself proves nothing, unless the process used CPU time."""
    stalls: list[int] = []
    detector = StallDetector(LoopLag(), lambda: stalls.append(1))
    now, cpu_time = 100.0, 0.0
    monkeypatch.setattr("app.event_loop.time.monotonic", lambda: now)
    monkeypatch.setattr("app.event_loop.time.process_time", lambda: cpu_time)
    thread = threading.get_ident()
    detector.check(thread)
    now += 3600
    detector.check(thread)
    assert not stalls
    now, cpu_time = now + 3, cpu_time + 3
    detector.check(thread)
    detector.check(thread)
    assert len(stalls) == 1


def test_the_innermost_calls_of_the_stack_are_logged() -> None:
    """However deep the stack is: they are what blocks."""

    def deep(depth: int) -> list[str]:
        return deep(depth - 1) if depth else stack(threading.get_ident())

    calls = deep(2 * MAX_CALLS)
    assert len(calls) == MAX_CALLS
    assert [line.rpartition(".")[2] for line in calls[-3:-1]] == ["deep", "deep"]


def test_short_delays_do_not_add_up_to_a_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    """The event loop runs between them."""
    stalls: list[int] = []
    lag, now = LoopLag(), 100.0
    detector = StallDetector(lag, lambda: stalls.append(1))
    monkeypatch.setattr("app.event_loop.time.monotonic", lambda: now)
    monkeypatch.setattr("app.event_loop.time.process_time", lambda: now)
    for _ in range(10):
        detector.check(threading.get_ident())
        now += STALL_AFTER * 0.9
        detector.check(threading.get_ident())
        lag.iterations += 1
    assert not stalls


def send_requests(path: str, connections: list[http.client.HTTPConnection]) -> None:
    """Send a request on each open connection, without waiting for responses."""
    for connection in connections:
        connection.request("GET", path)


@everywhere
def test_no_result_from_before_a_stall_is_reported_after_it(
    own_valkey: Valkey, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """The dependency fails during the stall, so requests sent meanwhile get no `pass`."""
    with ExitStack() as stack, serving(own_valkey, tmp_path, command) as service:
        assert service.ask("/health/ready").code == 200
        connections = [
            stack.enter_context(
                closing(http.client.HTTPConnection("127.0.0.1", service.port, timeout=10))
            )
            for _ in range(PROBES)
        ]
        send_requests("/health/ready", connections)
        assert {connection.getresponse().read()[:16] for connection in connections} == {
            b'{"status":"pass"'
        }
        service.process.send_signal(signal.SIGUSR1)
        with frozen(own_valkey):
            time.sleep(0.1)
            send_requests("/health/ready", connections)
            first = [connection.getresponse() for connection in connections]
            reasons = {json.loads(one.read())["checks"]["redis"]["reason"] for one in first}
            assert {one.status for one in first} == {503}
            assert reasons <= {"stale", "timeout"}
            assert service.ask("/health/live").code == 200
            assert service.ask("/health/ready").code == 503
        service.until("redis", None, 2)

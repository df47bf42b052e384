"""Shutdown: readiness fails first, the listener closes later, and requests in flight finish."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.support.devservers import Valkey
from tests.support.ports import free_port
from tests.support.service import ROOT, SERVE, Reply, Service, clean, on, running


DRAIN = 1.0

OURS = (sys.executable, "-m", "tests.support.slow_app")
UVICORN = (sys.executable, "-m", "uvicorn", "tests.support.slow_app:app", "--port")
WORKERS = (*UVICORN[:-1], "--workers", "2", "--port")
FASTAPI = (sys.executable, "-m", "fastapi", "run", "tests/support/slow_app.py", "--port")

everywhere = pytest.mark.parametrize(
    "command", [OURS, UVICORN, WORKERS, FASTAPI], ids=["vitals", "uvicorn", "workers", "fastapi"]
)


@pytest.fixture(name="serve")
def _serve(valkey: Valkey, tmp_path: Path) -> "Serve":
    return Serve(valkey, tmp_path)


class Serve:
    """Runs the service by different commands."""

    def __init__(self, valkey: Valkey, folder: Path) -> None:
        self._valkey = valkey
        self._folder = folder

    def __call__(
        self, command: tuple[str, ...], drain: float = DRAIN, **environ: str
    ) -> AbstractContextManager[Service]:
        environ = {**on(None, self._valkey), "DRAIN_SECONDS": str(drain), **environ}
        return running(environ, self._folder / "log", command)


class SlowRequest(threading.Thread):
    """A request in flight, on a thread of its own."""

    def __init__(self, service: Service, seconds: float) -> None:
        super().__init__(daemon=True)
        self.reply: Reply | None = None
        self._service = service
        self._path = f"/slow?seconds={seconds}"
        self.start()
        time.sleep(0.1)  # there is no sign that the service has received the request

    def run(self) -> None:
        """Wait for the response, or for the end of the connection."""
        try:
            self.reply = self._service.ask(self._path)
        except (OSError, http.client.HTTPException):
            self.reply = None

    def outcome(self) -> int | None:
        """Return the status code; None if the connection was closed."""
        self.join(10)
        return self.reply.code if self.reply else None


def is_ready(service: Service) -> bool:
    """Return whether 20 requests in a row find a ready worker."""
    return all(service.ask("/health/ready").code == 200 for _ in range(20))


def wait_until_ready(service: Service) -> None:
    """Wait until every worker is ready."""
    deadline = time.monotonic() + 10
    while not is_ready(service):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def wait_until_signal_handled(service: Service, number: signal.Signals) -> None:
    """Wait for the effect of a first signal: SIGTERM starts a drain, SIGINT closes the listener."""
    for reply in probe_until_closed(service):
        if number is signal.SIGTERM and reply.json["phase"] == "draining":
            return


def probe_until_closed(service: Service) -> Iterator[Reply]:
    """Request readiness until the listener is closed."""
    while True:
        try:
            yield service.ask("/health/ready")
        except OSError:
            return
        time.sleep(0.005)


@everywhere
def test_readiness_fails_before_the_listener_closes(serve: Serve, command: tuple[str, ...]) -> None:
    """At once, with Retry-After and Connection: close, for DRAIN_SECONDS."""
    with serve(command) as service:
        wait_until_ready(service)
        slow = SlowRequest(service, DRAIN * 1.2)
        signalled = time.monotonic()
        service.process.terminate()
        seen = [(time.monotonic() - signalled, reply) for reply in probe_until_closed(service)]
        closed = time.monotonic() - signalled
        code = service.process.wait(10)
    # uvicorn's supervisor checks for signals every half second.
    delay = 0.8 if command is WORKERS else 0.2
    assert max([when for when, reply in seen if reply.code == 200], default=0) < delay
    # One of two workers may still be starting when the other is ready.
    drained = [reply for when, reply in seen if reply.code == 503 and when > delay]
    assert drained
    assert {reply.json["phase"] for reply in drained} == {"draining"}
    assert {reply.headers["retry-after"] for reply in drained} == {"1"}
    assert {reply.headers["connection"] for reply in drained} == {"close"}
    assert DRAIN <= closed < DRAIN + delay + 1
    assert slow.outcome() == 200
    assert slow.reply
    assert slow.reply.headers["connection"] == "close"
    if command is OURS:
        assert code == 0


def test_every_response_closes_its_connection_while_draining(serve: Serve) -> None:
    """Also those of users' own routes, with one header each. Before the drain none does."""
    paths = ("/slow?seconds=0", "/nothing", "/", "/health/ready?verbose")
    with serve(OURS, drain=60) as service:
        wait_until_ready(service)
        assert not [path for path in paths if "connection" in service.ask(path).headers]
        service.process.terminate()
        wait_until_signal_handled(service, signal.SIGTERM)
        requests = [f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for path in paths]
        answers = [service.raw(request).lower() for request in requests]
        service.process.terminate()
    assert [answer.count(b"connection: close") for answer in answers] == [1] * len(paths)


@pytest.mark.parametrize(
    ("command", "first", "second"),
    [
        (OURS, signal.SIGTERM, signal.SIGTERM),
        (OURS, signal.SIGTERM, signal.SIGINT),
        (OURS, signal.SIGINT, signal.SIGINT),
        (UVICORN, signal.SIGTERM, signal.SIGTERM),
        (UVICORN, signal.SIGINT, signal.SIGTERM),
    ],
)
def test_a_second_signal_ends_the_service_at_once(
    serve: Serve, command: tuple[str, ...], first: signal.Signals, second: signal.Signals
) -> None:
    """Despite requests in flight and a long drain."""
    with serve(command, drain=60, SHUTDOWN_SECONDS="60") as service:
        wait_until_ready(service)
        slow = SlowRequest(service, 60)
        service.process.send_signal(first)
        wait_until_signal_handled(service, first)
        service.process.send_signal(second)
        code = service.process.wait(10)  # instead of 60 s of drain and 60 s of grace
        log = service.log.read_text()
    assert slow.outcome() in {None, 500}
    assert "in lifespan" not in log
    if command is OURS:
        assert "second signal: exiting immediately" in log
        assert ('"event": "drain started", "duration_s": 60.0' in log) is (first is signal.SIGTERM)
        assert code == 0


def test_sigint_skips_the_drain_and_finishes_requests(serve: Serve) -> None:
    """Ctrl-C comes from a developer, who needs no drain; the exit code is 0.

    A request on a connection that was idle, as proxies keep them, is answered.
    """
    with serve(OURS, drain=60) as service:
        wait_until_ready(service)
        with socket.create_connection(("127.0.0.1", service.port), timeout=5) as silent:
            service.process.send_signal(signal.SIGINT)
            signalled = time.monotonic()
            for _ in probe_until_closed(service):
                assert time.monotonic() - signalled < 5  # of 60
            silent.sendall(b"GET /slow?seconds=0.1 HTTP/1.1\r\nHost: x\r\n\r\n")
            response = b"".join(iter(lambda: silent.recv(65536), b""))
        assert service.process.wait(5) == 0
    assert response.startswith(b"HTTP/1.1 200 OK")
    assert b"connection: close" in response


def test_a_request_that_never_ends_is_aborted(serve: Serve) -> None:
    """After the drain requests in flight have SHUTDOWN_SECONDS."""
    with serve(OURS, drain=0.2, SHUTDOWN_SECONDS="0.5") as service:
        wait_until_ready(service)
        slow = SlowRequest(service, 60)
        signalled = time.monotonic()
        service.process.terminate()
        assert service.process.wait(5) == 0
        assert 0.7 <= time.monotonic() - signalled < 4  # plus the time for open connections
    assert slow.outcome() in {None, 500}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_the_start_ends_the_service(valkey: Valkey, number: signal.Signals) -> None:
    """With exit code 0, from the moment when it has a handler."""
    environ = clean(os.environ) | on(None, valkey) | {"PORT": str(free_port())}
    for delay in (0.0, 0.2, 0.8):
        process = subprocess.Popen(SERVE, cwd=ROOT, env=environ)
        while not has_handler(process.pid, signal.SIGTERM):
            assert process.poll() is None
            time.sleep(0.001)
        time.sleep(delay)
        process.send_signal(number)
        assert process.wait(10) == 0


def has_handler(pid: int, number: signal.Signals) -> bool:
    """Return whether a process has a handler for a signal, by /proc/PID/status."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = re.findall(r"SigCgt:\s*(\w+)", status)[0]
    return bool(int(caught, 16) >> (number - 1) & 1)


def test_the_maintenance_file_switches_readiness(serve: Serve, tmp_path: Path) -> None:
    """Within about a second. Liveness does not change."""
    file = tmp_path / "maintenance"
    with serve(OURS, MAINTENANCE_FILE=str(file)) as service:
        wait_until_ready(service)
        for exists, phase, code in ((True, "maintenance", 503), (False, "serving", 200)):
            file.touch() if exists else file.unlink()
            deadline = time.monotonic() + 1.5
            while (reply := service.ask("/health/ready")).json["phase"] != phase:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert reply.code == code
            assert ("retry-after" in reply.headers) is exists
            assert service.ask("/health/live").code == 200


@pytest.mark.parametrize("command", [SERVE, UVICORN], ids=["vitals", "uvicorn"])
def test_successful_probes_are_not_logged(serve: Serve, command: tuple[str, ...]) -> None:
    """Other requests are, and malformed requests once. At the level `debug` everything is."""
    for level, is_logged, malformed in (("info", False, 1), ("debug", True, 1 + 3)):  # one log
        with serve(command, drain=0, LOG_LEVEL=level) as service:
            wait_until_ready(service)
            service.ask("/nothing")
            service.ask("/health/live?x=1")
            service.ask("/health/live", "POST")
            for _ in range(3):
                service.raw(b"nonsense\r\n\r\n")
        log = service.log.read_text()
        assert bool(re.search(r"GET\W+path\W+/health/ready\b.*status\W+200", log)) is is_logged
        assert bool(re.search(r"GET\W+path\W+/health/live\?x=1\b.*status\W+200", log)) is is_logged
        assert re.search(r"GET\W+path\W+/nothing\b.*status\W+404", log)
        assert re.search(r"POST\W+path\W+/health/live\b.*status\W+405", log)
        assert log.count("invalid request received") == malformed

"""How the service ends: readiness first, the door later, and nothing cut that need not be."""

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

from app.devservers import Valkey
from tests.ports import free_port
from tests.service import ROOT, SERVE, Reply, Service, clean, on, running


DRAIN = 1.0

OURS = (sys.executable, "-m", "tests.slow_app")
UVICORN = (sys.executable, "-m", "uvicorn", "tests.slow_app:app", "--port")
WORKERS = (*UVICORN[:-1], "--workers", "2", "--port")
FASTAPI = (sys.executable, "-m", "fastapi", "run", "tests/slow_app.py", "--port")

everywhere = pytest.mark.parametrize(
    "command", [OURS, UVICORN, WORKERS, FASTAPI], ids=["vitals", "uvicorn", "workers", "fastapi"]
)


@pytest.fixture(name="serve")
def _serve(valkey: Valkey, tmp_path: Path) -> "Serve":
    return Serve(valkey, tmp_path)


class Serve:
    """Runs the service in one way or another."""

    def __init__(self, valkey: Valkey, folder: Path) -> None:
        self._valkey = valkey
        self._folder = folder

    def __call__(
        self, command: tuple[str, ...], drain: float = DRAIN, **environ: str
    ) -> AbstractContextManager[Service]:
        environ = {**on(None, self._valkey), "DRAIN_SECONDS": str(drain), **environ}
        return running(environ, self._folder / "log", command)


class Slow(threading.Thread):
    """A request in flight."""

    def __init__(self, service: Service, seconds: float) -> None:
        super().__init__(daemon=True)
        self.reply: Reply | None = None
        self._service = service
        self._path = f"/slow?seconds={seconds}"
        self.start()
        time.sleep(0.1)  # the request is on its way, and nothing tells when it has arrived

    def run(self) -> None:
        """Wait for the answer, if one comes."""
        try:
            self.reply = self._service.ask(self._path)
        except (OSError, http.client.HTTPException):
            self.reply = None

    def outcome(self) -> int | None:
        """The code of the answer; none if it was cut."""
        self.join(10)
        return self.reply.code if self.reply else None


def ready(service: Service) -> bool:
    """Whether every worker that answers is ready."""
    return all(service.ask("/health/ready").code == 200 for _ in range(20))


def wait_until_ready(service: Service) -> None:
    """Wait for the first results of every worker."""
    deadline = time.monotonic() + 10
    while not ready(service):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def wait_until_told(service: Service, number: signal.Signals) -> None:
    """Wait until a first signal has been heard: SIGTERM begins a drain, SIGINT closes the door."""
    for reply in probe_until_closed(service):
        if number is signal.SIGTERM and reply.json["phase"] == "draining":
            return


def probe_until_closed(service: Service) -> Iterator[Reply]:
    """Ask for readiness again and again until the door is closed."""
    while True:
        try:
            yield service.ask("/health/ready")
        except OSError:
            return
        time.sleep(0.005)


@everywhere
def test_readiness_says_no_before_the_door_closes(serve: Serve, command: tuple[str, ...]) -> None:
    """At once, with Retry-After and a goodbye to the connection, for as long as was set."""
    with serve(command) as service:
        wait_until_ready(service)
        slow = Slow(service, DRAIN * 1.2)
        told = time.monotonic()
        service.process.terminate()
        seen = [(time.monotonic() - told, reply) for reply in probe_until_closed(service)]
        closed = time.monotonic() - told
        code = service.process.wait(10)
    # uvicorn's supervisor looks for signals each half second.
    delay = 0.8 if command is WORKERS else 0.2
    assert max([when for when, reply in seen if reply.code == 200], default=0) < delay
    # Of two workers one may be starting when the other is ready, until it is told to end.
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


def test_every_path_takes_leave_while_draining(serve: Serve) -> None:
    """Users' own routes too, once each; before, none does."""
    paths = ("/slow?seconds=0", "/nothing", "/", "/health/ready?verbose")
    with serve(OURS, drain=60) as service:
        wait_until_ready(service)
        assert not [path for path in paths if "connection" in service.ask(path).headers]
        service.process.terminate()
        wait_until_told(service, signal.SIGTERM)
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
def test_a_second_signal_ends_it_at_once(
    serve: Serve, command: tuple[str, ...], first: signal.Signals, second: signal.Signals
) -> None:
    """Whatever is in flight, and however long the drain."""
    with serve(command, drain=60, SHUTDOWN_SECONDS="60") as service:
        wait_until_ready(service)
        slow = Slow(service, 60)
        service.process.send_signal(first)
        wait_until_told(service, first)
        service.process.send_signal(second)
        code = service.process.wait(10)  # and neither 60 s of drain nor of grace
        told = service.log.read_text()
    assert slow.outcome() in {None, 500}
    assert "in lifespan" not in told
    if command is OURS:
        assert "second signal: exiting immediately" in told
        assert ('"event": "drain started", "duration_s": 60.0' in told) is (first is signal.SIGTERM)
        assert code == 0


def test_sigint_skips_the_drain_and_hears_out_who_is_inside(serve: Serve) -> None:
    """Ctrl-C is for people, who need no grace; the exit code is 0.

    A request on a connection that was silent so far, as a proxy keeps them, is answered.
    """
    with serve(OURS, drain=60) as service:
        wait_until_ready(service)
        with socket.create_connection(("127.0.0.1", service.port), timeout=5) as silent:
            service.process.send_signal(signal.SIGINT)
            told = time.monotonic()
            for _ in probe_until_closed(service):
                assert time.monotonic() - told < 5  # of 60
            silent.sendall(b"GET /slow?seconds=0.1 HTTP/1.1\r\nHost: x\r\n\r\n")
            heard = b"".join(iter(lambda: silent.recv(65536), b""))
        assert service.process.wait(5) == 0
    assert heard.startswith(b"HTTP/1.1 200 OK")
    assert b"connection: close" in heard


def test_a_request_that_never_ends_is_cut(serve: Serve) -> None:
    """After the drain requests in flight have SHUTDOWN_SECONDS."""
    with serve(OURS, drain=0.2, SHUTDOWN_SECONDS="0.5") as service:
        wait_until_ready(service)
        slow = Slow(service, 60)
        begun = time.monotonic()
        service.process.terminate()
        assert service.process.wait(5) == 0
        assert 0.7 <= time.monotonic() - begun < 4  # who is inside is heard out first
    assert slow.outcome() in {None, 500}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_the_start_ends_it(valkey: Valkey, number: signal.Signals) -> None:
    """From the moment on at which the process can hear it, the exit code is 0."""
    environ = clean(os.environ) | on(None, valkey) | {"PORT": str(free_port())}
    for delay in (0.0, 0.2, 0.8):
        process = subprocess.Popen(SERVE, cwd=ROOT, env=environ)
        while not hears(process.pid, signal.SIGTERM):
            assert process.poll() is None
            time.sleep(0.001)
        time.sleep(delay)
        process.send_signal(number)
        assert process.wait(10) == 0


def hears(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal, as the kernel knows it."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = re.findall(r"SigCgt:\s*(\w+)", status)[0]
    return bool(int(caught, 16) >> (number - 1) & 1)


def test_maintenance_takes_it_out_and_puts_it_back(serve: Serve, tmp_path: Path) -> None:
    """Within a second or so, and only readiness."""
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
def test_the_log_says_nothing_of_successful_probes(serve: Serve, command: tuple[str, ...]) -> None:
    """Refusals and failures are told, malformed requests once; at the level `debug` everything."""
    for level, told, malformed in (("info", False, 1), ("debug", True, 1 + 3)):  # one log
        with serve(command, drain=0, LOG_LEVEL=level) as service:
            wait_until_ready(service)
            service.ask("/nothing")
            service.ask("/health/live?x=1")
            service.ask("/health/live", "POST")
            for _ in range(3):
                service.raw(b"nonsense\r\n\r\n")
        log = service.log.read_text()
        assert bool(re.search(r"GET\W+path\W+/health/ready\b.*status\W+200", log)) is told
        assert bool(re.search(r"GET\W+path\W+/health/live\?x=1\b.*status\W+200", log)) is told
        assert re.search(r"GET\W+path\W+/nothing\b.*status\W+404", log)
        assert re.search(r"POST\W+path\W+/health/live\b.*status\W+405", log)
        assert log.count("invalid request received") == malformed

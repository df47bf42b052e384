"""The service as a subprocess, and clients of it."""

import contextlib
import http.client
import json
import math
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.support.devservers import Postgres, Valkey
from tests.support.ports import free_port


VITALS = (sys.executable, "-m", "app")
SERVE = (*VITALS, "serve")
UVICORN = (sys.executable, "-m", "uvicorn", "app.main:app", "--port")
ROOT = Path(__file__).parents[2]

# Seconds that a request may take, unless a test says more.
TIMEOUT = 5

# Lines of the log that a failed test shows.
LAST_LINES = 50

# Replies from which p99 leaves out more than one.
ENOUGH = 200

# The prefixes of the settings' names.
SETTING_PREFIXES = (
    *("CHECK", "DATABASE_", "DRAIN_", "HEALTH_", "HTTP_", "JWT_", "KEEP_", "LOG_"),
    *("MAINTENANCE_", "OPTIONAL_", "POSTGRES_", "REDIS_", "SECRETS_", "SHUTDOWN_"),
)


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP response.

    Attributes:
        at: when the request was sent, by the steady clock.
        seconds: the time until the response was complete.
    """

    at: float
    code: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


def ask(
    port: int, path: str, method: str = "GET", timeout: float = TIMEOUT, **headers: str
) -> Reply:
    """Send a request on a new connection to a port of this machine."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    begun = time.monotonic()
    with contextlib.closing(connection):
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        body = response.read()
    seconds = time.monotonic() - begun
    return Reply(begun, response.status, dict(response.headers.items()), body, seconds)


# Seconds from the first answer to the first result, on a busy machine.
START = 15


@dataclass
class Service:
    """A running service on a port of this machine."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    timeout: float = TIMEOUT

    def ask(self, path: str, method: str = "GET", **headers: str) -> Reply:
        """Send a request on a new connection."""
        return ask(self.port, path, method, self.timeout, **headers)

    def raw(self, request: bytes) -> bytes:
        """Send bytes, and read until the service closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=self.timeout) as connection:
            connection.sendall(request)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def descriptors(self) -> int:
        """Return the number of open file descriptors."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def state(self) -> str:
        """Return whether the process runs, and the end of its log."""
        try:
            # Its connections close shortly before it exits.
            state = f"has exited with {self.process.wait(0.2)}"
        except subprocess.TimeoutExpired:
            state = "runs"
        # A log may be a pipe, whose end a reader would wait for.
        text = self.log.read_text(errors="replace") if self.log.is_file() else ""
        lines = text.splitlines()[-LAST_LINES:]
        return "\n".join([f"The service on port {self.port} {state}. Its log:", *lines])

    def reason(self, name: str) -> str | None:
        """Return why a check fails; None if it passes."""
        known = self.ask("/health").json["checks"][name]
        return known.get("reason", known["status"]) if known["status"] != "pass" else None

    def until(self, name: str, reason: str | None, within: float, *, pause: float = 0.02) -> float:
        """Wait until a check fails for a reason, or passes; return the seconds waited.

        The time counts from the first result on: the drivers load after the service has started.
        """
        started = begun = time.perf_counter()
        seen = []
        while (seconds := time.perf_counter() - begun) < within:
            if (now := self.reason(name)) == reason:
                return seconds
            if now == "unknown" and begun - started < START:
                begun = time.perf_counter()
            seen.append(now)
            time.sleep(pause)
        raise AssertionError(f"{name} is not {reason or 'pass'} within {within} s, but {seen[-1]}")


def wait_for(
    condition: Callable[[], object], within: float = 5, ignored: tuple[type[Exception], ...] = ()
) -> None:
    """Wait until a condition holds. It does not hold while it raises an *ignored* error."""
    deadline = time.monotonic() + within
    while True:
        with contextlib.suppress(*ignored):
            if condition():
                return
        assert time.monotonic() < deadline, f"not within {within} s"
        time.sleep(0.01)


def start(environ: Mapping[str, str], log: Path, command: Sequence[str], port: int) -> Service:
    """Start the service on a port, without waiting for an answer."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            (*command, str(port)) if command[-1] == "--port" else command,
            cwd=ROOT,
            env={**clean(os.environ), **environ, "PORT": str(port)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    return Service(process, port, log)


@contextlib.contextmanager
def running(
    environ: Mapping[str, str], log: Path, command: Sequence[str] = SERVE
) -> Iterator[Service]:
    """Run the service while the block runs, which starts after a first answer."""
    service = start(environ, log, command, free_port())
    try:
        await_answer(service)
        yield service
    except Exception as error:
        error.add_note(service.state())
        raise
    finally:
        service.process.terminate()
        try:
            service.process.wait(10)
        except subprocess.TimeoutExpired:
            service.process.kill()
            service.process.wait()
            raise


def clean(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without settings of the service."""
    return {name: value for name, value in environ.items() if not name.startswith(SETTING_PREFIXES)}


def on(postgres: Postgres | None = None, valkey: Valkey | None = None) -> dict[str, str]:
    """Return settings with which the service checks these servers, at short intervals."""
    environ = {
        "CHECK_INTERVAL": "0.2",
        "CHECK_TIMEOUT": "0.4",
        "RECONNECT_INTERVAL": "0.5",
        "DRAIN_SECONDS": "0",
    }
    if postgres:
        environ["DATABASE_URL"] = postgres.url
        environ["POSTGRES_PASSWORD_FILE"] = str(postgres.password_file)
    if valkey:
        environ["REDIS_URL"] = valkey.url
        environ["REDIS_PASSWORD_FILE"] = str(valkey.password_file)
    return environ


def await_answer(service: Service, within: float = 15) -> None:
    """Wait until the service answers at all. Fail if it exits before."""

    def is_over() -> bool:
        return service.process.poll() is not None or bool(service.ask("/health/live"))

    wait_for(is_over, within, ignored=(OSError,))
    assert service.process.poll() is None, service.log.read_text()


class Prober(threading.Thread):
    """A client that requests a path repeatedly, as load balancers do, and records the replies."""

    def __init__(self, service: Service, path: str, pause: float = 0.005) -> None:
        super().__init__(daemon=True)
        self.replies: list[Reply] = []
        self._service = service
        self._path = path
        self._pause = pause
        self._done = threading.Event()

    def run(self) -> None:
        """Send requests until stopped."""
        while not self._done.wait(self._pause):
            self.replies.append(self._service.ask(self._path))

    def fill(self) -> None:
        """Wait until there are ENOUGH replies, so that p99 tolerates a late one."""
        while len(self.replies) < ENOUGH:
            assert self.is_alive()
            time.sleep(self._pause)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self.join()


def p99(replies: list[Reply]) -> float:
    """Return the 99th percentile of the replies' seconds."""
    seconds = sorted(reply.seconds for reply in replies)
    return seconds[math.ceil(len(seconds) * 0.99) - 1]

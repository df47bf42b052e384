"""Two thousand who ask nothing, or never come to the end, and probers among them."""

import contextlib
import resource
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.devservers import Valkey
from app.server.limits import IDLE_TIMEOUT, MAX_HEAD
from tests.service import SERVE, UVICORN, Prober, Reply, Service, on, p99, running
from tests.system.test_load import MIB, memory


CROWD = 2_000
DEAF = 20
ASKED = b"GET /livez?x HTTP/1.1\r\nHost: a\r\n"
PAGE = b"GET /health?format=html HTTP/1.1\r\nHost: a\r\n\r\n"

# `vitals serve` with fewer descriptors than the crowd has connections, and no way to more.
FEW = ("sh", "-c", 'ulimit -n 1024 && exec "$0" "$@"', *SERVE)


@pytest.fixture(name="descriptors", autouse=True)
def _descriptors() -> Iterator[None]:
    """Let the test itself have a descriptor for each."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 3 * CROWD), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(name="service", params=[SERVE, FEW, UVICORN], ids=["serve", "few", "uvicorn"])
def _service(valkey: Valkey, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Service]:
    with running(on(valkey=valkey), tmp_path / "log", request.param) as service:
        service.until("redis", None, 5)
        yield service
    assert "Traceback" not in service.log.read_text()


@pytest.fixture(name="serve")
def _serve(valkey: Valkey, tmp_path: Path) -> Iterator[Service]:
    with running(on(valkey=valkey), tmp_path / "log") as service:
        service.until("redis", None, 5)
        yield service
    assert "Traceback" not in service.log.read_text()


def connected(service: Service) -> socket.socket:
    """A connection to a service."""
    return socket.create_connection(("127.0.0.1", service.port), timeout=10)


def threads(service: Service) -> int:
    """How many threads a service has."""
    return len(list(Path(f"/proc/{service.process.pid}/task").iterdir()))


def until(condition: Callable[[], bool], within: float) -> None:
    """Wait until this holds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def settled(figure: Callable[[], int], within: float) -> None:
    """Wait until a figure has been the same for a second."""
    deadline, before = time.monotonic() + within, -1
    while (now := figure()) != before:
        assert time.monotonic() < deadline
        before = now
        time.sleep(1)


def unread(service: Service) -> int:
    """How many bytes wait in the kernel for those whom a service answers."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(int(row[4][:8], 16) for row in rows if int(row[1][-4:], 16) == service.port)


@contextlib.contextmanager
def crowd(service: Service) -> Iterator[list[socket.socket]]:
    """Have two thousand connected: every other one says nothing, the rest begin a question."""
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connected(service)) for _ in range(CROWD)]
        for connection in connections[::2]:
            say(connection, ASKED)
        yield connections


def say(connection: socket.socket, words: bytes) -> None:
    """Say something to whoever may have hung up."""
    with contextlib.suppress(ConnectionError):
        connection.send(words)


def asked(service: Service, seconds: float, meanwhile: Callable[[], None]) -> list[Reply]:
    """Ask readiness for so long, on a new connection each time."""
    with Prober(service, "/health/ready") as prober:
        over = time.monotonic() + seconds
        while time.monotonic() < over:
            meanwhile()
            time.sleep(0.2)
    return prober.replies


def test_probers_are_answered_among_two_thousand_who_hold_the_line(service: Service) -> None:
    """Every probe is, as soon as in an empty house or nearly so, while heads come byte by byte."""
    alone = asked(service, 2, lambda: None)
    with crowd(service) as connections:

        def dribble() -> None:
            for connection in connections[::2]:
                say(connection, b"X")

        among = asked(service, 4, dribble)
    assert {reply.code for reply in among} == {200}
    assert len(among) > 100
    assert p99(among) < 10 * p99(alone) + 0.1
    assert max(reply.seconds for reply in among) < 2


def test_whoever_holds_the_line_is_sent_away(serve: Service) -> None:
    """Within the time for a head, however busily it comes byte by byte."""
    before = serve.descriptors()
    with crowd(serve) as connections:
        over = time.monotonic() + IDLE_TIMEOUT + 3
        while time.monotonic() < over:
            for connection in connections[::20]:
                say(connection, b"X")
            time.sleep(0.5)
        assert serve.descriptors() <= before + 1


def test_whoever_never_reads_is_sent_away(serve: Service) -> None:
    """In the time for an answer, with thousands outstanding; probers and memory notice nothing."""
    held, before = serve.descriptors(), memory(serve, "VmRSS")
    with contextlib.ExitStack() as stack:
        deaf = [stack.enter_context(connected(serve)) for _ in range(DEAF)]
        prober = stack.enter_context(Prober(serve, "/health/ready"))
        for connection in deaf:
            connection.setblocking(False)  # noqa: FBT003
            say(connection, PAGE * 2_000)
        until(lambda: serve.descriptors() > held + DEAF // 2, 5)
        # Before that it still makes pages, to fill what the kernel takes of them.
        settled(lambda: unread(serve), 60)
        until(lambda: serve.descriptors() <= held + 1, IDLE_TIMEOUT + 5)
    assert {reply.code for reply in prober.replies} == {200}
    assert max(reply.seconds for reply in prober.replies) < 2
    assert memory(serve, "VmHWM") - before < 32 * MIB


def test_a_head_without_an_end_fills_no_memory(serve: Service) -> None:
    """It is refused long before the hundred megabytes that somebody would send."""
    before, sent = memory(serve, "VmRSS"), 0
    with connected(serve) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(ASKED + b"X: ")
        while sent < 100 * MIB:
            sent += connection.send(bytes(MAX_HEAD).replace(b"\0", b"a"))
    assert sent < 16 * MIB
    assert memory(serve, "VmHWM") - before < 8 * MIB


def test_thousands_who_go_before_they_are_answered_leave_nothing(service: Service) -> None:
    """Reset, half closed, or by curl's own impatience: no descriptor, thread or line is left."""
    url = f"http://127.0.0.1:{service.port}/health?verbose&[1-1000]"
    hasty = ["curl", "--silent", "--max-time", "0.01", "--header", "Connection: close", url]
    before, held = service.descriptors(), threads(service)
    with Prober(service, "/health/live") as prober:
        for number in range(CROWD):
            with connected(service) as connection:
                if number % 2:
                    linger = struct.pack("ii", 1, 0)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                connection.sendall((ASKED + b"\r\n")[: 1 + number % 40])
                if number % 3:
                    connection.shutdown(socket.SHUT_WR)
        subprocess.run(hasty, check=False, stdout=subprocess.DEVNULL, timeout=60)
    assert {reply.code for reply in prober.replies} == {200}
    until(lambda: service.descriptors() <= before + 1, 10)
    assert threads(service) <= held + 1

"""Probes are answered among thousands of idle, slow or abandoned connections."""

import contextlib
import resource
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.server.limits import IDLE_TIMEOUT, MAX_HEAD
from tests.support.devservers import Valkey
from tests.support.service import SERVE, UVICORN, Prober, Reply, Service, on, p99, running, wait_for
from tests.system.test_load import MIB, memory


pytestmark = pytest.mark.alone

CONNECTIONS = 2_000
NOT_READING = 20
INCOMPLETE = b"GET /livez?x HTTP/1.1\r\nHost: a\r\n"
PAGE = b"GET /health?format=html HTTP/1.1\r\nHost: a\r\n\r\n"

# `vitals serve` with a hard limit of descriptors below the number of connections.
LIMITED = ("sh", "-c", 'ulimit -n 1024 && exec "$0" "$@"', *SERVE)


@pytest.fixture(name="descriptors", autouse=True)
def _descriptors() -> Iterator[None]:
    """Raise the descriptor limit of the test itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 3 * CONNECTIONS), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(
    name="service", params=[SERVE, LIMITED, UVICORN], ids=["serve", "limited", "uvicorn"]
)
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


def connect(service: Service) -> socket.socket:
    """Connect to a service."""
    return socket.create_connection(("127.0.0.1", service.port), timeout=10)


def threads(service: Service) -> int:
    """Return the number of threads of a service."""
    return len(list(Path(f"/proc/{service.process.pid}/task").iterdir()))


def wait_until_stable(figure: Callable[[], int], within: float) -> None:
    """Wait until a figure does not change for a second."""
    deadline, before = time.monotonic() + within, -1
    while (now := figure()) != before:
        assert time.monotonic() < deadline
        before = now
        time.sleep(1)


def unread_bytes(service: Service) -> int:
    """Return the number of bytes in the kernel that the clients of a service have not read."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(int(row[4][:8], 16) for row in rows if int(row[1][-4:], 16) == service.port)


@contextlib.contextmanager
def open_connections(service: Service) -> Iterator[list[socket.socket]]:
    """Open 2,000 connections: half are idle, half send the start of a request."""
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connect(service)) for _ in range(CONNECTIONS)]
        for connection in connections[::2]:
            send(connection, INCOMPLETE)
        yield connections


def send(connection: socket.socket, data: bytes) -> None:
    """Send to a client that may have been disconnected."""
    with contextlib.suppress(ConnectionError):
        connection.send(data)


def probe_readiness(service: Service, seconds: float, meanwhile: Callable[[], None]) -> list[Reply]:
    """Probe readiness for *seconds*, on a new connection each time, and return the replies."""
    with Prober(service, "/health/ready") as prober:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            meanwhile()
            time.sleep(0.2)
    return prober.replies


def test_probes_are_answered_among_thousands_of_slow_connections(service: Service) -> None:
    """They are almost as fast as without the connections, which send headers byte by byte."""
    alone = probe_readiness(service, 2, lambda: None)
    with open_connections(service) as connections:

        def send_a_byte() -> None:
            for connection in connections[::2]:
                send(connection, b"X")

        among = probe_readiness(service, 4, send_a_byte)
    assert {reply.code for reply in among} == {200}
    assert len(among) > 100
    assert p99(among) < 10 * p99(alone) + 0.1
    assert max(reply.seconds for reply in among) < 2


def test_clients_that_never_finish_a_request_are_disconnected(serve: Service) -> None:
    """The time limit of the headers applies even if bytes keep arriving."""
    before = serve.descriptors()
    with open_connections(serve) as connections:
        end = time.monotonic() + IDLE_TIMEOUT + 3
        while time.monotonic() < end:
            for connection in connections[::20]:
                send(connection, b"X")
            time.sleep(0.5)
        assert serve.descriptors() <= before + 1


def test_clients_that_never_read_are_disconnected(serve: Service) -> None:
    """Thousands of answers are pending; probes and memory are not affected."""
    descriptors, before = serve.descriptors(), memory(serve, "VmRSS")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(serve)) for _ in range(NOT_READING)]
        prober = stack.enter_context(Prober(serve, "/health/ready"))
        for connection in clients:
            connection.setblocking(False)  # noqa: FBT003
            send(connection, PAGE * 2_000)
        wait_for(lambda: serve.descriptors() > descriptors + NOT_READING // 2, 5)
        # Until then the service still renders pages into the buffers of the kernel.
        wait_until_stable(lambda: unread_bytes(serve), 60)
        wait_for(lambda: serve.descriptors() <= descriptors + 1, IDLE_TIMEOUT + 5)
    assert {reply.code for reply in prober.replies} == {200}
    assert max(reply.seconds for reply in prober.replies) < 2
    assert memory(serve, "VmHWM") - before < 32 * MIB


def test_endless_headers_are_rejected_early(serve: Service) -> None:
    """The service rejects them long before 100 MB are sent, and uses little memory."""
    before, sent = memory(serve, "VmRSS"), 0
    with connect(serve) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(INCOMPLETE + b"X: ")
        while sent < 100 * MIB:
            sent += connection.send(bytes(MAX_HEAD).replace(b"\0", b"a"))
    assert sent < 16 * MIB
    assert memory(serve, "VmHWM") - before < 8 * MIB


def test_clients_that_disconnect_early_leak_nothing(service: Service) -> None:
    """Resets, half-closes and timeouts leave no descriptor, no thread and no traceback."""
    url = f"http://127.0.0.1:{service.port}/health?verbose&[1-1000]"
    curl = ["curl", "--silent", "--max-time", "0.01", "--header", "Connection: close", url]
    before, threads_before = service.descriptors(), threads(service)
    with Prober(service, "/health/live") as prober:
        for number in range(CONNECTIONS):
            with connect(service) as connection:
                if number % 2:
                    linger = struct.pack("ii", 1, 0)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                connection.sendall((INCOMPLETE + b"\r\n")[: 1 + number % 40])
                if number % 3:
                    connection.shutdown(socket.SHUT_WR)
        subprocess.run(curl, check=False, stdout=subprocess.DEVNULL, timeout=60)
    assert {reply.code for reply in prober.replies} == {200}
    wait_for(lambda: service.descriptors() <= before + 1, 10)
    assert threads(service) <= threads_before + 1

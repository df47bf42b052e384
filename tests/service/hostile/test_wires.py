"""Malformed and unusual requests get an answer over a real port, and log no error."""

import contextlib
import re
import socket
import struct
import time
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path

import pytest

from tests.service.hostile.wires import AMBIGUOUS, MALFORMED, ODD
from tests.support.devservers import Valkey
from tests.support.service import SERVE, UVICORN, Service, on, running
from tests.unit.checks.attempt import eventually


@pytest.fixture(name="service", scope="module", params=[SERVE, UVICORN], ids=["serve", "uvicorn"])
def _service(
    valkey: Valkey, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Service]:
    """Run a service, and assert at the end that it logged no error."""
    key = tmp_path_factory.mktemp("key") / "jwt_secret"
    key.write_text("k" * 32)
    environ = {**on(valkey=valkey), "HEALTH_DETAILS": "authorized", "JWT_SECRET_FILE": str(key)}
    environ["RECONNECT_INTERVAL"] = "86400"  # it has one descriptor less between two sessions
    log: Path = tmp_path_factory.mktemp("log") / "log"
    with running(environ, log, request.param) as service:
        while service.ask("/health/ready").code != 200:
            time.sleep(0.01)
        yield service
    assert "Traceback" not in log.read_text()
    assert '"level": "error"' not in log.read_text()


def connect(service: Service) -> socket.socket:
    """Connect to a service."""
    return socket.create_connection(("127.0.0.1", service.port), timeout=5)


def first_status(service: Service, request: bytes) -> int:
    """Send bytes, and return the status of the first response."""
    with connect(service) as connection:
        connection.sendall(request)
        with contextlib.closing(HTTPResponse(connection)) as response:
            response.begin()
            response.read()
            return response.status


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_an_ambiguous_request_ends_the_connection(service: Service, name: str) -> None:
    """There is one response, so a request that is smuggled behind it is never read."""
    replies = service.raw(AMBIGUOUS[name])
    assert replies.count(b"HTTP/1.1 ") == 1
    assert replies.split()[1] == (b"200" if name == "chunks of 1.0" else b"400")
    assert "smuggled" not in service.log.read_text()
    assert service.ask("/health/live").code == 200


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_request_gets_a_400(service: Service, name: str) -> None:
    """The server answers at once."""
    assert first_status(service, MALFORMED[name]) == 400
    assert service.ask("/health/live").code == 200


@pytest.mark.parametrize("name", ODD)
def test_an_unusual_request_is_answered(service: Service, name: str) -> None:
    """It gets the status of the same request in its usual form."""
    request, code = ODD[name]
    assert first_status(service, request) == code
    assert service.ask("/health/live").code == 200


def test_a_thousand_pipelined_requests_are_answered_in_order(service: Service) -> None:
    """Requests of the fast path are mixed with others."""
    usual, other = b"GET /livez HTTP/1.1\r\n\r\n", b"HEAD /livez?x HTTP/1.1\r\n\r\n"
    last = b"GET /nothing HTTP/1.1\r\nConnection: close\r\n\r\n"
    replies = service.raw(usual + (usual + other) * 500 + last)
    codes = re.findall(rb"HTTP/1.1 (\d+)", replies)
    assert codes == [b"200"] * 1001 + [b"404"]


@pytest.mark.parametrize("request_", [b"GET /livez?x HTTP/1.1\r\n\r\n", b"GET /livez", b""])
async def test_clients_that_disconnect_leave_no_descriptor(
    service: Service, request_: bytes
) -> None:
    """A hundred clients reset their connections during or after the request."""
    service.ask("/health/live")
    before = service.descriptors()
    for _ in range(100):
        with connect(service) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(request_)
    assert service.ask("/health/live").code == 200
    await eventually(lambda: service.descriptors() <= before)


def test_a_client_that_closes_its_half_of_the_connection_is_answered(
    valkey: Valkey, tmp_path: Path
) -> None:
    """Under `vitals serve` a client may send its last request and shut down its side."""
    with running(on(valkey=valkey), tmp_path / "log") as service:
        for request in (b"GET /livez HTTP/1.1\r\n\r\n", b"GET /livez?x HTTP/1.1\r\n\r\n"):
            with connect(service) as connection:
                connection.sendall(request)
                connection.shutdown(socket.SHUT_WR)
                assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")

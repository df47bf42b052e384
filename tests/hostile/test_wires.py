"""What nobody should send gets an answer, on a real port, and leaves nothing in the log."""

import contextlib
import re
import socket
import struct
import time
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path

import pytest

from app.devservers import Valkey
from tests.hostile.wires import AMBIGUOUS, MALFORMED, ODD
from tests.probes.attempt import eventually
from tests.service import SERVE, UVICORN, Service, on, running


@pytest.fixture(name="service", scope="module", params=[SERVE, UVICORN], ids=["serve", "uvicorn"])
def _service(
    valkey: Valkey, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Service]:
    """Run a service; whatever it was sent, none of it was a mistake of its own."""
    key = tmp_path_factory.mktemp("key") / "jwt_secret"
    key.write_text("k" * 32)
    environ = {**on(valkey=valkey), "HEALTH_DETAILS": "authorized", "JWT_SECRET_FILE": str(key)}
    environ["RECONNECT_INTERVAL"] = "86400"  # between two sessions it holds a descriptor less
    log: Path = tmp_path_factory.mktemp("log") / "log"
    with running(environ, log, request.param) as service:
        while service.ask("/health/ready").code != 200:
            time.sleep(0.01)
        yield service
    assert "Traceback" not in log.read_text()
    assert '"level": "error"' not in log.read_text()


def connected(service: Service) -> socket.socket:
    """A connection to a service."""
    return socket.create_connection(("127.0.0.1", service.port), timeout=5)


def first(service: Service, request: bytes) -> int:
    """Send bytes, and tell the code of the first answer."""
    with connected(service) as connection:
        connection.sendall(request)
        with contextlib.closing(HTTPResponse(connection)) as response:
            response.begin()
            response.read()
            return response.status


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_what_could_be_read_in_two_ways_is_read_in_none(service: Service, name: str) -> None:
    """One answer, and the connection is closed: what is smuggled behind it is never heard."""
    replies = service.raw(AMBIGUOUS[name])
    assert replies.count(b"HTTP/1.1 ") == 1
    assert replies.split()[1] == (b"200" if name == "chunks of 1.0" else b"400")
    assert "smuggled" not in service.log.read_text()
    assert service.ask("/health/live").code == 200


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_request_is_refused(service: Service, name: str) -> None:
    """With a 400, at once."""
    assert first(service, MALFORMED[name]) == 400
    assert service.ask("/health/live").code == 200


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_is_answered(service: Service, name: str) -> None:
    """With the code that a plain question gets."""
    request, code = ODD[name]
    assert first(service, request) == code
    assert service.ask("/health/live").code == 200


def test_a_thousand_requests_at_once_are_answered_one_by_one(service: Service) -> None:
    """Each of them, in their order, usual ones and others mixed."""
    usual, other = b"GET /livez HTTP/1.1\r\n\r\n", b"HEAD /livez?x HTTP/1.1\r\n\r\n"
    last = b"GET /nothing HTTP/1.1\r\nConnection: close\r\n\r\n"
    replies = service.raw(usual + (usual + other) * 500 + last)
    codes = re.findall(rb"HTTP/1.1 (\d+)", replies)
    assert codes == [b"200"] * 1001 + [b"404"]


@pytest.mark.parametrize("request_", [b"GET /livez?x HTTP/1.1\r\n\r\n", b"GET /livez", b""])
async def test_nobody_is_waited_for_who_has_gone(service: Service, request_: bytes) -> None:
    """A hundred times reset in the middle, or after the question; not one descriptor is left."""
    service.ask("/health/live")
    before = service.descriptors()
    for _ in range(100):
        with connected(service) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(request_)
    assert service.ask("/health/live").code == 200
    await eventually(lambda: service.descriptors() <= before)


def test_whoever_has_no_more_to_say_is_answered(valkey: Valkey, tmp_path: Path) -> None:
    """A client may close its half of the connection when it has asked, with `vitals serve`."""
    with running(on(valkey=valkey), tmp_path / "log") as service:
        for request in (b"GET /livez HTTP/1.1\r\n\r\n", b"GET /livez?x HTTP/1.1\r\n\r\n"):
            with connected(service) as connection:
                connection.sendall(request)
                connection.shutdown(socket.SHUT_WR)
                assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")

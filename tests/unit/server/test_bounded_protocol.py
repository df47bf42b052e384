"""The limits on what uvicorn buffers."""

import asyncio
import math
from itertools import repeat

import pytest

from app.health import Status
from app.server.limits import MAX_HEAD, READ_SIZE, BoundedProtocol
from tests.support.door import Connection
from tests.support.fakes import simulate
from tests.support.request_streams import GET
from tests.unit.server.test_fast_protocol import app_with_statuses


HEAD_START = b"GET /livez HTTP/1.1\r\nX-A: "
ANY = HEAD_START + b"\r\n\r\n"
POST = b"POST /livez HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = b"a" * 1000

ENDLESS = {
    "path": (b"GET /", CHUNK),
    "query": (b"GET /livez?", CHUNK),
    "method": (b"M", b"M"),
    "name": (b"GET /livez HTTP/1.1\r\n", CHUNK),
    "value": (HEAD_START, CHUNK),
    "headers": (HEAD_START, b"b\r\na: b"),
    "empty lines": (b"\r\n", b"\r\n" * 500),
    "another head": (GET + HEAD_START, CHUNK),
    "body": (POST.replace(b"Transfer-Encoding: chunked", b"Content-Length: 1000000000"), CHUNK),
    "chunks": (POST, b"1\r\na\r\n" * 200),
    "extension": (POST + b"1;", CHUNK),
    "trailers": (POST + b"0\r\n", b"a: b\r\n" * 200),
    "trailer": (POST + b"0\r\na: ", CHUNK),
}


def open_connection() -> Connection:
    """Return a connection to an application whose checks pass."""
    return Connection(app_with_statuses(Status.PASS, Status.PASS), fast=True)


@pytest.mark.parametrize("beginning", ENDLESS)
def test_an_endless_request_is_refused(beginning: str) -> None:
    """Shortly after the size of the longest head, whichever part of the request is endless."""

    async def run() -> int:
        connection, (first, piece) = open_connection(), ENDLESS[beginning]
        sent = 0
        for data in (first, *repeat(piece, 3 * MAX_HEAD // len(piece))):
            if connection.transport.is_closing():
                break
            connection.transport.receive(data)
            sent += len(data)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert connection.transport.is_closing()
        return sent

    assert simulate(run()) < MAX_HEAD + 2 * len(CHUNK) + len(POST)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("over", [0, 1])
def test_the_longest_head_is_answered(over: int, whole: bool) -> None:
    """Its length excludes separators, and does not depend on how the head is split."""
    head = HEAD_START + b"a" * (MAX_HEAD - len("/livezX-A") + over) + b"\r\n\r\n"

    async def run() -> bytes:
        connection = open_connection()
        for data in [head] if whole else [head[:9], head[9:]]:
            connection.transport.receive(data)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return connection.transport.written

    assert simulate(run()).split()[1] == (b"400" if over else b"200")


def test_a_connection_is_idle_since_its_last_answer() -> None:
    """Or since it was opened; it is not idle while a request is being answered."""

    async def run() -> None:
        await asyncio.sleep(1)
        connection = open_connection()
        await asyncio.sleep(1)
        connection.transport.receive(HEAD_START)
        bounded = connection.transport.protocol
        assert isinstance(bounded, BoundedProtocol)
        assert bounded.idle_since == 1
        connection.transport.receive(b"\r\n\r\n")
        assert bounded.idle_since == math.inf
        await asyncio.sleep(1)
        assert bounded.idle_since == 2

    simulate(run())


@pytest.mark.parametrize("first", [GET, ANY])
def test_the_time_for_a_request_starts_with_its_first_byte(first: bytes) -> None:
    """Not with the answer before it, whichever protocol sent that."""

    async def run() -> None:
        connection = open_connection()
        connection.transport.receive(first)
        for _ in range(2):
            await asyncio.sleep(1)
            connection.transport.receive(HEAD_START)
            bounded = connection.transport.protocol
            assert isinstance(bounded, BoundedProtocol)
            assert bounded.idle_since == 1

    simulate(run())


def test_a_client_that_does_not_read_is_idle() -> None:
    """An unread answer takes as much memory as an idle connection."""

    async def run() -> None:
        connection = open_connection()
        connection.transport.receive(HEAD_START)
        bounded = connection.transport.protocol
        assert isinstance(bounded, BoundedProtocol)
        await asyncio.sleep(1)
        bounded.pause_writing()
        connection.transport.receive(b"\r\n\r\n")
        await asyncio.sleep(1)
        assert bounded.idle_since == 1
        bounded.resume_writing()
        assert bounded.idle_since == math.inf

    simulate(run())


def test_a_client_that_closes_its_sending_side_gets_its_answer() -> None:
    """The connection closes after the answer, or at once if no request is complete."""

    async def run() -> bytes:
        connection = open_connection()
        connection.transport.receive(HEAD_START)
        bounded = connection.transport.protocol
        assert isinstance(bounded, BoundedProtocol)
        assert not bounded.eof_received()
        connection.transport.receive(b"\r\n\r\n")
        assert bounded.eof_received()
        await asyncio.sleep(1)
        assert connection.transport.is_closing()
        return connection.transport.written

    assert b"\r\nconnection: close\r\n" in simulate(run())


def test_pipelined_requests_are_not_read_before_they_can_be_answered() -> None:
    """About thirty of two thousand are queued at a time, and each gets its answer."""

    async def run() -> tuple[int, bytes]:
        connection = open_connection()
        connection.transport.receive(ANY * 1000)
        connection.transport.receive(ANY * 1000)
        bounded = connection.transport.protocol
        assert isinstance(bounded, BoundedProtocol)
        most = 0
        for _ in range(20_000):
            most = max(most, len(bounded.pipeline))
            await asyncio.sleep(0)
        return most, connection.transport.written

    most, written = simulate(run())
    assert 0 < most <= READ_SIZE // len(ANY) + 1
    assert written.count(b"HTTP/1.1 200 OK") == 2000


def test_an_answer_stops_when_the_client_disconnects(caplog: pytest.LogCaptureFixture) -> None:
    """Even if it is not the answer to the latest request."""

    async def run() -> None:
        connection = open_connection()
        connection.transport.receive(ANY * 3)
        bounded = connection.transport.protocol
        assert isinstance(bounded, BoundedProtocol)
        bounded.pause_writing()
        await asyncio.sleep(1)
        connection.transport.close()
        await asyncio.sleep(1)
        assert not connection.state.tasks
        assert not connection.transport.written

    simulate(run())
    assert not [one for one in caplog.records if one.name == "uvicorn.error"]

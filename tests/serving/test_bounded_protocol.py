"""What uvicorn would keep for as long as it comes has an end here."""

import asyncio
import math
from itertools import repeat

import pytest

from app.health import Status
from app.server.limits import MAX_HEAD, BoundedProtocol
from app.server.limits import READ_SIZE as READ_AT_ONCE
from tests.door import Door
from tests.fakes import simulate
from tests.request_streams import GET
from tests.serving.test_fast_protocol import app_with_statuses


UNUSUAL = b"GET /livez HTTP/1.1\r\nX-A: "
ANY = UNUSUAL + b"\r\n\r\n"
POST = b"POST /livez HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
READ_SIZE = b"a" * 1000

ENDLESS = {
    "path": (b"GET /", READ_SIZE),
    "query": (b"GET /livez?", READ_SIZE),
    "method": (b"M", b"M"),
    "name": (b"GET /livez HTTP/1.1\r\n", READ_SIZE),
    "value": (UNUSUAL, READ_SIZE),
    "headers": (UNUSUAL, b"b\r\na: b"),
    "empty lines": (b"\r\n", b"\r\n" * 500),
    "another head": (GET + UNUSUAL, READ_SIZE),
    "body": (POST.replace(b"Transfer-Encoding: chunked", b"Content-Length: 1000000000"), READ_SIZE),
    "chunks": (POST, b"1\r\na\r\n" * 200),
    "extension": (POST + b"1;", READ_SIZE),
    "trailers": (POST + b"0\r\n", b"a: b\r\n" * 200),
    "trailer": (POST + b"0\r\na: ", READ_SIZE),
}


def a_door() -> Door:
    """A door of a service that is well."""
    return Door(app_with_statuses(Status.PASS, Status.PASS), fast=True)


@pytest.mark.parametrize("beginning", ENDLESS)
def test_what_does_not_end_is_ended(beginning: str) -> None:
    """Within a few thousand bytes of the longest head, whichever part of a request goes on."""

    async def story() -> int:
        door, (first, piece) = a_door(), ENDLESS[beginning]
        sent = 0
        for data in (first, *repeat(piece, 3 * MAX_HEAD // len(piece))):
            if door.wire.is_closing():
                break
            door.wire.receive(data)
            sent += len(data)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert door.wire.is_closing()
        return sent

    assert simulate(story()) < MAX_HEAD + 2 * len(READ_SIZE) + len(POST)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("over", [0, 1])
def test_a_head_is_as_long_as_it_may_be(over: int, whole: bool) -> None:
    """Counted without what separates its parts, however it arrives."""
    head = UNUSUAL + b"a" * (MAX_HEAD - len("/livezX-A") + over) + b"\r\n\r\n"

    async def story() -> bytes:
        door = a_door()
        for data in [head] if whole else [head[:9], head[9:]]:
            door.wire.receive(data)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return door.wire.written

    assert simulate(story()).split()[1] == (b"400" if over else b"200")


def test_it_waits_from_its_last_answer_on() -> None:
    """From when it came, as long as it has none; not while it is being answered."""

    async def story() -> None:
        await asyncio.sleep(1)
        door = a_door()
        await asyncio.sleep(1)
        door.wire.receive(UNUSUAL)
        bounded = door.wire.protocol
        assert isinstance(bounded, BoundedProtocol)
        assert bounded.idle_since == 1
        door.wire.receive(b"\r\n\r\n")
        assert bounded.idle_since == math.inf
        await asyncio.sleep(1)
        assert bounded.idle_since == 2

    simulate(story())


def test_whoever_does_not_read_waits_too() -> None:
    """An answer that is not taken holds what one that is not asked for does."""

    async def story() -> None:
        door = a_door()
        door.wire.receive(UNUSUAL)
        bounded = door.wire.protocol
        assert isinstance(bounded, BoundedProtocol)
        await asyncio.sleep(1)
        bounded.pause_writing()
        door.wire.receive(b"\r\n\r\n")
        await asyncio.sleep(1)
        assert bounded.idle_since == 1
        bounded.resume_writing()
        assert bounded.idle_since == math.inf

    simulate(story())


def test_whoever_has_no_more_to_say_is_still_answered() -> None:
    """And the connection ends with the answer; without a question it ends at once."""

    async def story() -> bytes:
        door = a_door()
        door.wire.receive(UNUSUAL)
        bounded = door.wire.protocol
        assert isinstance(bounded, BoundedProtocol)
        assert not bounded.eof_received()
        door.wire.receive(b"\r\n\r\n")
        assert bounded.eof_received()
        await asyncio.sleep(1)
        assert door.wire.is_closing()
        return door.wire.written

    assert b"\r\nconnection: close\r\n" in simulate(story())


def test_what_cannot_be_answered_yet_is_not_read() -> None:
    """Of two thousand requests some thirty wait at a time, and each has its answer in the end."""

    async def story() -> tuple[int, bytes]:
        door = a_door()
        door.wire.receive(ANY * 1000)
        door.wire.receive(ANY * 1000)
        bounded = door.wire.protocol
        assert isinstance(bounded, BoundedProtocol)
        most = 0
        for _ in range(20_000):
            most = max(most, len(bounded.pipeline))
            await asyncio.sleep(0)
        return most, door.wire.written

    most, written = simulate(story())
    assert 0 < most <= READ_AT_ONCE // len(ANY) + 1
    assert written.count(b"HTTP/1.1 200 OK") == 2000


def test_whoever_goes_in_the_middle_is_answered_no_more(caplog: pytest.LogCaptureFixture) -> None:
    """Though it is not the last one asked for that is being answered."""

    async def story() -> None:
        door = a_door()
        door.wire.receive(ANY * 3)
        bounded = door.wire.protocol
        assert isinstance(bounded, BoundedProtocol)
        bounded.pause_writing()
        await asyncio.sleep(1)
        door.wire.close()
        await asyncio.sleep(1)
        assert not door.state.tasks
        assert not door.wire.written

    simulate(story())
    assert not [one for one in caplog.records if one.name == "uvicorn.error"]

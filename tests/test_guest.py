"""What uvicorn would keep for as long as it comes has an end here."""

import asyncio
import math
from itertools import repeat

import pytest

from app.guest import LONGEST, Guest
from app.guest import PIECE as READ_AT_ONCE
from app.health import Status
from tests.door import Door
from tests.fakes import simulate
from tests.streams import GET
from tests.test_doorman import a_scene


UNUSUAL = b"GET /livez HTTP/1.1\r\nX-A: "
ANY = UNUSUAL + b"\r\n\r\n"
POST = b"POST /livez HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
PIECE = b"a" * 1000

ENDLESS = {
    "path": (b"GET /", PIECE),
    "query": (b"GET /livez?", PIECE),
    "method": (b"M", b"M"),
    "name": (b"GET /livez HTTP/1.1\r\n", PIECE),
    "value": (UNUSUAL, PIECE),
    "headers": (UNUSUAL, b"b\r\na: b"),
    "empty lines": (b"\r\n", b"\r\n" * 500),
    "another head": (GET + UNUSUAL, PIECE),
    "body": (POST.replace(b"Transfer-Encoding: chunked", b"Content-Length: 1000000000"), PIECE),
    "chunks": (POST, b"1\r\na\r\n" * 200),
    "extension": (POST + b"1;", PIECE),
    "trailers": (POST + b"0\r\n", b"a: b\r\n" * 200),
    "trailer": (POST + b"0\r\na: ", PIECE),
}


def a_door() -> Door:
    """A door of a service that is well."""
    return Door(a_scene(Status.PASS, Status.PASS), doorman=True)


@pytest.mark.parametrize("beginning", ENDLESS)
def test_what_does_not_end_is_ended(beginning: str) -> None:
    """Within a few thousand bytes of the longest head, whichever part of a request goes on."""

    async def story() -> int:
        door, (first, piece) = a_door(), ENDLESS[beginning]
        sent = 0
        for data in (first, *repeat(piece, 3 * LONGEST // len(piece))):
            if door.wire.is_closing():
                break
            door.wire.receive(data)
            sent += len(data)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert door.wire.is_closing()
        return sent

    assert simulate(story()) < LONGEST + 2 * len(PIECE) + len(POST)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("over", [0, 1])
def test_a_head_is_as_long_as_it_may_be(over: int, whole: bool) -> None:
    """Counted without what separates its parts, however it arrives."""
    head = UNUSUAL + b"a" * (LONGEST - len("/livezX-A") + over) + b"\r\n\r\n"

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
        guest = door.wire.protocol
        assert isinstance(guest, Guest)
        assert guest.since == 1
        door.wire.receive(b"\r\n\r\n")
        assert guest.since == math.inf
        await asyncio.sleep(1)
        assert guest.since == 2

    simulate(story())


def test_whoever_does_not_read_waits_too() -> None:
    """An answer that is not taken holds what one that is not asked for does."""

    async def story() -> None:
        door = a_door()
        door.wire.receive(UNUSUAL)
        guest = door.wire.protocol
        assert isinstance(guest, Guest)
        await asyncio.sleep(1)
        guest.pause_writing()
        door.wire.receive(b"\r\n\r\n")
        await asyncio.sleep(1)
        assert guest.since == 1
        guest.resume_writing()
        assert guest.since == math.inf

    simulate(story())


def test_whoever_has_no_more_to_say_is_still_answered() -> None:
    """And the connection ends with the answer; without a question it ends at once."""

    async def story() -> bytes:
        door = a_door()
        door.wire.receive(UNUSUAL)
        guest = door.wire.protocol
        assert isinstance(guest, Guest)
        assert not guest.eof_received()
        door.wire.receive(b"\r\n\r\n")
        assert guest.eof_received()
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
        guest = door.wire.protocol
        assert isinstance(guest, Guest)
        most = 0
        for _ in range(20_000):
            most = max(most, len(guest.pipeline))
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
        guest = door.wire.protocol
        assert isinstance(guest, Guest)
        guest.pause_writing()
        await asyncio.sleep(1)
        door.wire.close()
        await asyncio.sleep(1)
        assert not door.state.tasks
        assert not door.wire.written

    simulate(story())
    assert not [one for one in caplog.records if one.name == "uvicorn.error"]

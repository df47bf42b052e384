"""What stands before uvicorn is not seen: the same bytes, at the same time, with the same log."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.health import Status
from app.server.fast_path import MAX_CACHED, FastProtocol, RawResponseCache, parse_cacheable_request
from tests.api.scene import AppUnderTest
from tests.door import Door, heard
from tests.request_streams import GET, STREAMS


METHODS = st.sampled_from([b"GET", b"HEAD", b"get"])
TARGETS = st.sampled_from([b"/livez", b"/health/", b"/startupz", b"//livez", b"/x", b"/livez?a"])
VERSIONS = st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/0.9", b"HTTP/1.1 "])
NAMES = st.sampled_from([b"Host", b"accept", b"CONNECTION", b"User-Agent", b"X-A", b"Cookie"])
COLONS = st.sampled_from([b": ", b":", b" : ", b":\t", b":  "])
VALUES = st.sampled_from([b"", b"*/*", b"close", b"Keep-Alive", b"a b", b"close ", b"\xff", b","])
LINES = st.lists(st.builds(lambda *parts: b"".join(parts), NAMES, COLONS, VALUES), max_size=4)
HEADS = st.builds(
    lambda method, target, version, lines: b"\r\n".join(
        [b" ".join([method, target, version]), *lines, b"", b""]
    ),
    *(METHODS, TARGETS, VERSIONS, LINES),
)


def app_with_statuses(*statuses: Status) -> AppUnderTest:
    """A service that knows this of its dependencies, with answers ready."""
    app_under_test = AppUnderTest()
    app_under_test.set_statuses(*statuses)
    app_under_test.app.response_cache = app_under_test.response_cache()
    return app_under_test


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_a_stream_cut_anywhere_is_answered_as_uvicorn_does(stream: bytes) -> None:
    """Bytes written, the moment of closing, connections, requests and log lines are the same."""
    app_under_test = app_with_statuses(Status.PASS, Status.PASS)
    for cut in range(len(stream)):
        chunks = [chunk for chunk in (stream[:cut], stream[cut:]) if chunk]
        expected = heard(app_under_test, chunks, fast=False)
        assert heard(app_under_test, chunks, fast=True) == expected


@pytest.mark.parametrize("quiet", [True, False])
@pytest.mark.parametrize("phase", ["serving", "failing", "starting", "maintenance", "draining"])
def test_every_phase_is_answered_as_uvicorn_does(phase: str, quiet: bool) -> None:
    """Whole streams and byte by byte, with and without successful probes in the log."""
    known = {"failing": Status.FAIL, "starting": Status.UNKNOWN}.get(phase, Status.PASS)
    app_under_test = app_with_statuses(known, Status.PASS)
    app_under_test.lifecycle.maintenance = phase == "maintenance"
    if phase == "draining":
        app_under_test.lifecycle.drain()
    for stream in STREAMS.values():
        for chunks in ([stream], [bytes([octet]) for octet in stream]):
            expected = heard(app_under_test, chunks, fast=False, quiet=quiet, pause=0.01)
            assert heard(app_under_test, chunks, fast=True, quiet=quiet, pause=0.01) == expected


@given(st.lists(HEADS, min_size=1, max_size=3))
def test_no_bytes_tell_the_two_doors_apart(chunks: list[bytes]) -> None:
    """Whatever arrives, a head at a time."""
    app_under_test = app_with_statuses(Status.PASS, Status.FAIL)
    assert heard(app_under_test, chunks, fast=True) == heard(app_under_test, chunks, fast=False)


@pytest.mark.parametrize("pause", [0.5, 4.9, 5.1, 11])
def test_a_silent_connection_is_closed_at_the_same_moment(pause: float) -> None:
    """Five seconds after the last answer, and not after the first."""
    app_under_test, chunks = app_with_statuses(Status.PASS, Status.PASS), [GET] * 3
    expected = heard(app_under_test, chunks, fast=False, pause=pause)
    assert expected[1] == pytest.approx(pause * (3 if pause < 5 else 1) + 5)
    assert heard(app_under_test, chunks, fast=True, pause=pause) == expected


async def test_uvicorn_is_not_woken_for_a_usual_request() -> None:
    """It has the connection from the first other one on."""
    door = Door(app_with_statuses(Status.PASS, Status.PASS), fast=True)
    for usual in (GET, STREAMS["head"], GET):
        door.wire.receive(usual)
        assert isinstance(door.wire.protocol, FastProtocol)
    door.wire.receive(b"GET /health?verbose HTTP/1.1\r\n\r\n")
    assert isinstance(door.wire.protocol, HttpToolsProtocol)
    door.wire.receive(GET)
    assert isinstance(door.wire.protocol, HttpToolsProtocol)


async def test_nobody_is_answered_who_does_not_read() -> None:
    """Once the network holds too much, uvicorn has the connection, and waits."""
    door = Door(app_with_statuses(Status.PASS, Status.PASS), fast=True)
    fast = door.wire.protocol
    fast.pause_writing()
    fast.resume_writing()
    door.wire.receive(GET)
    assert door.wire.protocol is fast
    fast.pause_writing()
    door.wire.receive(GET)
    answered = door.wire.written
    await asyncio.sleep(0)
    assert door.wire.written == answered
    door.wire.protocol.resume_writing()
    while door.wire.written == answered:
        await asyncio.sleep(0)
    assert door.wire.written == answered * 2


async def test_a_stop_closes_the_connections_that_wait() -> None:
    """As uvicorn closes those that nobody is being answered on."""
    door = Door(app_with_statuses(Status.PASS, Status.PASS), fast=True)
    door.wire.receive(GET)
    for connection in list(door.state.connections):
        connection.shutdown()
    assert door.wire.is_closing()


async def test_the_date_moves_on() -> None:
    """The server's own headers change each second."""
    door = Door(app_with_statuses(Status.PASS, Status.PASS), fast=True)
    for date in (b"Tue, 24 Nov 2026 10:00:00 GMT", b"Tue, 24 Nov 2026 10:00:01 GMT"):
        door.state.default_headers = [(b"date", date)]
        door.wire.receive(GET)
        assert b"\r\ndate: " + date + b"\r\n" in door.wire.written


def test_a_request_is_known_until_many_others_have_come() -> None:
    """A prober that sends another word each time fills no memory."""
    replies = RawResponseCache(app_with_statuses(Status.PASS, Status.PASS).app)
    headers = [(b"date", b"now")]
    first = replies.get(GET, headers)
    assert first
    assert replies.get(GET, headers) is first
    for number in range(MAX_CACHED):
        assert replies.get(GET.replace(b": a", b": %d" % number), headers)
    again = replies.get(GET, headers)
    assert again
    assert again.data == first.data
    assert again is not first


@pytest.mark.parametrize("name", ["text", "token", "forwarded", "body", "connection listed"])
def test_what_asks_for_more_is_not_recognised(name: str) -> None:
    """Nor what a lenient parser might read in another way."""
    assert parse_cacheable_request(GET)
    assert parse_cacheable_request(STREAMS[name]) is None

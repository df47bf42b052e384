"""The fast path sends what uvicorn sends, at the same time, with the same log."""

import asyncio
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.health import Status
from app.server.fast_path import MAX_CACHED, FastProtocol, RawResponseCache, parse_cacheable_request
from app.server.limits import BoundedProtocol
from tests.support.door import Connection, exchange
from tests.support.fakes import simulate
from tests.support.request_streams import GET, STREAMS
from tests.unit.api.scene import AppUnderTest


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
    """Return an application with a response cache, whose checks have these statuses."""
    app_under_test = AppUnderTest()
    app_under_test.set_statuses(*statuses)
    app_under_test.app.response_cache = app_under_test.response_cache()
    return app_under_test


@pytest.mark.slow
@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_a_split_stream_gets_the_same_answer_as_from_uvicorn(stream: bytes) -> None:
    """The same bytes, time of closing, connections, counted requests and log lines."""
    app_under_test = app_with_statuses(Status.PASS, Status.PASS)
    for cut in range(len(stream)):
        chunks = [chunk for chunk in (stream[:cut], stream[cut:]) if chunk]
        expected = exchange(app_under_test, chunks, fast=False)
        assert exchange(app_under_test, chunks, fast=True) == expected


@pytest.mark.slow
@pytest.mark.parametrize("quiet", [True, False])
@pytest.mark.parametrize("phase", ["serving", "failing", "starting", "maintenance", "draining"])
def test_every_phase_gets_the_same_answer_as_from_uvicorn(phase: str, quiet: bool) -> None:
    """For whole streams and byte by byte, with and without successful probes in the log."""
    known = {"failing": Status.FAIL, "starting": Status.UNKNOWN}.get(phase, Status.PASS)
    app_under_test = app_with_statuses(known, Status.PASS)
    app_under_test.lifecycle.maintenance = phase == "maintenance"
    if phase == "draining":
        app_under_test.lifecycle.drain()
    for stream in STREAMS.values():
        for chunks in ([stream], [bytes([octet]) for octet in stream]):
            expected = exchange(app_under_test, chunks, fast=False, quiet=quiet, pause=0.01)
            assert exchange(app_under_test, chunks, fast=True, quiet=quiet, pause=0.01) == expected


@given(st.lists(HEADS, min_size=1, max_size=3))
def test_any_requests_get_the_same_answers_as_from_uvicorn(chunks: list[bytes]) -> None:
    """One head at a time."""
    app_under_test = app_with_statuses(Status.PASS, Status.FAIL)
    assert exchange(app_under_test, chunks, fast=True) == exchange(
        app_under_test, chunks, fast=False
    )


@pytest.mark.parametrize("request_", [GET, GET.replace(b"ready", b"ready?verbose")])
@pytest.mark.parametrize("pause", [0.5, 4.9, 8])
def test_an_idle_connection_is_closed_after_its_last_answer(request_: bytes, pause: float) -> None:
    """The server checks each second, so that takes up to two seconds more."""

    async def run() -> tuple[int, float]:
        loop = asyncio.get_running_loop()
        connection = Connection(app_with_statuses(Status.PASS, Status.PASS), fast=True)
        for step in range(240):
            if step in {0, round(pause * 10), round(pause * 20)}:
                connection.transport.receive(request_)
            if step % 10 == 0:
                connection.connections.close_idle(loop.time())
            await asyncio.sleep(0.1)
        assert connection.transport.closed
        return connection.transport.written.count(b"HTTP/1.1 200"), connection.transport.closed

    answers, closed = simulate(run())
    assert answers == (3 if pause < 5 else 1)
    assert 5 < closed - pause * (answers - 1) <= 7


async def test_a_connection_is_kept_between_two_requests() -> None:
    """Not before the first one, within one, or while the client does not read."""
    transport = Connection(app_with_statuses(Status.PASS, Status.PASS), fast=True).transport

    def pause() -> None:
        transport.protocol.pause_writing()

    def resume() -> None:
        transport.protocol.resume_writing()

    receive = transport.receive
    steps: list[Callable[[], None]] = [
        *(lambda: None, partial(receive, GET), pause, resume),
        *(partial(receive, GET[:9]), partial(receive, GET[9:]), pause, resume),
        partial(receive, b"\r\n"),
    ]
    seen = []
    for step in steps:
        step()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert isinstance(transport.protocol, FastProtocol | BoundedProtocol)
        seen.append(transport.protocol.is_kept)
    assert seen == [False, True, False, True, False, True, False, True, False]


async def test_uvicorn_gets_the_connection_at_the_first_other_request() -> None:
    """And it keeps the connection."""
    connection = Connection(app_with_statuses(Status.PASS, Status.PASS), fast=True)
    for cacheable in (GET, STREAMS["head"], GET):
        connection.transport.receive(cacheable)
        assert isinstance(connection.transport.protocol, FastProtocol)
    connection.transport.receive(b"GET /health?verbose HTTP/1.1\r\n\r\n")
    assert isinstance(connection.transport.protocol, HttpToolsProtocol)
    connection.transport.receive(GET)
    assert isinstance(connection.transport.protocol, HttpToolsProtocol)


async def test_a_client_that_does_not_read_gets_no_further_answer() -> None:
    """Once the send buffer is full, uvicorn gets the connection, and waits."""
    connection = Connection(app_with_statuses(Status.PASS, Status.PASS), fast=True)
    fast = connection.transport.protocol
    fast.pause_writing()
    fast.resume_writing()
    connection.transport.receive(GET)
    assert connection.transport.protocol is fast
    fast.pause_writing()
    connection.transport.receive(GET)
    answered = connection.transport.written
    await asyncio.sleep(0)
    assert connection.transport.written == answered
    connection.transport.protocol.resume_writing()
    while connection.transport.written == answered:
        await asyncio.sleep(0)
    assert connection.transport.written == answered * 2


async def test_a_shutdown_closes_idle_connections() -> None:
    """As uvicorn does with its own."""
    connection = Connection(app_with_statuses(Status.PASS, Status.PASS), fast=True)
    connection.transport.receive(GET)
    for protocol in list(connection.state.connections):
        protocol.shutdown()
    assert connection.transport.is_closing()


async def test_the_date_header_is_current() -> None:
    """Uvicorn replaces its default headers each second."""
    connection = Connection(app_with_statuses(Status.PASS, Status.PASS), fast=True)
    for date in (b"Tue, 24 Nov 2026 10:00:00 GMT", b"Tue, 24 Nov 2026 10:00:01 GMT"):
        connection.state.default_headers = [(b"date", date)]
        connection.transport.receive(GET)
        assert b"\r\ndate: " + date + b"\r\n" in connection.transport.written


def test_the_number_of_cached_requests_is_limited() -> None:
    """A client that sends another header each time does not fill the memory."""
    responses = RawResponseCache(app_with_statuses(Status.PASS, Status.PASS).app)
    headers = [(b"date", b"now")]
    first = responses.get(GET, headers)
    assert first
    assert responses.get(GET, headers) is first
    for number in range(MAX_CACHED):
        assert responses.get(GET.replace(b": a", b": %d" % number), headers)
    again = responses.get(GET, headers)
    assert again
    assert again.data == first.data
    assert again is not first


@pytest.mark.parametrize("name", ["text", "token", "forwarded", "body", "connection listed"])
def test_other_requests_are_left_to_uvicorn(name: str) -> None:
    """Also those that a lenient parser might read differently."""
    assert parse_cacheable_request(GET)
    assert parse_cacheable_request(STREAMS[name]) is None

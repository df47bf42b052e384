"""Invariants of every response, for any query, `Accept` and `Authorization`."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.api.formats import MAX_ACCEPT_LENGTH
from app.api.routes import ENDPOINTS
from app.health import Status
from tests.unit.api.scene import AppUnderTest, Details
from tests.unit.api.test_readymade import ask


PATHS = [path for endpoint in ENDPOINTS for path in endpoint.paths]
KEYS = st.sampled_from(
    [b"exclude", b"only", b"format", b"verbose", b"ex%63lude", b"x", b"", b"%ff", b"\xff"]
)
WORDS = st.sampled_from(
    [b"json", b"text", b"html", b"health+json", b"redis", b"postgres", b"%00", b"%ed%a0%80", b"%"]
)
PAIRS = st.builds(lambda *parts: b"".join(parts), KEYS, st.sampled_from([b"=", b"", b"=="]), WORDS)
QUERIES = st.one_of(
    st.lists(PAIRS, max_size=4).map(b"&".join),
    st.binary(max_size=30),
)
TYPES = st.sampled_from(
    [b"*/*", b"text/*", b"text/html", b"text/plain", b"application/health+json", b"a/b", b"/", b"*"]
)
QUALITIES = st.one_of(
    st.just(b""),
    st.floats().map(lambda number: b";q=%b" % str(number).encode()),
    st.sampled_from([b";q=" + b"9" * 1500, b";q=1e999", b";q=nan", b";" * 900, b';q="', b";=;"]),
)
RANGES = st.lists(st.builds(lambda *parts: b"".join(parts), TYPES, QUALITIES), max_size=4)
ACCEPTS = st.one_of(
    RANGES.map(b",".join),
    st.binary(max_size=40),
    st.sampled_from([b"a/b;c=" + b'"' * (MAX_ACCEPT_LENGTH - 9), b"," * 2_000]),
)
AUTHORIZATIONS = st.one_of(
    st.binary(max_size=40),
    st.binary(max_size=40).map(lambda token: b"Bearer " + token),
    st.sampled_from(
        [b"Bearer", b"Bearer good", b"bearer \t good ", b"Bearer " + b"a." * 500, b"Basic Og=="]
    ),
)
HEADERS = st.lists(
    st.one_of(
        st.tuples(st.just(b"accept"), ACCEPTS), st.tuples(st.just(b"authorization"), AUTHORIZATIONS)
    ),
    max_size=3,
)
FRESH = {
    b"cache-control": b"no-store",
    b"vary": b"Accept, Sec-Fetch-Mode, Upgrade-Insecure-Requests",
    b"x-content-type-options": b"nosniff",
}


def make_scene(details: Details, phase: str) -> AppUnderTest:
    """Return a service in which one check fails, unless it is starting."""
    scene = AppUnderTest(details=details)
    # An operator's page lists the clients, which would differ between repeated requests.
    scene.clients.record = lambda *_: None  # type: ignore[method-assign]
    scene.set_statuses(Status.PASS, Status.UNKNOWN if phase == "starting" else Status.FAIL)
    scene.lifecycle.maintenance = phase == "maintenance"
    if phase == "draining":
        scene.lifecycle.drain()
    return scene


OVERSIZED: list[tuple[bytes, list[tuple[bytes, bytes]]]] = [
    (b"exclude=x&" * 10_000, []),
    (b"&" * 60_000, []),
    (b"exclude=" + b"%f0" * 20_000, []),
    (b"format=" + b"json" * 10_000, []),
    (b"", [(b"accept", b"text/html;q=0.5," * 5_000)]),
    (b"", [(b"accept", b"text/html")] * 5_000),
    (b"", [(b"authorization", b"Bearer " + b"a." * 50_000)]),
    (b"", [(b"authorization", b"Bearer " + b"e30." * 400)] * 5_000),
    (b"", [(b"x", b"")] * 20_000),
]


OPERATOR = [(b"authorization", b"Bearer good"), (b"accept", b"text/html")]


@example("always", "serving", "/health", b"", OPERATOR)
@given(
    st.sampled_from(["always", "authorized", "never"]),
    st.sampled_from(["serving", "starting", "maintenance", "draining"]),
    st.sampled_from([*PATHS, "/health/checks/redis", "/health/checks/postgres", "/nothing"]),
    QUERIES,
    HEADERS,
)
def test_every_response_keeps_the_invariants(
    details: Details, phase: str, path: str, query: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    """In every phase, for any client."""
    assert_invariants(make_scene(details, phase), path, query, headers)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("index", range(len(OVERSIZED)))
def test_oversized_requests_keep_the_invariants(path: str, index: int) -> None:
    """They have thousands of names, media ranges or bytes."""
    assert_invariants(make_scene("authorized", "serving"), path, *OVERSIZED[index])


def assert_invariants(
    scene: AppUnderTest, path: str, query: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    """Assert the status, headers and length, and that HEAD and OPTIONS match GET."""
    request = {"path": path, "query_string": query, "headers": headers}
    code, response_headers, body = request_(scene, method="GET", **request)
    assert code in {200, 400, 404, 503}
    assert response_headers.items() >= FRESH.items()
    assert int(response_headers[b"content-length"]) == len(body)
    assert b"set-cookie" not in response_headers
    if b"json" in response_headers[b"content-type"]:
        assert isinstance(json.loads(body), dict)
    if b"html" not in response_headers[b"content-type"]:
        assert len(body) < 10_000
    allowed = {**response_headers, b"allow": b"GET, HEAD, OPTIONS"}
    if path == "/metrics":  # counts the requests
        return
    assert request_(scene, method="HEAD", **request) == (code, response_headers, b"")
    assert request_(scene, method="OPTIONS", **request) == (code, allowed, body)
    if code != 400 and b"clude" not in query:
        assert code == request_(scene, method="GET", path=path, headers=without_accept(headers))[0]


def request_(scene: AppUnderTest, **request: Any) -> tuple[int, dict[bytes, bytes], bytes]:
    """Send a request; return the status, headers and body."""
    start, body = ask(scene.app, **request)
    return start["status"], dict(start["headers"]), body["body"]


def without_accept(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the headers without `Accept`."""
    return [header for header in headers if header[0] != b"accept"]

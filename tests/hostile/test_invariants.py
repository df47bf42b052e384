"""What holds of every answer, whatever the query, the `Accept` and the `Authorization` are."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.api.formats import MAX_ACCEPT_LENGTH
from app.api.routes import ENDPOINTS
from app.health import Status
from tests.api.scene import AppUnderTest, Details
from tests.api.test_readymade import ask


PATHS = [path for endpoint in ENDPOINTS for path in endpoint.paths]
KEYS = st.sampled_from(
    [b"exclude", b"format", b"verbose", b"ex%63lude", b"x", b"", b"%ff", b"\xff"]
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
FRESH = {b"cache-control": b"no-store", b"vary": b"Accept", b"x-content-type-options": b"nosniff"}


def a_scene(details: Details, phase: str) -> AppUnderTest:
    """A service in which one check fails."""
    scene = AppUnderTest(details=details)
    # An operator's page lists who has asked, and here each question is put several times.
    scene.clients.record = lambda *_: None  # type: ignore[method-assign]
    scene.set_statuses(Status.PASS, Status.UNKNOWN if phase == "starting" else Status.FAIL)
    scene.lifecycle.maintenance = phase == "maintenance"
    if phase == "draining":
        scene.lifecycle.drain()
    return scene


BOMBS: list[tuple[bytes, list[tuple[bytes, bytes]]]] = [
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
def test_every_answer_keeps_the_promises(
    details: Details, phase: str, path: str, query: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    """Whatever is asked by whomever, in whatever phase."""
    promised(a_scene(details, phase), path, query, headers)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("bomb", range(len(BOMBS)))
def test_size_makes_no_difference(path: str, bomb: int) -> None:
    """Thousands of names, ranges and bytes are asked like any other."""
    promised(a_scene("authorized", "serving"), path, *BOMBS[bomb])


def promised(
    scene: AppUnderTest, path: str, query: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    """Assert the code, the headers, the length; that HEAD and OPTIONS are as GET."""
    request = {"path": path, "query_string": query, "headers": headers}
    code, told, body = asked(scene, method="GET", **request)
    assert code in {200, 400, 404, 503}
    assert told.items() >= FRESH.items()
    assert int(told[b"content-length"]) == len(body)
    assert b"set-cookie" not in told
    if b"json" in told[b"content-type"]:
        assert isinstance(json.loads(body), dict)
    if b"html" not in told[b"content-type"]:
        assert len(body) < 10_000
    allowed = {**told, b"allow": b"GET, HEAD, OPTIONS"}
    if path == "/metrics":  # counts the requests
        return
    assert asked(scene, method="HEAD", **request) == (code, told, b"")
    assert asked(scene, method="OPTIONS", **request) == (code, allowed, body)
    if code != 400 and b"clude" not in query:
        assert code == asked(scene, method="GET", path=path, headers=tokens(headers))[0]


def asked(scene: AppUnderTest, **request: Any) -> tuple[int, dict[bytes, bytes], bytes]:
    """Ask, and tell the code, the headers and the body."""
    start, body = ask(scene.app, **request)
    return start["status"], dict(start["headers"]), body["body"]


def tokens(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Leave out what says in which representation the answer should come."""
    return [header for header in headers if header[0] != b"accept"]

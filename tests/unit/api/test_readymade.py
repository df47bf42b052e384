"""Cached responses are byte for byte those of the routes, and never outdated."""

import asyncio
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import app
from app.api.response_cache import CachedResponse
from app.api.routes import ENDPOINTS, cacheable_renderers
from app.api.verdict import Snapshot
from app.asgi import Vitals
from app.health import Status
from tests.unit.api.scene import AppUnderTest, Details


# The metrics change with each request, and are never cached.
HEALTH_PATHS = [path for endpoint in ENDPOINTS if endpoint.health_query for path in endpoint.paths]
ACCEPTS = [b"*/*", b"application/json", b"text/plain", b"text/html,*/*;q=0.8", b"*/*;q=0", b""]
HEADERS = st.one_of(
    st.tuples(st.just(b"accept"), st.sampled_from(ACCEPTS)),
    st.tuples(st.just(b"authorization"), st.sampled_from([b"Bearer good", b"Bearer x", b""])),
    st.tuples(st.sampled_from([b"host", b"user-agent", b"x-any"]), st.binary(max_size=5)),
)
REQUESTS = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "GET", "HEAD", "OPTIONS", "POST", "get"]),
        "path": st.one_of(
            st.builds(
                "{}{}".format, st.sampled_from(HEALTH_PATHS), st.sampled_from(["", "/", "//"])
            ),
            st.sampled_from(["/", "/health/checks/redis", "/health/nothing", "", "/HEALTH"]),
        ),
        "query_string": st.sampled_from(
            [b"", b"x", b"exclude=redis", b"format=json", b"format=no", b"verbose"]
        ),
        "root_path": st.sampled_from(["", "", "", "/health", "/x"]),
        "headers": st.lists(HEADERS, max_size=2),
    }
)
STEPS = st.lists(
    st.one_of(
        REQUESTS,
        REQUESTS,
        REQUESTS,
        st.tuples(*[st.sampled_from([Status.PASS, Status.FAIL, Status.UNKNOWN])] * 2),
        st.floats(0.0, 3.0),
        st.booleans(),
        st.just("drain"),
    ),
    max_size=12,
)


TWO_USER_AGENTS = {
    "method": "GET",
    "path": "/health/live",
    "headers": [(b"user-agent", b"one"), (b"user-agent", b"")],
}


def ask(asgi_app: Vitals, **request: Any) -> list[dict[str, Any]]:
    """Send a request to the application, and return the messages that it sends."""
    scope = {"type": "http", "query_string": b"", "root_path": "", "headers": [], **request}
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    asyncio.run(asgi_app({**scope, "http_version": "1.1"}, receive, send))
    return [
        {key: value for key, value in message.items() if key != "more_body"} for message in sent
    ]


def ask_both(app_under_test: AppUnderTest, **request: Any) -> tuple[Any, Any]:
    """Return what is sent and recorded without and with the cache."""
    recorded = app_under_test.answers.recorded
    recorded.clear()
    response_cache, app_under_test.app.response_cache = app_under_test.app.response_cache, None
    plain = ask(app_under_test.app, **request), recorded.copy()
    recorded.clear()
    app_under_test.app.response_cache = response_cache
    return plain, (ask(app_under_test.app, **request), recorded.copy())


def cached_app(details: Details = "always") -> AppUnderTest:
    """Return an application with a response cache, whose checks pass."""
    app_under_test = AppUnderTest(details=details)
    app_under_test.set_statuses(Status.PASS, Status.PASS)
    app_under_test.app.response_cache = app_under_test.response_cache()
    # An operator's page lists the clients, and these tests send each request twice.
    app_under_test.clients.record = lambda *_: None  # type: ignore[method-assign]
    return app_under_test


@given(STEPS, st.sampled_from(["always", "authorized", "never"]))
@example([TWO_USER_AGENTS], "always")
def test_the_cache_sends_what_the_routes_send(steps: list[Any], details: Details) -> None:
    """For any sequence of requests, results, phases and pauses."""
    app_under_test = cached_app(details)
    for step in steps:
        match step:
            case dict():
                plain, given = ask_both(app_under_test, **step)
                assert plain == given
            case tuple():
                app_under_test.set_statuses(*step)
            case bool():
                app_under_test.lifecycle.maintenance = step
            case float():
                app_under_test.seconds += step
            case _:
                app_under_test.lifecycle.drain()


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("path", [path for path in HEALTH_PATHS if "{" not in path])
def test_plain_requests_are_answered_from_the_cache(path: str, slash: str) -> None:
    """GET and HEAD, from clients that accept anything or JSON."""
    app_under_test = cached_app()
    response_cache = app_under_test.response_cache()
    for headers in (
        [],
        [(b"accept", b"*/*"), (b"user-agent", b"x")],
        [(b"accept", b"application/json")],
    ):
        for method in ("GET", "HEAD"):
            scope = {
                "method": method,
                "path": path + slash,
                "query_string": b"",
                "headers": headers,
            }
            assert response_cache.respond(scope)


@pytest.mark.parametrize(
    "difference",
    [
        {"method": "OPTIONS"},
        {"path": "/health/checks/redis"},
        {"query_string": b"x"},
        {"path": "/x/health", "root_path": "/x"},
        {"path": "/health/ready", "root_path": "/health"},
        {"headers": [(b"host", b"a"), (b"accept", b"text/plain")]},
        {"headers": [(b"accept", b"*/*"), (b"authorization", b"Bearer a.b.c")]},
    ],
)
def test_any_other_request_is_left_to_the_routes(difference: dict[str, Any]) -> None:
    """A cached response would be wrong, or show too little."""
    plain = {"method": "GET", "path": "/health", "query_string": b"", "headers": []}
    response_cache = cached_app().response_cache()
    assert response_cache.respond(plain)
    assert response_cache.respond({**plain, **difference}) is None


def test_a_response_is_rendered_once_for_each_result() -> None:
    """A thousand requests in between share it."""
    app_under_test, path, rendered = cached_app(), "/health/ready", []
    renderers = cacheable_renderers(app_under_test.app)

    def render(snapshot: Snapshot) -> CachedResponse:
        rendered.append(path)
        return renderers[path](snapshot)

    response_cache = app_under_test.response_cache({path: render})
    for results in (1, 2):
        for _ in range(1000):
            assert response_cache.get("GET", path, response_cache.steady())
            assert response_cache.get("HEAD", path, response_cache.steady())
        assert len(rendered) == results
        app_under_test.set_statuses(Status.PASS, Status.PASS)


def test_a_cached_response_expires_with_the_first_result() -> None:
    """If the checks stop running, readiness fails as soon as a result is stale."""
    app_under_test = cached_app()
    response_cache = app_under_test.response_cache()
    app_under_test.seconds = app_under_test.latest.checks[0].check.lifetime
    assert code(response_cache.get("GET", "/healthz", response_cache.steady())) == 200
    app_under_test.seconds += 0.001
    assert code(response_cache.get("GET", "/healthz", response_cache.steady())) == 503


def test_a_change_of_phase_changes_the_response_at_once() -> None:
    """To maintenance, back, and to draining."""
    app_under_test = cached_app()
    response_cache = app_under_test.response_cache()
    codes = [code(response_cache.get("GET", "/readyz", response_cache.steady()))]
    for app_under_test.lifecycle.maintenance in (True, False):
        codes.append(code(response_cache.get("GET", "/readyz", response_cache.steady())))
    app_under_test.lifecycle.drain()
    assert [*codes, code(response_cache.get("GET", "/readyz", response_cache.steady()))] == [
        200,
        503,
        200,
        503,
    ]


def code(response: Any) -> Any:
    """Return the status code of a cached response."""
    return response.start["status"]


def test_a_cold_request_crosses_ten_modules_of_the_application() -> None:
    """And it reads report, time and phase once: a reader of the code follows one short path."""
    app_under_test = cached_app()
    request = {"method": "GET", "path": "/health/ready"}
    ask(app_under_test.app, **request)  # imports, and fills the cache of parts
    app_under_test.set_statuses(Status.PASS, Status.PASS)
    folder, calls = f"{Path(app.__file__).parent}/", list[tuple[str, str]]()

    def profile(frame: FrameType, event: str, _: object) -> None:
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(folder):
            calls.append((file.removeprefix(folder), frame.f_code.co_name))

    sys.setprofile(profile)
    try:
        ask(app_under_test.app, **request)
    finally:
        sys.setprofile(None)
    assert len({file for file, _ in calls}) <= 10
    assert [
        calls.count(("api/verdict.py", "snapshot")),
        calls.count(("lifecycle.py", "phase")),
    ] == [1, 1]
    assert calls.count(("health/monitor.py", "report")) == 0

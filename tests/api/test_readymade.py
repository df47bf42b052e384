"""Answers that are ready are the routes', byte by byte, and never older than what is known."""

import asyncio
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.api.response_cache import CachedResponse
from app.api.routes import ENDPOINTS, ready
from app.asgi import Vitals
from app.health import Status
from tests.api.scene import Details, Scene


# What is told to Prometheus changes with each request, and is never ready.
LISTED = [path for endpoint in ENDPOINTS if endpoint.health_query for path in endpoint.paths]
ACCEPTED = [b"*/*", b"application/json", b"text/plain", b"text/html,*/*;q=0.8", b"*/*;q=0", b""]
HEADERS = st.one_of(
    st.tuples(st.just(b"accept"), st.sampled_from(ACCEPTED)),
    st.tuples(st.just(b"authorization"), st.sampled_from([b"Bearer good", b"Bearer x", b""])),
    st.tuples(st.sampled_from([b"host", b"user-agent", b"x-any"]), st.binary(max_size=5)),
)
REQUESTS = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "GET", "HEAD", "OPTIONS", "POST", "get"]),
        "path": st.one_of(
            st.builds("{}{}".format, st.sampled_from(LISTED), st.sampled_from(["", "/", "//"])),
            st.sampled_from(["/", "/health/checks/redis", "/health/nothing", "", "/HEALTH"]),
        ),
        "query_string": st.sampled_from(
            [b"", b"x", b"exclude=redis", b"format=json", b"format=no", b"verbose"]
        ),
        "root_path": st.sampled_from(["", "", "", "/health", "/x"]),
        "headers": st.lists(HEADERS, max_size=2),
    }
)
MOMENTS = st.lists(
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


TWO_NAMES = {
    "method": "GET",
    "path": "/health/live",
    "headers": [(b"user-agent", b"one"), (b"user-agent", b"")],
}


def ask(app: Vitals, **request: Any) -> list[dict[str, Any]]:
    """What the application sends."""
    scope = {"type": "http", "query_string": b"", "root_path": "", "headers": [], **request}
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    asyncio.run(app({**scope, "http_version": "1.1"}, receive, send))
    return [
        {key: value for key, value in message.items() if key != "more_body"} for message in sent
    ]


def both(scene: Scene, **request: Any) -> tuple[Any, Any]:
    """What the routes send and note, and what is sent and noted with answers ready."""
    notes = scene.answers.notes
    notes.clear()
    response_cache, scene.routes.response_cache = scene.routes.response_cache, None
    plain = ask(scene.routes, **request), notes.copy()
    notes.clear()
    scene.routes.response_cache = response_cache
    return plain, (ask(scene.routes, **request), notes.copy())


def ready_scene(details: Details = "always") -> Scene:
    """Everything passes, and answers are ready."""
    scene = Scene(details=details)
    scene.know(Status.PASS, Status.PASS)
    scene.routes.response_cache = scene.response_cache()
    # An operator's page lists who has asked, and here each question is put twice.
    scene.clients.asked = lambda *_: None  # type: ignore[method-assign]
    return scene


@given(MOMENTS, st.sampled_from(["always", "authorized", "never"]))
@example([TWO_NAMES], "always")
def test_no_request_tells_the_two_paths_apart(moments: list[Any], details: Details) -> None:
    """Whatever is asked by whomever, whatever has happened before."""
    scene = ready_scene(details)
    for moment in moments:
        match moment:
            case dict():
                plain, given = both(scene, **moment)
                assert plain == given
            case tuple():
                scene.know(*moment)
            case bool():
                scene.lifecycle.maintenance = moment
            case float():
                scene.seconds += moment
            case _:
                scene.lifecycle.drain()


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("path", [path for path in LISTED if "{" not in path])
def test_the_usual_requests_do_not_reach_the_routes(path: str, slash: str) -> None:
    """Neither GET nor HEAD, from clients that accept anything or JSON."""
    scene = ready_scene()
    response_cache = scene.response_cache()
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
            assert response_cache.to(scope)


@pytest.mark.parametrize(
    "unusual",
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
def test_any_other_request_is_the_routes(unusual: dict[str, Any]) -> None:
    """Whoever asks for something in particular is listened to."""
    usual = {"method": "GET", "path": "/health", "query_string": b"", "headers": []}
    response_cache = ready_scene().response_cache()
    assert response_cache.to(usual)
    assert response_cache.to({**usual, **unusual}) is None


def test_an_answer_is_rendered_once_for_each_result() -> None:
    """A thousand requests between two results are answered by one rendering."""
    scene, path, rendered = ready_scene(), "/health/ready", []
    routes = ready(scene.routes)

    def render() -> CachedResponse:
        rendered.append(path)
        return routes[path]()

    response_cache = scene.response_cache({path: render})
    for results in (1, 2):
        for _ in range(1000):
            assert response_cache.answer("GET", path, response_cache.steady())
            assert response_cache.answer("HEAD", path, response_cache.steady())
        assert len(rendered) == results
        scene.know(Status.PASS, Status.PASS)


def test_an_answer_does_not_outlive_what_it_tells() -> None:
    """When nothing runs any more but the web server, readiness says so to the moment."""
    scene = ready_scene()
    response_cache = scene.response_cache()
    scene.seconds = scene.monitor.latest.checks[0].check.lifetime
    assert code(response_cache.answer("GET", "/healthz", response_cache.steady())) == 200
    scene.seconds += 0.001
    assert code(response_cache.answer("GET", "/healthz", response_cache.steady())) == 503


def test_the_phase_changes_the_answer_at_once() -> None:
    """Into maintenance, out of it, and out for good."""
    scene = ready_scene()
    response_cache = scene.response_cache()
    codes = [code(response_cache.answer("GET", "/readyz", response_cache.steady()))]
    for scene.lifecycle.maintenance in (True, False):
        codes.append(code(response_cache.answer("GET", "/readyz", response_cache.steady())))
    scene.lifecycle.drain()
    assert [*codes, code(response_cache.answer("GET", "/readyz", response_cache.steady()))] == [
        200,
        503,
        200,
        503,
    ]


def code(answer: Any) -> Any:
    """The status code of an answer."""
    return answer.start["status"]

"""The application with and without a server or parent application that runs its lifespan."""

import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient
from starlette.types import ASGIApp
from starlette.websockets import WebSocketDisconnect

from app.api.routes import PATHS
from app.application import create_app
from app.asgi import Vitals, skip_tracing
from app.settings import ConfigurationError, Settings
from tests.support.pages import shown
from tests.support.ports import free_port
from tests.support.service import UVICORN, Reply, running


NEVER_RUN = "The lifespan of this application has not run."
HEALTH_PATHS = [*sorted(path for path in PATHS if "{" not in path), "/health/checks/redis"]


def create() -> Vitals:
    """Return an application with one check, which fails."""
    url = f"redis://127.0.0.1:{free_port()}"
    return create_app(lambda: Settings(redis_url=url, redis_auth="none"))


def mounted(app: Vitals) -> FastAPI:
    """Mount the application as most users do, without its lifespan."""
    parent = FastAPI()
    parent.mount("/vitals", app)
    return parent


def entering(app: Vitals, kind: Any = FastAPI) -> Any:
    """Mount the application into one that enters its lifespan, as docs/hosting.md shows."""

    @asynccontextmanager
    async def lifespan(_: Any) -> Any:
        async with app.router.lifespan_context(app) as state:
            yield state

    return kind(lifespan=lifespan, routes=[Mount("/vitals", app)])


@pytest.mark.parametrize("path", HEALTH_PATHS)
@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_every_health_path_is_503_without_a_lifespan(path: str, slash: str, method: str) -> None:
    """Liveness and metrics too: no check runs, and no probe may take the instance for healthy."""
    app = create()
    for host, prefix in ((app, ""), (mounted(app), "/vitals")):
        answer = TestClient(host).request(method, prefix + path + slash)
        assert (answer.status_code, answer.headers["cache-control"]) == (503, "no-store")
        assert answer.headers["retry-after"] == "1"
        assert (NEVER_RUN in answer.text) is (method != "HEAD")


@pytest.mark.parametrize(
    ("accept", "body"),
    [
        ("*/*", f'{{"status":"fail","detail":"{NEVER_RUN}"}}'),
        ("application/health+json", f'{{"status":"fail","output":"{NEVER_RUN}"}}'),
        ("text/plain", f"[-]lifespan failed: {NEVER_RUN}\nhealth check failed\n"),
        ("text/html", None),
    ],
)
def test_the_cause_comes_in_the_format_that_was_asked_for(accept: str, body: str | None) -> None:
    """With its content type."""
    answer = TestClient(create()).get("/health", headers={"Accept": accept})
    assert answer.headers["content-type"].startswith(accept.replace("*/*", "application/json"))
    assert answer.text == body if body else f"<p>{NEVER_RUN}</p>" in answer.text


def test_the_cause_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """With the remedy in the text: a log that no one has configured shows nothing else."""
    client = TestClient(mounted(create()))
    for path in ("/vitals/health", "/vitals/livez", "/vitals/metrics") * 2:
        client.get(path)
    (line,) = [record.getMessage() for record in caplog.records if record.name == "vitals"]
    assert line.startswith(f"health endpoints unavailable: {NEVER_RUN} Remedy: use a server that")


def test_other_paths_work_without_a_lifespan() -> None:
    """They and the errors of health paths don't depend on checks."""
    client = TestClient(create())
    assert client.get("/").status_code == client.get("/openapi.json").status_code == 200
    assert client.get("/nothing").status_code == 404
    assert client.post("/health").status_code == 405
    assert client.get("/health?format=x").status_code == 400


@pytest.mark.parametrize("kind", [FastAPI, Starlette])
def test_a_parent_that_enters_the_lifespan_serves_it(kind: Any) -> None:
    """Below its prefix, until the lifespan ends."""
    app = create()
    client = TestClient(entering(app, kind))
    with client:
        for path in HEALTH_PATHS * 2:
            expected = 200 if path in {"/health/live", "/livez", "/metrics"} else None
            answer = client.get(f"/vitals{path}")
            assert "lifespan" not in answer.text
            assert expected in {None, answer.status_code}
        assert client.get("/health/live").status_code == 404
    answer = client.get("/vitals/health/live")
    assert answer.json()["detail"] == "The lifespan of this application has ended."
    assert (answer.status_code, answer.headers["connection"]) == (503, "close")


def test_a_failed_start_is_reported_to_clients(caplog: pytest.LogCaptureFixture) -> None:
    """If the parent serves anyway. Clients don't see the configuration error."""

    def refuse() -> Settings:
        raise ConfigurationError(["HOST must be CANARY"])

    app = create_app(refuse)
    with pytest.raises(ConfigurationError), TestClient(entering(app)):
        pass
    answer = TestClient(mounted(app)).get("/vitals/health")
    assert answer.status_code == 503
    assert answer.json()["detail"].endswith("is not complete, or has failed.")
    assert "CANARY" not in answer.text
    assert caplog.text.count("health endpoints unavailable") == 1


def test_a_root_path_does_not_change_the_answer() -> None:
    """Servers put a proxy's prefix into the path and `root_path`, or only into `root_path`."""
    app = create()
    parent = entering(app)
    with TestClient(parent):
        for host, path in (
            (app, "/health/live"),
            (app, "/outer/health/live"),
            (parent, "/outer/vitals/health/live"),
        ):
            answer = TestClient(host, root_path="/outer").get(path)
            assert answer.json() == {"status": "pass"}


@pytest.mark.parametrize("host", [create(), mounted(create())], ids=["alone", "mounted"])
def test_a_websocket_is_closed(host: ASGIApp) -> None:
    """With or without a lifespan."""
    with (
        pytest.raises(WebSocketDisconnect),
        TestClient(host).websocket_connect("/vitals/health"),
    ):
        pass


async def unused(*_: object) -> NoReturn:
    """Raise: the test never calls it."""
    raise NotImplementedError


async def test_an_unknown_scope_is_an_error() -> None:
    """ASGI requires an exception, and Starlette raises it."""
    with pytest.raises(AssertionError):
        await create()({"type": "email"}, unused, unused)


@pytest.mark.parametrize(
    ("path", "root", "skipped"),
    [
        ("/health/live", "", True),
        ("/vitals/health/live", "/vitals", True),
        ("/health/live", "/vitals", True),
        ("/vitals/sales", "/vitals", False),
        ("/health/live", "/health", False),
        ("/healthy", "/health", False),
    ],
)
def test_tracing_skips_a_mounted_health_path(path: str, root: str, *, skipped: bool) -> None:
    """As it skips the path of an application that is not mounted."""
    assert skip_tracing({"type": "http", "path": path, "root_path": root}) is skipped


@pytest.mark.slow
@pytest.mark.parametrize("app", ["app.main:app", "tests.support.mounted_app:app"])
def test_a_server_without_lifespan_support_logs_the_cause_once(app: str, tmp_path: Path) -> None:
    """Without a traceback."""
    command = (sys.executable, "-m", "uvicorn", app, "--lifespan", "off", "--port")
    prefix = "/vitals" if "mounted" in app else ""
    with running({"REDIS_URL": "redis://127.0.0.1:1"}, tmp_path / "log", command) as service:
        replies: list[Reply] = [service.ask(prefix + path) for path in HEALTH_PATHS * 2]
    log = (tmp_path / "log").read_text()
    assert {reply.code for reply in replies} == {503}
    assert log.count("health endpoints unavailable") == 1
    assert "Traceback" not in log


@pytest.mark.slow
def test_the_mounted_example_of_the_page_serves_and_drains(tmp_path: Path) -> None:
    """Below its prefix it behaves as if it were not mounted."""
    (block,) = shown("docs/hosting.md", "Mount it into another application")
    (tmp_path / "outer.py").write_text(block.text)
    environ = {"REDIS_URL": "redis://127.0.0.1:1", "REDIS_AUTH": "none", "DRAIN_SECONDS": "60"}
    command = (*UVICORN[:3], "outer:app", "--app-dir", str(tmp_path), "--port")
    with running(environ, tmp_path / "log", command) as service:
        assert service.ask("/vitals/health/live").code == 200
        service.process.terminate()
        while (reply := service.ask("/vitals/health")).json["phase"] != "draining":
            assert reply.code == 503
        assert reply.headers["connection"] == "close"
        service.process.terminate()

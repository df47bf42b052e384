"""The application through its lifespan, and beyond its capacity."""

import threading
from importlib import import_module

import pytest
from starlette.testclient import TestClient

from app.application import create_app
from app.event_loop import Admission
from app.settings import Settings
from tests.support.ports import free_port
from tests.support.service import wait_for


def test_an_ended_service_answers_503() -> None:
    """Liveness too, although its response was cached; the service may start again."""
    url = f"redis://127.0.0.1:{free_port()}"
    app = create_app(lambda: Settings(redis_url=url, redis_auth="none"))
    client = TestClient(app)
    for _ in range(2):
        with client:
            assert client.get("/health/live").status_code == 200
            assert client.get("/health/live?format=text").status_code == 200
        assert client.get("/health/live").status_code == 503
        assert client.get("/health/live?format=text").status_code == 503


class FullAdmission(Admission):
    """An admission that refuses every request."""

    async def acquire(self) -> bool:
        """Return False."""
        return False


def test_too_many_slow_requests_get_503_at_once() -> None:
    """With Retry-After. Liveness and the user's routes are not limited."""
    url = f"redis://127.0.0.1:{free_port()}"
    app = create_app(lambda: Settings(redis_url=url, redis_auth="none"))
    with TestClient(app) as client:
        app.slow_admission = FullAdmission(0)
        refused = client.get("/health/ready?format=html")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.json() == {"detail": "too many requests at once"}
        app.add_api_route("/shop", lambda: "open")
        for path in ("/health/live", "/livez/?verbose", "/health/live?format=html", "/shop"):
            assert client.get(path).status_code == 200


def test_liveness_answers_while_a_driver_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service starts and stops without waiting for it, and reports that it is starting."""
    may_load = threading.Event()

    def load(name: str) -> None:
        may_load.wait(5)
        import_module(name)

    monkeypatch.setattr("app.check_factory.import_module", load)
    url = f"redis://127.0.0.1:{free_port()}"
    app = create_app(lambda: Settings(redis_url=url, redis_auth="none"))
    with TestClient(app) as client:
        assert client.get("/health/live").status_code == 200
        unknown = client.get("/health/ready")
        assert unknown.status_code == 503
        assert unknown.json()["phase"] == "starting"
        assert unknown.json()["checks"]["redis"]["status"] == "unknown"
    with TestClient(app) as client:
        may_load.set()
        wait_for(lambda: client.get("/health/started").status_code == 200)
        assert client.get("/health/checks/redis").json()["reason"] == "refused"


def test_a_driver_that_can_not_be_loaded_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Liveness still passes, and readiness fails."""

    def refuse(_: str) -> None:
        raise ImportError("the driver is broken")

    monkeypatch.setattr("app.check_factory.import_module", refuse)
    url = f"redis://127.0.0.1:{free_port()}"
    with TestClient(create_app(lambda: Settings(redis_url=url, redis_auth="none"))) as client:
        wait_for(lambda: "the driver is broken" in caplog.text)
        assert client.get("/health/live").status_code == 200
        assert client.get("/health/ready").status_code == 503

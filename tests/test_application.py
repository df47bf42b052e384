from starlette.testclient import TestClient

from app.application import create_app
from app.event_loop import Admission
from app.settings import Settings
from tests.ports import free_port


def test_nothing_is_answered_when_the_service_has_ended() -> None:
    """Not even that it is alive, from answers that were ready; it may begin again."""
    url = f"redis://127.0.0.1:{free_port()}"
    app = create_app(lambda: Settings(redis_url=url, redis_auth="none"))
    client = TestClient(app)
    for _ in range(2):
        with client:
            assert client.get("/health/live").status_code == 200
            assert client.get("/health/live?format=text").status_code == 200
        assert client.get("/health/live").status_code == 503
        assert client.get("/health/live?format=text").status_code == 503


class Full(Admission):
    """Has no room."""

    async def admitted(self) -> bool:
        """Refuse."""
        return False


def test_requests_beyond_the_room_are_answered_at_once() -> None:
    """With a 503 that may be repeated. Probes do not wait for the room that pages need."""
    url = f"redis://127.0.0.1:{free_port()}"
    app = create_app(lambda: Settings(redis_url=url, redis_auth="none"))
    with TestClient(app) as client:
        app.admissions = {**app.admissions, True: Full(0)}
        refused = client.get("/health/ready?format=html")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.json() == {"detail": "too many requests at once"}
        app.add_api_route("/shop", lambda: "open")
        for path in ("/health/live", "/livez/?verbose", "/health/live?format=html", "/shop"):
            assert client.get(path).status_code == 200

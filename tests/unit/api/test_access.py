"""Which clients see each check, on every path."""

import pytest

from app.api.verdict import Verdict
from app.health import Reason, Report, Status
from app.lifecycle import Phase
from tests.unit.api.scene import ApiClient, Details, observation


# The `Authorization` header, and whether it is an operator's.
AUTHORIZATIONS = [
    (None, False),
    ("", False),
    ("Bearer", False),
    ("Bearer bad", False),
    ("Basic good", False),
    ("good", False),
    ("Bearer good", True),
    ("bearer  good ", True),
]
REPORT_PATHS = ("/health", "/healthz/", "/health/ready", "/readyz", "/health?exclude=mysql")


def sees(details: Details, *, operator: bool) -> bool:
    """Return whether the client sees each check."""
    return details == "always" or (details == "authorized" and operator)


@pytest.mark.parametrize("details", ["always", "authorized", "never"])
@pytest.mark.parametrize(("authorization", "operator"), AUTHORIZATIONS)
def test_health_details_decides_which_clients_see_each_check(
    api_client: ApiClient, details: Details, authorization: str | None, operator: bool
) -> None:
    """The others get the code and the status, and a 404 for the path of a check."""
    api_client.set_details(details)
    api_client.observe(observation("redis", Status.FAIL, Reason.REFUSED, required=False))
    headers = {} if authorization is None else {"Authorization": authorization}
    for path in REPORT_PATHS:
        reply = api_client.get(path, headers=headers)
        assert reply.status_code == 200
        assert reply.json()["status"] == "warn"
        assert (reply.json().keys() > {"status"}) is sees(details, operator=operator)
    reply = api_client.get("/health/checks/redis", headers=headers)
    assert reply.status_code == (503 if sees(details, operator=operator) else 404)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_hidden_check_looks_like_a_missing_one(api_client: ApiClient, method: str) -> None:
    """So a client can't find out names by guessing."""
    api_client.set_details("authorized")
    hidden, missing = (
        api_client.request(method, f"/health/checks/{name}") for name in ("redis", "mysql")
    )
    assert (hidden.status_code, hidden.content) == (missing.status_code, missing.content)
    assert hidden.status_code == 404
    assert hidden.headers == missing.headers


@pytest.mark.parametrize("path", ["/health/live", "/health/started"])
def test_liveness_and_startup_are_the_same_for_every_client(
    api_client: ApiClient, path: str
) -> None:
    """They contain no check."""
    api_client.set_details("never")
    assert api_client.get(path).json() == {"status": "pass"}


def test_a_verdict_without_details_has_status_and_phase_only() -> None:
    """Warnings go too: they reveal which names exist."""
    verdict = Verdict(status=Status.WARN, phase=Phase.SERVING, report=Report(()), warnings=("no",))
    assert verdict.without_details == Verdict(status=Status.WARN, phase=Phase.SERVING)

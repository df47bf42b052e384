"""Who sees each check, in every representation and on every path."""

from typing import Literal

import pytest

from app.api.verdict import Verdict
from app.health import Reason, Report, Status
from app.lifecycle import Phase
from tests.api.desk import Desk, observation


Details = Literal["always", "authorized", "never"]

# `Authorization`, and whether it is an operator's.
SHOWN = [
    (None, False),
    ("", False),
    ("Bearer", False),
    ("Bearer bad", False),
    ("Basic good", False),
    ("good", False),
    ("Bearer good", True),
    ("bearer  good ", True),
]
WHOLE = ("/health", "/healthz/", "/health/ready", "/readyz", "/health?exclude=mysql")


def sees(details: Details, *, operator: bool) -> bool:
    """Whether the interface has each check shown."""
    return details == "always" or (details == "authorized" and operator)


@pytest.mark.parametrize("details", ["always", "authorized", "never"])
@pytest.mark.parametrize(("authorization", "operator"), SHOWN)
def test_each_check_is_shown_to_whom_the_setting_says(
    desk: Desk, details: Details, authorization: str | None, operator: bool
) -> None:
    """Everybody else gets the code and the status, and no check has a path of its own."""
    desk.show(details)
    desk.known[1] = observation("redis", Status.FAIL, Reason.REFUSED)
    desk.optional(1)
    headers = {} if authorization is None else {"Authorization": authorization}
    for path in WHOLE:
        reply = desk.client.get(path, headers=headers)
        assert reply.status_code == 200
        assert reply.json()["status"] == "warn"
        assert (reply.json().keys() > {"status"}) is sees(details, operator=operator)
    reply = desk.client.get("/health/checks/redis", headers=headers)
    assert reply.status_code == (503 if sees(details, operator=operator) else 404)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_check_that_is_not_shown_looks_like_none(desk: Desk, method: str) -> None:
    """Nobody can try out names."""
    desk.show("authorized")
    hidden, none = (
        desk.client.request(method, f"/health/checks/{name}") for name in ("redis", "mysql")
    )
    assert (hidden.status_code, hidden.content) == (none.status_code, none.content)
    assert hidden.status_code == 404
    assert hidden.headers == none.headers


@pytest.mark.parametrize("path", ["/health/live", "/health/started"])
def test_what_tells_of_no_check_is_told_to_everybody(desk: Desk, path: str) -> None:
    """Liveness and the end of the start hold nothing back."""
    desk.show("never")
    assert desk.client.get(path).json() == {"status": "pass"}


def test_who_is_shown_nothing_is_told_the_status_and_no_more() -> None:
    """Not what was asked in vain either: it tells which names there are."""
    seen = Verdict(status=Status.WARN, phase=Phase.SERVING, report=Report(()), warnings=("no",))
    assert seen.bare == Verdict(status=Status.WARN, phase=Phase.SERVING)

"""How a finding is written down, in each representation and on each path."""

from dataclasses import replace
from typing import Any

import pytest

from app.health import Reason, Status
from app.settings.checks import MAX_CHECKS
from tests.api.desk import Desk, observation


PATHS = (
    "/health",
    "/healthz",
    "/health/ready",
    "/readyz",
    "/health/live",
    "/livez",
    "/health/started",
    "/startupz",
    "/health/checks/redis",
)
FORMATS_BY_NAME = {
    "json": "application/json",
    "health+json": "application/health+json",
    "text": "text/plain; charset=utf-8",
}


def fails(desk: Desk, *, optional: bool = False) -> None:
    """Have Redis fail."""
    desk.known[1] = observation("redis", Status.FAIL, Reason.REFUSED)
    if optional:
        desk.optional(1)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("path", [variant for path in PATHS for variant in (path, f"{path}/")])
@pytest.mark.parametrize("name", FORMATS_BY_NAME)
def test_every_path_has_every_representation(desk: Desk, path: str, name: str, method: str) -> None:
    """The code is JSON's, and so are the headers but for type and length."""
    fails(desk)
    expected = desk.client.get(path)
    whole = desk.client.get(path, params={"format": name})
    reply = desk.client.request(
        method, path, headers={"Accept": FORMATS_BY_NAME[name].split(";")[0]}
    )
    assert reply.status_code == whole.status_code == expected.status_code
    assert reply.headers["content-type"] == whole.headers["content-type"] == FORMATS_BY_NAME[name]
    assert reply.headers["content-length"] == str(len(whole.content))
    assert reply.content == (b"" if method == "HEAD" else whole.content)
    for header in ("cache-control", "vary", "x-content-type-options"):
        assert reply.headers[header] == expected.headers[header]


def draft(desk: Desk, path: str = "/health") -> dict[str, Any]:
    """What is answered in the shape of the draft."""
    reply = desk.client.get(path, headers={"Accept": "application/health+json"})
    body: dict[str, Any] = reply.json()
    return body


MEASURED = {
    "componentType": "component",
    "observedValue": 0.8,
    "observedUnit": "ms",
    "time": "2025-11-23T10:00:01.250Z",
}


def test_the_draft_names_what_was_measured(desk: Desk) -> None:
    """Arrays under `component:measurement`; what failed says why and what it takes down."""
    fails(desk)
    assert draft(desk) == {
        "status": "fail",
        "checks": {
            "postgres:responseTime": [{**MEASURED, "status": "pass"}],
            "redis:responseTime": [
                {
                    **MEASURED,
                    "status": "fail",
                    "output": "refused",
                    "affectedEndpoints": ["/health", "/health/ready"],
                }
            ],
        },
    }


def test_in_the_draft_an_optional_check_takes_nothing_down(desk: Desk) -> None:
    """It fails, and the whole warns; a check's own path tells it alone."""
    fails(desk, optional=True)
    assert draft(desk)["status"] == "warn"
    failed = [{**MEASURED, "status": "fail", "output": "refused"}]
    assert draft(desk, "/health/checks/redis") == {
        "status": "fail",
        "checks": {"redis:responseTime": failed},
    }


def test_in_the_draft_a_pass_has_no_output(desk: Desk) -> None:
    """Not even while a threshold holds a failure back."""
    desk.known[1] = replace(observation("redis", Status.PASS, Reason.TIMEOUT), failures=1)
    assert draft(desk)["checks"] == {
        f"{name}:responseTime": [{**MEASURED, "status": "pass"}] for name in ("postgres", "redis")
    }


def test_the_draft_has_no_word_for_what_is_unknown(desk: Desk) -> None:
    """It is a failure there; the phase says why the whole fails."""
    desk.known[1] = observation("redis", Status.UNKNOWN)
    told = draft(desk, "/health?exclude=mysql")
    assert (told["status"], told["output"]) == ("fail", "starting")
    assert told["notes"] == ["no check is named mysql"]
    assert told["checks"] == {
        "postgres:responseTime": [{**MEASURED, "status": "pass"}],
        "redis:responseTime": [
            {
                "componentType": "component",
                "status": "fail",
                "output": "unknown",
                "affectedEndpoints": ["/health", "/health/ready"],
            }
        ],
    }


def test_in_the_draft_a_check_alone_has_no_phase(desk: Desk) -> None:
    """It passes, whatever the instance does."""
    desk.lifecycle.drain()
    assert draft(desk)["output"] == "draining"
    assert draft(desk, "/health/checks/redis").keys() == {"status", "checks"}


def text(desk: Desk, path: str = "/health?verbose") -> list[str]:
    """The lines of what is answered."""
    reply = desk.client.get(path, headers={"Accept": "text/plain"})
    assert reply.text.endswith("\n")
    return reply.text.splitlines()


def test_text_reads_as_in_kubernetes(desk: Desk) -> None:
    """A line for each check, and one that sums up."""
    assert text(desk) == ["[+]postgres ok", "[+]redis ok", "health check passed"]
    fails(desk)
    assert text(desk) == ["[+]postgres ok", "[-]redis failed: refused", "health check failed"]
    desk.optional(1)
    assert text(desk) == ["[+]postgres ok", "[-]redis warn: refused", "health check passed"]
    assert text(desk, "/health/checks/redis") == ["[-]redis warn: refused", "health check failed"]
    assert text(desk, "/health/live") == ["health check passed"]


def test_text_tells_what_else_keeps_the_whole_from_passing(desk: Desk) -> None:
    """A check that nothing is known of, and the phase."""
    desk.known[1] = observation("redis", Status.UNKNOWN)
    assert text(desk) == [
        "[+]postgres ok",
        "[-]redis failed: unknown",
        "[-]phase failed: starting",
        "health check failed",
    ]
    assert text(desk, "/health/checks/postgres") == ["[+]postgres ok", "health check passed"]


def test_nobody_makes_lines_of_his_own(desk: Desk) -> None:
    """Not by asking for a check of a curious name."""
    assert text(desk, "/health?exclude=x%0A[%2B]y%20ok%1B%C3%A9") == [
        "[+]postgres ok",
        "[+]redis ok",
        "warn: no check is named x?[+]y ok??",
        "health check passed",
    ]


@pytest.mark.parametrize("name", FORMATS_BY_NAME)
@pytest.mark.parametrize("path", PATHS[:-1])
def test_a_bare_answer_is_bare_in_every_representation(desk: Desk, path: str, name: str) -> None:
    """The status and nothing else, in every phase."""
    desk.show("never")
    fails(desk, optional=True)
    desk.lifecycle.maintenance = True
    reply = desk.client.get(path, params={"format": name, "exclude": "mysql"})
    if name == "text":
        word = "passed" if reply.status_code == 200 else "failed"
        assert reply.text == f"health check {word}\n"
    else:
        assert reply.json() == {"status": "pass" if reply.status_code == 200 else "fail"}


@pytest.mark.parametrize("name", FORMATS_BY_NAME)
def test_an_answer_of_all_checks_that_there_may_be_has_less_than_ten_kilobytes(
    desk: Desk, name: str
) -> None:
    """What a kubelet reads of it, with the longest names, all failing for the longest reason."""
    failing = observation("x", Status.FAIL, Reason.TOO_MANY_CONNECTIONS)
    desk.known = [
        replace(
            failing,
            check=replace(failing.check, name=f"{number:x<32}"),
            latency=9.99999,
            failures=99999,
        )
        for number in range(MAX_CHECKS + 2)
    ]
    query = "&".join(f"exclude={number}{'%22' * 80}" for number in range(11))
    reply = desk.client.get(f"/health?{query}", headers={"Accept": FORMATS_BY_NAME[name]})
    assert len(reply.content) < 10_000

"""The text and JSON formats, on each path."""

import re
from dataclasses import replace
from typing import Any

import pytest

from app.health import Facts, Reason, Report, Status
from app.health.model import Certificate
from tests.unit.api.scene import ApiClient, observation


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
CONTENT_TYPES = {
    "json": "application/json",
    "health+json": "application/health+json",
    "text": "text/plain; charset=utf-8",
}


def fail_redis(api_client: ApiClient, *, optional: bool = False) -> None:
    """Make the Redis check fail."""
    refused = observation("redis", Status.FAIL, Reason.REFUSED, required=not optional)
    api_client.observe(refused)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("path", [variant for path in PATHS for variant in (path, f"{path}/")])
@pytest.mark.parametrize("name", CONTENT_TYPES)
def test_every_path_has_every_format(
    api_client: ApiClient, path: str, name: str, method: str
) -> None:
    """Code and headers are those of JSON, except for content type and length."""
    fail_redis(api_client)
    expected = api_client.get(path)
    by_query = api_client.get(path, params={"format": name})
    reply = api_client.request(method, path, headers={"Accept": CONTENT_TYPES[name].split(";")[0]})
    assert reply.status_code == by_query.status_code == expected.status_code
    assert reply.headers["content-type"] == by_query.headers["content-type"] == CONTENT_TYPES[name]
    assert reply.headers["content-length"] == str(len(by_query.content))
    assert reply.content == (b"" if method == "HEAD" else by_query.content)
    for header in ("cache-control", "vary", "x-content-type-options"):
        assert reply.headers[header] == expected.headers[header]


def get_draft(api_client: ApiClient, path: str = "/health") -> dict[str, Any]:
    """Return the answer in the format of the IETF draft."""
    reply = api_client.get(path, headers={"Accept": "application/health+json"})
    body: dict[str, Any] = reply.json()
    return body


MEASURED = {
    "componentType": "component",
    "observedValue": 0.8,
    "observedUnit": "ms",
    "time": "2025-11-23T10:00:01.250Z",
}


def test_the_draft_lists_measurements(api_client: ApiClient) -> None:
    """A failed check has its reason and the endpoints that fail with it."""
    fail_redis(api_client)
    assert get_draft(api_client) == {
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


def test_in_the_draft_an_optional_check_affects_no_endpoint(api_client: ApiClient) -> None:
    """It fails, the overall status is `warn`, and its own path shows only this check."""
    fail_redis(api_client, optional=True)
    assert get_draft(api_client)["status"] == "warn"
    failed = [{**MEASURED, "status": "fail", "output": "refused"}]
    assert get_draft(api_client, "/health/checks/redis") == {
        "status": "fail",
        "checks": {"redis:responseTime": failed},
    }


def test_in_the_draft_a_passing_check_has_no_output(api_client: ApiClient) -> None:
    """Not even after a failure below the threshold."""
    passing = observation("redis", Status.PASS, Reason.TIMEOUT)
    api_client.observe(replace(passing, failures=1))
    assert get_draft(api_client)["checks"] == {
        f"{name}:responseTime": [{**MEASURED, "status": "pass"}] for name in ("postgres", "redis")
    }


def test_in_the_draft_an_unknown_check_fails(api_client: ApiClient) -> None:
    """The draft has no status `unknown`; the output of the whole is the phase."""
    api_client.observe(observation("redis", Status.UNKNOWN))
    body = get_draft(api_client, "/health?exclude=mysql")
    assert (body["status"], body["output"]) == ("fail", "starting")
    assert body["notes"] == ["no check is named mysql"]
    assert body["checks"] == {
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


def test_in_the_draft_a_single_check_has_no_phase(api_client: ApiClient) -> None:
    """It passes while the instance drains."""
    api_client.lifecycle.drain()
    assert get_draft(api_client)["output"] == "draining"
    assert get_draft(api_client, "/health/checks/redis").keys() == {"status", "checks"}


def get_lines(api_client: ApiClient, path: str = "/health?verbose") -> list[str]:
    """Return the lines of the answer in text."""
    reply = api_client.get(path, headers={"Accept": "text/plain"})
    assert reply.text.endswith("\n")
    return reply.text.splitlines()


def test_text_looks_like_that_of_kubernetes(api_client: ApiClient) -> None:
    """It has a line for each check, then a summary."""
    assert get_lines(api_client) == ["[+]postgres ok", "[+]redis ok", "health check passed"]
    fail_redis(api_client)
    assert get_lines(api_client) == [
        "[+]postgres ok",
        "[-]redis failed: refused",
        "health check failed",
    ]
    fail_redis(api_client, optional=True)
    assert get_lines(api_client) == [
        "[+]postgres ok",
        "[-]redis warn: refused",
        "health check passed",
    ]
    assert get_lines(api_client, "/health/checks/redis") == [
        "[-]redis warn: refused",
        "health check failed",
    ]
    assert get_lines(api_client, "/health/live") == ["health check passed"]


def test_text_shows_unknown_checks_and_the_phase(api_client: ApiClient) -> None:
    """The path of a single check shows no phase."""
    api_client.observe(observation("redis", Status.UNKNOWN))
    assert get_lines(api_client) == [
        "[+]postgres ok",
        "[-]redis failed: unknown",
        "[-]phase failed: starting",
        "health check failed",
    ]
    assert get_lines(api_client, "/health/checks/postgres") == [
        "[+]postgres ok",
        "health check passed",
    ]


def test_a_query_cannot_add_lines(api_client: ApiClient) -> None:
    """Control characters in the name of an excluded check are replaced."""
    assert get_lines(api_client, "/health?exclude=x%0A[%2B]y%20ok%1B%C3%A9") == [
        "[+]postgres ok",
        "[+]redis ok",
        "warn: no check is named x?[+]y ok??",
        "health check passed",
    ]


@pytest.mark.parametrize("name", CONTENT_TYPES)
@pytest.mark.parametrize("path", PATHS[:-1])
def test_an_answer_without_details_has_only_the_status(
    api_client: ApiClient, path: str, name: str
) -> None:
    """In every format, and also during maintenance."""
    api_client.set_details("never")
    fail_redis(api_client, optional=True)
    api_client.lifecycle.maintenance = True
    reply = api_client.get(path, params={"format": name, "exclude": "mysql"})
    if name == "text":
        word = "passed" if reply.status_code == 200 else "failed"
        assert reply.text == f"health check {word}\n"
    else:
        assert reply.json() == {"status": "pass" if reply.status_code == 200 else "fail"}


def many(api_client: ApiClient, number: int) -> None:
    """Give the client so many checks, of which two do not pass."""
    passing = [observation(f"c{index}", Status.PASS) for index in range(number - 2)]
    others = [observation("failed", Status.FAIL), observation("unknown", Status.UNKNOWN)]
    api_client.latest = Report((*passing[:10], *others, *passing[10:]))


def test_with_many_checks_those_that_do_not_pass_are_listed(api_client: ApiClient) -> None:
    """In every format that programs read. The others are counted."""
    many(api_client, 31)
    body = api_client.get("/health").json()
    assert (list(body["checks"]), body["others"]) == (["failed", "unknown"], 29)
    draft = get_draft(api_client)
    assert list(draft["checks"]) == ["failed:responseTime", "unknown:responseTime"]
    assert draft["notes"] == ["29 other checks pass"]
    assert api_client.get("/health?format=text").text.splitlines() == [
        "[-]failed failed: fail",
        "[-]unknown failed: unknown",
        "[+]others ok: 29",
        "[-]phase failed: starting",
        "health check failed",
    ]


@pytest.mark.parametrize(
    ("number", "query", "listed"),
    [(30, "", 30), (31, "&verbose", 31), (200, "&verbose=1", 200), (31, "&only=c3", 1)],
)
def test_all_checks_are_listed_if_they_are_few_or_asked_for(
    api_client: ApiClient, number: int, query: str, listed: int
) -> None:
    """Checks that the query leaves out are not counted."""
    many(api_client, number)
    body = api_client.get(f"/health?format=json{query}").json()
    assert len(body["checks"]) == listed
    assert "others" not in body
    names = [f"c{index}" for index in range(number - 2)]
    assert set(names) < set(re.findall(r"\w+", api_client.get("/health?verbose").text))


@pytest.mark.parametrize("character", ["%22", "%01", "%F0%9F%92%A9"])
@pytest.mark.parametrize("name", CONTENT_TYPES)
def test_an_answer_with_the_most_checks_has_less_than_ten_kilobytes(
    api_client: ApiClient, name: str, character: str
) -> None:
    """A kubelet reads 10 KB. Names, reasons and warnings are the longest, and TLS is used."""
    failing = observation("x", Status.FAIL, Reason.TOO_MANY_CONNECTIONS)
    api_client.latest = Report(
        tuple(
            replace(
                failing,
                check=replace(failing.check, name=f"{number:x<32}"),
                latency=9.99999,
                failures=99999,
                facts=Facts(certificate=Certificate(0, 0)),
                expiring=Certificate(0, 0),
            )
            for number in range(30)
        )
    )
    query = "&".join(f"exclude={number}{character * 80}" for number in range(11))
    reply = api_client.get(f"/health?{query}", headers={"Accept": CONTENT_TYPES[name]})
    assert len(reply.content) < 10_000

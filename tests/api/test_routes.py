"""The HTTP surface over reports that the tests make up."""

from dataclasses import replace

import pytest

from app.health import Reason, Status
from tests.api.desk import Desk, observation


READY = ("/health", "/health/ready", "/healthz", "/readyz")


def test_a_report_reads_as_documented(desk: Desk) -> None:
    """Every member of the answer is the one that INTERFACE promises."""
    desk.known[1] = replace(observation("redis", Status.FAIL, Reason.REFUSED), failures=12)
    desk.optional(1)
    assert desk.client.get("/health").json() == {
        "status": "warn",
        "phase": "serving",
        "checks": {
            "postgres": {
                "status": "pass",
                "required": True,
                "latency_ms": 0.8,
                "observed_at": "2025-11-23T10:00:01.250Z",
                "since": "2025-11-23T10:00:00.000Z",
            },
            "redis": {
                "status": "fail",
                "required": False,
                "reason": "refused",
                "latency_ms": 0.8,
                "observed_at": "2025-11-23T10:00:01.250Z",
                "since": "2025-11-23T10:00:00.000Z",
                "failures": 12,
            },
        },
    }


@pytest.mark.parametrize("path", READY)
@pytest.mark.parametrize(
    ("status", "required", "code", "word"),
    [
        (Status.PASS, True, 200, "pass"),
        (Status.FAIL, True, 503, "fail"),
        (Status.FAIL, False, 200, "warn"),
    ],
)
def test_the_code_follows_the_required_checks(
    desk: Desk, path: str, status: Status, required: bool, code: int, word: str
) -> None:
    """Only a required check takes an instance out of rotation."""
    desk.known[1] = observation("redis", status)
    if not required:
        desk.optional(1)
    reply = desk.client.get(path)
    assert (reply.status_code, reply.json()["status"]) == (code, word)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("path", [*READY, "/health/checks/redis"])
def test_method_and_trailing_slash_do_not_change_the_answer(
    desk: Desk, path: str, slash: str, method: str
) -> None:
    """HEAD and OPTIONS tell GET's code, length and headers; nothing redirects."""
    for status, code in ((Status.PASS, 200), (Status.FAIL, 503)):
        desk.known[1] = observation("redis", status)
        expected = desk.client.get(path)
        reply = desk.client.request(method, path + slash, follow_redirects=False)
        assert reply.status_code == expected.status_code == code
        assert reply.headers.items() - expected.headers.items() <= {("allow", "GET, HEAD, OPTIONS")}
        assert reply.content == (b"" if method == "HEAD" else expected.content)


@pytest.mark.parametrize(
    "path", [*READY, "/health/live", "/health/started", "/health/checks/redis"]
)
def test_every_answer_carries_the_headers_that_keep_it_fresh(desk: Desk, path: str) -> None:
    """No cache keeps an answer, nothing sniffs it, no cookie comes with it."""
    reply = desk.client.get(path)
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["vary"] == "Accept"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["content-length"] == str(len(reply.content))
    assert reply.headers["content-type"] == "application/json"
    assert "set-cookie" not in reply.headers
    assert "retry-after" not in reply.headers


@pytest.mark.parametrize("path", ["/health/live", "/livez", "/health/live/"])
def test_liveness_passes_in_every_phase(desk: Desk, path: str) -> None:
    """No dependency and no phase makes the process dead."""
    desk.known = [observation("postgres", Status.UNKNOWN), observation("redis", Status.FAIL)]
    for _ in range(2):
        reply = desk.client.get(path)
        assert (reply.status_code, reply.json()) == (200, {"status": "pass"})
        desk.lifecycle.drain()


@pytest.mark.parametrize("path", ["/health/started", "/startupz"])
def test_starting_is_over_with_the_last_first_result(desk: Desk, path: str) -> None:
    """One check without a result, an optional one too, keeps the service starting."""
    desk.known[1] = observation("redis", Status.UNKNOWN)
    desk.optional(1)
    assert desk.client.get(path).json() == {"status": "fail"}
    reply = desk.client.get("/health")
    assert (reply.status_code, reply.json()["phase"]) == (503, "starting")
    assert reply.json()["checks"]["redis"] == {
        "status": "unknown",
        "required": False,
        "since": "2025-11-23T10:00:00.000Z",
    }
    desk.known[1] = observation("redis", Status.FAIL)
    assert desk.client.get(path).json() == {"status": "pass"}


def test_an_instance_that_does_not_serve_says_when_to_ask_again(desk: Desk) -> None:
    """Maintenance and draining fail readiness with Retry-After; draining closes connections."""
    desk.lifecycle.maintenance = True
    reply = desk.client.get("/health/ready")
    assert (reply.status_code, reply.json()["phase"]) == (503, "maintenance")
    assert reply.headers["retry-after"] == "1"
    desk.lifecycle.drain()
    reply = desk.client.get("/health/ready")
    assert reply.json()["phase"] == "draining"
    assert (reply.headers["retry-after"], reply.headers["connection"]) == ("1", "close")


def test_one_check_has_a_path_of_its_own(desk: Desk) -> None:
    """Its code speaks of that check alone, whether it is required or not."""
    desk.known[1] = observation("redis", Status.FAIL, Reason.AUTH)
    desk.optional(1)
    reply = desk.client.get("/health/checks/redis")
    assert (reply.status_code, reply.json()["reason"]) == (503, "auth")
    assert desk.client.get("/health/checks/postgres").status_code == 200
    desk.known[1] = observation("redis", Status.UNKNOWN)
    assert desk.client.get("/health/checks/redis").status_code == 503
    assert desk.client.get("/health/checks/mysql").status_code == 404


def test_an_excluded_check_has_no_say(desk: Desk) -> None:
    """It is left out of status and checks; a name that is unknown is told, and shortened."""
    desk.known[1] = observation("redis", Status.FAIL)
    reply = desk.client.get("/health?exclude=redis&exclude=" + "x" * 100)
    assert reply.status_code == 200
    assert list(reply.json()["checks"]) == ["postgres"]
    assert reply.json()["warnings"] == ["no check is named " + "x" * 64]


def test_no_query_makes_an_answer_long(desk: Desk) -> None:
    """A thousand unknown names are told as ten."""
    query = "&".join(f"exclude={number:0200}" for number in range(100))
    reply = desk.client.get(f"/health?{query}")
    assert len(reply.json()["warnings"]) == 10
    assert len(reply.content) < 10_000


def test_an_exclusion_does_not_end_the_start(desk: Desk) -> None:
    """A check that is excluded is still waited for."""
    desk.known[1] = observation("redis", Status.UNKNOWN)
    assert desk.client.get("/health?exclude=redis").json()["phase"] == "starting"


@pytest.mark.parametrize(
    ("query", "code"), [("?format=json", 200), ("?format=yaml", 400), ("?pretty=1&x", 200)]
)
def test_a_query_is_ignored_or_refused(desk: Desk, query: str, code: int) -> None:
    """An unknown format is refused; other keys mean nothing."""
    assert desk.client.get(f"/health/live{query}").status_code == code


def test_other_methods_and_paths_are_refused_in_kind(desk: Desk) -> None:
    """A refusal is JSON with the headers of every other answer."""
    reply = desk.client.post("/health/ready")
    assert (reply.status_code, reply.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert reply.headers["cache-control"] == "no-store"
    assert desk.client.get("/health/nothing").json() == {"detail": "Not Found"}
    assert desk.client.head("/health/nothing").status_code == 404


def test_the_root_lists_every_endpoint(desk: Desk) -> None:
    """What is listed is served, and what is documented is listed."""
    listed = {word for word in desk.client.get("/").text.split() if word.startswith("/")}
    documented = set(desk.client.get("/openapi.json").json()["paths"])
    assert documented <= listed
    for path in listed:
        assert desk.client.get(path.replace("{name}", "redis")).status_code == 200


def test_openapi_documents_success_and_failure(desk: Desk) -> None:
    """Both codes of readiness have the schema of what is really answered."""
    paths = desk.client.get("/openapi.json").json()["paths"]
    ready = paths["/health/ready"]["get"]
    assert set(ready["responses"]) == {"200", "400", "503"}
    assert {parameter["name"] for parameter in ready["parameters"]} == {
        "exclude",
        "format",
        "verbose",
    }
    assert set(paths["/health/live"]["get"]["responses"]) == {"200", "400"}
    schemas = {
        code: [one["$ref"] for one in response["content"]["application/json"]["schema"]["anyOf"]]
        for code, response in ready["responses"].items()
        if code != "400"
    }
    bodies = [f"#/components/schemas/{name}" for name in ("HealthBody", "StatusBody")]
    assert schemas["200"] == schemas["503"] == bodies

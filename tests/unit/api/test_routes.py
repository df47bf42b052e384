"""The HTTP API of an application whose state the tests set."""

from dataclasses import replace

import pytest

from app.health import Reason, Status
from tests.unit.api.scene import VARY, ApiClient, observation


READY = ("/health", "/health/ready", "/healthz", "/readyz")


def test_readiness_has_the_documented_body(api_client: ApiClient) -> None:
    """With every member of each check."""
    refused = observation("redis", Status.FAIL, Reason.REFUSED, required=False)
    api_client.observe(replace(refused, failures=12))
    assert api_client.get("/health").json() == {
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
def test_only_a_required_check_fails_readiness(
    api_client: ApiClient, path: str, status: Status, required: bool, code: int, word: str
) -> None:
    """An optional check causes `warn` and 200."""
    api_client.observe(observation("redis", status, required=required))
    reply = api_client.get(path)
    assert (reply.status_code, reply.json()["status"]) == (code, word)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("path", [*READY, "/health/checks/redis"])
def test_method_and_trailing_slash_do_not_change_the_answer(
    api_client: ApiClient, path: str, slash: str, method: str
) -> None:
    """HEAD and OPTIONS return the code, length and headers of GET; nothing redirects."""
    for status, code in ((Status.PASS, 200), (Status.FAIL, 503)):
        api_client.observe(observation("redis", status))
        expected = api_client.get(path)
        reply = api_client.request(method, path + slash, follow_redirects=False)
        assert reply.status_code == expected.status_code == code
        assert reply.headers.items() - expected.headers.items() <= {("allow", "GET, HEAD, OPTIONS")}
        assert reply.content == (b"" if method == "HEAD" else expected.content)


@pytest.mark.parametrize(
    "path", [*READY, "/health/live", "/health/started", "/health/checks/redis"]
)
def test_no_answer_can_be_cached(api_client: ApiClient, path: str) -> None:
    """Browsers don't guess its type, and it sets no cookie."""
    reply = api_client.get(path)
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["vary"] == VARY
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["content-length"] == str(len(reply.content))
    assert reply.headers["content-type"] == "application/json"
    assert "set-cookie" not in reply.headers
    assert "retry-after" not in reply.headers


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_pages_of_other_origins_can_not_read_an_answer(api_client: ApiClient, method: str) -> None:
    """There are no CORS headers, also for a preflight request."""
    headers = {"Origin": "https://example.com", "Access-Control-Request-Method": "GET"}
    reply = api_client.request(method, "/health", headers=headers)
    assert reply.status_code == 200
    assert not [name for name in reply.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("path", ["/health/live", "/livez", "/health/live/"])
def test_liveness_passes_in_every_phase(api_client: ApiClient, path: str) -> None:
    """Whatever the dependencies do."""
    api_client.set_statuses(Status.UNKNOWN, Status.FAIL)
    for _ in range(2):
        reply = api_client.get(path)
        assert (reply.status_code, reply.json()) == (200, {"status": "pass"})
        api_client.lifecycle.drain()


@pytest.mark.parametrize("path", ["/health/started", "/startupz"])
def test_the_start_ends_when_every_check_has_a_result(api_client: ApiClient, path: str) -> None:
    """An optional check counts, too."""
    api_client.observe(observation("redis", Status.UNKNOWN, required=False))
    assert api_client.get(path).json() == {"status": "fail"}
    reply = api_client.get("/health")
    assert (reply.status_code, reply.json()["phase"]) == (503, "starting")
    assert reply.json()["checks"]["redis"] == {
        "status": "unknown",
        "required": False,
        "since": "2025-11-23T10:00:00.000Z",
    }
    api_client.observe(observation("redis", Status.FAIL))
    assert api_client.get(path).json() == {"status": "pass"}


def test_an_instance_out_of_rotation_sends_retry_after(api_client: ApiClient) -> None:
    """Draining also closes the connection."""
    api_client.lifecycle.maintenance = True
    reply = api_client.get("/health/ready")
    assert (reply.status_code, reply.json()["phase"]) == (503, "maintenance")
    assert reply.headers["retry-after"] == "1"
    api_client.lifecycle.drain()
    reply = api_client.get("/health/ready")
    assert reply.json()["phase"] == "draining"
    assert (reply.headers["retry-after"], reply.headers["connection"]) == ("1", "close")


def test_one_check_has_a_path_of_its_own(api_client: ApiClient) -> None:
    """Its code depends on that check only, required or not."""
    api_client.observe(observation("redis", Status.FAIL, Reason.AUTH, required=False))
    reply = api_client.get("/health/checks/redis")
    assert (reply.status_code, reply.json()["reason"]) == (503, "auth")
    assert api_client.get("/health/checks/postgres").status_code == 200
    api_client.observe(observation("redis", Status.UNKNOWN))
    assert api_client.get("/health/checks/redis").status_code == 503
    assert api_client.get("/health/checks/mysql").status_code == 404


def test_an_excluded_check_does_not_count(api_client: ApiClient) -> None:
    """Status and checks leave it out, and a warning quotes an unknown name, shortened."""
    api_client.observe(observation("redis", Status.FAIL))
    reply = api_client.get("/health?exclude=redis&exclude=" + "x" * 100)
    assert reply.status_code == 200
    assert list(reply.json()["checks"]) == ["postgres"]
    assert reply.json()["warnings"] == ["no check is named " + "x" * 64]


def test_the_number_of_warnings_is_limited(api_client: ApiClient) -> None:
    """A hundred unknown names cause ten."""
    query = "&".join(f"exclude={number:0200}" for number in range(100))
    reply = api_client.get(f"/health?{query}")
    assert len(reply.json()["warnings"]) == 10
    assert len(reply.content) < 10_000


def test_an_exclusion_does_not_end_the_start(api_client: ApiClient) -> None:
    """An excluded check still needs a first result."""
    api_client.observe(observation("redis", Status.UNKNOWN))
    assert api_client.get("/health?exclude=redis").json()["phase"] == "starting"


@pytest.mark.parametrize("path", ["/health", "/healthz/", "/health/ready", "/readyz"])
@pytest.mark.parametrize(
    ("query", "names", "unknown"),
    [
        ("only=redis", ["redis"], []),
        ("only=redis&only=postgres", ["postgres", "redis"], []),
        ("only=redis&only=mysql", ["redis"], ["mysql"]),
        ("only=mysql", ["postgres", "redis"], ["mysql"]),
        ("only=", ["postgres", "redis"], [""]),
        ("only=redis&only=postgres&exclude=redis", ["postgres"], []),
        ("only=redis&exclude=redis", [], []),
        ("only=redis&exclude=mysql", ["redis"], ["mysql"]),
        ("exclude=mysql&exclude=redis", ["postgres"], ["mysql"]),
    ],
)
def test_other_checks_than_the_named_ones_do_not_count(
    api_client: ApiClient, path: str, query: str, names: list[str], unknown: list[str]
) -> None:
    """Exclusions take precedence. If all names are unknown, all checks count."""
    api_client.observe(observation("redis", Status.FAIL))
    reply = api_client.get(f"{path}?{query}")
    body = reply.json()
    assert reply.status_code == (503 if "redis" in names else 200)
    assert list(body["checks"]) == names
    assert body.get("warnings", []) == [f"no check is named {name}" for name in unknown]


@pytest.mark.parametrize(
    ("query", "code"), [("?format=json", 200), ("?format=yaml", 400), ("?pretty=1&x", 200)]
)
def test_only_an_unknown_format_is_refused(api_client: ApiClient, query: str, code: int) -> None:
    """Other unknown parameters are ignored."""
    assert api_client.get(f"/health/live{query}").status_code == code


def test_unknown_methods_and_paths_get_a_json_error(api_client: ApiClient) -> None:
    """With the headers that every answer has."""
    reply = api_client.post("/health/ready")
    assert (reply.status_code, reply.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert reply.headers["cache-control"] == "no-store"
    assert api_client.get("/health/nothing").json() == {"detail": "Not Found"}
    assert api_client.head("/health/nothing").status_code == 404


def test_the_root_lists_every_endpoint(api_client: ApiClient) -> None:
    """Every listed path is served, and every documented path is listed."""
    listed = {word for word in api_client.get("/").text.split() if word.startswith("/")}
    documented = set(api_client.get("/openapi.json").json()["paths"])
    assert documented <= listed
    for path in listed:
        assert api_client.get(path.replace("{name}", "redis")).status_code == 200


def test_openapi_documents_success_and_failure(api_client: ApiClient) -> None:
    """Both codes of readiness have the schema of the real body."""
    paths = api_client.get("/openapi.json").json()["paths"]
    ready = paths["/health/ready"]["get"]
    assert set(ready["responses"]) == {"200", "400", "503"}
    assert {parameter["name"] for parameter in ready["parameters"]} == {
        "exclude",
        "only",
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

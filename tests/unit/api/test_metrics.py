"""The metrics of an application whose state the tests set."""

from dataclasses import replace

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families as families

from app import __version__
from app.api.exposition import Samples, check_samples
from app.api.metrics import MetricsRecorder
from app.health import Facts, Reason, Report, Result, Status, Transition
from tests.unit.api.scene import START, VARY, ApiClient, observation


OPENMETRICS = "application/openmetrics-text"

# The names and labels that dashboards and alerts rely on.
DOCUMENTED = {
    "health_check_state": {"check", "state"},
    "health_check_required": {"check"},
    "health_check_reason": {"check", "reason"},
    "health_check_duration_seconds_bucket": {"check", "le"},
    "health_check_duration_seconds_count": {"check"},
    "health_check_duration_seconds_sum": {"check"},
    "health_check_runs_total": {"check", "result"},
    "health_check_transitions_total": {"check", "from", "to"},
    "health_check_last_success_timestamp_seconds": {"check"},
    "health_check_consecutive_failures": {"check"},
    "health_phase": {"phase"},
    "health_ready": set[str](),
    "health_event_loop_lag_seconds": set[str](),
    "health_event_loop_stalls_total": set[str](),
    "health_requests_total": {"endpoint", "code"},
    "health_build_info": {"version", "instance_name"},
}

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(api_client: ApiClient, accept: str = "text/plain") -> Series:
    """Scrape as Prometheus does, and return the values by name and labels."""
    reply = api_client.get("/metrics", headers={"Accept": accept})
    assert reply.status_code == 200
    parse = openmetrics_families if OPENMETRICS in reply.headers["content-type"] else families
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse(reply.text)
        for sample in family.samples
    }


def value(series: Series, name: str, **labels: str) -> float:
    """Return one value. The label `from` is passed as `from_`, because `from` is a keyword."""
    given = {label.removesuffix("_"): word for label, word in labels.items()}
    return series[name, frozenset(given.items())]


@pytest.mark.parametrize("accept", ["text/plain", OPENMETRICS])
def test_names_and_labels_are_the_documented_ones(api_client: ApiClient, accept: str) -> None:
    """In both formats, without any other."""
    api_client.get("/health")
    api_client.observe(observation("redis", Status.FAIL, Reason.AUTH))
    for name in ("postgres", "redis"):
        api_client.recorder.record_result(name, Result(at=START, latency=0.002))
    series = scrape(api_client, accept)
    assert {(name, frozenset(key for key, _ in labels)) for name, labels in series} == {
        (name, frozenset(labels)) for name, labels in DOCUMENTED.items()
    }


@pytest.mark.parametrize(
    ("lag", "reason", "shown"),
    [
        (1.5, None, 1.5),
        (90.0, Reason.LAGGING, 90.0),
        (90.0, Reason.REFUSED, None),
        (None, None, None),
    ],
)
def test_a_replica_shows_its_lag(
    api_client: ApiClient, lag: float | None, reason: Reason | None, shown: float | None
) -> None:
    """After another failure the lag is unknown."""
    known = observation("postgres", Status.FAIL if reason else Status.PASS, reason)
    api_client.observe(replace(known, facts=Facts(replication_lag=lag)))
    labels = frozenset({("check", "postgres")})
    assert scrape(api_client).get(("health_replication_lag_seconds", labels)) == shown


def test_the_state_metrics_match_the_health_answer(api_client: ApiClient) -> None:
    """Stale checks fail, and optional checks do not fail readiness."""
    stale = observation("redis", Status.FAIL, Reason.STALE, required=False)
    api_client.observe(replace(stale, failures=3))
    series = scrape(api_client)
    states = {"pass": 0, "fail": 1, "unknown": 0}
    for state, expected in states.items():
        assert value(series, "health_check_state", check="redis", state=state) == expected
    assert value(series, "health_check_state", check="postgres", state="pass") == 1
    assert value(series, "health_check_required", check="redis") == 0
    assert value(series, "health_check_required", check="postgres") == 1
    assert value(series, "health_check_consecutive_failures", check="redis") == 3
    assert value(series, "health_check_reason", check="redis", reason="stale") == 1
    assert value(series, "health_ready") == 1
    assert value(series, "health_event_loop_lag_seconds") == 0.25
    assert value(series, "health_build_info", version=__version__, instance_name="host-1") == 1


def test_a_reason_has_a_series_only_while_it_applies(api_client: ApiClient) -> None:
    """So a check has one such series at most."""

    def reasons() -> list[dict[str, str]]:
        return [
            dict(labels) for name, labels in scrape(api_client) if name == "health_check_reason"
        ]

    assert reasons() == []
    for reason in (Reason.AUTH, Reason.STUCK):
        api_client.observe(observation("redis", Status.FAIL, reason))
        assert reasons() == [{"check": "redis", "reason": reason.value}]


def test_an_instance_in_maintenance_is_not_ready(api_client: ApiClient) -> None:
    """Whatever the state of its checks."""
    api_client.lifecycle.maintenance = True
    series = scrape(api_client)
    assert value(series, "health_ready") == 0
    phases = {"starting": 0, "serving": 0, "maintenance": 1, "draining": 0}
    for phase, expected in phases.items():
        assert value(series, "health_phase", phase=phase) == expected


def test_results_and_transitions_are_counted(api_client: ApiClient) -> None:
    """Each series exists from the start, so that a first failure is an increase from 0."""
    before = scrape(api_client)
    assert value(before, "health_check_runs_total", check="redis", result="fail") == 0
    transition = {"check": "redis", "from_": "pass", "to": "fail"}
    assert value(before, "health_check_transitions_total", **transition) == 0
    api_client.recorder.record_result("redis", Result(at=START, latency=0.002))
    api_client.recorder.record_result(
        "redis", Result(at=START + 9, latency=0.3, reason=Reason.TIMEOUT)
    )
    api_client.recorder.record_transition(
        Transition(
            name="redis",
            before=Status.PASS,
            after=Status.FAIL,
            reason=Reason.TIMEOUT,
            at=START,
            lasted=9,
        )
    )
    after = scrape(api_client)
    assert value(after, "health_check_runs_total", check="redis", result="pass") == 1
    assert value(after, "health_check_runs_total", check="redis", result="fail") == 1
    assert value(after, "health_check_transitions_total", **transition) == 1
    assert value(after, "health_check_last_success_timestamp_seconds", check="redis") == START.wall
    assert value(after, "health_check_duration_seconds_sum", check="redis") == 0.302
    bucket = {"check": "redis", "le": "0.0025"}
    assert value(after, "health_check_duration_seconds_bucket", **bucket) == 1
    assert value(after, "health_check_runs_total", check="postgres", result="pass") == 0


def test_a_bucket_contains_its_bound(api_client: ApiClient) -> None:
    """`le` means less than or equal, https://prometheus.io/docs/concepts/metric_types/#histogram."""
    api_client.recorder.record_result("redis", Result(at=START, latency=0.0025))
    bucket = {"check": "redis", "le": "0.0025"}
    assert value(scrape(api_client), "health_check_duration_seconds_bucket", **bucket) == 1


def test_requests_are_counted_by_endpoint_and_code(api_client: ApiClient) -> None:
    """An alias counts as its endpoint, and all unknown paths as `other`: labels are bounded."""
    for path in ("/healthz", "/health/", "/health/checks/redis", "/health/checks/mysql"):
        api_client.get(path)
    for number in range(9):
        api_client.get(f"/{number}")
        api_client.get(f"/health/checks/{number}")
    api_client.post("/health")
    api_client.get("/health/live?format=yaml")
    series = scrape(api_client)
    counted = {
        tuple(sorted(dict(labels).values())): count
        for (name, labels), count in series.items()
        if name == "health_requests_total"
    }
    assert counted == {
        ("/health", "200"): 2,
        ("/health/checks/{name}", "200"): 1,
        ("/health/checks/{name}", "404"): 10,
        ("/health/live", "400"): 1,
        ("404", "other"): 9,
        ("405", "other"): 1,
    }
    assert value(scrape(api_client), "health_requests_total", endpoint="/metrics", code="200") == 1


@pytest.mark.parametrize("accept", ["text/plain", OPENMETRICS])
@pytest.mark.parametrize("details", ["never", "authorized"])
def test_hidden_checks_have_no_series(api_client: ApiClient, details: str, accept: str) -> None:
    """Every client gets the other series."""
    api_client.get("/health")
    api_client.set_details("never" if details == "never" else "authorized")
    hidden = {name for name, _ in scrape(api_client, accept)}
    assert hidden == {name for name, labels in DOCUMENTED.items() if "check" not in labels}
    api_client.headers["Authorization"] = "Bearer good"
    shown = {name for name, _ in scrape(api_client, accept)}
    assert ("health_check_state" in shown) is (details == "authorized")


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/html,*/*;q=0.8", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/json", "text/plain; version=0.0.4; charset=utf-8"),
        ("garbage", "text/plain; version=0.0.4; charset=utf-8"),
        (
            "application/openmetrics-text;version=nonsense;escaping=nonsense",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
        (
            "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
        (
            "application/openmetrics-text;q=0.3,text/plain;version=0.0.4;q=0.6",
            "text/plain; version=0.0.4; charset=utf-8",
        ),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("path", ["/metrics", "/metrics/"])
def test_accept_selects_the_metrics_format(
    api_client: ApiClient, path: str, method: str, accept: str | None, expected: str
) -> None:
    """In every phase, with the headers that every answer has."""
    api_client.lifecycle.drain()
    headers = {"Accept": accept or ""}
    reply = api_client.request(method, path, headers=headers)
    assert (reply.status_code, reply.headers["content-type"]) == (200, expected)
    assert (reply.headers["cache-control"], reply.headers["vary"]) == ("no-store", VARY)
    assert reply.headers["connection"] == "close"
    assert int(reply.headers["content-length"]) > 1000
    assert reply.content.endswith(b"# EOF\n") is (method != "HEAD" and "openmetrics" in expected)


@pytest.mark.parametrize("accept", ["text/plain", OPENMETRICS])
def test_the_metrics_of_checks_are_rendered_once_a_change(
    api_client: ApiClient, accept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often Prometheus scrapes: rendering them takes longer than all the rest."""
    rendered = list[Report]()

    def count(report: Report, recorder: MetricsRecorder) -> Samples:
        rendered.append(report)
        return check_samples(report, recorder)

    monkeypatch.setattr("app.api.exposition.check_samples", count)

    def renders() -> int:
        before = len(rendered)
        for _ in range(5):
            scrape(api_client, accept)
        return len(rendered) - before

    assert renders() == 1
    assert renders() == 0
    api_client.recorder.record_result("redis", Result(at=START, latency=0.002))
    assert renders() == 1
    api_client.observe(observation("redis", Status.FAIL, Reason.AUTH))
    assert renders() == 1

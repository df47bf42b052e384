"""What Prometheus is told of reports that the tests make up."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families as families

from app import __version__
from app.api.metrics import _checks as of_checks
from app.health import Reason, Report, Result, Status, Transition
from tests.api.desk import BORN, Desk, observation


OPENMETRICS = "application/openmetrics-text"

# What dashboards and alerts are written for: the names, and the labels of each.
PROMISED = {
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
    "health_build_info": {"version"},
}

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(desk: Desk, accept: str = "text/plain") -> Series:
    """Scrape as Prometheus does: the values by name and labels."""
    reply = desk.client.get("/metrics", headers={"Accept": accept})
    assert reply.status_code == 200
    parse = openmetrics_families if OPENMETRICS in reply.headers["content-type"] else families
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse(reply.text)
        for sample in family.samples
    }


def value(series: Series, name: str, **labels: str) -> float:
    """Find one value; `from` is a word of the language, so it comes as `from_`."""
    given = {label.removesuffix("_"): word for label, word in labels.items()}
    return series[name, frozenset(given.items())]


@pytest.mark.parametrize("accept", ["text/plain", OPENMETRICS])
def test_the_names_and_labels_are_the_promised_ones(desk: Desk, accept: str) -> None:
    """In both formats, and no other is among them."""
    desk.client.get("/health")
    desk.known[1] = observation("redis", Status.FAIL, Reason.AUTH)
    for name in ("postgres", "redis"):
        desk.counts.hear(name, Result(at=BORN, latency=0.002))
    series = scrape(desk, accept)
    assert {(name, frozenset(key for key, _ in labels)) for name, labels in series} == {
        (name, frozenset(labels)) for name, labels in PROMISED.items()
    }


def test_the_state_is_the_one_that_an_answer_would_tell(desk: Desk) -> None:
    """One of three states for each check, one of four phases, and readiness."""
    desk.known[1] = replace(observation("redis", Status.FAIL, Reason.STALE), failures=3)
    desk.optional(1)
    series = scrape(desk)
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
    assert value(series, "health_build_info", version=__version__) == 1


def test_a_reason_has_a_series_only_while_attempts_fail_for_it(desk: Desk) -> None:
    """The one in force, of a closed list, so that a check adds one at most."""

    def reasons() -> list[dict[str, str]]:
        return [dict(labels) for name, labels in scrape(desk) if name == "health_check_reason"]

    assert reasons() == []
    for reason in (Reason.AUTH, Reason.STUCK):
        desk.known[1] = observation("redis", Status.FAIL, reason)
        assert reasons() == [{"check": "redis", "reason": reason.value}]


def test_readiness_and_phase_go_together(desk: Desk) -> None:
    """An instance in maintenance is not ready, however its dependencies are."""
    desk.lifecycle.maintenance = True
    series = scrape(desk)
    assert value(series, "health_ready") == 0
    phases = {"starting": 0, "serving": 0, "maintenance": 1, "draining": 0}
    for phase, expected in phases.items():
        assert value(series, "health_phase", phase=phase) == expected


def test_what_happens_is_counted(desk: Desk) -> None:
    """Every series of a check is there from the start, so that a first failure is a rise."""
    before = scrape(desk)
    assert value(before, "health_check_runs_total", check="redis", result="fail") == 0
    turned = {"check": "redis", "from_": "pass", "to": "fail"}
    assert value(before, "health_check_transitions_total", **turned) == 0
    desk.counts.hear("redis", Result(at=BORN, latency=0.002))
    desk.counts.hear("redis", Result(at=BORN + 9, latency=0.3, reason=Reason.TIMEOUT))
    desk.counts.turn(
        Transition(
            name="redis",
            before=Status.PASS,
            after=Status.FAIL,
            reason=Reason.TIMEOUT,
            at=BORN,
            lasted=9,
        )
    )
    after = scrape(desk)
    assert value(after, "health_check_runs_total", check="redis", result="pass") == 1
    assert value(after, "health_check_runs_total", check="redis", result="fail") == 1
    assert value(after, "health_check_transitions_total", **turned) == 1
    assert value(after, "health_check_last_success_timestamp_seconds", check="redis") == BORN.wall
    assert value(after, "health_check_duration_seconds_sum", check="redis") == 0.302
    bucket = {"check": "redis", "le": "0.0025"}
    assert value(after, "health_check_duration_seconds_bucket", **bucket) == 1
    assert value(after, "health_check_runs_total", check="postgres", result="pass") == 0


def test_requests_are_counted_by_endpoint_and_code(desk: Desk) -> None:
    """An alias counts as what it stands for, and invented paths as one: labels are bounded."""
    for path in ("/healthz", "/health/", "/health/checks/redis", "/health/checks/mysql"):
        desk.client.get(path)
    for number in range(9):
        desk.client.get(f"/{number}")
        desk.client.get(f"/health/checks/{number}")
    desk.client.post("/health")
    desk.client.get("/health/live?format=yaml")
    series = scrape(desk)
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
    assert value(scrape(desk), "health_requests_total", endpoint="/metrics", code="200") == 1


@pytest.mark.parametrize("accept", ["text/plain", OPENMETRICS])
@pytest.mark.parametrize("details", ["never", "authorized"])
def test_no_series_speaks_of_a_check_to_whom_it_is_not_shown(
    desk: Desk, details: str, accept: str
) -> None:
    """All the others are told to everybody."""
    desk.client.get("/health")
    desk.show("never" if details == "never" else "authorized")
    told = {name for name, _ in scrape(desk, accept)}
    assert told == {name for name, labels in PROMISED.items() if "check" not in labels}
    desk.client.headers["Authorization"] = "Bearer good"
    shown = {name for name, _ in scrape(desk, accept)}
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
def test_the_format_is_the_preferred_one(
    desk: Desk, path: str, method: str, accept: str | None, expected: str
) -> None:
    """In every phase, with the headers of every answer."""
    desk.lifecycle.drain()
    headers = {"Accept": accept or ""}
    reply = desk.client.request(method, path, headers=headers)
    assert (reply.status_code, reply.headers["content-type"]) == (200, expected)
    assert (reply.headers["cache-control"], reply.headers["vary"]) == ("no-store", "Accept")
    assert reply.headers["connection"] == "close"
    assert int(reply.headers["content-length"]) > 1000
    assert reply.content.endswith(b"# EOF\n") is (method != "HEAD" and "openmetrics" in expected)


@pytest.mark.parametrize("accept", ["text/plain", OPENMETRICS])
def test_the_part_about_the_checks_is_written_once_a_change(
    desk: Desk, accept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it is scraped: writing it takes longer than everything else."""
    written = list[Report]()

    def count(report: Report) -> Iterator[Metric]:
        written.append(report)
        return of_checks(report)

    monkeypatch.setattr("app.api.metrics._checks", count)

    def writes() -> int:
        before = len(written)
        for _ in range(5):
            scrape(desk, accept)
        return len(written) - before

    assert writes() == 1
    assert writes() == 0
    desk.counts.hear("redis", Result(at=BORN, latency=0.002))
    assert writes() == 1
    desk.known[1] = observation("redis", Status.FAIL, Reason.AUTH)
    assert writes() == 1

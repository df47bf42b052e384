"""Debian's Prometheus scrapes a running service while its Redis fails and recovers."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.devservers import Valkey
from tests.support.faults.servers import killed
from tests.support.pages import shown
from tests.support.service import Service, on, running
from tests.support.serving import serving
from tests.system.prometheus import ALERTS, Prometheus, dashboard


# Only a check over verified TLS has these: tests/service/test_certificates.py.
OF_CERTIFICATES = {
    "health_check_certificate_expiry_timestamp_seconds",
    "health_check_certificate_expiring",
}

TEXT = "text/plain;version=0.0.4"
FAILING, FLAPPING, SLOWEST = shown("docs/monitoring.md", "Metrics")[0].text.splitlines()


@contextmanager
def text_format(service: Service) -> Iterator[str]:
    """Proxy the service's metrics in text format, as this Prometheus always prefers OpenMetrics."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            reply = service.ask("/metrics", Accept=TEXT)
            self.send_response(reply.code)
            self.send_header("Content-Type", reply.headers["content-type"])
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield f"127.0.0.1:{server.server_port}"


@pytest.fixture(name="secret", scope="module")
def _secret(own_valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the password file, which a test may overwrite."""
    copy = tmp_path_factory.mktemp("secret") / "redis_password"
    copy.write_text(own_valkey.password_file.read_text())
    return copy


@pytest.fixture(name="service", scope="module")
def _service(own_valkey: Valkey, secret: Path) -> Iterator[Service]:
    environ = {
        **on(valkey=own_valkey),
        "REDIS_PASSWORD_FILE": str(secret),
        "MAINTENANCE_FILE": str(secret.with_name("maintenance")),
    }
    with running(environ, secret.with_name("log")) as service:
        yield service


@pytest.fixture(name="prometheus", scope="module")
def _prometheus(service: Service) -> Iterator[Prometheus]:
    with (
        text_format(service) as text,
        Prometheus(vitals=f"127.0.0.1:{service.port}", text=text) as server,
    ):
        server.until("vitals", {"VitalsNobodyAsks"})
        service.until("redis", None, within=5)
        for job in ("vitals", "text"):
            server.wait(f'health_requests_total{{job="{job}",endpoint="/health"}}')
        service.ask("/health")  # a counter whose first value is 1 has not increased
        for job in ("vitals", "text"):
            server.until(job, set())
        yield server


def checks_in_result(prometheus: Prometheus, query: str) -> set[str]:
    """Return the checks in the result of a query, which is the same for both formats."""
    jobs = {
        job: {one["check"] for one in prometheus.query(query) if one.get("job", job) == job}
        for job in ("vitals", "text")
    }
    assert jobs["vitals"] == jobs["text"]
    return jobs["vitals"]


def assert_panels_have_data(prometheus: Prometheus) -> None:
    """Assert that each panel has series, with the labels in its legend."""
    for panel in dashboard():
        for target in panel["targets"]:
            series = prometheus.query(target["expr"])
            assert series, panel["title"]
            legend = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            assert all(legend <= one.keys() for one in series), panel["title"]


def assert_names_exist(prometheus: Prometheus) -> None:
    """Assert that all metrics and labels of docs, alerts and dashboard exist."""
    series = prometheus.query('{job="vitals"}')
    names = {one["__name__"] for one in series}
    labels = set[str]().union(*(one.keys() for one in series))
    panels = [target["expr"] for panel in dashboard() for target in panel["targets"]]
    for expression in (FAILING, FLAPPING, SLOWEST, *ALERTS.values(), *panels):
        wanted = set(re.findall(r"\bhealth_\w+", expression)) - OF_CERTIFICATES
        assert wanted <= names, expression
        named = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", expression)
        lists = re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", expression)
        named += [label.strip() for one in lists for label in one.split(",")]
        assert set(named) <= labels, expression


def test_prometheus_accepts_both_formats(prometheus: Prometheus) -> None:
    """Only OpenMetrics has the type `info`."""
    kinds = {
        (one["target"]["job"], one["metric"], one["type"])
        for one in prometheus.ask("targets/metadata")
        if one["metric"].startswith("health_build")
    }
    assert kinds == {("vitals", "health_build", "info"), ("text", "health_build_info", "gauge")}
    names = {
        job: {one["__name__"] for one in prometheus.query(f'{{job="{job}",__name__=~"health.*"}}')}
        for job in ("vitals", "text")
    }
    assert names["vitals"] == names["text"]


def test_a_failure_shows_in_queries_and_alerts_while_it_lasts(
    prometheus: Prometheus, service: Service, own_valkey: Valkey
) -> None:
    """The queries are those of the docs. Before the failure and after the repair nothing shows."""
    assert checks_in_result(prometheus, FAILING) == set()
    assert checks_in_result(prometheus, SLOWEST) == {"redis"}
    with killed(own_valkey):
        for job in ("vitals", "text"):
            prometheus.until(job, {"VitalsOutage", "VitalsNotReady"})
        assert checks_in_result(prometheus, FAILING) == {"redis"}
        reasons = prometheus.query('health_check_reason{job="vitals"}')
        assert [one["reason"] for one in reasons] == ["refused"]
        assert_panels_have_data(prometheus)
        assert_names_exist(prometheus)
    service.until("redis", None, within=5)
    for job in ("vitals", "text"):
        prometheus.until(job, set())
    assert checks_in_result(prometheus, FAILING) == set()
    assert not prometheus.query("health_check_reason")


def test_a_wrong_secret_raises_its_own_alert(
    prometheus: Prometheus, secret: Path, own_valkey: Valkey
) -> None:
    """The alert ends when the secret is right again."""
    secret.write_text("wrong")
    prometheus.until("vitals", {"VitalsOutage", "VitalsNotReady", "VitalsSecretTrouble"})
    secret.write_text(own_valkey.password_file.read_text())
    prometheus.until("vitals", set())


def test_maintenance_is_no_outage(prometheus: Prometheus, secret: Path) -> None:
    """It raises its own alert, in case it is forgotten."""
    file = secret.with_name("maintenance")
    file.touch()
    prometheus.until("vitals", {"VitalsForgottenInMaintenance"})
    file.unlink()
    prometheus.until("vitals", set())


def test_repeated_failures_raise_the_flapping_alert(
    prometheus: Prometheus, service: Service, own_valkey: Valkey
) -> None:
    """Six failures exceed the five of the query in the docs, and the three of the alert."""
    for _ in range(6):
        with killed(own_valkey):
            service.until("redis", "refused", within=5)
        service.until("redis", None, within=5)
    prometheus.until("vitals", {"VitalsFlapping"})
    assert checks_in_result(prometheus, FLAPPING) == {"redis"}


def test_a_stopped_service_raises_an_alert(prometheus: Prometheus, service: Service) -> None:
    """This test is near the end of the module, because the service does not restart."""
    service.process.terminate()
    prometheus.until("vitals", {"VitalsFlapping", "VitalsTargetDown", "VitalsOutage"})


def rules(prometheus: Prometheus) -> list[Any]:
    """Return the alerts that Prometheus has loaded."""
    rules: list[Any] = prometheus.ask("rules")["groups"][0]["rules"]
    return rules


def test_all_alerts_are_evaluated_without_errors(prometheus: Prometheus) -> None:
    """Their expressions work with the metrics of a real service."""
    health = {rule["name"]: (rule["health"], rule.get("lastError")) for rule in rules(prometheus)}
    assert health == dict.fromkeys(ALERTS, ("ok", None))

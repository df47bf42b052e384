"""Debian's Prometheus scrapes a running service while its Redis fails and is mended."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from app.devservers import Valkey
from tests.faults.servers import killed
from tests.pages import shown
from tests.service import Service, on, running
from tests.system.prometheus import ALERTS, Prometheus, dashboard


TEXT = "text/plain;version=0.0.4"
FAILING, FLAPPING, SLOWEST = shown("docs/monitoring.md", "Metrics")[0].text.splitlines()


@contextmanager
def in_text(service: Service) -> Iterator[str]:
    """Answer with what the service tells in text: this Prometheus always prefers OpenMetrics."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            reply = service.ask("/metrics", Accept=TEXT)
            self.send_response(reply.code)
            self.send_header("Content-Type", reply.headers["content-type"])
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(name="secret", scope="module")
def _secret(own_valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the service a copy of the password, which a test may spoil."""
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
        in_text(service) as text,
        Prometheus(vitals=f"127.0.0.1:{service.port}", text=text) as server,
    ):
        server.until("vitals", {"VitalsNobodyAsks"})
        service.until("redis", None, within=5)
        for job in ("vitals", "text"):
            server.wait(f'health_requests_total{{job="{job}",endpoint="/health"}}')
        service.ask("/health")  # a counter that begins at 1 has not risen
        for job in ("vitals", "text"):
            server.until(job, set())
        yield server


def told(prometheus: Prometheus, query: str) -> set[str]:
    """Of which checks a query speaks, in either format."""
    jobs = {
        job: {one["check"] for one in prometheus.query(query) if one.get("job", job) == job}
        for job in ("vitals", "text")
    }
    assert jobs["vitals"] == jobs["text"]
    return jobs["vitals"]


def assert_panels_show_something(prometheus: Prometheus) -> None:
    """Each has series, with the labels that its legend names."""
    for panel in dashboard():
        for target in panel["targets"]:
            shown = prometheus.query(target["expr"])
            assert shown, panel["title"]
            legend = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            assert all(legend <= one.keys() for one in shown), panel["title"]


def assert_names_are_told(prometheus: Prometheus) -> None:
    """Those in the docs, the alerts and the dashboard; so is each label."""
    series = prometheus.query('{job="vitals"}')
    names = {one["__name__"] for one in series}
    labels = set[str]().union(*(one.keys() for one in series))
    panels = [target["expr"] for panel in dashboard() for target in panel["targets"]]
    for expression in (FAILING, FLAPPING, SLOWEST, *ALERTS.values(), *panels):
        assert set(re.findall(r"\bhealth_\w+", expression)) <= names, expression
        named = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", expression)
        lists = re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", expression)
        named += [label.strip() for one in lists for label in one.split(",")]
        assert set(named) <= labels, expression


def test_both_formats_are_taken(prometheus: Prometheus) -> None:
    """OpenMetrics alone knows what an info is."""
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


def test_a_failure_is_told_while_it_lasts(
    prometheus: Prometheus, service: Service, own_valkey: Valkey
) -> None:
    """By the queries of the docs and the alerts; nothing is before it and after its repair."""
    assert told(prometheus, FAILING) == set()
    assert told(prometheus, SLOWEST) == {"redis"}
    with killed(own_valkey):
        for job in ("vitals", "text"):
            prometheus.until(job, {"VitalsOutage", "VitalsNotReady"})
        assert told(prometheus, FAILING) == {"redis"}
        reasons = prometheus.query('health_check_reason{job="vitals"}')
        assert [one["reason"] for one in reasons] == ["refused"]
        assert_panels_show_something(prometheus)
        assert_names_are_told(prometheus)
    service.until("redis", None, within=5)
    for job in ("vitals", "text"):
        prometheus.until(job, set())
    assert told(prometheus, FAILING) == set()
    assert not prometheus.query("health_check_reason")


def test_a_spoilt_secret_is_told_apart(
    prometheus: Prometheus, secret: Path, own_valkey: Valkey
) -> None:
    """Until it is what the server has again."""
    secret.write_text("not the one")
    prometheus.until("vitals", {"VitalsOutage", "VitalsNotReady", "VitalsSecretTrouble"})
    secret.write_text(own_valkey.password_file.read_text())
    prometheus.until("vitals", set())


def test_maintenance_is_no_outage(prometheus: Prometheus, secret: Path) -> None:
    """It is told all the same, for whoever forgets it."""
    file = secret.with_name("maintenance")
    file.touch()
    prometheus.until("vitals", {"VitalsForgottenInMaintenance"})
    file.unlink()
    prometheus.until("vitals", set())


def test_what_comes_and_goes_flaps(
    prometheus: Prometheus, service: Service, own_valkey: Valkey
) -> None:
    """Six failures are more than five, and more than the three of the alert."""
    for _ in range(6):
        with killed(own_valkey):
            service.until("redis", "refused", within=5)
        service.until("redis", None, within=5)
    prometheus.until("vitals", {"VitalsFlapping"})
    assert told(prometheus, FLAPPING) == {"redis"}


def test_a_service_that_is_gone_is_told(prometheus: Prometheus, service: Service) -> None:
    """At the end of this module, as it does not come back."""
    service.process.terminate()
    prometheus.until("vitals", {"VitalsFlapping", "VitalsTargetDown", "VitalsOutage"})


def rules(prometheus: Prometheus) -> list[Any]:
    """Tell the alerts as the server has read them."""
    rules: list[Any] = prometheus.ask("rules")["groups"][0]["rules"]
    return rules


def test_the_alerts_are_evaluated(prometheus: Prometheus) -> None:
    """None has an expression that fails on what is really told."""
    health = {rule["name"]: (rule["health"], rule.get("lastError")) for rule in rules(prometheus)}
    assert health == dict.fromkeys(ALERTS, ("ok", None))

"""Debian's Prometheus and Alertmanager with the configuration in deploy/prometheus."""

import contextlib
import http.client
import json
import time
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from app.event_loop import WINDOW
from tests.support.devservers.servers import DevServer
from tests.support.service import ROOT
from tests.system.servers import program


SHIPPED = ROOT / "deploy" / "prometheus"
ALERTS: dict[str, str] = {
    rule["alert"]: rule["expr"]
    for rule in yaml.safe_load((SHIPPED / "alerts.yml").read_text())["groups"][0]["rules"]
}

Result = dict[str, Any]


class MonitoringServer(DevServer):
    """A server of the Prometheus project."""

    stop_signal = "SIGKILL"  # its data is not needed

    @property
    def url(self) -> str:
        """URL of the HTTP API."""
        return f"http://127.0.0.1:{self.port}"

    def write(self, name: str, content: Any) -> Path:
        """Write a configuration file that the server can read, and return its path."""
        file = self.folder / name
        file.write_text(yaml.safe_dump(content))
        self.give(file)
        return file

    def ready(self) -> bool:
        """Return whether it answers requests."""
        with contextlib.suppress(OSError):
            return self.get("/-/ready")[0] == HTTPStatus.OK
        return False

    def get(self, path: str) -> tuple[int, bytes]:
        """Return the status and the body of a request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        with contextlib.closing(connection):
            connection.request("GET", path)
            reply = connection.getresponse()
            return reply.status, reply.read()


class Alertmanager(MonitoringServer):
    """An Alertmanager as in deploy/prometheus, but faster, and with another file for the URL.

    Args:
        receiver: the URL that receives the alerts.
    """

    def __init__(self, receiver: str) -> None:
        super().__init__()
        self.password_file.chmod(0o644)
        self.password_file.write_text(f"{receiver}\n")
        configuration = yaml.safe_load((SHIPPED / "alertmanager.yml").read_text())
        configuration["route"] |= {"group_wait": "1s", "group_interval": "1s"}
        (one,) = configuration["receivers"]
        one["slack_configs"][0]["api_url_file"] = str(self.password_file)
        self._configuration = self.write("alertmanager.yml", configuration)

    def command(self) -> tuple[list[str], str]:
        """Return a command that keeps all data in the folder."""
        options = {
            "config.file": self._configuration,
            "storage.path": self.folder / "data",
            "web.listen-address": f"127.0.0.1:{self.port}",
            "cluster.listen-address": "",
        }
        words = [f"--{name}={value}" for name, value in options.items()]
        return [str(program("prometheus-alertmanager")), *words], ""


class Prometheus(MonitoringServer):
    """A Prometheus that scrapes as in deploy/prometheus, but more often, and other targets.

    Args:
        alertmanager: receives alerts as soon as their expressions hold; None receives none.
        targets: address of each job.
    """

    def __init__(self, alertmanager: Alertmanager | None = None, **targets: str) -> None:
        super().__init__()
        configuration = yaml.safe_load((SHIPPED / "prometheus.yml").read_text())
        configuration["global"] = {"scrape_interval": "200ms", "evaluation_interval": "1s"}
        (static,) = configuration["alerting"]["alertmanagers"][0]["static_configs"]
        static["targets"] = [f"127.0.0.1:{alertmanager.port}"] if alertmanager else []
        (job,) = configuration["scrape_configs"]
        configuration["scrape_configs"] = [
            job | {"job_name": name, "static_configs": [{"targets": [address]}]}
            for name, address in targets.items()
        ]
        self._configuration = self.write("prometheus.yml", configuration)
        rules = yaml.safe_load((SHIPPED / "alerts.yml").read_text())
        if alertmanager:
            for rule in rules["groups"][0]["rules"]:
                rule["for"] = "0s"
        self.write("alerts.yml", rules)

    def command(self) -> tuple[list[str], str]:
        """Return a command that keeps all data in the folder."""
        options = {
            "config.file": self._configuration,
            "storage.tsdb.path": self.folder / "data",
            "web.listen-address": f"127.0.0.1:{self.port}",
        }
        return [str(program("prometheus")), *(f"--{k}={v}" for k, v in options.items())], ""

    def ask(self, path: str, **query: str) -> Any:
        """Return the data of a request to the HTTP API."""
        code, body = self.get(f"/api/v1/{path}?{urlencode(query)}")
        assert code == HTTPStatus.OK, body
        return json.loads(body)["data"]

    def query(self, expression: str) -> list[Result]:
        """Return the current series of an expression: labels, and the value with an empty key."""
        return [
            one["metric"] | {"": float(one["value"][1])}
            for one in self.ask("query", query=expression)["result"]
        ]

    def firing(self, job: str) -> set[str]:
        """Return the alerts whose expressions currently hold for a job."""
        return {
            name
            for name, expression in ALERTS.items()
            if any(one.get("job") == job for one in self.query(expression))
        }

    def wait(self, expression: str, within: float = 10) -> None:
        """Wait until an expression has a series."""
        deadline = time.monotonic() + within
        while not self.query(expression):
            assert time.monotonic() < deadline, f"no series for {expression}"
            time.sleep(0.1)

    def until(self, job: str, alerts: Iterable[str]) -> None:
        """Wait until the expressions of exactly these alerts hold for a job.

        The service reports a pause of the machine for a while, so the wait is longer than that.
        """
        deadline = time.monotonic() + WINDOW + 10
        while (firing := self.firing(job)) != set(alerts):
            assert time.monotonic() < deadline, f"{firing} instead of {set(alerts)}"
            time.sleep(0.1)


def dashboard() -> list[Any]:
    """Return the panels of the dashboard, with values for its variables."""
    text = (SHIPPED / "dashboard.json").read_text()
    values = {"$job": "vitals", "$instance": ".*", "$__rate_interval": "1m", "$__range": "1h"}
    for name, value in values.items():
        text = text.replace(name, value)
    panels: list[Any] = json.loads(text)["panels"]
    return panels

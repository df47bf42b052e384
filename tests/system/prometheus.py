"""Debian's Prometheus with the configuration in deploy/prometheus."""

import contextlib
import http.client
import json
import shutil
import time
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import yaml

from app.event_loop import WINDOW
from tests.devservers.servers import DevServer
from tests.service import ROOT
from tests.system.servers import program


SHIPPED = ROOT / "deploy" / "prometheus"
ALERTS: dict[str, str] = {
    rule["alert"]: rule["expr"]
    for rule in yaml.safe_load((SHIPPED / "alerts.yml").read_text())["groups"][0]["rules"]
}

Result = dict[str, Any]


class Prometheus(DevServer):
    """A Prometheus that scrapes as in deploy/prometheus, but more often, and other targets.

    Args:
        targets: address of each job.

    """

    stop_signal = "SIGKILL"  # its data is not needed

    def __init__(self, **targets: str) -> None:
        super().__init__()
        configuration = yaml.safe_load((SHIPPED / "prometheus.yml").read_text())
        configuration["global"] = {"scrape_interval": "200ms", "evaluation_interval": "1s"}
        (job,) = configuration["scrape_configs"]
        configuration["scrape_configs"] = [
            job | {"job_name": name, "static_configs": [{"targets": [address]}]}
            for name, address in targets.items()
        ]
        self._configuration = self.folder / "prometheus.yml"
        self._configuration.write_text(yaml.safe_dump(configuration))
        shutil.copy(SHIPPED / "alerts.yml", self.folder)
        for file in (self._configuration, self.folder / "alerts.yml"):
            self.give(file)

    @property
    def url(self) -> str:
        """URL of the HTTP API."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def title_prefix(self) -> str:
        """A prefix that no process title has: it starts no child processes."""
        return f"{self.folder.name} "

    def command(self) -> tuple[list[str], str]:
        """Return a command that keeps all data in the folder."""
        options = {
            "config.file": self._configuration,
            "storage.tsdb.path": self.folder / "data",
            "web.listen-address": f"127.0.0.1:{self.port}",
        }
        return [str(program("prometheus")), *(f"--{k}={v}" for k, v in options.items())], ""

    def ready(self) -> bool:
        """Return whether it answers queries."""
        with contextlib.suppress(OSError):
            return self._get("/-/ready")[0] == HTTPStatus.OK
        return False

    def ask(self, path: str, **query: str) -> Any:
        """Return the data of a request to the HTTP API."""
        code, body = self._get(f"/api/v1/{path}?{urlencode(query)}")
        assert code == HTTPStatus.OK, body
        return json.loads(body)["data"]

    def _get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        with contextlib.closing(connection):
            connection.request("GET", path)
            reply = connection.getresponse()
            return reply.status, reply.read()

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

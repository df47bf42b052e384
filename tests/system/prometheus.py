"""Debian's Prometheus and Alertmanager with the configuration in deploy/prometheus."""

import contextlib
import json
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from app.event_loop import WINDOW
from tests.image.stack import until
from tests.support.devservers.servers import DevServer
from tests.support.service import ROOT, ask, wait_for
from tests.system.servers import program


SHIPPED = ROOT / "deploy" / "prometheus"
ALERTS: dict[str, str] = {
    rule["alert"]: rule["expr"]
    for rule in yaml.safe_load((SHIPPED / "alerts.yml").read_text())["groups"][0]["rules"]
}

Result = dict[str, Any]


class MonitoringServer(DevServer):
    """A server of the Prometheus project.

    Attributes:
        executable: the name of its program.
        options: those of its command line.
    """

    stop_signal = "SIGKILL"  # its data is not needed
    executable: str

    def __init__(self) -> None:
        super().__init__()
        self.options: dict[str, Path | str] = {"web.listen-address": f"127.0.0.1:{self.port}"}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        options = [f"--{name}={value}" for name, value in self.options.items()]
        return [str(program(self.executable)), *options]

    def ready(self) -> bool:
        """Return whether it answers requests."""
        with contextlib.suppress(OSError):
            return ask(self.port, "/-/ready").code == HTTPStatus.OK
        return False

    def configure(self, name: str, content: Any) -> Path:
        """Write a configuration file, and return its path."""
        return self.write(name, yaml.safe_dump(content))


class Alertmanager(MonitoringServer):
    """An Alertmanager as in deploy/prometheus, but faster, and with another file for the URL.

    Args:
        receiver: the URL that receives the alerts.
    """

    executable = "prometheus-alertmanager"

    def __init__(self, receiver: str) -> None:
        super().__init__()
        configuration = yaml.safe_load((SHIPPED / "alertmanager.yml").read_text())
        configuration["route"] |= {"group_wait": "1s", "group_interval": "1s"}
        (one,) = configuration["receivers"]
        one["slack_configs"][0]["api_url_file"] = str(self.write("receiver", f"{receiver}\n"))
        self.options |= {
            "config.file": self.configure("alertmanager.yml", configuration),
            "storage.path": self.folder / "data",
            "cluster.listen-address": "",
        }


class Prometheus(MonitoringServer):
    """A Prometheus that scrapes as in deploy/prometheus, but more often, and other targets.

    Args:
        alertmanager: receives alerts as soon as their expressions hold; None receives none.
        targets: address of each job.
    """

    executable = "prometheus"

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
        self.options |= {
            "config.file": self.configure("prometheus.yml", configuration),
            "storage.tsdb.path": self.folder / "data",
        }
        rules = yaml.safe_load((SHIPPED / "alerts.yml").read_text())
        if alertmanager:
            for rule in rules["groups"][0]["rules"]:
                rule["for"] = "0s"
        self.configure("alerts.yml", rules)

    def ask(self, path: str, **query: str) -> Any:
        """Return the data of a request to the HTTP API."""
        reply = ask(self.port, f"/api/v1/{path}?{urlencode(query)}")
        assert reply.code == HTTPStatus.OK, reply.body
        return reply.json["data"]

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

    def wait(self, expression: str) -> None:
        """Wait until an expression has a series."""
        wait_for(lambda: self.query(expression), 10)

    def until(self, job: str, alerts: Iterable[str]) -> None:
        """Wait until the expressions of exactly these alerts hold for a job.

        The service reports a pause of the machine for a while, so the wait is longer than that.
        """
        until(lambda: self.firing(job), set(alerts), WINDOW + 10)


def dashboard() -> list[Any]:
    """Return the panels of the dashboard, with values for its variables."""
    text = (SHIPPED / "dashboard.json").read_text()
    values = {"$job": "vitals", "$instance": ".*", "$__rate_interval": "1m", "$__range": "1h"}
    for name, value in values.items():
        text = text.replace(name, value)
    panels: list[Any] = json.loads(text)["panels"]
    return panels

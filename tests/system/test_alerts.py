"""Validates the shipped configuration of Prometheus and Alertmanager, and delivers an alert."""

import contextlib
import json
import queue
import re
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from tests.support.devservers import Valkey
from tests.support.faults.servers import killed
from tests.support.service import on, running
from tests.support.serving import serving
from tests.system.prometheus import ALERTS, SHIPPED, Alertmanager, Prometheus
from tests.system.servers import program


RULES = yaml.safe_load((SHIPPED / "alerts.yml").read_text())["groups"][0]["rules"]


@pytest.mark.parametrize(
    ("tool", "words"),
    [
        ("promtool", "check config --lint-fatal prometheus.yml"),
        ("promtool", "check rules --lint-fatal alerts.yml"),
        ("promtool", "test rules alerts.test.yml"),
        ("amtool", "check-config alertmanager.yml"),
    ],
)
def test_the_tools_accept_the_configuration(tool: str, words: str) -> None:
    """In each scenario the expected alerts fire, and no others."""
    command = [str(program(tool)), *words.split()]
    done = subprocess.run(command, cwd=SHIPPED, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_fires_in_a_test_scenario() -> None:
    """An alert without a scenario would be untested."""
    scenarios = yaml.safe_load((SHIPPED / "alerts.test.yml").read_text())["tests"]
    fired = {
        name
        for scenario in scenarios
        for query in scenario["promql_expr_test"]
        for sample in query["exp_samples"]
        for name in re.findall(r'alertname="(\w+)"', sample["labels"])
    }
    assert fired == ALERTS.keys()


@pytest.mark.parametrize("rule", RULES, ids=ALERTS)
def test_each_alert_has_a_remedy(rule: dict[str, dict[str, str]]) -> None:
    """It also has a severity, and a time for which its expression must hold."""
    assert rule["for"]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"].keys() == {"summary", "description", "remedy"}


class Chat:
    """A chat that accepts messages in Slack's format.

    Attributes:
        titles: the titles of the messages that were read so far.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/hook"
        self.titles: list[str] = []
        self.arrived = queue.Queue[dict[str, str]]()

    def wait(self, title: str) -> str:
        """Wait until a message whose title begins so arrives, and return its text."""
        while True:
            message = self.arrived.get(timeout=15)
            self.titles.append(message["title"])
            if message["title"].startswith(title):
                return message["text"]


@contextlib.contextmanager
def chatting() -> Iterator[Chat]:
    """Run a chat while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            chat.arrived.put(body["attachments"][0])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        chat = Chat(server.server_port)
        yield chat


def test_an_alert_and_its_end_reach_the_receiver(own_valkey: Valkey, tmp_path: Path) -> None:
    """An outage is one message: its warnings about single instances are left out."""
    with running(on(valkey=own_valkey), tmp_path / "log") as service, chatting() as chat:
        service.until("redis", None, within=5)
        address = f"127.0.0.1:{service.port}"
        with Alertmanager(chat.url) as alertmanager, Prometheus(alertmanager, vitals=address):
            with killed(own_valkey):
                text = chat.wait("[FIRING:1] VitalsOutage")
                assert text.startswith("No instance of vitals is ready.")
                assert "failing: redis (refused on 1)." in text
            chat.wait("[RESOLVED] VitalsOutage")
    assert not [title for title in chat.titles if "VitalsNotReady" in title]

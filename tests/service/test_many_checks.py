"""A file of 200 checks, on real sockets: it starts, answers and stops like one of two."""

import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.service import Service, running, wait_for


COUNT = 200

# The names of the checks that fail, and their reasons.
REQUIRED, OPTIONAL, STATUS = "tcp-50", "tcp-150", "http-100"
FAILING = {REQUIRED: "refused", OPTIONAL: "refused", STATUS: "http_status"}

# Seconds: a first attempt that takes its whole timeout, and a busy machine.
START = 10

# Seconds from SIGTERM to the exit: no request is in flight, and attempts are cancelled.
STOP = 3


class Handler(BaseHTTPRequestHandler):
    """Answers with the status that the path names."""

    def do_GET(self) -> None:
        """Answer without a body."""
        self.send_response(int(self.path[1:]))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class Server(ThreadingHTTPServer):
    """An HTTP server that takes all checks at once."""

    request_queue_size = COUNT


@pytest.fixture(name="server", scope="module")
def _server() -> Iterator[int]:
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def write_checks(file: Path, port: int) -> None:
    """Write a file in which every other check is a TCP check of a port, and the others HTTP."""
    closed = free_port()
    lines = ["[defaults]", "interval = 1", "timeout = 5"]
    for number in range(COUNT):
        name = f"{'http' if number % 2 == 0 else 'tcp'}-{number}"
        name = {51: REQUIRED, 151: OPTIONAL}.get(number, name)
        is_closed = name in {REQUIRED, OPTIONAL}
        urls = {
            "http": f"http://127.0.0.1:{port}/{503 if name == STATUS else 200}",
            "tcp": f"tcp://127.0.0.1:{closed if is_closed else port}",
        }
        lines += [f"[checks.{name}]", f'url = "{urls[name.split("-")[0]]}"']
        lines += ["required = false"] if name == OPTIONAL else []
    file.write_text("\n".join(lines))


@pytest.fixture(name="service", scope="module")
def _service(server: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("many")
    write_checks(folder / "checks.toml", server)
    environ = {"CHECKS_FILE": str(folder / "checks.toml"), "DRAIN_SECONDS": "0"}
    with running(environ, folder / "log") as service:
        wait_for(lambda: service.ask("/health/started").code == 200, START)
        yield service


def test_json_lists_what_fails_and_counts_the_rest(service: Service) -> None:
    """An answer stays below the 10 KB that a kubelet reads, unless it is verbose."""
    body = service.ask("/health").json
    assert body["status"] == "fail"
    assert {name: one["reason"] for name, one in body["checks"].items()} == FAILING
    assert body["others"] == COUNT - len(FAILING)
    assert len(service.ask("/health").body) < 10_000
    everything = service.ask("/health?verbose&format=json").json["checks"]
    passing = [name for name, one in everything.items() if one["status"] == "pass"]
    assert len(everything) == COUNT
    assert set(everything) - set(passing) == set(FAILING)


def test_text_lists_what_fails_and_counts_the_rest(service: Service) -> None:
    lines = service.ask("/health", Accept="text/plain").body.decode().splitlines()
    assert set(lines) == {
        f"[-]{REQUIRED} failed: refused",
        f"[-]{OPTIONAL} warn: refused",
        f"[-]{STATUS} failed: http_status",
        f"[+]others ok: {COUNT - len(FAILING)}",
        "health check failed",
    }
    verbose = service.ask("/health?verbose", Accept="text/plain").body.decode()
    assert len(re.findall(r"^\[[+-]\](?:tcp|http)-\d+ ", verbose, re.MULTILINE)) == COUNT


def test_the_page_shows_the_worst_first(service: Service) -> None:
    page = service.ask("/health", Accept="text/html").body.decode()
    names = re.findall(r"<h2[^>]*>\s*(?:<[^>]*>\s*)*((?:tcp|http)-\d+)", page)
    assert len(names) == COUNT
    assert set(names[:2]) == {REQUIRED, STATUS}
    assert names[2] == OPTIONAL


def test_each_check_has_its_path_and_its_metrics(service: Service) -> None:
    assert service.ask(f"/health/checks/{REQUIRED}").code == 503
    assert service.ask("/health/checks/http-198").code == 200
    metrics = service.ask("/metrics").body.decode()
    failing = re.findall(r'health_check_state\{check="([^"]+)",state="fail"\} 1\.0', metrics)
    assert set(failing) == set(FAILING)
    assert metrics.count('state="pass"} 1.0') == COUNT - len(FAILING)


def test_it_recovers_alone_and_stops_in_time(server: int, tmp_path: Path) -> None:
    """A port that opens shows within the bound of its check, and SIGTERM ends all attempts."""
    write_checks(tmp_path / "checks.toml", server)
    text = (tmp_path / "checks.toml").read_text()
    (closed,) = {*re.findall(r"tcp://127.0.0.1:(\d+)", text)} - {str(server)}
    environ = {"CHECKS_FILE": str(tmp_path / "checks.toml"), "DRAIN_SECONDS": "0"}
    with running(environ, tmp_path / "log") as service:
        wait_for(lambda: service.ask("/health/started").code == 200, START)
        with Server(("127.0.0.1", int(closed)), Handler):
            wait_for(lambda: list(service.ask("/health").json["checks"]) == [STATUS], 1 + 5 + 0.5)
        begun = time.monotonic()
        service.process.terminate()
        assert service.process.wait(STOP) == 0
        assert time.monotonic() - begun < STOP

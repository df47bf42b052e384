"""The service on one CPU under more load than any fleet of probers causes."""

import http.client
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.devservers import Postgres, Valkey
from tests.support.service import SERVE, Prober, Service, on, p99, running
from tests.system.servers import program


pytestmark = pytest.mark.alone

MIB = 2**20

# Connections that a usual descriptor limit allows.
CONNECTIONS = 400

# Maximum p99 of liveness in seconds.
MAX_P99 = 0.05

# Production settings, instead of the short intervals of tests.
DEFAULTS = {"CHECK_INTERVAL": "1", "CHECK_TIMEOUT": "1", "RECONNECT_INTERVAL": "15"}


@pytest.fixture(name="service")
def _service(postgres: Postgres, valkey: Valkey, tmp_path: Path) -> Iterator[Service]:
    command = ("taskset", "--cpu-list", "0", *SERVE)
    with running({**on(postgres, valkey), **DEFAULTS}, tmp_path / "log", command) as service:
        service.until("postgres", None, 5)
        service.until("redis", None, 5)
        yield service


def flood(service: Service, connections: int, *arguments: str, path: str = "/health/ready") -> str:
    """Send requests as fast as possible for two seconds, and return the report of wrk."""
    command = [str(program("wrk")), "--threads=1", f"--connections={connections}", "--duration=2s"]
    url = f"http://127.0.0.1:{service.port}{path}"
    done = subprocess.run([*command, *arguments, url], capture_output=True, text=True, check=True)
    return done.stdout


def memory(service: Service, field: str) -> int:
    """Return the resident memory in bytes, now (`VmRSS`) or at its peak (`VmHWM`)."""
    lines = Path(f"/proc/{service.process.pid}/status").read_text().splitlines()
    (kilobytes,) = [line.split()[1] for line in lines if line.startswith(f"{field}:")]
    return int(kilobytes) * 1024


def test_a_flood_fails_no_check_and_leaks_no_memory(service: Service) -> None:
    """Every answer is a 200 while the CPU is saturated, with far less than 256 MB of memory."""
    flood(service, 256)
    before = memory(service, "VmRSS")
    with Prober(service, "/health/ready") as prober:
        reports = [
            flood(service, 32),
            flood(service, 256),
            flood(service, 32, "-HConnection: close"),
        ]
    assert not [
        report for report in reports if "Non-2xx" in report or "Socket errors: connect" in report
    ]
    assert {reply.code for reply in prober.replies} == {200}
    assert not re.search(r'"check status changed".*"to": "fail"', service.log.read_text())
    assert memory(service, "VmRSS") - before < 8 * MIB
    assert memory(service, "VmHWM") < 128 * MIB


@pytest.mark.parametrize(
    "path",
    [
        "/health?format=html",
        f"/health?format=html&{'exclude=a&' * 1000}",
        f"/health?{'a&' * 7000}",
        "/metrics",
        "/openapi.json",
        "/nowhere",
    ],
    ids=lambda path: path[:30],
)
def test_a_flood_of_expensive_requests_does_not_delay_liveness(path: str, tmp_path: Path) -> None:
    """The requests render pages with thirty failing checks, or miss the response cache."""
    checks = {f"check{number}": {"url": "http://127.0.0.1:1/"} for number in range(30)}
    environ = {**DEFAULTS, "DRAIN_SECONDS": "0", "HTTP_CHECKS": json.dumps(checks)}
    command = ("taskset", "--cpu-list", "0", *SERVE)
    with running(environ, tmp_path / "log", command) as service:
        service.until("check29", "refused", 5)
        # Other work may stall the machine, but not in every attempt.
        assert any(liveness_p99(service, path) < MAX_P99 for _ in range(3))


def liveness_p99(service: Service, path: str) -> float:
    """Return the p99 of liveness in seconds while a path is flooded."""
    with Prober(service, "/health/live") as live:
        for connection in ("keep-alive", "close"):
            flood(service, 256, f"-HConnection: {connection}", path=path)
    assert {reply.code for reply in live.replies} == {200}
    return p99(live.replies)


def test_many_waiting_connections_are_all_answered(service: Service) -> None:
    """No connection limit rejects a probe."""
    connections = [
        http.client.HTTPConnection("127.0.0.1", service.port) for _ in range(CONNECTIONS)
    ]
    for connection in connections:
        connection.connect()
    for connection in connections:
        connection.request("GET", "/health/ready")
    codes = []
    for connection in connections:
        with closing(connection), connection.getresponse() as response:
            codes.append(response.status)
    assert codes == [200] * CONNECTIONS

"""One processor, and more probers than any fleet has."""

import http.client
import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.devservers import Postgres, Valkey
from app.settings.checks import MAX_CHECKS
from tests.service import SERVE, Prober, Service, on, p99, running
from tests.system.servers import program


MIB = 2**20

# As many as an ordinary limit of descriptors allows.
MANY = 400

# Seconds that 99 of 100 answers of liveness take at most.
MAX_P99 = 0.05

# The settings of an installation, not of a test in haste.
DEFAULTS = {"CHECK_INTERVAL": "1", "CHECK_TIMEOUT": "1", "RECONNECT_INTERVAL": "15"}


@pytest.fixture(name="service")
def _service(postgres: Postgres, valkey: Valkey, tmp_path: Path) -> Iterator[Service]:
    command = ("taskset", "--cpu-list", "0", *SERVE)
    with running({**on(postgres, valkey), **DEFAULTS}, tmp_path / "log", command) as service:
        service.until("postgres", None, 5)
        service.until("redis", None, 5)
        yield service


def flood(service: Service, connections: int, *arguments: str, path: str = "/health/ready") -> str:
    """Ask as fast as can be for some seconds, and tell what came of it."""
    command = [str(program("wrk")), "--threads=1", f"--connections={connections}", "--duration=3s"]
    url = f"http://127.0.0.1:{service.port}{path}"
    told = subprocess.run([*command, *arguments, url], capture_output=True, text=True, check=True)
    return told.stdout


def memory(service: Service, what: str) -> int:
    """How many bytes are in memory now (`VmRSS`), or were at most (`VmHWM`)."""
    lines = Path(f"/proc/{service.process.pid}/status").read_text().splitlines()
    (kilobytes,) = [line.split()[1] for line in lines if line.startswith(f"{what}:")]
    return int(kilobytes) * 1024


def test_a_flood_turns_nothing_red_and_grows_nothing(service: Service) -> None:
    """Every answer is a 200 while a processor is used up, in a fraction of 256 MB."""
    flood(service, 256)
    at_first = memory(service, "VmRSS")
    with Prober(service, "/health/ready") as prober:
        told = [flood(service, 32), flood(service, 256), flood(service, 32, "-HConnection: close")]
    assert not [line for line in told if "Non-2xx" in line or "Socket errors: connect" in line]
    assert {reply.code for reply in prober.replies} == {200}
    assert "to=fail" not in service.log.read_text()
    assert memory(service, "VmRSS") - at_first < 8 * MIB
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
def test_a_flood_of_costly_requests_holds_no_probe_up(path: str, tmp_path: Path) -> None:
    """Pages of thirty failing checks, and all that is not ready: liveness comes in between."""
    checks = {f"check{number}": {"url": "http://127.0.0.1:1/"} for number in range(MAX_CHECKS)}
    environ = {**DEFAULTS, "DRAIN_SECONDS": "0", "HTTP_CHECKS": json.dumps(checks)}
    command = ("taskset", "--cpu-list", "0", *SERVE)
    with running(environ, tmp_path / "log", command) as service:
        service.until("check29", "refused", 5)
        # Other work may hold up the machine, but not each time.
        assert any(late(service, path) < MAX_P99 for _ in range(3))


def late(service: Service, path: str) -> float:
    """Flood a path, and return how late 99 of 100 answers of liveness are at most."""
    with Prober(service, "/health/live") as live:
        for connection in ("keep-alive", "close"):
            flood(service, 256, f"-HConnection: {connection}", path=path)
    assert {reply.code for reply in live.replies} == {200}
    return p99(live.replies)


def test_an_answer_is_never_refused_for_the_many_that_wait(service: Service) -> None:
    """No limit of connections answers a probe in the place of the service."""
    connections = [http.client.HTTPConnection("127.0.0.1", service.port) for _ in range(MANY)]
    for connection in connections:
        connection.connect()
    for connection in connections:
        connection.request("GET", "/health/ready")
    codes = []
    for connection in connections:
        with closing(connection), connection.getresponse() as response:
            codes.append(response.status)
    assert codes == [200] * MANY

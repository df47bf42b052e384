"""A flood of requests, with production's limits and with its reservations as limits."""

import re
import threading
from collections.abc import Iterator

import pytest

from tests.image.stack import Stack, run
from tests.support.service import ROOT


WRK = "vitals-test-wrk"
SECONDS = 10


@pytest.fixture(name="wrk", scope="module", autouse=True)
def _wrk() -> Iterator[None]:
    """Build an image with the load generator."""
    run(
        "docker",
        "build",
        "-q",
        "-t",
        WRK,
        "-",
        input=(ROOT / "tests/image/wrk.Dockerfile").read_text(),
    )
    yield
    run("docker", "image", "rm", "--force", WRK)


def flood(stack: Stack) -> int:
    """Send requests on 64 connections, assert that none fails, and return how many there were."""
    command = ("docker", "run", "--rm", "--network", f"{stack.project}_edge", WRK)
    report = run(*command, "-t1", "-c64", f"-d{SECONDS}s", "http://backend:8000/health")
    assert "Non-2xx" not in report
    assert "Socket errors" not in report
    return int(re.findall(r"(\d+) requests in", report)[0])


@pytest.mark.parametrize(("cpus", "memory"), [("1", "1g"), ("0.25", "256m")])
def test_a_flood_fails_no_request_and_no_health_check(
    production: Stack, cpus: str, memory: str
) -> None:
    """Neither a request of the flood or of another client, nor Docker's health check."""
    before = production.starts()
    container = production.inspect("backend")["Id"]
    limits = ("--cpus", cpus, "--memory", memory, "--memory-swap", memory)
    run("docker", "update", *limits, container)
    over, seen = threading.Event(), []

    def watch() -> None:
        while not over.wait(0.1):
            code, body = production.ask("/health")
            seen.append((code, body["status"]))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        answers = flood(production)
    finally:
        over.set()
        watcher.join()
    assert answers > 1000
    assert len(seen) > SECONDS  # the rest depends on the machine
    assert set(seen) == {(200, "pass")}
    state = production.inspect("backend")["State"]
    assert (state["OOMKilled"], state["Health"]["Status"]) == (False, "healthy")
    assert production.starts() == before

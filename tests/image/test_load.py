"""A flood of probes, at the limits of production and at its reservations."""

import re
import threading
from collections.abc import Iterator

import pytest

from tests.image.stack import Stack, run
from tests.service import ROOT


WRK = "vitals-test-wrk"
SECONDS = 10


@pytest.fixture(name="wrk", scope="module", autouse=True)
def _wrk() -> Iterator[None]:
    """Make an image of the load generator, which need not be on this machine."""
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
    """Ask on 64 connections at once, and tell how many answers came; all of them were good."""
    command = ("docker", "run", "--rm", "--network", f"{stack.project}_edge", WRK)
    told = run(*command, "-t1", "-c64", f"-d{SECONDS}s", "http://backend:8000/health")
    assert "Non-2xx" not in told
    assert "Socket errors" not in told
    return int(re.findall(r"(\d+) requests in", told)[0])


@pytest.mark.parametrize(("cpus", "memory"), [("1", "1g"), ("0.25", "256m")])
def test_a_flood_neither_kills_it_nor_turns_it_red(
    production: Stack, cpus: str, memory: str
) -> None:
    """Nobody is told a failure: neither who floods, nor who asks beside it, nor Docker."""
    before = production.lives()
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
    assert len(seen) > SECONDS  # how many more is the machine's matter
    assert set(seen) == {(200, "pass")}
    state = production.inspect("backend")["State"]
    assert (state["OOMKilled"], state["Health"]["Status"]) == (False, "healthy")
    assert production.lives() == before

"""Connections that are used again after a silence, as load balancers do."""

import http.client
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.support.devservers import Valkey
from tests.support.service import Service, on, running


# One path that the cache answers, one that the routes answer, and one of a user's own.
PATHS = ("/health/live", "/health?verbose", "/slow?seconds=0")

# `vitals serve` with the slow route.
SERVE = (sys.executable, "-m", "tests.support.slow_app")


def connect(service: Service) -> http.client.HTTPConnection:
    """Return a connection that is not opened again if the service closes it."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=15)
    connection.connect()
    connection.auto_open = 0
    return connection


def ask(connection: http.client.HTTPConnection, path: str) -> int:
    """Return the status code of a response that has arrived completely."""
    connection.request("GET", path)
    response = connection.getresponse()
    response.read()
    return response.status


@pytest.fixture(name="service")
def _service(valkey: Valkey, tmp_path: Path) -> Iterator[Service]:
    environ = {**on(valkey=valkey), "KEEP_ALIVE_SECONDS": "2"}
    with running(environ, tmp_path / "log", SERVE) as service:
        service.until("redis", None, 5)
        yield service


@pytest.mark.waits
def test_a_connection_is_answered_after_55_seconds_of_silence(
    valkey: Valkey, tmp_path: Path
) -> None:
    """With the setting for an AWS load balancer, which closes idle connections after 60 s."""
    environ = {**on(valkey=valkey), "KEEP_ALIVE_SECONDS": "65"}
    with running(environ, tmp_path / "log", SERVE) as service, ExitStack() as stack:
        service.until("redis", None, 5)
        connections = [stack.enter_context(closing(connect(service))) for _ in range(60)]
        for number, connection in enumerate(connections):
            assert ask(connection, PATHS[number % len(PATHS)]) == 200
        time.sleep(55)
        for number, connection in enumerate(connections):
            assert ask(connection, PATHS[number % len(PATHS)]) == 200


def test_no_answer_is_lost_before_the_connection_closes(service: Service) -> None:
    """Each request is sent shortly before the limit."""
    with ExitStack() as stack:
        connections = [stack.enter_context(closing(connect(service))) for _ in range(30)]
        for _ in range(3):
            for connection in connections:
                assert ask(connection, PATHS[0]) == 200
            time.sleep(1.8)
        for number, connection in enumerate(connections):
            assert ask(connection, PATHS[number % len(PATHS)]) == 200


@pytest.mark.parametrize("path", [*PATHS, "/slow?seconds=2.5"])
def test_a_silent_connection_is_closed_after_its_answer(service: Service, path: str) -> None:
    """Two to four seconds after the whole answer, and without a reset."""
    with closing(connect(service)) as connection:
        assert ask(connection, path) == 200
        answered = time.monotonic()
        assert connection.sock.recv(1) == b""
        assert 1.9 <= time.monotonic() - answered < 5

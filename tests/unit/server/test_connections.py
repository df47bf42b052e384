"""Idle connections are closed; those with a request in progress are not."""

import math
import resource
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn

from app.asgi import Vitals
from app.server.limits import (
    IDLE_TIMEOUT,
    MAX_CONNECTIONS,
    RESERVED,
    ConnectionSet,
    connection_limit,
)
from app.server.server import Server
from tests.support.fakes import simulate


@dataclass(eq=False)
class FakeConnection:
    """A connection, and its own transport."""

    idle_since: float
    is_kept: bool = False
    closing: bool = False
    closed: bool = False
    transport: "FakeConnection" = field(init=False)

    def __post_init__(self) -> None:
        self.transport = self

    def close(self) -> None:
        """Close when the client has read everything."""
        self.closing = True

    def abort(self) -> None:
        """Close."""
        self.closed = True


def test_a_connection_without_a_complete_request_is_closed_after_the_idle_timeout() -> None:
    """Not earlier, and never while its request is being answered."""
    all_connections = [FakeConnection(0.0), FakeConnection(0.1), FakeConnection(math.inf)]
    connections = ConnectionSet(9, 60)
    for connection in all_connections:
        connections.add(connection)
    connections.close_idle(IDLE_TIMEOUT)
    connections.close_idle(IDLE_TIMEOUT + 0.05)
    assert not [one for one in all_connections if one.closed]
    connections.close_idle(IDLE_TIMEOUT + 0.05)
    assert [one.closed for one in all_connections] == [True, False, False]
    assert connections == set(all_connections[1:])


def test_a_kept_connection_is_closed_after_the_keep_alive_time() -> None:
    """If the client has not read the last answer, it gets the time for that, too."""
    connections = ConnectionSet(9, 60)
    connections.add(kept := FakeConnection(0.0, is_kept=True))
    for now, expected in (
        (60, (False, False)),
        (60.1, (False, False)),
        (61, (True, False)),
        (60 + IDLE_TIMEOUT + 1, (True, False)),
        (60 + IDLE_TIMEOUT + 2, (True, True)),
    ):
        connections.close_idle(now)
        assert (kept.closing, kept.closed) == expected
    assert not connections


def test_the_time_between_two_checks_closes_no_connection() -> None:
    """If the event loop was blocked, it has not read what clients have sent meanwhile."""
    connections = ConnectionSet(9, 60)
    connections.add(kept := FakeConnection(0.0, is_kept=True))
    connections.close_idle(59)
    connections.close_idle(99)
    assert not kept.closing
    connections.close_idle(99)
    assert kept.closing


def test_at_the_limit_the_longest_idle_connections_are_closed() -> None:
    """A tenth at once, so that the next new connections cost nothing."""
    all_connections = [
        FakeConnection(math.inf),
        *(FakeConnection(moment) for moment in range(39, 0, -1)),
    ]
    connections = ConnectionSet(40, 5)
    for connection in all_connections:
        connections.add(connection)
    assert not [one for one in all_connections if one.closed]
    connections.add(newest := FakeConnection(40.0))
    assert [one.idle_since for one in all_connections if one.closed] == [5, 4, 3, 2, 1]
    assert newest in connections
    assert len(connections) == 36


def test_busy_connections_are_not_closed_at_the_limit() -> None:
    """If all are busy, one more is accepted."""
    all_connections = [FakeConnection(math.inf) for _ in range(5)]
    connections = ConnectionSet(4, 5)
    for connection in all_connections:
        connections.add(connection)
    assert connections == set(all_connections)


def test_the_server_closes_idle_connections_each_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uvicorn ticks ten times a second."""
    monkeypatch.setattr("app.server.server.connection_limit", lambda: 3)
    config = uvicorn.Config(Vitals(), log_config=None)
    config.load()
    connections: Any = Server(config).server_state.connections
    for connection in (all_connections := [FakeConnection(moment) for moment in range(4)]):
        connections.add(connection)
    assert [one.closed for one in all_connections] == [True, False, False, False]

    async def ticks() -> list[int]:
        """Return the ticks at which the server closes an idle connection."""
        server, closing_ticks = Server(config), []
        for tick in range(1, 31):
            server.server_state.connections.add(late := FakeConnection(-IDLE_TIMEOUT - 1))  # type: ignore[arg-type]
            await server.on_tick(tick)
            closing_ticks += [tick] * late.closed
        return closing_ticks

    assert simulate(ticks()) == [20, 30]


@pytest.mark.parametrize(
    ("soft", "hard", "limit", "after"),
    [
        (64, 64, 32, 64),
        (100, 1024, 1024 - RESERVED, 1024),
        (1024, 8192, MAX_CONNECTIONS, MAX_CONNECTIONS + RESERVED),
        (8192, 8192, MAX_CONNECTIONS, 8192),
    ],
)
def test_each_connection_has_a_file_descriptor(
    soft: int, hard: int, limit: int, after: int
) -> None:
    """The soft limit is raised as far as needed and allowed, and never lowered."""
    program = (
        "import resource as r; from app.server.limits import connection_limit;"
        f"r.setrlimit(r.RLIMIT_NOFILE, ({soft}, {hard}));"
        "print(connection_limit(), *r.getrlimit(r.RLIMIT_NOFILE))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert [int(word) for word in result.stdout.split()] == [limit, after, hard]


def test_an_unlimited_hard_limit_lets_the_soft_limit_rise(monkeypatch: pytest.MonkeyPatch) -> None:
    """`RLIM_INFINITY` is -1, so it can't be compared."""
    limits = [(256, resource.RLIM_INFINITY)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, given: limits.append(given))
    assert connection_limit() == MAX_CONNECTIONS
    assert limits[-1] == (MAX_CONNECTIONS + RESERVED, resource.RLIM_INFINITY)

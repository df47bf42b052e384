"""Who waits too long is sent away, and who asks at once never is."""

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
    Connections,
    connection_limit,
)
from app.server.server import Server
from tests.fakes import simulate


@dataclass(eq=False)
class Connection:
    """A connection, and its own transport."""

    since: float
    gone: bool = False
    transport: "Connection" = field(init=False)

    def __post_init__(self) -> None:
        self.transport = self

    def abort(self) -> None:
        """Be gone."""
        self.gone = True


def test_whoever_has_waited_for_too_long_is_sent_away() -> None:
    """To the moment, and nobody who is being answered."""
    all_of_them = [Connection(0.0), Connection(0.1), Connection(math.inf)]
    connections = Connections(9)
    for connection in all_of_them:
        connections.add(connection)
    connections.close_idle(IDLE_TIMEOUT)
    assert not [one for one in all_of_them if one.gone]
    connections.close_idle(IDLE_TIMEOUT + 0.05)
    assert [one.gone for one in all_of_them] == [True, False, False]
    assert connections == set(all_of_them[1:])


def test_room_is_made_by_those_who_have_waited_longest() -> None:
    """A tenth goes at once, so that the next ones cost nothing; who is being answered stays."""
    all_of_them = [Connection(math.inf), *(Connection(moment) for moment in range(39, 0, -1))]
    connections = Connections(40)
    for connection in all_of_them:
        connections.add(connection)
    assert not [one for one in all_of_them if one.gone]
    connections.add(newest := Connection(40.0))
    assert [one.since for one in all_of_them if one.gone] == [5, 4, 3, 2, 1]
    assert newest in connections
    assert len(connections) == 36


def test_nobody_who_is_being_answered_makes_room() -> None:
    """Where all are, one more is let in."""
    all_of_them = [Connection(math.inf) for _ in range(5)]
    connections = Connections(4)
    for connection in all_of_them:
        connections.add(connection)
    assert connections == set(all_of_them)


def test_the_server_keeps_its_connections_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as there is room for; looked at each second, in which uvicorn comes by ten times."""
    monkeypatch.setattr("app.server.server.connection_limit", lambda: 3)
    config = uvicorn.Config(Vitals(), log_config=None)
    config.load()
    connections: Any = Server(config).server_state.connections
    for connection in (all_of_them := [Connection(moment) for moment in range(4)]):
        connections.add(connection)
    assert [one.gone for one in all_of_them] == [True, False, False, False]

    async def ticks() -> list[int]:
        """Tell at which ticks somebody is sent away who should be."""
        server, told = Server(config), []
        for tick in range(1, 31):
            server.server_state.connections.add(late := Connection(-IDLE_TIMEOUT - 1))  # type: ignore[arg-type]
            await server.on_tick(tick)
            told += [tick] * late.gone
        return told

    assert simulate(ticks()) == [10, 20, 30]


@pytest.mark.parametrize(
    ("soft", "hard", "most", "after"),
    [
        (64, 64, 32, 64),
        (100, 1024, 1024 - RESERVED, 1024),
        (1024, 8192, MAX_CONNECTIONS, MAX_CONNECTIONS + RESERVED),
        (8192, 8192, MAX_CONNECTIONS, 8192),
    ],
)
def test_there_is_a_descriptor_for_each(soft: int, hard: int, most: int, after: int) -> None:
    """A soft limit is raised as far as it may be and has to be, and never lowered."""
    program = (
        "import resource as r; from app.server.limits import connection_limit;"
        f"r.setrlimit(r.RLIMIT_NOFILE, ({soft}, {hard}));"
        "print(connection_limit(), *r.getrlimit(r.RLIMIT_NOFILE))"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert [int(word) for word in told.stdout.split()] == [most, after, hard]


def test_a_limit_that_is_none_is_raised_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not every system has a number there."""
    limits = [(256, resource.RLIM_INFINITY)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, given: limits.append(given))
    assert connection_limit() == MAX_CONNECTIONS
    assert limits[-1] == (MAX_CONNECTIONS + RESERVED, resource.RLIM_INFINITY)

"""What the service costs others: the servers that it checks, and the machine."""

import asyncio
import http.client
import threading
import time
from contextlib import AsyncExitStack
from pathlib import Path

import psutil

from app.checks.postgres import postgres as postgres_probe
from app.checks.redis import redis as redis_probe
from app.checks.session import SessionProbe
from app.devservers import Postgres, Valkey
from app.health import Check, Clock, Monitor
from tests.faults.servers import admin, frozen, sessions
from tests.probes.attempt import eventually
from tests.service import on, running


ROUNDS = 200
REQUESTS = 10_000


def test_requests_cause_no_statement(tmp_path: Path) -> None:
    """Ten thousand requests add nothing to the schedule's one statement and one PING a round."""
    postgres = Postgres()
    postgres.arguments = ("-c", "log_statement=all")
    with postgres, Valkey() as valkey:
        environ = {**on(postgres, valkey), "RECONNECT_INTERVAL": "86400"}
        with running(environ, tmp_path / "log") as service:
            before = statements(postgres), pings(valkey)
            begun = time.monotonic()
            connection = http.client.HTTPConnection("127.0.0.1", service.port)
            for _ in range(REQUESTS):
                connection.request("GET", "/health")
                assert connection.getresponse().read()
            connection.close()
            # Intervals shorten by a tenth at most; one round may begin at either end.
            scheduled = (time.monotonic() - begun) / (0.2 * 0.9) + 2
            after = statements(postgres), pings(valkey)
    assert 0 < after[0] - before[0] <= scheduled
    assert 0 < after[1] - before[1] <= scheduled


def statements(server: Postgres) -> int:
    """How many statements a server has been asked."""
    return server.log.read_text().count("LOG:  statement:")


def pings(server: Valkey) -> int:
    """How many times a server has been asked PING."""
    with admin(server) as client:
        asked = client.info("commandstats").get("cmdstat_ping", {"calls": 0})
    return int(asked["calls"])


async def test_two_hundred_rounds_against_frozen_servers_leave_nothing() -> None:
    """Sockets, tasks, threads and the servers' own sessions are back where they were."""
    with Postgres() as postgres, Valkey() as valkey:
        async with AsyncExitStack() as stack:
            read = postgres.password_file.read_text
            probes = [
                await stack.enter_async_context(
                    postgres_probe(postgres.url, read, require="query", renew_after=0.05)
                ),
                await stack.enter_async_context(
                    redis_probe(
                        valkey.url,
                        valkey.password_file.read_text,
                        require="query",
                        renew_after=0.05,
                    )
                ),
            ]
            rounds = [Rounds(probe) for probe in probes]
            checks = [
                Check(
                    name=str(number),
                    probe=counted,
                    explain=counted.probe.explain,
                    interval=0.02,
                    timeout=0.02,
                )
                for number, counted in enumerate(rounds)
            ]
            for probe in probes:
                await probe()
            before = held(), sessions(postgres, valkey)
            async with Monitor(checks, clock=Clock()):
                with frozen(postgres), frozen(valkey):
                    at_first = [counted.begun for counted in rounds]
                    await eventually(
                        lambda: all(
                            counted.begun - first >= ROUNDS
                            for counted, first in zip(rounds, at_first, strict=True)
                        ),
                        within=30,
                    )
            for probe in probes:
                await probe()
            await eventually(lambda: sessions(postgres, valkey) == before[1])
            assert held() == before[0]


class Rounds:
    """Counts the attempts of a probe."""

    def __init__(self, probe: SessionProbe) -> None:
        self.probe = probe
        self.begun = 0

    async def __call__(self) -> None:
        """Ask, and count."""
        self.begun += 1
        await self.probe()


def held() -> tuple[int, int, int, int]:
    """What this process holds: descriptors, connections, threads and tasks."""
    process = psutil.Process()
    return (
        process.num_fds(),
        len(process.net_connections()),
        threading.active_count(),
        len(asyncio.all_tasks()),
    )

"""The overhead of the service on the servers that it checks, and on the machine."""

import asyncio
import http.client
import threading
import time
from contextlib import AsyncExitStack
from pathlib import Path

import psutil

from app.checks.session import SessionProbe
from app.health import Check, Clock, Monitor
from tests.support.devservers import Postgres, Valkey
from tests.support.faults.servers import admin, frozen, sessions
from tests.support.service import on, running
from tests.support.specs import postgres as postgres_probe
from tests.support.specs import redis as redis_probe
from tests.unit.checks.attempt import eventually


ATTEMPTS = 200
REQUESTS = 10_000


def test_requests_cause_no_queries(tmp_path: Path) -> None:
    """During 10,000 requests, only the scheduled checks send statements and PINGs."""
    postgres = Postgres()
    postgres.arguments = ("-c", "log_statement=all")
    with postgres, Valkey() as valkey:
        environ = {**on(postgres, valkey), "RECONNECT_INTERVAL": "86400"}
        with running(environ, tmp_path / "log") as service:
            before = statements(postgres), pings(valkey)
            started = time.monotonic()
            connection = http.client.HTTPConnection("127.0.0.1", service.port)
            for _ in range(REQUESTS):
                connection.request("GET", "/health")
                assert connection.getresponse().read()
            connection.close()
            # Jitter shortens intervals by at most a tenth; one more round may start at either end.
            scheduled = (time.monotonic() - started) / (0.2 * 0.9) + 2
            after = statements(postgres), pings(valkey)
    assert 0 < after[0] - before[0] <= scheduled
    assert 0 < after[1] - before[1] <= scheduled


def statements(server: Postgres) -> int:
    """Return the number of statements in a server's log."""
    return server.log.read_text().count("LOG:  statement:")


def pings(server: Valkey) -> int:
    """Return the number of PING commands that a server has run."""
    with admin(server) as client:
        stats = client.info("commandstats").get("cmdstat_ping", {"calls": 0})
    return int(stats["calls"])


async def test_two_hundred_attempts_on_frozen_servers_leak_nothing() -> None:
    """Descriptors, sockets, threads, tasks and server sessions return to their former numbers."""
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
            counting = [CountingProbe(probe) for probe in probes]
            checks = [
                Check(
                    name=str(number),
                    probe=probe,
                    explain=probe.probe.explain,
                    interval=0.02,
                    timeout=0.02,
                )
                for number, probe in enumerate(counting)
            ]
            for probe in probes:
                await probe()
            before = resource_usage(), sessions(postgres, valkey)
            async with Monitor(checks, clock=Clock()):
                with frozen(postgres), frozen(valkey):
                    before_freeze = [probe.attempts for probe in counting]
                    await eventually(
                        lambda: all(
                            probe.attempts - first >= ATTEMPTS
                            for probe, first in zip(counting, before_freeze, strict=True)
                        ),
                        within=30,
                    )
            for probe in probes:
                await probe()
            await eventually(lambda: sessions(postgres, valkey) == before[1])
            assert resource_usage() == before[0]


class CountingProbe:
    """Wraps a probe, and counts its attempts."""

    def __init__(self, probe: SessionProbe) -> None:
        self.probe = probe
        self.attempts = 0

    async def __call__(self) -> None:
        """Count the attempt, and run it."""
        self.attempts += 1
        await self.probe()


def resource_usage() -> tuple[int, int, int, int]:
    """Return the numbers of descriptors, connections, threads and tasks of this process."""
    process = psutil.Process()
    return (
        process.num_fds(),
        len(process.net_connections()),
        threading.active_count(),
        len(asyncio.all_tasks()),
    )

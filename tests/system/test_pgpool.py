"""Pgpool-II in front of a PostgreSQL: its own words, and those that it passes on."""

import os
import signal
from collections.abc import Iterator

import pytest

from app.health import Reason
from tests.support.faults.servers import connect, sql
from tests.support.specs import postgres
from tests.system.asking import open_probe, stopped, wait_until_passing
from tests.system.pgpool import Pgpool
from tests.system.servers import SystemPostgres
from tests.unit.checks.attempt import eventually, failure


@pytest.fixture(name="backend", scope="module")
def _backend() -> Iterator[SystemPostgres]:
    with SystemPostgres() as server:
        yield server


@pytest.fixture(name="running", scope="module")
def _running(backend: SystemPostgres) -> Iterator[Pgpool]:
    with Pgpool(backend) as server:
        yield server


@pytest.fixture(name="pooler")
def _pooler(running: Pgpool) -> Pgpool:
    """Restart Pgpool-II for each test."""
    running.settings = {}
    running.start()
    return running


@pytest.fixture(name="role")
def _role(backend: SystemPostgres, pooler: Pgpool) -> Iterator[str]:
    """Create a role for the test, with the password that Pgpool-II has, and yield its URL."""
    password = backend.password_file.read_text()
    sql(backend, f"CREATE ROLE probed LOGIN PASSWORD '{password}'")
    yield pooler.url.replace("vitals@", "probed@")
    pooler.stop()
    sql(backend, "DROP ROLE probed")


@pytest.mark.parametrize("depth", ["connect", "query", "writable"])
async def test_the_check_passes(pooler: Pgpool, depth: str) -> None:
    async with open_probe(pooler, require=depth) as probe:
        await probe()
        await probe()


@pytest.mark.parametrize(
    ("condition", "reason"),
    [("true", None), ("false", Reason.CONDITION), ("nothing", Reason.MISCONFIGURED)],
)
async def test_a_condition_works(pooler: Pgpool, condition: str, reason: Reason | None) -> None:
    """On new and on kept sessions."""
    read = pooler.password_file.read_text
    async with postgres(
        pooler.url, read, require="query", renew_after=86400, condition=f"SELECT {condition}"
    ) as probe:
        for _ in range(2):
            if reason:
                assert await failure(probe) is reason
            else:
                await probe()


@pytest.mark.parametrize(
    ("user", "database", "password", "reason"),
    [
        ("vitals", "postgres", "another", Reason.AUTH),
        ("unknown", "postgres", "another", Reason.AUTH),
        ("vitals", "nothing", "", Reason.MISCONFIGURED),
    ],
)
async def test_a_wrong_url_or_password_has_its_reason(
    pooler: Pgpool, user: str, database: str, password: str, reason: Reason
) -> None:
    url = pooler.url.replace("vitals@", f"{user}@").replace("/postgres", f"/{database}")
    right = pooler.password_file.read_text()
    async with postgres(
        url, lambda: password or right, require="query", renew_after=86400
    ) as probe:
        assert await failure(probe) is reason
    async with open_probe(pooler) as probe:
        await probe()


@pytest.mark.parametrize(
    ("change", "reason", "repair"),
    [
        ("PASSWORD 'another'", Reason.AUTH, "PASSWORD 'RIGHT'"),
        ("NOLOGIN", Reason.DENIED, "LOGIN"),
        ("CONNECTION LIMIT 0", Reason.TOO_MANY_CONNECTIONS, "CONNECTION LIMIT -1"),
    ],
)
async def test_a_changed_role_behind_pgpool_has_its_reason(
    backend: SystemPostgres, pooler: Pgpool, role: str, change: str, reason: Reason, repair: str
) -> None:
    async with open_probe(pooler, role) as probe:
        sql(backend, f"ALTER ROLE probed {change}")
        assert await failure(probe) is reason
        right = repair.replace("RIGHT", backend.password_file.read_text())
        sql(backend, f"ALTER ROLE probed {right}")
        await probe()


async def test_a_postgres_that_is_down_behind_pgpool_is_unreachable(
    backend: SystemPostgres, pooler: Pgpool
) -> None:
    """Whether there was a session or not. It passes when PostgreSQL is back."""
    async with open_probe(pooler) as kept, open_probe(pooler) as new:
        await kept()
        with stopped(backend):
            assert await failure(kept) is Reason.UNREACHABLE
            assert await failure(new) is Reason.UNREACHABLE
        await kept()
        await new()


async def test_a_postgres_that_pgpool_has_detached_is_unreachable(
    backend: SystemPostgres, pooler: Pgpool
) -> None:
    """It stays detached until an operator attaches it, or restarts Pgpool-II."""
    pooler.settings = {"backend_flag0": "ALLOW_TO_FAILOVER"}
    pooler.start()
    async with open_probe(pooler) as probe:
        await probe()
        with stopped(backend):
            assert await failure(probe) is Reason.UNREACHABLE
            await eventually(lambda: "Restart all children" in pooler.log.read_text())
        assert await failure(probe) is Reason.UNREACHABLE
        pooler.start()
        await probe()


async def test_a_pgpool_without_free_connections_has_its_reason(pooler: Pgpool) -> None:
    """The first probe uses the only one that is not reserved."""
    pooler.settings = {"num_init_children": "2", "reserved_connections": "1"}
    pooler.start()
    async with open_probe(pooler) as first, open_probe(pooler) as second:
        await first()
        assert await failure(second) is Reason.TOO_MANY_CONNECTIONS
        await first.aclose()
        await wait_until_passing(second)


async def test_a_pgpool_that_shuts_down_is_timeout_and_then_refused(pooler: Pgpool) -> None:
    """While it waits for a session to end, the system still accepts connections for it.

    Until its idle processes have ended, they reply that they can't reach PostgreSQL.
    """
    connected = await connect(pooler)
    async with open_probe(pooler) as probe:
        os.kill(pooler.pid, signal.SIGTERM)
        await eventually(lambda: "shutting down by signal 15" in pooler.log.read_text())
        try:
            reasons = [await failure(probe, within=1) for _ in range(3)]
            assert set(reasons) <= {Reason.UNREACHABLE, Reason.TIMEOUT}
            assert reasons[-1] is Reason.TIMEOUT
        finally:
            connected.terminate()
        pooler.stop()
        assert await failure(probe) is Reason.REFUSED
        pooler.start()
        await probe()


async def test_a_pgpool_that_ends_its_sessions_is_refused(pooler: Pgpool) -> None:
    async with open_probe(pooler) as probe:
        await probe()
        pooler.stop()
        assert await failure(probe) is Reason.REFUSED
        pooler.start()
        await probe()

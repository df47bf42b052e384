import asyncio
import subprocess

import pytest

from app.health import Reason
from tests.support.faults.servers import frozen
from tests.system.asking import console, open_probe, stopped
from tests.system.servers import PgBouncer, SystemPostgres, program
from tests.unit.checks.attempt import failure


@pytest.mark.parametrize("require", ["connect", "query", "writable"])
async def test_a_postgres_behind_pgbouncer_passes(bouncer: PgBouncer, require: str) -> None:
    """It passes at every depth, on new and on open sessions."""
    async with open_probe(bouncer, require=require) as probe:
        for _ in range(3):
            await probe()


async def test_concurrent_probes_leave_no_prepared_statements(
    system_postgres: SystemPostgres, bouncer: PgBouncer
) -> None:
    """Five probes share one server session, and use the simple query protocol only."""
    before = len(system_postgres.log.read_text())

    async def probe_40_times(require: str) -> None:
        async with open_probe(bouncer, require=require) as probe:
            for _ in range(40):
                await probe()

    depths = ("query", "query", "query", "writable", "connect")
    await asyncio.gather(*(probe_40_times(require) for require in depths))
    assert psql(bouncer, "SELECT count(*) FROM pg_prepared_statements") == "0"
    logged = system_postgres.log.read_text()[before:]
    assert logged.count("statement: SET LOCAL statement_timeout = 60000; SELECT ") == 160
    assert not [word for word in ("execute ", "ERROR", "prepared statement") if word in logged]
    assert "prepared" not in bouncer.log.read_text()


def psql(bouncer: PgBouncer, query: str) -> str:
    """Return the output of psql, which prepares no statements either."""
    return subprocess.run(
        [str(program("psql")), bouncer.url, "-Atc", query],
        env={"PGPASSWORD": bouncer.password_file.read_text()},
        capture_output=True,
        check=True,
        text=True,
    ).stdout.strip()


async def test_a_paused_pgbouncer_is_a_timeout(bouncer: PgBouncer) -> None:
    """On open and on new sessions; both pass when it resumes."""
    async with open_probe(bouncer) as kept, open_probe(bouncer) as new:
        await kept()
        await console(bouncer, "PAUSE")
        assert await failure(kept, 0.1) is Reason.TIMEOUT
        assert await failure(new, 0.1) is Reason.TIMEOUT
        await console(bouncer, "RESUME")
        await kept()
        await new()


async def test_a_frozen_postgres_behind_pgbouncer_is_a_timeout(
    system_postgres: SystemPostgres, bouncer: PgBouncer
) -> None:
    """PgBouncer forwards the query, and gets no answer."""
    async with open_probe(bouncer) as probe:
        await probe()
        with frozen(system_postgres):
            assert await failure(probe, 0.1) is Reason.TIMEOUT
        await probe()


async def test_connect_checks_pgbouncer_only(
    system_postgres: SystemPostgres, bouncer: PgBouncer
) -> None:
    """After its first connection, PgBouncer accepts logins while PostgreSQL is down."""
    async with open_probe(bouncer, require="connect") as probe:
        await probe()
        with stopped(system_postgres):
            await probe()

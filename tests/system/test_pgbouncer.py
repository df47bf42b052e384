import asyncio
import subprocess

import pytest

from app.health import Reason
from tests.faults.servers import frozen
from tests.probes.attempt import failure
from tests.system.asking import asking, console, stopped
from tests.system.servers import PgBouncer, SystemPostgres, program


@pytest.mark.parametrize("require", ["connect", "query", "writable"])
async def test_a_postgres_behind_it_passes(bouncer: PgBouncer, require: str) -> None:
    """At every depth, on a new session as on a kept one."""
    async with asking(bouncer, require=require) as probe:
        for _ in range(3):
            await probe()


async def test_two_hundred_questions_at_once_leave_nothing_prepared(
    system_postgres: SystemPostgres, bouncer: PgBouncer
) -> None:
    """Five probes share one session of the server's, and none puts a statement but simply."""
    before = len(system_postgres.log.read_text())

    async def put_forty(require: str) -> None:
        async with asking(bouncer, require=require) as probe:
            for _ in range(40):
                await probe()

    depths = ("query", "query", "query", "writable", "connect")
    await asyncio.gather(*(put_forty(require) for require in depths))
    assert asked(bouncer, "SELECT count(*) FROM pg_prepared_statements") == "0"
    said = system_postgres.log.read_text()[before:]
    assert said.count("statement: SET LOCAL statement_timeout = 60000; SELECT ") == 160
    assert not [word for word in ("execute ", "ERROR", "prepared statement") if word in said]
    assert "prepared" not in bouncer.log.read_text()


def asked(bouncer: PgBouncer, question: str) -> str:
    """What psql hears, which prepares nothing either."""
    return subprocess.run(
        [str(program("psql")), bouncer.url, "-Atc", question],
        env={"PGPASSWORD": bouncer.password_file.read_text()},
        capture_output=True,
        check=True,
        text=True,
    ).stdout.strip()


async def test_a_paused_one_is_a_timeout(bouncer: PgBouncer) -> None:
    """On a kept session as on a new one; it passes when it goes on."""
    async with asking(bouncer) as kept, asking(bouncer) as new:
        await kept()
        await console(bouncer, "PAUSE")
        assert await failure(kept, 0.1) is Reason.TIMEOUT
        assert await failure(new, 0.1) is Reason.TIMEOUT
        await console(bouncer, "RESUME")
        await kept()
        await new()


async def test_a_frozen_postgres_behind_it_is_a_timeout(
    system_postgres: SystemPostgres, bouncer: PgBouncer
) -> None:
    """It passes the question on, and no answer comes."""
    async with asking(bouncer) as probe:
        await probe()
        with frozen(system_postgres):
            assert await failure(probe, 0.1) is Reason.TIMEOUT
        await probe()


async def test_connect_asks_the_pgbouncer_alone(
    system_postgres: SystemPostgres, bouncer: PgBouncer
) -> None:
    """Once it has connected itself, it answers for a PostgreSQL that is gone."""
    async with asking(bouncer, require="connect") as probe:
        await probe()
        with stopped(system_postgres):
            await probe()

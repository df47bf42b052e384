import asyncio
import contextlib
import os
import signal
from typing import Any

import asyncpg
import pytest

from app.checks.postgres import postgres
from app.checks.session import SessionProbe
from app.health import Reason
from tests.faults.servers import sql
from tests.probes.attempt import eventually, failure
from tests.system.asking import asking, console, stopped
from tests.system.servers import PgBouncer, SystemPostgres


@pytest.mark.parametrize(
    ("user", "database", "password", "reason"),
    [
        ("vitals", "postgres", "another", Reason.AUTH),
        ("nobody", "postgres", "another", Reason.AUTH),
        ("vitals", "nothing", "", Reason.MISCONFIGURED),
        ("vitals", "gone", "", Reason.MISCONFIGURED),
    ],
)
async def test_what_a_url_or_a_password_has_wrong_is_named(
    bouncer: PgBouncer, user: str, database: str, password: str, reason: Reason
) -> None:
    """A database may be unknown to the PgBouncer, or to the PostgreSQL behind it."""
    url = bouncer.url.replace("vitals@", f"{user}@").replace("/postgres", f"/{database}")
    right = bouncer.password_file.read_text()
    async with postgres(
        url, lambda: password or right, require="query", renew_after=86400
    ) as probe:
        assert await failure(probe) is reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("ALTER ROLE probed PASSWORD 'another'", Reason.AUTH),
        ("ALTER ROLE probed NOLOGIN", Reason.DENIED),
        ("ALTER ROLE probed CONNECTION LIMIT 0", Reason.TOO_MANY_CONNECTIONS),
    ],
)
async def test_what_is_done_to_a_role_behind_it_is_named(
    system_postgres: SystemPostgres, bouncer: PgBouncer, role: str, change: str, reason: Reason
) -> None:
    """The PgBouncer passes on what PostgreSQL says, but not its code for it."""
    sql(system_postgres, change)
    async with asking(bouncer, role) as probe:
        assert await failure(probe) is reason


async def test_a_database_that_lets_nobody_in_is_denied(
    system_postgres: SystemPostgres, bouncer: PgBouncer, role: str
) -> None:
    """Whether PostgreSQL or the PgBouncer has been told so."""
    async with asking(bouncer, role) as probe:
        sql(system_postgres, "REVOKE CONNECT ON DATABASE postgres FROM PUBLIC")
        try:
            assert await failure(probe) is Reason.DENIED
        finally:
            sql(system_postgres, "GRANT CONNECT ON DATABASE postgres TO PUBLIC")
    async with asking(bouncer) as probe:
        await console(bouncer, "DISABLE postgres")
        assert await failure(probe) is Reason.DENIED


async def test_no_free_place_is_told(bouncer: PgBouncer) -> None:
    """The limit is met by what is connected already."""
    bouncer.settings["max_client_conn"] = "1"
    bouncer.start()
    async with asking(bouncer) as first, asking(bouncer) as second:
        await recovered(first)
        assert await failure(second) is Reason.TOO_MANY_CONNECTIONS


async def test_no_free_place_behind_it_is_told(
    system_postgres: SystemPostgres, bouncer: PgBouncer, role: str
) -> None:
    """PostgreSQL keeps its last places for superusers: here all but one of its twenty."""
    before = system_postgres.arguments
    system_postgres.arguments = (*before, "-csuperuser_reserved_connections=19")
    system_postgres.start()
    connected = await connect(system_postgres)
    try:
        async with asking(bouncer, role) as probe:
            assert await failure(probe) is Reason.TOO_MANY_CONNECTIONS
    finally:
        await connected.close()
        system_postgres.arguments = before
        system_postgres.start()


async def test_a_postgres_that_shuts_down_behind_it_is_starting(
    system_postgres: SystemPostgres, bouncer: PgBouncer
) -> None:
    """PostgreSQL has one code for both; it goes on as long as somebody is connected."""
    connected = await asyncpg.connect(
        system_postgres.url, password=system_postgres.password_file.read_text()
    )
    os.kill(system_postgres.pid, signal.SIGTERM)
    try:
        await eventually(lambda: "stopping" in system_postgres.lock.read_text())
        async with asking(bouncer) as probe:
            assert await failure(probe) is Reason.STARTING
    finally:
        connected.terminate()
        system_postgres.start()


async def test_a_postgres_that_is_down_behind_it_is_unreachable(
    system_postgres: SystemPostgres, bouncer: PgBouncer
) -> None:
    """As soon as the PgBouncer has found out; it passes when that has tried again."""
    async with asking(bouncer) as probe:
        await probe()
        with stopped(system_postgres):
            seen = [await failure(probe) for _ in range(3)]
            assert seen[-1] is Reason.UNREACHABLE
        await recovered(probe)


async def connect(server: SystemPostgres) -> Any:
    """Take one of its places."""
    return await asyncpg.connect(server.url, password=server.password_file.read_text(), ssl=False)


async def recovered(probe: SessionProbe) -> None:
    """Ask until it passes."""
    async with asyncio.timeout(5):
        while True:
            with contextlib.suppress(Exception):
                return await asyncio.wait_for(probe(), 0.5)
            await asyncio.sleep(0.02)

import asyncio
import os
import signal
from typing import Any

import asyncpg
import pytest

from app.check_factory import advise
from app.checks.network import Dialer
from app.checks.postgres_errors import explain_postgres
from app.checks.postgres_protocol import PostgresServerError
from app.health import Reason
from tests.support.faults.servers import connect, frozen, killed, sql
from tests.support.specs import postgres, spec_of
from tests.system.asking import console, open_probe, stopped, wait_until_passing
from tests.system.certificates import Certificates
from tests.system.servers import PgBouncer, SystemPostgres
from tests.unit.checks.attempt import eventually, failure


@pytest.mark.parametrize(
    ("user", "database", "password", "reason"),
    [
        ("vitals", "postgres", "another", Reason.AUTH),
        ("unknown", "postgres", "another", Reason.AUTH),
        ("vitals", "nothing", "", Reason.MISCONFIGURED),
        ("vitals", "gone", "", Reason.MISCONFIGURED),
    ],
)
async def test_a_wrong_url_or_password_has_its_reason(
    bouncer: PgBouncer, user: str, database: str, password: str, reason: Reason
) -> None:
    """A database may be unknown to PgBouncer, or to the PostgreSQL behind it."""
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
async def test_a_changed_role_behind_pgbouncer_has_its_reason(
    system_postgres: SystemPostgres, bouncer: PgBouncer, role: str, change: str, reason: Reason
) -> None:
    """PgBouncer forwards PostgreSQL's message, but not its error code."""
    sql(system_postgres, change)
    async with open_probe(bouncer, role) as probe:
        assert await failure(probe) is reason


async def test_a_database_that_accepts_no_logins_is_denied(
    system_postgres: SystemPostgres, bouncer: PgBouncer, role: str
) -> None:
    """Either PostgreSQL or PgBouncer rejects them."""
    async with open_probe(bouncer, role) as probe:
        sql(system_postgres, "REVOKE CONNECT ON DATABASE postgres FROM PUBLIC")
        try:
            assert await failure(probe) is Reason.DENIED
        finally:
            sql(system_postgres, "GRANT CONNECT ON DATABASE postgres TO PUBLIC")
    async with open_probe(bouncer) as probe:
        await console(bouncer, "DISABLE postgres")
        assert await failure(probe) is Reason.DENIED


async def test_pgbouncer_without_free_connections_has_its_reason(bouncer: PgBouncer) -> None:
    """The first probe uses the only connection."""
    bouncer.settings["max_client_conn"] = "1"
    bouncer.start()
    async with open_probe(bouncer) as first, open_probe(bouncer) as second:
        await wait_until_passing(first)
        assert await failure(second) is Reason.TOO_MANY_CONNECTIONS


async def test_postgres_without_free_connections_behind_pgbouncer_has_its_reason(
    system_postgres: SystemPostgres, bouncer: PgBouncer, role: str
) -> None:
    """PostgreSQL reserves connections for superusers: here all but one of twenty."""
    before = system_postgres.arguments
    system_postgres.arguments = (*before, "-csuperuser_reserved_connections=19")
    system_postgres.start()
    connected = await connect(system_postgres)
    try:
        async with open_probe(bouncer, role) as probe:
            assert await failure(probe) is Reason.TOO_MANY_CONNECTIONS
    finally:
        await connected.close()
        system_postgres.arguments = before
        system_postgres.start()


async def test_a_postgres_that_shuts_down_behind_pgbouncer_is_starting(
    system_postgres: SystemPostgres, bouncer: PgBouncer
) -> None:
    """PostgreSQL has one code for both. An open session keeps it from completing the shutdown."""
    connected = await connect(system_postgres)
    os.kill(system_postgres.pid, signal.SIGTERM)
    try:
        await eventually(lambda: "stopping" in system_postgres.lock.read_text())
        async with open_probe(bouncer) as probe:
            assert await failure(probe) is Reason.STARTING
    finally:
        connected.terminate()
        system_postgres.start()


async def test_a_postgres_that_is_down_behind_pgbouncer_is_unreachable(
    system_postgres: SystemPostgres, bouncer: PgBouncer
) -> None:
    """It is after PgBouncer has noticed, and passes after PgBouncer has reconnected."""
    async with open_probe(bouncer) as probe:
        await probe()
        with stopped(system_postgres):
            reasons = [await failure(probe) for _ in range(3)]
            assert reasons[-1] is Reason.UNREACHABLE
        await wait_until_passing(probe)


async def test_a_postgres_that_never_answers_a_login_of_pgbouncer_is_a_timeout(
    system_postgres: SystemPostgres, bouncer: PgBouncer
) -> None:
    """PgBouncer needs a server before it completes the first login."""
    bouncer.settings["client_login_timeout"] = "0.3"
    bouncer.start()
    async with open_probe(bouncer) as probe:
        with frozen(system_postgres):
            with pytest.raises(PostgresServerError, match="client_login_timeout") as caught:
                await probe()
            assert probe.explain(caught.value) is Reason.TIMEOUT
        await wait_until_passing(probe)


async def test_a_postgres_that_crashes_during_a_query_behind_pgbouncer_is_disconnected(
    system_postgres: SystemPostgres, bouncer: PgBouncer
) -> None:
    """A probe would connect once more, so that a driver runs the query."""
    connected = await connect(bouncer)
    query = asyncio.create_task(connected.execute("SELECT pg_sleep(60)"))
    active = "SELECT FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'"
    try:
        await eventually(lambda: bool(sql(system_postgres, active)[0]))
        with killed(system_postgres), pytest.raises(asyncpg.PostgresError) as caught:
            await query
    finally:
        connected.terminate()
    assert "server conn crashed" in str(caught.value)
    error = PostgresServerError(caught.value.sqlstate, str(caught.value))
    assert explain_postgres(error, Dialer("host", 1)) is Reason.DISCONNECTED
    async with open_probe(bouncer) as probe:
        await wait_until_passing(probe)


@pytest.mark.parametrize(
    ("query", "reason"), [("sslmode=disable", Reason.DENIED), ("sslmode=allow", None)]
)
async def test_a_pgbouncer_that_requires_tls_is_denied_without(
    bouncer: PgBouncer, certificates: Certificates, query: str, reason: Reason | None
) -> None:
    """`allow` tries TLS then, as libpq does. The advice names the option."""
    certificate = certificates.write("good", bouncer.folder)
    bouncer.give(certificate)
    files = {"client_tls_cert_file": str(certificate), "client_tls_key_file": str(certificate)}
    bouncer.settings |= {"client_tls_sslmode": "require", **files}
    bouncer.start()
    async with open_probe(bouncer, f"{bouncer.url}?{query}") as probe:
        if reason:
            assert await failure(probe) is reason
            with pytest.raises(PostgresServerError) as caught:
                await probe()
            advice = advise(spec_of("postgres"), probe, caught.value)
            assert "sslmode=require" in str(advice)
        else:
            await wait_until_passing(probe)


async def test_a_condition_in_statement_mode_is_misconfigured(bouncer: PgBouncer) -> None:
    """It needs a transaction."""
    bouncer.settings["pool_mode"] = "statement"
    bouncer.start()
    terms: Any = {"require": "query", "renew_after": 86400}
    read = bouncer.password_file.read_text
    async with postgres(bouncer.url, read, condition="SELECT true", **terms) as probe:
        assert await failure(probe) is Reason.MISCONFIGURED
    async with open_probe(bouncer) as probe:
        await probe()


async def test_a_login_that_pgbouncer_rejects_is_denied(bouncer: PgBouncer) -> None:
    """Its own pg_hba.conf rejects the client."""
    rules = bouncer.write("rules", "host all all 127.0.0.1/32 reject\n")
    bouncer.settings |= {"auth_type": "hba", "auth_hba_file": str(rules)}
    bouncer.start()
    async with open_probe(bouncer) as probe:
        assert await failure(probe) is Reason.DENIED

"""The option `condition` on a real server, directly and through PgBouncer in transaction mode."""

import tomllib
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from app.health import Reason
from tests.support.faults.servers import sql
from tests.support.specs import postgres
from tests.system.servers import PgBouncer, SystemPostgres
from tests.unit.checks.attempt import failure
from tests.unit.settings.test_postgres_options import documented


OpenProbe = Callable[..., AbstractAsyncContextManager[Any]]


@pytest.fixture(name="tables", scope="module", autouse=True)
def _tables(system_postgres: SystemPostgres) -> Iterator[None]:
    """Create the tables of the documented recipes; `probed` may not read `secrets`."""
    sql(
        system_postgres,
        "CREATE TABLE alembic_version (version_num text)",
        "CREATE TABLE job_runs (finished_at timestamptz, succeeded bool)",
        "CREATE TABLE queue (done_at timestamptz)",
        "CREATE TABLE secrets (held bool)",
        "CREATE DOMAIN agreed AS bool CHECK (value)",
        "GRANT SELECT ON alembic_version, job_runs, queue TO PUBLIC",
    )
    yield
    drops = "DROP TABLE alembic_version, job_runs, queue, secrets", "DROP DOMAIN agreed"
    sql(system_postgres, *drops)


@pytest.fixture(name="opening", params=["direct", "pooled"])
def _opening(
    request: pytest.FixtureRequest, system_postgres: SystemPostgres, bouncer: PgBouncer, role: str
) -> OpenProbe:
    """Return a function that opens a probe of a condition."""
    direct = role.replace(str(bouncer.port), str(system_postgres.port))
    url = direct if request.param == "direct" else role
    read = system_postgres.password_file.read_text

    def opening(condition: str, **options: Any) -> AbstractAsyncContextManager[Any]:
        terms = {"require": "query", "renew_after": 86400, **options}
        return postgres(url, read, condition=condition, **terms)

    return opening


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("SELECT true", None),
        ("select 1 = 1;", None),
        ("WITH one AS (SELECT 1 AS value) SELECT value = 1 FROM one -- a comment", None),
        ("SELECT 'ä' <> '{number}' AND '%s' <> '$1'", None),
        ("SELECT false", Reason.CONDITION),
        ("SELECT NULL::bool", Reason.CONDITION),
        ("SELECT true WHERE false", Reason.CONDITION),
        ("SELECT true FROM generate_series(1, 2)", Reason.MISCONFIGURED),
        ("SELECT true FROM generate_series(1, 1000000)", Reason.MISCONFIGURED),
        ("SELECT true, true", Reason.MISCONFIGURED),
        ("SELECT true, true WHERE false", Reason.MISCONFIGURED),
        ("SELECT", Reason.MISCONFIGURED),
        ("SELECT 1", Reason.MISCONFIGURED),
        ("SELECT 't'::text", Reason.MISCONFIGURED),
        ("SELECT true; SELECT true", Reason.MISCONFIGURED),
        ("SELECT true; -- one; more", None),
        ("SELECT NOT 'NaN'::float8 < 0", None),
        ("SELECT true::agreed", None),
        ("SELECT $1::bool", Reason.MISCONFIGURED),
        (
            "WITH one AS (INSERT INTO queue VALUES (NULL) RETURNING true) TABLE one",
            Reason.READ_ONLY,
        ),
        ("SELECT true FROM", Reason.MISCONFIGURED),
        ("SELECT true FROM nothing", Reason.MISCONFIGURED),
        ("SELECT nothing", Reason.MISCONFIGURED),
        ("SELECT held FROM secrets", Reason.DENIED),
        ("SELECT true INTO copy", Reason.READ_ONLY),
        ("SELECT 1 / 0 = 1", Reason.ERROR),
        ("SELECT repeat('x', 100000)::bool", Reason.PROTOCOL),  # the error quotes it
        ("SELECT repeat('x', 1000000)", Reason.PROTOCOL),
    ],
)
async def test_a_condition_must_return_true(
    opening: OpenProbe, condition: str, reason: Reason | None
) -> None:
    """On new and on kept sessions."""
    async with opening(condition) as probe:
        for _ in range(2):
            if reason:
                assert await failure(probe) is reason
            else:
                await probe()


async def test_a_condition_that_changes_shows_at_the_next_attempt(
    system_postgres: SystemPostgres, opening: OpenProbe
) -> None:
    async with opening("SELECT count(*) = 0 FROM queue") as probe:
        await probe()
        sql(system_postgres, "INSERT INTO queue VALUES (NULL)")
        assert await failure(probe) is Reason.CONDITION
        sql(system_postgres, "DELETE FROM queue")
        await probe()


async def test_a_condition_that_takes_too_long_is_a_timeout(opening: OpenProbe) -> None:
    """The server cancels it."""
    async with opening("SELECT pg_sleep(60) IS NOT NULL", give_up_after=0.1) as probe:
        assert await failure(probe, within=5) is Reason.TIMEOUT


async def test_a_failed_condition_leaves_pgbouncer_its_server_connection(
    system_postgres: SystemPostgres, bouncer: PgBouncer, role: str
) -> None:
    """Nor does it leave a transaction or a prepared statement."""
    read = system_postgres.password_file.read_text
    backends = "SELECT count(DISTINCT pid) FROM pg_stat_activity WHERE usename = 'probed'"
    pids = "SELECT pid, state FROM pg_stat_activity WHERE usename = 'probed'"
    terms: dict[str, Any] = {"require": "query", "renew_after": 86400}
    async with postgres(role, read, **terms) as first:
        await first()
        before = sql(system_postgres, pids)[0]
        for condition in ("SELECT false", "SELECT nothing", "SELECT true"):
            async with postgres(role, read, condition=condition, **terms) as probe:
                for _ in range(3):
                    if condition != "SELECT true":
                        await failure(probe)
                    else:
                        await probe()
        assert sql(system_postgres, pids)[0] == before == [(before[0][0], "idle")]
        assert sql(system_postgres, backends)[0] == [(1,)]
    assert "prepared" not in bouncer.log.read_text()


async def test_the_documented_recipes_work(
    system_postgres: SystemPostgres, opening: OpenProbe
) -> None:
    """Each passes, and fails after a change."""
    recipes = tomllib.loads(documented("docs/settings.md", "PostgreSQL conditions"))["checks"]
    red = {
        "schema": ("UPDATE alembic_version SET version_num = 'older'",),
        "nightly-job": ("UPDATE job_runs SET finished_at = now() - interval '61 minutes'",),
        "queue": ("INSERT INTO queue SELECT NULL FROM generate_series(1, 1000)",),
    }
    assert recipes.keys() == red.keys()
    sql(
        system_postgres,
        "TRUNCATE alembic_version, job_runs, queue",
        "INSERT INTO alembic_version VALUES ('4f1c2a')",
        "INSERT INTO job_runs VALUES (now(), true), (now(), false)",
    )
    for name, statements in red.items():
        async with opening(recipes[name]["condition"]) as probe:
            await probe()
            sql(system_postgres, *statements)
            assert await failure(probe) is Reason.CONDITION

import contextlib
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.checks.postgres import postgres
from app.checks.postgres_server import APPLICATION_NAME
from app.checks.session import SessionProbe
from app.devservers import Postgres
from app.health import Reason
from tests.faults.postgres import slow
from tests.faults.servers import frozen, killed, sql
from tests.probes.attempt import eventually, failure


def password_of(server: Postgres) -> Callable[[], str]:
    """Read the password as the service does."""
    return server.password_file.read_text


@asynccontextmanager
async def asking(
    server: Postgres,
    url: str = "",
    *,
    require: str = "query",
    renew_after: float = 86400,
    give_up_after: float = 60,
) -> AsyncIterator[SessionProbe]:
    """Ask a server."""
    async with postgres(
        url or server.url,
        password_of(server),
        require=require,
        renew_after=renew_after,
        give_up_after=give_up_after,
    ) as probe:
        yield probe


def sessions(server: Postgres) -> int:
    """How many sessions of probes the server holds."""
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $$vitals$$"
    return int(sql(server, count)[0][0][0])


@pytest.mark.parametrize("require", ["connect", "query", "writable"])
async def test_a_server_that_serves_passes(postgres: Postgres, require: str) -> None:
    """At every depth, on a kept session as on a new one; closing leaves nothing."""
    async with asking(postgres, require=require) as probe:
        for _ in range(3):
            await probe()
        assert sessions(postgres) == 1
    await eventually(lambda: sessions(postgres) == 0)


async def test_one_session_says_who_it_is_and_leaves_nothing_prepared(postgres: Postgres) -> None:
    """The same backend answers again and again, with nothing that PgBouncer would trip over."""
    seen = "SELECT pid FROM pg_stat_activity WHERE application_name = $$vitals$$"
    assert APPLICATION_NAME == "vitals"
    async with asking(postgres) as probe:
        await probe()
        first = sql(postgres, seen)[0]
        await probe()
        assert sql(postgres, seen)[0] == first
        last = "SELECT query FROM pg_stat_activity WHERE application_name = $$vitals$$"
        asked = sql(postgres, last)[0][0][0]
        assert re.fullmatch(r"SET LOCAL statement_timeout = 60000; SELECT [0-9]+", asked)


async def test_a_statement_that_is_given_up_ends_on_the_server_too(
    postgres: Postgres, role: str
) -> None:
    """It does not see that its client has gone, and each attempt would leave one at work."""
    with slow(postgres, "probed", "postgres"):
        async with asking(postgres, role, require="writable", give_up_after=1) as probe:
            assert await failure(probe) is Reason.TIMEOUT
    await eventually(lambda: sessions(postgres) == 0)


async def test_connect_asks_with_a_new_session_each_time(postgres: Postgres) -> None:
    """So that authentication itself is what is asked."""
    started = "SELECT backend_start FROM pg_stat_activity WHERE application_name = $$vitals$$"
    async with asking(postgres, require="connect") as probe:
        await probe()
        first = sql(postgres, started)[0]
        await probe()
        assert sql(postgres, started)[0] != first


async def test_a_session_that_was_ended_is_replaced_at_once(postgres: Postgres) -> None:
    """An administrator who ends an idle session has not broken the database."""
    end = (
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE application_name = $$vitals$$"
    )
    async with asking(postgres) as probe:
        await probe()
        assert sql(postgres, end)[0] == [(True,)]
        await probe()


@pytest.fixture(name="role")
def _role(postgres: Postgres) -> Iterator[str]:
    """Make a role of the test's own, with the password that the superuser has."""
    password = postgres.password_file.read_text()
    sql(postgres, f"CREATE ROLE probed LOGIN PASSWORD '{password}'")
    yield postgres.url.replace("vitals@", "probed@")
    sql(postgres, "DROP ROLE probed")


@pytest.mark.parametrize(
    ("change", "require", "reason"),
    [
        ("ALTER ROLE probed PASSWORD 'another'", "query", Reason.AUTH),
        ("ALTER ROLE probed NOLOGIN", "query", Reason.DENIED),
        ("ALTER ROLE probed CONNECTION LIMIT 0", "query", Reason.TOO_MANY_CONNECTIONS),
        ("ALTER ROLE probed SET default_transaction_read_only = on", "writable", Reason.READ_ONLY),
        ("ALTER ROLE probed SET default_transaction_read_only = on", "query", None),
        ("ALTER ROLE probed SET search_path = nowhere", "writable", None),
    ],
)
async def test_what_is_done_to_a_role_is_named(
    postgres: Postgres, role: str, change: str, require: str, reason: Reason | None
) -> None:
    """Each change of the role's is told by the word for it."""
    sql(postgres, change)
    async with asking(postgres, role, require=require) as probe:
        if reason:
            assert await failure(probe) is reason
        else:
            await probe()


async def test_a_role_or_database_that_is_not_there_is_named(postgres: Postgres) -> None:
    """PostgreSQL does not tell a role that is gone from a wrong password."""
    async with asking(postgres, postgres.url.replace("vitals@", "nobody@")) as probe:
        assert await failure(probe) is Reason.AUTH
    async with asking(postgres, postgres.url.replace("/postgres", "/nothing")) as probe:
        assert await failure(probe) is Reason.MISCONFIGURED


async def test_a_role_with_one_slot_is_enough_for_renewals(postgres: Postgres, role: str) -> None:
    """The old session has left its slot before the new one is opened."""
    sql(postgres, "ALTER ROLE probed CONNECTION LIMIT 1")
    async with asking(postgres, role, renew_after=0) as probe:
        for _ in range(20):
            await probe()


async def test_a_password_that_changes_is_read_at_the_next_connection(
    postgres: Postgres, role: str, tmp_path: Path
) -> None:
    """While server and file disagree the reason is `auth`; when the file is gone, too."""
    file = tmp_path / "password"
    file.write_text("another")
    async with postgres_probe(role, file) as probe:
        assert await failure(probe) is Reason.AUTH
        file.unlink()
        assert await failure(probe) is Reason.AUTH
        file.write_text(postgres.password_file.read_text())
        await probe()


def postgres_probe(url: str, file: Path) -> contextlib.AbstractAsyncContextManager[SessionProbe]:
    """Ask with the password of a file."""
    return postgres(url, file.read_text, require="query", renew_after=86400)


async def test_a_server_without_a_password_gets_none(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not that of the environment either."""
    monkeypatch.setenv("PGPASSWORD", postgres.password_file.read_text())
    async with postgres_of(postgres.url) as probe:
        assert await failure(probe) is Reason.AUTH


def postgres_of(url: str) -> contextlib.AbstractAsyncContextManager[SessionProbe]:
    """Ask without a password."""
    return postgres(url, None, require="query", renew_after=86400)


async def test_a_frozen_server_is_a_timeout(own_postgres: Postgres) -> None:
    """Connected and silent, on a kept session as on a new one; it passes when it goes on."""
    async with asking(own_postgres) as kept, asking(own_postgres) as new:
        await kept()
        with frozen(own_postgres):
            assert await failure(kept) is Reason.TIMEOUT
            assert await failure(new) is Reason.TIMEOUT
        await kept()
        await new()


async def test_a_killed_server_is_refused(own_postgres: Postgres) -> None:
    """Nobody listens; when it is back, the next question passes."""
    async with asking(own_postgres) as probe:
        await probe()
        with killed(own_postgres):
            assert await failure(probe) is Reason.REFUSED
        await probe()


async def test_a_standby_can_be_read_but_not_written(own_postgres: Postgres) -> None:
    """In recovery `query` passes and `writable` says `read_only`."""
    own_postgres.stop()
    signal = own_postgres.data / "standby.signal"
    signal.touch()
    own_postgres.give(signal)
    try:
        own_postgres.start()
        async with asking(own_postgres) as readable, asking(own_postgres, require="writable") as w:
            await readable()
            assert await failure(w) is Reason.READ_ONLY
    finally:
        own_postgres.stop()
        signal.unlink()
        own_postgres.start()

import contextlib
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.checks.connection import MAX_FRAMES
from app.checks.postgres_server import APPLICATION_NAME
from app.checks.session import SessionProbe
from app.health import Reason
from tests.support.devservers import Postgres
from tests.support.faults.postgres import slow
from tests.support.faults.servers import frozen, killed, sql
from tests.support.specs import postgres
from tests.unit.checks.attempt import eventually, failure


def password_of(server: Postgres) -> Callable[[], str]:
    """Return a function that reads the password, as the service has it."""
    return server.password_file.read_text


@asynccontextmanager
async def open_probe(
    server: Postgres,
    url: str = "",
    *,
    require: str = "query",
    renew_after: float = 86400,
    give_up_after: float = 60,
) -> AsyncIterator[SessionProbe]:
    """Open a probe of a server."""
    async with postgres(
        url or server.url,
        password_of(server),
        require=require,
        renew_after=renew_after,
        give_up_after=give_up_after,
    ) as probe:
        yield probe


def sessions(server: Postgres) -> int:
    """Return the number of sessions that probes have on the server."""
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $$vitals$$"
    return int(sql(server, count)[0][0][0])


@pytest.mark.parametrize("require", ["connect", "query", "writable"])
async def test_a_working_server_passes(postgres: Postgres, require: str) -> None:
    """New and kept sessions pass. Closing leaves no session."""
    async with open_probe(postgres, require=require) as probe:
        for _ in range(3):
            await probe()
        assert sessions(postgres) == 1
    await eventually(lambda: sessions(postgres) == 0)


async def test_a_session_has_a_name_and_no_prepared_statement(postgres: Postgres) -> None:
    """One backend answers all attempts, without what breaks PgBouncer's transaction mode.

    Together they exceed the budget of one attempt.
    """
    seen = "SELECT pid FROM pg_stat_activity WHERE application_name = $$vitals$$"
    assert APPLICATION_NAME == "vitals"
    async with open_probe(postgres) as probe:
        await probe()
        first = sql(postgres, seen)[0]
        for _ in range(MAX_FRAMES):
            await probe()
        assert sql(postgres, seen)[0] == first
        last = "SELECT query FROM pg_stat_activity WHERE application_name = $$vitals$$"
        asked = sql(postgres, last)[0][0][0]
        assert re.fullmatch(r"SET LOCAL statement_timeout = 60000; SELECT [0-9]+", asked)


async def test_the_server_cancels_an_abandoned_statement(postgres: Postgres, role: str) -> None:
    """It does not notice that a client has gone, so each attempt would leave a busy backend."""
    with slow(postgres, "probed", "postgres"):
        async with open_probe(postgres, role, require="writable", give_up_after=1) as probe:
            assert await failure(probe) is Reason.TIMEOUT
    await eventually(lambda: sessions(postgres) == 0)


async def test_connect_opens_a_new_session_at_each_attempt(postgres: Postgres) -> None:
    """Authentication is what it checks."""
    started = "SELECT backend_start FROM pg_stat_activity WHERE application_name = $$vitals$$"
    async with open_probe(postgres, require="connect") as probe:
        await probe()
        first = sql(postgres, started)[0]
        await probe()
        assert sql(postgres, started)[0] != first


async def test_a_session_that_was_ended_is_replaced_at_once(postgres: Postgres) -> None:
    """An administrator may end an idle session."""
    end = (
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE application_name = $$vitals$$"
    )
    async with open_probe(postgres) as probe:
        await probe()
        assert sql(postgres, end)[0] == [(True,)]
        await probe()


@pytest.fixture(name="role")
def _role(postgres: Postgres) -> Iterator[str]:
    """Create a role with the superuser's password."""
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
async def test_a_change_of_the_role_has_its_reason(
    postgres: Postgres, role: str, change: str, require: str, reason: Reason | None
) -> None:
    """A role may lose its password, login, slots or write access."""
    sql(postgres, change)
    async with open_probe(postgres, role, require=require) as probe:
        if reason:
            assert await failure(probe) is reason
        else:
            await probe()


async def test_an_unknown_role_is_auth_and_an_unknown_database_is_misconfigured(
    postgres: Postgres,
) -> None:
    """PostgreSQL reports an unknown role as a wrong password."""
    async with open_probe(postgres, postgres.url.replace("vitals@", "unknown@")) as probe:
        assert await failure(probe) is Reason.AUTH
    async with open_probe(postgres, postgres.url.replace("/postgres", "/nothing")) as probe:
        assert await failure(probe) is Reason.MISCONFIGURED


async def test_a_role_with_one_slot_is_enough_for_renewals(postgres: Postgres, role: str) -> None:
    """The server frees the slot of the old session before the new one opens."""
    sql(postgres, "ALTER ROLE probed CONNECTION LIMIT 1")
    async with open_probe(postgres, role, renew_after=0) as probe:
        for _ in range(20):
            await probe()


async def test_a_password_that_changes_is_read_at_the_next_connection(
    postgres: Postgres, role: str, tmp_path: Path
) -> None:
    """While server and file differ, or the file is missing, the reason is `auth`."""
    file = tmp_path / "password"
    file.write_text("another")
    async with probe_with_password_file(role, file) as probe:
        assert await failure(probe) is Reason.AUTH
        file.unlink()
        assert await failure(probe) is Reason.AUTH
        file.write_text(postgres.password_file.read_text())
        await probe()


def probe_with_password_file(
    url: str, file: Path
) -> contextlib.AbstractAsyncContextManager[SessionProbe]:
    """Open a probe with the password in a file."""
    return postgres(url, file.read_text, require="query", renew_after=86400)


async def test_without_a_password_none_is_sent(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`PGPASSWORD` is ignored."""
    monkeypatch.setenv("PGPASSWORD", postgres.password_file.read_text())
    async with probe_without_password(postgres.url) as probe:
        assert await failure(probe) is Reason.AUTH


def probe_without_password(url: str) -> contextlib.AbstractAsyncContextManager[SessionProbe]:
    """Open a probe without a password."""
    return postgres(url, None, require="query", renew_after=86400)


async def test_a_frozen_server_is_a_timeout(own_postgres: Postgres) -> None:
    """It is silent on a kept and on a new session. It passes when it resumes."""
    async with open_probe(own_postgres) as kept, open_probe(own_postgres) as new:
        await kept()
        with frozen(own_postgres):
            assert await failure(kept) is Reason.TIMEOUT
            assert await failure(new) is Reason.TIMEOUT
        await kept()
        await new()


async def test_a_killed_server_is_refused(own_postgres: Postgres) -> None:
    """Nothing listens. When it is back, the next attempt passes."""
    async with open_probe(own_postgres) as probe:
        await probe()
        with killed(own_postgres):
            assert await failure(probe) is Reason.REFUSED
        await probe()


async def test_a_standby_is_readable_but_not_writable(own_postgres: Postgres) -> None:
    """During recovery `query` passes and `writable` is `read_only`."""
    own_postgres.stop()
    signal = own_postgres.data / "standby.signal"
    signal.touch()
    own_postgres.give(signal)
    try:
        own_postgres.start()
        async with (
            open_probe(own_postgres) as readable,
            open_probe(own_postgres, require="writable") as writable,
        ):
            await readable()
            assert await failure(writable) is Reason.READ_ONLY
    finally:
        own_postgres.stop()
        signal.unlink()
        own_postgres.start()

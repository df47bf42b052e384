"""Faults of a PostgreSQL server, each a context manager that repairs it on exit."""

import contextlib
import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager

import asyncpg
from anyio.from_thread import start_blocking_portal

from tests.support.devservers import Postgres
from tests.support.faults.servers import connect, sql, started_with
from tests.support.service import wait_for


# Selects the sessions of the service's probe by its application name.
OF_THE_PROBE = "FROM pg_stat_activity WHERE application_name = 'vitals'"

RELOAD = "SELECT pg_reload_conf()"

# A function that hides PostgreSQL's own from roles with this search path, and exceeds any timeout.
SLOW_FUNCTION = (
    "CREATE SCHEMA slow",
    """
    CREATE FUNCTION slow.current_setting(text) RETURNS text LANGUAGE sql
    AS 'SELECT pg_catalog.pg_sleep(60); SELECT pg_catalog.current_setting($1)'
    """,
    "GRANT USAGE ON SCHEMA slow TO PUBLIC",
)


@contextlib.contextmanager
def altered(
    server: Postgres, broken: str, repaired: str, database: str = "postgres"
) -> Iterator[None]:
    """Run the statement *broken*, and *repaired* on exit; `{password}` is the server's."""
    sql(server, broken, database=database)
    try:
        yield
    finally:
        password = server.password_file.read_text()
        sql(server, repaired.format(password=password), database=database)


@contextlib.contextmanager
def configured(server: Postgres, name: str, value: str) -> Iterator[None]:
    """Change a setting for all sessions, open ones included."""
    before = sql(server, f"SHOW {name}")[0][0][0]
    sql(server, f"ALTER SYSTEM SET {name} = {value}", RELOAD)
    try:
        yield
    finally:
        sql(server, f"ALTER SYSTEM SET {name} = {before}", RELOAD)


@contextlib.contextmanager
def admitting(server: Postgres, kind: str) -> Iterator[None]:
    """Accept only one kind of connection, such as `hostssl` in pg_hba.conf."""
    file = server.data / "pg_hba.conf"
    before = file.read_text()
    # The administrator of the tests connects without TLS.
    file.write_text(f"host all vitals all scram-sha-256\n{kind} all all all scram-sha-256\n")
    sql(server, RELOAD)
    try:
        yield
    finally:
        file.write_text(before)
        sql(server, RELOAD)


@contextlib.contextmanager
def standby(server: Postgres, *, hot: bool) -> Iterator[None]:
    """Restart as a standby without a primary; only a hot standby accepts (read-only) sessions."""
    mark = server.data / "standby.signal"
    mark.touch()
    server.give(mark)
    with started_with(server, f"-chot_standby={'on' if hot else 'off'}"):
        try:
            yield
        finally:
            mark.unlink()


def connections_exhausted(server: Postgres) -> AbstractContextManager[None]:
    """Open superuser sessions until the server accepts no more."""
    return connected(server, 1000)


@contextlib.contextmanager
def shutting_down(server: Postgres) -> Iterator[None]:
    """Start a smart shutdown, and hold a session open that keeps it from completing."""
    with connected(server, 1), signalled(server, signal.SIGTERM):
        wait_for(lambda: "stopping" in server.lock.read_text(), 30)
        yield


@contextlib.contextmanager
def shut_down(server: Postgres) -> Iterator[None]:
    """Shut down, which ends every session (57P01), and restart on exit."""
    with signalled(server, signal.SIGINT):
        wait_for(lambda: not server.lock.exists(), 30)
        yield


@contextlib.contextmanager
def signalled(server: Postgres, number: signal.Signals) -> Iterator[None]:
    """Send a signal to the main process, and restart on exit."""
    os.kill(server.pid, number)
    try:
        yield
    finally:
        server.start()


@contextlib.contextmanager
def session_ended(server: Postgres) -> Iterator[None]:
    """End the probe's idle session (57P01), as an administrator would."""
    sql(server, f"SELECT pg_terminate_backend(pid) {OF_THE_PROBE}")
    yield


@contextlib.contextmanager
def slow(server: Postgres, role: str, database: str) -> Iterator[None]:
    """Make the probe's statement exceed any timeout in new sessions of a role."""
    sql(server, *SLOW_FUNCTION, database=database)
    with altered(
        server,
        f"ALTER ROLE {role} SET search_path = slow, pg_catalog",
        f"ALTER ROLE {role} RESET search_path",
    ):
        yield
    sql(server, "DROP SCHEMA slow CASCADE", database=database)


@contextlib.contextmanager
def connected(server: Postgres, most: int) -> Iterator[None]:
    """Open up to *most* sessions, as many as the server accepts."""
    with start_blocking_portal() as portal, contextlib.ExitStack() as sessions:
        with contextlib.suppress(asyncpg.TooManyConnectionsError):
            for _ in range(most):
                sessions.callback(portal.call, portal.call(connect, server).terminate)
        yield

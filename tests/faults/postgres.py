"""What can befall a PostgreSQL: a block each, in which it lasts, and after which it is mended."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import asyncpg
from anyio.from_thread import start_blocking_portal

from app.devservers import Postgres
from tests.faults.servers import sql


# As the probe of the service introduces itself.
OF_THE_PROBE = "FROM pg_stat_activity WHERE application_name = 'vitals'"

RELOAD = "SELECT pg_reload_conf()"

# Found before PostgreSQL's own by whom the search path leads here, and slower than any deadline.
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
    server: Postgres, broken: str, mended: str, database: str = "postgres"
) -> Iterator[None]:
    """Change something with a statement, and change it back; `{password}` is the server's."""
    sql(server, broken, database=database)
    try:
        yield
    finally:
        password = server.password_file.read_text()
        sql(server, mended.format(password=password), database=database)


@contextlib.contextmanager
def configured(server: Postgres, name: str, value: str) -> Iterator[None]:
    """Change a setting for everybody, whoever is connected already."""
    before = sql(server, f"SHOW {name}")[0][0][0]
    sql(server, f"ALTER SYSTEM SET {name} = {value}", RELOAD)
    try:
        yield
    finally:
        sql(server, f"ALTER SYSTEM SET {name} = {before}", RELOAD)


@contextlib.contextmanager
def admitting(server: Postgres, kind: str) -> Iterator[None]:
    """Let in over connections of one kind only, as a line of pg_hba.conf names it."""
    file = server.data / "pg_hba.conf"
    before = file.read_text()
    # Who administers comes without TLS.
    file.write_text(f"host all vitals all scram-sha-256\n{kind} all all all scram-sha-256\n")
    sql(server, RELOAD)
    try:
        yield
    finally:
        file.write_text(before)
        sql(server, RELOAD)


@contextlib.contextmanager
def standby(server: Postgres, *, lets_in: bool) -> Iterator[None]:
    """Have it follow a primary that is not there, and let in who only reads, or nobody."""
    mark, before = server.data / "standby.signal", server.arguments
    mark.touch()
    server.give(mark)
    server.arguments = (*before, f"-chot_standby={'on' if lets_in else 'off'}")
    server.start()
    try:
        yield
    finally:
        mark.unlink()
        server.arguments = before
        server.start()


@contextlib.contextmanager
def crowded(server: Postgres) -> Iterator[None]:
    """Take every place that is free; the last ones are kept for superusers, as these are."""
    with connected(server, 1000) as count:
        assert count
        yield


@contextlib.contextmanager
def shutting_down(server: Postgres) -> Iterator[None]:
    """Tell it to end when everybody has left, and do not leave."""
    with connected(server, 1):
        os.kill(server.pid, signal.SIGTERM)
        while "stopping" not in server.lock.read_text():
            time.sleep(0.001)
        try:
            yield
        finally:
            server.start()


@contextlib.contextmanager
def shut_down(server: Postgres) -> Iterator[None]:
    """Have it end every session (57P01) and then itself."""
    os.kill(server.pid, signal.SIGINT)
    while server.lock.exists():
        time.sleep(0.001)
    try:
        yield
    finally:
        server.start()


@contextlib.contextmanager
def session_ended(server: Postgres) -> Iterator[None]:
    """End the probe's session (57P01), as an administrator does, while it is idle."""
    sql(server, f"SELECT pg_terminate_backend(pid) {OF_THE_PROBE}")
    yield


@contextlib.contextmanager
def slow(server: Postgres, role: str, database: str) -> Iterator[None]:
    """Have the statement of a role's new sessions take longer than anybody waits for it."""
    sql(server, *SLOW_FUNCTION, database=database)
    with altered(
        server,
        f"ALTER ROLE {role} SET search_path = slow, pg_catalog",
        f"ALTER ROLE {role} RESET search_path",
    ):
        yield
    sql(server, "DROP SCHEMA slow CASCADE", database=database)


@contextlib.contextmanager
def connected(server: Postgres, most: int) -> Iterator[int]:
    """Hold sessions, as many as there are places for; tell how many."""
    held: list[Any] = []
    with start_blocking_portal() as portal:
        with contextlib.suppress(asyncpg.TooManyConnectionsError):
            while len(held) < most:
                held.append(portal.call(connect, server))
        try:
            yield len(held)
        finally:
            for connection in held:
                portal.call(connection.terminate)


async def connect(server: Postgres) -> Any:
    """Open a session of the superuser's."""
    return await asyncpg.connect(server.url, password=server.password_file.read_text(), ssl=False)

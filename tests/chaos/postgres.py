"""Faults of a PostgreSQL server."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial

from tests.chaos import network
from tests.chaos.row import LONG_SESSIONS, Fault, Row, Setup
from tests.chaos.stage import Environment
from tests.support.faults import postgres as pg
from tests.support.faults.servers import frozen, killed
from tests.system.asking import console, stopped
from tests.system.servers import PgBouncer


@contextlib.contextmanager
def with_pgbouncer(environment: Environment) -> Iterator[None]:
    """Run a PgBouncer in front of PostgreSQL that retries a failed server after 0.2 s."""
    environment.bouncer = PgBouncer(environment.postgres)
    environment.bouncer.settings["server_login_retry"] = "0.2"
    with environment.bouncer:
        yield


@contextlib.contextmanager
def pgbouncer_paused(environment: Environment) -> Iterator[None]:
    """Pause the PgBouncer, which then queues its clients."""
    asyncio.run(console(environment.bouncer, "PAUSE"))
    try:
        yield
    finally:
        asyncio.run(console(environment.bouncer, "RESUME"))


def server(
    fault: Callable[..., AbstractContextManager[object]], *arguments: object, **options: object
) -> Fault:
    """Return a fault of the server."""
    return lambda environment: fault(environment.postgres, *arguments, **options)


# Faults that a changed setting causes, or one SQL statement, which another one repairs.
setting, altered = partial(server, pg.configured), partial(server, pg.altered)

BY_NAME = network.by_name("postgres")
DIRECT = Setup(
    environ=lambda environment: environment.check_url("postgres", environment.postgres.port)
)
TLS = Setup(
    environ=lambda environment: environment.check_url("postgres", query="?sslmode=require"),
    prepare=setting("ssl", "on"),
)
PGBOUNCER = Setup(
    environ=lambda environment: {"DATABASE_URL": environment.bouncer.url}, prepare=with_pgbouncer
)

row = partial(Row, "postgres", setup=DIRECT)
# A row whose fault an open session can't see.
unseen = partial(row, unseen=True)
ROWS = (
    *network.rows("postgres"),
    row("frozen, its backends too", server(frozen), "timeout"),
    row("killed, and restarted", server(killed), "refused"),
    row("shut down, sessions ended (57P01)", server(pg.shut_down), "refused"),
    unseen("shutting down (57P03)", server(pg.shutting_down), "starting"),
    row("starting up (57P03)", server(pg.standby, hot=False), "starting"),
    row("in recovery, with `writable`", server(pg.standby, hot=True), "read_only"),
    row("read-only, with `writable`", setting("default_transaction_read_only", "on"), "read_only"),
    unseen(
        "password changed",
        altered("ALTER ROLE probed PASSWORD 'another'", "ALTER ROLE probed PASSWORD '{password}'"),
        "auth",
    ),
    unseen(
        "role dropped",
        altered("DROP ROLE probed", "CREATE ROLE probed LOGIN PASSWORD '{password}'"),
        "auth",
    ),
    unseen(
        "role may not log in",
        altered("ALTER ROLE probed NOLOGIN", "ALTER ROLE probed LOGIN"),
        "denied",
    ),
    row(
        "database dropped",
        altered("DROP DATABASE probed WITH (FORCE)", "CREATE DATABASE probed"),
        "misconfigured",
    ),
    unseen("too many connections", server(pg.connections_exhausted), "too_many_connections"),
    unseen("statement slower than the timeout", server(pg.slow, "probed", "probed"), "timeout"),
    unseen(
        "server requires TLS, client does not use it", server(pg.admitting, "hostssl"), "denied"
    ),
    row(
        "idle connection ended by an administrator",
        server(pg.session_ended),
        None,
        setup=LONG_SESSIONS,
    ),
    unseen(
        "client requires TLS, server does not offer it", setting("ssl", "off"), "tls", setup=TLS
    ),
    row("PgBouncer paused", pgbouncer_paused, "timeout", setup=PGBOUNCER),
    row("stopped behind PgBouncer", server(stopped), "unreachable", setup=PGBOUNCER),
)

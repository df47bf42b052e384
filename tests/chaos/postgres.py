"""Faults of a PostgreSQL server."""

import asyncio
import contextlib
from collections.abc import Iterator

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


def altered(broken: str, repaired: str) -> Fault:
    """Return a fault that one SQL statement causes and another one repairs."""
    return lambda environment: pg.altered(environment.postgres, broken, repaired)


def configured(name: str, value: str) -> Fault:
    """Return a fault that a changed server setting causes."""
    return lambda environment: pg.configured(environment.postgres, name, value)


BY_NAME = network.by_name("postgres")
DIRECT = Setup(
    environ=lambda environment: environment.check_url("postgres", environment.postgres.port)
)
TLS = Setup(
    environ=lambda environment: environment.check_url("postgres", query="?sslmode=require"),
    prepare=configured("ssl", "on"),
)
PGBOUNCER = Setup(
    environ=lambda environment: {"DATABASE_URL": environment.bouncer.url}, prepare=with_pgbouncer
)

SERVER: tuple[tuple[str, Fault, str, bool], ...] = (
    (
        "frozen, its backends too",
        lambda environment: frozen(environment.postgres),
        "timeout",
        False,
    ),
    ("killed, and restarted", lambda environment: killed(environment.postgres), "refused", False),
    (
        "shut down, sessions ended (57P01)",
        lambda environment: pg.shut_down(environment.postgres),
        "refused",
        False,
    ),
    (
        "shutting down (57P03)",
        lambda environment: pg.shutting_down(environment.postgres),
        "starting",
        True,
    ),
    (
        "starting up (57P03)",
        lambda environment: pg.standby(environment.postgres, hot=False),
        "starting",
        False,
    ),
    (
        "in recovery, with `writable`",
        lambda environment: pg.standby(environment.postgres, hot=True),
        "read_only",
        False,
    ),
    (
        "read-only, with `writable`",
        configured("default_transaction_read_only", "on"),
        "read_only",
        False,
    ),
    (
        "password changed",
        altered("ALTER ROLE probed PASSWORD 'another'", "ALTER ROLE probed PASSWORD '{password}'"),
        "auth",
        True,
    ),
    (
        "role dropped",
        altered("DROP ROLE probed", "CREATE ROLE probed LOGIN PASSWORD '{password}'"),
        "auth",
        True,
    ),
    (
        "role may not log in",
        altered("ALTER ROLE probed NOLOGIN", "ALTER ROLE probed LOGIN"),
        "denied",
        True,
    ),
    (
        "database dropped",
        altered("DROP DATABASE probed WITH (FORCE)", "CREATE DATABASE probed"),
        "misconfigured",
        False,
    ),
    (
        "too many connections",
        lambda environment: pg.connections_exhausted(environment.postgres),
        "too_many_connections",
        True,
    ),
    (
        "statement slower than the timeout",
        lambda environment: pg.slow(environment.postgres, "probed", "probed"),
        "timeout",
        True,
    ),
    (
        "server requires TLS, client does not use it",
        lambda environment: pg.admitting(environment.postgres, "hostssl"),
        "denied",
        True,
    ),
)

ROWS = (
    *network.rows("postgres", BY_NAME),
    *(
        Row("postgres", name, fault, reason, unseen, DIRECT)
        for name, fault, reason, unseen in SERVER
    ),
    Row(
        "postgres",
        "idle connection ended by an administrator",
        lambda environment: pg.session_ended(environment.postgres),
        None,
        setup=LONG_SESSIONS,
    ),
    Row(
        "postgres",
        "client requires TLS, server does not offer it",
        configured("ssl", "off"),
        "tls",
        unseen=True,
        setup=TLS,
    ),
    Row("postgres", "PgBouncer paused", pgbouncer_paused, "timeout", setup=PGBOUNCER),
    Row(
        "postgres",
        "stopped behind PgBouncer",
        lambda environment: stopped(environment.postgres),
        "unreachable",
        setup=PGBOUNCER,
    ),
)

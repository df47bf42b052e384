"""What befalls a PostgreSQL."""

import asyncio
import contextlib
from collections.abc import Iterator

from tests.faults import postgres as pg
from tests.faults.servers import frozen, killed
from tests.matrix import network
from tests.matrix.row import KEPT, Fault, Row, Scene
from tests.matrix.stage import Stage
from tests.system.asking import console, stopped
from tests.system.servers import PgBouncer


@contextlib.contextmanager
def bouncing(stage: Stage) -> Iterator[None]:
    """Run a PgBouncer before the PostgreSQL; it tries that again sooner than it would."""
    stage.bouncer = PgBouncer(stage.postgres)
    stage.bouncer.settings["server_login_retry"] = "0.2"
    with stage.bouncer:
        yield


@contextlib.contextmanager
def paused(stage: Stage) -> Iterator[None]:
    """Have the PgBouncer keep whoever asks waiting."""
    asyncio.run(console(stage.bouncer, "PAUSE"))
    try:
        yield
    finally:
        asyncio.run(console(stage.bouncer, "RESUME"))


def altered(broken: str, mended: str) -> Fault:
    """Change something with a statement, and change it back."""
    return lambda stage: pg.altered(stage.postgres, broken, mended)


def configured(name: str, value: str) -> Fault:
    """Change a setting, and change it back."""
    return lambda stage: pg.configured(stage.postgres, name, value)


NAMED = network.named("postgres")
DIRECT = Scene(environ=lambda stage: stage.reaching("postgres", stage.postgres.port))
TLS = Scene(
    environ=lambda stage: stage.reaching("postgres", query="?sslmode=require"),
    prepared=configured("ssl", "on"),
)
BOUNCED = Scene(environ=lambda stage: {"DATABASE_URL": stage.bouncer.url}, prepared=bouncing)

SERVER: tuple[tuple[str, Fault, str, bool], ...] = (
    ("frozen, its backends too", lambda stage: frozen(stage.postgres), "timeout", False),
    ("killed, and restarted", lambda stage: killed(stage.postgres), "refused", False),
    (
        "shut down, sessions ended (57P01)",
        lambda stage: pg.shut_down(stage.postgres),
        "refused",
        False,
    ),
    ("shutting down (57P03)", lambda stage: pg.shutting_down(stage.postgres), "starting", True),
    (
        "starting up (57P03)",
        lambda stage: pg.standby(stage.postgres, lets_in=False),
        "starting",
        False,
    ),
    (
        "in recovery, with `writable`",
        lambda stage: pg.standby(stage.postgres, lets_in=True),
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
        "role gone",
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
        "database gone",
        altered("DROP DATABASE probed WITH (FORCE)", "CREATE DATABASE probed"),
        "misconfigured",
        False,
    ),
    (
        "too many connections",
        lambda stage: pg.crowded(stage.postgres),
        "too_many_connections",
        True,
    ),
    (
        "statement slower than the deadline",
        lambda stage: pg.slow(stage.postgres, "probed", "probed"),
        "timeout",
        True,
    ),
    (
        "TLS demanded of a client without",
        lambda stage: pg.admitting(stage.postgres, "hostssl"),
        "denied",
        True,
    ),
)

ROWS = (
    *network.rows("postgres", NAMED),
    *(
        Row("postgres", name, fault, reason, unseen, DIRECT)
        for name, fault, reason, unseen in SERVER
    ),
    Row(
        "postgres",
        "idle connection ended by an administrator",
        lambda stage: pg.session_ended(stage.postgres),
        None,
        scene=KEPT,
    ),
    Row(
        "postgres",
        "TLS refused to a client that demands it",
        configured("ssl", "off"),
        "tls",
        unseen=True,
        scene=TLS,
    ),
    Row("postgres", "PgBouncer paused", paused, "timeout", scene=BOUNCED),
    Row(
        "postgres",
        "gone behind PgBouncer",
        lambda stage: stopped(stage.postgres),
        "unreachable",
        scene=BOUNCED,
    ),
)

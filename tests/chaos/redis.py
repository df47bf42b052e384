"""Faults of a Redis server."""

import contextlib
from collections.abc import Iterator

from tests.chaos import network
from tests.chaos.row import LONG_SESSIONS, Fault, Row, Setup
from tests.chaos.stage import Environment
from tests.support.faults import redis
from tests.support.faults.servers import frozen, killed


@contextlib.contextmanager
def restarted(environment: Environment, *, tls: bool) -> Iterator[None]:
    """Restart the server with TLS only, or without TLS."""
    server = environment.redis
    before = server.arguments, server.tls
    if tls:
        server.use_certificate(environment.certificates.write("good", server.folder))
    else:
        server.arguments, server.tls = (), False
        server.start()
    try:
        yield
    finally:
        server.arguments, server.tls = before
        server.start()


@contextlib.contextmanager
def stale_replica(environment: Environment) -> Iterator[None]:
    """Turn the server into a replica without a primary that refuses to serve stale data."""
    with (
        redis.configured(environment.redis, "replica-serve-stale-data", "no"),
        redis.configured(environment.redis, "replica-read-only", "no"),
        redis.replica(environment.redis),
    ):
        yield


def configured(name: str, value: str) -> Fault:
    """Return a fault that a changed server setting causes."""
    return lambda environment: redis.configured(environment.redis, name, value)


DIRECT = Setup(environ=lambda environment: environment.check_url("redis", environment.redis.port))
NO_PASSWORD = Setup(
    environ=lambda _: {"REDIS_AUTH": "none"},
    prepare=lambda environment: redis.configured(environment.redis, "requirepass", ""),
)
DATABASE_3 = Setup(
    environ=lambda environment: {"REDIS_URL": environment.redis.url.replace("/0", "/3")}
)
OTHER_USER = Setup(
    environ=lambda environment: {
        "REDIS_URL": environment.redis.url.replace("redis://", "redis://probed@")
    },
    prepare=lambda environment: redis.with_user(environment.redis, "probed"),
)
TLS = Setup(
    environ=lambda environment: {
        "REDIS_URL": f"{environment.redis.url}?ssl_ca_certs={environment.certificates.root}"
    },
    prepare=lambda environment: restarted(environment, tls=True),
)

SERVER: tuple[tuple[str, Fault, str, bool], ...] = (
    ("frozen", lambda environment: frozen(environment.redis), "timeout", False),
    ("killed, and restarted", lambda environment: killed(environment.redis), "refused", False),
    ("LOADING", lambda environment: redis.loading(environment.redis), "starting", False),
    (
        "READONLY: a replica",
        lambda environment: redis.replica(environment.redis),
        "read_only",
        False,
    ),
    ("MASTERDOWN: a replica that refuses to serve stale data", stale_replica, "no_primary", False),
    ("OOM", configured("maxmemory", "1"), "out_of_memory", False),
    (
        "MISCONF: a snapshot can't be saved",
        lambda environment: redis.failing_save(environment.redis),
        "persistence",
        False,
    ),
    ("WRONGPASS: password changed", configured("requirepass", "another"), "auth", True),
    ("busy with a script", lambda environment: redis.busy(environment.redis), "timeout", False),
    ("NOPERM", lambda environment: redis.forbidden(environment.redis, "set"), "denied", False),
    ("too many clients", configured("maxclients", "1"), "too_many_connections", True),
    (
        "server requires TLS, client does not use it",
        lambda environment: restarted(environment, tls=True),
        "disconnected",
        False,
    ),
)

ROWS = (
    *network.rows("redis", network.by_name("redis")),
    *(Row("redis", name, fault, reason, unseen, DIRECT) for name, fault, reason, unseen in SERVER),
    Row(
        "redis",
        "CLIENT KILL",
        lambda environment: redis.clients_killed(environment.redis),
        None,
        setup=LONG_SESSIONS,
    ),
    Row(
        "redis",
        "database number out of range",
        lambda environment: redis.fewer_databases(environment.redis),
        "misconfigured",
        setup=DATABASE_3,
    ),
    Row(
        "redis",
        "user deleted",
        lambda environment: redis.without_user(environment.redis, "probed"),
        "auth",
        setup=OTHER_USER,
    ),
    Row(
        "redis",
        "user may not log in",
        lambda environment: redis.user_disabled(environment.redis, "probed"),
        "auth",
        unseen=True,
        setup=OTHER_USER,
    ),
    Row(
        "redis",
        "NOAUTH: server requires a password, client has none",
        configured("requirepass", "word"),
        "auth",
        unseen=True,
        setup=NO_PASSWORD,
    ),
    # Redis reads the TLS greeting as the start of a command, and waits for its end.
    Row(
        "redis",
        "client requires TLS, server does not offer it",
        lambda environment: restarted(environment, tls=False),
        "timeout",
        setup=TLS,
    ),
)

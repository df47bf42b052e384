"""Faults of a Redis server."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial

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


def server(fault: Callable[..., AbstractContextManager[object]], *arguments: str) -> Fault:
    """Return a fault of the server."""
    return lambda environment: fault(environment.redis, *arguments)


# A fault that a changed setting causes.
setting = partial(server, redis.configured)


DIRECT = Setup(environ=lambda environment: environment.check_url("redis", environment.redis.port))
NO_PASSWORD = Setup(environ=lambda _: {"REDIS_AUTH": "none"}, prepare=setting("requirepass", ""))
DATABASE_3 = Setup(
    environ=lambda environment: {"REDIS_URL": environment.redis.url.replace("/0", "/3")}
)
OTHER_USER = Setup(
    environ=lambda environment: {"REDIS_URL": environment.redis.url.replace("//", "//probed@")},
    prepare=server(redis.with_user, "probed"),
)
TLS = Setup(
    environ=lambda environment: {
        "REDIS_URL": f"{environment.redis.url}?ssl_ca_certs={environment.certificates.root}"
    },
    prepare=partial(restarted, tls=True),
)

row = partial(Row, "redis", setup=DIRECT)
# A row whose fault an open session can't see.
unseen = partial(row, unseen=True)
ROWS = (
    *network.rows("redis"),
    row("frozen", server(frozen), "timeout"),
    row("killed, and restarted", server(killed), "refused"),
    row("LOADING", server(redis.loading), "starting"),
    row("READONLY: a replica", server(redis.replica), "read_only"),
    row("MASTERDOWN: a replica that refuses to serve stale data", stale_replica, "no_primary"),
    row("OOM", setting("maxmemory", "1"), "out_of_memory"),
    row("MISCONF: a snapshot can't be saved", server(redis.failing_save), "persistence"),
    unseen("WRONGPASS: password changed", setting("requirepass", "another"), "auth"),
    row("busy with a script", server(redis.busy), "timeout"),
    row("NOPERM", server(redis.forbidden, "set"), "denied"),
    unseen("too many clients", setting("maxclients", "1"), "too_many_connections"),
    row(
        "server requires TLS, client does not use it", partial(restarted, tls=True), "disconnected"
    ),
    row("CLIENT KILL", server(redis.clients_killed), None, setup=LONG_SESSIONS),
    row(
        "database number out of range",
        server(redis.fewer_databases),
        "misconfigured",
        setup=DATABASE_3,
    ),
    row("user deleted", server(redis.without_user, "probed"), "auth", setup=OTHER_USER),
    unseen("user may not log in", server(redis.user_disabled, "probed"), "auth", setup=OTHER_USER),
    unseen(
        "NOAUTH: server requires a password, client has none",
        setting("requirepass", "word"),
        "auth",
        setup=NO_PASSWORD,
    ),
    # Redis reads the TLS greeting as the start of a command, and waits for its end.
    row(
        "client requires TLS, server does not offer it",
        partial(restarted, tls=False),
        "timeout",
        setup=TLS,
    ),
)

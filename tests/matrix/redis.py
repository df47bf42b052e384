"""What befalls a Redis."""

import contextlib
from collections.abc import Iterator

from tests.faults import redis
from tests.faults.servers import frozen, killed
from tests.matrix import network
from tests.matrix.row import KEPT, Fault, Row, Scene
from tests.matrix.stage import Stage


@contextlib.contextmanager
def speaking(stage: Stage, *, tls: bool) -> Iterator[None]:
    """Start it anew to speak TLS and nothing else, or not at all."""
    server = stage.redis
    before = server.arguments, server.tls
    if tls:
        server.show(stage.certificates.write("good", server.folder))
    else:
        server.arguments, server.tls = (), False
        server.start()
    try:
        yield
    finally:
        server.arguments, server.tls = before
        server.start()


@contextlib.contextmanager
def stale(stage: Stage) -> Iterator[None]:
    """Have a replica without its primary answer nobody, whatever is asked."""
    with (
        redis.configured(stage.redis, "replica-serve-stale-data", "no"),
        redis.configured(stage.redis, "replica-read-only", "no"),
        redis.replica(stage.redis),
    ):
        yield


def configured(name: str, value: str) -> Fault:
    """Change a setting, and change it back."""
    return lambda stage: redis.configured(stage.redis, name, value)


DIRECT = Scene(environ=lambda stage: stage.reaching("redis", stage.redis.port))
OPEN = Scene(
    environ=lambda _: {"REDIS_AUTH": "none"},
    prepared=lambda stage: redis.configured(stage.redis, "requirepass", ""),
)
THIRD = Scene(environ=lambda stage: {"REDIS_URL": stage.redis.url.replace("/0", "/3")})
USER = Scene(
    environ=lambda stage: {"REDIS_URL": stage.redis.url.replace("redis://", "redis://probed@")},
    prepared=lambda stage: redis.with_user(stage.redis, "probed"),
)
TLS = Scene(
    environ=lambda stage: {
        "REDIS_URL": f"{stage.redis.url}?ssl_ca_certs={stage.certificates.root}"
    },
    prepared=lambda stage: speaking(stage, tls=True),
)

SERVER: tuple[tuple[str, Fault, str, bool], ...] = (
    ("frozen", lambda stage: frozen(stage.redis), "timeout", False),
    ("killed, and restarted", lambda stage: killed(stage.redis), "refused", False),
    ("LOADING", lambda stage: redis.loading(stage.redis), "starting", False),
    ("READONLY: a replica", lambda stage: redis.replica(stage.redis), "read_only", False),
    ("MASTERDOWN: a replica that serves nothing stale", stale, "no_primary", False),
    ("OOM", configured("maxmemory", "1"), "out_of_memory", False),
    ("MISCONF: it can't save", lambda stage: redis.unsaved(stage.redis), "persistence", False),
    ("WRONGPASS: password changed", configured("requirepass", "another"), "auth", True),
    ("busy with a script", lambda stage: redis.busy(stage.redis), "timeout", False),
    ("NOPERM", lambda stage: redis.forbidden(stage.redis, "set"), "denied", False),
    ("too many clients", configured("maxclients", "1"), "too_many_connections", True),
    (
        "TLS demanded of a client without",
        lambda stage: speaking(stage, tls=True),
        "disconnected",
        False,
    ),
)

ROWS = (
    *network.rows("redis", network.named("redis")),
    *(Row("redis", name, fault, reason, unseen, DIRECT) for name, fault, reason, unseen in SERVER),
    Row(
        "redis",
        "CLIENT KILL",
        lambda stage: redis.clients_killed(stage.redis),
        None,
        scene=KEPT,
    ),
    Row(
        "redis",
        "database gone",
        lambda stage: redis.fewer_databases(stage.redis),
        "misconfigured",
        scene=THIRD,
    ),
    Row(
        "redis",
        "user gone",
        lambda stage: redis.without_user(stage.redis, "probed"),
        "auth",
        scene=USER,
    ),
    Row(
        "redis",
        "user may not log in",
        lambda stage: redis.locked_out(stage.redis, "probed"),
        "auth",
        unseen=True,
        scene=USER,
    ),
    Row(
        "redis",
        "NOAUTH: a password wanted of a client without",
        configured("requirepass", "word"),
        "auth",
        unseen=True,
        scene=OPEN,
    ),
    # Redis takes the greeting of TLS for the beginning of a line, and waits for its end.
    Row(
        "redis",
        "TLS refused to a client that demands it",
        lambda stage: speaking(stage, tls=False),
        "timeout",
        scene=TLS,
    ),
)

"""The check of a Redis: PING, or a discarded write, over a session of its own."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Annotated

from pydantic import AfterValidator

from app.checks.hosts import HostsProbe
from app.checks.kind import CheckSpec, Depth, Kind, Resources, StoreOptions
from app.checks.network import Dialer
from app.checks.redis_url import TLS_FILES, RedisTarget
from app.checks.session import SessionProbe
from app.checks.urls import ensure_tls_files


def parse_redis_url(text: str) -> str:
    """Return a valid URL, or raise a ValueError with the remedy."""
    target = RedisTarget.parse(text)
    ensure_tls_files(target.tls.files if target.tls else {}, TLS_FILES)
    return text


class RedisOptions(StoreOptions):
    """The options of a Redis check."""

    url: Annotated[str, AfterValidator(parse_redis_url)] = ""
    depth: Depth = "query"


@asynccontextmanager
async def open_redis(
    spec: CheckSpec[RedisOptions], resources: Resources
) -> AsyncIterator[SessionProbe | HostsProbe]:
    """Provide a probe of a Redis. It connects at its first attempt."""
    from app.checks.redis_server import RedisProbe, RedisServer  # noqa: PLC0415 - see `Kind`

    options = spec.options
    target = RedisTarget.parse(options.url)
    trust = target.tls.trust(resources.trust) if target.tls else None
    arguments = {"db": target.database, "username": target.username or None}
    read = options.password_reader(spec.name, resources.read_secret)
    renew_after = 0 if options.depth == "connect" else resources.reconnect_interval
    async with AsyncExitStack() as stack:
        probes = list[SessionProbe]()
        for host, port in target.hosts:
            server = RedisServer(Dialer(host, port), host, trust, arguments)
            probe = RedisProbe(
                server, options.depth, read, renew_after, needs_cluster=target.is_cluster
            )
            probes.append(await stack.enter_async_context(aclosing(probe)))
        yield probes[0] if len(probes) == 1 else HostsProbe(probes, options.timeout)


SCHEMES = ("redis", "rediss", "redis+cluster", "rediss+cluster", "unix")
KIND = Kind("redis", SCHEMES, RedisOptions, open_redis, driver="app.checks.redis_server")

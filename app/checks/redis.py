"""The check of a Redis: PING, or a discarded write, over a session of its own."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from functools import partial
from typing import Annotated

from pydantic import AfterValidator

from app.checks.errors import read_credential
from app.checks.hosts import HostsProbe
from app.checks.kind import CheckSpec, Depth, Kind, Resources, StoreOptions, default_password
from app.checks.network import BlockingCall, Dialer
from app.checks.redis_url import CLUSTER, SENTINEL, TLS_FILES, RedisTarget
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

    @property
    def key_file(self) -> str | None:
        """The file with the key of the client's certificate; None without one."""
        tls = RedisTarget.parse(self.url).tls
        return (tls.files.get("ssl_keyfile") or tls.files.get("ssl_certfile")) if tls else None

    def optional_secrets(self, name: str, url: str) -> frozenset[str]:
        """Return the name of the secret with the password of the Sentinels, if there are some."""
        has_sentinels = url.partition(":")[0].lower().endswith(SENTINEL)
        return frozenset({sentinel_password(name)} if has_sentinels else ())


def sentinel_password(name: str) -> str:
    """Return the name of the secret with the password of the Sentinels of the check *name*."""
    return f"{default_password(name).removesuffix('password')}sentinel_password"


@asynccontextmanager
async def open_redis(
    spec: CheckSpec[RedisOptions], resources: Resources
) -> AsyncIterator[SessionProbe | HostsProbe]:
    """Provide a probe of a Redis. It connects at its first attempt."""
    from app.checks.redis_sentinel import SentinelProbe, SentinelsProbe  # noqa: PLC0415 - see `Kind`
    from app.checks.redis_server import RedisProbe, RedisServer  # noqa: PLC0415 - as above

    options = spec.options
    target = RedisTarget.parse(options.url)
    trust = target.tls.trust(resources.trust) if target.tls else None

    def make_server(host: str, port: int) -> RedisServer:
        arguments = {"db": target.database, "username": target.username or None}
        return RedisServer(Dialer(host, port), host, trust, arguments)

    def make_probe(host: str, port: int) -> RedisProbe:
        read = options.password_reader(spec.name, resources.read_secret)
        renew_after = 0 if options.depth == "connect" else resources.reconnect_interval
        terms = options.depth, read, renew_after
        if target.mode != SENTINEL:
            return RedisProbe(make_server(host, port), *terms, needs_cluster=target.mode == CLUSTER)
        sentinel = RedisServer(Dialer(host, port), host, trust, {})
        read_own = BlockingCall(partial(read_credential, read_sentinel_password), "read a password")
        return SentinelProbe(sentinel, target.service, read_own, make_server, *terms)

    def read_sentinel_password() -> str | None:
        name = sentinel_password(spec.name)
        return resources.read_secret(name) if resources.has_secret(name) else None

    join = SentinelsProbe if target.mode == SENTINEL else HostsProbe
    async with AsyncExitStack() as stack:
        probes = [make_probe(*address) for address in target.hosts]
        for probe in probes:
            await stack.enter_async_context(aclosing(probe))
        yield probes[0] if len(probes) == 1 else join(probes, options.timeout)


SCHEMES = (
    "redis",
    "rediss",
    "unix",
    "redis+cluster",
    "rediss+cluster",
    "redis+sentinel",
    "rediss+sentinel",
)
KIND = Kind("redis", SCHEMES, RedisOptions, open_redis, driver="app.checks.redis_sentinel")

"""The check of a Redis: PING, or a discarded write, over a session of its own."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Annotated, Any

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
) -> AsyncIterator[SessionProbe | HostsProbe[Any]]:
    """Provide a probe of a Redis. It connects at its first attempt."""
    from app.checks import redis_primaries as primaries  # noqa: PLC0415 - see `Kind`
    from app.checks.redis_server import RedisProbe, RedisServer  # noqa: PLC0415 - as above

    options = spec.options
    target = RedisTarget.parse(options.url)
    trust = target.tls.trust(resources.trust) if target.tls else None

    read = options.password_reader(spec.name, resources.read_secret)
    renew_after = 0 if options.depth == "connect" else resources.reconnect_interval
    terms = options.depth, read, renew_after
    in_cluster = target.mode == CLUSTER

    def make_server(host: str, port: int) -> RedisServer:
        arguments = {"db": target.database, "username": target.username or None}
        return RedisServer(Dialer(host, port), host, trust, arguments)

    def make_data_probe(host: str, port: int) -> RedisProbe:
        return RedisProbe(make_server(host, port), *terms, needs_cluster=in_cluster)

    def make_node_probe(host: str, port: int) -> primaries.NodeProbe:
        return primaries.NodeProbe(make_server(host, port), *terms, needs_cluster=True)

    def make_sentinel_probe(host: str, port: int) -> primaries.SentinelProbe:
        sentinel = RedisServer(Dialer(host, port), host, trust, {})
        read_own = BlockingCall(partial(read_credential, read_sentinel_password), "read a password")
        return primaries.SentinelProbe(sentinel, target.service, read_own, make_server, *terms)

    def read_sentinel_password() -> str | None:
        name = sentinel_password(spec.name)
        return resources.read_secret(name) if resources.has_secret(name) else None

    def make_probe() -> SessionProbe | HostsProbe[Any]:
        if in_cluster and options.depth == "writable":
            nodes = [make_node_probe(*address) for address in target.hosts]
            return primaries.ClusterProbe(nodes, options.timeout, make_data_probe)
        if target.mode == SENTINEL:
            sentinels = [make_sentinel_probe(*address) for address in target.hosts]
            return primaries.SentinelsProbe.join(sentinels, options.timeout)
        servers = [make_data_probe(*address) for address in target.hosts]
        return HostsProbe.join(servers, options.timeout)

    async with aclosing(make_probe()) as probe:
        yield probe


SCHEMES = (
    "redis",
    "rediss",
    "unix",
    "redis+cluster",
    "rediss+cluster",
    "redis+sentinel",
    "rediss+sentinel",
)
KIND = Kind("redis", SCHEMES, RedisOptions, open_redis, driver="app.checks.redis_primaries")

"""How a Redis is reached, and what its errors mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from redis import exceptions
from redis.asyncio.connection import parse_url

from app.health import Reason
from app.probes.dialer import Dialer
from app.probes.redis_replies import of_redis
from app.probes.redis_wire import WireConnection
from app.probes.steps import Step, begins
from app.probes.trust import Trust
from app.probes.wire import Wire


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A Redis, as a URL names it.

    Attributes:
        host: whom the certificate must speak for.
        trust: the servers to trust; None without TLS.
        options: what redis-py gets beside the password.

    """

    dialer: Dialer
    host: str
    trust: Trust | None
    options: Mapping[str, Any]

    @classmethod
    def of(cls, url: str) -> "RedisServer":
        """Read a URL."""
        target: dict[str, Any] = dict(parse_url(url))
        host = target.get("path") or target.get("host") or "localhost"
        secure = urlsplit(url).scheme == "rediss"
        return cls(
            dialer=Dialer(host, target.get("port", 6379)),
            host=host,
            trust=Trust(target.get("ssl_ca_certs")) if secure else None,
            options={
                "db": target.get("db", 0),
                "username": target.get("username"),
                "protocol": 2,
                "driver_info": None,
            },
        )

    async def connect(self, password: str | None) -> WireConnection:
        """Connect and authenticate.

        Raises:
            redis.ResponseError: the server refuses.
            ProtocolError: it is no Redis.
            OSError, EOFError: it can't be reached, or not with TLS (`ssl.SSLError`).

        """
        context = await self.trust.context() if self.trust else None
        wire = await Wire.open(self.dialer)
        try:
            if context:
                await wire.start_tls(context, self.host)
        except BaseException:
            wire.abort()
            raise
        begins(Step.AUTHENTICATION)
        connection = WireConnection(wire, password=password, **self.options)
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
        except BaseException:
            connection.terminate()
            raise
        return connection

    def explain(self, error: BaseException) -> Reason:
        """Return why an attempt failed."""
        # redis-py wraps what the socket raised, without naming it the cause.
        wrapped = isinstance(error, exceptions.ConnectionError | exceptions.TimeoutError)
        raised = error.__context__ or EOFError() if wrapped else error
        return of_redis(error) or self.dialer.explain(raised)

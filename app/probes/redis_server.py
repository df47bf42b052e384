"""How a Redis is reached, and what its errors mean."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from redis import exceptions
from redis.asyncio import Connection
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from app.health import Reason
from app.probes.dialer import Dialer
from app.probes.redis_replies import of_redis
from app.probes.steps import Step, begins
from app.probes.stream import open_stream


class DialedConnection(Connection):
    """A connection of redis-py's that reaches its server through a dialer."""

    def __init__(self, dialer: Dialer, context: ssl.SSLContext | None, **options: Any) -> None:
        # By default redis-py takes seconds for a closed port and a minute for a silent one.
        super().__init__(retry=Retry(NoBackoff(), 0), socket_timeout=None, **options)
        self._dialer = dialer
        self._context = context
        self._transport: asyncio.WriteTransport | None = None

    async def _connect(self) -> None:
        connected = await self._dialer.dial()
        reader, writer = await open_stream(connected, self._context, self.host)
        self._reader, self._writer, self._transport = reader, writer, writer.transport
        begins(Step.AUTHENTICATION)

    def terminate(self) -> None:
        """Cut the connection; TLS would otherwise wait for the other side's goodbye."""
        if self._transport:
            self._transport.abort()
        self._close()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A Redis, as a URL names it.

    Attributes:
        context: none without TLS.
        options: what redis-py is told beside the password.

    """

    dialer: Dialer
    context: ssl.SSLContext | None
    options: Mapping[str, Any]

    @classmethod
    def of(cls, url: str) -> "RedisServer":
        """Read a URL."""
        target: dict[str, Any] = dict(parse_url(url))
        host = target.get("path") or target.get("host") or "localhost"
        port = target.get("port", 6379)
        context = None
        if urlsplit(url).scheme == "rediss":
            context = ssl.create_default_context(cafile=target.get("ssl_ca_certs"))
        options = {
            "host": host,
            "port": port,
            "db": target.get("db", 0),
            "username": target.get("username"),
            "protocol": 2,
            "driver_info": None,
        }
        return cls(Dialer(host, port), context, options)

    def connection(self, password: str | None) -> DialedConnection:
        """Make a connection, which is yet to be connected."""
        return DialedConnection(self.dialer, self.context, password=password, **self.options)

    def explain(self, error: BaseException) -> Reason:
        """Tell why an attempt failed."""
        # redis-py wraps what the socket raised, without naming it the cause.
        wrapped = isinstance(error, exceptions.ConnectionError | exceptions.TimeoutError)
        raised = error.__context__ or EOFError() if wrapped else error
        return of_redis(error) or self.dialer.explain(raised)

"""The primary that Redis Sentinels name. It is another one after each failover.

https://redis.io/docs/latest/develop/reference/sentinel-clients/
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from redis.exceptions import MasterDownError

from app.checks.errors import ProtocolError
from app.checks.hosts import UNREACHABLE, HostsProbe
from app.checks.redis_server import RedisProbe, RedisServer
from app.checks.resp import RespConnection, raise_refusal
from app.checks.session import SessionProbe
from app.checks.urls import is_port
from app.health import Reason


# A host that began with a slash would be a Unix socket.
HOST = re.compile(rb"[!-.0-~][!-~]*")
PORT = re.compile(rb"[0-9]{1,5}")


class SentinelProbe(RedisProbe):
    """A probe of the primary that one Sentinel names. Each new session asks the Sentinel again.

    Attributes:
        has_answered: whether the Sentinel has answered when it was last asked.

    Args:
        service: the name under which the Sentinel knows the primary.
        read_sentinel_password: returns None if the Sentinel wants none.
        make_server: returns the server of a host and port.
    """

    def __init__(
        self,
        sentinel: RedisServer,
        service: str,
        read_sentinel_password: Callable[[], Awaitable[str | None]],
        make_server: Callable[[str, int], RedisServer],
        *arguments: Any,
    ) -> None:
        super().__init__(sentinel, *arguments)
        self.has_answered = False
        self._sentinel = sentinel
        self._service = service
        self._read_sentinel_password = read_sentinel_password
        self._make_server = make_server
        self._primary: tuple[tuple[str, int], RedisServer] | None = None

    async def _connect(self) -> RespConnection:
        """Connect to the primary, which must confirm that it is one.

        Raises:
            redis.MasterDownError: the Sentinel knows no primary, or the server is none.
        """
        self._server = self._sentinel
        address = await self._find_primary()
        if not self._primary or self._primary[0] != address:
            self._primary = address, self._make_server(*address)
        self._server = self._primary[1]
        connection = await super()._connect()
        try:
            _ensure_primary(*await connection.execute(("ROLE",)))
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _find_primary(self) -> tuple[str, int]:
        self.has_answered = False
        self._sentinel.dialer.timeout_reason = Reason.TIMEOUT
        connection = await self._sentinel.connect(await self._read_sentinel_password())
        try:
            command = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service)
            [address] = await connection.execute(command)
        finally:
            connection.terminate()
        self.has_answered = True
        return _parse_address(address)


def _parse_address(reply: Any) -> tuple[str, int]:
    raise_refusal(reply)
    match reply:
        case None:
            raise MasterDownError("the Sentinel knows no primary of this name")
        case [bytes(host), bytes(port)] if HOST.fullmatch(host) and PORT.fullmatch(port):
            if is_port(int(port)):
                return host.decode(), int(port)
    raise ProtocolError("a reply without the address of the primary")


def _ensure_primary(role: Any) -> None:
    """Raise an error unless the reply to ROLE is that of a primary."""
    raise_refusal(role)
    if not isinstance(role, list) or role[:1] != [b"master"]:
        raise MasterDownError("the server that the Sentinel names is not a primary")


class SentinelsProbe(HostsProbe):
    """Asks the Sentinels until the primary that one names passes."""

    def rank(self, probe: SessionProbe, reason: Reason) -> int:
        """Return a lower rank for a Sentinel that has answered than for another one."""
        del reason
        return UNREACHABLE - getattr(probe, "has_answered", False)

"""redis-py over a wire: it writes the commands, and every reply is read here.

The protocol: https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

import re
from collections.abc import Iterable
from typing import Any

from redis import exceptions
from redis._parsers.base import AsyncBaseParser
from redis.asyncio import Connection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from app.checks.connection import BoundedConnection
from app.checks.errors import ProtocolError


KINDS = frozenset({b"+", b"-", b"$"})
LINE = re.compile(rb"\r\n")
LENGTH = re.compile(rb"-1|[0-9]{1,5}")

# The longest text of a server's error that is kept: it goes to the log.
MAX_TEXT = 300

OK = b"OK"


class RespParser(AsyncBaseParser):
    """Reads the replies that probes ask for: texts, and errors. No other type is accepted.

    hiredis, which redis-py would use, sets memory aside for as many elements as a server announces.
    """

    _wire: BoundedConnection

    def on_connect(self, connection: "RespConnection") -> None:
        """Read from the connection's wire."""
        self._wire = connection.wire

    def on_disconnect(self) -> None:
        """Keep nothing."""

    async def can_read(self) -> bool:
        """Return whether something has arrived."""
        return self._wire.has_unread

    can_read_destructive = can_read

    async def read_response(self, disable_decoding: bool = False) -> Any:  # noqa: FBT001, FBT002
        """Return the next reply: bytes, None for a text that is not there, or an error.

        Raises:
            ProtocolError: it is of another type, or malformed.
            EOFError, OSError: the connection has ended.

        """
        del disable_decoding
        kind = await self._wire.read(1)
        if kind not in KINDS:
            msg = f"a reply of type {kind!r}"
            raise ProtocolError(msg)
        self._wire.count()
        content = (await self._wire.read_until(LINE, overlap=1))[:-2]
        if kind == b"+":
            return content
        if kind == b"-":
            return self._refusal(content[:MAX_TEXT].decode(errors="replace"))
        if not LENGTH.fullmatch(content):
            msg = "a text of no possible length"
            raise ProtocolError(msg)
        return await self._text(int(content))

    def _refusal(self, text: str) -> exceptions.ResponseError:
        try:
            error = self.parse_error(text)  # type: ignore[no-untyped-call]
        except (ValueError, LookupError) as unreadable:
            msg = "a redirection that can't be read"
            raise ProtocolError(msg) from unreadable
        if isinstance(error, exceptions.ResponseError):
            return error
        raise error  # to redis-py, some refusals end the connection

    async def _text(self, length: int) -> bytes | None:
        if length < 0:
            return None
        data = await self._wire.read(length + 2)
        if not data.endswith(b"\r\n"):
            msg = "a text longer than announced"
            raise ProtocolError(msg)
        return data[:-2]


class RespConnection(Connection):
    """A connection of redis-py's over a wire that is connected already."""

    def __init__(self, wire: BoundedConnection, **options: Any) -> None:
        # By default redis-py takes seconds for a closed port and a minute for a silent one.
        super().__init__(
            retry=Retry(NoBackoff(), 0), socket_timeout=None, parser_class=RespParser, **options
        )
        self.wire = wire

    async def _connect(self) -> None:
        self._reader, self._writer = self.wire, _Writer(self.wire)  # type: ignore[assignment]

    async def read_response(self, *arguments: Any, **options: Any) -> Any:
        """Return the reply to a command that ends in `OK`, as all do that redis-py sends by itself.

        Raises:
            ProtocolError: it is another one.
            redis.ResponseError: the server refuses.

        """
        reply = await super().read_response(*arguments, **options)
        return self.expect(reply, OK)

    async def ask(self, commands: Iterable[tuple[str, ...]], replies: Iterable[bytes]) -> None:
        """Send commands in one piece, and see that each gets the reply that belongs to it.

        Raises:
            ProtocolError: another reply has come.
            redis.ResponseError: the server refuses.

        """
        await self.send_packed_command(self.pack_commands(commands))
        for expected in replies:
            reply = await super().read_response()
            self.expect(reply, expected)

    @staticmethod
    def expect(reply: Any, expected: bytes) -> bytes:
        """Return a reply that is the expected one.

        Raises:
            ProtocolError: it is not.

        """
        if reply != expected:
            msg = "a reply that does not belong to the command"
            raise ProtocolError(msg)
        return expected

    def terminate(self) -> None:
        """Cut the connection."""
        self.wire.abort()
        self._close()  # type: ignore[no-untyped-call]


class _Writer:
    """What redis-py takes for a stream."""

    def __init__(self, wire: BoundedConnection) -> None:
        self._wire = wire
        self.close = wire.abort

    def writelines(self, data: Iterable[bytes]) -> None:
        """Send something."""
        self._wire.write(b"".join(data))

    async def drain(self) -> None:
        """Wait for nothing: a few commands fit in any buffer."""

    async def wait_closed(self) -> None:
        """Wait for nothing: the connection is cut."""

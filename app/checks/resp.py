"""redis-py on a `BoundedConnection`: it writes the commands, and this module reads the replies.

https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

import re
from collections.abc import Iterable
from typing import Any

from redis import exceptions
from redis._parsers.base import AsyncBaseParser
from redis.asyncio import Connection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from app.checks.connection import MAX_ERROR_TEXT, BoundedConnection
from app.checks.errors import ProtocolError


# A simple string, an error, a number, a bulk string, and an array.
REPLY_TYPES = frozenset({b"+", b"-", b":", b"$", b"*"})
LINE = re.compile(rb"\r\n")
LENGTH = re.compile(rb"-1|[0-9]{1,5}")


class RespParser(AsyncBaseParser):
    """Reads the replies of RESP2. Each element of an array counts as a message.

    hiredis, which redis-py would use, allocates memory for as many elements as a server announces.
    """

    _bounded: BoundedConnection

    def on_connect(self, connection: "RespConnection") -> None:
        """Start to read from a connection."""
        self._bounded = connection.bounded

    def on_disconnect(self) -> None:
        """Do nothing: the parser has no buffer."""

    async def can_read(self) -> bool:
        """Return whether unread bytes have arrived."""
        return self._bounded.has_unread

    can_read_destructive = can_read

    async def read_response(self, disable_decoding: bool = False) -> Any:  # noqa: FBT001, FBT002
        """Return the next reply: bytes, also for a number, a list, None for a null, or an error.

        Raises:
            ProtocolError: the reply has another type, or is malformed.
            EOFError, OSError: the connection has ended.
        """
        del disable_decoding
        kind = await self._bounded.read(1)
        if kind not in REPLY_TYPES:
            raise ProtocolError(f"unexpected reply of type {kind!r}")
        self._bounded.count_frames()
        content = (await self._bounded.read_until(LINE, overlap=1))[:-2]
        if kind in {b"+", b":"}:
            return content
        if kind == b"-":
            return self._read_error(content[:MAX_ERROR_TEXT].decode(errors="replace"))
        if not LENGTH.fullmatch(content):
            raise ProtocolError("a reply of an impossible length")
        if kind == b"$":
            return await self._read_string(int(content))
        length = int(content)
        return None if length < 0 else [await self.read_response() for _ in range(length)]

    def _read_error(self, text: str) -> exceptions.ResponseError:
        try:
            error = self.parse_error(text)  # type: ignore[no-untyped-call]
        except (ValueError, LookupError) as malformed:
            raise ProtocolError("a malformed redirection") from malformed
        if isinstance(error, exceptions.ResponseError):
            return error
        raise error  # redis-py has connection errors for some replies

    async def _read_string(self, length: int) -> bytes | None:
        if length < 0:
            return None
        data = await self._bounded.read(length + 2)
        if not data.endswith(b"\r\n"):
            raise ProtocolError("a string longer than announced")
        return data[:-2]


class RespConnection(Connection):
    """A connection of redis-py on a `BoundedConnection`.

    Attributes:
        bounded: the connection to the server.
    """

    _parser: RespParser

    def __init__(self, bounded: BoundedConnection, **options: Any) -> None:
        # Without retries: the monitor repeats a failed attempt, and keeps the deadline.
        super().__init__(
            retry=Retry(NoBackoff(), 0), socket_timeout=None, parser_class=RespParser, **options
        )
        self.bounded = bounded

    async def _connect(self) -> None:
        self._reader, self._writer = self.bounded, _Writer(self.bounded)  # type: ignore[assignment]

    async def read_response(self, *arguments: Any, **options: Any) -> Any:
        """Return the reply to a command that redis-py sends on its own, which must be `OK`.

        Raises:
            ProtocolError: the reply is another one.
            redis.ResponseError: the server refuses.
        """
        del arguments, options
        return expect(await self._parser.read_response(), b"OK")

    async def execute(self, *commands: tuple[str, ...]) -> list[Any]:
        """Send commands in one piece, and return their replies. A refusal is a `ResponseError`.

        Raises:
            redis.ResponseError: the connection ended after a refusal.
        """
        await self.send_packed_command(self.pack_commands(commands))
        replies = list[Any]()
        try:
            for _ in commands:
                replies.append(await self._parser.read_response())
        except (EOFError, OSError):
            for reply in replies:
                raise_refusal(reply)
            raise
        return replies

    def terminate(self) -> None:
        """Close the connection at once."""
        self.bounded.abort()
        self._close()  # type: ignore[no-untyped-call]


def raise_refusal(reply: Any) -> None:
    """Raise a reply that is an error."""
    if isinstance(reply, exceptions.ResponseError):
        raise reply


def expect(reply: Any, expected: bytes | None) -> bytes | None:
    """Return the expected reply.

    Raises:
        ProtocolError: the reply is another one.
        redis.ResponseError: the server refuses.
    """
    raise_refusal(reply)
    if reply != expected:
        raise ProtocolError("a reply that does not belong to the command")
    return expected


class _Writer:
    """The methods of a stream writer that redis-py calls."""

    def __init__(self, bounded: BoundedConnection) -> None:
        self._bounded = bounded
        self.close = bounded.abort

    def writelines(self, data: Iterable[bytes]) -> None:
        """Send data."""
        self._bounded.write(b"".join(data))

    async def drain(self) -> None:
        """Do nothing: a few commands fit in any buffer."""

    async def wait_closed(self) -> None:
        """Do nothing: the connection is aborted, not closed."""

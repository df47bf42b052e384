"""asyncpg behind a boundary: it writes what it wants, and reads what was checked before.

Its parser is C that trusts the server: a length below zero ends the process. So it gets only the
little that it needs, in messages that are whole, expected and valid.
"""

import asyncio
import struct
from typing import Any

from app.checks.connection import BoundedConnection
from app.checks.errors import ProtocolError
from app.checks.network import Stage, enter_stage
from app.checks.postgres_protocol import ASIDES, PostgresLogin, is_text, message, read_message


# What asyncpg learns of a session: that it may begin, on a version that it knows. It would parse
# the server's own words and not need them for what a probe asks.
WELCOME = message(b"R", bytes(4)) + message(b"S", b"server_version\0" + b"14.0\0")
READY = {message(b"Z", status) for status in (b"I", b"T", b"E")}

# What a server may send beside the answer to a question: settings that have changed, notices,
# and what a pooler's earlier client has asked to be notified of.
UNASKED = frozenset({b"S", b"N", b"A"})
ANSWER = frozenset({b"T", b"D", b"C", b"Z"})


class AsyncpgTransport(asyncio.Transport):
    """A wire, as asyncpg sees it.

    Attributes:
        was_asked: whether the server has asked for a password.

    """

    def __init__(self, wire: BoundedConnection, protocol: Any) -> None:
        super().__init__()
        self.was_asked = False
        self._wire = wire
        self._protocol = protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send what asyncpg has written."""
        self._wire.write(bytes(data))

    def close(self) -> None:
        """Cut the connection."""
        self._wire.abort()

    abort = close

    async def enter(self, login: PostgresLogin) -> None:
        """Take a session to where it can be asked, and let asyncpg know.

        Raises:
            as `PostgresLogin`.

        """
        self._protocol.connection_made(self)  # it sends who connects
        self.was_asked = await login(self._wire)
        kind, ready = b"", b""
        while kind != b"Z":
            kind, ready = await read_message(self._wire, {b"S", b"K", b"Z", *ASIDES})
        self._tell(WELCOME + _ready(ready))

    async def drop_unasked(self) -> None:
        """Read what has come since the last answer, and begin a new budget.

        Raises:
            ServerError: the server has ended the session.
            ProtocolError: something came that answers no question.
            EOFError, OSError: the connection has ended.

        """
        while self._wire.has_unread:
            await read_message(self._wire, UNASKED)
        self._wire.renew()

    async def answer(self, value: str) -> None:
        """Pass on the answer to a question, and end asyncpg's waiting whatever happens.

        Args:
            value: what the question's second statement returns; its first one returns nothing.

        Raises:
            as `drop_unasked`.

        """
        try:
            self._tell(await self._answer(value.encode()))
        except BaseException as error:
            lost = error if isinstance(error, Exception) else None
            self._protocol.connection_lost(lost)
            raise

    async def _answer(self, value: bytes) -> bytes:
        """Read an answer to its end, and return as much of it as asyncpg looks at."""
        seen, row, end, kind, content = b"", b"", b"", b"", b""
        while kind != b"Z":
            kind, content = await read_message(self._wire, UNASKED | ANSWER)
            seen += kind if kind in ANSWER else b""
            if kind == b"D":
                row = content
            if kind == b"C":
                end = message(kind, content)
                if not is_text(content):
                    msg = "the end of a statement without its text"
                    raise ProtocolError(msg)
        if seen != b"CTDCZ" or row != struct.pack("!hi", 1, len(value)) + value:
            msg = "an answer that does not belong to the question"
            raise ProtocolError(msg)
        return end + _ready(content)

    def _tell(self, data: bytes) -> None:
        self._protocol.data_received(data)


def _ready(status: bytes) -> bytes:
    ready = message(b"Z", status)
    if ready not in READY:
        msg = "ready for a question, in a state that is none"
        raise ProtocolError(msg)
    return ready


class AsyncpgLoop:
    """The running event loop, as asyncpg gets it: it connects where a wire leads.

    Attributes:
        transport: what asyncpg writes to, once it has connected.

    """

    def __init__(self, wire: BoundedConnection, login: PostgresLogin) -> None:
        self._loop = asyncio.get_running_loop()
        self._wire = wire
        self._login = login
        self.transport: AsyncpgTransport | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def create_connection(self, factory: Any, *_: Any) -> tuple[AsyncpgTransport, Any]:
        """Begin a session over the wire.

        Raises:
            ConnectionError: the driver wants a second connection to cancel a statement. The server
                ends the statement by itself.
            Exception: what `PostgresLogin` raises.

        """
        if self.transport:
            msg = "the driver may open one connection"
            raise ConnectionError(msg)
        enter_stage(Stage.AUTHENTICATION)
        protocol = factory()
        self.transport = AsyncpgTransport(self._wire, protocol)
        await self.transport.enter(self._login)
        return self.transport, protocol

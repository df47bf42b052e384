"""uvicorn's protocol for every other request, with bounds on what it keeps."""

import asyncio
import math
import resource
from collections import deque
from itertools import chain
from typing import Any, Protocol

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle


# Seconds without a whole request, or in which an answer is not taken.
IDLE_TIMEOUT = 10.0

# Connections; those that ask nothing hold some 3 KB each.
MAX_CONNECTIONS = 4096

# Descriptors for everything else: look-ups that hang have some 200, and each check a few.
RESERVED = 320


class Connection(Protocol):
    """What holds a connection: one protocol or the other."""

    transport: Any

    @property
    def since(self) -> float:
        """Since when nobody is being answered, by the event loop's clock; infinity: somebody is."""
        ...


class Connections(set[Any]):
    """The open connections, in the set that uvicorn keeps.

    Whoever asks at once is answered, however many there are who don't: where there are too many,
    those go who have waited longest.

    Args:
        most: how many there may be.

    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def add(self, connection: Connection) -> None:
        """Let in, and make room for a good many more where there are too many."""
        if len(self) >= self._most:
            for one in sorted(self, key=lambda one: one.since)[: self._most // 10 + 1]:
                self._send_away(one, math.inf)
        super().add(connection)

    def close_idle(self, now: float) -> None:
        """Send away whoever has waited for too long, or has made us wait."""
        for one in list(self):
            self._send_away(one, now - IDLE_TIMEOUT)

    def _send_away(self, connection: Connection, before: float) -> None:
        if connection.since < before:
            self.discard(connection)
            connection.transport.abort()


def connection_limit() -> int:
    """Tell how many connections there may be, and see to the descriptors that they take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + RESERVED
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(MAX_CONNECTIONS, max(soft - RESERVED, soft // 2))


# Bytes of a head; and of what comes while nobody is being answered, which is a head that does not
# end, or the body of a request that has its answer.
MAX_HEAD = 16 * 1024

# Bytes that are read at once: some thirty short requests, each of which costs a hundred times its
# length until it is answered.
READ_SIZE = 512


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's own reads a head for as long as it goes on, and keeps all of it.

    It also reads all requests that come before the first one is answered, and after each answer
    as many again.
    """

    _since = 0.0
    _unanswered = 0
    _current: RequestResponseCycle | None = None

    @property
    def since(self) -> float:
        """Since when nobody is being answered, or does not take the answer."""
        return math.inf if self._answering and not self.flow.write_paused else self._since

    def wait(self, since: float) -> None:
        """Have nobody being answered since then."""
        self._since = since

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Have uvicorn hold up its reader here, and the connection only where there is enough."""
        super().connection_made(transport)
        self._unread: deque[bytes] = deque()
        self._tap, self.flow = self.flow, FlowControl(self)  # type: ignore[arg-type]

    def connection_lost(self, exc: Exception | None) -> None:
        """End the answer too that is being given, which need not be the last one asked for."""
        if self._current is not None:
            self._current.disconnected = True
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what there is, as far as it can be answered."""
        self._unread.extend(data[at : at + READ_SIZE] for at in range(0, len(data), READ_SIZE))
        self._read_on()

    def pause_reading(self) -> None:
        """Read no further: who reads looks whether to."""

    def resume_reading(self) -> None:
        """Read on, when whoever asks for it has come to an end."""
        self.loop.call_soon(self._read_on)

    def on_headers_complete(self) -> None:
        """Begin to answer; what is raised here becomes a 400."""
        if len(self.url) + sum(map(len, chain(*self.headers))) > MAX_HEAD:
            msg = "the head is too long"
            raise ValueError(msg)
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Wait for another request."""
        self.wait(self.loop.time())
        super().on_response_complete()
        if self._tap.read_paused:
            self.resume_reading()

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        self.wait(self.loop.time())
        super().pause_writing()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer whoever has no more to say: that is no end to listening, as in `FastProtocol`."""
        if self._answering:
            self.cycle.keep_alive = False
        return self._answering

    @property
    def _answering(self) -> bool:
        cycle = self.cycle
        return cycle is not None and not cycle.response_complete  # type: ignore[redundant-expr]

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._current = cycle
        super()._start_asgi_task(cycle, app)

    def _read_on(self) -> None:
        while not self.transport.is_closing():
            if self.flow.read_paused or self.pipeline:
                self._tap.pause_reading()
                return
            if not self._unread:
                self._tap.resume_reading()
                return
            self._read(self._unread.popleft())

    def _read(self, piece: bytes) -> None:
        super().data_received(piece)
        self._unanswered = 0 if self._answering else self._unanswered + len(piece)
        # What separates the parts of a head is no part of its length.
        if self._unanswered > MAX_HEAD + READ_SIZE and not self.transport.is_closing():
            self.send_400_response("Request too long.")

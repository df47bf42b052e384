"""Limits on connections, and on what uvicorn's protocol reads from each."""

import asyncio
import math
import resource
from collections import deque
from itertools import chain
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle


# Seconds in which a client does not complete its request, or does not read its answer.
IDLE_TIMEOUT = 10.0

# Open connections; an idle one takes about 3 KB.
MAX_CONNECTIONS = 4096

# File descriptors for everything else: hanging DNS look-ups take about 200, each check a few.
RESERVED = 320


class ConnectionSet(set[Any]):
    """The open connections. A drop-in for uvicorn's set.

    Each has a transport, `idle_since` and `is_kept`. A new connection is always accepted. If there
    are too many, those that have been idle longest are closed, so that idle clients can't lock out
    others.

    Args:
        keep_alive: seconds for which a connection waits for another request.
    """

    def __init__(self, limit: int, keep_alive: float) -> None:
        super().__init__()
        self._limit = limit
        self._keep_alive = keep_alive
        self._checked_at = -math.inf

    def add(self, connection: Any) -> None:
        """Add a connection; at the limit, close a tenth of the others, the idle ones first."""
        if len(self) >= self._limit:
            for one in sorted(self, key=lambda one: one.idle_since)[: self._limit // 10 + 1]:
                if one.idle_since < math.inf:
                    self._abort(one)
        super().add(connection)

    def close_idle(self, now: float) -> None:
        """Close the connections that had been idle for too long at the previous call.

        Since then, the event loop has read what clients had sent. So a request that was sent in
        time is answered, even if the loop was blocked.
        """
        checked_at, self._checked_at = self._checked_at, now
        for one in list(self):
            seconds = checked_at - one.idle_since
            if one.is_kept and (seconds := seconds - self._keep_alive) > 0:
                one.transport.close()
            if seconds > IDLE_TIMEOUT:
                self._abort(one)

    def _abort(self, connection: Any) -> None:
        self.discard(connection)
        connection.transport.abort()


def connection_limit() -> int:
    """Raise the soft limit of file descriptors if needed, and return how many connections fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + RESERVED
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(MAX_CONNECTIONS, max(soft - RESERVED, soft // 2))


# Bytes of a request's target and headers. It also limits what arrives while no request is being
# answered: an endless head, or the body of a request that has been answered.
MAX_HEAD = 16 * 1024

# Bytes passed to the parser at once: about thirty short requests. Each queued request takes a
# hundred times its length in memory.
READ_SIZE = 512


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits on the head and on pipelined requests.

    uvicorn buffers a head of any length, and queues all pipelined requests that arrive before the
    first one is answered.
    """

    _idle_since = 0.0
    _unanswered = 0
    _current: RequestResponseCycle | None = None

    @property
    def idle_since(self) -> float:
        """Since when the server waits for another request, its end, or a client that does not read.

        It is a time of the event loop, and infinite while a request is being answered.
        """
        is_busy = self._is_answering and not self.flow.write_paused
        return math.inf if is_busy else self._idle_since

    @property
    def is_kept(self) -> bool:
        """Whether the connection only waits for another request."""
        waits = self._is_answering or self._unanswered or self.flow.write_paused
        return self.cycle is not None and not waits  # type: ignore[redundant-expr]

    def mark_idle(self, since: float) -> None:
        """Mark the connection idle since *since*."""
        self._idle_since = since

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Put our flow control between uvicorn's and the transport."""
        super().connection_made(transport)
        self._unread: deque[bytes] = deque()
        self.timeout_keep_alive = math.inf  # type: ignore[assignment]  # `ConnectionSet` closes it
        # uvicorn pauses `self.flow`, which pauses our reader; `_tap` pauses the transport.
        self._tap, self.flow = self.flow, FlowControl(self)  # type: ignore[arg-type]

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the current answer too; uvicorn stops only that of the latest request."""
        if self._current is not None:
            self._current.disconnected = True
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Queue the data, and parse as much as can be answered now."""
        if self.is_kept:
            self.mark_idle(self.loop.time())
        self._unread.extend(data[at : at + READ_SIZE] for at in range(0, len(data), READ_SIZE))
        self._parse_unread()

    def pause_reading(self) -> None:
        """Do nothing: `_parse_unread` checks whether the flow control is paused."""

    def resume_reading(self) -> None:
        """Parse more, after the caller has returned."""
        self.loop.call_soon(self._parse_unread)

    def on_headers_complete(self) -> None:
        """Start the answer; uvicorn turns an exception into a 400."""
        if len(self.url) + sum(map(len, chain(*self.headers))) > MAX_HEAD:
            raise ValueError("the head is too long")
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self.mark_idle(self.loop.time())
        super().on_response_complete()
        if self._tap.read_paused:
            self.resume_reading()

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        self.mark_idle(self.loop.time())
        super().pause_writing()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Finish the answer to a client that has closed its sending side, as `FastProtocol` does.

        Return whether the connection stays open.
        """
        if self._is_answering:
            self.cycle.keep_alive = False
        return self._is_answering

    @property
    def _is_answering(self) -> bool:
        cycle = self.cycle
        return cycle is not None and not cycle.response_complete  # type: ignore[redundant-expr]

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._current = cycle
        super()._start_asgi_task(cycle, app)

    def _parse_unread(self) -> None:
        while not self.transport.is_closing():
            if self.flow.read_paused or self.pipeline:
                self._tap.pause_reading()
                return
            if not self._unread:
                self._tap.resume_reading()
                return
            self._parse(self._unread.popleft())

    def _parse(self, chunk: bytes) -> None:
        super().data_received(chunk)
        self._unanswered = 0 if self._is_answering else self._unanswered + len(chunk)
        # MAX_HEAD leaves out the separators of a head, so allow some more bytes here.
        if self._unanswered > MAX_HEAD + READ_SIZE and not self.transport.is_closing():
            self.send_400_response("Request too long.")

"""The protocol that each connection begins with: usual requests are answered by their bytes."""

import asyncio
import logging
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, Protocol

from uvicorn.config import Config
from uvicorn.protocols.utils import get_remote_addr
from uvicorn.server import ServerState

from app.api.response_cache import CachedResponse, CacheGeneration, ResponseCache, usual
from app.server.limits import BoundedProtocol


# Longer ones are not what probers send.
MAX_LENGTH = 2048

# Stricter than HTTP is: what a lenient parser might read otherwise is left to it, blanks at the
# ends of a value included.
VALUE = rb"(?:[!-~](?:[\t -~]*[!-~])?)?"
REQUEST = re.compile(
    rb"(GET|HEAD) (/[a-z/]*) HTTP/1\.([01])\r\n((?:[A-Za-z-]+: " + VALUE + rb"\r\n)*)\r\n"
)
HEADER = re.compile(rb"([A-Za-z-]+): (" + VALUE + rb")\r\n")

# What probers send; none of these changes how a request is framed, but for `Connection`.
NAMES = frozenset(
    {b"host", b"user-agent", b"accept", b"accept-encoding", b"cache-control", b"connection"}
)
CONNECTION = frozenset({b"close", b"keep-alive"})


@dataclass(frozen=True, slots=True)
class Request:
    """A usual request; *close* is whether its connection ends with the answer."""

    method: str
    path: str
    version: str
    close: bool
    client: bytes


def recognise(data: bytes) -> Request | None:
    """Read one complete, usual request, if that is what the bytes are, and nothing after it."""
    if len(data) > MAX_LENGTH or not (match := REQUEST.fullmatch(data)):
        return None
    method, path, minor, lines = match.groups()
    headers = [(name.lower(), value) for name, value in HEADER.findall(lines)]
    given = dict(headers)
    connection = given.get(b"connection", b"keep-alive").lower()
    if len(given) < len(headers) or not NAMES.issuperset(given) or connection not in CONNECTION:
        return None
    if (asker := usual(headers)) is None:
        return None
    close = connection == b"close" or minor == b"0"
    return Request(method.decode(), path.decode(), f"1.{minor.decode()}", close, asker)


# How many different requests are known at a time: a prober sends the same bytes again and again.
MAX_KNOWN = 64


class Application(Protocol):
    """An application that has answers ready while it serves."""

    response_cache: ResponseCache | None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve, as ASGI has it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer in bytes, what it answers, and whether the connection ends with it.

    Attributes:
        successful: whether the code is 200.
        note: told the time each time it is sent.

    """

    data: bytes
    close: bool
    code: int
    successful: bool
    request: Request
    note: Callable[[float], None]


class ReplyCache:
    """The answers in bytes, by the bytes of the requests: one look instead of parsing.

    Attributes:
        now: the steady time of the latest look.

    """

    def __init__(self, app: Application) -> None:
        self._app = app
        self.now = -math.inf
        self._replies: dict[bytes, Reply] = {}
        self._generation: CacheGeneration = {}
        self._headers: list[tuple[bytes, bytes]] = []

    def to(self, data: bytes, headers: list[tuple[bytes, bytes]]) -> Reply | None:
        """Tell the answer to what was received, if that is a usual request.

        Args:
            headers: those that the server has for every answer; another object once a second.

        """
        if (response_cache := self._app.response_cache) is None:
            return None
        self.now = response_cache.steady()
        generation = response_cache.generation(self.now)
        if generation is not self._generation or headers is not self._headers:
            self._generation, self._headers, self._replies = generation, headers, {}
        return self._replies.get(data) or self._write(data, response_cache)

    def _write(self, data: bytes, response_cache: ResponseCache) -> Reply | None:
        request = recognise(data)
        ready = response_cache.answer(request.method, request.path, self.now) if request else None
        if request is None or ready is None:
            return None
        if len(self._replies) >= MAX_KNOWN:
            self._replies.clear()
        reply = Reply(
            data=_written(ready, request, self._headers),
            close=request.close or _closing(ready),
            code=ready.start["status"],
            successful=ready.start["status"] == HTTPStatus.OK,
            request=request,
            note=partial(ready.note, request.client),
        )
        self._replies[data] = reply
        return reply


def _written(
    ready: CachedResponse, request: Request, headers: Iterable[tuple[bytes, bytes]]
) -> bytes:
    """Write an answer as uvicorn does, after the headers that the server has for all."""
    code = ready.start["status"]
    lines = [b"HTTP/1.1 %d %b" % (code, HTTPStatus(code).phrase.encode())]
    lines += [b"%b: %b" % header for header in (*headers, *ready.start["headers"])]
    if request.close and not _closing(ready):
        lines.append(b"connection: close")
    return b"\r\n".join([*lines, b"", ready.body["body"]])


def _closing(ready: CachedResponse) -> bool:
    """Whether an answer ends its connection by itself."""
    return (b"connection", b"close") in ready.start["headers"]


logger = logging.getLogger("uvicorn.access")


class FastProtocol(asyncio.Protocol):
    """Answers the usual requests of a connection, and hands it to uvicorn at the first other one.

    What is handed over stays there: nothing that uvicorn has begun to read is guessed at.

    Args:
        quiet: whether successful probes are not told in the access log.

    Attributes:
        since: since when nobody is being answered.

    """

    def __init__(
        self,
        replies: ReplyCache,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        quiet: bool,
    ) -> None:
        self._replies = replies
        self._config = config
        self._state = server_state
        self._app_state = app_state
        self._quiet = quiet
        self._loop = _loop or asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self.since = self._loop.time()
        self._paused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Stand by, known to the server."""
        self.transport = transport
        self._state.connections.add(self)  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        """Answer, or hand over."""
        reply = self._replies.to(data, self._state.default_headers)
        if reply is None or self._paused:
            self._hand_over(data)
            return
        self.transport.write(reply.data)
        self.since = self._loop.time()
        self._state.total_requests += 1
        reply.note(self._replies.now)
        if not (reply.successful and self._quiet):
            self._log(reply)
        if reply.close:
            self.transport.close()
        else:
            self._keep()

    def connection_lost(self, exc: Exception | None) -> None:
        """Be known no more."""
        del exc
        self._leave()

    def pause_writing(self) -> None:
        """Answer no more while the client reads nothing: uvicorn knows how to wait."""
        self._paused = True

    def resume_writing(self) -> None:
        """Answer again."""
        self._paused = False

    def shutdown(self) -> None:
        """Close, as uvicorn asks of connections when it stops: none is ever in the middle here."""
        self.transport.close()

    def _hand_over(self, data: bytes) -> None:
        bounded = BoundedProtocol(self._config, self._state, self._app_state, self._loop)
        bounded.wait(self.since)
        self._leave()
        self.transport.set_protocol(bounded)
        bounded.connection_made(self.transport)
        if self._paused:
            bounded.pause_writing()
        bounded.data_received(data)

    def _leave(self) -> None:
        self._state.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _keep(self) -> None:
        # One timer a connection, set again when it is due: cheaper than one a request.
        if self._timer is None:
            self._timer = self._loop.call_later(self._config.timeout_keep_alive, self._idle)

    def _idle(self) -> None:
        due = self.since + self._config.timeout_keep_alive
        if self._loop.time() < due:
            self._timer = self._loop.call_at(due, self._idle)
        else:
            self.transport.close()

    def _log(self, reply: Reply) -> None:
        if not logger.isEnabledFor(logging.INFO):
            return
        client = get_remote_addr(self.transport)
        logger.info(
            '%s - "%s %s HTTP/%s" %d',
            "{}:{}".format(*client) if client else "",
            reply.request.method,
            reply.request.path,
            reply.request.version,
            reply.code,
        )

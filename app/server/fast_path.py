"""The fast path: it answers the requests of probes from a cache that is keyed by their bytes.

It is an optimization: without it, uvicorn's protocol gives the same answers.
"""

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

from app.api.response_cache import (
    CachedResponse,
    CacheGeneration,
    ResponseCache,
    client_of_cacheable_request,
)
from app.server.limits import BoundedProtocol


# Bytes: probes send shorter requests.
MAX_REQUEST_LENGTH = 2048

# Stricter than HTTP: uvicorn's parser gets what a lenient parser might read differently, such as
# spaces around a header value.
VALUE = rb"(?:[!-~](?:[\t -~]*[!-~])?)?"
REQUEST = re.compile(
    rb"(GET|HEAD) (/[a-z/]*) HTTP/1\.([01])\r\n((?:[A-Za-z-]+: " + VALUE + rb"\r\n)*)\r\n"
)
HEADER = re.compile(rb"([A-Za-z-]+): (" + VALUE + rb")\r\n")

# The headers that probes send. Except for `Connection`, none changes how a request is framed.
ALLOWED_HEADERS = frozenset(
    {b"host", b"user-agent", b"accept", b"accept-encoding", b"cache-control", b"connection"}
)
CONNECTION = frozenset({b"close", b"keep-alive"})


@dataclass(frozen=True, slots=True)
class CacheableRequest:
    """A request that a cached response can answer; *client* is its `User-Agent`."""

    method: str
    path: str
    version: str
    close: bool
    client: bytes


def parse_cacheable_request(data: bytes) -> CacheableRequest | None:
    """Parse exactly one complete request; return None for anything that uvicorn must parse."""
    if len(data) > MAX_REQUEST_LENGTH or not (match := REQUEST.fullmatch(data)):
        return None
    method, path, minor, lines = match.groups()
    headers = [(name.lower(), value) for name, value in HEADER.findall(lines)]
    unique = dict(headers)
    connection = unique.get(b"connection", b"keep-alive").lower()
    if (
        len(unique) < len(headers)
        or not ALLOWED_HEADERS.issuperset(unique)
        or connection not in CONNECTION
        or (client := client_of_cacheable_request(headers)) is None
    ):
        return None
    close = connection == b"close" or minor == b"0"
    return CacheableRequest(method.decode(), path.decode(), f"1.{minor.decode()}", close, client)


# Different requests in the cache: a probe sends the same bytes each time.
MAX_CACHED = 64


class CachingApplication(Protocol):
    """An ASGI application with a response cache, which is None while it does not serve."""

    response_cache: ResponseCache | None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle a connection, as ASGI defines it."""


@dataclass(frozen=True, slots=True)
class RawResponse:
    """A response as bytes.

    Attributes:
        close: whether the connection closes after it.
        record: counts the response each time it is sent; it takes the steady time.
    """

    data: bytes
    close: bool
    code: int
    is_successful: bool
    request: CacheableRequest
    record: Callable[[float], None]


class RawResponseCache:
    """Responses by the bytes of the request: a look-up in a dict replaces parsing.

    Attributes:
        now: the steady time of the latest look-up.
    """

    def __init__(self, app: CachingApplication) -> None:
        self._app = app
        self.now = -math.inf
        self._responses: dict[bytes, RawResponse] = {}
        self._generation: CacheGeneration = {}
        self._headers: list[tuple[bytes, bytes]] = []

    def get(self, data: bytes, headers: list[tuple[bytes, bytes]]) -> RawResponse | None:
        """Return the response to the bytes received; None unless they are a cacheable request.

        Args:
            headers: the server's default headers; uvicorn makes another list each second.
        """
        if (response_cache := self._app.response_cache) is None:
            return None
        self.now = response_cache.steady()
        generation = response_cache.current_generation(self.now)
        if generation is not self._generation or headers is not self._headers:
            self._generation, self._headers, self._responses = generation, headers, {}
        return self._responses.get(data) or self._render_bytes(data, response_cache)

    def _render_bytes(self, data: bytes, response_cache: ResponseCache) -> RawResponse | None:
        if (request := parse_cacheable_request(data)) is None:
            return None
        if (cached := response_cache.get(request.method, request.path, self.now)) is None:
            return None
        if len(self._responses) >= MAX_CACHED:
            self._responses.clear()
        code = cached.start["status"]
        response = RawResponse(
            data=_serialize(cached, request, self._headers),
            close=request.close or _closes_connection(cached),
            code=code,
            is_successful=code == HTTPStatus.OK,
            request=request,
            record=partial(cached.record, request.client),
        )
        self._responses[data] = response
        return response


def _serialize(
    cached: CachedResponse, request: CacheableRequest, headers: Iterable[tuple[bytes, bytes]]
) -> bytes:
    """Return the bytes that uvicorn would send, the server's default headers first."""
    code = cached.start["status"]
    lines = [b"HTTP/1.1 %d %b" % (code, HTTPStatus(code).phrase.encode())]
    lines += [b"%b: %b" % header for header in (*headers, *cached.start["headers"])]
    if request.close and not _closes_connection(cached):
        lines.append(b"connection: close")
    return b"\r\n".join([*lines, b"", cached.body["body"]])


def _closes_connection(cached: CachedResponse) -> bool:
    return (b"connection", b"close") in cached.start["headers"]


logger = logging.getLogger("uvicorn.access")


class FastProtocol(asyncio.Protocol):
    """Answers cacheable requests, and hands the connection to uvicorn on any other.

    The connection then stays with uvicorn, so no request is parsed by both.

    Attributes:
        idle_since: as in `BoundedProtocol`, and so is `is_kept`.

    Args:
        quiet: whether to leave successful probes out of the access log.
    """

    def __init__(
        self,
        responses: RawResponseCache,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        quiet: bool,
    ) -> None:
        self._responses = responses
        self._config = config
        self._state = server_state
        self._app_state = app_state
        self._quiet = quiet
        self._loop = _loop or asyncio.get_running_loop()
        self.idle_since = self._loop.time()
        self.is_kept = self._paused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Register the connection with the server."""
        self.transport = transport
        self._state.connections.add(self)  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        """Answer a cacheable request, or hand the connection over."""
        response = self._responses.get(data, self._state.default_headers)
        if response is None or self._paused:
            self._hand_over(data)
            return
        self.transport.write(response.data)
        self.idle_since, self.is_kept = self._loop.time(), True
        self._state.total_requests += 1
        response.record(self._responses.now)
        if not (response.is_successful and self._quiet):
            self._log(response)
        if response.close:
            self.transport.close()

    def connection_lost(self, _: Exception | None) -> None:
        """Unregister the connection."""
        self._state.connections.discard(self)

    def pause_writing(self) -> None:
        """Stop answering while the client does not read: uvicorn's protocol knows how to wait."""
        self.is_kept, self._paused = False, True

    def resume_writing(self) -> None:
        """Answer again."""
        self.is_kept, self._paused = True, False

    def shutdown(self) -> None:
        """Close the connection; uvicorn calls this when it stops. No answer is ever in progress."""
        self.transport.close()

    def _hand_over(self, data: bytes) -> None:
        bounded = BoundedProtocol(self._config, self._state, self._app_state, self._loop)
        bounded.mark_idle(self._loop.time() if self.is_kept else self.idle_since)
        self._state.connections.discard(self)
        self.transport.set_protocol(bounded)
        bounded.connection_made(self.transport)
        if self._paused:
            bounded.pause_writing()
        bounded.data_received(data)

    def _log(self, response: RawResponse) -> None:
        if not logger.isEnabledFor(logging.INFO):
            return
        client = get_remote_addr(self.transport)
        logger.info(
            '%s - "%s %s HTTP/%s" %d',
            "{}:{}".format(*client) if client else "",
            response.request.method,
            response.request.path,
            response.request.version,
            response.code,
        )

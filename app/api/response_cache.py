"""Responses that are rendered once and sent until the state that they show changes."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from starlette.responses import Response
from starlette.types import Message, Scope

from app.api.verdict import ServiceState, Snapshot
from app.health import Report


CACHEABLE_METHODS = frozenset({"GET", "HEAD"})

# The values of `Accept` that ask for JSON or for any format: both get JSON.
CACHEABLE_ACCEPTS = frozenset({b"*/*", b"application/json"})

# The headers that change the response, or what is recorded about the request.
RELEVANT_HEADERS = frozenset({b"accept", b"authorization", b"user-agent"})

EMPTY_BODY: Message = {"type": "http.response.body", "body": b""}


@dataclass(frozen=True, slots=True)
class CachedResponse:
    """A response as ASGI messages.

    Attributes:
        record: counts the response each time it is sent; it takes the client's `User-Agent` and
            the time on the steady clock.
    """

    start: Message
    body: Message
    record: Callable[[bytes, float], None]

    @classmethod
    def from_response(
        cls, response: Response, record: Callable[[bytes, float], None]
    ) -> "CachedResponse":
        """Convert the response of a route."""
        code, headers = response.status_code, response.raw_headers
        start = {"type": "http.response.start", "status": code, "headers": headers}
        return cls(start, {"type": "http.response.body", "body": response.body}, record)


# Responses by method and path.
CacheGeneration = dict[tuple[str, str], CachedResponse]


class ResponseCache:
    """The responses to plain GET and HEAD requests, without the cost of the framework."""

    def __init__(
        self, renderers: Mapping[str, Callable[[Snapshot], CachedResponse]], state: ServiceState
    ) -> None:
        self._renderers = renderers
        self._state = state
        self._source, self._lifecycle = state.source, state.lifecycle
        self.steady = state.clock.steady
        self._generation: CacheGeneration = {}
        self._snapshot: Snapshot | None = None
        self._report: Report | None = None
        self._maintenance = self._draining = False
        self._expires = -math.inf

    def current_generation(self, now: float) -> CacheGeneration:
        """Return the responses rendered so far; another object once they may have changed."""
        lifecycle = self._lifecycle
        if (
            now > self._expires
            or self._source.latest is not self._report
            or lifecycle.draining is not self._draining
            or lifecycle.maintenance is not self._maintenance
        ):
            self._start_generation(now)
        return self._generation

    def _start_generation(self, now: float) -> None:
        # Read before the snapshot: if a signal handler changes one of them in between, the next
        # request starts another generation.
        self._report = self._source.latest
        self._draining, self._maintenance = self._lifecycle.draining, self._lifecycle.maintenance
        self._snapshot = self._state.snapshot(now)
        self._expires = self._snapshot.report.expires
        self._generation = {}

    def get(self, method: str, path: str, now: float) -> CachedResponse | None:
        """Return the response to a cacheable request; None if the path is not cached."""
        generation = self.current_generation(now)
        return generation.get((method, path)) or self._render_path(method, path, generation)

    def respond(self, scope: Scope) -> CachedResponse | None:
        """Return the response to a request and record the client; None if it is not cacheable."""
        if scope["query_string"] or scope.get("root_path"):
            return None
        if (client := client_of_cacheable_request(scope["headers"])) is None:
            return None
        now = self.steady()
        if response := self.get(scope["method"], scope["path"], now):
            response.record(client, now)
        return response

    def _render_path(
        self, method: str, path: str, generation: CacheGeneration
    ) -> CachedResponse | None:
        if method not in CACHEABLE_METHODS or path not in self._renderers or not self._snapshot:
            return None
        generation["GET", path] = response = self._renderers[path](self._snapshot)
        generation["HEAD", path] = replace(response, body=EMPTY_BODY)
        return generation[method, path]


def client_of_cacheable_request(headers: Sequence[tuple[bytes, bytes]]) -> bytes | None:
    """Return the client's `User-Agent`; None if a header rules out a cached response.

    The names of the headers are in lower case.
    """
    client = b""
    for name, value in headers:
        if name in RELEVANT_HEADERS:
            if name == b"user-agent":
                client = value
            elif name == b"authorization" or value not in CACHEABLE_ACCEPTS:
                return None
    return client

"""Answers that are rendered once and given to everybody until they may no longer hold."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from starlette.responses import Response
from starlette.types import Message, Scope

from app.health import Clock, Monitor, Report
from app.lifecycle import Lifecycle


METHODS = frozenset({"GET", "HEAD"})

# A method and a path.
Asked = tuple[str, str]

# What the usual clients accept; it comes to the same as accepting anything.
ANYTHING = frozenset({b"*/*", b"application/json"})

# The headers that an answer depends on, or what is noted of it.
TELLING = frozenset({b"accept", b"authorization", b"user-agent"})

NOTHING: Message = {"type": "http.response.body", "body": b""}


@dataclass(frozen=True, slots=True)
class CachedResponse:
    """An answer as ASGI sends it; *note* is told who has asked, each time it is sent."""

    start: Message
    body: Message
    note: Callable[[bytes, float], None]

    @classmethod
    def of(cls, response: Response, note: Callable[[bytes, float], None]) -> "CachedResponse":
        """Take down what a route has answered."""
        code, headers = response.status_code, response.raw_headers
        start = {"type": "http.response.start", "status": code, "headers": headers}
        return cls(start, {"type": "http.response.body", "body": response.body}, note)


CacheGeneration = dict[Asked, CachedResponse]


class ResponseCache:
    """The answers to the usual requests, ahead of all that a framework does for the others.

    Args:
        routes: by path, what the routes answer to a GET that asks for nothing in particular.

    """

    def __init__(
        self,
        routes: Mapping[str, Callable[[], CachedResponse]],
        monitor: Monitor,
        lifecycle: Lifecycle,
        clock: Clock,
    ) -> None:
        self._routes = routes
        self._monitor = monitor
        self._lifecycle = lifecycle
        self.steady = clock.steady
        self._generation: CacheGeneration = {}
        self._report: Report | None = None
        self._maintenance = self._draining = False
        self._expires = -math.inf

    def generation(self, now: float) -> CacheGeneration:
        """Tell the answers rendered so far: another object once they may have changed.

        Args:
            now: a steady time.

        """
        lifecycle = self._lifecycle
        if (
            now > self._expires
            or self._monitor.latest is not self._report
            or lifecycle.draining is not self._draining
            or lifecycle.maintenance is not self._maintenance
        ):
            self._begin()
        return self._generation

    def _begin(self) -> None:
        # In this order: what changes meanwhile is found changed by whoever asks next.
        self._report = self._monitor.latest
        self._draining, self._maintenance = self._lifecycle.draining, self._lifecycle.maintenance
        self._expires = self._monitor.report().expires
        self._generation = {}

    def answer(self, method: str, path: str, now: float) -> CachedResponse | None:
        """Tell the answer to a usual request, if there is one to have ready."""
        generation, asked = self.generation(now), (method, path)
        return generation.get(asked) or self._render(asked, generation)

    def to(self, scope: Scope) -> CachedResponse | None:
        """Tell the answer to a request, if it is a usual one, and take note of who asks.

        It inlines `usual`, `generation` and `answer`: the cost of their calls is measurable.
        """
        if scope["query_string"] or scope.get("root_path"):
            return None
        asker = b""
        for name, value in scope["headers"]:
            if name in TELLING:
                if name == b"user-agent":
                    asker = value
                elif name == b"authorization" or value not in ANYTHING:
                    return None
        lifecycle = self._lifecycle
        if (
            (now := self.steady()) > self._expires
            or self._monitor.latest is not self._report
            or lifecycle.draining is not self._draining
            or lifecycle.maintenance is not self._maintenance
        ):
            self._begin()
        asked = (scope["method"], scope["path"])
        if ready := self._generation.get(asked) or self._render(asked, self._generation):
            ready.note(asker, now)
        return ready

    def _render(self, asked: Asked, generation: CacheGeneration) -> CachedResponse | None:
        method, path = asked
        if method not in METHODS or path not in self._routes:
            return None
        generation["GET", path] = ready = self._routes[path]()
        generation["HEAD", path] = replace(ready, body=NOTHING)
        return generation[asked]


def usual(headers: Sequence[tuple[bytes, bytes]]) -> bytes | None:
    """Tell what whoever asks calls itself, if headers ask for nothing in particular.

    Their names are in lower case. One pass, as it is made at each request.
    """
    asker = b""
    for name, value in headers:
        if name in TELLING:
            if name == b"user-agent":
                asker = value
            elif name == b"authorization" or value not in ANYTHING:
                return None
    return asker

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
class Ready:
    """An answer as ASGI sends it; *note* is told who has asked, each time it is sent."""

    start: Message
    body: Message
    note: Callable[[bytes, float], None]

    @classmethod
    def of(cls, response: Response, note: Callable[[bytes, float], None]) -> "Ready":
        """Take down what a route has answered."""
        code, headers = response.status_code, response.raw_headers
        start = {"type": "http.response.start", "status": code, "headers": headers}
        return cls(start, {"type": "http.response.body", "body": response.body}, note)


Edition = dict[Asked, Ready]


class Readymade:
    """The answers to the usual requests, ahead of all that a framework does for the others.

    Args:
        routes: by path, what the routes answer to a GET that asks for nothing in particular.

    """

    def __init__(
        self,
        routes: Mapping[str, Callable[[], Ready]],
        monitor: Monitor,
        lifecycle: Lifecycle,
        clock: Clock,
    ) -> None:
        self._routes = routes
        self._monitor = monitor
        self._lifecycle = lifecycle
        self.steady = clock.steady
        self._edition: Edition = {}
        self._report: Report | None = None
        self._maintenance = self._draining = False
        self._expires = -math.inf

    def edition(self, now: float) -> Edition:
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
        return self._edition

    def _begin(self) -> None:
        # In this order: what changes meanwhile is found changed by whoever asks next.
        self._report = self._monitor.latest
        self._draining, self._maintenance = self._lifecycle.draining, self._lifecycle.maintenance
        self._expires = self._monitor.report().expires
        self._edition = {}

    def answer(self, method: str, path: str, now: float) -> Ready | None:
        """Tell the answer to a usual request, if there is one to have ready."""
        edition, asked = self.edition(now), (method, path)
        return edition.get(asked) or self._render(asked, edition)

    def to(self, scope: Scope) -> Ready | None:
        """Tell the answer to a request, if it is a usual one, and take note of who asks.

        It is `usual`, `edition` and `answer` in one piece: beside a fixed answer their calls show.
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
        if ready := self._edition.get(asked) or self._render(asked, self._edition):
            ready.note(asker, now)
        return ready

    def _render(self, asked: Asked, edition: Edition) -> Ready | None:
        method, path = asked
        if method not in METHODS or path not in self._routes:
            return None
        edition["GET", path] = ready = self._routes[path]()
        edition["HEAD", path] = replace(ready, body=NOTHING)
        return edition[asked]


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

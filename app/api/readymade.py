"""Answers that are rendered once and given to everybody until they may no longer hold."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from starlette.responses import Response
from starlette.types import Message, Scope

from app.health import Clock, Monitor, Report
from app.lifecycle import Lifecycle, Phase


METHODS = frozenset({"GET", "HEAD"})

# A method and a path.
Asked = tuple[str, str]

# What the usual clients accept; it comes to the same as accepting anything.
ANYTHING = frozenset({b"*/*", b"application/json"})

NOTHING: Message = {"type": "http.response.body", "body": b""}


@dataclass(frozen=True, slots=True)
class Ready:
    """An answer as ASGI sends it; *note* is told who has asked, each time it is sent."""

    start: Message
    body: Message
    note: Callable[[str], None]

    @classmethod
    def of(cls, response: Response, note: Callable[[str], None]) -> "Ready":
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
        self._clock = clock
        self._edition: Edition = {}
        self._report: Report | None = None
        self._phase: Phase | None = None
        self._expires = -math.inf

    def edition(self) -> Edition:
        """Tell the answers rendered so far: another object once they may have changed."""
        report, phase = self._monitor.latest, self._lifecycle.phase(started=True)
        if (
            report is not self._report
            or phase is not self._phase
            or self._clock.steady() > self._expires
        ):
            # In this order: what changes meanwhile is found changed by whoever asks next.
            self._report, self._phase = report, phase
            self._expires = self._monitor.report().expires
            self._edition = {}
        return self._edition

    def answer(self, method: str, path: str) -> Ready | None:
        """Tell the answer to a usual request, if there is one to have ready."""
        edition, asked = self.edition(), (method, path)
        return edition.get(asked) or self._render(asked, edition)

    def to(self, scope: Scope) -> Ready | None:
        """Tell the answer to a request, if it is a usual one, and take note of who asks."""
        if scope["query_string"] or scope.get("root_path"):
            return None
        asker = usual(scope["headers"])
        if asker is None:
            return None
        if ready := self.answer(scope["method"], scope["path"]):
            ready.note(asker)
        return ready

    def _render(self, asked: Asked, edition: Edition) -> Ready | None:
        method, path = asked
        if method not in METHODS or path not in self._routes:
            return None
        edition["GET", path] = ready = self._routes[path]()
        edition["HEAD", path] = replace(ready, body=NOTHING)
        return edition[asked]


def usual(headers: Sequence[tuple[bytes, bytes]]) -> str | None:
    """Tell what whoever asks calls itself, if headers ask for nothing in particular.

    Their names are in lower case. One pass, as it is made at each request.
    """
    asker = b""
    for name, value in reversed(headers):
        if name == b"user-agent":
            asker = value
        elif name == b"authorization" or (name == b"accept" and value not in ANYTHING):
            return None
    return asker.decode("latin-1")

"""The answers in bytes, as uvicorn would write them."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, Protocol

from app.api.readymade import Edition, Ready, Readymade
from app.serving.usual_request import Request, recognise


# How many different requests are known at a time: a prober sends the same bytes again and again.
MAX_KNOWN = 64


class Application(Protocol):
    """An application that has answers ready while it serves."""

    readymade: Readymade | None

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


class Replies:
    """The answers in bytes, by the bytes of the requests: one look instead of parsing.

    Attributes:
        now: the steady time of the latest look.

    """

    def __init__(self, app: Application) -> None:
        self._app = app
        self.now = -math.inf
        self._replies: dict[bytes, Reply] = {}
        self._edition: Edition = {}
        self._headers: list[tuple[bytes, bytes]] = []

    def to(self, data: bytes, headers: list[tuple[bytes, bytes]]) -> Reply | None:
        """Tell the answer to what was received, if that is a usual request.

        Args:
            headers: those that the server has for every answer; another object once a second.

        """
        if (readymade := self._app.readymade) is None:
            return None
        self.now = readymade.steady()
        edition = readymade.edition(self.now)
        if edition is not self._edition or headers is not self._headers:
            self._edition, self._headers, self._replies = edition, headers, {}
        return self._replies.get(data) or self._write(data, readymade)

    def _write(self, data: bytes, readymade: Readymade) -> Reply | None:
        request = recognise(data)
        ready = readymade.answer(request.method, request.path, self.now) if request else None
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
            note=partial(ready.note, request.prober),
        )
        self._replies[data] = reply
        return reply


def _written(ready: Ready, request: Request, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Write an answer as uvicorn does, after the headers that the server has for all."""
    code = ready.start["status"]
    lines = [b"HTTP/1.1 %d %b" % (code, HTTPStatus(code).phrase.encode())]
    lines += [b"%b: %b" % header for header in (*headers, *ready.start["headers"])]
    if request.close and not _closing(ready):
        lines.append(b"connection: close")
    return b"\r\n".join([*lines, b"", ready.body["body"]])


def _closing(ready: Ready) -> bool:
    """Whether an answer ends its connection by itself."""
    return (b"connection", b"close") in ready.start["headers"]

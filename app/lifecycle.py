"""What signals do to a server, uvicorn's own or ours."""

import asyncio
import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Any

from starlette.types import Message, Send

from app.background import run_periodically
from app.signals import LIKE_SIGTERM, ignoring


class Phase(StrEnum):
    """Whether this instance offers itself, apart from how its dependencies are."""

    STARTING = "starting"
    SERVING = "serving"
    MAINTENANCE = "maintenance"
    DRAINING = "draining"


# By themselves: this is asked at each request, and Python 3.11 takes a while to find a member.
STARTING, SERVING, MAINTENANCE, DRAINING = Phase


class Lifecycle:
    """What has been decided about this instance; draining is final.

    Attributes:
        draining: whether it offers no more, for good.
        maintenance: whether an operator has taken the instance out of rotation.

    """

    def __init__(self) -> None:
        self.maintenance = False
        self.draining = False

    def drain(self) -> None:
        """Offer no more, for good."""
        self.draining = True

    def phase(self, *, started: bool) -> Phase:
        """Tell the phase: the first that applies.

        Args:
            started: whether every check has had a first result.

        """
        if self.draining:
            return DRAINING
        if not started:
            return STARTING
        return MAINTENANCE if self.maintenance else SERVING


CLOSE = (b"connection", b"close")


def close_when_draining(send: Send, lifecycle: Lifecycle) -> Send:
    """Have a connection end with its answer while draining, whoever's route has answered.

    A balancer that keeps connections would otherwise send a request on one that the server is
    about to close. What was asked before the drain began is told as well, when it is answered.
    """

    async def tell(message: Message) -> None:
        if lifecycle.draining and message["type"] == "http.response.start":
            message = {**message, "headers": with_close(message.get("headers", ()))}
        await send(message)

    return tell


def with_close(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Say in headers, and once, that the connection ends."""
    return [*(header for header in headers if header[0].lower() != b"connection"), CLOSE]


logger = logging.getLogger("vitals")


def watch_file(file: Path, lifecycle: Lifecycle) -> AbstractContextManager[None]:
    """Look for the file each second."""

    def look() -> None:
        before = lifecycle.maintenance
        lifecycle.maintenance = there = os.path.exists(file)  # noqa: PTH110 - it never raises
        if there is not before:
            logger.info(
                "maintenance started" if there else "maintenance ended", extra={"file": str(file)}
            )

    return run_periodically(look, "maintenance")


@dataclass(frozen=True, slots=True)
class DrainHandler:
    """What is done at a signal, before the server is told.

    Attributes:
        server: what it has installed as handlers.
        loop: the event loop that runs meanwhile.

    """

    lifecycle: Lifecycle
    seconds: float
    server: Mapping[signal.Signals, Callable[[int, FrameType | None], Any] | int | None]
    loop: asyncio.AbstractEventLoop

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Drain, and tell the server when that is over, or at once."""
        second = self.lifecycle.draining
        if number in LIKE_SIGTERM:
            if second:  # the kernel repeats SIGXCPU, which does not ask for more haste
                return
            number = signal.SIGTERM
        self.lifecycle.drain()
        if number == signal.SIGTERM and not second:
            self.loop.call_soon_threadsafe(self._tell_later, number, frame)
            return
        self._tell(number, frame)
        if second:
            self._tell(signal.SIGINT, frame)

    def _tell_later(self, number: int, frame: FrameType | None) -> None:
        self.loop.call_later(self.seconds, self._tell, number, frame)
        logger.info("drain started", extra={"duration_s": self.seconds})

    def _tell(self, number: int, frame: FrameType | None) -> None:
        if callable(handler := self.server[signal.Signals(number)]):
            handler(number, frame)


@contextlib.contextmanager
def drain_on_signal(lifecycle: Lifecycle, seconds: float) -> Iterator[None]:
    """Hold SIGTERM back from the server for so long that balancers see readiness say no.

    A server closes its door when it hears SIGTERM, before the application is told. So what it has
    installed as handlers is called later: for SIGTERM when the drain is over, for SIGINT at once,
    and for a second signal, whichever, in the way that has uvicorn end without more ado. Outside
    the main thread, where no handler can be installed, nothing changes. Signals that ask for no
    end, such as SIGHUP, are ignored meanwhile.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGTERM, signal.SIGINT, *LIKE_SIGTERM)
    server = {number: signal.getsignal(number) for number in numbers}
    drain = DrainHandler(lifecycle, seconds, server, asyncio.get_running_loop())
    for number in server:
        signal.signal(number, drain.handle)
    try:
        with ignoring():
            yield
    finally:
        for number, handler in server.items():
            signal.signal(number, handler)

"""What signals do to a server, uvicorn's own or ours."""

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any

from app.lifecycle import Lifecycle
from app.lifecycle.signals import LIKE_SIGTERM, ignoring


logger = logging.getLogger("vitals")


@dataclass(frozen=True, slots=True)
class Drain:
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
        logger.info("drain began", extra={"seconds": self.seconds})

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
    drain = Drain(lifecycle, seconds, server, asyncio.get_running_loop())
    for number in server:
        signal.signal(number, drain.handle)
    try:
        with ignoring():
            yield
    finally:
        for number, handler in server.items():
            signal.signal(number, handler)

"""What SIGTERM and SIGINT do to a server, uvicorn's own or ours."""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from app.lifecycle import Lifecycle


@contextlib.contextmanager
def drain_on_signal(lifecycle: Lifecycle, seconds: float) -> Iterator[None]:
    """Hold SIGTERM back from the server for so long that balancers see readiness say no.

    A server closes its door when it hears SIGTERM, before the application is told. So what it has
    installed as handlers is called later: for SIGTERM when the drain is over, for SIGINT at once,
    and for a second signal, whichever, in the way that has uvicorn end without more ado. Outside
    the main thread, where no handler can be installed, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    server = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    loop = asyncio.get_running_loop()

    def tell(number: int, frame: FrameType | None) -> None:
        if callable(handler := server[signal.Signals(number)]):
            handler(number, frame)

    def handle(number: int, frame: FrameType | None) -> None:
        second = lifecycle.draining
        lifecycle.drain()
        if number == signal.SIGTERM and not second:
            loop.call_soon_threadsafe(loop.call_later, seconds, tell, number, frame)
            return
        tell(number, frame)
        if second:
            tell(signal.SIGINT, frame)

    for number in server:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in server.items():
            signal.signal(number, handler)

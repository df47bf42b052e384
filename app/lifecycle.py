"""The phases of this instance: start, maintenance, and drain on SIGTERM. systemd learns of them."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Any

from starlette.types import Message, Send

from app.background import run_periodically
from app.signals import LIKE_SIGTERM, ignoring


class Phase(StrEnum):
    """Whether this instance accepts work, apart from the state of its dependencies."""

    STARTING = "starting"
    SERVING = "serving"
    MAINTENANCE = "maintenance"
    DRAINING = "draining"


# As constants: each request needs them, and Python 3.11 is slow to look up an enum's member.
STARTING, SERVING, MAINTENANCE, DRAINING = Phase


class Lifecycle:
    """The state that decides on the phase of this instance."""

    def __init__(self) -> None:
        self.maintenance = False
        self.draining = False

    def drain(self) -> None:
        """Start to drain. This is final."""
        self.draining = True
        notify("STOPPING=1")

    def phase(self, *, started: bool) -> Phase:
        """Return the first phase that applies. *started*: every check has a first result."""
        if self.draining:
            return DRAINING
        if not started:
            return STARTING
        return MAINTENANCE if self.maintenance else SERVING


def notify(state: str) -> None:
    """Send a state to systemd, if it started this process with `Type=notify`: sd_notify(3)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address.startswith("@"):  # an abstract socket
        address = f"\0{address[1:]}"
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)  # noqa: FBT003 - the argument is positional only
        sender.sendto(state.encode(), address)


async def feed_watchdog() -> None:
    """Notify systemd twice in each WatchdogSec for as long as the event loop runs.

    If the loop is blocked for longer, systemd restarts the service.
    """
    interval = int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6
    if interval and os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()):
        while True:
            notify("WATCHDOG=1")
            await asyncio.sleep(interval / 2)


CLOSE = (b"connection", b"close")


def close_when_draining(send: Send, lifecycle: Lifecycle) -> Send:
    """Return a `send` that adds `Connection: close` to each response while draining.

    A load balancer that keeps connections open would otherwise send a request on one that the
    server is about to close. Requests that came before the drain get the header, too.
    """

    async def send_with_close(message: Message) -> None:
        if lifecycle.draining and message["type"] == "http.response.start":
            message = {**message, "headers": with_close(message.get("headers", ()))}
        await send(message)

    return send_with_close


def with_close(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the headers with exactly one `Connection` header: `close`."""
    return [*(header for header in headers if header[0].lower() != b"connection"), CLOSE]


logger = logging.getLogger("vitals")


def watch_file(file: Path, lifecycle: Lifecycle) -> AbstractContextManager[None]:
    """Set `maintenance` every second, to whether the file exists."""

    def poll() -> None:
        before = lifecycle.maintenance
        lifecycle.maintenance = exists = os.path.exists(file)  # noqa: PTH110 - it never raises
        if exists is not before:
            logger.info(
                "maintenance started" if exists else "maintenance ended", extra={"file": str(file)}
            )

    return run_periodically(poll, "maintenance")


SignalHandler = Callable[[int, FrameType | None], Any]


@contextlib.contextmanager
def drain_on_signal(lifecycle: Lifecycle, seconds: float) -> Iterator[None]:
    """Delay SIGTERM for the server until load balancers have seen that readiness fails.

    A server closes its listener on SIGTERM, before the application learns of it. So the drain
    starts first, and the server's own handler is called after it, or at once for SIGINT. A second
    signal makes uvicorn exit at once. Outside the main thread no handler can be installed, and
    nothing changes. Signals that do not ask a process to end, such as SIGHUP, are ignored within
    the block.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGTERM, signal.SIGINT, *LIKE_SIGTERM)
    server_handlers = {number: signal.getsignal(number) for number in numbers}
    handle = _drain_handler(lifecycle, seconds, server_handlers)
    for number in server_handlers:
        signal.signal(number, handle)
    try:
        with ignoring():
            yield
    finally:
        for number, handler in server_handlers.items():
            signal.signal(number, handler)


def _drain_handler(
    lifecycle: Lifecycle,
    seconds: float,
    server_handlers: Mapping[signal.Signals, SignalHandler | int | None],
) -> SignalHandler:
    """Return a handler that drains and forwards: a first SIGTERM later, other signals at once."""
    loop = asyncio.get_running_loop()

    def forward(number: int, frame: FrameType | None) -> None:
        if callable(handler := server_handlers[signal.Signals(number)]):
            handler(number, frame)

    def forward_later(number: int, frame: FrameType | None) -> None:
        loop.call_later(seconds, forward, number, frame)
        logger.info("drain started", extra={"duration_s": seconds})

    def handle(number: int, frame: FrameType | None) -> None:
        is_second = lifecycle.draining
        if number in LIKE_SIGTERM:
            if is_second:  # the kernel repeats SIGXCPU
                return
            number = signal.SIGTERM
        lifecycle.drain()
        if number == signal.SIGTERM and not is_second:
            loop.call_soon_threadsafe(forward_later, number, frame)
            return
        forward(number, frame)
        if is_second:  # uvicorn exits at once on SIGINT after another signal
            forward(signal.SIGINT, frame)

    return handle

"""A TCP proxy between the service and a real server that can break connections."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Self

from anyio.from_thread import start_blocking_portal

from tests.support.faults.fault import Blackhole, Fault, Refuse
from tests.support.faults.relay import Relay


HOST = "127.0.0.1"

# Seconds; far more than the loopback interface takes to answer a SYN. The proxy blocks its event
# loop for as long, so that the fault is active when `break_with` returns.
SYN_ANSWERED = 0.05


class Proxy:
    """Forwards connections to a server, and breaks them on request.

    The proxy reserves its port from entry to exit, even while it refuses connections. If it can't
    reach the server, it resets the client's connection.

    Attributes:
        port: the listening port on 127.0.0.1.
        accepted: number of connections accepted so far.
    """

    port: int

    def __init__(self, host: str, port: int) -> None:
        self.accepted = 0
        self._server = host, port
        self._fault = Fault()
        self._relays: set[Relay] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listening = contextlib.ExitStack()

    async def __aenter__(self) -> Self:
        # A bound socket that does not listen reserves the port while the proxy refuses.
        self._reservation = _bound(0)
        self.port = self._reservation.getsockname()[1]
        self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listening.close()
        self._reservation.close()
        for relay in self._relays:
            relay.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def connections(self) -> int:
        """Number of connected clients."""
        return len(self._tasks)

    def break_with(self, fault: Fault) -> None:
        """Apply a fault to open and new connections."""
        before, self._fault = self._fault, fault
        if _listener_kind(before) is not _listener_kind(fault):
            self._listening.close()
            self._listen()
        for relay in self._relays:
            relay.apply(fault)

    def heal(self) -> None:
        """Forward everything again."""
        self.break_with(Fault())

    def _listen(self) -> None:
        if isinstance(self._fault, Refuse):
            return
        listener = self._listening.enter_context(_bound(self.port))
        if isinstance(self._fault, Blackhole):
            listener.listen(0)
            self._fill_backlog()
        else:
            listener.listen()
            loop = asyncio.get_running_loop()
            loop.add_reader(listener, self._accept, listener)
            self._listening.callback(loop.remove_reader, listener)

    def _fill_backlog(self) -> None:
        """Open connections that are never accepted, until the kernel leaves a SYN unanswered."""
        with contextlib.suppress(TimeoutError):
            while True:
                filler = self._listening.enter_context(socket.socket())
                filler.settimeout(SYN_ANSWERED)
                filler.connect((HOST, self.port))

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
            client, _ = listener.accept()
            self.accepted += 1
            task = asyncio.get_running_loop().create_task(self._relay(client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            task.add_done_callback(lambda _: client.close())

    async def _relay(self, client: socket.socket) -> None:
        relay = Relay(*await asyncio.open_connection(sock=client), self._fault)
        self._relays.add(relay)
        try:
            await relay.run(self._server)
        finally:
            self._relays.discard(relay)


@contextlib.contextmanager
def proxy_in_thread(host: str, port: int) -> Iterator[Proxy]:
    """Run a proxy for a test that blocks or has no event loop. Any thread can control it."""
    with start_blocking_portal() as portal:

        class ProxyInThread(Proxy):
            def break_with(self, fault: Fault) -> None:
                """Apply a fault, and return when it is active."""
                portal.call(super().break_with, fault)

        with portal.wrap_async_context_manager(ProxyInThread(host, port)) as proxy:
            yield proxy


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    bound.settimeout(0)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((HOST, port))
    return bound


def _listener_kind(fault: Fault) -> type[Fault]:
    """Return which listener a fault needs: an open one (`Fault`), none, or a full one."""
    return type(fault) if isinstance(fault, Refuse | Blackhole) else Fault

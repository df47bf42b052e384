"""uvicorn as `vitals serve` runs it."""

import asyncio
import gc
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType

import uvicorn

from app.lifecycle import notify
from app.server.fast_path import CachingApplication, FastProtocol, RawResponseCache
from app.server.limits import ConnectionSet, connection_limit
from app.settings import Settings


# Seconds after the listener closes in which open connections may still send a request, and the
# interval at which the shutdown checks whether any are left.
LINGER = 0.5
POLL_INTERVAL = 0.02


class Server(uvicorn.Server):
    """A uvicorn server that exits with 0 after a signal, and immediately after a second one."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.server_state.connections = self._connections = ConnectionSet(
            connection_limit(), config.timeout_keep_alive
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, notify systemd, and exclude what exists by then from garbage collection.

        They live until the process ends, and one pass over them takes as long as a hundred
        answers. The command line has disabled the collector until now.
        """
        await super().startup(sockets)
        notify("READY=1")
        gc.freeze()
        gc.enable()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the listeners, answer what arrives for LINGER seconds, then close connections.

        uvicorn closes idle connections immediately. A proxy that does not check readiness may
        have just sent a request on one of them.
        """
        loop = asyncio.get_running_loop()
        for listener in self.servers:
            for pending in _accept_pending(listener):
                await loop.connect_accepted_socket(self._create_protocol, pending)
        deadline = loop.time() + LINGER
        while self.server_state.connections and not self.force_exit:
            if loop.time() > deadline:
                break
            await asyncio.sleep(POLL_INTERVAL)
        await super().shutdown(sockets)

    def _create_protocol(self) -> asyncio.Protocol:
        """Create the protocol of a connection as uvicorn's `startup` does."""
        state, app_state = self.server_state, self.lifespan.state
        create: Callable[..., asyncio.Protocol] = self.config.http_protocol_class
        return create(config=self.config, server_state=state, app_state=app_state)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop. uvicorn would re-raise the signal on exit, and the exit status would not be 0."""
        del sig, frame
        self.force_exit = self.should_exit
        self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Close idle connections once a second; uvicorn ticks ten times a second."""
        if counter % 10 == 0:
            self._connections.close_idle(asyncio.get_running_loop().time())
        return await super().on_tick(counter)


def _accept_pending(listener: asyncio.Server) -> list[socket.socket]:
    """Close a listener, and return the connections in its backlog.

    A plain close would reset them, and the kernel has completed their handshakes, so they may
    have sent requests already. On a busy machine, clients connect between the event loop's last
    accept and the close.
    """
    pending = list[socket.socket]()
    duplicates = [socket.fromfd(one.fileno(), one.family, one.type) for one in listener.sockets]
    listener.close()
    for duplicate in duplicates:
        with duplicate, suppress(BlockingIOError):
            duplicate.setblocking(False)  # noqa: FBT003 - the argument is positional only
            while True:
                pending.append(duplicate.accept()[0])
    for connection in pending:
        connection.setblocking(False)  # noqa: FBT003
    return pending


def create_server(app: CachingApplication, settings: Settings) -> Server:
    """Return a server for the application, with the address and timeouts of the settings."""
    responses, quiet = RawResponseCache(app), settings.log_level != "debug"
    return Server(
        uvicorn.Config(
            app,
            http=partial(FastProtocol, responses, quiet=quiet),  # type: ignore[arg-type]  # called like a class
            ws="none",
            host=settings.host,
            port=settings.port,
            log_config=None,
            server_header=False,
            timeout_keep_alive=settings.keep_alive_seconds,  # type: ignore[arg-type]  # used as a float
            timeout_graceful_shutdown=settings.shutdown_seconds,  # type: ignore[arg-type]  # used as a float
        )
    )

"""uvicorn as `vitals serve` runs it."""

import asyncio
import gc
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType

import uvicorn

from app.server.fast_path import Application, FastProtocol, ReplyCache
from app.server.limits import Connections, connection_limit
from app.settings import Settings


# Seconds in which connections that are open when the listener closes may still send a request, and
# after which it is looked again whether there are any.
LINGER = 0.5
POLL = 0.02


class Server(uvicorn.Server):
    """Ends as it was told to, which is no failure, and at once when told twice."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.server_state.connections = self._connections = Connections(connection_limit())

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Come up, and keep what is there by then from the garbage collector.

        It stays until the end, and to look through all of it takes as long as some hundred answers,
        which nobody is given meanwhile. The command line has had nothing collected until now.
        """
        await super().startup(sockets)
        gc.freeze()
        gc.enable()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the door, hear out who is inside, and only then send away who is silent.

        A request may be on its way on a connection that uvicorn's own would close at once: of a
        proxy that does not ask for readiness, and so sends until the door is closed.
        """
        loop = asyncio.get_running_loop()
        for listener in self.servers:
            for visitor in _close(listener):
                await loop.connect_accepted_socket(self._protocol, visitor)
        deadline = loop.time() + LINGER
        while self.server_state.connections and not self.force_exit:
            if loop.time() > deadline:
                break
            await asyncio.sleep(POLL)
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        """Begin a connection as uvicorn's own start does."""
        state, app_state = self.server_state, self.lifespan.state
        make: Callable[..., asyncio.Protocol] = self.config.http_protocol_class
        return make(config=self.config, server_state=state, app_state=app_state)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop; uvicorn's own would have the process die of the signal in the end."""
        del sig, frame
        self.force_exit = self.should_exit
        self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Look at the connections each second; uvicorn comes by ten times."""
        if counter % 10 == 0:
            self._connections.close_idle(asyncio.get_running_loop().time())
        return await super().on_tick(counter)


def _close(listener: asyncio.Server) -> list[socket.socket]:
    """Stop listening, and tell who stands in the door: a plain close would send them a reset.

    The kernel has greeted them, so they may have asked already. The event loop lets in who comes,
    but between its last look and a close a busy machine may pass long enough for another one.
    """
    visitors = list[socket.socket]()
    doors = [socket.fromfd(one.fileno(), one.family, one.type) for one in listener.sockets]
    listener.close()
    for door in doors:
        with door, suppress(BlockingIOError):
            door.setblocking(False)  # noqa: FBT003 - as the library has it
            while True:
                visitors.append(door.accept()[0])
    for visitor in visitors:
        visitor.setblocking(False)  # noqa: FBT003
    return visitors


def server(app: Application, settings: Settings) -> Server:
    """Set uvicorn up."""
    fast = partial(FastProtocol, ReplyCache(app), quiet=settings.log_level != "debug")
    return Server(
        uvicorn.Config(
            app,
            http=fast,  # type: ignore[arg-type]  # called as a class is
            ws="none",
            host=settings.host,
            port=settings.port,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=settings.shutdown_seconds,  # type: ignore[arg-type]  # waited for as a float
        )
    )

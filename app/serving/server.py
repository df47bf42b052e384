"""uvicorn as `vitals serve` runs it."""

import asyncio
import socket
from functools import partial
from types import FrameType

import uvicorn

from app.serving.connections import Connections, connection_limit
from app.serving.fast_protocol import FastProtocol
from app.serving.replies import Application, Replies
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

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the door, hear out who is inside, and only then send away who is silent.

        A request may be on its way on a connection that uvicorn's own would close at once: of a
        proxy that does not ask for readiness, and so sends until the door is closed.
        """
        await asyncio.sleep(0)  # who stands in the door comes in
        for listener in self.servers:
            listener.close()
        deadline = asyncio.get_running_loop().time() + LINGER
        while self.server_state.connections and not self.force_exit:
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(POLL)
        await super().shutdown(sockets)

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


def server(app: Application, settings: Settings) -> Server:
    """Set uvicorn up."""
    fast = partial(FastProtocol, Replies(app), quiet=settings.log_level != "debug")
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

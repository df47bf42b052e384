"""uvicorn's start and end, as `vitals serve` has them."""

import asyncio
import gc
import socket
from typing import Any, cast

import pytest
import uvicorn
import uvloop

from app.server.server import Server


REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer what is asked."""
    if scope["type"] == "lifespan":
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"served"})


class Closing:
    """A listener, and somebody who comes in the very moment in which it closes."""

    def __init__(self, listener: asyncio.Server) -> None:
        self._listener = listener
        self.sockets = listener.sockets
        self._address = self.sockets[0].getsockname()
        self.client = socket.socket()

    def close(self) -> None:
        """Close it, when somebody has just come whom the event loop has not seen."""
        if self._listener.is_serving():
            self.client.connect(self._address)
            self.client.sendall(REQUEST)
        self._listener.close()

    async def wait_closed(self) -> None:
        """Wait for its end."""
        await self._listener.wait_closed()


async def heard_at_the_door() -> bytes:
    """End a server, and tell what is answered to who comes in that moment."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = Server(uvicorn.Config(app, log_config=None))
    served = asyncio.create_task(server.serve([listening]))
    while not server.started:
        await asyncio.sleep(0.01)
    closing = Closing(server.servers[0])
    server.servers = [cast("asyncio.Server", closing)]
    server.should_exit = True
    await served
    with closing.client as client:
        client.settimeout(5)
        return b"".join(iter(lambda: client.recv(65536), b""))


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_who_comes_as_the_door_closes_is_let_in(loop: Any) -> None:
    """The kernel has greeted them, so they have asked, and a reset would lose what they ask."""
    with asyncio.Runner(loop_factory=loop) as runner:
        assert b"served" in runner.run(heard_at_the_door())


def test_what_is_there_at_the_start_is_no_garbage() -> None:
    """To look through it would keep every answer waiting, now and then."""
    before = gc.get_freeze_count()
    gc.disable()  # as the command line does until then
    try:
        asyncio.run(heard_at_the_door())
        assert gc.get_freeze_count() > before
        assert gc.isenabled()
    finally:
        gc.enable()

"""Start and shutdown of the server of `vitals serve`."""

import asyncio
import gc
import socket
import time
from typing import Any, cast

import pytest
import uvicorn
import uvloop

from app.server.limits import BoundedProtocol
from app.server.server import Server


REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer every request."""
    if scope["type"] == "lifespan":
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"served"})


class ListenerWithLateClient:
    """A listener to which a client connects just before it closes."""

    def __init__(self, listener: asyncio.Server) -> None:
        self._listener = listener
        self.sockets = listener.sockets
        self._address = self.sockets[0].getsockname()
        self.client = socket.socket()

    def close(self) -> None:
        """Connect a client, whose connection the event loop has not accepted, and close."""
        if self._listener.is_serving():
            self.client.connect(self._address)
            self.client.sendall(REQUEST)
        self._listener.close()

    async def wait_closed(self) -> None:
        """Wait until the listener is closed."""
        await self._listener.wait_closed()


async def answer_to_late_client() -> bytes:
    """Stop a server, and return what it answers to a client that connects at that moment."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = Server(uvicorn.Config(app, log_config=None))
    served = asyncio.create_task(server.serve([listening]))
    while not server.started:
        await asyncio.sleep(0.01)
    listener = ListenerWithLateClient(server.servers[0])
    server.servers = [cast("asyncio.Server", listener)]
    server.should_exit = True
    await served
    with listener.client as client:
        client.settimeout(5)
        return b"".join(iter(lambda: client.recv(65536), b""))


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_client_that_connects_during_the_shutdown_gets_its_answer(loop: Any) -> None:
    """The kernel has accepted its connection, and a reset would lose its request."""
    with asyncio.Runner(loop_factory=loop) as runner:
        assert b"served" in runner.run(answer_to_late_client())


KEEP_ALIVE = 0.1


class BlockingProtocol(asyncio.Protocol):
    """A protocol that lets a client send a request, and then blocks the loop."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client

    def data_received(self, data: bytes) -> None:
        """Send, and block."""
        del data
        self._client.sendall(REQUEST)
        time.sleep(2 * KEEP_ALIVE)


async def answer_after_a_blocked_loop() -> bytes:
    """Send a second request in time, and return its answer from a loop that is late to read it."""
    loop = asyncio.get_running_loop()
    listening, (trigger, triggered) = socket.create_server(("127.0.0.1", 0)), socket.socketpair()
    config = uvicorn.Config(app, http=BoundedProtocol, log_config=None)
    config.timeout_keep_alive = KEEP_ALIVE  # type: ignore[assignment]
    server = Server(config)
    served = asyncio.create_task(server.serve([listening]))
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        with trigger, socket.create_connection(listening.getsockname()) as client:
            await loop.connect_accepted_socket(lambda: BlockingProtocol(client), triggered)
            client.setblocking(False)  # noqa: FBT003
            client.sendall(REQUEST.replace(b"close", b"keep-alive"))
            assert await loop.sock_recv(client, 65536)
            trigger.send(b"now")
            return await loop.sock_recv(client, 65536)
    finally:
        server.should_exit = True
        await served


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_request_that_was_sent_in_time_is_answered(loop: Any) -> None:
    """Even if the loop reads it after the keep-alive time: uvloop runs timers before it reads."""
    with asyncio.Runner(loop_factory=loop) as runner:
        assert b"200 OK" in runner.run(answer_after_a_blocked_loop())


def test_the_garbage_collector_skips_what_exists_at_the_start() -> None:
    """A pass over these objects would delay answers."""
    before = gc.get_freeze_count()
    gc.disable()  # as the command line does before the start
    try:
        asyncio.run(answer_to_late_client())
        assert gc.get_freeze_count() > before
        assert gc.isenabled()
    finally:
        gc.enable()

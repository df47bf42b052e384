import contextlib
import socket
import socketserver
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.faults.peer import DEADLINE
from tests.support.faults.proxy import HOST, Proxy
from tests.support.serving import serving


class Echo(socketserver.BaseRequestHandler):
    """Answers `PING` with `+PONG`, and echoes everything else."""

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            while data := self.request.recv(65536):
                self.request.sendall(b"+PONG\r\n" if b"PING" in data else data)


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    """A proxy in front of an echo server."""
    with serving(socketserver.ThreadingTCPServer((HOST, 0), Echo)) as echo:
        async with Proxy(HOST, echo.server_address[1]) as proxy:
            yield proxy


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A listening socket, on which the test acts as the server."""
    with socket.create_server((HOST, 0)) as listener:
        listener.settimeout(DEADLINE)
        yield listener

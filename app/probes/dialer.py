"""Reaching a server: name resolution and connecting, neither able to hold up anything else."""

import asyncio
import contextlib
import socket
from functools import partial
from typing import Any

from app.health import Reason
from app.probes.blocking import Blocking
from app.probes.reasons import UNANSWERED_HANDSHAKE, on_the_way
from app.probes.steps import Step, begins


# A name may have thousands, of which no attempt could try all.
MAX_ADDRESSES = 16

# Seconds between two tries to connect to a Unix socket whose backlog is full.
UNIX_PAUSE = 0.02

Address = tuple[socket.AddressFamily, Any]


class Dialer:
    """Opens connections to one host and port, or to the Unix socket of a path.

    Attributes:
        waiting_for: the reason to give if a deadline passes now.
        awaits_tls: whether the server has yet to answer a TLS handshake.

    """

    def __init__(self, host: str, port: int = 0) -> None:
        self.waiting_for = Reason.TIMEOUT
        self.awaits_tls = False
        self._host = host
        self._port = port
        self._look_up = Blocking(partial(_addresses, host, port), f"resolve {host}")

    async def dial(self) -> socket.socket:
        """Connect to the first address that can be connected to, in the resolver's order.

        Raises:
            OSError: no address could be found (`socket.gaierror`), or none could be connected to.

        """
        self.waiting_for, self.awaits_tls = Reason.DNS, False
        addresses = await self._resolve()
        self.waiting_for = Reason.CONNECT_TIMEOUT
        begins(Step.TCP)
        connected = await _connect_any(addresses)
        self.waiting_for = Reason.TIMEOUT
        return connected

    def explain(self, error: BaseException | None) -> Reason:
        """Tell why the server was not reached; a missed deadline, by what was waited for."""
        if not isinstance(error, TimeoutError):
            return on_the_way(error)
        if self.awaits_tls:
            error.add_note(UNANSWERED_HANDSHAKE)
        return self.waiting_for

    async def _resolve(self) -> list[Address]:
        try:
            with contextlib.suppress(socket.gaierror):
                return _addresses(self._host, self._port, socket.AI_NUMERICHOST)
            begins(Step.DNS)
            return await self._look_up()
        except UnicodeError as error:
            msg = "the name is not one that DNS can hold"
            raise socket.gaierror(socket.EAI_NONAME, msg) from error


def _addresses(host: str, port: int, flags: int = 0) -> list[Address]:
    if host.startswith("/"):
        return [(socket.AF_UNIX, host)]
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, address) for family, _, _, _, address in found]


async def _connect_any(addresses: list[Address]) -> socket.socket:
    first: OSError | None = None
    for family, address in addresses[:MAX_ADDRESSES]:
        try:
            return await _connect(family, address)
        except OSError as error:
            first = first or error  # that of the address which the resolver prefers
    raise first or OSError("the name has no address")


async def _connect(family: socket.AddressFamily, address: Any) -> socket.socket:
    connecting = socket.socket(family, socket.SOCK_STREAM)
    try:
        connecting.settimeout(0)
        if family is socket.AF_UNIX:
            await _connect_unix(connecting, address)
        else:
            _notice_a_dead_peer(connecting)
            await asyncio.get_running_loop().sock_connect(connecting, address)
    except BaseException:
        connecting.close()
        raise
    return connecting


async def _connect_unix(connecting: socket.socket, path: str) -> None:
    """Connect when there is room. A full backlog refuses at once; asyncio takes it for success."""
    while True:
        with contextlib.suppress(BlockingIOError):
            connecting.connect(path)
            return
        await asyncio.sleep(UNIX_PAUSE)


def _notice_a_dead_peer(connection: socket.socket) -> None:
    """Have the kernel end a connection whose other side has been silent for 15 s."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 15_000)

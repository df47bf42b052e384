"""Reaching a server: name resolution and connecting, neither able to hold up anything else."""

import asyncio
import contextlib
import socket
import threading
from typing import Any

from app.health import Reason
from app.probes.reasons import on_the_way
from app.probes.steps import Step, begins


# Threads that may wait for name servers at once, for one dialer: the C library's resolver gives
# up after ten seconds with one server, more with several or with search domains.
MOST_LOOKUPS = 16

Address = tuple[socket.AddressFamily, Any]
Lookup = asyncio.Future[list[Address] | Exception]


class Dialer:
    """Opens connections to one host and port, or to the Unix socket of a path.

    A look-up can't be cancelled and the event loop's pool of threads is small and shared, so each
    runs on a thread of the dialer's own. One whose attempt has ended goes on in the background:
    it holds up neither the next attempt, nor another dialer, nor the end of the process.

    Attributes:
        waiting_for: the reason to give if a deadline passes now.

    """

    def __init__(self, host: str, port: int = 0) -> None:
        self.waiting_for = Reason.TIMEOUT
        self._host = host
        self._port = port
        self._lookups: set[Lookup] = set()

    async def dial(self) -> socket.socket:
        """Connect to the first address that can be connected to, in the resolver's order.

        Raises:
            OSError: no address could be found (`socket.gaierror`), or none could be connected to.

        """
        self.waiting_for = Reason.DNS
        addresses = await self._resolve()
        self.waiting_for = Reason.CONNECT_TIMEOUT
        begins(Step.TCP)
        connected = await _connect_any(addresses)
        self.waiting_for = Reason.TIMEOUT
        return connected

    def explain(self, error: BaseException | None) -> Reason:
        """Tell why the server was not reached; a missed deadline, by what was waited for."""
        return self.waiting_for if isinstance(error, TimeoutError) else on_the_way(error)

    async def _resolve(self) -> list[Address]:
        with contextlib.suppress(socket.gaierror):
            return _addresses(self._host, self._port, socket.AI_NUMERICHOST)
        begins(Step.DNS)
        own = self._look_up() if len(self._lookups) < MOST_LOOKUPS else None
        pending = set(self._lookups)
        while True:
            # What an earlier look-up hears late is as true as what this one hears.
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for lookup in done:
                found = lookup.result()
                if not isinstance(found, Exception):
                    return found
                if lookup is own or not pending:
                    raise found

    def _look_up(self) -> Lookup:
        loop = asyncio.get_running_loop()
        lookup: Lookup = loop.create_future()

        def run() -> None:
            found: list[Address] | Exception
            try:
                found = _addresses(self._host, self._port)
            except Exception as error:  # noqa: BLE001 - whatever it is, somebody waits for it
                found = error
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(lookup.set_result, found)

        # Kept only once it has begun: no thread may be had.
        threading.Thread(target=run, name=f"resolve {self._host}", daemon=True).start()
        self._lookups.add(lookup)
        lookup.add_done_callback(self._lookups.discard)
        return lookup


def _addresses(host: str, port: int, flags: int = 0) -> list[Address]:
    if host.startswith("/"):
        return [(socket.AF_UNIX, host)]
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, address) for family, _, _, _, address in found]


async def _connect_any(addresses: list[Address]) -> socket.socket:
    first: OSError | None = None
    for family, address in addresses:
        try:
            return await _connect(family, address)
        except OSError as error:
            first = first or error  # that of the address which the resolver prefers
    raise first or OSError("the name has no address")


async def _connect(family: socket.AddressFamily, address: Any) -> socket.socket:
    connecting = socket.socket(family, socket.SOCK_STREAM)
    try:
        connecting.settimeout(0)
        await asyncio.get_running_loop().sock_connect(connecting, address)
    except BaseException:
        connecting.close()
        raise
    return connecting

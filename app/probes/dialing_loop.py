"""The event loop as asyncpg is given it."""

import asyncio
from typing import Any

from app.probes.dialer import Dialer
from app.probes.steps import Step, begins


class DialingLoop:
    """The running event loop, but that it connects through a dialer.

    asyncpg resolves and connects through the loop that it is given; everything else, TLS with the
    server's own name included, goes on as it would.

    Args:
        first: the step that follows upon connecting.

    """

    def __init__(self, dialer: Dialer, first: Step) -> None:
        self._loop = asyncio.get_running_loop()
        self._dialer = dialer
        self._first = first
        self._transport: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def create_connection(self, factory: Any, _host: str, _port: int) -> Any:
        """Connect to the dialer's host."""
        connected = await self._dialer.dial()
        begins(self._first)
        protocol = factory()
        try:
            self._transport, _ = await self._loop.create_connection(
                lambda: protocol, sock=connected
            )
        except asyncio.CancelledError:
            # What asyncpg would have waited for next fails now, and nobody but the log would hear.
            if answer := getattr(protocol, "on_data", None):
                answer.cancel()
            raise
        return self._transport, protocol

    async def create_unix_connection(self, factory: Any, _path: str) -> Any:
        """Connect to the dialer's Unix socket."""
        connecting = self._loop.create_unix_connection(factory, sock=await self._dialer.dial())
        begins(Step.AUTHENTICATION)
        self._transport, protocol = await connecting
        return self._transport, protocol

    async def start_tls(self, *arguments: Any, **options: Any) -> Any:
        """Go on with TLS, now that the server is willing."""
        begins(Step.TLS)
        transport = await self._loop.start_tls(*arguments, **options)
        begins(Step.AUTHENTICATION)
        return transport

    def abort(self) -> None:
        """Cut what has been connected; TLS would otherwise wait for the other side's goodbye."""
        if self._transport:
            self._transport.abort()

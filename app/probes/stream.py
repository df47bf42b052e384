"""A connection as a pair of streams, over TLS where that is wished for."""

import asyncio
import socket
import ssl

from app.probes.steps import Step, begins


async def open_stream(
    connected: socket.socket, context: ssl.SSLContext | None, server_name: str | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Make streams of a connected socket; with a *context*, after TLS's handshake.

    Raises:
        OSError: the other side went away, or (`ssl.SSLError`) the handshake failed.

    """
    reader, writer = await asyncio.open_connection(sock=connected)
    if context:
        begins(Step.TLS)
        try:
            # Not at once with the opening: uvloop would wait for each in turn, and an attempt that
            # is cut short at the first would leave the failure of the second to the log.
            await writer.start_tls(context, server_hostname=server_name)
        except BaseException:
            writer.transport.abort()
            raise
    return reader, writer

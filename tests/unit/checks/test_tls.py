"""Servers that are silent after the TLS handshake: connections do not accumulate."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
import trustme

from app.checks.session import MAX_PENDING
from app.health import Reason
from tests.support.specs import postgres, redis
from tests.unit.checks.attempt import eventually, failure


ATTEMPTS = 5


@asynccontextmanager
async def silent_server(*, upgrade: bool) -> AsyncIterator[tuple[int, trustme.CA]]:
    """Run a server that does the TLS handshake and then never answers.

    Args:
        upgrade: whether to wait for PostgreSQL's request for TLS first.
    """
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    writers: list[asyncio.StreamWriter] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        if upgrade:
            await reader.readexactly(8)
            writer.write(b"S")
            await writer.start_tls(context)

    server = await asyncio.start_server(answer, "127.0.0.1", ssl=None if upgrade else context)
    async with server:
        yield server.sockets[0].getsockname()[1], authority
        for writer in writers:
            writer.transport.abort()


def open_connections(port: int) -> int:
    """Return the number of connections of this process to a port."""
    known = psutil.Process().net_connections("tcp")
    return len([one for one in known if one.raddr[1:] == (port,)])


@pytest.mark.parametrize("kind", ["postgres", "redis"])
async def test_connections_do_not_accumulate(kind: str, tmp_path: Path) -> None:
    """None outlives its probe. A few logins to PostgreSQL outlive their attempt."""
    async with silent_server(upgrade=kind == "postgres") as (port, authority):
        root = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(str(root))
        if kind == "postgres":
            url = f"postgresql://user@127.0.0.1:{port}/db?sslmode=verify-full&sslrootcert={root}"
            opening = postgres(url, None, require="query", renew_after=86400)
        else:
            url = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={root}"
            opening = redis(url, lambda: "a word", require="query", renew_after=86400)
        async with opening as probe:
            for _ in range(ATTEMPTS):
                assert await failure(probe, within=0.3) is Reason.TIMEOUT
            assert open_connections(port) <= (MAX_PENDING if kind == "postgres" else 1)
        await eventually(lambda: open_connections(port) == 0)

import asyncio
import contextlib
import ssl
from pathlib import Path
from typing import Any

import pytest

from app.health import Reason
from tests.support.specs import postgres, redis
from tests.system.asking import open_probe, verified_url
from tests.system.certificates import Certificates
from tests.system.servers import SystemPostgres, SystemRedis
from tests.unit.checks.attempt import failure


async def test_the_host_name_of_the_url_is_verified(
    tls_postgres: SystemPostgres, tls_redis: SystemRedis, certificates: Certificates
) -> None:
    """The certificate is valid for the address only, so the name fails."""
    for server in (tls_postgres, tls_redis):
        server.use_certificate(certificates.write("misnamed", server.folder))
        by_name = verified_url(server, certificates)
        async with open_probe(server, by_name) as probe:
            assert await failure(probe) is Reason.TLS
        async with open_probe(server, by_name.replace("localhost", "127.0.0.1")) as probe:
            await probe()


@pytest.mark.parametrize(
    ("make", "url", "before"),
    [
        (postgres, "postgresql://vitals@localhost:{}/postgres?sslmode=require", 8),
        (redis, "rediss://localhost:{}/0", 0),
    ],
)
async def test_the_host_name_of_the_url_is_sent_to_the_server(
    certificates: Certificates, tmp_path: Path, make: Any, url: str, before: int
) -> None:
    """Servers may share an address, for example behind the proxies of cloud providers (SNI)."""
    names = []
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.write("good", tmp_path))
    context.sni_callback = lambda _socket, name, _context: names.append(name)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readexactly(before):
            writer.write(b"S")
        with contextlib.suppress(OSError):
            await writer.start_tls(context)
        writer.transport.abort()

    async with await asyncio.start_server(answer, "127.0.0.1") as listener:
        port = listener.sockets[0].getsockname()[1]
        async with make(url.format(port), None, require="query", renew_after=86400) as probe:
            await failure(probe, within=5)
    assert set(names) == {"localhost"}

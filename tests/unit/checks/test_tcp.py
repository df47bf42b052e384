import asyncio
import ssl
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import trustme

from app.checks.http import KIND as HTTP
from app.checks.kind import CheckSpec, Kind, Resources
from app.checks.tcp import KIND as TCP
from app.checks.tcp import TcpOptions, TcpProbe, open_tcp
from app.health import Reason
from tests.support.ports import free_port
from tests.unit.checks.attempt import failure
from tests.unit.checks.http_server import OK, serving


def read_no_secret(name: str) -> str:
    """Fail: a TCP check needs no secret."""
    raise AssertionError(name)


def opened(url: str, **files: str) -> AbstractAsyncContextManager[TcpProbe]:
    """Open the probe of a URL."""
    spec = CheckSpec("port", TCP, TcpOptions.model_validate({"url": url, **files}))
    return open_tcp(spec, Resources(read_no_secret, reconnect_interval=15))


@pytest.fixture(name="server_context")
def _server_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Create a server's context for `localhost`, and trust its CA."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


async def test_an_open_port_passes() -> None:
    """Nothing is sent, and the connection is closed."""
    async with serving(OK) as server, opened(f"tcp://127.0.0.1:{server.port}") as probe:
        await probe()
        await probe()
        assert server.asked == []


async def test_a_closed_port_is_refused() -> None:
    async with opened(f"tcp://127.0.0.1:{free_port()}") as probe:
        assert await failure(probe) is Reason.REFUSED


@pytest.mark.parametrize("kind", [TCP, HTTP], ids=["tcp", "http"])
async def test_an_address_may_have_a_zone(kind: Kind) -> None:
    """Its percent sign is encoded in a URL, https://www.rfc-editor.org/rfc/rfc6874#section-2."""
    options = kind.options(url=f"{kind.name}://[fe80::1%25lo]:1")
    spec = CheckSpec("port", kind, options)
    async with kind.open(spec, Resources(read_no_secret, reconnect_interval=15)) as probe:
        assert await failure(probe) is not Reason.DNS  # the zone of the loopback has no network


async def test_an_unknown_name_is_dns() -> None:
    async with opened("tcp://name.invalid:1") as probe:
        assert await failure(probe) is Reason.DNS


async def test_a_verified_handshake_passes(server_context: ssl.SSLContext) -> None:
    async with (
        serving(OK, server_context) as server,
        opened(f"tls://localhost:{server.port}") as probe,
    ):
        await probe()


async def test_a_ca_file_replaces_the_cas_of_the_system(
    server_context: ssl.SSLContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs no client certificate beside it."""
    monkeypatch.delenv("SSL_CERT_FILE")
    async with (
        serving(OK, server_context) as server,
        opened(f"tls://localhost:{server.port}", ca=str(tmp_path / "ca.pem")) as probe,
    ):
        await probe()


async def test_a_server_that_keeps_the_connection_passes(server_context: ssl.SSLContext) -> None:
    """It neither sends anything nor closes when TLS ends."""
    closed = asyncio.Event()

    async def stay(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await closed.wait()
        writer.transport.abort()

    async with await asyncio.start_server(stay, "127.0.0.1", ssl=server_context) as server:
        port = server.sockets[0].getsockname()[1]
        async with opened(f"tls://localhost:{port}") as probe:
            await probe()
        closed.set()


async def test_a_certificate_for_another_name_is_tls(server_context: ssl.SSLContext) -> None:
    """The certificate names `localhost`, not the address."""
    async with (
        serving(OK, server_context) as server,
        opened(f"tls://127.0.0.1:{server.port}") as probe,
    ):
        assert await failure(probe) is Reason.TLS


@pytest.mark.usefixtures("server_context")
async def test_a_server_without_tls_is_tls() -> None:
    """It answers the handshake in plain text."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"400 Bad Request\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        async with opened(f"tls://127.0.0.1:{port}") as probe:
            assert await failure(probe) is Reason.TLS

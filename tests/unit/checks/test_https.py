import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from app.health import Reason
from tests.support.specs import http
from tests.unit.checks.attempt import eventually, failure
from tests.unit.checks.http_server import OK, goes_on, serving


NOW = datetime.now(UTC)


@pytest.fixture(name="authority")
def _authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """Create a CA that the process trusts."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return authority


def context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    """Return a TLS context for a server with this certificate."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(made)
    return made


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_a_certificate_for_the_host_passes(authority: trustme.CA, host: str) -> None:
    """It names a DNS name or an address, and `SSL_CERT_FILE` names its CA."""
    async with (
        serving(OK, context(authority.issue_cert(host))) as server,
        http(f"https://{host}:{server.port}", dict, expect=200) as probe,
    ):
        await probe()
        assert len(server.asked) == 1


@pytest.mark.parametrize("wrong", ["expired", "early", "untrusted", "self-signed", "other name"])
async def test_an_invalid_certificate_is_tls(authority: trustme.CA, wrong: str) -> None:
    """No request is sent to its server."""
    other = trustme.CA()
    past, future = NOW - timedelta(days=2), NOW + timedelta(days=2)
    certificates: dict[str, Callable[[], trustme.LeafCert]] = {
        "expired": lambda: authority.issue_cert("localhost", not_before=past, not_after=past),
        "early": lambda: authority.issue_cert("localhost", not_before=future),
        "untrusted": lambda: other.issue_cert("localhost"),
        "self-signed": lambda: trustme.LeafCert(
            other.private_key_pem.bytes(), other.cert_pem.bytes(), []
        ),
        "other name": lambda: authority.issue_cert("other.test"),
    }
    async with (
        serving(OK, context(certificates[wrong]())) as server,
        http(f"https://localhost:{server.port}", dict, expect=200) as probe,
    ):
        assert await failure(probe) is Reason.TLS
        assert server.asked == []


@pytest.mark.usefixtures("authority")
async def test_a_server_without_tls_is_tls() -> None:
    """It answers the handshake in plain text."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        async with http(f"https://127.0.0.1:{port}", dict, expect=200) as probe:
            assert await failure(probe) is Reason.TLS


async def test_an_endless_body_is_cut_over_tls_too(authority: trustme.CA) -> None:
    """The probe does not wait for the server to close TLS."""
    endless = goes_on(OK, b"x" * 65536)
    async with serving(endless, context(authority.issue_cert("localhost"))) as server:
        async with http(f"https://localhost:{server.port}", dict, expect=200) as probe:
            async with asyncio.timeout(0.5):
                await probe()
        await eventually(lambda: not server.open)

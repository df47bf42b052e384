"""Trust follows the disk: what is replaced there is used from the next connection on."""

import shutil
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme

from app.checks.http import http
from app.health import Reason
from tests.private_ca import PrivateCA
from tests.probes.attempt import failure
from tests.probes.http_server import OK, serving
from tests.replacing import REPLACING, Replacing
from tests.system.asking import asking
from tests.system.certificates import HOSTS
from tests.system.servers import SystemPostgres, SystemRedis


KINDS = ("postgres", "redis", "https")

# Asks over a new connection each time, and trusts the CA file that is named, or the system's.
Asking = Callable[[Path | None], AbstractAsyncContextManager[Any]]

# Has a server show a certificate.
Serving = Callable[[Path], AbstractAsyncContextManager[Asking]]


@asynccontextmanager
async def https(certificate: Path) -> AsyncIterator[Asking]:
    """Serve HTTPS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    async with serving(OK, context) as server:
        yield lambda _: http(f"https://localhost:{server.port}/", dict, expect=200)


@asynccontextmanager
async def stored(
    server: SystemPostgres | SystemRedis, query: str, certificate: Path
) -> AsyncIterator[Asking]:
    """Serve a store."""
    server.show(Path(shutil.copy(certificate, server.folder)))

    def ask(file: Path | None) -> AbstractAsyncContextManager[Any]:
        url = server.url.replace("127.0.0.1", "localhost")
        mode, root = query.split()
        named = f"&{root}={file}" if file else ""
        return asking(server, f"{url}?{mode}{named}", renew_after=0)

    yield ask


@pytest.fixture(name="serve")
def _serve(
    request: pytest.FixtureRequest, tls_postgres: SystemPostgres, tls_redis: SystemRedis
) -> Serving:
    """Give each kind of server that is asked over TLS."""
    kinds: dict[str, Serving] = {
        "postgres": partial(stored, tls_postgres, "sslmode=verify-full sslrootcert"),
        "redis": partial(stored, tls_redis, "db=0 ssl_ca_certs"),
        "https": https,
    }
    return kinds[request.param]


def placed(place: str, folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """Return where a CA is looked for, in the URL or by a variable; nothing else is trusted."""
    folder.mkdir()
    other = folder.with_name("other.pem")
    other.write_bytes(trustme.CA().cert_pem.bytes())
    patch.setenv("SSL_CERT_FILE", str(other))
    patch.setenv("SSL_CERT_DIR", "/nowhere")
    file = folder / (PrivateCA.hashed if place == "SSL_CERT_DIR" else "ca.pem")
    if place != "URL":
        patch.setenv(place, str(folder if place == "SSL_CERT_DIR" else file))
    return file


@pytest.mark.parametrize("replace", REPLACING)
@pytest.mark.parametrize(
    ("serve", "place"),
    [
        (kind, place)
        for kind in KINDS
        for place in ("URL", "SSL_CERT_FILE", "SSL_CERT_DIR")
        if (kind, place) != ("https", "URL")
    ],
    indirect=["serve"],
)
async def test_a_replaced_ca_is_trusted_from_the_next_connection_on(
    serve: Serving, place: str, replace: Replacing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not a connection longer than it is there."""
    file = placed(place, tmp_path / "trusted", monkeypatch)
    old, new = PrivateCA(), PrivateCA()
    file.write_bytes(old.pem)
    certificate = new.issue(tmp_path / "server.pem", *HOSTS)
    async with (
        serve(certificate) as ask,
        ask(file if place == "URL" else None) as probe,
    ):
        assert await failure(probe, within=5) is Reason.TLS
        replace(file, new.pem + b"\n")
        await probe()
        await probe()
        replace(file, old.pem)
        assert await failure(probe, within=5) is Reason.TLS


@pytest.mark.parametrize("serve", KINDS, indirect=True)
async def test_a_ca_file_that_is_gone_is_named(
    serve: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check fails as `tls`, and passes as soon as the file is back."""
    ca = PrivateCA()
    file = placed("SSL_CERT_FILE", tmp_path / "trusted", monkeypatch)
    file.write_bytes(ca.pem)
    async with (
        serve(ca.issue(tmp_path / "server.pem", *HOSTS)) as ask,
        ask(None) as probe,
    ):
        await probe()
        for broken in (file.unlink, lambda: file.write_bytes(ca.pem[:99])):
            broken()
            with pytest.raises(Exception, match=f"CA file {file} .*Put a PEM file there") as caught:
                await probe()
            assert probe.explain(caught.value) is Reason.TLS
            file.write_bytes(ca.pem)
            await probe()

"""CA files are read again: a replaced file applies from the next connection on."""

import shutil
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme

from app.health import Reason
from tests.support.private_ca import PrivateCA
from tests.support.replacing import REPLACING, Replacing
from tests.support.specs import http
from tests.system.asking import open_probe
from tests.system.certificates import HOSTS
from tests.system.servers import SystemPostgres, SystemRedis
from tests.unit.checks.attempt import failure
from tests.unit.checks.http_server import OK, serving


KINDS = ("postgres", "redis", "https")

# Opens a probe with a new connection per attempt, which trusts the given CA file or the system's.
OpenProbe = Callable[[Path | None], AbstractAsyncContextManager[Any]]

# Runs a server with a certificate.
Serve = Callable[[Path], AbstractAsyncContextManager[OpenProbe]]


@asynccontextmanager
async def https(certificate: Path) -> AsyncIterator[OpenProbe]:
    """Serve HTTPS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    async with serving(OK, context) as server:
        yield lambda _: http(f"https://localhost:{server.port}/", dict, expect=200)


@asynccontextmanager
async def stored(
    server: SystemPostgres | SystemRedis, query: str, certificate: Path
) -> AsyncIterator[OpenProbe]:
    """Run a store with TLS."""
    server.use_certificate(Path(shutil.copy(certificate, server.folder)))

    def connect(file: Path | None) -> AbstractAsyncContextManager[Any]:
        url = server.url.replace("127.0.0.1", "localhost")
        mode, root = query.split()
        root_option = f"&{root}={file}" if file else ""
        return open_probe(server, f"{url}?{mode}{root_option}", renew_after=0)

    yield connect


@pytest.fixture(name="serve")
def _serve(
    request: pytest.FixtureRequest, tls_postgres: SystemPostgres, tls_redis: SystemRedis
) -> Serve:
    """Return a function that runs one kind of server with TLS."""
    kinds: dict[str, Serve] = {
        "postgres": partial(stored, tls_postgres, "sslmode=verify-full sslrootcert"),
        "redis": partial(stored, tls_redis, "db=0 ssl_ca_certs"),
        "https": https,
    }
    return kinds[request.param]


def ca_file(place: str, folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """Return a CA file that the URL or a variable names; no other CA is trusted."""
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
    serve: Serve, place: str, replace: Replacing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no longer trusted from the next connection after its removal."""
    file = ca_file(place, tmp_path / "trusted", monkeypatch)
    old, new = PrivateCA(), PrivateCA()
    file.write_bytes(old.pem)
    certificate = new.issue(tmp_path / "server.pem", *HOSTS)
    async with (
        serve(certificate) as connect,
        connect(file if place == "URL" else None) as probe,
    ):
        assert await failure(probe, within=5) is Reason.TLS
        replace(file, new.pem + b"\n")
        await probe()
        await probe()
        replace(file, old.pem)
        assert await failure(probe, within=5) is Reason.TLS


@pytest.mark.parametrize("serve", KINDS, indirect=True)
async def test_a_missing_ca_file_is_named_in_the_error(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check fails as `tls`, also for a truncated file, and passes when the file is back."""
    ca = PrivateCA()
    file = ca_file("SSL_CERT_FILE", tmp_path / "trusted", monkeypatch)
    file.write_bytes(ca.pem)
    async with (
        serve(ca.issue(tmp_path / "server.pem", *HOSTS)) as connect,
        connect(None) as probe,
    ):
        await probe()
        for broken in (file.unlink, lambda: file.write_bytes(ca.pem[:99])):
            broken()
            with pytest.raises(Exception, match=f"CA file {file} .*Put a PEM file there") as caught:
                await probe()
            assert probe.explain(caught.value) is Reason.TLS
            file.write_bytes(ca.pem)
            await probe()

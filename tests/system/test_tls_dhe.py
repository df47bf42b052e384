"""Servers that only support the DHE key exchange, with a group of their choice."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.health import Reason
from tests.support.ports import free_port
from tests.support.specs import http
from tests.system.asking import open_probe, verified_url
from tests.system.certificates import Certificates
from tests.system.servers import SystemPostgres, SystemRedis, program
from tests.unit.checks.attempt import failure


CIPHER = "DHE-RSA-AES256-GCM-SHA384"
OPENSSL = str(program("openssl"))


@pytest.fixture(name="group", scope="module")
def _group() -> bytes:
    """Generate the parameters of a group."""
    options = ("-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe3072")
    return subprocess.check_output([OPENSSL, "genpkey", *options])


@pytest.fixture(name="store", params=["postgres", "redis"])
def _store(
    request: pytest.FixtureRequest,
    tls_postgres: SystemPostgres,
    tls_redis: SystemRedis,
    certificates: Certificates,
    group: bytes,
) -> SystemPostgres | SystemRedis:
    """Start a store that only supports DHE."""
    server = tls_postgres if request.param == "postgres" else tls_redis
    file = server.folder / "group.pem"
    file.write_bytes(group)
    server.give(file)
    server.use_certificate(certificates.write("rsa", server.folder))
    options = {
        "postgres": "-cssl_max_protocol_version=TLSv1.2 -cssl_ciphers={} -cssl_dh_params_file={}",
        "redis": "--tls-protocols TLSv1.2 --tls-ciphers {} --tls-dh-params-file {}",
    }
    server.arguments += tuple(options[request.param].format(CIPHER, file).split())
    server.start()
    return server


@pytest.fixture(name="port")
def _port(certificates: Certificates, group: bytes, tmp_path: Path) -> Iterator[int]:
    """Serve HTTPS that only supports DHE."""
    port, file, certificate = (
        free_port(),
        tmp_path / "group.pem",
        certificates.write("rsa", tmp_path),
    )
    file.write_bytes(group)
    tls = (
        "-tls1_2",
        "-cipher",
        CIPHER,
        "-dhparam",
        file,
        "-cert",
        certificate,
        "-key",
        certificate,
    )
    command = [OPENSSL, "s_server", "-www", "-accept", f"127.0.0.1:{port}", *map(str, tls)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        assert server.stdout
        while server.stdout.readline() != b"ACCEPT\n":
            assert server.poll() is None
        yield port
        server.kill()


async def test_a_store_with_dhe_only_fails(
    store: SystemPostgres | SystemRedis, certificates: Certificates
) -> None:
    """A group of 8192 bits would block the event loop for 0.25 s."""
    async with open_probe(store, verified_url(store, certificates)) as probe:
        assert await failure(probe, within=5) is Reason.TLS


async def test_an_http_service_with_dhe_only_fails(
    port: int, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is the same as for stores."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.root))
    async with http(f"https://localhost:{port}/", dict, expect=200) as probe:
        assert await failure(probe) is Reason.TLS

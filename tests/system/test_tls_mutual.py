"""Servers that require a client certificate, with each one that a client may have or lack."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from trustme import CA

from app.check_factory import ADVICE_BY_ERROR, advise
from app.checks.errors import ClientCertificateError
from app.checks.kind import CheckSpec, Options, Resources
from app.checks.registry import BY_SCHEME
from app.health import Reason
from app.settings import Settings
from tests.support.ports import free_port
from tests.system.certificates import HOSTS, YESTERDAY
from tests.system.servers import SystemRedis, program
from tests.unit.checks.attempt import failure


VERSIONS = ("1.2", "1.3")


class Clients:
    """The client certificates, and the CA that a server trusts.

    Attributes:
        ca: the file of that CA, which has also issued the server's certificate.
        presented: the file of the certificate that the client has, and of its key.
    """

    def __init__(self, folder: Path) -> None:
        self.ca, self.server = folder / "ca.pem", folder / "server.pem"
        self.presented, self.key = folder / "client.pem", folder / "client.key"
        own, other = CA(), CA()
        own.cert_pem.write_to_path(self.ca)
        own.issue_cert(*HOSTS).private_key_and_cert_chain_pem.write_to_path(self.server)
        self._issued = {
            "right": own.issue_cert("client"),
            "wrong": other.issue_cert("client"),
            "expired": own.issue_cert("client", not_after=YESTERDAY),
        }
        self.use("right")

    def use(self, name: str) -> None:
        """Replace the certificate that the client has."""
        self._issued[name].cert_chain_pems[0].write_to_path(self.presented)
        self._issued[name].private_key_pem.write_to_path(self.key)


@contextmanager
def openssl(clients: Clients, version: str) -> Iterator[int]:
    """Run a server of OpenSSL that answers HTTP requests, and yield its port."""
    port = free_port()
    certificates = "-cert", clients.server, "-key", clients.server, "-CAfile", clients.ca
    demand = "-Verify", "1", "-verify_return_error", f"-tls{version.replace('.', '_')}"
    address = "-www", "-accept", f"127.0.0.1:{port}"
    command = [str(program("openssl")), "s_server", *map(str, (*address, *certificates, *demand))]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        assert server.stdout
        while server.stdout.readline() != b"ACCEPT\n":
            assert server.poll() is None
        yield port
        server.kill()


@pytest.fixture(name="clients")
def _clients(tmp_path: Path) -> Clients:
    return Clients(tmp_path)


# Returns a check, with the client certificate or without.
Make = Callable[..., CheckSpec[Options]]


@pytest.fixture(
    name="make", params=[(scheme, one) for scheme in ("https", "tls") for one in VERSIONS]
)
def _make(request: pytest.FixtureRequest, clients: Clients) -> Iterator[Make]:
    """Run a server of OpenSSL."""
    scheme, version = request.param
    with openssl(clients, version) as port:

        def make(*, has_certificate: bool) -> CheckSpec[Options]:
            files = {"certificate": str(clients.presented), "key": str(clients.key)}
            own = files if has_certificate else {}
            url = f"{scheme}://localhost:{port}"
            return check({"url": url, "ca": str(clients.ca), **own})

        yield make


@pytest.fixture(name="make_redis", params=VERSIONS)
def _make_redis(request: pytest.FixtureRequest, clients: Clients, tls_redis: SystemRedis) -> Make:
    """Run a Redis that requires a client certificate."""
    for file in (clients.ca, clients.server):
        shutil.copy(file, tls_redis.folder)
        tls_redis.give(tls_redis.folder / file.name)
    folder = tls_redis.folder
    tls_redis.use_certificate(folder / clients.server.name, folder / clients.ca.name)
    tls_redis.arguments += ("--tls-protocols", f"TLSv{request.param}")
    tls_redis.start()

    def make(*, has_certificate: bool) -> CheckSpec[Options]:
        own = f"&ssl_certfile={clients.presented}&ssl_keyfile={clients.key}"
        query = f"ssl_ca_certs={clients.ca}{own if has_certificate else ''}"
        url = tls_redis.url.replace("127.0.0.1", "localhost")
        return check({"url": f"{url}?{query}", "depth": "connect"})

    return make


def check(options: Mapping[str, str]) -> CheckSpec[Options]:
    """Return a check of the kind that the URL selects."""
    kind = BY_SCHEME[options["url"].partition(":")[0]]
    return CheckSpec("it", kind, kind.options.model_validate(options))


def opened(
    spec: CheckSpec[Options], read_secret: Callable[[str], str] = str
) -> AbstractAsyncContextManager[Any]:
    """Open the probe of a check."""
    return spec.kind.open(spec, Resources(read_secret, reconnect_interval=15))


async def assert_missing_is_tls(make: Make, read_secret: Callable[[str], str] = str) -> None:
    """Assert that a check without a certificate is `tls`, and that the advice names the option."""
    spec = make(has_certificate=False)
    async with opened(spec, read_secret) as probe:
        with pytest.raises(ClientCertificateError) as caught:
            await probe()
        assert probe.explain(caught.value) is Reason.TLS
        advice = advise(spec, probe, caught.value)
    assert advice is ADVICE_BY_ERROR[ClientCertificateError]
    assert "certificate (https:// and tls://), ssl_certfile" in advice.remedy


async def assert_replaced_is_used(
    make: Make, clients: Clients, refused: str, read_secret: Callable[[str], str] = str
) -> None:
    """Assert that a replaced certificate is used, and one that the server rejects is `tls`."""
    async with opened(make(has_certificate=True), read_secret) as probe:
        await probe()
        clients.use(refused)
        assert await failure(probe, within=5) is Reason.TLS
        clients.use("right")
        await probe()


async def test_no_certificate_is_tls(make: Make) -> None:
    await assert_missing_is_tls(make)


@pytest.mark.parametrize("refused", ["wrong", "expired"])
async def test_a_replaced_certificate_is_used_from_the_next_connection_on(
    make: Make, clients: Clients, refused: str
) -> None:
    """One that the server rejects is `tls`."""
    await assert_replaced_is_used(make, clients, refused)


@pytest.mark.parametrize("make", [("tls", "1.3")], indirect=True)
@pytest.mark.parametrize("refused", ["wrong", "expired"])
async def test_secrets_may_hold_the_certificate_and_its_key(
    make: Make, clients: Clients, refused: str
) -> None:
    """Replaced ones are used from the next connection on, too."""
    options = make(has_certificate=True).options.model_dump(include={"url", "ca"})
    files = {"certificate": clients.presented, "key": clients.key, "ca": clients.ca}
    named = options | {option: f"secret:{file.name}" for option, file in files.items()}
    [spec] = Settings(checks=json.dumps({"it": named}), secrets_dir=clients.ca.parent).check_specs

    def make_named(*, has_certificate: bool) -> CheckSpec[Options]:
        assert has_certificate
        return spec

    await assert_replaced_is_used(make_named, clients, refused)


async def test_no_certificate_for_redis_is_tls(make_redis: Make, tls_redis: SystemRedis) -> None:
    await assert_missing_is_tls(make_redis, lambda _: tls_redis.password_file.read_text())


@pytest.mark.parametrize("refused", ["wrong", "expired"])
async def test_a_replaced_certificate_is_used_from_the_next_connection_to_redis_on(
    make_redis: Make, tls_redis: SystemRedis, clients: Clients, refused: str
) -> None:
    """One that the server rejects is `tls`."""

    def read_secret(_: str) -> str:
        return tls_redis.password_file.read_text()

    await assert_replaced_is_used(make_redis, clients, refused, read_secret)

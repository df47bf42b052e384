"""Servers that require a client certificate, with each one that a client may have or lack."""

import subprocess
from collections.abc import Callable, Iterator
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
from tests.ports import free_port
from tests.probes.attempt import failure
from tests.system.certificates import HOSTS, YESTERDAY
from tests.system.servers import program


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


Open = Callable[..., AbstractAsyncContextManager[Any]]


@pytest.fixture(name="spec", params=[(s, v) for s in ("https", "tls") for v in VERSIONS])
def _spec(request: pytest.FixtureRequest, clients: Clients) -> Iterator[CheckSpec[Options]]:
    """Run a server, and yield a check of it that has a certificate."""
    scheme, version = request.param
    kind = BY_SCHEME[scheme]
    with openssl(clients, version) as port:
        files = {"ca": clients.ca, "certificate": clients.presented, "key": clients.key}
        options = {name: str(path) for name, path in files.items()}
        url = f"{scheme}://localhost:{port}"
        yield CheckSpec("it", kind, kind.options.model_validate({"url": url, **options}))


def opened(spec: CheckSpec[Options]) -> AbstractAsyncContextManager[Any]:
    """Open the probe of a check that needs no secret."""
    return spec.kind.open(spec, Resources(str, reconnect_interval=15))


async def test_a_server_without_a_certificate_from_the_client_is_tls(
    spec: CheckSpec[Options], clients: Clients
) -> None:
    """The advice names the option."""
    bare = spec.kind.options.model_validate({"url": spec.options.url, "ca": str(clients.ca)})
    async with opened(CheckSpec("it", spec.kind, bare)) as probe:
        with pytest.raises(ClientCertificateError) as caught:
            await probe()
        assert probe.explain(caught.value) is Reason.TLS
        advice = advise(spec, probe, caught.value)
    assert advice is ADVICE_BY_ERROR[ClientCertificateError]
    assert "certificate (https:// and tls://)" in advice.remedy


@pytest.mark.parametrize("refused", ["wrong", "expired"])
async def test_a_replaced_certificate_is_used_from_the_next_connection_on(
    spec: CheckSpec[Options], clients: Clients, refused: str
) -> None:
    """One that the server rejects is `tls`."""
    async with opened(spec) as probe:
        await probe()
        clients.use(refused)
        assert await failure(probe, within=5) is Reason.TLS
        clients.use("right")
        await probe()

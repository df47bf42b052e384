"""An attack of a dependency neither passes nor blocks the event loop nor fills the memory."""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from app.health import Reason
from tests.service.hostile.attacks import ATTACKS, MANY, SINGLE
from tests.service.hostile.http_attacks import UNUSUAL
from tests.service.hostile.measured import measured
from tests.service.hostile.postgres_server import PASSWORD
from tests.service.hostile.process import Hostile, hostile
from tests.service.hostile.tls_certificates import ROOT, write_certificates
from tests.support.specs import http, postgres, redis
from tests.unit.checks.attempt import failure


# Seconds of an attempt: short if a timeout is expected, otherwise enough for a busy machine.
SHORT, LONG = 0.5, 10


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Write the certificates, and trust their CA."""
    folder = tmp_path_factory.mktemp("certificates")
    write_certificates(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(folder / ROOT))
        yield folder


@pytest.fixture(name="servers", scope="module")
def _servers(folder: Path) -> Iterator[Hostile]:
    with hostile(folder) as servers:
        yield servers


def open_probe(kind: str, port: int, require: str, root: Path) -> AbstractAsyncContextManager[Any]:
    """Open a probe of this kind."""
    address = f"127.0.0.1:{port}"
    if kind in {"http", "https"}:
        return http(f"{kind}://{address}/", dict, expect=200)
    url, make = {
        "postgres": (f"postgresql://vitals@{address}/db", postgres),
        "redis": (f"redis://{address}/0", redis),
        "rediss": (f"rediss://{address}/0?ssl_ca_certs={root}", redis),
        "postgres over TLS": (
            f"postgresql://vitals@{address}/db?sslmode=verify-full&sslrootcert={root}",
            postgres,
        ),
    }[kind]
    return make(url, lambda: PASSWORD, require=require, renew_after=86400)


async def run_attack(servers: Hostile, folder: Path, name: str) -> None:
    """Run a probe against an attack, and assert its result."""
    kind, attack = ATTACKS[name]
    port = servers.play(name)
    async with open_probe(kind, port, attack.require, folder / ROOT) as probe:
        for _ in range(attack.passes or attack.reason is None):
            async with asyncio.timeout(LONG):
                await probe()
        if attack.reason:
            before = servers.accepted(port)
            within = SHORT if attack.reason is Reason.TIMEOUT else LONG
            assert await failure(probe, within) is attack.reason, name
            assert servers.accepted(port) - before <= attack.connections


@pytest.mark.parametrize(
    "name", [f"{group}: {name}" for group, (_, table) in SINGLE.items() for name in table]
)
async def test_an_attack_has_the_expected_result(servers: Hostile, folder: Path, name: str) -> None:
    """The event loop is not blocked, and the memory does not grow."""
    async with measured():
        await run_attack(servers, folder, name)


@pytest.mark.parametrize("group", MANY)
async def test_the_attacks_of_a_table_have_the_expected_results(
    servers: Hostile, folder: Path, group: str
) -> None:
    """They are too many for a test each."""
    async with measured():
        for name in MANY[group][1]:
            await run_attack(servers, folder, f"{group}: {name}")


@pytest.mark.parametrize("name", UNUSUAL)
async def test_other_clients_accept_the_unusual_responses_too(servers: Hostile, name: str) -> None:
    """Python's client accepts all but interim responses, and curl 7.88 accepts all."""
    port = servers.play(f"http: {name}")
    expected = 103 if name == "103 before" else 200
    assert await asyncio.to_thread(_status, port) == expected


def _status(port: int) -> int:
    with closing(HTTPConnection("127.0.0.1", port, timeout=LONG)) as connection:
        connection.request("GET", "/")
        return connection.getresponse().status

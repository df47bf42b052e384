"""What the wire does to a question: the same faults for PostgreSQL and for Redis."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest

from app.embedded import Postgres, Valkey
from app.health import Reason
from app.probes.dialer import Dialer
from app.probes.postgres import postgres as postgres_probe
from app.probes.redis import redis as redis_probe
from app.probes.session import SessionProbe
from tests.faults.fault import Blackhole, Corrupt, Cut, Fault, Refuse, Reset, Silent, Stall
from tests.faults.proxy import Proxy
from tests.probes.attempt import failure


Asking = Callable[[str], AbstractAsyncContextManager[SessionProbe]]


@pytest.fixture(name="servers", params=["postgres", "redis"])
def _servers(
    request: pytest.FixtureRequest, postgres: Postgres, valkey: Valkey
) -> Postgres | Valkey:
    return postgres if request.param == "postgres" else valkey


@pytest.fixture(name="proxy")
async def _proxy(servers: Postgres | Valkey) -> AsyncIterator[Proxy]:
    async with Proxy("127.0.0.1", servers.port) as proxy:
        yield proxy


@pytest.fixture(name="probe")
async def _probe(servers: Postgres | Valkey, proxy: Proxy) -> AsyncIterator[SessionProbe]:
    """Ask the server through the proxy."""
    url = servers.url.replace(str(servers.port), str(proxy.port))
    make = postgres_probe if isinstance(servers, Postgres) else redis_probe
    read = servers.password_file.read_text
    async with make(url, read, require="query", renew_after=15) as probe:
        yield probe


FAULTS: list[tuple[Fault, Reason]] = [
    (Refuse(), Reason.REFUSED),
    (Silent(), Reason.TIMEOUT),
    (Blackhole(), Reason.CONNECT_TIMEOUT),
    (Stall(1), Reason.TIMEOUT),
    (Reset(), Reason.DISCONNECTED),
    (Reset(1), Reason.DISCONNECTED),
    (Cut(), Reason.DISCONNECTED),
    (Cut(1), Reason.DISCONNECTED),
]


@pytest.mark.parametrize(("fault", "reason"), FAULTS, ids=str)
async def test_a_fault_before_the_first_question_is_told(
    proxy: Proxy, probe: SessionProbe, fault: Fault, reason: Reason
) -> None:
    """While connecting, introducing and authenticating; after the repair it passes."""
    proxy.break_with(fault)
    assert await failure(probe) is reason
    proxy.heal()
    await probe()


@pytest.mark.parametrize(("fault", "reason"), FAULTS, ids=str)
async def test_a_fault_between_two_questions_is_told(
    proxy: Proxy, probe: SessionProbe, fault: Fault, reason: Reason
) -> None:
    """On the session that is kept; where that is silent there is no time for another."""
    await probe()
    proxy.break_with(fault)
    silent = isinstance(fault, Blackhole)
    assert await failure(probe) is (Reason.TIMEOUT if silent else reason)
    proxy.heal()
    await probe()
    assert proxy.connections == 1


async def test_a_connection_that_is_cut_once_is_nobodys_failure(
    proxy: Proxy, probe: SessionProbe
) -> None:
    """As firewalls cut what is idle: the question passes on a new one."""
    await probe()
    proxy.break_with(Refuse())
    proxy.heal()
    await probe()
    assert proxy.accepted == 2


async def test_what_is_no_answer_is_told_as_protocol(proxy: Proxy, probe: SessionProbe) -> None:
    """Nonsense from the first byte on."""
    proxy.break_with(Corrupt())
    assert await failure(probe) is Reason.PROTOCOL
    proxy.heal()
    await probe()


async def test_an_authentication_that_nobody_speaks_is_told_as_protocol() -> None:
    """The server declines TLS and wants credentials of a kind that asyncpg does not have."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for message in (b"N", b"R\0\0\0\x08\0\0\0\x06"):
            await reader.read(1024)
            writer.write(message)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        url = f"postgresql://vitals@127.0.0.1:{port}/postgres"
        async with postgres_probe(url, None, require="query", renew_after=15) as probe:
            assert await failure(probe) is Reason.PROTOCOL


async def test_a_postgres_that_speaks_no_tls_is_told(postgres: Postgres) -> None:
    """It refuses the upgrade."""
    url = f"{postgres.url}?sslmode=require"
    read = postgres.password_file.read_text
    async with postgres_probe(url, read, require="query", renew_after=15) as probe:
        assert await failure(probe) is Reason.TLS


@pytest.mark.parametrize("scheme", ["rediss", "RedisS"])
async def test_a_redis_that_speaks_no_tls_says_nothing(valkey: Valkey, scheme: str) -> None:
    """It takes the greeting for the beginning of a command, and waits for the rest."""
    url = valkey.url.replace("redis", scheme)
    read = valkey.password_file.read_text
    async with redis_probe(url, read, require="query", renew_after=15) as probe:
        assert await failure(probe) is Reason.TIMEOUT


async def test_an_address_without_a_route_is_unreachable() -> None:
    """Nothing can be connected to the broadcast address; the kernel says so at once."""
    dialer = Dialer("255.255.255.255", 1)
    with pytest.raises(OSError, match="unreachable") as caught:
        await dialer.dial()
    assert dialer.explain(caught.value) is Reason.UNREACHABLE

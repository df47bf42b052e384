"""Network faults: the same reasons for PostgreSQL and for Redis."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest

from app.checks.session import SessionProbe
from app.health import Reason
from tests.support.devservers import Postgres, Valkey
from tests.support.faults.fault import Blackhole, Corrupt, Cut, Fault, Refuse, Reset, Silent, Stall
from tests.support.faults.postgres import OF_THE_PROBE
from tests.support.faults.proxy import Proxy
from tests.support.faults.servers import admin, sql
from tests.support.specs import postgres as postgres_probe
from tests.support.specs import redis as redis_probe
from tests.unit.checks.attempt import eventually, failure


OpenProbe = Callable[[str], AbstractAsyncContextManager[SessionProbe]]


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
    """Open a probe of the server behind the proxy."""
    url = servers.url.replace(str(servers.port), str(proxy.port))
    make = postgres_probe if isinstance(servers, Postgres) else redis_probe
    read = servers.password_file.read_text
    async with make(url, read, require="query", renew_after=86400) as probe:
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


# After how many bytes from the server a session is authenticated, but has no answer yet.
LOGIN_BYTES = {Postgres: 200, Valkey: len("+OK\r\n")}


def end_session(server: Postgres | Valkey) -> bool:
    """End the probe's session on the server, and return whether there was one."""
    if isinstance(server, Postgres):
        return bool(sql(server, f"SELECT pg_terminate_backend(pid, 5000) {OF_THE_PROBE}")[0])
    with admin(server) as client:
        named = [known["id"] for known in client.client_list() if known["name"] == "vitals"]
        return bool(named and client.client_kill_filter(_id=named[0]))


@pytest.mark.parametrize(("fault", "reason"), FAULTS, ids=str)
async def test_a_fault_before_the_first_query_has_its_reason(
    proxy: Proxy, probe: SessionProbe, fault: Fault, reason: Reason
) -> None:
    """It happens while connecting and authenticating. After the repair the check passes."""
    proxy.break_with(fault)
    assert await failure(probe) is reason
    proxy.heal()
    await probe()


@pytest.mark.parametrize(("fault", "reason"), FAULTS, ids=str)
async def test_a_fault_between_two_queries_has_its_reason(
    proxy: Proxy, probe: SessionProbe, fault: Fault, reason: Reason
) -> None:
    """If the kept session is silent, there is no time for another one."""
    await probe()
    proxy.break_with(fault)
    silent = isinstance(fault, Blackhole)
    assert await failure(probe) is (Reason.TIMEOUT if silent else reason)
    proxy.heal()
    await probe()
    assert proxy.connections == 1


async def test_a_kept_connection_that_is_cut_does_not_fail_the_attempt(
    proxy: Proxy, probe: SessionProbe
) -> None:
    """Firewalls cut idle connections. The query passes over a new one."""
    await probe()
    proxy.break_with(Refuse())
    proxy.heal()
    await probe()
    assert proxy.accepted == 2


async def test_a_session_that_is_ended_as_it_opens_does_not_fail_the_attempt(
    servers: Postgres | Valkey, proxy: Proxy, probe: SessionProbe
) -> None:
    """An administrator ends it before the client has read the end of the login."""
    proxy.break_with(Stall(LOGIN_BYTES[type(servers)]))
    attempt = asyncio.create_task(probe())
    await eventually(lambda: end_session(servers))
    proxy.heal()
    await attempt
    assert proxy.accepted == 2


async def test_garbled_data_is_protocol(proxy: Proxy, probe: SessionProbe) -> None:
    """It is garbled from the first byte on."""
    proxy.break_with(Corrupt())
    assert await failure(probe) is Reason.PROTOCOL
    proxy.heal()
    await probe()

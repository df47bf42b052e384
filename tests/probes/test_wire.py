"""What the wire does to a question: the same faults for PostgreSQL and for Redis."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest

from app.checks.postgres import postgres as postgres_probe
from app.checks.redis import redis as redis_probe
from app.checks.session import SessionProbe
from app.devservers import Postgres, Valkey
from app.health import Reason
from tests.faults.fault import Blackhole, Corrupt, Cut, Fault, Refuse, Reset, Silent, Stall
from tests.faults.postgres import OF_THE_PROBE
from tests.faults.proxy import Proxy
from tests.faults.servers import admin, sql
from tests.probes.attempt import eventually, failure


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


# How many bytes let a session authenticate and not yet ask, of either server.
WELCOMED = {Postgres: 200, Valkey: len("+OK\r\n")}


def ended(server: Postgres | Valkey) -> bool:
    """End the probe's session; tell whether there was one."""
    if isinstance(server, Postgres):
        return bool(sql(server, f"SELECT pg_terminate_backend(pid, 5000) {OF_THE_PROBE}")[0])
    with admin(server) as client:
        named = [known["id"] for known in client.client_list() if known["name"] == "vitals"]
        return bool(named and client.client_kill_filter(_id=named[0]))


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


async def test_a_session_that_is_ended_as_it_begins_is_nobodys_failure(
    servers: Postgres | Valkey, proxy: Proxy, probe: SessionProbe
) -> None:
    """An administrator ends it while the server's last words of welcome are on the way."""
    proxy.break_with(Stall(WELCOMED[type(servers)]))
    attempt = asyncio.create_task(probe())
    await eventually(lambda: ended(servers))
    proxy.heal()
    await attempt
    assert proxy.accepted == 2


async def test_what_is_no_answer_is_told_as_protocol(proxy: Proxy, probe: SessionProbe) -> None:
    """Nonsense from the first byte on."""
    proxy.break_with(Corrupt())
    assert await failure(probe) is Reason.PROTOCOL
    proxy.heal()
    await probe()

"""A primary and two streaming replicas in one URL."""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from app.checks.race import START_DELAY
from app.health import Reason
from tests.support.devservers import Postgres
from tests.support.faults.fault import Blackhole, Silent
from tests.support.faults.proxy import Proxy
from tests.support.faults.servers import frozen, killed, sql
from tests.support.specs import postgres
from tests.system.replicas import Replica
from tests.system.servers import SystemPostgres
from tests.unit.checks.attempt import eventually, failure
from tests.unit.checks.test_postgres import sessions


@pytest.fixture(name="primary", scope="module")
def _primary() -> Iterator[SystemPostgres]:
    server = SystemPostgres()
    server.arguments = ("-clog_statement=all",)
    with server:
        yield server


@pytest.fixture(name="replicas", scope="module")
def _replicas(primary: SystemPostgres) -> Iterator[list[Replica]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Replica(primary)) for _ in range(2)]


def opening(
    servers: Sequence[Postgres | Proxy], attributes: str, *, depth: str = "query"
) -> contextlib.AbstractAsyncContextManager[Any]:
    """Open a probe of several servers of one cluster."""
    (password, *_) = [one.password_file for one in servers if isinstance(one, Postgres)]
    hosts = ",".join(f"127.0.0.1:{server.port}" for server in servers)
    url = f"postgresql://vitals@{hosts}/postgres?target_session_attrs={attributes}"
    return postgres(url, password.read_text, require=depth, renew_after=86400)


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ("read-write", Reason.NO_PRIMARY),
        ("primary", Reason.NO_PRIMARY),
        ("read-only", None),
        ("standby", None),
        ("prefer-standby", None),
        ("any", None),
    ],
)
@pytest.mark.parametrize("depth", ["connect", "query"])
async def test_a_replica_qualifies_by_its_attributes(
    replicas: list[Replica], attributes: str, reason: Reason | None, depth: str
) -> None:
    async with opening(replicas, attributes, depth=depth) as probe:
        if reason:
            assert await failure(probe) is reason
        else:
            await probe()


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ("read-write", None),
        ("primary", None),
        ("read-only", Reason.NOT_REPLICA),
        ("standby", Reason.NOT_REPLICA),
        ("prefer-standby", None),
    ],
)
async def test_a_primary_qualifies_by_its_attributes(
    primary: SystemPostgres, attributes: str, reason: Reason | None
) -> None:
    """One host is a list of one."""
    async with opening([primary], attributes) as probe:
        if reason:
            assert await failure(probe) is reason
        else:
            await probe()


async def test_the_primary_is_found_among_replicas(
    primary: SystemPostgres, replicas: list[Replica]
) -> None:
    """It alone has a session."""
    async with opening([*replicas, primary], "read-write") as probe:
        for _ in range(3):
            await probe()
        await eventually(lambda: [sessions(one) for one in (*replicas, primary)] == [0, 0, 1])


async def test_a_writable_server_is_found_without_attributes(
    primary: SystemPostgres, replicas: list[Replica]
) -> None:
    async with opening([*replicas, primary], "any", depth="writable") as probe:
        await probe()
    async with opening(replicas, "any", depth="writable") as probe:
        assert await failure(probe) is Reason.READ_ONLY


@pytest.mark.parametrize("fault", [Blackhole(), Silent()], ids=str)
async def test_a_silent_host_does_not_hide_the_next(
    primary: SystemPostgres, replicas: list[Replica], fault: Silent
) -> None:
    """Neither at the first connection nor when the host with the session goes silent."""
    async with Proxy("127.0.0.1", primary.port) as proxy:
        async with opening([proxy, primary], "read-write") as probe:
            await probe()
            assert proxy.connections == 1
            proxy.break_with(fault)
            async with asyncio.timeout(START_DELAY + 0.5):
                await probe()
        async with opening([proxy, primary], "read-write") as probe:
            async with asyncio.timeout(START_DELAY + 0.5):
                await probe()
        async with opening([proxy, *replicas], "primary") as probe:
            silent = Reason.CONNECT_TIMEOUT if isinstance(fault, Blackhole) else Reason.TIMEOUT
            assert await failure(probe, within=1) is silent


async def test_a_host_that_is_down_has_the_reason(
    primary: SystemPostgres, replicas: list[Replica]
) -> None:
    """Its answer could be another one than that of the replicas."""
    async with opening([*replicas, primary], "read-write") as probe:
        await probe()
        with killed(primary):
            assert await failure(probe) is Reason.REFUSED
        await probe()
        with frozen(primary):
            assert await failure(probe, within=1) is Reason.TIMEOUT
        await probe()


async def test_a_promotion_in_place_shows_at_the_next_attempt(primary: SystemPostgres) -> None:
    """Open sessions survive it."""
    with Replica(primary) as replica:
        async with (
            opening([replica], "standby") as standby,
            opening([replica], "read-write") as writable,
        ):
            await standby()
            assert await failure(writable) is Reason.NO_PRIMARY
            pids = "SELECT pid FROM pg_stat_activity WHERE application_name = $$vitals$$"
            before = sql(replica, pids)
            assert sql(replica, "SELECT pg_promote()")[0] == [(True,)]
            assert sql(replica, pids) == before
            assert await failure(standby) is Reason.NOT_REPLICA
            await writable()


@pytest.mark.parametrize("attributes", ["any", "read-write"])
async def test_an_attempt_is_one_command(primary: SystemPostgres, attributes: str) -> None:
    """On a new session and on a kept one, with attributes or without."""
    before = len(primary.log.read_text())
    async with opening([primary], attributes) as probe:
        for _ in range(3):
            await probe()
    assert primary.log.read_text()[before:].count("statement: ") == 3

"""The depth `replica`: a primary, and a streaming replica that reaches it through a proxy."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from app.health import Reason
from tests.support.faults.fault import Refuse
from tests.support.faults.proxy import Proxy, proxy_in_thread
from tests.support.faults.servers import sql
from tests.support.specs import postgres
from tests.system.asking import wait_until_passing
from tests.system.replicas import Replica
from tests.system.servers import SystemPostgres
from tests.unit.checks.attempt import failure


MAX_LAG = 0.2
OpenProbe = Callable[..., contextlib.AbstractAsyncContextManager[Any]]


@pytest.fixture(name="primary", scope="module")
def _primary() -> Iterator[SystemPostgres]:
    with SystemPostgres() as server:
        password = server.password_file.read_text()
        role = f"CREATE ROLE probed LOGIN PASSWORD '{password}'"  # no grant is needed
        sql(server, role, "CREATE TABLE filled (number int)")
        yield server


@pytest.fixture(name="link", scope="module")
def _link(primary: SystemPostgres) -> Iterator[Proxy]:
    with proxy_in_thread("127.0.0.1", primary.port) as proxy:
        yield proxy


@pytest.fixture(name="replica", scope="module")
def _replica(primary: SystemPostgres, link: Proxy) -> Iterator[Replica]:
    with Replica(primary, link.port) as replica:
        wait_for(replica, "EXISTS (SELECT FROM pg_stat_wal_receiver)")
        yield replica


@pytest.fixture(name="opening")
def _opening(replica: Replica) -> OpenProbe:
    def opening(**options: Any) -> contextlib.AbstractAsyncContextManager[Any]:
        url = replica.url.replace("vitals@", "probed@")
        read = replica.password_file.read_text
        return postgres(url, read, require="replica", renew_after=86400, **options)

    return opening


@pytest.fixture(name="probe")
async def _probe(opening: OpenProbe) -> AsyncIterator[Any]:
    """Open a probe of the replica with a limit."""
    async with opening(max_lag=MAX_LAG) as probe:
        yield probe


def commit(primary: SystemPostgres) -> None:
    """Write something."""
    sql(primary, "INSERT INTO filled VALUES (1)")


def column(server: SystemPostgres, expression: str) -> Any:
    """Return the value of an expression."""
    return sql(server, f"SELECT {expression}")[0][0][0]


def position(server: SystemPostgres, function: str) -> str:
    """Return a position in the write-ahead log."""
    return str(column(server, f"{function}()::text"))


@contextlib.contextmanager
def paused(primary: SystemPostgres, replica: Replica) -> Iterator[None]:
    """Pause the replay before a transaction that the replica has received, until it is too old."""
    commit(primary)
    current = position(primary, "pg_current_wal_lsn")
    wait_for(replica, f"pg_last_wal_replay_lsn() >= '{current}'")
    sql(replica, "SELECT pg_wal_replay_pause()")
    try:
        wait_for(replica, "pg_get_wal_replay_pause_state() = 'paused'")
        commit(primary)
        wait_for(replica, "pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()")
        wait_for(replica, f"now() - pg_last_xact_replay_timestamp() > interval '{MAX_LAG} s'")
        yield
    finally:
        sql(replica, "SELECT pg_wal_replay_resume()")


def wait_for(server: SystemPostgres, condition: str) -> None:
    """Wait until a condition of SQL is true."""
    while not column(server, condition):
        pass


async def test_a_replica_that_has_replayed_all_passes(probe: Any) -> None:
    await probe()
    assert probe.facts().replication_lag == 0


async def test_an_idle_primary_makes_no_lag(
    primary: SystemPostgres, replica: Replica, probe: Any
) -> None:
    """Nor does its first transaction after that, at any moment of its replay."""
    commit(primary)
    for _ in range(10):
        wait_for(replica, f"now() - pg_last_xact_replay_timestamp() > interval '{MAX_LAG} s'")
        await probe()
        commit(primary)
        for _ in range(10):
            await probe()
        wait_for(replica, f"now() - pg_last_xact_replay_timestamp() > interval '{MAX_LAG} s'")
        commit(primary)
        await probe()  # the attempt before is too long ago to compare with


async def test_a_lag_that_is_shorter_than_the_interval_shows(
    primary: SystemPostgres, replica: Replica, probe: Any
) -> None:
    """The replica has always replayed what it had received at the attempt before."""
    sql(replica, "ALTER SYSTEM SET recovery_min_apply_delay = '1s'", "SELECT pg_reload_conf()")
    try:
        for _ in range(3):
            commit(primary)
            received = position(primary, "pg_current_wal_lsn")
            for _ in range(15):
                commit(primary)
                await asyncio.sleep(0.1)
            wait_for(replica, f"pg_last_wal_replay_lsn() >= '{received}'")
            assert await failure(probe) is Reason.LAGGING
    finally:
        sql(replica, "ALTER SYSTEM RESET recovery_min_apply_delay", "SELECT pg_reload_conf()")
    await wait_until_passing(probe)


async def test_a_paused_replay_is_lagging(
    primary: SystemPostgres, replica: Replica, probe: Any
) -> None:
    """Open sessions and new ones find out. It passes when the replay has caught up."""
    await probe()
    with paused(primary, replica):
        for _ in range(3):
            assert await failure(probe) is Reason.LAGGING
        assert probe.facts().replication_lag > MAX_LAG
    await wait_until_passing(probe)
    await probe()
    assert probe.facts().replication_lag == 0


async def test_the_first_attempt_finds_a_lag(
    primary: SystemPostgres, replica: Replica, probe: Any
) -> None:
    """`vitals doctor` makes only one."""
    with paused(primary, replica):
        assert await failure(probe) is Reason.LAGGING


async def test_a_replica_that_has_replayed_nothing_since_its_start_is_lagging(
    primary: SystemPostgres,
) -> None:
    """Its start takes the place of a last transaction. An idle primary makes no lag here either."""
    with Replica(primary) as fresh:
        sql(fresh, "SELECT pg_wal_replay_pause()")
        wait_for(fresh, "pg_get_wal_replay_pause_state() = 'paused'")
        wait_for(fresh, "EXISTS (SELECT FROM pg_stat_wal_receiver)")
        wait_for(fresh, f"now() - pg_postmaster_start_time() > interval '{MAX_LAG} s'")
        url, read = fresh.url, fresh.password_file.read_text
        async with postgres(
            url, read, require="replica", renew_after=86400, max_lag=MAX_LAG
        ) as probe:
            await probe()
            commit(primary)
            wait_for(fresh, "pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()")
            assert column(fresh, "pg_last_xact_replay_timestamp()") is None
            await asyncio.sleep(MAX_LAG)
            assert await failure(probe) is Reason.LAGGING
            sql(fresh, "SELECT pg_wal_replay_resume()")
            await wait_until_passing(probe)


async def test_without_a_limit_the_lag_is_measured_only(
    primary: SystemPostgres, replica: Replica, opening: OpenProbe
) -> None:
    async with opening() as probe:
        with paused(primary, replica):
            await probe()
            assert probe.facts().replication_lag > MAX_LAG


async def test_a_replica_that_receives_nothing_is_lagging(
    replica: Replica, link: Proxy, probe: Any, opening: OpenProbe
) -> None:
    """Without a limit it passes."""
    await probe()
    async with opening() as unlimited:
        link.break_with(Refuse())
        try:
            wait_for(replica, "NOT EXISTS (SELECT FROM pg_stat_wal_receiver)")
            assert await failure(probe) is Reason.LAGGING
            await unlimited()
        finally:
            link.heal()
    await wait_until_passing(probe)


async def test_a_replica_that_restores_an_archive_needs_no_receiver(
    replica: Replica, link: Proxy, probe: Any
) -> None:
    link.break_with(Refuse())
    sql(replica, "ALTER SYSTEM SET restore_command = 'false'", "SELECT pg_reload_conf()")
    try:
        wait_for(replica, "NOT EXISTS (SELECT FROM pg_stat_wal_receiver)")
        wait_for(replica, "current_setting('restore_command') = 'false'")
        await probe()
    finally:
        link.heal()
        sql(replica, "ALTER SYSTEM RESET restore_command", "SELECT pg_reload_conf()")


async def test_a_primary_is_not_a_replica(primary: SystemPostgres) -> None:
    url, read = primary.url, primary.password_file.read_text
    async with postgres(url, read, require="replica", renew_after=86400, max_lag=MAX_LAG) as probe:
        assert await failure(probe) is Reason.NOT_REPLICA


async def test_a_promoted_replica_is_not_a_replica(primary: SystemPostgres) -> None:
    """The open session finds out."""
    with Replica(primary) as promoted:
        url, read = promoted.url, promoted.password_file.read_text
        async with postgres(url, read, require="replica", renew_after=86400) as probe:
            await probe()
            assert column(promoted, "pg_promote()")
            assert await failure(probe) is Reason.NOT_REPLICA

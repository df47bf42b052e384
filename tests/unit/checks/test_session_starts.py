"""Logins that a server blocks: only a few are pending, and the first that opens is used."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Hashable
from dataclasses import dataclass
from itertools import pairwise

import asyncpg
import pytest

from app.checks.session import (
    LOGINS_BLOCKED,
    MAX_PAUSE,
    MAX_PENDING,
    MIN_PAUSE,
    SessionOpener,
)
from app.health import Reason
from tests.support.devservers import Postgres
from tests.support.faults.servers import tree
from tests.support.specs import postgres
from tests.unit.checks.attempt import eventually, failure
from tests.unit.checks.test_postgres import sessions


@dataclass
class FakeConnection:
    """A connection to a server."""

    address: Hashable = "first"
    has_answered: bool = True


class Logins:
    """Pending logins; a test completes each through its future, with the number of its session."""

    def __init__(self) -> None:
        self.now = 0.0
        self.discarded: list[int] = []
        self.futures: list[asyncio.Future[int]] = []
        self.opener = SessionOpener(lambda: self.now, self.discarded.append)

    def start(self, connection: FakeConnection | None = None) -> None:
        """Start another login."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.futures.append(future)
        self.opener.start(connection or FakeConnection(), _awaited(future))

    async def attempt(self) -> asyncio.Task[int]:
        """Start to wait for the first session, as an attempt does."""
        task = asyncio.create_task(self.opener.wait_first())
        await asyncio.sleep(0)
        return task


async def _awaited(future: asyncio.Future[int]) -> int:
    return await future


@pytest.fixture(name="logins")
async def _logins() -> AsyncIterator[Logins]:
    logins = Logins()
    yield logins
    logins.opener.close()


async def test_the_session_of_an_earlier_attempt_is_used(logins: Logins) -> None:
    """The other logins are cancelled."""
    logins.start()
    (await logins.attempt()).cancel()
    logins.start()
    attempt = await logins.attempt()
    logins.futures[0].set_result(1)
    assert await attempt == 1
    await asyncio.sleep(0)
    assert logins.futures[1].cancelled()


async def test_a_second_session_that_opens_is_discarded(logins: Logins) -> None:
    """It would occupy a slot of the server."""
    logins.start()
    logins.start()
    for number, future in enumerate(logins.futures):
        future.set_result(number)
    await asyncio.sleep(0.01)
    assert await (await logins.attempt()) + sum(logins.discarded) == 1


async def test_a_session_that_opened_between_two_attempts_is_discarded(logins: Logins) -> None:
    """The server may have frozen since."""
    logins.start()
    (await logins.attempt()).cancel()
    logins.futures[0].set_result(7)
    await asyncio.sleep(0.01)
    logins.opener.discard_stale()
    logins.start()
    attempt = await logins.attempt()
    assert logins.discarded == [7]
    assert not attempt.done()
    logins.futures[1].set_result(8)
    assert await attempt == 8


async def test_the_newest_login_decides_whether_an_attempt_fails(logins: Logins) -> None:
    """An earlier login may have failed for a reason that is gone."""
    logins.start()
    logins.start()
    attempt = await logins.attempt()
    logins.futures[0].set_exception(OSError("earlier"))
    await asyncio.sleep(0.01)
    assert not attempt.done()
    logins.futures[1].set_exception(OSError("newest"))
    with pytest.raises(OSError, match="newest"):
        await attempt


async def test_a_session_that_opens_outweighs_failures_at_the_same_time(logins: Logins) -> None:
    """A server that is unblocked answers all pending logins, and may have no slot for the last."""
    for _ in range(MAX_PENDING):
        logins.start()
    attempt = await logins.attempt()
    logins.futures[1].set_result(1)
    for number in (0, 2):
        logins.futures[number].set_exception(OSError("no slot"))
    assert await attempt == 1


async def test_few_logins_are_pending(logins: Logins) -> None:
    """Another starts after a pause, which grows with the time without any answer."""
    started = list[int]()
    for second in range(3600):
        logins.now = float(second)
        logins.opener.discard_stale()
        if logins.opener.may_start(FakeConnection()):
            logins.start()
            started.append(second)
    assert started[:MAX_PENDING] == [0, 1, 2]
    assert started[MAX_PENDING] == 2 + MIN_PAUSE + 1
    assert len(started) < 50
    assert max(after - before for before, after in pairwise(started)) <= MAX_PAUSE + 1
    assert logins.opener.describe() == f"{LOGINS_BLOCKED}, for 3599 s"


async def test_a_login_at_another_address_may_start(logins: Logins) -> None:
    """After a failover the name resolves to another server."""
    for _ in range(MAX_PENDING):
        logins.start()
    assert not logins.opener.may_start(FakeConnection())
    assert logins.opener.may_start(FakeConnection("second"))


async def test_a_login_without_any_answer_does_not_count(logins: Logins) -> None:
    """It occupies no process, and a proxy may lead to another server by now."""
    for _ in range(MAX_PENDING):
        logins.start(FakeConnection(has_answered=False))
    logins.opener.discard_stale()
    assert logins.opener.may_start(FakeConnection())
    assert logins.opener.describe() == ""


async def test_a_server_that_blocks_logins_keeps_its_slots(own_postgres: Postgres) -> None:
    """A lock on pg_authid blocks them. When it is released, the check passes at once."""
    read = own_postgres.password_file.read_text
    holder = await asyncpg.connect(own_postgres.url, password=read(), ssl=False)
    opening = postgres(own_postgres.url, read, require="query", renew_after=86400)
    async with opening as probe, contextlib.AsyncExitStack() as stack:
        stack.callback(holder.terminate)
        before = len(tree(own_postgres))
        await holder.execute("BEGIN; LOCK pg_catalog.pg_authid IN ACCESS EXCLUSIVE MODE")
        for _ in range(3 * MAX_PENDING):
            assert await failure(probe, within=0.1) is Reason.TIMEOUT
        late = TimeoutError()
        probe.explain(late)
        assert late.__notes__[0].startswith(LOGINS_BLOCKED)
        await eventually(lambda: len(tree(own_postgres)) <= before + MAX_PENDING)
        await holder.execute("COMMIT")
        await probe()
        await eventually(lambda: sessions(own_postgres) == 1)
    await eventually(lambda: sessions(own_postgres) == 0)

"""Logins that a server holds up: they do not add up, and the first that is answered is used."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Hashable
from dataclasses import dataclass
from itertools import pairwise

import asyncpg
import pytest

from app.checks.postgres import postgres
from app.checks.session import (
    HELD_UP,
    LONGEST_PAUSE,
    MAX_UNANSWERED,
    SHORTEST_PAUSE,
    SessionOpener,
)
from app.devservers import Postgres
from app.health import Reason
from tests.faults.servers import tree
from tests.probes.attempt import eventually, failure
from tests.probes.test_postgres import sessions


@dataclass
class Server:
    """The other side of a connection."""

    address: Hashable = "first"
    has_answered: bool = True


class Starts:
    """Sessions, by number, that start when a test wants it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.discarded: list[int] = []
        self.futures: list[asyncio.Future[int]] = []
        self.known = SessionOpener(lambda: self.now, self.discarded.append)

    def begin(self, server: Server | None = None) -> None:
        """Begin another one."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.futures.append(future)
        self.known.begin(server or Server(), _awaited(future))

    async def attempt(self) -> asyncio.Task[int]:
        """Wait for the first, as an attempt does."""
        task = asyncio.create_task(self.known.first())
        await asyncio.sleep(0)
        return task


async def _awaited(future: asyncio.Future[int]) -> int:
    return await future


@pytest.fixture(name="starts")
async def _starts() -> AsyncIterator[Starts]:
    starts = Starts()
    yield starts
    starts.known.close()


async def test_a_session_that_an_earlier_attempt_began_is_used(starts: Starts) -> None:
    """And the others are given up."""
    starts.begin()
    (await starts.attempt()).cancel()
    starts.begin()
    attempt = await starts.attempt()
    starts.futures[0].set_result(1)
    assert await attempt == 1
    await asyncio.sleep(0)
    assert starts.futures[1].cancelled()


async def test_one_that_started_too_late_is_discarded(starts: Starts) -> None:
    """As the server holds it, and nothing asks it."""
    starts.begin()
    starts.begin()
    for number, future in enumerate(starts.futures):
        future.set_result(number)
    await asyncio.sleep(0.01)
    assert await (await starts.attempt()) + sum(starts.discarded) == 1


async def test_one_that_was_answered_between_two_attempts_is_discarded(starts: Starts) -> None:
    """The server may have frozen since."""
    starts.begin()
    (await starts.attempt()).cancel()
    starts.futures[0].set_result(7)
    await asyncio.sleep(0.01)
    starts.known.prepare()
    starts.begin()
    attempt = await starts.attempt()
    assert starts.discarded == [7]
    assert not attempt.done()
    starts.futures[1].set_result(8)
    assert await attempt == 8


async def test_the_newest_one_decides_where_it_fails(starts: Starts) -> None:
    """An earlier one's failure may be a thing of the past."""
    starts.begin()
    starts.begin()
    attempt = await starts.attempt()
    starts.futures[0].set_exception(OSError("earlier"))
    await asyncio.sleep(0.01)
    assert not attempt.done()
    starts.futures[1].set_exception(OSError("newest"))
    with pytest.raises(OSError, match="newest"):
        await attempt


async def test_a_success_counts_for_more_than_a_failure_beside_it(starts: Starts) -> None:
    """A server that is released answers all that wait, and may have no slot for the last."""
    for _ in range(MAX_UNANSWERED):
        starts.begin()
    attempt = await starts.attempt()
    starts.futures[1].set_result(1)
    for number in (0, 2):
        starts.futures[number].set_exception(OSError("no slot"))
    assert await attempt == 1


async def test_there_are_few_unanswered_ones(starts: Starts) -> None:
    """Another begins after a pause, which grows with the time for which nothing is answered."""
    begun = list[int]()
    for second in range(3600):
        starts.now = float(second)
        starts.known.prepare()
        if starts.known.has_room(Server()):
            starts.begin()
            begun.append(second)
    assert begun[:MAX_UNANSWERED] == [0, 1, 2]
    assert begun[MAX_UNANSWERED] == 2 + SHORTEST_PAUSE + 1
    assert len(begun) < 50
    assert max(after - before for before, after in pairwise(begun)) <= LONGEST_PAUSE + 1
    assert starts.known.describe() == f"{HELD_UP}, for 3599 s"


async def test_another_address_has_room(starts: Starts) -> None:
    """After a failover the name leads to a server that works."""
    for _ in range(MAX_UNANSWERED):
        starts.begin()
    assert not starts.known.has_room(Server())
    assert starts.known.has_room(Server("second"))


async def test_one_that_was_never_answered_holds_no_place(starts: Starts) -> None:
    """No process is known to wait for it, and a proxy may lead to another server by now."""
    for _ in range(MAX_UNANSWERED):
        starts.begin(Server(has_answered=False))
    starts.known.prepare()
    assert starts.known.has_room(Server())
    assert starts.known.describe() == ""


async def test_a_server_that_holds_up_logins_keeps_its_slots(own_postgres: Postgres) -> None:
    """As a lock on pg_authid does; when it is released, the check passes at once."""
    read = own_postgres.password_file.read_text
    holder = await asyncpg.connect(own_postgres.url, password=read(), ssl=False)
    opening = postgres(own_postgres.url, read, require="query", renew_after=86400)
    async with opening as probe, contextlib.AsyncExitStack() as stack:
        stack.callback(holder.terminate)
        before = len(tree(own_postgres))
        await holder.execute("BEGIN; LOCK pg_catalog.pg_authid IN ACCESS EXCLUSIVE MODE")
        for _ in range(3 * MAX_UNANSWERED):
            assert await failure(probe, within=0.1) is Reason.TIMEOUT
        late = TimeoutError()
        probe.explain(late)
        assert late.__notes__[0].startswith(HELD_UP)
        await eventually(lambda: len(tree(own_postgres)) <= before + MAX_UNANSWERED)
        await holder.execute("COMMIT")
        await probe()
        await eventually(lambda: sessions(own_postgres) == 1)
    await eventually(lambda: sessions(own_postgres) == 0)

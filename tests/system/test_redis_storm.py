"""Random faults of Sentinels and their primary: a client that writes agrees with the check."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import pytest
from redis.asyncio.sentinel import Sentinel as SentinelClient
from redis.exceptions import RedisError

from app.checks.kind import CheckSpec, Resources
from app.checks.redis import KIND, RedisOptions
from app.health import Check, Clock, Monitor, Status
from tests.faults.servers import command, freeze, kill, thaw
from tests.system.redis_sentinel import PASSWORD, SENTINEL_PASSWORD, SERVICE, SentinelGroup


pytestmark = pytest.mark.alone

INTERVAL, TIMEOUT = 0.1, 0.6
BOUND = INTERVAL + TIMEOUT + 0.5
ROUNDS = 4

# Seconds between two writes.
PAUSE = 0.05

SECRETS = {"it_password": PASSWORD, "it_sentinel_password": SENTINEL_PASSWORD}

Write = Callable[[], Awaitable[object]]


class Witness:
    """Writes again and again, and measures how long the check and its writes disagree.

    Attributes:
        longest: the longest disagreement in seconds.
        results: how often writes have passed and failed.
    """

    def __init__(self, monitor: Monitor, write: Write) -> None:
        self._monitor = monitor
        self._write = write
        self.longest = 0.0
        self.results = {True: 0, False: 0}

    async def run(self) -> None:
        """Write until cancelled."""
        agreed_at = time.monotonic()
        while True:
            result = await self._try_write()
            self.results[result] += 1
            is_passing = self._monitor.report().checks[0].status is Status.PASS
            now = time.monotonic()
            if result is is_passing:
                agreed_at = now
            self.longest = max(self.longest, now - agreed_at)
            await asyncio.sleep(PAUSE)

    async def _try_write(self) -> bool:
        try:
            async with asyncio.timeout(TIMEOUT):
                await self._write()
        except (RedisError, OSError, RuntimeError):  # uvloop's error of a closed connection
            return False
        return True


@asynccontextmanager
async def observed(url: str, write: Write) -> AsyncIterator[Witness]:
    """Run a check of a URL, and a client that writes."""
    options = RedisOptions.model_validate({"url": url, "depth": "writable"})
    resources = Resources(SECRETS.__getitem__, 15, has_secret=lambda name: name in SECRETS)
    async with open_monitor(CheckSpec("it", KIND, options), resources) as monitor:
        witness = Witness(monitor, write)
        task = asyncio.create_task(witness.run())
        try:
            yield witness
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@asynccontextmanager
async def open_monitor(
    spec: CheckSpec[RedisOptions], resources: Resources
) -> AsyncIterator[Monitor]:
    """Run the check, and wait for its first result."""
    opening: AbstractAsyncContextManager[Any] = KIND.open(spec, resources)
    async with opening as probe:
        check = Check(
            name="it", probe=probe, explain=probe.explain, interval=INTERVAL, timeout=TIMEOUT
        )
        async with Monitor([check], clock=Clock()) as monitor:
            while not monitor.report().complete:
                await asyncio.sleep(INTERVAL)
            yield monitor


async def test_a_client_of_sentinels_agrees_with_the_check() -> None:
    """Except for the bound and the client's own timeout."""
    rng = random.Random(29)
    with SentinelGroup() as group:
        addresses = [("127.0.0.1", one.port) for one in group.sentinels]
        own = {"password": SENTINEL_PASSWORD, "socket_timeout": TIMEOUT / 4}
        client = SentinelClient(addresses, sentinel_kwargs=own)  # type: ignore[no-untyped-call]
        primary = client.master_for(SERVICE, password=PASSWORD, socket_timeout=TIMEOUT)
        hosts = ",".join(f"{host}:{port}" for host, port in addresses)
        async with observed(
            f"redis+sentinel://{hosts}/{SERVICE}", lambda: primary.set("key", "value")
        ) as witness:
            for _ in range(ROUNDS):
                fault = rng.choice([break_primary, hand_over, break_sentinel])
                await asyncio.to_thread(fault, group, rng)
        for one in (primary, *client.sentinels):
            await one.connection_pool.disconnect()
    assert min(witness.results.values()) > 0
    assert witness.longest < BOUND + TIMEOUT, witness.longest


def break_primary(group: SentinelGroup, rng: random.Random) -> None:
    """Freeze or kill the primary, until another one is promoted."""
    old = group.primary
    is_killed = rng.random() < 1 / 2
    (kill if is_killed else freeze)(old)
    group.wait_failover(old)
    old.start() if is_killed else thaw(old)
    group.wait_healthy()


def hand_over(group: SentinelGroup, rng: random.Random) -> None:
    """Promote another primary on request."""
    old = group.primary
    command(rng.choice(group.sentinels), "SENTINEL", "FAILOVER", SERVICE)
    group.wait_failover(old)
    group.wait_healthy()


def break_sentinel(group: SentinelGroup, rng: random.Random) -> None:
    """Freeze a Sentinel for a while."""
    sentinel = rng.choice(group.sentinels)
    freeze(sentinel)
    time.sleep(BOUND)
    thaw(sentinel)
    group.wait_healthy()

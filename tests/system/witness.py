"""A client that writes to a store, and how long the check of that store disagrees with it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from app.checks.kind import CheckSpec, Resources
from app.checks.registry import BY_SCHEME
from app.health import Check, Clock, Monitor, Status


# Seconds, as is BOUND: from a fault or a repair until the check must show it.
INTERVAL, TIMEOUT = 0.1, 0.6
BOUND = INTERVAL + TIMEOUT + 0.5

# Seconds between two writes.
PAUSE = 0.05

Write = Callable[[], Awaitable[object]]


class Witness:
    """Writes again and again, and measures how long the check and its writes disagree.

    Attributes:
        longest: the longest disagreement in seconds.
        outage: seconds for which no write passed, at the longest. A check that is always green
            would disagree for as long.
        results: how often writes have passed and failed.
        is_over: whether the current write is the last one.
    """

    def __init__(self, monitor: Monitor, write: Write) -> None:
        self._monitor = monitor
        self._write = write
        self.is_over = False
        self.longest = self.outage = 0.0
        self.results = {True: 0, False: 0}

    async def run(self) -> None:
        """Write until it is over."""
        agreed_at = written_at = time.monotonic()
        while not self.is_over:
            result = await self._try_write()
            self.results[result] += 1
            is_passing = self._monitor.report().checks[0].status is Status.PASS
            now = time.monotonic()
            if result is is_passing:
                agreed_at = now
            if result:
                written_at = now
            self.longest = max(self.longest, now - agreed_at)
            self.outage = max(self.outage, now - written_at)
            await asyncio.sleep(PAUSE)

    async def _try_write(self) -> bool:
        try:
            async with asyncio.timeout(TIMEOUT):
                await self._write()
        except Exception:  # noqa: BLE001 - drivers have many errors
            return False
        return True


@asynccontextmanager
async def observed(
    options: Mapping[str, Any], secrets: Mapping[str, str], write: Write
) -> AsyncIterator[Witness]:
    """Run a check named `it` with these options and, from its first result on, a client."""
    kind = BY_SCHEME[options["url"].partition(":")[0]]
    spec = CheckSpec("it", kind, kind.options.model_validate({**options, "timeout": TIMEOUT}))
    resources = Resources(secrets.__getitem__, 15, has_secret=secrets.__contains__)
    async with kind.open(spec, resources) as probe:
        check = Check(
            name="it", probe=probe, explain=probe.explain, interval=INTERVAL, timeout=TIMEOUT
        )
        async with Monitor([check], clock=Clock()) as monitor:
            while not monitor.report().complete:
                await asyncio.sleep(INTERVAL)
            witness = Witness(monitor, write)
            task = asyncio.create_task(witness.run())
            try:
                yield witness
            finally:
                witness.is_over = True
                await task

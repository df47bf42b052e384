"""A fleet of instances, each with the service's own monitor and probe, that share a database."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from app.check_factory import make_check
from app.checks.session import SessionProbe
from app.health import Clock, Monitor, Reason, Status
from app.settings import Settings
from benchmarks.simulation.database import Database, Session


# Seconds between two samples of readiness.
SAMPLE = 0.1

DEFAULTS = {name: field.default for name, field in Settings.model_fields.items()}
DEFAULTS["database_url"] = "postgresql://user@host/database"


def make_settings(**changes: Any) -> Settings:
    """Return the default settings with *changes*, independent of the environment."""
    return Settings(**{**DEFAULTS, **changes})


class Fleet:
    """Instances with the same settings.

    Attributes:
        ready: share of ready instances by time.
        transitions: number of status changes of all instances, without their first results.

    Args:
        jitter: replaces the random numbers in the intervals.
    """

    def __init__(
        self,
        size: int,
        settings: Settings,
        database: Database,
        seed: int,
        jitter: Callable[[], float] | None = None,
    ) -> None:
        self.size = size
        self.ready: dict[float, float] = {}
        self.transitions = -size
        self._random = random.Random(seed)  # noqa: S311 - the same seed must give the same run
        self._jitter = jitter or self._random.random
        self._settings = settings
        self._database = database
        self._monitors = list[Monitor]()

    def _create_instance(self) -> Monitor:
        now = asyncio.get_running_loop().time
        opens_each_time = self._settings.postgres_depth == "connect"

        async def connect() -> Session:
            session = await self._database.connect()
            session.runs_statement = not opens_each_time
            return session

        renew_after = 0 if opens_each_time else self._settings.reconnect_interval
        probe = SessionProbe(connect, lambda _: Reason.ERROR, renew_after, now, self._random.random)
        monitor = Monitor(
            [make_check(self._settings.check_specs[0], probe)],
            clock=Clock(steady=now, wall=now),
            jitter=self._jitter,
        )
        monitor.subscribe(on_transition=lambda _transition, _cause: self._count_transition())
        return monitor

    def _count_transition(self) -> None:
        self.transitions += 1

    @asynccontextmanager
    async def running(self, within: float) -> AsyncIterator[None]:
        """Start all instances *within* seconds, and sample readiness until the block ends."""
        now = asyncio.get_running_loop().time
        starts = sorted(self._random.uniform(0, within) for _ in range(self.size))
        async with AsyncExitStack() as stack:
            for start in starts:
                await asyncio.sleep(start - now())
                monitor = self._create_instance()  # now, because its ticks count from its creation
                self._monitors.append(await stack.enter_async_context(monitor))
            await asyncio.sleep(SAMPLE)
            sampling = asyncio.create_task(self._sample())
            yield
            sampling.cancel()

    async def _sample(self) -> None:
        now = asyncio.get_running_loop().time
        started = now()
        for step in itertools.count():
            await asyncio.sleep(started + step * SAMPLE - now())
            failing = sum(monitor.report().status is Status.FAIL for monitor in self._monitors)
            self.ready[now()] = 1 - failing / self.size

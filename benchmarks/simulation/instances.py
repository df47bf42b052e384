"""Many instances, each with a monitor and a probe of the service's own, beside one database."""

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


# Seconds between two looks at who is ready.
LOOK = 0.1

DEFAULTS = {name: field.default for name, field in Settings.model_fields.items()}


def setting(**changes: Any) -> Settings:
    """Tell the settings, whatever the environment says: the defaults but for what is named."""
    return Settings(**{**DEFAULTS, **changes})


class Fleet:
    """Instances under the same settings.

    Attributes:
        ready: the share of them that is ready, by the moment.
        turns: how often any of them has turned, its first result apart.

    Args:
        jitter: takes the place of chance in the intervals.

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
        self.turns = -size
        self._random = random.Random(seed)  # noqa: S311 - the same seed has to give the same run
        self._jitter = jitter or self._random.random
        self._settings = settings
        self._database = database
        self._monitors = [self._instance() for _ in range(size)]

    def _instance(self) -> Monitor:
        now = asyncio.get_running_loop().time
        opens_each_time = self._settings.postgres_require == "connect"

        async def connect() -> Session:
            session = await self._database.connect()
            session.asks = not opens_each_time
            return session

        lasting = 0 if opens_each_time else self._settings.reconnect_interval
        probe = SessionProbe(connect, lambda _: Reason.ERROR, lasting, now, self._random.random)
        return Monitor(
            [make_check("postgres", probe, self._settings)],
            clock=Clock(steady=now, wall=now),
            on_transition=lambda _transition, _cause: self._count(),
            jitter=self._jitter,
        )

    def _count(self) -> None:
        self.turns += 1

    @asynccontextmanager
    async def running(self, within: float) -> AsyncIterator[None]:
        """Start all of them *within* so many seconds, and look who is ready until the end."""
        now = asyncio.get_running_loop().time
        starts = sorted(self._random.uniform(0, within) for _ in self._monitors)
        async with AsyncExitStack() as stack:
            for moment, monitor in zip(starts, self._monitors, strict=True):
                await asyncio.sleep(moment - now())
                await stack.enter_async_context(monitor)
            await asyncio.sleep(LOOK)
            looking = asyncio.create_task(self._look())
            yield
            looking.cancel()

    async def _look(self) -> None:
        now = asyncio.get_running_loop().time
        begun = now()
        for step in itertools.count():
            await asyncio.sleep(begun + step * LOOK - now())
            failing = sum(monitor.report().status is Status.FAIL for monitor in self._monitors)
            self.ready[now()] = 1 - failing / self.size

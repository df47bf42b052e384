"""Scenarios of a fleet: normal operation, outages and simultaneous starts."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from app.settings import Settings
from benchmarks.simulation.database import Database
from benchmarks.simulation.instances import Fleet, make_settings
from tests.support.fakes import simulate


# Seed of all random numbers.
SEED = 2026


@dataclass(frozen=True)
class Costs:
    """Load on the database in normal operation, per instance.

    Attributes:
        connections: the most open at once.
        statements: statements per second.
        renewals: new connections per second.
    """

    connections: float
    statements: float
    renewals: float


@dataclass(frozen=True)
class Fault:
    """A fault of the database.

    Attributes:
        length: seconds for which the database fails.
        silent: whether it hangs and keeps its sessions, instead of refusing and closing them.
        times: number of failures; between two of them the database works for *length* seconds.
    """

    length: float
    silent: bool = False
    times: int = 1

    async def apply(self, database: Database) -> None:
        """Break and repair the database."""
        for time in range(self.times):
            await asyncio.sleep(self.length if time else 0)
            database.fail(silent=self.silent)
            await asyncio.sleep(self.length)
            database.repair()


@dataclass(frozen=True)
class Outage:
    """A fleet before, during and after an outage that starts at second 0.

    Attributes:
        length: seconds of the outage.
        ready: share of ready instances by time.
        attempts: connection attempts by second.
        transitions: average number of status changes per instance.
    """

    length: float
    ready: dict[float, float]
    attempts: Counter[int]
    transitions: float

    @property
    def worst(self) -> float:
        """The largest share of instances that were not ready at one time."""
        return 1 - min(self.ready.values())

    @property
    def downtime(self) -> float:
        """Average seconds for which an instance was not ready."""
        return sum(1 - share for share in self.ready.values()) / len(self.ready) * self._seconds

    @property
    def recovery(self) -> float | None:
        """Seconds from the repair until all instances stay ready; None if they don't."""
        red = [moment for moment, share in self.ready.items() if share < 1]
        if not red or red[-1] == max(self.ready):
            return None if red else 0.0
        return max(0.0, red[-1] - self.length)

    @property
    def _seconds(self) -> float:
        return max(self.ready) - min(self.ready)


def bound(settings: Settings, threshold: int) -> float:
    """Return the guaranteed seconds from a fault or a repair to its report."""
    interval, timeout = settings.check_interval, settings.check_timeout
    return (threshold - 1) * max(interval, timeout) + interval + timeout + 0.5


def steady(settings: Settings, size: int, seconds: float) -> Costs:
    """Measure a fleet for *seconds*, once all instances have started."""

    async def run() -> Costs:
        database = Database()
        async with Fleet(size, settings, database, SEED).running(settings.check_interval):
            database.attempts.clear()
            database.statements.clear()
            await asyncio.sleep(seconds)
            counts = (len(database.statements), len(database.attempts))
        statements, renewals = (number / size / seconds for number in counts)
        return Costs(database.peak / size, statements, renewals)

    return simulate(run())


def outage(
    settings: Settings,
    size: int,
    fault: Fault,
    after: float,
    database: Callable[[], Database] = Database,
) -> Outage:
    """Simulate an outage, and the fleet until *after* seconds after it."""

    async def run() -> Outage:
        shared = database()
        fleet = Fleet(size, settings, shared, SEED)
        async with fleet.running(within=max(settings.check_interval, size / shared.accepts)):
            await asyncio.sleep(2 * settings.check_interval)
            started, before = asyncio.get_running_loop().time(), fleet.transitions
            await fault.apply(shared)
            await asyncio.sleep(after)
        transitions = (fleet.transitions - before) / size
        ready = {round(at - started, 3): share for at, share in fleet.ready.items()}
        return Outage(fault.length, ready, per_second(shared.attempts, started), transitions)

    return simulate(run())


def busiest(size: int, seconds: float, jitter: Callable[[], float] | None = None) -> float:
    """Return the peak of the statements per 0.1 s divided by their mean.

    All instances start at the same time, and the measurement starts *seconds* later.
    """

    async def run() -> float:
        database = Database()
        async with Fleet(size, make_settings(), database, SEED, jitter).running(within=0):
            await asyncio.sleep(seconds)
            database.statements.clear()
            await asyncio.sleep(5)
        tenths = Counter(int(10 * at) for at in database.statements)
        return max(tenths.values()) / (len(database.statements) / 50)

    return simulate(run())


def per_second(moments: Iterable[float], started: float) -> Counter[int]:
    """Count times by second since *started*."""
    return Counter(int((at - started) // 1) for at in moments)

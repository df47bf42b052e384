"""What befalls a fleet, and what came of it."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from app.settings import Settings
from benchmarks.simulation.database import Database
from benchmarks.simulation.instances import Fleet, setting
from tests.fakes import simulate


# Every run begins from the same chance.
SEED = 2026


@dataclass(frozen=True)
class Costs:
    """What a fleet asks of its database while all is well, for each instance.

    Attributes:
        connections: open at once at most.
        statements: a second, and `renewals` new connections a second.

    """

    connections: float
    statements: float
    renewals: float


@dataclass(frozen=True)
class Fault:
    """What befalls the database.

    Attributes:
        length: for how many seconds it does not serve.
        silent: whether it hangs and keeps its sessions, rather than refuse and end them.
        times: how often; between two times it serves as long.

    """

    length: float
    silent: bool = False
    times: int = 1

    async def befall(self, database: Database) -> None:
        """Break it and mend it."""
        for time in range(self.times):
            await asyncio.sleep(self.length if time else 0)
            database.fail(silent=self.silent)
            await asyncio.sleep(self.length)
            database.mend()


@dataclass(frozen=True)
class Outage:
    """What a fleet did before, in and after an outage that began at 0, in seconds.

    Attributes:
        ready: the share of the instances that was ready, by the moment.
        knocks: connections that were asked for, by the second.
        turns: of an instance, on the average.

    """

    length: float
    ready: dict[float, float]
    knocks: Counter[int]
    turns: float

    @property
    def reddest(self) -> float:
        """The greatest share that was not ready in one moment."""
        return 1 - min(self.ready.values())

    @property
    def lost(self) -> float:
        """Seconds for which an instance was not ready, on the average."""
        return sum(1 - share for share in self.ready.values()) / len(self.ready) * self._seconds

    @property
    def back(self) -> float | None:
        """Seconds from the repair until all were ready for good; none if they never were."""
        red = [moment for moment, share in self.ready.items() if share < 1]
        if not red or red[-1] == max(self.ready):
            return None if red else 0.0
        return max(0.0, red[-1] - self.length)

    @property
    def _seconds(self) -> float:
        return max(self.ready) - min(self.ready)


def bound(settings: Settings, threshold: int) -> float:
    """Tell the longest time from a fault or a repair to its answer, as it is promised."""
    interval, timeout = settings.check_interval, settings.check_timeout
    return (threshold - 1) * max(interval, timeout) + interval + timeout + 0.5


def steady(settings: Settings, size: int, seconds: float) -> Costs:
    """Let a fleet run for so many seconds, once all of it is there."""

    async def story() -> Costs:
        database = Database()
        async with Fleet(size, settings, database, SEED).running(settings.check_interval):
            database.knocks.clear()
            database.statements.clear()
            await asyncio.sleep(seconds)
            asked = (len(database.statements), len(database.knocks))
        statements, renewals = (number / size / seconds for number in asked)
        return Costs(database.most / size, statements, renewals)

    return simulate(story())


def outage(
    settings: Settings,
    size: int,
    fault: Fault,
    after: float,
    database: Callable[[], Database] = Database,
) -> Outage:
    """Have a database fail, and look on for so many seconds after it."""

    async def story() -> Outage:
        shared = database()
        fleet = Fleet(size, settings, shared, SEED)
        async with fleet.running(within=max(settings.check_interval, size / shared.accepts)):
            await asyncio.sleep(2 * settings.check_interval)
            begun, turned = asyncio.get_running_loop().time(), fleet.turns
            await fault.befall(shared)
            await asyncio.sleep(after)
        turns = (fleet.turns - turned) / size
        ready = {round(at - begun, 3): share for at, share in fleet.ready.items()}
        return Outage(fault.length, ready, per_second(shared.knocks, begun), turns)

    return simulate(story())


def busiest(size: int, seconds: float, jitter: Callable[[], float] | None = None) -> float:
    """Tell how many times their mean the statements of the busiest tenth of a second are.

    All instances have started in one moment, and so many seconds have gone by.
    """

    async def story() -> float:
        database = Database()
        async with Fleet(size, setting(), database, SEED, jitter).running(within=0):
            await asyncio.sleep(seconds)
            database.statements.clear()
            await asyncio.sleep(5)
        tenths = Counter(int(10 * at) for at in database.statements)
        return max(tenths.values()) / (len(database.statements) / 50)

    return simulate(story())


def per_second(moments: Iterable[float], begun: float) -> Counter[int]:
    """Count moments by the second since *begun*."""
    return Counter(int((at - begun) // 1) for at in moments)

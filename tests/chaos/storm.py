"""Chaos: random faults and repairs of all dependencies at once."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce

from tests.chaos import http, postgres, redis
from tests.chaos.lies import KnownState, overlaps
from tests.chaos.load import READY, Load
from tests.chaos.row import BOUND, LONG_SESSIONS, PROXIED, Row
from tests.chaos.stage import CHECKS, Environment


# Range of the seconds that a fault lasts, and of those between two faults. With the time that the
# servers take to break and to restart, the three dependencies fail about once a second together.
PAUSE = 0.1, 2.5

# Rows that need no service of their own. Chaos ignores the reason, which may depend on the setup.
SHARED_SETUPS = {PROXIED, LONG_SESSIONS, postgres.DIRECT, postgres.BY_NAME, redis.DIRECT}
ROWS = [row for row in (*postgres.ROWS, *redis.ROWS, *http.ROWS) if row.setup in SHARED_SETUPS]

# A period, and the row that broke the dependency in it; None while it serves.
Period = tuple[KnownState, Row | None]


@dataclass(frozen=True, slots=True)
class Inaccuracy:
    """For how long answers contradicted the real state.

    Attributes:
        state: path of the answers, and the real state.
        seconds: for how long answers contradicted it.
        bound: the limit, which includes the time for which the machine stalled.
    """

    state: str
    seconds: float
    bound: float


class FaultInjector:
    """Breaks and repairs one dependency at random, and records its real state."""

    def __init__(self, check: str, environment: Environment, seed: str) -> None:
        self._periods: list[Period] = []
        self._rows = [row for row in ROWS if row.check == check]
        self._random = random.Random(f"{seed} {check}")
        self._environment = environment

    def run(self, count: int) -> list[Period]:
        """Break and repair the dependency *count* times, and return the periods."""
        repaired = time.monotonic()
        for _ in range(count):
            time.sleep(self._random.uniform(*PAUSE))
            repaired = self._break(self._random.choice(self._rows), repaired)
        time.sleep(PAUSE[1])
        return [*self._periods, (KnownState(repaired, time.monotonic(), serves=True), None)]

    def _break(self, row: Row, repaired: float) -> float:
        started = time.monotonic()
        with row.fault(self._environment):
            broken = time.monotonic()
            time.sleep(self._random.uniform(*PAUSE))
            repairing = time.monotonic()
        if row.reason is None:
            return repaired
        self._periods.append((KnownState(repaired, started, serves=True), None))
        self._periods.append((KnownState(broken, repairing, serves=False), row))
        return time.monotonic()


def cause_chaos(environment: Environment, load: Load, count: int, seed: str) -> list[Inaccuracy]:
    """Cause about *count* random faults, and return the inaccuracy of each period."""

    def run(check: str) -> list[Period]:
        return FaultInjector(check, environment, seed).run(count // len(CHECKS))

    with ThreadPoolExecutor(len(CHECKS)) as threads:
        checks = list(threads.map(run, CHECKS))
    inaccuracies = [
        _measure(load, check_path(check), state, row)
        for check, periods in zip(CHECKS, checks, strict=True)
        for state, row in periods
    ]
    # The service is unready while any dependency fails, and ready while all of them serve.
    inaccuracies += [
        _measure(load, READY, state, row) for periods in checks for state, row in periods if row
    ]
    serving = [[state for state, row in periods if row is None] for periods in checks]
    return inaccuracies + [
        _measure(load, READY, state, None) for state in reduce(overlaps, serving)
    ]


def _measure(load: Load, path: str, state: KnownState, row: Row | None) -> Inaccuracy:
    replies = load.answers(path, state.start, state.end)
    bound = row.bound if row else BOUND
    name = f"{row.check}: {row.name}" if row else "repaired"
    stalled = load.stalled(state.start, state.end)
    return Inaccuracy(f"{path}: {name}", state.longest_inaccuracy(replies), bound + stalled)


def check_path(check: str) -> str:
    """Return the path of a single check."""
    return f"/health/checks/{check}"

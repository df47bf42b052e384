"""Chaos: random faults and repairs of all dependencies at once."""

import random
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from itertools import product

from tests.chaos import http, postgres, redis
from tests.chaos.load import READY, Load
from tests.chaos.row import BOUND, LONG_SESSIONS, PROXIED, Row
from tests.chaos.stage import CHECKS, Environment
from tests.support.service import Reply


# Range of the seconds that a fault lasts, and of those between two faults. With the time that the
# servers take to break and to restart, the three dependencies fail about once a second together.
PAUSE = 0.1, 2.5

# Rows that need no service of their own. Chaos ignores the reason, which may depend on the setup.
SHARED_SETUPS = {PROXIED, LONG_SESSIONS, postgres.DIRECT, postgres.BY_NAME, redis.DIRECT}
ROWS = [row for row in (*postgres.ROWS, *redis.ROWS, *http.ROWS) if row.setup in SHARED_SETUPS]


@dataclass(frozen=True, slots=True)
class KnownState:
    """A period in which it is certain whether a dependency can serve.

    Attributes:
        start: monotonic time at which the fault or the repair was complete.
        end: monotonic time at which the next one started.
        row: the fault; None if the dependency can serve.
    """

    start: float
    end: float
    row: Row | None = None

    def longest_inaccuracy(self, replies: Iterable[Reply]) -> float:
        """Return the most seconds from a wrong answer, or the start, to the next right one.

        Args:
            replies: in the order of their requests; those outside this period are ignored.
        """
        longest, since = 0.0, self.start
        wrong = True
        for reply in replies:
            if not self.start <= reply.at <= reply.at + reply.seconds <= self.end:
                continue
            right = reply.code == (503 if self.row else 200)
            if right and wrong:
                longest = max(longest, reply.at - since)
            elif not right and not wrong:
                since = reply.at
            wrong = not right
        return max(longest, self.end - since) if wrong else longest


def overlaps(some: Iterable[KnownState], others: Iterable[KnownState]) -> Iterable[KnownState]:
    """Return the periods in which both dependencies serve."""
    starts_and_ends = [
        (max(one.start, other.start), min(one.end, other.end))
        for one, other in product(some, others)
    ]
    return [KnownState(start, end) for start, end in starts_and_ends if start < end]


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


def cause_chaos(environment: Environment, load: Load, count: int, seed: str) -> list[Inaccuracy]:
    """Cause about *count* random faults, and return the inaccuracy of each period."""

    def run(check: str) -> list[KnownState]:
        return _break_repeatedly(environment, check, count // len(CHECKS), seed)

    with ThreadPoolExecutor(len(CHECKS)) as threads:
        states = dict(zip(CHECKS, threads.map(run, CHECKS), strict=True))
    # The service is unready while any dependency fails, and ready while all of them serve.
    ready = [state for of_check in states.values() for state in of_check if state.row]
    ready += reduce(overlaps, [[one for one in some if not one.row] for some in states.values()])
    paths = {**{check_path(check): of_check for check, of_check in states.items()}, READY: ready}
    return [_measure(load, path, state) for path, measured in paths.items() for state in measured]


def _break_repeatedly(
    environment: Environment, check: str, count: int, seed: str
) -> list[KnownState]:
    """Break and repair a dependency *count* times, and return its states."""
    rng = random.Random(f"{seed} {check}")
    rows = [row for row in ROWS if row.check == check]
    states: list[KnownState] = []
    repaired = time.monotonic()
    for _ in range(count):
        time.sleep(rng.uniform(*PAUSE))
        row = rng.choice(rows)
        started = time.monotonic()
        with row.fault(environment):
            broken = time.monotonic()
            time.sleep(rng.uniform(*PAUSE))
            repairing = time.monotonic()
        if row.reason:
            states += KnownState(repaired, started), KnownState(broken, repairing, row)
            repaired = time.monotonic()
    time.sleep(PAUSE[1])
    return [*states, KnownState(repaired, time.monotonic())]


def _measure(load: Load, path: str, state: KnownState) -> Inaccuracy:
    replies = load.answers(path, state.start, state.end)
    bound = state.row.bound if state.row else BOUND
    name = f"{state.row.check}: {state.row.name}" if state.row else "repaired"
    stalled = load.stalled(state.start, state.end)
    return Inaccuracy(f"{path}: {name}", state.longest_inaccuracy(replies), bound + stalled)


def check_path(check: str) -> str:
    """Return the path of a single check."""
    return f"/health/checks/{check}"

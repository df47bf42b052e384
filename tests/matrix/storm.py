"""Random faults and repairs, on every dependency at once."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce

from tests.matrix import http, postgres, redis
from tests.matrix.lies import Truth, overlaps
from tests.matrix.load import READY, Load
from tests.matrix.row import BOUND, KEPT, PROXIED, Row
from tests.matrix.stage import CHECKS, Stage


# Between how many seconds a fault lasts, and as many it is mended. With what the servers take to
# break and to come back, three dependencies fail once a second together.
PAUSE = 0.1, 2.5

# Those that can be had with the settings of one service. Where a reason depends on the way there,
# it does not matter here.
CALM = {PROXIED, KEPT, postgres.DIRECT, postgres.NAMED, redis.DIRECT}
ROWS = [row for row in (*postgres.ROWS, *redis.ROWS, *http.ROWS) if row.scene in CALM]


@dataclass(frozen=True, slots=True)
class Lie:
    """How long answers contradicted the truth.

    Attributes:
        told: what was the truth.
        seconds: for how long they did.
        bound: for how long they may, and longer by what the machine held up everybody.

    """

    told: str
    seconds: float
    bound: float


class Weather:
    """Breaks and mends one dependency; knows the truth about it."""

    def __init__(self, check: str, stage: Stage, seed: str) -> None:
        self._truths: list[tuple[Truth, Row | None]] = []
        self._rows = [row for row in ROWS if row.check == check]
        self._dice = random.Random(f"{seed} {check}")
        self._stage = stage

    def rage(self, count: int) -> list[tuple[Truth, Row | None]]:
        """Break and mend so often; tell what was true when, and by which fault."""
        mended = time.monotonic()
        for _ in range(count):
            time.sleep(self._dice.uniform(*PAUSE))
            mended = self._break(self._dice.choice(self._rows), mended)
        time.sleep(PAUSE[1])
        return [*self._truths, (Truth(mended, time.monotonic(), serves=True), None)]

    def _break(self, row: Row, mended: float) -> float:
        begun = time.monotonic()
        with row.fault(self._stage):
            broken = time.monotonic()
            time.sleep(self._dice.uniform(*PAUSE))
            mending = time.monotonic()
        if row.reason is None:
            return mended
        self._truths.append((Truth(mended, begun, serves=True), None))
        self._truths.append((Truth(broken, mending, serves=False), row))
        return time.monotonic()


def storm(stage: Stage, load: Load, count: int, seed: str) -> list[Lie]:
    """Let about so many faults happen; tell all lies."""

    def rage(check: str) -> list[tuple[Truth, Row | None]]:
        return Weather(check, stage, seed).rage(count // len(CHECKS))

    with ThreadPoolExecutor(len(CHECKS)) as threads:
        weather = list(threads.map(rage, CHECKS))
    lies = [
        _lie(load, path(check), truth, row)
        for check, truths in zip(CHECKS, weather, strict=True)
        for truth, row in truths
    ]
    # Any of them makes the service unready; it is ready while all of them serve.
    lies += [_lie(load, READY, *told) for truths in weather for told in truths if told[1]]
    serving = [[truth for truth, row in truths if row is None] for truths in weather]
    return lies + [_lie(load, READY, truth, None) for truth in reduce(overlaps, serving)]


def _lie(load: Load, asked: str, truth: Truth, row: Row | None) -> Lie:
    replies = load.answers(asked, truth.begin, truth.end)
    bound = row.bound if row else BOUND
    told = f"{row.check}: {row.name}" if row else "mended"
    held_up = load.held_up(truth.begin, truth.end)
    return Lie(f"{asked}: {told}", truth.longest_lie(replies), bound + held_up)


def path(check: str) -> str:
    """Where a check's own answer is."""
    return f"/health/checks/{check}"

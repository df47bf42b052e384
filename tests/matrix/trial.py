"""One row of the table, tried."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.matrix.load import LIVE, METRICS, READY, Load
from tests.matrix.row import BOUND, Row
from tests.matrix.stage import CHECKS, Stage
from tests.service import Reply, Service


# The first attempt that fails may tell another reason than the next, on a connection of its own.
SETTLING = 2 * BOUND

# Seconds that a fault lasts at least: two hundred answers of each path, so that one late moment of
# the machine is not what 99 in 100 tell; and time for sessions to be renewed thrice.
LASTING = 2.0

# Seconds for which a mended dependency is watched before the next fault.
REST = 0.5

# Seconds between two looks at the reason; how long it takes is told by the load.
LOOK = 0.05


@dataclass(kw_only=True)
class Outcome:
    """What was seen of a row.

    Attributes:
        red: seconds from the fault's beginning until every answer told it.
        green: seconds from the repair's end to the first answer that told it.
        live: the most seconds that `/health/live` took.
        held_up: seconds for which the machine held up the healthy twin, which are allowed for.
        problems: what was not as it was promised, but for how long answers took.
        late: which answers took longer than is promised.
        learned: lines of the service's log on each check that turned, where something was wrong.

    """

    row: Row
    red: float | None = None
    green: float | None = None
    live: float = 0.0
    held_up: float = 0.0
    problems: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    learned: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        """All that was not as it was promised."""
        return self.problems + self.late


class Trial:
    """Breaks and mends once, and judges what was told meanwhile."""

    def __init__(self, row: Row, service: Service, load: Load) -> None:
        self._outcome = Outcome(row=row)
        self._row = row
        self._service = service
        self._load = load

    def run(self, stage: Stage) -> Outcome:
        """Try it; the dependency serves again afterwards."""
        self._load.forget()
        logged = self._service.log.stat().st_size
        begun = time.monotonic()
        with self._row.fault(stage):
            broken = time.monotonic()
            with self._noting():
                self._see_reason()
            time.sleep(max(0.0, broken + LASTING - time.monotonic()))
            mending = time.monotonic()
        mended = time.monotonic()
        with self._noting():
            self._service.until(self._row.check, None, BOUND + SETTLING, pause=LOOK)
        time.sleep(REST)
        self._outcome.held_up = self._load.held_up(begun, time.monotonic())
        self._judge_calm(
            self._load.healthy(READY, begun, time.monotonic()), 200, "the healthy twin fails"
        )
        self._judge_others(begun, mending)
        self._judge_fault(begun, broken, mending)
        self._judge_repair(mended)
        if self._outcome.wrong:
            lines = self._service.log.read_bytes()[logged:].decode().splitlines()
            self._outcome.learned += [line for line in lines if "check turned" in line]
        return self._outcome

    def _see_reason(self) -> None:
        if self._row.reason is None:
            return
        within = self._row.bound + SETTLING
        self._service.until(self._row.check, self._row.reason, within, pause=LOOK)
        others = [name for name in CHECKS if name != self._row.check]
        failing = [name for name in others if self._service.reason(name)]
        assert not failing, f"{', '.join(failing)} fails too"

    def _judge_others(self, begun: float, mending: float) -> None:
        """Judge what a fault must not touch: liveness, metrics, and how long each answer takes."""
        replies = self._load.answers(LIVE, begun, time.monotonic())
        self._outcome.live = max(reply.seconds for reply in replies)
        replies += self._load.answers(METRICS, begun, time.monotonic())
        with self._noting():
            assert {reply.code for reply in replies} == {200}, "/health/live or /metrics fails"
        self._outcome.late = self._load.late(begun, mending)

    def _judge_fault(self, begun: float, broken: float, mending: float) -> None:
        replies = self._load.answers(READY, begun, mending)
        if self._row.reason is None:
            self._judge_calm(replies, 200, "red, and it can serve")
            return
        red = self._outcome.red = _for_good(replies, 503, begun)
        with self._noting():
            assert red is not None, "not red in the end"
            assert red < broken - begun + self._row.bound + self._outcome.held_up, (
                f"red after {red:.2f} s"
            )

    def _judge_repair(self, mended: float) -> None:
        replies = self._load.answers(READY, mended, time.monotonic())
        green = self._outcome.green = _first(replies, 200, mended)
        with self._noting():
            assert green is not None, "never green"
            assert green < BOUND + self._outcome.held_up, f"green after {green:.2f} s"
            later = [reply for reply in replies if reply.at > mended + green]
            self._judge_calm(later, 200, "red again after the repair")

    def _judge_calm(self, replies: list[Reply], code: int, problem: str) -> None:
        """Judge that nothing changes, but for as long as the machine stood still."""
        wrong = [reply.at - replies[0].at for reply in replies if reply.code != code]
        with self._noting():
            assert not wrong or wrong[-1] - wrong[0] < self._outcome.held_up, (
                f"{problem}: from {wrong[0]:.2f} to {wrong[-1]:.2f} s"
            )

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except AssertionError as error:
            self._outcome.problems.append(str(error))


def _for_good(replies: list[Reply], code: int, since: float) -> float | None:
    """Tell after how many seconds there was no other answer than this code any more."""
    told = None
    for reply in reversed(replies):
        if reply.code != code:
            break
        told = reply.at + reply.seconds - since
    return told


def _first(replies: list[Reply], code: int, since: float) -> float | None:
    """Tell after how many seconds the first answer of this code was there."""
    found = (reply.at + reply.seconds - since for reply in replies if reply.code == code)
    return next(found, None)

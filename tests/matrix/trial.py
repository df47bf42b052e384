"""One row of the table, tried."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.matrix.load import LIVE, READY, Load
from tests.matrix.row import BOUND, Row
from tests.matrix.stage import CHECKS, Stage
from tests.service import Reply, Service


# The first attempt that fails may tell another reason than the next, on a connection of its own.
SETTLING = 2 * BOUND

# Seconds in which the answers are timed during a fault, and how often they are timed again where
# they seem late: a pause of the machine's does not come back most times, one of the fault's does.
TIMED, AGAIN = 1.0, 4

# Seconds for which a mended dependency is watched before the next fault.
REST = 0.5


@dataclass(kw_only=True)
class Outcome:
    """What was seen of a row.

    Attributes:
        red: seconds from the fault's beginning to the first answer that told it.
        green: seconds from the repair's end to the first answer that told it.
        live: the most seconds that `/health/live` took.
        twin: the same of the healthy twin, by which the machine may have held up everything.
        problems: what was not as it was promised.

    """

    row: Row
    red: float | None = None
    green: float | None = None
    live: float = 0.0
    twin: float = 0.0
    problems: list[str] = field(default_factory=list)


class Trial:
    """Breaks and mends, and watches what is told meanwhile."""

    def __init__(self, row: Row, service: Service, load: Load) -> None:
        self._outcome = Outcome(row=row)
        self._row = row
        self._service = service
        self._load = load

    def run(self, stage: Stage) -> Outcome:
        """Try it; the dependency serves again afterwards."""
        begun = time.monotonic()
        with self._row.fault(stage):
            broken = time.monotonic()
            with self._noting():
                self._see_reason()
            with self._noting():
                self._time()
            mending = time.monotonic()
        mended = time.monotonic()
        with self._noting():
            self._service.until(self._row.check, None, BOUND + SETTLING)
        time.sleep(REST)
        self._judge_liveness(begun)
        self._outcome.twin = self._load.disturbance(begun, time.monotonic())
        self._judge_fault(begun, broken, mending)
        self._judge_repair(mended)
        return self._outcome

    def _see_reason(self) -> None:
        if self._row.reason is None:
            self._see_none(time.monotonic() + self._row.bound)
            return
        self._service.until(self._row.check, self._row.reason, self._row.bound + SETTLING)
        others = [name for name in CHECKS if name != self._row.check]
        failing = [name for name in others if self._service.reason(name)]
        assert not failing, f"{', '.join(failing)} fails too"

    def _see_none(self, end: float) -> None:
        while time.monotonic() < end:
            reason = self._service.reason(self._row.check)
            assert reason is None, f"{reason}, and it can serve"

    def _time(self) -> None:
        if self._late():
            late = [words for words in (self._late() for _ in range(AGAIN)) if words]
            assert len(late) < AGAIN / 2, late[-1]

    def _late(self) -> str:
        begin = time.monotonic()
        time.sleep(TIMED)
        return "; ".join(self._load.late(begin, time.monotonic()))

    def _judge_liveness(self, begun: float) -> None:
        replies = self._load.answers(LIVE, begun, time.monotonic())
        self._outcome.live = max(reply.seconds for reply in replies)
        with self._noting():
            assert {reply.code for reply in replies} == {200}, "/health/live fails"

    def _judge_fault(self, begun: float, broken: float, mending: float) -> None:
        if self._row.reason is None:
            return
        replies = self._load.answers(READY, begun, mending)
        red = self._outcome.red = _first(replies, 503, begun)
        with self._noting():
            assert red is not None, "never red"
            assert red < broken - begun + self._row.bound + self._outcome.twin, (
                f"red after {red:.2f} s"
            )

    def _judge_repair(self, mended: float) -> None:
        replies = self._load.answers(READY, mended, time.monotonic())
        green = self._outcome.green = _first(replies, 200, mended)
        with self._noting():
            assert green is not None, "never green"
            assert green < BOUND + self._outcome.twin, f"green after {green:.2f} s"
            later = {reply.code for reply in replies if reply.at > mended + green}
            assert later <= {200}, "red again after the repair"

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except AssertionError as error:
            self._outcome.problems.append(str(error))


def _first(replies: list[Reply], code: int, since: float) -> float | None:
    """Tell after how many seconds the first answer of this code was there."""
    found = (reply.at + reply.seconds - since for reply in replies if reply.code == code)
    return next(found, None)

"""Runs one row of the fault matrix."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile

from tests.chaos.load import LIVE, METRICS, READY, Load
from tests.chaos.row import BOUND, Row
from tests.chaos.stage import CHECKS, Environment
from tests.support.service import Reply, Service


# Seconds more until the reason is final: the first failed attempt may have another reason than the
# next one, which opens a new connection.
SETTLING = 2 * BOUND

# Least seconds that a fault lasts: enough for 100 answers of each path, so that the slowest does
# not decide p99, and for three renewals of a session.
LASTING = 2.0

# Seconds for which a repaired dependency is observed before the next fault.
REST = 0.5

# Seconds between two polls of the reason. The load measures how long the change took.
POLL = 0.05


@dataclass(kw_only=True)
class Outcome:
    """What happened in a row.

    Attributes:
        red: seconds from the start of the fault until every answer reported it.
        green: seconds from the end of the repair to the first answer that reported it.
        live: seconds that the slowest answer of `/health/live` took.
        stalled: seconds for which the machine stalled; they extend every limit.
        problems: broken guarantees, except latency.
        late: the paths whose latency exceeded its limit.
        transitions: log lines about status changes, if anything failed.
    """

    row: Row
    red: float | None = None
    green: float | None = None
    live: float = 0.0
    stalled: float = 0.0
    problems: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    transitions: list[str] = field(default_factory=list)

    @property
    def failures(self) -> list[str]:
        """All broken guarantees."""
        return self.problems + self.late

    @property
    def is_conclusive(self) -> bool:
        """Return whether nothing failed, or more than latency."""
        return bool(self.problems) or not self.late

    def __str__(self) -> str:
        """Return one line, followed by a line for each failure."""
        figures = {name: getattr(self, name) for name in ("red", "green", "live", "stalled")}
        times = "  ".join(f"{name} {seconds:.2f}" for name, seconds in figures.items() if seconds)
        failures = "".join(f"\n  *** {failure}" for failure in self.failures)
        transitions = "".join(f"\n      {line}" for line in self.transitions)
        row = f"{self.row.check}: {self.row.name}: {self.row.reason or 'serves'}"
        return f"{row}  {times}{failures}{transitions}"


class Trial:
    """Breaks and repairs a dependency once, and verifies the answers of the service."""

    def __init__(self, row: Row, service: Service, load: Load) -> None:
        self._row, self._service, self._load = row, service, load

    def run(self, environment: Environment) -> Outcome:
        """Run the row; the dependency serves again afterwards."""
        self._outcome = Outcome(row=self._row)
        logged = self._service.log.stat().st_size
        started = time.monotonic()
        with self._row.fault(environment):
            broken = time.monotonic()
            with self._collect_problem():
                self._await_reason()
            time.sleep(max(0.0, broken + LASTING - time.monotonic()))
            repairing = time.monotonic()
        repaired = time.monotonic()
        with self._collect_problem():
            self._service.until(self._row.check, None, BOUND + SETTLING, pause=POLL)
        time.sleep(REST)
        ended = time.monotonic()
        self._outcome.stalled = self._load.stalled(started, ended)
        control = self._load.answers(READY, started, ended, control=True)
        self._verify_steady(control, 200, "the control fails")
        self._verify_unaffected(started, repairing)
        self._verify_fault(started, broken, repairing)
        self._verify_repair(repaired)
        if self._outcome.failures:
            lines = self._service.log.read_bytes()[logged:].decode().splitlines()
            self._outcome.transitions += [line for line in lines if "check status changed" in line]
        return self._outcome

    def _await_reason(self) -> None:
        if self._row.reason is None:
            return
        within = self._row.bound + SETTLING
        self._service.until(self._row.check, self._row.reason, within, pause=POLL)
        others = [name for name in CHECKS if name != self._row.check]
        failing = [name for name in others if self._service.reason(name)]
        assert not failing, f"{', '.join(failing)} fails too"

    def _verify_unaffected(self, started: float, repairing: float) -> None:
        """Verify that liveness, metrics and latency don't suffer from the fault."""
        replies = self._load.answers(LIVE, started, time.monotonic())
        self._outcome.live = max(reply.seconds for reply in replies)
        replies += self._load.answers(METRICS, started, time.monotonic())
        with self._collect_problem():
            assert {reply.code for reply in replies} == {200}, "/health/live or /metrics fails"
        self._outcome.late = self._load.late(started, repairing)

    def _verify_fault(self, started: float, broken: float, repairing: float) -> None:
        replies = self._load.answers(READY, started, repairing)
        if self._row.reason is None:
            self._verify_steady(replies, 200, "red, although it can serve")
            return
        last = [*takewhile(lambda reply: reply.code == 503, reversed(replies))]
        bound = broken - started + self._row.bound + self._outcome.stalled
        with self._collect_problem():
            assert last, "not red at the end of the fault"
            self._outcome.red = red = last[-1].at + last[-1].seconds - started
            assert red < bound, f"red after {red:.2f} s"

    def _verify_repair(self, repaired: float) -> None:
        replies = self._load.answers(READY, repaired, time.monotonic())
        first = next((reply for reply in replies if reply.code == 200), None)
        with self._collect_problem():
            assert first, "never green"
            self._outcome.green = green = first.at + first.seconds - repaired
            assert green < BOUND + self._outcome.stalled, f"green after {green:.2f} s"
            later = [reply for reply in replies if reply.at > repaired + green]
            self._verify_steady(later, 200, "red again after the repair")

    def _verify_steady(self, replies: list[Reply], code: int, problem: str) -> None:
        """Verify that all answers have this status, except for as long as the machine stalled."""
        wrong = [reply.at - replies[0].at for reply in replies if reply.code != code]
        with self._collect_problem():
            assert not wrong or wrong[-1] - wrong[0] < self._outcome.stalled, (
                f"{problem}: from {wrong[0]:.2f} to {wrong[-1]:.2f} s"
            )

    @contextmanager
    def _collect_problem(self) -> Iterator[None]:
        try:
            yield
        except AssertionError as error:
            self._outcome.problems.append(str(error))

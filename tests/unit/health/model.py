"""A second, simpler implementation of a check's state machine, to compare the monitor with."""

import asyncio
import math
from dataclasses import dataclass
from typing import Any

from app.health import Check
from app.health.monitor import CANCEL_GRACE


@dataclass(frozen=True)
class Behavior:
    """How an attempt goes.

    Attributes:
        takes: seconds until it ends.
        reason: why it fails; empty for a success.
        cleanup: seconds that it takes to end once it is cancelled.
    """

    takes: float = math.inf
    reason: str = ""
    cleanup: float = 0.0


@dataclass
class Attempt:
    """An attempt as the dependency sees it.

    Attributes:
        cancelled_at: when other code than the monitor's cancelled it.
        slept: seconds that the machine had been suspended when it began.
    """

    check: Check
    behavior: Behavior
    begun: float
    task: asyncio.Task[Any]
    cancelled_at: float | None = None
    slept: float = 0.0

    @property
    def is_running(self) -> bool:
        return not self.task.done() and not self.task.cancelling()

    @property
    def deadline(self) -> float:
        return self.begun + self.check.timeout

    @property
    def ends(self) -> float:
        if self.cancelled_at is not None:
            return self.cancelled_at + self.behavior.cleanup
        done = self.begun + self.behavior.takes
        return done if done < self.deadline else self.deadline + self.behavior.cleanup

    @property
    def result(self) -> tuple[str, float]:
        """Its reason, empty for a success, and the moment when it is known."""
        if self.ends < self.deadline:
            return self.behavior.reason if self.cancelled_at is None else "error", self.ends
        grace = self.deadline + CANCEL_GRACE
        return ("timeout", self.ends) if self.ends < grace else ("stuck", grace)

    def result_time(self, slept: float) -> float:
        """Return the time of its result, if the machine was suspended for *slept* seconds."""
        reason, at = self.result
        return at + slept if reason else min(at + slept, self.deadline + self.slept)

    def next_between(self, earlier: list["Attempt"]) -> tuple[float, float]:
        """Return the earliest and the latest start of the next attempt."""
        patience = self.begun + 3 * self.check.timeout
        abandoned = sorted(other.ends for other in earlier if other.ends > patience)
        free = min(self.ends, patience if len(abandoned) < 2 else abandoned[0])
        interval = self.check.interval
        return max(self.begun + 0.9 * interval, free), max(self.begun + interval, free)


@dataclass
class Model:
    """The state machine of a check."""

    check: Check
    status: str = "unknown"
    reason: str = ""
    failures: int = 0
    successes: int = 0
    observed: float = math.inf

    def add(self, reason: str, now: float) -> None:
        """Add a result."""
        self.state(now)
        self.failures = self.failures + 1 if reason else 0
        self.successes = 0 if reason else self.successes + 1
        check, self.observed = self.check, now
        enough = max(
            self.failures - check.failure_threshold, self.successes - check.success_threshold
        )
        if enough >= 0 or self.status == "unknown" or {"stuck", "stale"} & {self.reason, reason}:
            self.status = "fail" if reason else "pass"
        self.reason = reason or (self.reason if self.status == "fail" else "")

    def state(self, now: float) -> tuple[str, str, int]:
        """Return status, reason and consecutive failures."""
        limit = self.check.interval + self.check.timeout + 0.4
        if now - self.observed > limit and self.reason != "stuck":
            self.status, self.reason = "fail", "stale"
        return self.status, self.reason, self.failures

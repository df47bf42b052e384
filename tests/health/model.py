"""What the interface says of one check, once more and as plainly as possible."""

import asyncio
import math
from dataclasses import dataclass
from typing import Any

from app.health import Check
from app.health.monitor import CANCEL_GRACE


@dataclass(frozen=True)
class Fate:
    """An attempt that ends after *takes* or, once it is cancelled, after it *tidies*."""

    takes: float = math.inf
    reason: str = ""
    tidies: float = 0.0


@dataclass
class Attempt:
    """An attempt as the dependency sees it, perhaps *cut* by somebody who is not the monitor.

    Attributes:
        slept: how long the machine had slept when it began.

    """

    check: Check
    fate: Fate
    begun: float
    task: asyncio.Task[Any]
    cut: float | None = None
    slept: float = 0.0

    @property
    def under_way(self) -> bool:
        return not self.task.done() and not self.task.cancelling()

    @property
    def deadline(self) -> float:
        return self.begun + self.check.timeout

    @property
    def ends(self) -> float:
        if self.cut is not None:
            return self.cut + self.fate.tidies
        done = self.begun + self.fate.takes
        return done if done < self.deadline else self.deadline + self.fate.tidies

    @property
    def result(self) -> tuple[str, float]:
        """Its reason, none if it passed, and the moment when it is known."""
        if self.ends < self.deadline:
            return self.fate.reason if self.cut is None else "error", self.ends
        grace = self.deadline + CANCEL_GRACE
        return ("timeout", self.ends) if self.ends < grace else ("stuck", grace)

    def vouches_for(self, slept: float) -> float:
        """The moment of which its result speaks, if the machine has slept for so long by then."""
        reason, at = self.result
        return at + slept if reason else min(at + slept, self.deadline + self.slept)

    def next_between(self, earlier: list["Attempt"]) -> tuple[float, float]:
        """When the next attempt begins at the earliest and at the latest."""
        patience = self.begun + 3 * self.check.timeout
        abandoned = sorted(other.ends for other in earlier if other.ends > patience)
        free = min(self.ends, patience if len(abandoned) < 2 else abandoned[0])
        interval = self.check.interval
        return max(self.begun + 0.9 * interval, free), max(self.begun + interval, free)


@dataclass
class Model:
    """The state machine: results and the time go in, an answer comes out."""

    check: Check
    status: str = "unknown"
    reason: str = ""
    failures: int = 0
    successes: int = 0
    heard: float = math.inf

    def hear(self, reason: str, now: float) -> None:
        """Take in a result."""
        self.look(now)
        self.failures = self.failures + 1 if reason else 0
        self.successes = 0 if reason else self.successes + 1
        check, self.heard = self.check, now
        enough = max(
            self.failures - check.failure_threshold, self.successes - check.success_threshold
        )
        if enough >= 0 or self.status == "unknown" or {"stuck", "stale"} & {self.reason, reason}:
            self.status = "fail" if reason else "pass"
        self.reason = reason or (self.reason if self.status == "fail" else "")

    def look(self, now: float) -> tuple[str, str, int]:
        """Tell status, reason and failures in a row."""
        limit = self.check.interval + self.check.timeout + 0.4
        if now - self.heard > limit and self.reason != "stuck":
            self.status, self.reason = "fail", "stale"
        return self.status, self.reason, self.failures

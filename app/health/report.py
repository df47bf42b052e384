"""What is known of each check at one moment, and of the whole."""

import math
from collections.abc import Collection
from dataclasses import dataclass, replace

from app.health.advice import ADVICE, Advice
from app.health.check import Check
from app.health.clock import Instant
from app.health.status import Reason, Status


# No threshold holds these up, nor the first result after them: they say that nothing is known.
AT_ONCE = frozenset({Reason.STUCK, Reason.STALE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one attempt came to: no reason means that the dependency answered.

    Attributes:
        at: when it was known.
        latency: seconds that the attempt took, or was given.
        cause: the error in its own words, for the log and nobody else.
        hint: what to try, if it is known better than by the reason; a success may have one too.

    """

    at: Instant
    latency: float
    reason: Reason | None = None
    cause: str = ""
    hint: Advice | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What is known of one check: a state machine whose only inputs are results and the time.

    Attributes:
        since: when the status last changed.
        observed: when the last result was known; none before the first.
        latency: seconds that the last attempt took.
        failures: results in a row that failed.
        successes: results in a row that did not.
        hint: that of the last result.

    """

    check: Check
    since: Instant
    status: Status = Status.UNKNOWN
    reason: Reason | None = None
    observed: Instant | None = None
    latency: float = 0.0
    failures: int = 0
    successes: int = 0
    hint: Advice | None = None

    def __hash__(self) -> int:
        # Of what tells observations apart: a probe need not have a hash.
        return hash((self.check.name, self.since, self.observed))

    @property
    def expires(self) -> float:
        """The steady time after which this is no longer true if nothing new is heard."""
        if self.observed is None or self.reason in AT_ONCE:
            return math.inf
        return self.observed.steady + self.check.lifetime

    def at(self, now: Instant) -> "Observation":
        """What is known at *now*: the same, or `stale` where the last result is too old."""
        if now.steady <= self.expires or self.observed is None:
            return self
        since = self.since if self.status is Status.FAIL else self.observed + self.check.lifetime
        return replace(self, status=Status.FAIL, reason=Reason.STALE, since=since, hint=None)

    def after(self, result: Result) -> "Observation":
        """What is known once *result* is."""
        known = self.at(result.at)
        failed = result.reason is not None
        counted = replace(
            known,
            observed=result.at,
            latency=result.latency,
            failures=known.failures + 1 if failed else 0,
            successes=0 if failed else known.successes + 1,
            hint=result.hint,
        )
        turned = Status.FAIL if failed else Status.PASS
        status = turned if _decides(counted, result) else known.status
        return replace(
            counted,
            status=status,
            reason=None if status is turned and not failed else result.reason or known.reason,
            since=known.since if status is known.status else result.at,
        )

    @property
    def advice(self) -> Advice | None:
        """What to try: the last result's hint, otherwise what its reason says."""
        return self.hint or (ADVICE[self.reason] if self.reason else None)

    @property
    def severity(self) -> Status:
        """How much this weighs in the whole."""
        if self.status is Status.PASS:
            return Status.PASS
        return Status.FAIL if self.check.required else Status.WARN


def _decides(known: Observation, result: Result) -> bool:
    """Whether a result, counted already in what is known, turns the status."""
    if known.status is Status.UNKNOWN or {known.reason, result.reason} & AT_ONCE:
        return True
    if result.reason is None:
        return known.successes >= known.check.success_threshold
    return known.failures >= known.check.failure_threshold


@dataclass(frozen=True, slots=True)
class Report:
    """All checks at one moment; true until `expires`, a steady time in seconds."""

    checks: tuple[Observation, ...]

    @property
    def status(self) -> Status:
        """The worst that any check weighs."""
        return max((known.severity for known in self.checks), default=Status.PASS)

    @property
    def complete(self) -> bool:
        """Whether every check has had a first result."""
        return all(known.status is not Status.UNKNOWN for known in self.checks)

    @property
    def expires(self) -> float:
        """When the first check goes stale if nothing new is heard."""
        return min((known.expires for known in self.checks), default=math.inf)

    def at(self, now: Instant) -> "Report":
        """Tell the same checks at *now*."""
        return Report(tuple(known.at(now) for known in self.checks))

    def without(self, names: Collection[str]) -> "Report":
        """Leave out the checks of these names."""
        return Report(tuple(known for known in self.checks if known.check.name not in names))

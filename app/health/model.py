"""What is known of each check at one moment, and of the whole."""

import math
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import partial
from typing import Protocol

from app.health.reasons import ADVICE, Advice, Reason


class Status(IntEnum):
    """How a check, or the whole, stands; ordered, so that the worst is the maximum."""

    PASS = 0
    WARN = 1
    UNKNOWN = 2
    FAIL = 3

    @property
    def word(self) -> str:
        """The status as it is written in an answer."""
        return self.name.lower()


def _since_boot() -> Callable[[], float]:
    """Seconds that never step back and go on while the machine sleeps, as results age then too.

    Read at each request: so there is no function of ours between.
    """
    return partial(time.clock_gettime, _BOOTTIME)


_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


@dataclass(frozen=True, slots=True, order=True)
class Instant:
    """One moment on both clocks: ages are told by the steady one, dates by the wall's."""

    steady: float
    wall: float

    def __add__(self, seconds: float) -> "Instant":
        return Instant(self.steady + seconds, self.wall + seconds)

    def __sub__(self, other: "Instant") -> float:
        return self.steady - other.steady


@dataclass(frozen=True, slots=True)
class Clock:
    """Where the core reads the time, in seconds; a test or a simulation passes its own."""

    steady: Callable[[], float] = field(default_factory=_since_boot)
    wall: Callable[[], float] = time.time

    def now(self) -> Instant:
        """Read both clocks."""
        return Instant(self.steady(), self.wall())


# A result may be this much older than its schedule allows before it is called stale: a busy event
# loop is forgiven, and the promised bound of half a second on every answer is kept.
STALE_AFTER = 0.4


class Probe(Protocol):
    """Puts one question to one dependency.

    Returning means that it answered; raising anything means that it did not. A probe neither
    times, retries, logs nor judges itself.
    """

    async def __call__(self) -> None:
        """Put the question."""


def unexplained(error: BaseException) -> Reason:
    """Tell a missed deadline from any other error, and no more."""
    return Reason.TIMEOUT if isinstance(error, TimeoutError) else Reason.ERROR


def unadvised(error: BaseException | None) -> None:
    """Leave the advice to the reason."""
    del error


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A named probe and the terms on which it is judged.

    Attributes:
        kind: what is checked, such as `postgres` or `http`; for the log.
        explain: turns what a probe raised into a reason; a missed deadline is a `TimeoutError`,
            explained while the attempt is still under way.
        advise: returns what to try after an attempt, if it is known better than by the reason; it
            gets what the probe raised, or None after a success.
        interval: seconds from the start of one attempt to the start of the next.
        timeout: seconds that an attempt may take.
        failure_threshold: consecutive failures that turn a passing check.
        success_threshold: consecutive successes that turn a failing one.
        required: whether its failure fails the whole, or only warns.

    """

    name: str
    probe: Probe
    kind: str = ""
    explain: Callable[[BaseException], Reason] = unexplained
    advise: Callable[[BaseException | None], Advice | None] = unadvised
    interval: float = 1.0
    timeout: float = 1.0
    failure_threshold: int = 1
    success_threshold: int = 1
    required: bool = True

    @property
    def lifetime(self) -> float:
        """Seconds for which a result may be believed."""
        return self.interval + self.timeout + STALE_AFTER

    def reason_for(self, error: BaseException) -> Reason:
        """Explain an error, whatever becomes of the explanation."""
        try:
            return self.explain(error)
        except BaseException:  # noqa: BLE001 - a bad explanation must not end the check
            return Reason.ERROR

    def hint_after(self, error: BaseException | None) -> Advice | None:
        """Return the advice after an attempt, whatever becomes of it."""
        try:
            return self.advise(error)
        except BaseException:  # noqa: BLE001 - as above
            return None


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

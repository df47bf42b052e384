"""Checks, their results, and the state machine that turns results into a status."""

import math
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import cached_property, partial
from typing import Protocol

from app.health.reasons import ADVICE, Advice, Reason


class Status(IntEnum):
    """The status of a check or of the service, ordered so that the worst is the maximum."""

    PASS = 0
    WARN = 1
    UNKNOWN = 2
    FAIL = 3

    @property
    def word(self) -> str:
        """The status as responses, metrics and the log spell it."""
        return self.name.lower()


def _since_boot() -> Callable[[], float]:
    """Return a clock that never steps back, and goes on while the machine is suspended."""
    # A partial, because every request calls it.
    return partial(time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(frozen=True, slots=True, order=True)
class Instant:
    """One moment on two clocks: the steady one for durations, the wall clock for dates."""

    steady: float
    wall: float

    def __add__(self, seconds: float) -> "Instant":
        return Instant(self.steady + seconds, self.wall + seconds)

    def __sub__(self, other: "Instant") -> float:
        return self.steady - other.steady


@dataclass(frozen=True, slots=True)
class Clock:
    """The clocks that app.health reads, in seconds. Tests and simulations pass their own."""

    steady: Callable[[], float] = field(default_factory=_since_boot)
    wall: Callable[[], float] = time.time

    def now(self) -> Instant:
        """Return the current time of both clocks."""
        return Instant(self.steady(), self.wall())


# Seconds beyond interval and timeout after which a result is stale. A busy event loop needs some,
# and the guaranteed detection time allows half a second.
STALE_AFTER = 0.4


class Probe(Protocol):
    """Checks one dependency once: it returns if the dependency is well, and raises otherwise.

    A probe does not measure time, retry, log, or decide on a status.
    """

    async def __call__(self) -> None:
        """Check the dependency."""


DAY = 86400


@dataclass(frozen=True, slots=True)
class Certificate:
    """When a verified server certificate is valid, as Unix times."""

    begins_at: float
    expires_at: float

    def is_expiring(self, now: float, warning: float) -> bool:
        """Return whether it ends in less than *warning* seconds and a third of its validity.

        A PKI that issues for a day renews on the last day, so that alone is no reason to warn.
        """
        return self.expires_at - now < min(warning, (self.expires_at - self.begins_at) / 3)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a probe has learned besides whether the dependency is well.

    Attributes:
        certificate: of the newest connection; None without TLS or without verification.
        replication_lag: seconds.
    """

    certificate: Certificate | None = None
    replication_lag: float | None = None


class UnexpectedAnswerError(Exception):
    """A dependency answers something else than the check expects.

    The text shows both without an address, so that operators may see it.
    """


def default_reason(error: BaseException) -> Reason:
    """Return TIMEOUT for a missed deadline, and ERROR for anything else."""
    return Reason.TIMEOUT if isinstance(error, TimeoutError) else Reason.ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A named probe with its schedule and thresholds.

    Attributes:
        kind: what is checked, such as `redis` or `http`; for the log.
        explain: returns the reason for an error of the probe. A missed deadline is a
            `TimeoutError`; the attempt still runs then.
        advise: returns advice that is better than that of the reason, if there is any. It gets the
            error of the probe, or None after a success.
        facts: returns what the probe has learned.
        interval: seconds from the start of one attempt to the start of the next; finite.
        timeout: seconds that an attempt may take.
        failure_threshold: consecutive failures after which a passing check fails.
        success_threshold: consecutive successes after which a failing check passes.
        required: whether its failure makes the service unready, or is only a warning.
        certificate_warning: seconds before the end of a certificate from which on it is a warning.
    """

    name: str
    probe: Probe
    kind: str = ""
    explain: Callable[[BaseException], Reason] = default_reason
    advise: Callable[[BaseException | None], Advice | None] = lambda _: None
    facts: Callable[[], Facts] = Facts
    interval: float = 1.0
    timeout: float = 1.0
    failure_threshold: int = 1
    success_threshold: int = 1
    required: bool = True
    certificate_warning: float = 14 * DAY

    @property
    def lifetime(self) -> float:
        """Seconds after which a result is stale."""
        return self.interval + self.timeout + STALE_AFTER

    def reason_for(self, error: BaseException) -> Reason:
        """Return the reason for an error, even if `explain` fails."""
        try:
            return self.explain(error)
        except BaseException:  # noqa: BLE001 - a bug in `explain` must not stop the check
            return Reason.ERROR

    def hint_after(self, error: BaseException | None) -> Advice | None:
        """Return the advice after an attempt, even if `advise` fails."""
        try:
            return self.advise(error)
        except BaseException:  # noqa: BLE001 - as above
            return None


# These reasons say that nothing is known, so thresholds apply neither to them nor to the first
# result after them.
BYPASS_THRESHOLDS = frozenset({Reason.STUCK, Reason.STALE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The outcome of one attempt; without a reason it is a success.

    Attributes:
        latency: seconds that the attempt took, until its deadline at most.
        cause: class and text of the error, for the log only.
        mismatch: what the dependency answered and what was expected, for operators only.
        hint: advice that is better than that of the reason; a success may have one, too.
    """

    at: Instant
    latency: float
    reason: Reason | None = None
    cause: str = ""
    mismatch: str = ""
    hint: Advice | None = None
    facts: Facts = field(default_factory=Facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """The state of one check: a state machine whose only inputs are results and the time.

    Attributes:
        since: when the status last changed.
        observed: time of the last result; None before the first.
        failures: consecutive failed results.
        successes: consecutive successful results.
        mismatch: that of the last result.
        expiring: the certificate, if it was about to expire at the last result.
        severity: this check's contribution to the status of the report.
        expires: the steady time after which this is stale without another result.
    """

    check: Check
    since: Instant
    status: Status = Status.UNKNOWN
    reason: Reason | None = None
    observed: Instant | None = None
    latency: float = 0.0
    failures: int = 0
    successes: int = 0
    mismatch: str = ""
    hint: Advice | None = None
    facts: Facts = field(default_factory=Facts)
    expiring: Certificate | None = None
    # Not properties: with 200 checks, each result would compute 200 of each.
    severity: Status = field(init=False)
    expires: float = field(init=False)

    def __post_init__(self) -> None:
        """Derive what each report needs of each check."""
        object.__setattr__(self, "severity", self._severity())
        object.__setattr__(self, "expires", self._expires())

    def __hash__(self) -> int:
        # Not of all fields, as a probe may be unhashable.
        return hash((self.check.name, self.since, self.observed))

    def _expires(self) -> float:
        if self.observed is None or self.reason in BYPASS_THRESHOLDS:
            return math.inf
        return self.observed.steady + self.check.lifetime

    def at(self, now: Instant) -> "Observation":
        """Return the observation at *now*: the same, or `stale` if the last result is too old."""
        if now.steady <= self.expires or self.observed is None:
            return self
        since = self.since if self.status is Status.FAIL else self.observed + self.check.lifetime
        stale = Reason.STALE
        return replace(self, status=Status.FAIL, reason=stale, since=since, mismatch="", hint=None)

    def after(self, result: Result) -> "Observation":
        """Return the observation after another result."""
        known = self.at(result.at)
        failed = result.reason is not None
        failures = known.failures + 1 if failed else 0
        successes = 0 if failed else known.successes + 1
        status = target = Status.FAIL if failed else Status.PASS
        if not _reaches_threshold(known, result, failures or successes):
            status = known.status
        return Observation(  # not `replace`, which takes four times as long
            check=self.check,
            since=known.since if status is known.status else result.at,
            status=status,
            reason=None if status is target and not failed else result.reason or known.reason,
            observed=result.at,
            latency=result.latency,
            failures=failures,
            successes=successes,
            mismatch=result.mismatch,
            hint=result.hint,
            facts=result.facts,
            expiring=_find_expiring(result, self.check.certificate_warning),
        )

    @property
    def advice(self) -> Advice | None:
        """The last result's hint, or the advice for its reason."""
        return self.hint or (ADVICE[self.reason] if self.reason else None)

    def _severity(self) -> Status:
        if self.status is Status.PASS:
            return Status.WARN if self.expiring else Status.PASS
        return Status.FAIL if self.check.required else Status.WARN


def _find_expiring(result: Result, warning: float) -> Certificate | None:
    certificate = result.facts.certificate
    return certificate if certificate and certificate.is_expiring(result.at.wall, warning) else None


def _reaches_threshold(known: Observation, result: Result, count: int) -> bool:
    """Return whether a result, the last of *count* equal ones, decides on the status."""
    if known.status is Status.UNKNOWN or {known.reason, result.reason} & BYPASS_THRESHOLDS:
        return True
    check = known.check
    return count >= (check.failure_threshold if result.reason else check.success_threshold)


@dataclass(frozen=True)
class Report:
    """The observations of all checks at one moment, valid until `expires`."""

    checks: tuple[Observation, ...]

    @cached_property
    def status(self) -> Status:
        """The worst severity of all checks."""
        return max([one.severity for one in self.checks], default=Status.PASS)

    @cached_property
    def complete(self) -> bool:
        """Whether every check has a first result."""
        return Status.UNKNOWN not in {one.status for one in self.checks}

    @cached_property
    def expires(self) -> float:
        """The steady time after which the first check is stale without another result."""
        return min([one.expires for one in self.checks], default=math.inf)

    def at(self, now: Instant) -> "Report":
        """Return the report at *now*: results that are too old by then are stale."""
        if now.steady <= self.expires:
            return self
        return Report(tuple(one.at(now) for one in self.checks))

    def without(self, names: Collection[str]) -> "Report":
        """Return the report without the checks of these names."""
        if not names:
            return self
        return Report(tuple(one for one in self.checks if one.check.name not in names))

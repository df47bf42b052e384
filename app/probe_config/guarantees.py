"""What the settings promise in time."""

from collections.abc import Iterator
from dataclasses import dataclass

from app.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Prober:
    """How often somebody asks, how long it waits for an answer, and how many turn its mind.

    Attributes:
        who: what it is called.
        fall: failures in a row after which it sends no more work.
        rise: successes in a row after which it does again.

    """

    who: str
    interval: float
    timeout: float
    fall: int
    rise: int = 1

    @property
    def leaves(self) -> float:
        """Seconds at most from the first wrong answer, or none, to the last new request."""
        return round(turns(self.fall, self.interval, self.timeout), 3)

    @property
    def returns(self) -> float:
        """Seconds at most from the first right answer to new requests."""
        return round(turns(self.rise, self.interval, self.timeout), 3)


def turns(times: int, interval: float, timeout: float) -> float:
    """Tell the seconds at most from a change to the last of so many answers that tell it."""
    # One may be asked for just before, and each may come as late as it is waited for.
    return (times - 1) * max(interval, timeout) + interval + timeout


# Seconds within which an answer comes, however busy the machine is.
ANSWER = 0.5

# What a process takes beside what is set: to be there at all, and to be gone.
BEGINNING = 5.0
ENDING = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarantees:
    """What the settings in force promise, in seconds.

    Attributes:
        red: from a fault of a required check to the answer that tells it.
        green: from its repair to the answer that tells that.
        started: from the start of the process to the end of starting, whatever is broken.
        drain: for how long readiness says no before the door closes.
        gone: from SIGTERM to the end of the process.

    """

    red: float
    green: float
    started: float
    drain: float
    gone: float


@dataclass(frozen=True, slots=True)
class CheckSchedule:
    """How often one dependency is asked, how long it has, and whether it is required."""

    interval: float
    timeout: float
    required: bool

    def bound(self, threshold: int) -> float:
        """Tell the longest time from a turn of the dependency to the answer that tells it."""
        return round(turns(threshold, self.interval, self.timeout) + ANSWER, 3)


def promise(settings: Settings) -> Guarantees:
    """Tell what the settings promise."""
    paces = list(_paces(settings))
    # Where nothing is required, what there is sets the pace.
    required = [pace for pace in paces if pace.required] or paces
    drain, shutdown = settings.drain_seconds, settings.shutdown_seconds
    return Guarantees(
        red=max(pace.bound(settings.failure_threshold) for pace in required),
        green=max(pace.bound(settings.success_threshold) for pace in required),
        started=round(max(pace.timeout for pace in paces) + ANSWER + BEGINNING, 3),
        drain=drain,
        gone=round(drain + shutdown + ENDING, 3),
    )


def _paces(settings: Settings) -> Iterator[CheckSchedule]:
    # Where no check is configured yet, it is told of one without terms of its own.
    terms = settings.check_schedules or {"": (settings.check_interval, settings.check_timeout)}
    for name, (interval, timeout) in terms.items():
        yield CheckSchedule(interval, timeout, name not in settings.optional)

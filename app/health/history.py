"""The history of a check: transitions, availability, and the latency trend."""

from collections import deque
from dataclasses import dataclass

from app.health.model import Instant, Observation, Result, Status
from app.health.reasons import Reason


# Ten minutes in slots of ten seconds. A chart begins with one minute, and grows.
SLOTS = 60
MIN_SLOTS = 6
SLOT_SECONDS = 10


@dataclass(slots=True)
class Slot:
    """The worst result of ten seconds, as an average would hide a spike.

    Attributes:
        number: the steady time, divided by SLOT_SECONDS.
        latency: seconds of the slowest success; None if there was none.
    """

    number: int
    latency: float | None = None
    failed: bool = False

    def add(self, result: Result) -> None:
        """Add a result."""
        if result.reason is not None:
            self.failed = True
        elif self.latency is None or result.latency > self.latency:
            self.latency = result.latency


class LatencyTrend:
    """The latencies and failures of one check in the last ten minutes."""

    def __init__(self) -> None:
        self._slots = deque[Slot](maxlen=SLOTS)

    def add(self, result: Result) -> None:
        """Add a result to the slot of its time."""
        number = _number(result.at)
        if not self._slots or self._slots[-1].number != number:
            self._slots.append(Slot(number))
        self._slots[-1].add(result)

    def at(self, now: Instant) -> list[Slot | None]:
        """Return the slots from the first result to *now*, with None for one without a result.

        They cover at least a minute and at most ten.
        """
        slots = {slot.number: slot for slot in self._slots}
        end = _number(now) + 1
        begin = end - min(SLOTS, max(MIN_SLOTS, end - min(slots, default=end)))
        return [slots.get(number) for number in range(begin, end)]


def _number(moment: Instant) -> int:
    return int(moment.steady) // SLOT_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A change of a check's status.

    Attributes:
        lasted: seconds that the check had the status *before*.
    """

    name: str
    before: Status
    after: Status
    reason: Reason | None
    at: Instant
    lasted: float


def detect_transition(before: Observation, after: Observation) -> Transition | None:
    """Return the transition between two observations of a check, if their statuses differ."""
    if before.status is after.status:
        return None
    return Transition(
        name=after.check.name,
        before=before.status,
        after=after.status,
        reason=after.reason,
        at=after.since,
        lasted=after.since - before.since,
    )


class History:
    """Transitions, availability and latency trend of one check, in bounded memory.

    Attributes:
        begun: time of the first result; None before it.
    """

    def __init__(self, length: int) -> None:
        self.trend = LatencyTrend()
        self.begun: Instant | None = None
        self._transitions = deque[Transition](maxlen=length)
        self._failed = 0.0

    def add(self, transition: Transition) -> None:
        """Add a transition, and drop the oldest one if there are too many."""
        self.begun = self.begun or transition.at
        if transition.before is Status.FAIL:
            self._failed += transition.lasted
        self._transitions.append(transition)

    @property
    def transitions(self) -> list[Transition]:
        """The latest transitions, oldest first."""
        return list(self._transitions)

    def availability(self, observation: Observation, now: Instant) -> float | None:
        """Return the share of the time since the first result in which the check did not fail.

        None if no time has passed. Transitions that were dropped still count.
        """
        if self.begun is None or now - self.begun <= 0:
            return None
        failing = now - observation.since if observation.status is Status.FAIL else 0.0
        return max(0.0, 1 - (self._failed + failing) / (now - self.begun))

"""What has become of a check: its turns, and how long it has failed."""

from collections import deque
from dataclasses import dataclass

from app.health.model import Instant, Observation, Result, Status
from app.health.reasons import Reason


# Ten minutes in slots of ten seconds: as many as a sparkline has room for.
SLOTS = 60
SLOT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Slot:
    """The worst of ten seconds, so that a spike does not drown in an average.

    Attributes:
        number: tens of seconds on the steady clock.
        latency: seconds of the slowest attempt that was answered; none if none was.
        failed: whether an attempt failed.

    """

    number: int
    latency: float | None
    failed: bool

    def __or__(self, other: "Slot") -> "Slot":
        answered = [slot.latency for slot in (self, other) if slot.latency is not None]
        return Slot(self.number, max(answered, default=None), self.failed or other.failed)


class LatencyTrend:
    """The last ten minutes of one check's results."""

    def __init__(self) -> None:
        self._slots = deque[Slot](maxlen=SLOTS)

    def add(self, result: Result) -> None:
        """Take a result into its slot."""
        failed = result.reason is not None
        slot = Slot(_number(result.at), None if failed else result.latency, failed)
        if self._slots and self._slots[-1].number == slot.number:
            slot |= self._slots.pop()
        self._slots.append(slot)

    def at(self, now: Instant) -> list[Slot | None]:
        """Tell every slot up to *now*, oldest first; none where nothing was known."""
        observation = {slot.number: slot for slot in self._slots}
        current = _number(now)
        return [observation.get(number) for number in range(current - SLOTS + 1, current + 1)]


def _number(moment: Instant) -> int:
    return int(moment.steady) // SLOT_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A check's turn from one status to another.

    Attributes:
        lasted: seconds for which the earlier status had held.

    """

    name: str
    before: Status
    after: Status
    reason: Reason | None
    at: Instant
    lasted: float


def detect_transition(before: Observation, after: Observation) -> Transition | None:
    """Tell the transition between two observations of one check, if there was one."""
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
    """What is remembered of one check, in memory that does not grow.

    Attributes:
        trend: its latency in the last minutes.
        begun: when its first result was known; none before.

    """

    def __init__(self, length: int) -> None:
        self.trend = LatencyTrend()
        self.begun: Instant | None = None
        self._transitions = deque[Transition](maxlen=length)
        self._failed = 0.0

    def add(self, transition: Transition) -> None:
        """Remember a transition."""
        self.begun = self.begun or transition.at
        if transition.before is Status.FAIL:
            self._failed += transition.lasted
        self._transitions.append(transition)

    @property
    def transitions(self) -> list[Transition]:
        """The latest transitions, oldest first."""
        return list(self._transitions)

    def availability(self, observation: Observation, now: Instant) -> float | None:
        """The share of the time since the first result for which the check did not fail.

        None while there is no such time. All of it counts, also what is no longer remembered
        turn by turn.
        """
        if self.begun is None or now - self.begun <= 0:
            return None
        failing = now - observation.since if observation.status is Status.FAIL else 0.0
        return max(0.0, 1 - (self._failed + failing) / (now - self.begun))

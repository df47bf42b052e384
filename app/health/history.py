"""What has become of a check: its turns, and how long it has failed."""

from collections import deque
from dataclasses import dataclass

from app.health.clock import Instant
from app.health.report import Observation
from app.health.status import Reason, Status
from app.health.trend import Trend


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


def turn(before: Observation, after: Observation) -> Transition | None:
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
        self.trend = Trend()
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

    def availability(self, known: Observation, now: Instant) -> float | None:
        """The share of the time since the first result for which the check did not fail.

        None while there is no such time. All of it counts, also what is no longer remembered
        turn by turn.
        """
        if self.begun is None or now - self.begun <= 0:
            return None
        failing = now - known.since if known.status is Status.FAIL else 0.0
        return max(0.0, 1 - (self._failed + failing) / (now - self.begun))

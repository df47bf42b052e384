"""What has changed, and when."""

from collections import defaultdict, deque
from dataclasses import dataclass

from app.health.clock import Instant
from app.health.report import Observation
from app.health.status import Reason, Status


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
    """The latest transitions of each check, oldest first; one that flaps crowds out no other's."""

    def __init__(self, length: int) -> None:
        self._transitions: defaultdict[str, deque[Transition]] = defaultdict(
            lambda: deque(maxlen=length)
        )

    def add(self, transition: Transition) -> None:
        """Remember a transition."""
        self._transitions[transition.name].append(transition)

    def of(self, name: str) -> list[Transition]:
        """Tell the transitions of one check."""
        return list(self._transitions.get(name, ()))

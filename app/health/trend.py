"""How a check's latency has gone lately, in memory that does not grow."""

from collections import deque
from dataclasses import dataclass

from app.health.clock import Instant
from app.health.report import Result


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


class Trend:
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
        known = {slot.number: slot for slot in self._slots}
        current = _number(now)
        return [known.get(number) for number in range(current - SLOTS + 1, current + 1)]


def _number(moment: Instant) -> int:
    return int(moment.steady) // SLOT_SECONDS

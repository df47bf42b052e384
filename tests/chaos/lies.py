"""Inaccuracy: for how long answers contradict the real state of a dependency."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.support.service import Reply


@dataclass(frozen=True, slots=True)
class KnownState:
    """A period in which it is certain whether a dependency can serve.

    Attributes:
        start: monotonic time at which the fault or the repair was complete.
        end: monotonic time at which the next one started.
        serves: whether the dependency can serve.
    """

    start: float
    end: float
    serves: bool

    def longest_inaccuracy(self, replies: Iterable[Reply]) -> float:
        """Return the most seconds from a wrong answer, or the start, to the next right one.

        Args:
            replies: in the order of their requests; those outside this period are ignored.
        """
        longest, since = 0.0, self.start
        wrong = True
        for reply in replies:
            if not self.start <= reply.at <= reply.at + reply.seconds <= self.end:
                continue
            right = reply.code == (200 if self.serves else 503)
            if right and wrong:
                longest = max(longest, reply.at - since)
            elif not right and not wrong:
                since = reply.at
            wrong = not right
        return max(longest, self.end - since) if wrong else longest


def overlaps(some: Sequence[KnownState], others: Sequence[KnownState]) -> list[KnownState]:
    """Return the periods in which both dependencies serve."""
    pairs = [
        KnownState(max(one.start, other.start), min(one.end, other.end), serves=True)
        for one in some
        for other in others
    ]
    return [state for state in pairs if state.start < state.end]

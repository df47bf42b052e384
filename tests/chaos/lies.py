"""Inaccuracy: for how long answers contradict the real state of a dependency."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

from tests.chaos.row import Row
from tests.support.service import Reply


@dataclass(frozen=True, slots=True)
class KnownState:
    """A period in which it is certain whether a dependency can serve.

    Attributes:
        start: monotonic time at which the fault or the repair was complete.
        end: monotonic time at which the next one started.
        row: the fault; None if the dependency can serve.
    """

    start: float
    end: float
    row: Row | None = None

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
            right = reply.code == (503 if self.row else 200)
            if right and wrong:
                longest = max(longest, reply.at - since)
            elif not right and not wrong:
                since = reply.at
            wrong = not right
        return max(longest, self.end - since) if wrong else longest


def overlaps(some: Iterable[KnownState], others: Iterable[KnownState]) -> Iterable[KnownState]:
    """Return the periods in which both dependencies serve."""
    starts_and_ends = [
        (max(one.start, other.start), min(one.end, other.end))
        for one, other in product(some, others)
    ]
    return [KnownState(start, end) for start, end in starts_and_ends if start < end]

"""The figure of merit: how long answers contradict the truth."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.service import Reply


@dataclass(frozen=True, slots=True)
class Truth:
    """A stretch in which it is beyond doubt whether a dependency can serve.

    Attributes:
        begin: when the fault or the repair was complete, by the steady clock.
        end: when the next one began.
        serves: whether it can.

    """

    begin: float
    end: float
    serves: bool

    def longest_lie(self, replies: Iterable[Reply]) -> float:
        """Tell the most seconds from a wrong answer, or the beginning, to the next right one.

        Args:
            replies: in the order in which they were asked for; those from outside are left out.

        """
        longest, since = 0.0, self.begin
        lying = True
        for reply in replies:
            if not self.begin <= reply.at <= reply.at + reply.seconds <= self.end:
                continue
            right = reply.code == (200 if self.serves else 503)
            if right and lying:
                longest = max(longest, reply.at - since)
            elif not right and not lying:
                since = reply.at
            lying = not right
        return max(longest, self.end - since) if lying else longest


def overlaps(some: Sequence[Truth], others: Sequence[Truth]) -> list[Truth]:
    """Tell when both serve."""
    pairs = [
        Truth(max(one.begin, other.begin), min(one.end, other.end), serves=True)
        for one in some
        for other in others
    ]
    return [truth for truth in pairs if truth.begin < truth.end]

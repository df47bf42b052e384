"""Who asks, and on what terms."""

from dataclasses import dataclass


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

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
        return self._turns(self.fall)

    @property
    def returns(self) -> float:
        """Seconds at most from the first right answer to new requests."""
        return self._turns(self.rise)

    def _turns(self, times: int) -> float:
        # One may be asked for just before, and each may come as late as it is waited for.
        again = (times - 1) * max(self.interval, self.timeout)
        return round(again + self.interval + self.timeout, 3)

"""What is asked of one dependency, and on what terms it is judged."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from app.health.advice import Advice
from app.health.status import Reason


# A result may be this much older than its schedule allows before it is called stale: a busy event
# loop is forgiven, and the promised bound of half a second on every answer is kept.
STALE_AFTER = 0.4


class Probe(Protocol):
    """Puts one question to one dependency.

    Returning means that it answered; raising anything means that it did not. A probe neither
    times, retries, logs nor judges itself.
    """

    async def __call__(self) -> None:
        """Put the question."""


def unexplained(error: BaseException) -> Reason:
    """Tell a missed deadline from any other error, and no more."""
    return Reason.TIMEOUT if isinstance(error, TimeoutError) else Reason.ERROR


def unadvised(error: BaseException | None) -> None:
    """Leave the advice to the reason."""
    del error


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A named probe and the terms on which it is judged.

    Attributes:
        explain: turns what a probe raised into a reason; a missed deadline is a `TimeoutError`,
            explained while the attempt is still under way.
        advise: returns what to try after an attempt, if it is known better than by the reason; it
            gets what the probe raised, or None after a success.
        interval: seconds from the start of one attempt to the start of the next.
        timeout: seconds that an attempt may take.
        failure_threshold: consecutive failures that turn a passing check.
        success_threshold: consecutive successes that turn a failing one.
        required: whether its failure fails the whole, or only warns.

    """

    name: str
    probe: Probe
    explain: Callable[[BaseException], Reason] = unexplained
    advise: Callable[[BaseException | None], Advice | None] = unadvised
    interval: float = 1.0
    timeout: float = 1.0
    failure_threshold: int = 1
    success_threshold: int = 1
    required: bool = True

    @property
    def lifetime(self) -> float:
        """Seconds for which a result may be believed."""
        return self.interval + self.timeout + STALE_AFTER

    def reason_for(self, error: BaseException) -> Reason:
        """Explain an error, whatever becomes of the explanation."""
        try:
            return self.explain(error)
        except BaseException:  # noqa: BLE001 - a bad explanation must not end the check
            return Reason.ERROR

    def hint_after(self, error: BaseException | None) -> Advice | None:
        """Return the advice after an attempt, whatever becomes of it."""
        try:
            return self.advise(error)
        except BaseException:  # noqa: BLE001 - as above
            return None

"""The time, as the core is told it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial


def _since_boot() -> Callable[[], float]:
    """Seconds that never step back and go on while the machine sleeps, as results age then too.

    Read at each request: so there is no function of ours between.
    """
    return partial(time.clock_gettime, _BOOTTIME)


_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


@dataclass(frozen=True, slots=True, order=True)
class Instant:
    """One moment on both clocks: ages are told by the steady one, dates by the wall's."""

    steady: float
    wall: float

    def __add__(self, seconds: float) -> "Instant":
        return Instant(self.steady + seconds, self.wall + seconds)

    def __sub__(self, other: "Instant") -> float:
        return self.steady - other.steady


@dataclass(frozen=True, slots=True)
class Clock:
    """Where the core reads the time, in seconds; a test or a simulation passes its own."""

    steady: Callable[[], float] = field(default_factory=_since_boot)
    wall: Callable[[], float] = time.time

    def now(self) -> Instant:
        """Read both clocks."""
        return Instant(self.steady(), self.wall())

"""What the service promises in time, with the settings that a deployment gives it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.settings import Settings


# Seconds within which an answer comes, however busy the machine is.
ANSWER = 0.5

# What a process takes beside what is set: to be there at all, and to be gone.
BEGINNING = 5.0
ENDING = 2.0


@dataclass(frozen=True, slots=True)
class Rule:
    """What must hold, in words with its figures, and the path to the value that mends it."""

    words: str
    holds: bool
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Probe:
    """How a kubelet asks: how often, for how long it waits, and how many failures turn it."""

    period: float
    timeout: float
    failures: int

    @classmethod
    def of(cls, container: Any, name: str) -> "Probe":
        """Read one; what it leaves out is as Kubernetes has it."""
        told = container[name]
        timeout, failures = told.get("timeoutSeconds", 1), told.get("failureThreshold", 3)
        return cls(told.get("periodSeconds", 10), timeout, failures)

    @property
    def turns(self) -> float:
        """Seconds at most from a first failure, or silence, until the kubelet acts."""
        return (self.failures - 1) * max(self.period, self.timeout) + self.period + self.timeout

    @property
    def patience(self) -> float:
        """Seconds at least until it acts."""
        return (self.failures - 1) * self.period


def read(given: Mapping[str, str]) -> Settings:
    """Read settings as the service would, of variables that are not this process' own."""
    values: dict[str, Any] = {name.lower(): value for name, value in given.items()}
    return Settings(**values)


def fault(settings: Settings) -> float:
    """Seconds at most from a fault to the answer that tells it."""
    paces = [
        (
            getattr(settings, f"{name}_check_interval") or settings.check_interval,
            getattr(settings, f"{name}_check_timeout") or settings.check_timeout,
        )
        for name in ("postgres", "redis")
    ]
    again = settings.failure_threshold - 1
    return max(again * max(pace) + sum(pace) + ANSWER for pace in paces)


def start(settings: Settings) -> float:
    """Seconds at most that a start takes, whatever is broken."""
    own = (settings.check_timeout, settings.postgres_check_timeout, settings.redis_check_timeout)
    return max(timeout for timeout in own if timeout) + ANSWER + BEGINNING


def stop(settings: Settings) -> float:
    """Seconds at most from SIGTERM to the end of the process."""
    return settings.drain_seconds + settings.shutdown_seconds + ENDING

"""What must hold of a deployment: rules, and what they are told of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.settings import Settings


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

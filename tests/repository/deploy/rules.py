"""Rules on the times of a deployment."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.probe_config import worst_case_delay
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition on a deployment.

    Attributes:
        words: the condition with its figures.
        holds: whether the deployment meets it.
        path: the path to the value to change if it does not.
    """

    words: str
    holds: bool
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Probe:
    """A probe of the kubelet or a proxy.

    Attributes:
        period: seconds between two requests.
        timeout: seconds to wait for an answer.
        failures: failures in a row that it takes to act.
    """

    period: float
    timeout: float
    failures: int

    @classmethod
    def of(cls, container: Any, name: str) -> "Probe":
        """Return a probe of a container, with the defaults of Kubernetes."""
        probe = container[name]
        timeout, failures = probe.get("timeoutSeconds", 1), probe.get("failureThreshold", 3)
        return cls(probe.get("periodSeconds", 10), timeout, failures)

    @property
    def longest_delay(self) -> float:
        """The maximum seconds from a fault until the prober acts."""
        return worst_case_delay(self.failures, self.period, self.timeout)

    @property
    def shortest_delay(self) -> float:
        """The minimum seconds from a fault until the prober acts."""
        return (self.failures - 1) * self.period


def read(given: Mapping[str, str]) -> Settings:
    """Return the settings that the service would read from these variables."""
    values: dict[str, Any] = {name.lower(): value for name, value in given.items()}
    return Settings(**values)

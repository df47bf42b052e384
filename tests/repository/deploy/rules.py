"""Rules on the times of a deployment."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.probe_config import worst_case_delay
from app.settings import Settings


class Rule(NamedTuple):
    """A condition on a deployment, in words with its figures, and the field to change."""

    field: str
    holds: bool
    words: str


def broken(rules: Iterable[Rule]) -> list[str]:
    """Return the broken rules, each with the field to change."""
    return [f"{rule.field}: {rule.words}" for rule in rules if not rule.holds]


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

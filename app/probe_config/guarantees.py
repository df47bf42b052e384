"""The delays that the settings guarantee."""

from dataclasses import dataclass

from app.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeConfig:
    """How a prober, such as HAProxy, probes an instance.

    Attributes:
        prober: its name, as sentences have it.
        interval: seconds from one probe to the next.
        timeout: seconds that it waits for an answer.
        fall: failures in a row after which it sends no more requests.
        rise: successes in a row after which it sends requests again.
    """

    prober: str
    interval: float
    timeout: float
    fall: int
    rise: int = 1

    @property
    def removal_delay(self) -> float:
        """Seconds at most from the first failure of an instance to its last new request."""
        return round(worst_case_delay(self.fall, self.interval, self.timeout), 3)

    @property
    def return_delay(self) -> float:
        """Seconds at most from the first success of an instance to its next request."""
        return round(worst_case_delay(self.rise, self.interval, self.timeout), 3)


def worst_case_delay(count: int, interval: float, timeout: float) -> float:
    """Return the seconds at most from a change to the end of *count* probes that see it."""
    # One probe may begin just before the change, and each may take its whole timeout.
    return (count - 1) * max(interval, timeout) + interval + timeout


# Seconds within which an answer arrives, however busy the machine is.
ANSWER = 0.5

# Seconds that the start and the end of a process take beyond what the settings say.
PROCESS_START = 5.0
PROCESS_END = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarantees:
    """The highest delays with the current settings, in seconds.

    Attributes:
        fault_delay: from a fault of a required check to the first answer that shows it.
        repair_delay: from the repair to the first answer that shows it.
        startup: from the start of the process to the first result of every check.
        drain: from SIGTERM, when readiness fails, to the end of accepting connections.
        shutdown: from SIGTERM to the end of the process.
    """

    fault_delay: float
    repair_delay: float
    startup: float
    drain: float
    shutdown: float


def compute_guarantees(settings: Settings) -> Guarantees:
    """Compute what the settings guarantee."""
    # Without a configured check, assume one with the general terms.
    checks = [spec.options for spec in settings.check_specs] or [settings.general_terms]
    # If no check is required, the optional ones stand in.
    required = [check for check in checks if check.required] or checks
    drain, shutdown = settings.drain_seconds, settings.shutdown_seconds
    return Guarantees(
        fault_delay=max(
            _answer_delay(check.failure_threshold, check.interval, check.timeout)
            for check in required
        ),
        repair_delay=max(
            _answer_delay(check.success_threshold, check.interval, check.timeout)
            for check in required
        ),
        startup=round(max(check.timeout for check in checks) + ANSWER + PROCESS_START, 3),
        drain=drain,
        shutdown=round(drain + shutdown + PROCESS_END, 3),
    )


def _answer_delay(threshold: int, interval: float, timeout: float) -> float:
    """Return the seconds at most from a change of the dependency to an answer that shows it."""
    return round(worst_case_delay(threshold, interval, timeout) + ANSWER, 3)

"""Probe configurations: the least frequent probes that meet what the settings guarantee."""

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

from app.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeConfig:
    """How a prober, such as HAProxy, probes an instance.

    Attributes:
        interval: seconds from one probe to the next.
        fall: failures in a row after which the prober sends no more requests.
        rise: successes in a row after which it sends requests again.
        pauses: whether the interval begins at the end of a probe.
    """

    prober: str
    interval: float
    timeout: float
    fall: int
    rise: int = 1
    pauses: bool = False

    @property
    def removal_delay(self) -> float:
        """Seconds at most from the first failure of an instance to its last new request."""
        return self._delay(self.fall)

    @property
    def return_delay(self) -> float:
        """Seconds at most from the first success of an instance to its next request."""
        return self._delay(self.rise)

    @property
    def tolerance(self) -> float:
        """Seconds of failures that never take an instance out of rotation."""
        # The first probe that fails may have begun before the first failure.
        return round((self.fall - 1) * self.interval - self.timeout, 3)

    def _delay(self, count: int) -> float:
        period = self.interval + self.timeout * self.pauses
        return round(worst_case_delay(count, period, self.timeout), 3)


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
        keep_alive: from an answer to the end of an idle connection. It is the lowest delay.
    """

    fault_delay: float
    repair_delay: float
    startup: float
    drain: float
    shutdown: float
    keep_alive: float

    @property
    def restart(self) -> float:
        """Seconds at most from SIGTERM to the first result of every check of the next process."""
        return round(self.shutdown + self.startup, 3)


def compute_guarantees(settings: Settings) -> Guarantees:
    """Compute the guarantees of the settings."""
    # The terms of a check are known even if the secret with its URL is on another machine.
    parsed = settings.parsed_checks
    configured = [*(spec.options for spec in parsed.specs), *parsed.other_terms]
    # Without a configured check, assume one with the general terms.
    checks = configured or [settings.general_terms]
    # If no check is required, the optional ones stand in.
    required = [check for check in checks if check.required] or checks
    faults = (worst_case_delay(c.failure_threshold, c.interval, c.timeout) for c in required)
    repairs = (worst_case_delay(c.success_threshold, c.interval, c.timeout) for c in required)
    drain, shutdown = settings.drain_seconds, settings.shutdown_seconds
    return Guarantees(
        fault_delay=round(max(faults) + ANSWER, 3),
        repair_delay=round(max(repairs) + ANSWER, 3),
        startup=round(max(check.timeout for check in checks) + ANSWER + PROCESS_START, 3),
        drain=drain,
        shutdown=round(drain + shutdown + PROCESS_END, 3),
        keep_alive=settings.keep_alive_seconds,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule with its figures.

    Attributes:
        field: the field of the prober's configuration that the rule limits.
        claim: a sentence that is true if the rule holds.
        remedy: what is wrong if it does not hold, and which setting to change.
    """

    field: str
    claim: str
    holds: bool
    remedy: str


@dataclass(frozen=True, slots=True)
class RuleTemplate:
    """A comparison of a prober's *value* with a *limit*, both in seconds, and its sentences."""

    field: str
    compare: Callable[[float, float], bool]
    claim: str
    remedy: str

    def apply(self, prober: str, value: float, limit: float, **figures: object) -> Rule:
        """Compare two figures, and put them into the sentences."""
        figures |= {"prober": prober, "value": f"{value:g} s", "limit": f"{limit:g} s"}
        return Rule(
            field=self.field,
            claim=self.claim.format(**figures),
            holds=self.compare(value, limit),
            remedy=self.remedy.format(**figures),
        )


ANSWER_RULE = RuleTemplate(
    "timeout",
    operator.gt,
    "{prober} waits {value} for an answer. An answer takes at most {limit}.",
    "{prober} waits {value} for an answer, and an answer may take {limit}. Increase its timeout.",
)
CHANGE_RULE = RuleTemplate(
    "interval",
    operator.le,
    "{prober} takes {count} x {interval:g} s to notice a {change}. Readiness takes up to {limit} "
    "to show it.",
    "CHECK_INTERVAL: readiness shows a {change} within {limit}, and {prober} takes {value} to "
    "notice. Increase CHECK_INTERVAL.",
)
DRAIN_RULE = RuleTemplate(
    "interval",
    operator.le,
    "{prober} sends no new request {value} after SIGTERM. The listener closes after {limit}.",
    "DRAIN_SECONDS: the drain takes {limit}, and {prober} may send requests for {value} after "
    "SIGTERM. Set DRAIN_SECONDS to at least {value}.",
)
OUTER_TIMEOUT_RULE = RuleTemplate(
    "timeout",
    operator.gt,
    "{prober} waits {value} for {inner}. {inner} has a timeout of {limit}.",
    "{prober} waits {value} for {inner}, and {inner} has a timeout of {limit}. Increase the "
    "timeout of {prober}.",
)
FAIL_TIMEOUT_RULE = RuleTemplate(
    "fail_timeout",
    operator.le,
    "{prober} skips an instance for {value}. Readiness shows a repair within {limit}.",
    "CHECK_INTERVAL: readiness shows a repair within {limit}, and {prober} skips an instance for "
    "{value}. Increase CHECK_INTERVAL.",
)
KEEPALIVE_RULE = RuleTemplate(
    "keepalive_timeout",
    operator.lt,
    "{prober} closes an idle connection after {value}. The listener closes after {limit}.",
    "DRAIN_SECONDS: the drain takes {limit}, and {prober} keeps an idle connection for {value}. "
    "Set DRAIN_SECONDS to more than {value}.",
)
STARTUP_RULE = RuleTemplate(
    "start",
    operator.ge,
    "{prober} allows {value} for a start. A start takes at most {limit}.",
    "CHECK_TIMEOUT: a start takes up to {limit}, and {prober} allows {value}. Decrease "
    "CHECK_TIMEOUT, or allow {limit}.",
)
STOP_RULE = RuleTemplate(
    "grace",
    operator.ge,
    "{prober} sends SIGKILL {value} after SIGTERM. A stop takes at most {limit}.",
    "DRAIN_SECONDS, SHUTDOWN_SECONDS: a stop takes up to {limit}, and {prober} sends SIGKILL after "
    "{value}. Decrease them, or allow {limit}.",
)
RESTART_RULE = RuleTemplate(
    "fall",
    operator.gt,
    "{prober} stops the traffic after more than {value} of failures. A restart of Vitals takes at "
    "most {limit}.",
    "DRAIN_SECONDS, SHUTDOWN_SECONDS: a restart takes up to {limit}, and {prober} stops the "
    "traffic after {value}. Decrease them.",
)
HOLD_RULE = RuleTemplate(
    "lb_try_duration",
    operator.ge,
    "{prober} holds a request for {value}. It notices the end of a restart of Vitals within "
    "{limit}.",
    "DRAIN_SECONDS, SHUTDOWN_SECONDS: a restart ends within {limit}, and {prober} holds a request "
    "for {value}. Decrease them.",
)


def rotation_rules(probe: ProbeConfig, guarantees: Guarantees) -> list[Rule]:
    """Return the rules for a prober that takes instances out of rotation and puts them back."""
    prober, interval = probe.prober, probe.interval
    changes = [
        ("fault", probe.fall, guarantees.fault_delay),
        ("repair", probe.rise, guarantees.repair_delay),
    ]
    return [
        ANSWER_RULE.apply(prober, probe.timeout, ANSWER),
        *(
            CHANGE_RULE.apply(
                prober, count * interval, delay, change=change, count=count, interval=interval
            )
            for change, count, delay in changes
        ),
        DRAIN_RULE.apply(prober, probe.removal_delay, guarantees.drain),
    ]


# Seconds, the least frequent probes first. Below the last an instance would gain too little.
INTERVALS = (10.0, 5.0, 2.0, 1.0, 0.5, 0.2)
TIMEOUTS = (1.0, 0.6)


def haproxy(guarantees: Guarantees) -> ProbeConfig:
    """Return the probes of HAProxy. One lost answer takes no instance out of rotation."""
    return _least_frequent(_candidates("HAProxy", fall=2), guarantees)


def caddy(guarantees: Guarantees) -> ProbeConfig:
    """Return the probes of Caddy, which does not count failures before version 2.8."""
    return _least_frequent(_candidates("Caddy", fall=1), guarantees)


def envoy(guarantees: Guarantees) -> ProbeConfig:
    """Return the probes of Envoy, where one 503 counts as enough failures."""
    return _least_frequent(_candidates("Envoy", fall=1, pauses=True), guarantees)


def companion(prober: str, guarantees: Guarantees, *, pauses: bool = False) -> ProbeConfig:
    """Return the probes of a companion, which tolerate its restart."""
    timeout = TIMEOUTS[0]
    interval = next(each for each in INTERVALS if each <= guarantees.repair_delay)
    # The smallest number whose tolerance exceeds the restart.
    fall = math.floor((guarantees.restart + timeout) / interval) + 2
    return ProbeConfig(prober=prober, interval=interval, timeout=timeout, fall=fall, pauses=pauses)


def companion_rules(probe: ProbeConfig, guarantees: Guarantees) -> list[Rule]:
    """Return the rules for the probes of a companion."""
    return [
        ANSWER_RULE.apply(probe.prober, probe.timeout, ANSWER),
        RESTART_RULE.apply(probe.prober, probe.tolerance, guarantees.restart),
    ]


def readiness_probe(guarantees: Guarantees) -> ProbeConfig:
    """Return a Kubernetes readiness probe, which has whole seconds only."""
    candidates = [
        ProbeConfig(prober="Kubernetes", interval=interval, timeout=1, fall=fall)
        for fall, interval in product((2, 1), (10.0, 5.0, 2.0, 1.0))
    ]
    return _least_frequent(candidates, guarantees)


def liveness_probe() -> ProbeConfig:
    """Return a Kubernetes liveness probe. It is slow because it causes a restart."""
    return ProbeConfig(prober="Kubernetes", interval=10, timeout=2, fall=3)


def startup_probe(guarantees: Guarantees) -> ProbeConfig:
    """Return a Kubernetes startup probe, which allows twice the time of the slowest start."""
    fall = max(30, round_up_to_tens(2 * guarantees.startup))
    return ProbeConfig(prober="Kubernetes", interval=1, timeout=1, fall=fall)


def docker() -> ProbeConfig:
    """Return the health check of a Docker container. Docker itself does not act on it."""
    return ProbeConfig(prober="Docker", interval=30, timeout=10, fall=3)


def nginx_fail_timeout(guarantees: Guarantees) -> float:
    """Return for how many seconds nginx skips an instance that failed a request."""
    return next((over for over in (10, 5, 2) if over <= guarantees.repair_delay), 1)


def round_up_to_tens(seconds: float) -> int:
    """Round up to a multiple of ten, as people set such times."""
    return int(-(-seconds // 10) * 10)


def _candidates(prober: str, fall: int, *, pauses: bool = False) -> list[ProbeConfig]:
    return [
        ProbeConfig(prober=prober, interval=interval, timeout=timeout, fall=fall, pauses=pauses)
        for timeout, interval in product(TIMEOUTS, INTERVALS)
    ]


def _least_frequent(candidates: Sequence[ProbeConfig], guarantees: Guarantees) -> ProbeConfig:
    """Return the first that keeps every rule. If none does, return the last: its rules say why."""
    for probe in candidates:
        if all(rule.holds for rule in rotation_rules(probe, guarantees)):
            return probe
    return candidates[-1]

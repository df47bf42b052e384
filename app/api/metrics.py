"""What Prometheus is told: the last known state, and what has been counted."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    Counter,
    Gauge,
    Histogram,
    Metric,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.openmetrics import exposition as openmetrics

import app
from app.api.formats import negotiate_media_type
from app.api.verdict import readiness
from app.health import Check, Report, Result, Status, Transition
from app.lifecycle import Phase


# Seconds: from a store on the same machine to a service behind a slow line.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

# A check is never unknown again.
TURNS = [("unknown", "pass"), ("unknown", "fail"), ("pass", "fail"), ("fail", "pass")]

# What each metric is called, what it tells, and its labels.
RUNS = "health_check_runs", "Attempts, by what they came to.", ("check", "result")
DURATIONS = "health_check_duration_seconds", "How long attempts took.", ("check",)
TRANSITIONS = (
    "health_check_transitions",
    "Turns from one state to another.",
    ("check", "from", "to"),
)
SUCCESSES = (
    "health_check_last_success_timestamp_seconds",
    "When an attempt last succeeded.",
    ("check",),
)
STALLS = (
    "health_event_loop_stalls",
    "Times that the event loop was blocked for more than a second.",
)


@dataclass(slots=True)
class RequestCount:
    """How often something has happened.

    Not the library's counter, which takes as long to count a request as to answer it.
    """

    times: int = 0


class MetricsRecorder:
    """Counts results, turns and requests; none of its labels takes a value from outside.

    Attributes:
        requests: how often, by the endpoint, which is one of the documented paths or `other`, and
            by the code of the answer.
        edition: another number after each result and turn.

    """

    def __init__(self, checks: Iterable[Check]) -> None:
        # They would be another series for each one.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._runs = Counter(*RUNS, registry=None)
        self._durations = Histogram(*DURATIONS, buckets=BUCKETS, registry=None)
        self._transitions = Counter(*TRANSITIONS, registry=None)
        self._successes = Gauge(*SUCCESSES, registry=None)
        self.requests: defaultdict[tuple[str, int], RequestCount] = defaultdict(RequestCount)
        self._stalls = Counter(*STALLS, registry=None)
        self.generation = 0
        for check in checks:
            self._begin(check.name)

    def _begin(self, name: str) -> None:
        """Have the series of a check there before anything happens: a first one is a rise too."""
        self._durations.labels(name)
        for result in (Status.PASS, Status.FAIL):
            self._runs.labels(name, result.word)
        for before, after in TURNS:
            self._transitions.labels(name, before, after)

    def hear(self, name: str, result: Result) -> None:
        """Count a result."""
        self.generation += 1
        self._runs.labels(name, (Status.FAIL if result.reason else Status.PASS).word).inc()
        self._durations.labels(name).observe(result.latency)
        if result.reason is None:
            self._successes.labels(name).set(result.at.wall)

    def turn(self, transition: Transition) -> None:
        """Count a turn of a check."""
        self.generation += 1
        before, after = transition.before.word, transition.after.word
        self._transitions.labels(transition.name, before, after).inc()

    def stall(self) -> None:
        """Count a stall of the event loop; called from another thread."""
        self._stalls.inc()

    def of_checks(self) -> Iterator[Metric]:
        """Tell what speaks of single checks."""
        kept = (self._runs, self._durations, self._transitions, self._successes)
        return chain.from_iterable(metric.collect() for metric in kept)

    def of_instance(self) -> Iterator[Metric]:
        """Tell the rest."""
        requests = CounterMetricFamily(
            "health_requests", "Requests, by what was answered.", labels=["endpoint", "code"]
        )
        for (endpoint, code), tally in self.requests.items():
            requests.add_metric([endpoint, str(code)], tally.times)
        yield requests
        yield from self._stalls.collect()


STATES = (Status.PASS, Status.FAIL, Status.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Families:
    """Metrics as the library's writers want them."""

    families: Iterable[Metric]

    def collect(self) -> Iterable[Metric]:
        """Tell the metrics."""
        return self.families


# By the media type: the content type, and what writes it.
WRITERS: Mapping[str, tuple[str, Callable[[Families], bytes]]] = {
    "text/plain": (CONTENT_TYPE_PLAIN_0_0_4, generate_latest),
    "application/openmetrics-text": (
        openmetrics.CONTENT_TYPE_LATEST,
        openmetrics.generate_latest,
    ),
}


# How OpenMetrics ends.
EOF = b"# EOF\n"


class Metrics:
    """What is known and what was counted, written down on demand.

    The part about the checks, which takes the longest, is kept until one of them has a result.

    Args:
        lag: how late the event loop is, in seconds.

    """

    def __init__(self, counts: MetricsRecorder, lag: Callable[[], float]) -> None:
        self.counts = counts
        self._lag = lag
        self._kept: dict[str, tuple[tuple[Report, int], bytes]] = {}

    def written(
        self, accept: str, report: Report, phase: Phase, *, details: bool
    ) -> tuple[str, bytes]:
        """Write them down, with each check or without; tell the content type too."""
        kind = negotiate_media_type(accept, list(WRITERS))
        content_type, write = WRITERS[kind]
        families = [*_instance(report, phase, self._lag()), *self.counts.of_instance()]
        body = write(Families(families))
        if details:
            body = body.removesuffix(EOF) + self._of_checks(kind, report)
        return content_type, body

    def _of_checks(self, kind: str, report: Report) -> bytes:
        generation = report, self.counts.generation
        if kind not in self._kept or self._kept[kind][0] != generation:
            families = Families([*_checks(report), *self.counts.of_checks()])
            self._kept[kind] = generation, WRITERS[kind][1](families)
        return self._kept[kind][1]


def _instance(report: Report, phase: Phase, lag: float) -> Iterator[Metric]:
    ready = readiness()(report, phase)
    yield GaugeMetricFamily(
        "health_ready", "1 while this instance should be sent work.", ready.passes
    )
    phases = GaugeMetricFamily("health_phase", "1 for the phase it is in.", labels=["phase"])
    for one in Phase:
        phases.add_metric([one], one is phase)
    yield phases
    yield GaugeMetricFamily(
        "health_event_loop_lag_seconds", "The longest delay of the event loop in a minute.", lag
    )
    yield InfoMetricFamily("health_build", "What is running.", {"version": app.__version__})


def _checks(report: Report) -> Iterator[Metric]:
    states = GaugeMetricFamily(
        "health_check_state", "1 for the state that a check is in.", labels=["check", "state"]
    )
    required = GaugeMetricFamily(
        "health_check_required", "1 if its failure fails the whole.", labels=["check"]
    )
    failures = GaugeMetricFamily(
        "health_check_consecutive_failures", "Attempts in a row that failed.", labels=["check"]
    )
    reasons = GaugeMetricFamily(
        "health_check_reason", "1 for why attempts fail now.", labels=["check", "reason"]
    )
    for known in report.checks:
        for state in STATES:
            states.add_metric([known.check.name, state.word], known.status is state)
        required.add_metric([known.check.name], known.check.required)
        failures.add_metric([known.check.name], known.failures)
        if known.reason:
            reasons.add_metric([known.check.name, known.reason], 1)
    yield from (states, required, failures, reasons)

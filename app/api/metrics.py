"""The Prometheus metrics: the state of checks and instance, and counts since the start."""

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


# Seconds: from a server on the same machine to a remote one behind a slow link.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

# The values of `from` and `to`: a check never returns to unknown.
TRANSITION_LABELS = [("unknown", "pass"), ("unknown", "fail"), ("pass", "fail"), ("fail", "pass")]

# Name, help text and labels.
RUNS = "health_check_runs", "Check attempts, by result.", ("check", "result")
DURATIONS = "health_check_duration_seconds", "Duration of check attempts.", ("check",)
TRANSITIONS = (
    "health_check_transitions",
    "Status changes of a check.",
    ("check", "from", "to"),
)
SUCCESSES = (
    "health_check_last_success_timestamp_seconds",
    "Unix time of the last successful attempt.",
    ("check",),
)
STALLS = (
    "health_event_loop_stalls",
    "Times that the event loop was blocked for more than a second.",
)


@dataclass(slots=True)
class RequestCount:
    """A counter of requests.

    The library's counter takes as long to count a request as Vitals takes to answer it.
    """

    count: int = 0


class MetricsRecorder:
    """Counts results, transitions, requests and stalls.

    No label takes a value from a request, so the number of series is bounded.

    Attributes:
        requests: by endpoint, which is a documented path or `other`, and by status code.
        generation: a number that changes with each result and transition.
    """

    def __init__(self, checks: Iterable[Check]) -> None:
        # Each counter would have another series with the time of its creation.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._runs = Counter(*RUNS, registry=None)
        self._durations = Histogram(*DURATIONS, buckets=BUCKETS, registry=None)
        self._transitions = Counter(*TRANSITIONS, registry=None)
        self._successes = Gauge(*SUCCESSES, registry=None)
        self.requests: defaultdict[tuple[str, int], RequestCount] = defaultdict(RequestCount)
        self._stalls = Counter(*STALLS, registry=None)
        self.generation = 0
        # Series exist from the start: Prometheus sees no increase in one that begins with 1.
        for check in checks:
            self._durations.labels(check.name)
            for result in (Status.PASS, Status.FAIL):
                self._runs.labels(check.name, result.word)
            for before, after in TRANSITION_LABELS:
                self._transitions.labels(check.name, before, after)

    def record_result(self, name: str, result: Result) -> None:
        """Count a result of the check *name*."""
        self.generation += 1
        self._runs.labels(name, (Status.FAIL if result.reason else Status.PASS).word).inc()
        self._durations.labels(name).observe(result.latency)
        if result.reason is None:
            self._successes.labels(name).set(result.at.wall)

    def record_transition(self, transition: Transition) -> None:
        """Count a transition."""
        self.generation += 1
        before, after = transition.before.word, transition.after.word
        self._transitions.labels(transition.name, before, after).inc()

    def record_stall(self) -> None:
        """Count a stall of the event loop; called from another thread."""
        self._stalls.inc()

    def check_metrics(self) -> Iterator[Metric]:
        """Return the metrics that have a label for the check."""
        metrics = (self._runs, self._durations, self._transitions, self._successes)
        return chain.from_iterable(metric.collect() for metric in metrics)

    def instance_metrics(self) -> Iterator[Metric]:
        """Yield the other metrics."""
        requests = CounterMetricFamily(
            "health_requests", "Answered requests.", labels=["endpoint", "code"]
        )
        for (endpoint, code), counter in self.requests.items():
            requests.add_metric([endpoint, str(code)], counter.count)
        yield requests
        yield from self._stalls.collect()


STATES = (Status.PASS, Status.FAIL, Status.UNKNOWN)


@dataclass(frozen=True, slots=True)
class MetricFamilies:
    """Metrics with the interface that the library's writers expect of a registry."""

    families: Iterable[Metric]

    def collect(self) -> Iterable[Metric]:
        """Return the metrics."""
        return self.families


# By media type: the content type, and the writer.
WRITERS: Mapping[str, tuple[str, Callable[[MetricFamilies], bytes]]] = {
    "text/plain": (CONTENT_TYPE_PLAIN_0_0_4, generate_latest),
    "application/openmetrics-text": (
        openmetrics.CONTENT_TYPE_LATEST,
        openmetrics.generate_latest,
    ),
}


# The last line of OpenMetrics.
EOF = b"# EOF\n"


class Metrics:
    """Renders the metrics for a scrape.

    The part about the checks takes the longest. It is cached until a check has a new result.

    Args:
        lag: returns the delay of the event loop, in seconds.
    """

    def __init__(self, recorder: MetricsRecorder, lag: Callable[[], float]) -> None:
        self.recorder = recorder
        self._lag = lag
        self._cache: dict[str, tuple[tuple[Report, int], bytes]] = {}

    def render(
        self, accept: str, report: Report, phase: Phase, *, details: bool
    ) -> tuple[str, bytes]:
        """Return the content type and the body, with the checks if *details* is true."""
        media_type = negotiate_media_type(accept, list(WRITERS))
        content_type, write = WRITERS[media_type]
        instance = _instance_metrics(report, phase, self._lag())
        body = write(MetricFamilies([*instance, *self.recorder.instance_metrics()]))
        if details:
            body = body.removesuffix(EOF) + self._render_checks(media_type, report)
        return content_type, body

    def _render_checks(self, media_type: str, report: Report) -> bytes:
        key = report, self.recorder.generation
        if media_type not in self._cache or self._cache[media_type][0] != key:
            families = MetricFamilies([*_check_metrics(report), *self.recorder.check_metrics()])
            self._cache[media_type] = key, WRITERS[media_type][1](families)
        return self._cache[media_type][1]


def _instance_metrics(report: Report, phase: Phase, lag: float) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "health_ready",
        "1 if this instance should receive traffic, 0 otherwise.",
        readiness()(report, phase).passes,
    )
    phases = GaugeMetricFamily("health_phase", "1 for the current phase.", labels=["phase"])
    for one in Phase:
        phases.add_metric([one], one is phase)
    yield phases
    yield GaugeMetricFamily(
        "health_event_loop_lag_seconds", "Longest delay of the event loop in a minute.", lag
    )
    yield InfoMetricFamily("health_build", "Version of Vitals.", {"version": app.__version__})


def _check_metrics(report: Report) -> Iterator[Metric]:
    states = GaugeMetricFamily(
        "health_check_state", "1 for the current state of a check.", labels=["check", "state"]
    )
    required = GaugeMetricFamily(
        "health_check_required", "1 if readiness fails with this check.", labels=["check"]
    )
    failures = GaugeMetricFamily(
        "health_check_consecutive_failures", "Failed attempts in a row.", labels=["check"]
    )
    reasons = GaugeMetricFamily(
        "health_check_reason", "1 for the reason why attempts fail now.", labels=["check", "reason"]
    )
    for observation in report.checks:
        for state in STATES:
            states.add_metric([observation.check.name, state.word], observation.status is state)
        required.add_metric([observation.check.name], observation.check.required)
        failures.add_metric([observation.check.name], observation.failures)
        if observation.reason:
            reasons.add_metric([observation.check.name, observation.reason], 1)
    yield from (states, required, failures, reasons)

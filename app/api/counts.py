"""What has happened, counted for Prometheus."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from prometheus_client import Counter, Gauge, Histogram, Metric, disable_created_metrics
from prometheus_client.core import CounterMetricFamily

from app.health import Check, Result, Status, Transition


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
class Tally:
    """How often something has happened.

    Not the library's counter, which takes as long to count a request as to answer it.
    """

    times: int = 0


class Counts:
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
        self.requests: defaultdict[tuple[str, int], Tally] = defaultdict(Tally)
        self._stalls = Counter(*STALLS, registry=None)
        self.edition = 0
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
        self.edition += 1
        self._runs.labels(name, (Status.FAIL if result.reason else Status.PASS).word).inc()
        self._durations.labels(name).observe(result.latency)
        if result.reason is None:
            self._successes.labels(name).set(result.at.wall)

    def turn(self, transition: Transition) -> None:
        """Count a turn of a check."""
        self.edition += 1
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

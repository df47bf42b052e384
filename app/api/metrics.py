"""What the metrics count since the start, and their cached text for scrapes."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from app.api.formats import negotiate_media_type
from app.health import Check, Report, Result, Status, Transition
from app.lifecycle import Phase


# Seconds: from a server on the same machine to a remote one behind a slow link.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

# A check never returns to unknown.
TRANSITIONS = (
    (Status.UNKNOWN, Status.PASS),
    (Status.UNKNOWN, Status.FAIL),
    (Status.PASS, Status.FAIL),
    (Status.FAIL, Status.PASS),
)

PLAIN, OPENMETRICS = MEDIA_TYPES = ("text/plain", "application/openmetrics-text")

# The last line of OpenMetrics.
EOF = b"# EOF\n"


@dataclass(slots=True)
class RequestCount:
    """A counter of requests."""

    count: int = 0


@dataclass(slots=True)
class CheckCounts:
    """The counts of one check.

    All series exist from the start: Prometheus sees no increase in one that begins with 1.

    Attributes:
        buckets: the attempts by the first of BUCKETS that their duration does not exceed.
        seconds: the duration of all attempts.
        last_success: Unix time; None before the first.
    """

    results: dict[Status, int] = field(default_factory=lambda: {Status.PASS: 0, Status.FAIL: 0})
    transitions: dict[tuple[Status, Status], int] = field(
        default_factory=lambda: dict.fromkeys(TRANSITIONS, 0)
    )
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    seconds: float = 0.0
    last_success: float | None = None


class MetricsRecorder:
    """Counts results, transitions, requests and stalls.

    No label takes a value from a request, so the number of series is bounded. The library's own
    counters take as long to count a request as Vitals takes to answer it.

    Attributes:
        checks: the counts by the name of the check.
        requests: by endpoint, which is a documented path or `other`, and by status code.
        generation: a number that changes with each result and transition.
    """

    def __init__(self, checks: Iterable[Check]) -> None:
        self.checks = {check.name: CheckCounts() for check in checks}
        self.requests: defaultdict[tuple[str, int], RequestCount] = defaultdict(RequestCount)
        self.notifications: defaultdict[tuple[str, ...], int] = defaultdict(int)
        self.stalls = 0
        self.generation = 0

    def record_result(self, name: str, result: Result) -> None:
        """Count a result of the check *name*."""
        self.generation += 1
        counts = self.checks[name]
        counts.results[Status.FAIL if result.reason else Status.PASS] += 1
        counts.buckets[bisect_left(BUCKETS, result.latency)] += 1
        counts.seconds += result.latency
        if result.reason is None:
            counts.last_success = result.at.wall

    def record_transition(self, transition: Transition) -> None:
        """Count a transition."""
        self.generation += 1
        self.checks[transition.name].transitions[transition.before, transition.after] += 1

    def record_stall(self) -> None:
        """Count a stall of the event loop. Only the thread that watches it calls this."""
        self.stalls += 1

    def record_notification(self, kind: str, result: str, count: int) -> None:
        """Count requests of a kind with a result, such as `sent` or `failed`."""
        self.notifications[kind, result] += count


class Metrics:
    """Renders the metrics for a scrape.

    The part about the checks takes the longest. It is cached until a check has a new result.

    Args:
        instance: the name of this instance.
    """

    def __init__(self, recorder: MetricsRecorder, lag: Callable[[], float], instance: str) -> None:
        self.recorder = recorder
        self._lag = lag
        self._instance = instance
        self._cache: dict[str, tuple[tuple[Report, int], bytes]] = {}

    def render(
        self, accept: str, report: Report, phase: Phase, *, details: bool
    ) -> tuple[str, bytes]:
        """Return the content type and the body, with the checks if *details* is true."""
        # Imported at the first scrape: the library loads slowly.
        from app.api import exposition  # noqa: PLC0415

        media_type = negotiate_media_type(accept, MEDIA_TYPES)
        samples = exposition.instance_samples(
            report, phase, self._lag(), self.recorder, self._instance
        )
        content_type, body = exposition.write(media_type, samples)
        if details:
            key = report, self.recorder.generation
            if media_type not in self._cache or self._cache[media_type][0] != key:
                checks = exposition.check_samples(report, self.recorder)
                self._cache[media_type] = key, exposition.write(media_type, checks)[1]
            body = body.removesuffix(EOF) + self._cache[media_type][1]
        return content_type, body

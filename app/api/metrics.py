"""What Prometheus is told: the last known state, and what has been counted."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.openmetrics import exposition as openmetrics

import app
from app.api import findings
from app.api.counts import Counts
from app.api.negotiation import preferred
from app.health import Report, Status
from app.lifecycle import Phase


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

    def __init__(self, counts: Counts, lag: Callable[[], float]) -> None:
        self.counts = counts
        self._lag = lag
        self._kept: dict[str, tuple[tuple[Report, int], bytes]] = {}

    def written(
        self, accept: str, report: Report, phase: Phase, *, details: bool
    ) -> tuple[str, bytes]:
        """Write them down, with each check or without; tell the content type too."""
        kind = preferred(accept, list(WRITERS))
        content_type, write = WRITERS[kind]
        families = [*_instance(report, phase, self._lag()), *self.counts.of_instance()]
        body = write(Families(families))
        if details:
            body = body.removesuffix(EOF) + self._of_checks(kind, report)
        return content_type, body

    def _of_checks(self, kind: str, report: Report) -> bytes:
        edition = report, self.counts.edition
        if kind not in self._kept or self._kept[kind][0] != edition:
            families = Families([*_checks(report), *self.counts.of_checks()])
            self._kept[kind] = edition, WRITERS[kind][1](families)
        return self._kept[kind][1]


def _instance(report: Report, phase: Phase, lag: float) -> Iterator[Metric]:
    ready = findings.ready()(report, phase)
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

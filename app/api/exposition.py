"""The metrics in Prometheus' formats: the state of checks and instance, and the counts."""

from collections.abc import Callable, Mapping
from itertools import accumulate
from types import SimpleNamespace
from typing import Any

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.core import CounterMetricFamily as Counter
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.core import HistogramMetricFamily as Histogram
from prometheus_client.core import InfoMetricFamily as Info
from prometheus_client.openmetrics import exposition as openmetrics

import app
from app.api.metrics import BUCKETS, OPENMETRICS, PLAIN, MetricsRecorder
from app.api.verdict import readiness_query
from app.health import Reason, Report, Status
from app.lifecycle import Phase


# By name: type, help text and labels.
FAMILIES: Mapping[str, tuple[Callable[..., Any], str, tuple[str, ...]]] = {
    "health_ready": (Gauge, "1 if this instance should receive traffic, 0 otherwise.", ()),
    "health_phase": (Gauge, "1 for the current phase.", ("phase",)),
    "health_event_loop_lag_seconds": (Gauge, "Longest delay of the event loop in a minute.", ()),
    "health_build": (Info, "Version of Vitals, and the name of this instance.", ()),
    "health_requests": (Counter, "Answered requests.", ("endpoint", "code")),
    "health_notifications": (
        Counter,
        "Notifications and heartbeats, by result.",
        ("kind", "result"),
    ),
    "health_event_loop_stalls": (
        Counter,
        "Times that the event loop was blocked for more than a second.",
        (),
    ),
    "health_check_state": (Gauge, "1 for the current state of a check.", ("check", "state")),
    "health_check_required": (Gauge, "1 if readiness fails with this check.", ("check",)),
    "health_check_consecutive_failures": (Gauge, "Failed attempts in a row.", ("check",)),
    "health_check_reason": (Gauge, "1 for the reason why attempts fail now.", ("check", "reason")),
    "health_check_certificate_expiry_timestamp_seconds": (
        Gauge,
        "Unix time at which the server's certificate expires.",
        ("check",),
    ),
    "health_check_certificate_expiring": (
        Gauge,
        "1 if a certificate is about to expire.",
        ("check",),
    ),
    "health_replication_lag_seconds": (Gauge, "Replay lag of a replica.", ("check",)),
    "health_check_runs": (Counter, "Check attempts, by result.", ("check", "result")),
    "health_check_duration_seconds": (Histogram, "Duration of check attempts.", ("check",)),
    "health_check_transitions": (Counter, "Status changes of a check.", ("check", "from", "to")),
    "health_check_last_success_timestamp_seconds": (
        Gauge,
        "Unix time of the last successful attempt.",
        ("check",),
    ),
}

# The samples of metrics: by name and by the values of the labels.
Samples = Mapping[str, Mapping[tuple[str, ...], Any]]

# By media type: the content type, and what writes metrics.
WRITERS: Mapping[str, tuple[str, Callable[[Any], bytes]]] = {
    PLAIN: (CONTENT_TYPE_PLAIN_0_0_4, generate_latest),
    OPENMETRICS: (openmetrics.CONTENT_TYPE_LATEST, openmetrics.generate_latest),
}


def write(media_type: str, samples: Samples) -> tuple[str, bytes]:
    """Return the content type and the text."""
    metrics = []
    for name, values in samples.items():
        make, text, labels = FAMILIES[name]
        metrics.append(metric := make(name, text, labels=labels))
        for key, value in values.items():
            metric.add_metric(key, *(value if make is Histogram else [value]))
    content_type, generate = WRITERS[media_type]
    return content_type, generate(SimpleNamespace(collect=lambda: metrics))


def instance_samples(
    report: Report, phase: Phase, lag: float, recorder: MetricsRecorder, instance: str
) -> Samples:
    """Return the samples without a label for the check."""
    requests = recorder.requests.items()
    return {
        "health_ready": {(): readiness_query()(report, phase).passes},
        "health_phase": {(one,): one is phase for one in Phase},
        "health_event_loop_lag_seconds": {(): lag},
        # Prometheus has a label `instance` of its own: the address that it scrapes.
        "health_build": {(): {"version": app.__version__, "instance_name": instance}},
        "health_requests": {(name, str(code)): one.count for (name, code), one in requests},
        "health_notifications": recorder.notifications,
        "health_event_loop_stalls": {(): recorder.stalls},
    }


def check_samples(report: Report, recorder: MetricsRecorder) -> Samples:
    """Return the samples that have a label for the check."""
    checks = {observation.check.name: observation for observation in report.checks}.items()
    counts = recorder.checks.items()
    states = (Status.PASS, Status.FAIL, Status.UNKNOWN)
    bounds = [*map(str, BUCKETS), "+Inf"]
    return {
        "health_check_state": {(n, s.word): one.status is s for n, one in checks for s in states},
        "health_check_required": {(n,): one.check.required for n, one in checks},
        "health_check_consecutive_failures": {(n,): one.failures for n, one in checks},
        "health_check_reason": {(n, one.reason): 1 for n, one in checks if one.reason},
        "health_check_certificate_expiry_timestamp_seconds": {
            (n,): found.expires_at for n, one in checks if (found := one.facts.certificate)
        },
        "health_check_certificate_expiring": {
            (n,): one.expiring is not None for n, one in checks if one.facts.certificate
        },
        "health_replication_lag_seconds": {
            # After another failure it is the lag of an earlier attempt.
            (n,): lag
            for n, one in checks
            if (lag := one.facts.replication_lag) is not None
            and one.reason in {None, Reason.LAGGING}
        },
        "health_check_runs": {
            (n, status.word): count for n, one in counts for status, count in one.results.items()
        },
        "health_check_duration_seconds": {
            (n,): (list(zip(bounds, accumulate(one.buckets), strict=True)), one.seconds)
            for n, one in counts
        },
        "health_check_transitions": {
            (n, before.word, after.word): count
            for n, one in counts
            for (before, after), count in one.transitions.items()
        },
        "health_check_last_success_timestamp_seconds": {
            (n,): one.last_success for n, one in counts if one.last_success is not None
        },
    }

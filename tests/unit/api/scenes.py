"""Example states of the page, built from results as a monitor records them."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count

from app.api.clients import Clients
from app.api.verdict import OperatorView, PageContext, Verdict, readiness_query
from app.health import Check, History, Instant, Observation, Reason, Report, Result
from app.health.history import detect_transition
from app.lifecycle import Phase
from tests.support.fakes import answers


MINUTE = 60
HOUR = 60 * MINUTE

INSTANCE = "web-1.eu.example.com"

# 2026-11-24 03:00 UTC.
NOW = Instant(50_000.0, 1_795_489_200.0)

# Returns why an attempt so many seconds before now failed; None if it succeeded.
Behavior = Callable[[int], Reason | None]


def passes(_: int) -> None:
    """Succeed always."""


def failing_for(seconds: int, reason: Reason) -> Behavior:
    """Return a behavior that has failed for the last *seconds*."""
    return lambda ago: reason if ago <= seconds else None


def intermittent(reason: Reason, every: int, lasting: int) -> Behavior:
    """Return a behavior that fails every so many seconds, but not in the latest period."""
    return lambda ago: reason if ago % every < lasting and ago >= every else None


def latencies(seed: int) -> Iterator[float]:
    """Yield latencies of about a millisecond, the same ones for each run."""
    for number in count():
        noise = (number * 7919 + seed * 104_729) % 97 / 97
        yield (0.0006 + 0.0004 * noise) * (9 if number % 173 == seed else 1) * (1 + seed % 3)


def simulate_check(check: Check, behavior: Behavior, seconds: int) -> tuple[Observation, History]:
    """Run a check once a second until now, and return its observation and history."""
    known, history = Observation(check=check, since=NOW + -seconds), History(1000)
    for ago, duration in zip(range(seconds - 1, -1, -1), latencies(len(check.name)), strict=False):
        reason = behavior(ago)
        latency = check.timeout if reason is Reason.TIMEOUT else duration
        mismatch = "got 502, expected 200" if reason is Reason.HTTP_STATUS else ""
        result = Result(at=NOW + -ago, latency=latency, reason=reason, mismatch=mismatch)
        before, known = known, known.after(result)
        history.trend.add(result)
        if one := detect_transition(before, known):
            history.add(one)
    return known, history


class PageState:
    """Checks with their histories, and a phase."""

    def __init__(self, phase: Phase = Phase.SERVING) -> None:
        self._phase = phase
        self._observations: list[Observation] = []
        self._histories: dict[str, History] = {}

    def check(
        self,
        name: str,
        behavior: Behavior = passes,
        seconds: int = 12 * MINUTE,
        *,
        required: bool = True,
    ) -> "PageState":
        """Add a check that has run for *seconds*."""
        check = Check(name=name, probe=answers, required=required)
        known, self._histories[name] = simulate_check(check, behavior, seconds)
        self._observations.append(known)
        return self

    def page(self, operator: OperatorView | None = None) -> PageContext:
        """Return what the page shows besides the verdict."""
        return PageContext(now=NOW, histories=self._histories, instance=INSTANCE, operator=operator)

    @property
    def report(self) -> Report:
        """The checks."""
        return Report(tuple(self._observations))

    def verdict(self, operator: OperatorView | None = None, refusal: str | None = None) -> Verdict:
        """Return the verdict of a readiness query, with what the page shows."""
        verdict = readiness_query()(self.report, self._phase)
        return replace(verdict, page=self.page(operator), refusal=refusal)


def many_checks(total: int) -> PageState:
    """Return a state with so many checks."""
    state = PageState().check("postgres").check("redis", intermittent(Reason.TIMEOUT, 300, 12))
    state.check("minio", failing_for(130, Reason.HTTP_STATUS))
    state.check("search-with-a-name-that-is-long", failing_for(45, Reason.DNS), required=False)
    for number in range(total - 4):
        behavior = intermittent(Reason.DISCONNECTED, 90, 3) if number % 5 == 0 else passes
        state.check(f"service-{number:02}", behavior)
    return state


def operator() -> OperatorView:
    """Return clients and settings, as an operator sees them."""
    clients = Clients()
    for name, half_seconds in {
        b"kube-probe/1.34": range(226, 0, -20),
        b"ELB-HealthChecker/2.0": range(198, 0, -60),
        b"Prometheus/3.7.2": range(218, 0, -30),
        b"<script>alert('not me')</script>": (120,),
        b"HAProxy": range(240, 0, -1),
    }.items():
        for ago in half_seconds:
            clients.record(name, NOW.steady - ago / 2)
    settings = {
        "HOST": "0.0.0.0",  # noqa: S104 - shown, never opened
        "DATABASE_URL": "postgresql://app@db.internal:5432/app?sslmode=verify-full",
        "CHECKS": "minio: http://minio:9000/minio/health/cluster",
        "CHECK_INTERVAL": "1",
        "OPTIONAL_CHECKS": "redis",
        "MAINTENANCE_FILE": "/tmp/vitals-8000.maintenance",  # noqa: S108 - shown, never created
    }
    return OperatorView(
        settings=settings,
        changed=["DATABASE_URL", "CHECKS", "OPTIONAL_CHECKS"],
        targets=defaultdict(
            lambda: "http://a-service.with-a-long-name.internal:9000/health/cluster",
            postgres="postgresql://app@db.internal:5432/app",
            redis="redis://cache.internal:6379/0",
        ),
        clients=clients.all(NOW),
    )


PAGE_STATES: dict[str, Callable[[], PageState]] = {
    "pass": lambda: PageState().check("postgres").check("redis"),
    "warn": lambda: (
        PageState()
        .check("postgres")
        .check("redis", failing_for(255, Reason.REFUSED), required=False)
    ),
    "fail": lambda: PageState().check("postgres", failing_for(92, Reason.TIMEOUT)).check("redis"),
    "starting": lambda: (
        PageState(Phase.STARTING).check("postgres", seconds=0).check("redis", passes, 4)
    ),
    "draining": lambda: PageState(Phase.DRAINING).check("postgres").check("redis"),
    "maintenance": lambda: (
        PageState(Phase.MAINTENANCE)
        .check("postgres", failing_for(20, Reason.STARTING))
        .check("redis")
    ),
    "first-seconds": lambda: PageState().check("postgres", seconds=3).check("redis", seconds=3),
    "first-minute": lambda: (
        PageState().check("postgres", failing_for(8, Reason.TLS), 34).check("redis", seconds=34)
    ),
    "sixty": lambda: many_checks(60),
    "two-hours": lambda: (
        PageState()
        .check("postgres", intermittent(Reason.TOO_MANY_CONNECTIONS, 1000, 40), 2 * HOUR)
        .check("redis", intermittent(Reason.TIMEOUT, 400, 5), 2 * HOUR)
        .check("minio", passes, 2 * HOUR, required=False)
    ),
}

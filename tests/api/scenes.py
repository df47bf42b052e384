"""What the page may have to show, told by results as the monitor hears them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count

from app.api.clients import Clients
from app.api.verdict import HistorySnapshot, OperatorView, Verdict, readiness
from app.health import Check, History, Instant, Observation, Reason, Report, Result
from app.health.history import detect_transition
from app.lifecycle import Phase
from tests.fakes import answers


MINUTE = 60
HOUR = 60 * MINUTE

# 2026-11-24 at 03:00 in UTC: the hour at which the page is read.
NOW = Instant(50_000.0, 1_795_489_200.0)

# What an attempt comes to so many seconds before now: nothing for an answer.
Story = Callable[[int], Reason | None]


def passes(_: int) -> None:
    """Tell of a dependency that always answers."""


def since(seconds: int, reason: Reason) -> Story:
    """Tell of a dependency that has failed for so long."""
    return lambda ago: reason if ago <= seconds else None


def now_and_then(reason: Reason, each: int, lasting: int) -> Story:
    """Tell of a dependency that comes and goes."""
    return lambda ago: reason if ago % each < lasting and ago >= each else None


def latency(seed: int) -> Iterator[float]:
    """Some thousandths of a second, never quite the same; the same ones for each run."""
    for number in count():
        noise = (number * 7919 + seed * 104_729) % 97 / 97
        yield (0.0006 + 0.0004 * noise) * (9 if number % 173 == seed else 1) * (1 + seed % 3)


def lived(check: Check, story: Story, seconds: int) -> tuple[Observation, History]:
    """Have a check ask each second until now."""
    known, history = Observation(check=check, since=NOW + -seconds), History(1000)
    for ago, took in zip(range(seconds - 1, -1, -1), latency(len(check.name)), strict=False):
        reason = story(ago)
        late = check.timeout if reason is Reason.TIMEOUT else took
        result = Result(at=NOW + -ago, latency=late, reason=reason)
        before, known = known, known.after(result)
        history.trend.add(result)
        if one := detect_transition(before, known):
            history.add(one)
    return known, history


class Scene:
    """Some checks, put together one by one, in a phase."""

    def __init__(self, phase: Phase = Phase.SERVING) -> None:
        self._phase = phase
        self._known: list[Observation] = []
        self._histories: dict[str, History] = {}

    def check(
        self,
        name: str,
        story: Story = passes,
        seconds: int = 12 * MINUTE,
        *,
        required: bool = True,
    ) -> "Scene":
        """Add a check that has been asked for so long."""
        check = Check(name=name, probe=answers, required=required)
        known, self._histories[name] = lived(check, story, seconds)
        self._known.append(known)
        return self

    def snapshot(self, operator: OperatorView | None = None) -> HistorySnapshot:
        """What has been, for an operator or not."""
        return HistorySnapshot(now=NOW, histories=self._histories, operator=operator)

    @property
    def report(self) -> Report:
        """What is known."""
        return Report(tuple(self._known))

    def verdict(self, operator: OperatorView | None = None) -> Verdict:
        """What is found when somebody asks for readiness."""
        found = readiness()(self.report, self._phase)
        return replace(found, snapshot=self.snapshot(operator))


def thirty() -> Scene:
    """Tell of as many checks as a page must be good with."""
    scene = Scene().check("postgres").check("redis", now_and_then(Reason.TIMEOUT, 300, 12))
    scene.check("minio", since(130, Reason.HTTP_STATUS))
    scene.check("search-with-a-name-that-is-long", since(45, Reason.DNS), required=False)
    for number in range(26):
        flaps = now_and_then(Reason.DISCONNECTED, 90, 3) if number % 5 == 0 else passes
        scene.check(f"service-{number:02}", flaps)
    return scene


def operator() -> OperatorView:
    """Tell what only an operator sees."""
    clients = Clients()
    for ago in range(120, 0, -1):
        clients.asked(b"kube-probe/1.34", NOW.steady - ago) if ago % 10 == 3 else None
        clients.asked(b"ELB-HealthChecker/2.0", NOW.steady - ago) if ago % 30 == 9 else None
        clients.asked(b"Prometheus/3.7.2", NOW.steady - ago) if ago % 15 == 4 else None
        clients.asked(b"<script>alert('not me')</script>", NOW.steady - ago) if ago == 60 else None
        clients.asked(b"HAProxy", NOW.steady - ago)
        clients.asked(b"HAProxy", NOW.steady - ago + 0.5)
    settings = {
        "DATABASE_URL": "postgresql://app@db.internal:5432/app?sslmode=verify-full",
        "HTTP_CHECKS": "minio: http://minio:9000/minio/health/cluster",
        "CHECK_INTERVAL": "1",
        "OPTIONAL_CHECKS": "redis",
        "MAINTENANCE_FILE": "/tmp/vitals-8000.maintenance",  # noqa: S108 - shown, never made
    }
    return OperatorView(clients.all(NOW), settings)


SCENES: dict[str, Callable[[], Scene]] = {
    "pass": lambda: Scene().check("postgres").check("redis"),
    "warn": lambda: (
        Scene().check("postgres").check("redis", since(255, Reason.REFUSED), required=False)
    ),
    "fail": lambda: Scene().check("postgres", since(92, Reason.TIMEOUT)).check("redis"),
    "starting": lambda: (
        Scene(Phase.STARTING).check("postgres", seconds=0).check("redis", passes, 4)
    ),
    "draining": lambda: Scene(Phase.DRAINING).check("postgres").check("redis"),
    "maintenance": lambda: (
        Scene(Phase.MAINTENANCE).check("postgres", since(20, Reason.STARTING)).check("redis")
    ),
    "thirty": thirty,
    "two-hours": lambda: (
        Scene()
        .check("postgres", now_and_then(Reason.TOO_MANY_CONNECTIONS, 1000, 40), 2 * HOUR)
        .check("redis", now_and_then(Reason.TIMEOUT, 400, 5), 2 * HOUR)
        .check("minio", passes, 2 * HOUR, required=False)
    ),
}

"""An application whose knowledge, phase and time a test decides."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from app.api.access import Access
from app.api.answers import Answers
from app.api.archive import Archive
from app.api.counts import Counts
from app.api.metrics import Metrics
from app.api.probers import Probers
from app.api.readymade import Ready, Readymade
from app.api.routes import install, ready
from app.asgi import Vitals
from app.health import Check, Clock, Instant, Monitor, Observation, Reason, Report, Status
from app.lifecycle import Lifecycle
from tests.fakes import answers


Details = Literal["always", "authorized", "never"]

START = Instant(100.0, 1_763_892_000.0)


class NotingAnswers(Answers):
    """Answers that keep what is noted of them."""

    notes: list[tuple[str, int, bytes]]

    def noter(self, endpoint: str, code: int) -> Callable[[bytes, float], None]:
        """Keep it, too."""
        note = super().noter(endpoint, code)

        def keep(prober: bytes, now: float) -> None:
            self.notes.append((endpoint, code, prober))
            note(prober, now)

        return keep


@dataclass
class Scene:
    """A service that nothing runs: results and time are set by hand.

    Attributes:
        seconds: what has passed since the start.

    """

    names: Sequence[str] = ("postgres", "redis")
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    seconds: float = 0.0
    details: Details = "always"

    def __post_init__(self) -> None:
        self.clock = Clock(
            steady=lambda: START.steady + self.seconds, wall=lambda: START.wall + self.seconds
        )
        checks = [Check(name=name, probe=answers) for name in self.names]
        self.monitor = Monitor(checks, clock=self.clock)
        self.counts = Counts(checks)
        access = Access(self.details, lambda shown: shown == "good")
        self.routes = Vitals(redirect_slashes=False)
        install(self.routes)
        self.probers = Probers()
        archive = Archive(
            clock=self.clock, histories=self.monitor.history, probers=self.probers, settings={}
        )
        metrics = Metrics(self.counts, lambda: 0.25)
        self.answers = NotingAnswers(self.monitor.report, self.lifecycle, access, metrics, archive)
        self.answers.notes = []
        self.routes.state.answers = self.answers

    def know(self, *statuses: Status) -> None:
        """Have a result of each check now."""
        self.monitor.latest = Report(
            tuple(
                self._observation(known, status)
                for known, status in zip(self.monitor.latest.checks, statuses, strict=True)
            )
        )

    def readymade(self, routes: Mapping[str, Callable[[], Ready]] | None = None) -> Readymade:
        """Have answers ready."""
        routes = routes or ready(self.routes)
        return Readymade(routes, self.monitor, self.lifecycle, self.clock)

    def _observation(self, known: Observation, status: Status) -> Observation:
        if status is Status.UNKNOWN:
            return Observation(check=known.check, since=known.since)
        reason = Reason.REFUSED if status is Status.FAIL else None
        return replace(known, status=status, reason=reason, observed=self.clock.now())

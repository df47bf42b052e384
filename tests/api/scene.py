"""An application whose knowledge, phase and time a test decides."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from app.api.answers import Answers
from app.api.clients import Clients
from app.api.metrics import Metrics, MetricsRecorder
from app.api.response_cache import CachedResponse, ResponseCache
from app.api.routes import install, ready
from app.api.verdict import HistoryStore
from app.asgi import Vitals
from app.auth import Access
from app.health import Check, Clock, Instant, Monitor, Observation, Reason, Report, Status
from app.lifecycle import Lifecycle
from tests.fakes import answers


Details = Literal["always", "authorized", "never"]

START = Instant(100.0, 1_763_892_000.0)


class NotingAnswers(Answers):
    """Answers that keep what is noted of them."""

    notes: list[tuple[str, int, bytes]]

    def request_recorder(self, endpoint: str, code: int) -> Callable[[bytes, float], None]:
        """Keep it, too."""
        note = super().request_recorder(endpoint, code)

        def keep(client: bytes, now: float) -> None:
            self.notes.append((endpoint, code, client))
            note(client, now)

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
        self.counts = MetricsRecorder(checks)
        access = Access(self.details, lambda shown: shown == "good")
        self.routes = Vitals(redirect_slashes=False)
        install(self.routes)
        self.clients = Clients()
        history_store = HistoryStore(
            clock=self.clock, histories=self.monitor.history, clients=self.clients, settings={}
        )
        metrics = Metrics(self.counts, lambda: 0.25)
        self.answers = NotingAnswers(
            self.monitor.report, self.lifecycle, access, metrics, history_store
        )
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

    def response_cache(
        self, routes: Mapping[str, Callable[[], CachedResponse]] | None = None
    ) -> ResponseCache:
        """Have answers ready."""
        routes = routes or ready(self.routes)
        return ResponseCache(routes, self.monitor, self.lifecycle, self.clock)

    def _observation(self, known: Observation, status: Status) -> Observation:
        if status is Status.UNKNOWN:
            return Observation(check=known.check, since=known.since)
        reason = Reason.REFUSED if status is Status.FAIL else None
        return replace(known, status=status, reason=reason, observed=self.clock.now())

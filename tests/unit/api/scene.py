"""The application with results, phase and time that a test sets; nothing runs in the background."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Literal

from app.api.answers import Answers
from app.api.clients import Clients
from app.api.metrics import Metrics, MetricsRecorder
from app.api.response_cache import CachedResponse, ResponseCache
from app.api.routes import add_routes, cacheable_renderers
from app.api.verdict import OperatorView, ServiceState, Snapshot
from app.asgi import Vitals
from app.auth import Access
from app.health import Check, Clock, Instant, Monitor, Observation, Reason, Report, Status
from app.lifecycle import Lifecycle
from tests.support.fakes import answers
from tests.unit.api.desk import refuse


Details = Literal["always", "authorized", "never"]

START = Instant(100.0, 1_763_892_000.0)


class RecordingAnswers(Answers):
    """Answers that keep a list of what was recorded: endpoint, code and client."""

    recorded: list[tuple[str, int, bytes]]

    def request_recorder(self, endpoint: str, code: int) -> Callable[[bytes, float], None]:
        """Return a function that records an answer in the list, too."""
        record = super().request_recorder(endpoint, code)

        def record_in_list(client: bytes, now: float) -> None:
            self.recorded.append((endpoint, code, client))
            record(client, now)

        return record_in_list


@dataclass
class AppUnderTest:
    """An application, without a response cache until a test sets one.

    Attributes:
        names: the names of the checks.
        seconds: the time since the start.
    """

    names: Sequence[str] = ("postgres", "redis")
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    seconds: float = 0.0
    details: Details = "always"

    def __post_init__(self) -> None:
        clock = Clock(
            steady=lambda: START.steady + self.seconds, wall=lambda: START.wall + self.seconds
        )
        checks = [Check(name=name, probe=answers) for name in self.names]
        self.monitor = Monitor(checks, clock=clock)
        self.source = SimpleNamespace(latest=self.monitor.latest)
        self.recorder = MetricsRecorder(checks)
        self.state = ServiceState(self.source, self.lifecycle, clock)
        self.clients = Clients()
        self.answers = RecordingAnswers(
            state=self.state,
            access=Access(self.details, refuse),
            metrics=Metrics(self.recorder, lambda: 0.25, "host-1"),
            histories=self.monitor.history,
            clients=self.clients,
            instance="host-1",
            operator_view=OperatorView(
                settings={}, changed=(), targets=defaultdict(lambda: "tcp://internal:5432")
            ),
        )
        self.answers.recorded = []
        self.app = Vitals(redirect_slashes=False)
        add_routes(self.app)
        self.app.state.answers = self.answers

    def set_statuses(self, *statuses: Status) -> None:
        """Record a result of each check now."""
        self.source.latest = Report(
            tuple(
                self._observation(known, status)
                for known, status in zip(self.source.latest.checks, statuses, strict=True)
            )
        )

    def response_cache(
        self, renderers: Mapping[str, Callable[[Snapshot], CachedResponse]] | None = None
    ) -> ResponseCache:
        """Return a new response cache."""
        return ResponseCache(renderers or cacheable_renderers(self.app), self.state)

    def _observation(self, known: Observation, status: Status) -> Observation:
        if status is Status.UNKNOWN:
            return Observation(check=known.check, since=known.since)
        reason = Reason.REFUSED if status is Status.FAIL else None
        now = self.state.clock.now()
        return replace(known, status=status, reason=reason, observed=now)

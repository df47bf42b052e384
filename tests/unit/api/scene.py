"""The application with results, phase and time that a test sets; nothing runs in the background."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

from starlette.testclient import TestClient

from app.api.answers import Answers
from app.api.clients import Clients
from app.api.metrics import Metrics, MetricsRecorder
from app.api.response_cache import CachedResponse, ResponseCache
from app.api.routes import add_routes, cacheable_renderers
from app.api.verdict import OperatorView, ServiceState, Snapshot
from app.asgi import Vitals
from app.auth import Access
from app.health import Check, Clock, History, Instant, Observation, Reason, Report, Status
from app.lifecycle import Lifecycle
from tests.support.fakes import answers


Details = Literal["always", "authorized", "never"]

START = Instant(100.0, 1_763_892_000.0)
VARY = "Accept, Sec-Fetch-Mode, Upgrade-Insecure-Requests"


def refuse(shown: str) -> str:
    """Return why a token is refused; only the token `good` is valid."""
    return "" if shown == "good" else "has expired"


def observation(
    name: str, status: Status, reason: Reason | None = None, *, required: bool = True
) -> Observation:
    """Return an observation of a check that goes stale after an hour."""
    check = Check(name=name, probe=answers, interval=3600, required=required)
    known = Observation(check=check, since=START, status=status)
    if status is Status.UNKNOWN:
        return known
    return replace(known, observed=START + 1.25, latency=0.0008, reason=reason)


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


class AppUnderTest:
    """An application, without a response cache until a test sets one.

    Attributes:
        seconds: the time since the start.
        latest: the report; at first, no check has a result.
    """

    def __init__(self, details: Details = "always", seconds: float = 0.0) -> None:
        self.seconds = seconds
        checks = [Check(name=name, probe=answers) for name in ("postgres", "redis")]
        self.latest = Report(tuple(Observation(check=check, since=START) for check in checks))
        self.recorder = MetricsRecorder(checks)
        self.lifecycle, self.clients = Lifecycle(), Clients()
        clock = Clock(lambda: START.steady + self.seconds, lambda: START.wall + self.seconds)
        self.state = ServiceState(self, self.lifecycle, clock)
        self.app = Vitals(redirect_slashes=False)
        add_routes(self.app)
        self.set_details(details)

    def set_details(self, details: Details) -> None:
        """Set which clients see each check; an operator's token is `good`."""
        self.answers = RecordingAnswers(
            state=self.state,
            access=Access(details, refuse),
            metrics=Metrics(self.recorder, lambda: 0.25, "host-1"),
            histories=defaultdict(lambda: History(9)),
            clients=self.clients,
            instance="host-1",
            operator_view=OperatorView(
                settings={"PORT": "8000"},
                changed=(),
                targets=defaultdict(lambda: "tcp://internal:5432"),
            ),
        )
        self.answers.recorded = []
        self.app.state.answers = self.answers

    def observe(self, known: Observation) -> None:
        """Replace the observation of a check."""
        checks = {one.check.name: one for one in self.latest.checks} | {known.check.name: known}
        self.latest = Report(tuple(checks.values()))

    def set_statuses(self, *statuses: Status) -> None:
        """Record a result of each check now; a failed one is refused."""
        now = self.state.clock.now()
        for known, status in zip(self.latest.checks, statuses, strict=True):
            reason = Reason.REFUSED if status is Status.FAIL else None
            observed = None if status is Status.UNKNOWN else now
            self.observe(replace(known, status=status, reason=reason, observed=observed))

    def response_cache(
        self, renderers: Mapping[str, Callable[[Snapshot], CachedResponse]] | None = None
    ) -> ResponseCache:
        """Return a new response cache."""
        return ResponseCache(renderers or cacheable_renderers(self.app), self.state)


class ApiClient(AppUnderTest, TestClient):  # type: ignore[misc]  # one `app` for both
    """An application whose checks pass, a minute after its start, and an HTTP client of it."""

    def __init__(self) -> None:
        AppUnderTest.__init__(self, seconds=60.0)
        for name in ("postgres", "redis"):
            self.observe(observation(name, Status.PASS))
        TestClient.__init__(self, self.app)

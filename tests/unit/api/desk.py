"""An HTTP client of an application whose checks, phase and access a test sets."""

from collections import defaultdict
from dataclasses import replace
from typing import Literal

from fastapi import FastAPI
from starlette.testclient import TestClient

from app.api.answers import Answers
from app.api.clients import Clients
from app.api.metrics import Metrics, MetricsRecorder
from app.api.routes import add_routes
from app.api.verdict import OperatorView, ServiceState
from app.auth import Access
from app.health import Check, Clock, History, Instant, Observation, Reason, Report, Status
from app.lifecycle import Lifecycle


START = Instant(0.0, 1_763_892_000.0)
VARY = "Accept, Sec-Fetch-Mode, Upgrade-Insecure-Requests"


def refuse(shown: str) -> str:
    """Return why a token is refused; only the token `good` is valid."""
    return "" if shown == "good" else "has expired"


async def succeed() -> None:
    """Succeed at once, as a probe."""


def observation(name: str, status: Status, reason: Reason | None = None) -> Observation:
    """Return an observation of a check that goes stale after an hour."""
    check = Check(name=name, probe=succeed, interval=3600)
    known = Observation(check=check, since=START, status=status)
    if status is Status.UNKNOWN:
        return known
    return replace(known, observed=START + 1.25, latency=0.0008, reason=reason)


class ApiClient(TestClient):
    """An HTTP client, and the state of the application that it talks to.

    Attributes:
        observations: the checks that the answers show.
    """

    def __init__(self) -> None:
        self.observations = [
            observation("postgres", Status.PASS),
            observation("redis", Status.PASS),
        ]
        self.lifecycle = Lifecycle()
        self.recorder = MetricsRecorder(known.check for known in self.observations)
        self.application = FastAPI(redirect_slashes=False)
        add_routes(self.application)
        self.set_details("always")
        super().__init__(self.application)

    @property
    def latest(self) -> Report:
        """The report, as a monitor provides it."""
        return Report(tuple(self.observations))

    def make_optional(self, position: int) -> None:
        """Make a check optional."""
        known = self.observations[position]
        self.observations[position] = replace(known, check=replace(known.check, required=False))

    def set_details(self, details: Literal["always", "authorized", "never"]) -> None:
        """Set which clients see each check; an operator's token is `good`."""
        clock = Clock(lambda: START.steady + 60, lambda: START.wall + 60)
        self.application.state.answers = Answers(
            state=ServiceState(self, self.lifecycle, clock),
            access=Access(details, refuse),
            metrics=Metrics(self.recorder, lambda: 0.25, "host-1"),
            histories=defaultdict(lambda: History(9)),
            clients=Clients(),
            instance="host-1",
            operator_view=OperatorView(
                settings={"PORT": "8000"},
                changed=(),
                targets={known.check.name: "tcp://internal:5432" for known in self.observations},
            ),
        )

"""The HTTP surface over reports that a test makes up."""

from collections import defaultdict
from dataclasses import replace
from typing import Literal

from fastapi import FastAPI
from starlette.testclient import TestClient

from app.api.answers import Answers
from app.api.clients import Clients
from app.api.metrics import Metrics, MetricsRecorder
from app.api.routes import install
from app.api.verdict import HistoryStore
from app.auth import Access
from app.health import Check, Clock, History, Instant, Observation, Reason, Report, Status
from app.lifecycle import Lifecycle


BORN = Instant(0.0, 1_763_892_000.0)


async def silent() -> None:
    """Answer."""


def observation(name: str, status: Status, reason: Reason | None = None) -> Observation:
    """Make up what is known of a check."""
    known = Observation(check=Check(name=name, probe=silent), since=BORN, status=status)
    if status is Status.UNKNOWN:
        return known
    return replace(known, observed=BORN + 1.25, latency=0.0008, reason=reason)


class Desk:
    """An application whose report, life and secrecy the test decides."""

    def __init__(self) -> None:
        self.known = [observation("postgres", Status.PASS), observation("redis", Status.PASS)]
        self.lifecycle = Lifecycle()
        self.counts = MetricsRecorder(known.check for known in self.known)
        self.history_store = HistoryStore(
            clock=Clock(lambda: BORN.steady + 60, lambda: BORN.wall + 60),
            histories=defaultdict(lambda: History(9)),
            clients=Clients(),
            settings={"PORT": "8000"},
        )
        app = FastAPI(redirect_slashes=False)
        install(app)
        self._app = app
        self.show("always")
        self.client = TestClient(app)

    def optional(self, position: int) -> None:
        """Make a check optional."""
        known = self.known[position]
        self.known[position] = replace(known, check=replace(known.check, required=False))

    def show(self, details: Literal["always", "authorized", "never"]) -> None:
        """Decide who sees each check; the token of an operator is `good`."""
        access = Access(details, lambda shown: shown == "good")
        metrics = Metrics(self.counts, lambda: 0.25)
        answers = Answers(
            lambda: Report(tuple(self.known)), self.lifecycle, access, metrics, self.history_store
        )
        self._app.state.answers = answers

"""The answers while no lifespan runs, and so no check."""

import logging
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from http import HTTPStatus

from app.api.formats import TEXT, Format
from app.api.json_bodies import ErrorBody
from app.api.metrics import Metrics
from app.api.verdict import HealthQuery, HistoryStore, Verdict
from app.auth import Access
from app.health import Report, Status
from app.lifecycle import Lifecycle, Phase


# What a proxy between here and the prober must neither keep, nor guess, nor mix up.
HEADERS = {
    "cache-control": "no-store",
    "vary": "Accept",
    "x-content-type-options": "nosniff",
}

# Pages that are kept, of up to 60 KB.
MAX_PAGES = 16

# Seconds after which a prober may ask again of an instance that does not serve.
RETRY_AFTER = "1"


@dataclass(frozen=True, slots=True)
class Answer:
    """A status code, headers and a body."""

    code: int
    headers: dict[str, str]
    body: bytes


class Answers:
    """What is answered at any moment.

    A page takes a hundred times as long as any other answer. It is rendered once a second, and
    each time that a check has a result, and kept for clients without a token.
    """

    def __init__(
        self,
        report: Callable[[], Report],
        lifecycle: Lifecycle,
        access: Access,
        metrics: Metrics,
        history_store: HistoryStore,
    ) -> None:
        self._history_store = history_store
        self._report = report
        self._lifecycle = lifecycle
        self._access = access
        self._metrics = metrics
        self._pages: dict[Hashable, Answer] = {}

    def to(self, health_query: HealthQuery, response_format: Format, authorization: str) -> Answer:
        """Answer a question now, as far as it may be answered to whoever asks."""
        report, phase = self._now()
        details = self._access.shows(authorization)
        verdict = health_query(report, phase)
        if verdict is None or response_format.policy is None:
            return answer(verdict, response_format, details=details)
        if self._access.operator(authorization):
            verdict = replace(verdict, snapshot=self._history_store.snapshot(operator=True))
            return answer(verdict, response_format, details=details)
        return self._page(verdict, response_format, details=details)

    def _page(self, verdict: Verdict, response_format: Format, *, details: bool) -> Answer:
        key = verdict, details, int(self._history_store.clock.steady())
        if key not in self._pages:
            if len(self._pages) >= MAX_PAGES:
                del self._pages[next(iter(self._pages))]
            verdict = replace(verdict, snapshot=self._history_store.snapshot(operator=False))
            self._pages[key] = answer(verdict, response_format, details=details)
        return self._pages[key]

    def scrape(self, accept: str, authorization: str) -> Answer:
        """Answer Prometheus, which always succeeds."""
        report, phase = self._now()
        details = self._access.shows(authorization)
        content_type, body = self._metrics.written(accept, report, phase, details=details)
        return Answer(HTTPStatus.OK, _headers(content_type, phase, passes=True), body)

    def request_recorder(self, endpoint: str, code: int) -> Callable[[bytes, float], None]:
        """Tell how to take note of an answer, of who asked for it, and when."""
        tally = self._metrics.counts.requests[endpoint, code]
        asked = self._history_store.clients.asked

        def note(client: bytes, now: float) -> None:
            tally.times += 1
            asked(client, now)

        return note

    def note(self, endpoint: str, code: int, client: bytes) -> None:
        """Take note of an answer that is given now, once."""
        self.request_recorder(endpoint, code)(client, self._history_store.clock.steady())

    def _now(self) -> tuple[Report, Phase]:
        report = self._report()
        return report, self._lifecycle.phase(started=report.complete)


def answer(verdict: Verdict | None, response_format: Format, *, details: bool) -> Answer:
    """Write down what was found, with each check or without."""
    if verdict is None or (verdict.alone and not details):
        return error(HTTPStatus.NOT_FOUND, "no such check")
    headers = _headers(response_format.content_type, verdict.phase, passes=verdict.passes)
    if response_format.policy:
        headers["content-security-policy"] = response_format.policy()
    code = HTTPStatus.OK if verdict.passes else HTTPStatus.SERVICE_UNAVAILABLE
    return Answer(code, headers, response_format.write(verdict if details else verdict.bare))


def _headers(content_type: str, phase: Phase, *, passes: bool) -> dict[str, str]:
    headers = {**HEADERS, "content-type": content_type}
    if not passes and phase is not Phase.SERVING:
        headers["retry-after"] = RETRY_AFTER
    if phase is Phase.DRAINING:
        headers["connection"] = "close"
    return headers


def error(code: int, detail: str) -> Answer:
    """Say why a request can't be answered."""
    headers = {**HEADERS, "content-type": "application/json"}
    return Answer(code, headers, ErrorBody(detail=detail).model_dump_json().encode())


logger = logging.getLogger("vitals")

REMEDY = (
    "use a server that runs it (uvicorn without --lifespan off), enter it in the lifespan of the "
    "application that this one is mounted into, or write `with TestClient(app)`: docs/hosting.md"
)


@dataclass(frozen=True, slots=True)
class UnavailableCause:
    """Why no lifespan runs, for the client, and what to do about it, for the log."""

    detail: str
    remedy: str
    phase: Phase = Phase.STARTING


NEVER_RUN = UnavailableCause("The lifespan of this application has not run.", REMEDY)
NOT_STARTED = UnavailableCause(
    "The start of this application is not complete, or has failed.",
    "correct what the exception that its lifespan raised says, and start it again",
)
ENDED = UnavailableCause(
    "The lifespan of this application has ended.",
    "stop the server, or run the lifespan for as long as it serves: docs/hosting.md",
    Phase.DRAINING,
)


class UnavailableAnswers:
    """Answers every question with 503 and the cause, and logs both once."""

    def __init__(self, cause: UnavailableCause) -> None:
        self._cause = cause
        self._logged = False

    def to(self, health_query: HealthQuery, response_format: Format, authorization: str) -> Answer:
        """Return a failure in the representation that the client asked for."""
        del health_query, authorization
        self._log()
        cause = self._cause
        verdict = Verdict(status=Status.FAIL, phase=cause.phase, detail=cause.detail)
        return answer(verdict, response_format, details=False)

    def scrape(self, accept: str, authorization: str) -> Answer:
        """Return a failure that Prometheus shows as a target that is down."""
        del accept, authorization
        self._log()
        headers = {**HEADERS, "content-type": TEXT.content_type, "retry-after": RETRY_AFTER}
        return Answer(HTTPStatus.SERVICE_UNAVAILABLE, headers, f"{self._cause.detail}\n".encode())

    def note(self, endpoint: str, code: int, client: bytes) -> None:
        """Count nothing: there are no metrics."""

    def _log(self) -> None:
        # All in one text: no one may have configured the log, and then it shows the text alone.
        if not self._logged:
            logger.error(
                "health endpoints unavailable: %s Remedy: %s.",
                self._cause.detail,
                self._cause.remedy,
            )
        self._logged = True

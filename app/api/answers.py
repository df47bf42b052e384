"""Status code, headers and body of each answer, while the service runs and while it does not."""

import logging
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from app.api.clients import Clients
from app.api.formats import HTML, TEXT, Format
from app.api.json_bodies import ErrorBody
from app.api.metrics import Metrics
from app.api.verdict import (
    HealthQuery,
    OperatorView,
    PageContext,
    ServiceState,
    Snapshot,
    Verdict,
)
from app.auth import Access
from app.health import Clock, History, Report, Status
from app.lifecycle import Phase


# No proxy may store an answer, guess its type, or mix up its formats.
HEADERS = {
    "cache-control": "no-store",
    "vary": "Accept, Sec-Fetch-Mode, Upgrade-Insecure-Requests",
    "x-content-type-options": "nosniff",
}

# Cached pages, of up to 60 KB each.
MAX_PAGES = 16

# Seconds after which a client may retry while this instance starts, drains or is in maintenance.
RETRY_AFTER = "1"


@dataclass(frozen=True, slots=True)
class Answer:
    """A status code, headers and a body."""

    code: int
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True, kw_only=True)
class Answers:
    """The answers of a running service.

    A page takes a hundred times as long to render as any other answer. Clients without a token
    share a page that is rendered at most once a second and after each result.

    Attributes:
        histories: by the name of the check.
        instance: the name of this instance.
        operator_view: what only operators see, without the clients.
    """

    state: ServiceState
    access: Access
    metrics: Metrics
    histories: Mapping[str, History]
    clients: Clients
    instance: str
    operator_view: OperatorView
    _pages: dict[Hashable, Answer] = field(default_factory=dict)

    def snapshot(self) -> Snapshot:
        """Return the state from which one request is answered."""
        return self.state.snapshot()

    def respond(
        self,
        query: HealthQuery,
        response_format: Format,
        authorization: str,
        snapshot: Snapshot,
        root: str = "./",
    ) -> Answer:
        """Answer a health query with the details that the client may see.

        Args:
            authorization: the request's `Authorization` header, which may be empty.
            root: the relative URL of the path `/`, for the links of the page.
        """
        details = self.access.shows_details(authorization)
        verdict = query(snapshot.report, snapshot.phase)
        if verdict is None or response_format is not HTML:
            return _answer_verdict(verdict, response_format, details=details)
        if verdict.report:
            verdict = replace(verdict, refusal=self.access.refusal(authorization))
        now = snapshot.now
        page = PageContext(now=now, histories=self.histories, instance=self.instance, root=root)
        if self.access.is_operator(authorization):
            view = replace(self.operator_view, clients=self.clients.all(now))
            page = replace(page, operator=view)
            return _answer_verdict(replace(verdict, page=page), HTML, details=details)
        key = verdict, details, root, int(now.steady)
        if key not in self._pages:
            if len(self._pages) >= MAX_PAGES:
                del self._pages[next(iter(self._pages))]
            self._pages[key] = _answer_verdict(replace(verdict, page=page), HTML, details=details)
        return self._pages[key]

    def respond_to_scrape(self, accept: str, authorization: str, snapshot: Snapshot) -> Answer:
        """Answer a scrape, which always succeeds."""
        details = self.access.shows_details(authorization)
        report, phase = snapshot.report, snapshot.phase
        content_type, body = self.metrics.render(accept, report, phase, details=details)
        return Answer(HTTPStatus.OK, _headers(content_type, phase, passes=True), body)

    def request_recorder(self, endpoint: str, code: int) -> Callable[[bytes, float], None]:
        """Return a function that counts one answer and remembers the client.

        It takes the client's `User-Agent` and the time on the steady clock.
        """
        counter = self.metrics.recorder.requests[endpoint, code]
        remember = self.clients.record

        def record(client: bytes, now: float) -> None:
            counter.count += 1
            remember(client, now)

        return record


def _answer_verdict(verdict: Verdict | None, response_format: Format, *, details: bool) -> Answer:
    if verdict is None or (verdict.is_single_check and not details):
        return error_answer(HTTPStatus.NOT_FOUND, "no such check")
    headers = _headers(response_format.content_type, verdict.phase, passes=verdict.passes)
    if response_format is HTML:
        from app.api.page import POLICY  # noqa: PLC0415 - as where the page is rendered

        headers["content-security-policy"] = POLICY
    code = HTTPStatus.OK if verdict.passes else HTTPStatus.SERVICE_UNAVAILABLE
    shown = verdict if details else verdict.without_details
    return Answer(code, headers, response_format.write(shown))


def _headers(content_type: str, phase: Phase, *, passes: bool) -> dict[str, str]:
    headers = {**HEADERS, "content-type": content_type}
    if not passes and phase is not Phase.SERVING:
        headers["retry-after"] = RETRY_AFTER
    if phase is Phase.DRAINING:
        headers["connection"] = "close"
    return headers


def error_answer(code: int, detail: str) -> Answer:
    """Return an answer for a request that can't be served, with the reason in JSON."""
    headers = {**HEADERS, "content-type": "application/json"}
    return Answer(code, headers, ErrorBody(detail=detail).model_dump_json().encode())


logger = logging.getLogger("vitals")

REMEDY = (
    "use a server that runs it (uvicorn without --lifespan off), enter it in the lifespan of the "
    "application that this one is mounted into, or write `with TestClient(app)`: docs/hosting.md"
)


@dataclass(frozen=True, slots=True)
class UnavailableCause:
    """Why the lifespan does not run: the detail for clients, the remedy for the log."""

    detail: str
    remedy: str
    phase: Phase = Phase.STARTING


NEVER_RUN = UnavailableCause("The lifespan of this application has not run.", REMEDY)
NOT_STARTED = UnavailableCause(
    "The start of this application is not complete, or has failed.",
    "fix the error that the lifespan raised, then start the application again",
)
ENDED = UnavailableCause(
    "The lifespan of this application has ended.",
    "stop the server, or run the lifespan for as long as it serves: docs/hosting.md",
    Phase.DRAINING,
)


class UnavailableAnswers:
    """The answers while the lifespan does not run: always 503, with the cause.

    It has the methods of `Answers`. The first request logs the cause and the remedy.
    """

    def __init__(self, cause: UnavailableCause) -> None:
        self._cause = cause
        self._logged = False

    def snapshot(self) -> Snapshot:
        """Return a state without checks."""
        return Snapshot(Clock().now(), Report(()), self._cause.phase)

    def respond(self, query: HealthQuery, response_format: Format, *_: object) -> Answer:
        """Return a failure in the requested format."""
        del query
        self._log_once()
        verdict = Verdict(status=Status.FAIL, phase=self._cause.phase, detail=self._cause.detail)
        return _answer_verdict(verdict, response_format, details=False)

    def respond_to_scrape(self, *_: object) -> Answer:
        """Return a failure, so that Prometheus shows the target as down."""
        self._log_once()
        headers = {**HEADERS, "content-type": TEXT.content_type, "retry-after": RETRY_AFTER}
        return Answer(HTTPStatus.SERVICE_UNAVAILABLE, headers, f"{self._cause.detail}\n".encode())

    def request_recorder(self, endpoint: str, code: int) -> Callable[[bytes, float], None]:
        """Return a function that does nothing: no metrics exist yet."""
        del endpoint, code
        return lambda _client, _now: None

    def _log_once(self) -> None:
        # One text with everything in it: a log that is not configured shows only the text.
        if not self._logged:
            logger.error(
                "health endpoints unavailable: %s Remedy: %s.",
                self._cause.detail,
                self._cause.remedy,
            )
        self._logged = True

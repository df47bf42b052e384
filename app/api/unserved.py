"""The answers while no lifespan runs, and so no check."""

import logging
from dataclasses import dataclass
from http import HTTPStatus

from app.api.answers import HEADERS, RETRY_AFTER, Answer, answer
from app.api.findings import Finding, Question
from app.api.representations import TEXT, Representation
from app.health import Status
from app.lifecycle import Phase


logger = logging.getLogger("vitals")

REMEDY = (
    "use a server that runs it (uvicorn without --lifespan off), enter it in the lifespan of the "
    "application that this one is mounted into, or write `with TestClient(app)`: docs/hosting.md"
)


@dataclass(frozen=True, slots=True)
class Cause:
    """Why no lifespan runs, for the client, and what to do about it, for the log."""

    detail: str
    remedy: str
    phase: Phase = Phase.STARTING


NEVER_RUN = Cause("The lifespan of this application has not run.", REMEDY)
NOT_STARTED = Cause(
    "The start of this application is not complete, or has failed.",
    "correct what the exception that its lifespan raised says, and start it again",
)
ENDED = Cause(
    "The lifespan of this application has ended.",
    "stop the server, or run the lifespan for as long as it serves: docs/hosting.md",
    Phase.DRAINING,
)


class Unserved:
    """Answers every question with 503 and the cause, and logs both once."""

    def __init__(self, cause: Cause) -> None:
        self._cause = cause
        self._logged = False

    def to(self, question: Question, representation: Representation, authorization: str) -> Answer:
        """Return a failure in the representation that the client asked for."""
        del question, authorization
        self._log()
        cause = self._cause
        finding = Finding(status=Status.FAIL, phase=cause.phase, detail=cause.detail)
        return answer(finding, representation, details=False)

    def scrape(self, accept: str, authorization: str) -> Answer:
        """Return a failure that Prometheus shows as a target that is down."""
        del accept, authorization
        self._log()
        headers = {**HEADERS, "content-type": TEXT.content_type, "retry-after": RETRY_AFTER}
        return Answer(HTTPStatus.SERVICE_UNAVAILABLE, headers, f"{self._cause.detail}\n".encode())

    def note(self, endpoint: str, code: int, prober: bytes) -> None:
        """Count nothing: there are no metrics."""

    def _log(self) -> None:
        # All in one text: no one may have configured the log, and then it shows the text alone.
        if not self._logged:
            logger.error(
                "every health path answers 503: %s Remedy: %s.",
                self._cause.detail,
                self._cause.remedy,
            )
        self._logged = True

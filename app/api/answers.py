"""What is answered, from memory: nothing here waits for anything."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from http import HTTPStatus

from app.api.access import Access
from app.api.archive import Archive
from app.api.bodies import ErrorBody
from app.api.findings import Finding, Question
from app.api.metrics import Metrics
from app.api.representations import Representation
from app.health import Report
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
        archive: Archive,
    ) -> None:
        self._archive = archive
        self._report = report
        self._lifecycle = lifecycle
        self._access = access
        self._metrics = metrics
        self._pages: dict[Hashable, Answer] = {}

    def to(self, question: Question, representation: Representation, authorization: str) -> Answer:
        """Answer a question now, as far as it may be answered to whoever asks."""
        report, phase = self._now()
        details = self._access.shows(authorization)
        finding = question(report, phase)
        if finding is None or representation.policy is None:
            return answer(finding, representation, details=details)
        if self._access.operator(authorization):
            finding = replace(finding, memory=self._archive.memory(operator=True))
            return answer(finding, representation, details=details)
        return self._page(finding, representation, details=details)

    def _page(self, finding: Finding, representation: Representation, *, details: bool) -> Answer:
        key = finding, details, int(self._archive.clock.steady())
        if key not in self._pages:
            if len(self._pages) >= MAX_PAGES:
                del self._pages[next(iter(self._pages))]
            finding = replace(finding, memory=self._archive.memory(operator=False))
            self._pages[key] = answer(finding, representation, details=details)
        return self._pages[key]

    def scrape(self, accept: str, authorization: str) -> Answer:
        """Answer Prometheus, which always succeeds."""
        report, phase = self._now()
        details = self._access.shows(authorization)
        content_type, body = self._metrics.written(accept, report, phase, details=details)
        return Answer(HTTPStatus.OK, _headers(content_type, phase, passes=True), body)

    def noter(self, endpoint: str, code: int) -> Callable[[bytes, float], None]:
        """Tell how to take note of an answer, of who asked for it, and when."""
        tally = self._metrics.counts.requests[endpoint, code]
        asked = self._archive.probers.asked

        def note(prober: bytes, now: float) -> None:
            tally.times += 1
            asked(prober, now)

        return note

    def note(self, endpoint: str, code: int, prober: bytes) -> None:
        """Take note of an answer that is given now, once."""
        self.noter(endpoint, code)(prober, self._archive.clock.steady())

    def _now(self) -> tuple[Report, Phase]:
        report = self._report()
        return report, self._lifecycle.phase(started=report.complete)


def answer(finding: Finding | None, representation: Representation, *, details: bool) -> Answer:
    """Write down what was found, with each check or without."""
    if finding is None or (finding.alone and not details):
        return error(HTTPStatus.NOT_FOUND, "no such check")
    headers = _headers(representation.content_type, finding.phase, passes=finding.passes)
    if representation.policy:
        headers["content-security-policy"] = representation.policy()
    code = HTTPStatus.OK if finding.passes else HTTPStatus.SERVICE_UNAVAILABLE
    return Answer(code, headers, representation.write(finding if details else finding.bare))


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

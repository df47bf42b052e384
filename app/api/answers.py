"""What each path answers, from memory: nothing here waits for anything."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from http import HTTPStatus

from pydantic import BaseModel

from app.api.bodies import CheckBody, ErrorBody, HealthBody, StatusBody
from app.health import Report, Status
from app.lifecycle import Lifecycle, Phase


# What a proxy between here and the prober must neither keep, nor guess, nor mix up.
HEADERS = {
    "cache-control": "no-store",
    "vary": "Accept",
    "x-content-type-options": "nosniff",
}

# Seconds after which a prober may ask again of an instance that does not serve.
RETRY_AFTER = "1"

# A name that can't be excluded is told up to this length, and so many of them: an answer stays
# under 10 KB whatever is asked.
LONGEST_NAME = 64
MOST_WARNINGS = 10


@dataclass(frozen=True, slots=True)
class Answer:
    """A status code, headers and a body."""

    code: int
    headers: dict[str, str]
    body: bytes


class Answers:
    """What is answered on each path, at any moment."""

    def __init__(self, report: Callable[[], Report], lifecycle: Lifecycle) -> None:
        self._report = report
        self._lifecycle = lifecycle

    def live(self) -> Answer:
        """Whether the process serves: it answers, so it does, whatever its dependencies do."""
        _, phase = self._now()
        return _answer(StatusBody.of(passes=True), phase, passes=True)

    def started(self) -> Answer:
        """Whether every check has had a first result."""
        report, phase = self._now()
        return _answer(StatusBody.of(passes=report.complete), phase, passes=report.complete)

    def ready(self, exclude: Collection[str]) -> Answer:
        """Whether this instance should be sent work, and what is known of each dependency."""
        report, phase = self._now()
        asked = report.without(exclude)
        status = asked.status if phase is Phase.SERVING else Status.FAIL
        known = {observation.check.name for observation in report.checks}
        body = HealthBody.of(status, phase, asked, _warnings(exclude, known))
        return _answer(body, phase, passes=status is not Status.FAIL)

    def check(self, name: str) -> Answer:
        """Whether one dependency passes, required or not."""
        report, phase = self._now()
        for known in report.checks:
            if known.check.name == name:
                return _answer(CheckBody.of(known), phase, passes=known.status is Status.PASS)
        return error(HTTPStatus.NOT_FOUND, "no such check")

    def _now(self) -> tuple[Report, Phase]:
        report = self._report()
        return report, self._lifecycle.phase(started=report.complete)


def _answer(body: BaseModel, phase: Phase, *, passes: bool) -> Answer:
    headers = dict(HEADERS)
    if not passes and phase is not Phase.SERVING:
        headers["retry-after"] = RETRY_AFTER
    if phase is Phase.DRAINING:
        headers["connection"] = "close"
    return _json(HTTPStatus.OK if passes else HTTPStatus.SERVICE_UNAVAILABLE, body, headers)


def error(code: int, detail: str) -> Answer:
    """Say why a request can't be answered."""
    return _json(code, ErrorBody(detail=detail), dict(HEADERS))


def _json(code: int, body: BaseModel, headers: dict[str, str]) -> Answer:
    headers["content-type"] = "application/json"
    return Answer(code, headers, body.model_dump_json(exclude_none=True).encode())


def _warnings(exclude: Collection[str], known: Collection[str]) -> list[str]:
    unknown = [name[:LONGEST_NAME] for name in exclude if name not in known]
    return [f"no check is named {name}" for name in unknown[:MOST_WARNINGS]]

"""Whether to worry, in a few words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.api.findings import Finding
from app.api.page.words import names
from app.health import Observation, Report, Status
from app.lifecycle import Phase


@dataclass(frozen=True, slots=True)
class Verdict:
    """A kind, which has a colour and an icon, and the words for it."""

    kind: str
    title: str
    words: str


def verdict(finding: Finding, report: Report) -> Verdict:
    """Judge what was asked about, in words that change only if the judgement does."""
    judgement = ALONE[finding.status] if finding.alone else ELSEWHERE.get(finding.phase)
    kind, title, tell = judgement or SERVING[finding.status]
    return Verdict(kind, title, tell(report))


def _passes(report: Report) -> str:
    return f"{_names(list(report.checks))} passes."


def _well(report: Report) -> str:
    del report
    return "Every check passes, and this instance takes work."


def _degraded(report: Report) -> str:
    optional = "It is optional" if len(_failing(report)) == 1 else "They are optional"
    return f"{_summary(report)} {optional}, so this instance still takes work."


def _failed(report: Report) -> str:
    required = [known for known in _failing(report) if known.check.required]
    return f"{_fail(required)}, so whoever asks is told to send no work here."


def _starting(report: Report) -> str:
    unknown = [known for known in report.checks if known.status is Status.UNKNOWN]
    whose = f" of {_names(unknown)}" if unknown else ""
    return f"Waiting for the first result{whose}; until then no work is taken."


def _out_of_rotation(report: Report) -> str:
    return f"An operator has taken this instance out of rotation. {_summary(report)}"


def _draining(report: Report) -> str:
    return f"This instance is shutting down and takes no new work. {_summary(report)}"


def _waits(report: Report) -> str:
    return f"{_names(list(report.checks))} has no result yet."


def _summary(report: Report) -> str:
    failing = _failing(report)
    return f"{_fail(failing)}." if failing else "Every check passes."


def _failing(report: Report) -> list[Observation]:
    return [known for known in report.checks if known.status is not Status.PASS]


def _fail(failing: list[Observation]) -> str:
    return f"{_names(failing)} {'fails' if len(failing) == 1 else 'fail'}"


def _names(checks: list[Observation]) -> str:
    return names([known.check.name for known in checks])


Judgement = tuple[str, str, Callable[[Report], str]]

SERVING: Mapping[Status, Judgement] = {
    Status.PASS: ("pass", "All well", _well),
    Status.WARN: ("warn", "Degraded", _degraded),
    Status.FAIL: ("fail", "Failing", _failed),
}
ELSEWHERE: Mapping[Phase, Judgement] = {
    Phase.STARTING: ("unknown", "Starting", _starting),
    Phase.MAINTENANCE: ("maintenance", "In maintenance", _out_of_rotation),
    Phase.DRAINING: ("draining", "Draining", _draining),
}
ALONE: Mapping[Status, Judgement] = {
    Status.PASS: ("pass", "Passing", _passes),
    Status.FAIL: ("fail", "Failing", _summary),
    Status.UNKNOWN: ("unknown", "Not known yet", _waits),
}

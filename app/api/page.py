"""The HTML page: one self-contained document."""

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

import app
from app.api.page_format import (
    Sparkline,
    format_clock,
    format_duration,
    format_latency,
    format_rate,
    format_share,
    join_names,
    sparkline,
)
from app.api.verdict import PageContext, Verdict
from app.health import History, Instant, Observation, Reason, Report, Status
from app.lifecycle import Phase
from app.text import format_time


@dataclass(frozen=True, slots=True)
class Banner:
    """The summary at the top of the page; its kind selects colour and icon."""

    kind: str
    title: str
    words: str


SERVING = {
    Status.PASS: ("pass", "Healthy", "Every check passes. This instance accepts traffic."),
    Status.WARN: (
        "warn",
        "Degraded",
        "{summary} {optional}, so this instance still accepts traffic.",
    ),
    Status.FAIL: ("fail", "Failing", "{required}, so this instance is not ready for traffic."),
}
EXPIRING = (
    "warn",
    "Certificate expires soon",
    "Every check passes. Renew the certificate{expiring}.",
)
PHASES = {
    Phase.STARTING: (
        "unknown",
        "Starting",
        "This instance is not ready for traffic until the first result{of_unknown} arrives.",
    ),
    Phase.MAINTENANCE: (
        "maintenance",
        "In maintenance",
        "An operator has taken this instance out of rotation. {summary}",
    ),
    Phase.DRAINING: (
        "draining",
        "Draining",
        "This instance is shutting down and accepts no new traffic. {summary}",
    ),
}
SINGLE_CHECK = {
    Status.PASS: ("pass", "Passing", "{names} passes."),
    Status.FAIL: ("fail", "Failing", "{summary}"),
    Status.UNKNOWN: ("unknown", "No result yet", "{names} has no result yet."),
}


def banner(verdict: Verdict, report: Report) -> Banner:
    """Return the banner. Screen readers announce it, so it changes only with the verdict."""
    texts = SINGLE_CHECK[verdict.status] if verdict.is_single_check else PHASES.get(verdict.phase)
    failing = [
        observation for observation in report.checks if observation.status is not Status.PASS
    ]
    if verdict.status is Status.WARN and not failing:
        texts = texts or EXPIRING
    kind, title, words = texts or SERVING[verdict.status]
    expiring = [observation for observation in report.checks if observation.expiring]
    required = [observation for observation in failing if observation.check.required]
    unknown = [observation for observation in failing if observation.status is Status.UNKNOWN]
    words = words.format(
        names=_names(report.checks),
        summary=f"{_fail(failing)}." if failing else "Every check passes.",
        optional="It is optional" if len(failing) == 1 else "They are optional",
        required=_fail(required),
        expiring=f" of {_names(expiring)}" if expiring else "",
        of_unknown=f" of {_names(unknown)}" if unknown else "",
    )
    return Banner(kind, title, words)


def _fail(failing: list[Observation]) -> str:
    return f"{_names(failing)} {'fails' if len(failing) == 1 else 'fail'}"


def _names(checks: Iterable[Observation]) -> str:
    return join_names([observation.check.name for observation in checks])


# The transitions that a page shows, for each check and in total: a page of thirty flapping checks
# stays below 60 KB.
MAX_TRANSITIONS_OF_CHECK = 5
MAX_TRANSITIONS = 60

WORDS = {Status.PASS: "passes", Status.FAIL: "fails", Status.UNKNOWN: "no result yet"}


@dataclass(frozen=True, slots=True)
class TransitionRow:
    """A transition on the page: its time, the new status, and how long that status lasted."""

    at: Instant
    kind: str
    words: str
    lasted: str


@dataclass(frozen=True, slots=True)
class CheckRow:
    """A check on the page.

    Attributes:
        kind: selects colour and icon.
        availability: a share in percent, of the time *observed*.
        earlier: the number of transitions that are not shown.
    """

    observation: Observation
    kind: str
    words: str
    latency: str | None
    sparkline: Sparkline
    availability: str | None
    observed: str | None
    transitions: list[TransitionRow]
    earlier: int


def check_rows(report: Report, page: PageContext) -> list[CheckRow]:
    """Return the rows of the checks, the most severe first."""
    checks = sorted(report.checks, key=lambda observation: -observation.severity)
    limit = min(MAX_TRANSITIONS_OF_CHECK, max(1, MAX_TRANSITIONS // max(1, len(checks))))
    return [
        _check_row(observation, page.histories[observation.check.name], page.now, limit)
        for observation in checks
    ]


def _check_row(observation: Observation, history: History, now: Instant, limit: int) -> CheckRow:
    availability = history.availability(observation, now)
    transitions, earlier = _transition_rows(observation, history, now, limit)
    # The latest attempt: the time that a failure took is no latency.
    succeeded = (
        observation.observed and not observation.failures and observation.reason is not Reason.STALE
    )
    return CheckRow(
        observation=observation,
        kind=_kind(observation),
        words=_status_words(observation),
        latency=format_latency(observation.latency) if succeeded else None,
        sparkline=sparkline(history.trend.at(now)),
        availability=None if availability is None else format_share(availability),
        observed=format_duration(now - history.begun) if history.begun else None,
        transitions=transitions,
        earlier=earlier,
    )


def _kind(observation: Observation) -> str:
    is_unknown = observation.status is Status.UNKNOWN
    return (Status.UNKNOWN if is_unknown else observation.severity).word


def _status_words(observation: Observation) -> str:
    """Return the status, and the attempts that have not reached a threshold yet."""
    if observation.status is Status.PASS and observation.failures:
        return f"passes, but {_last_attempts(observation.failures)} failed"
    if observation.status is Status.FAIL and observation.successes:
        return f"fails, but {_last_attempts(observation.successes)} passed"
    return WORDS[observation.status]


def _last_attempts(number: int) -> str:
    return "the last attempt" if number == 1 else f"the last {number} attempts"


def _transition_rows(
    observation: Observation, history: History, now: Instant, limit: int
) -> tuple[list[TransitionRow], int]:
    """Return the latest transitions, the last one first, and the number of earlier ones.

    The list is empty if the check has had the same status since its first result.
    """
    begun = [(one.at, one.after, one.reason) for one in history.transitions]
    if begun and begun[-1][0] != observation.since:
        # The check has gone stale, and no result has recorded that.
        begun.append((observation.since, observation.status, observation.reason))
    if len(begun) <= 1:
        return [], 0
    latest = begun[-limit:]
    ends = [at for at, _, _ in latest[1:]] + [now]
    bad = Status.FAIL if observation.check.required else Status.WARN
    shown = [
        TransitionRow(
            at=at,
            kind=(status if status is Status.PASS else bad).word,
            words=WORDS[status] + (f": {reason.replace('_', ' ')}" if reason else ""),
            lasted=format_duration(end - at),
        )
        for (at, status, reason), end in zip(latest, ends, strict=True)
    ]
    return shown[::-1], len(begun) - len(shown)


TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    auto_reload=False,
    lstrip_blocks=True,
    trim_blocks=True,
    undefined=StrictUndefined,
)
TEMPLATES.filters.update(
    clock=format_clock,
    duration=format_duration,
    iso=format_time,
    latency=format_latency,
    rate=format_rate,
)


def render_page(verdict: Verdict) -> bytes:
    """Return the page of a verdict; without a report it shows status and code only."""
    code = HTTPStatus.OK if verdict.passes else HTTPStatus.SERVICE_UNAVAILABLE
    if verdict.report is None or verdict.page is None:
        return _render("bare.html", verdict=verdict, code=code.value)
    return _render(
        "page.html",
        verdict=verdict,
        page=verdict.page,
        code=code.value,
        banner=banner(verdict, verdict.report),
        rows=check_rows(verdict.report, verdict.page),
        version=app.__version__,
    )


def _render(name: str, **context: Any) -> bytes:
    return TEMPLATES.get_template(name).render(context).encode()


def _hash(name: str) -> str:
    """Return the hash source of an inline style or script for the policy."""
    return f"'sha256-{b64encode(sha256(_render(name)).digest()).decode()}'"


# The browser accepts only the page's own style and script, sends requests to this instance only,
# and does not show the page in a frame.
POLICY = (
    f"default-src 'none'; style-src {_hash('page.css')}; script-src {_hash('page.js')}; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

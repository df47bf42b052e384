"""The page that an operator reads: one document that needs nothing from elsewhere."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

import app
from app.api.json_bodies import moment
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
from app.api.verdict import HistorySnapshot, Verdict
from app.health import History, Instant, Observation, Reason, Report, Status
from app.health.reasons import Advice
from app.lifecycle import Phase


@dataclass(frozen=True, slots=True)
class Headline:
    """A kind, which has a colour and an icon, and the words for it."""

    kind: str
    title: str
    words: str


def headline(verdict: Verdict, report: Report) -> Headline:
    """Judge what was asked about, in words that change only if the judgement does."""
    judgement = ALONE[verdict.status] if verdict.alone else ELSEWHERE.get(verdict.phase)
    kind, title, tell = judgement or SERVING[verdict.status]
    return Headline(kind, title, tell(report))


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
    return join_names([known.check.name for known in checks])


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


# So many turns are shown of each check, and of all: thirty that flap make a page under 60 KB.
CHANGES_OF_EACH = 5
CHANGES_OF_ALL = 60

WORDS = {Status.PASS: "passes", Status.FAIL: "fails", Status.UNKNOWN: "no result yet"}


@dataclass(frozen=True, slots=True)
class Change:
    """A turn of a check: when, to what, and how long it lasted or has lasted yet."""

    at: str
    kind: str
    words: str
    lasted: str


@dataclass(frozen=True, slots=True)
class Row:
    """One check."""

    name: str
    kind: str
    words: str
    required: bool
    since: Instant
    lasted: str
    latency: str | None
    highest: str | None
    sparkline: Sparkline
    availability: str | None
    observed: str | None
    advice: Advice | None
    reason: str | None
    changes: list[Change]
    earlier: int


def rows(report: Report, snapshot: HistorySnapshot) -> list[Row]:
    """Show the checks, what is worst first."""
    known = sorted(report.checks, key=lambda known: -known.severity)
    most = min(CHANGES_OF_EACH, max(1, CHANGES_OF_ALL // max(1, len(known))))
    return [_row(one, snapshot.histories[one.check.name], snapshot.now, most) for one in known]


def _row(known: Observation, history: History, now: Instant, most: int) -> Row:
    available = history.availability(known, now)
    drawn = sparkline(history.trend.at(now))
    changes, earlier = _changes(known, history, now, most)
    return Row(
        name=known.check.name,
        kind=_kind(known),
        words=_words(known),
        required=known.check.required,
        since=known.since,
        lasted=format_duration(now - known.since),
        latency=format_latency(known.latency) if _answered(known) else None,
        highest=None if drawn.highest is None else format_latency(drawn.highest),
        sparkline=drawn,
        availability=None if available is None else format_share(available),
        observed=format_duration(now - history.begun) if history.begun else None,
        advice=known.advice,
        reason=known.reason,
        changes=changes,
        earlier=earlier,
    )


def _answered(known: Observation) -> bool:
    """Whether the latest attempt was: how long a failure took to show is no latency."""
    return bool(known.observed) and not known.failures and known.reason is not Reason.STALE


def _kind(known: Observation) -> str:
    return (known.status if known.status is Status.UNKNOWN else known.severity).word


def _words(known: Observation) -> str:
    """Tell the status, and what a threshold holds back yet."""
    if known.status is Status.PASS and known.failures:
        return f"passes, but {known.failures} failed in a row"
    if known.status is Status.FAIL and known.successes:
        return f"fails, but {known.successes} passed in a row"
    return WORDS[known.status]


def _changes(
    known: Observation, history: History, now: Instant, most: int
) -> tuple[list[Change], int]:
    """Return the latest turns, the last one first, and the number of earlier ones.

    A turn that only began the story is none. A history may hold a thousand, of which few are shown.
    """
    begun = [(turn.at, turn.after, turn.reason) for turn in history.transitions]
    if begun and begun[-1][0] != known.since:
        begun.append((known.since, known.status, known.reason))  # stale, which no result has told
    if len(begun) <= 1:
        return [], 0
    latest = begun[-most:]
    ends = [at for at, _, _ in latest[1:]] + [now]
    bad = Status.FAIL if known.check.required else Status.WARN
    changes = [
        Change(
            at=format_clock(at, now),
            kind=(status if status is Status.PASS else bad).word,
            words=WORDS[status] + (f": {reason.replace('_', ' ')}" if reason else ""),
            lasted=format_duration(end - at),
        )
        for (at, status, reason), end in zip(latest, ends, strict=True)
    ]
    return changes[::-1], len(begun) - len(changes)


TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    auto_reload=False,
    lstrip_blocks=True,
    trim_blocks=True,
    undefined=StrictUndefined,
)
TEMPLATES.filters.update(clock=format_clock, duration=format_duration, iso=moment, rate=format_rate)


def page(verdict: Verdict) -> bytes:
    """Write the page; where the checks are not shown it is the code and the status alone."""
    code = HTTPStatus.OK if verdict.passes else HTTPStatus.SERVICE_UNAVAILABLE
    if verdict.report is None or verdict.snapshot is None:
        status, detail = verdict.status.word, verdict.detail
        return _render("bare.html", status=status, code=code.value, detail=detail)
    return _render(
        "page.html",
        verdict=verdict,
        snapshot=verdict.snapshot,
        code=code.value,
        headline=headline(verdict, verdict.report),
        rows=rows(verdict.report, verdict.snapshot),
        version=app.__version__,
    )


def _render(name: str, **context: Any) -> bytes:
    return TEMPLATES.get_template(name).render(context).encode()


def _hash(name: str) -> str:
    """Name a part of the page by what is in it, as its policy does."""
    return f"'sha256-{b64encode(sha256(_render(name)).digest()).decode()}'"


# The browser runs and shows what has these hashes, asks this instance alone, and shows the page
# in no frame.
POLICY = "; ".join(
    (
        "default-src 'none'",
        f"style-src {_hash('page.css')}",
        f"script-src {_hash('page.js')}",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

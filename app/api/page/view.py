"""What the page shows, in the words in which it shows it."""

from dataclasses import dataclass

from app.api.archive import Memory
from app.api.page import words
from app.api.page.sparkline import Sparkline, sparkline
from app.health import History, Instant, Observation, Reason, Report, Status
from app.health.advice import Advice


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


def rows(report: Report, memory: Memory) -> list[Row]:
    """Show the checks, what is worst first."""
    known = sorted(report.checks, key=lambda known: -known.severity)
    most = min(CHANGES_OF_EACH, max(1, CHANGES_OF_ALL // max(1, len(known))))
    return [_row(one, memory.histories[one.check.name], memory.now, most) for one in known]


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
        lasted=words.duration(now - known.since),
        latency=words.latency(known.latency) if _answered(known) else None,
        highest=None if drawn.highest is None else words.latency(drawn.highest),
        sparkline=drawn,
        availability=None if available is None else words.share(available),
        observed=words.duration(now - history.begun) if history.begun else None,
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
            at=words.clock(at, now),
            kind=(status if status is Status.PASS else bad).word,
            words=WORDS[status] + (f": {reason.replace('_', ' ')}" if reason else ""),
            lasted=words.duration(end - at),
        )
        for (at, status, reason), end in zip(latest, ends, strict=True)
    ]
    return changes[::-1], len(begun) - len(changes)

"""How the page formats durations, latencies, times and sparklines."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from app.health import Instant, Slot
from app.health.history import SLOT_SECONDS


# Seconds and name of each unit, and of the next smaller one.
UNITS = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))


def format_duration(seconds: float) -> str:
    """Return a duration in its two largest units: `0.4 s`, `48 s`, `3 min 12 s`, `2 h 5 min`."""
    if seconds < 1:
        return f"{math.floor(max(0.0, seconds) * 10) / 10:g} s"
    whole = int(seconds)
    for unit, name, part, part_name in UNITS:
        if whole >= unit:
            rest = whole % unit // part
            return f"{whole // unit} {name}" + (f" {rest} {part_name}" if rest else "")
    return f"{whole} s"


def format_latency(seconds: float) -> str:
    """Return a latency with about two digits: `0.82 ms`, `4.1 ms`, `123 ms`, `1.2 s`."""
    milliseconds = seconds * 1000
    for limit, digits in ((0.995, 2), (9.95, 1), (999.5, 0)):
        if milliseconds < limit:
            return f"{milliseconds:.{digits}f} ms"
    return f"{seconds:.1f} s"


def format_share(part: float) -> str:
    """Return a share in percent, rounded down: a check that failed once never shows 100%."""
    return "100%" if part == 1 else f"{math.floor(part * 10_000) / 100:.2f}%"


def join_names(names: list[str], limit: int = 3) -> str:
    """Join names: `a`, `a and b`, `a, b and c`, `a, b, c and 4 more`."""
    shown = names[:limit]
    if len(names) > limit:
        shown.append(f"{len(names) - limit} more")
    return " and ".join(filter(None, (", ".join(shown[:-1]), *shown[-1:])))


def format_rate(per_second: float) -> str:
    """Return a rate: `12 per second`, `every 10 s`."""
    if per_second >= 1:
        return f"{per_second:.0f} per second"
    return f"every {format_duration(round(1 / per_second))}"


def format_clock(instant: Instant, now: Instant | None = None) -> str:
    """Return the time of day in UTC, with the date if it is not the date of *now*."""
    time = datetime.fromtimestamp(instant.wall, UTC)
    if now is None or time.date() == datetime.fromtimestamp(now.wall, UTC).date():
        return f"{time:%H:%M:%S}"
    return f"{time:%d %b %H:%M:%S}"


# Units of the SVG, which the page stretches; the margin keeps the line off the edges.
HEIGHT = 32
MARGIN = 2


@dataclass(frozen=True, slots=True)
class Sparkline:
    """A drawing of latencies, as SVG paths.

    Attributes:
        line: the latencies, from zero to the highest, with a step for each slot.
        failures: the slots with failures.
        highest: the highest latency in seconds; None if no attempt succeeded.
    """

    width: int
    height: int
    line: str
    failures: str
    highest: float | None

    @property
    def seconds(self) -> int:
        """The time that it shows."""
        return self.width * SLOT_SECONDS

    @property
    def words(self) -> str:
        """The description for screen readers."""
        if self.highest is None and not self.failures:
            return "no attempts"  # if the interval is longer than the drawing
        if self.highest is None:
            return "failures only"
        latency = f"up to {format_latency(self.highest)}"
        return f"{latency}, with failures" if self.failures else latency


def sparkline(slots: Sequence[Slot | None]) -> Sparkline:
    """Draw slots, oldest first. A failed slot interrupts the line, an empty one prolongs it."""
    latencies = [slot.latency for slot in slots if slot and slot.latency is not None]
    highest = max(latencies, default=None)
    return Sparkline(
        width=len(slots),
        height=HEIGHT,
        line=_line(slots, highest or 1),
        failures=_failures(slots),
        highest=highest,
    )


def _line(slots: Sequence[Slot | None], highest: float) -> str:
    path, end, height = "", 0, 0  # of the last step; zero if there is none to continue
    for x, slot in enumerate(slots):
        if slot and slot.latency is not None:
            y = round(HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * slot.latency / highest)
            if y != height:  # short, because a page has up to thirty lines
                path += f"H{x}V{y}" if end else f"M{x} {y}"
            end, height = x + 1, y
        elif slot and end:
            path, end, height = f"{path}H{end}", 0, 0
    return f"{path}H{end}" if end else path


def _failures(slots: Sequence[Slot | None]) -> str:
    path, x = "", 0
    for failed, run in groupby(slot is not None and slot.failed for slot in slots):
        length = len(list(run))
        path += f"M{x} {HEIGHT // 2}h{length}" if failed else ""
        x += length
    return path

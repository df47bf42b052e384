"""Ten minutes of latency, drawn."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from app.health import Instant, Slot


MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def format_duration(seconds: float) -> str:
    """Tell a duration in its two largest units: `0.4 s`, `48 s`, `3 min 12 s`, `2 h 5 min`."""
    if seconds < 1:
        return f"{math.floor(max(0.0, seconds) * 10) / 10:g} s"
    whole = int(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return _pair(whole, MINUTE, "min", 1, "s")
    if whole < DAY:
        return _pair(whole, HOUR, "h", MINUTE, "min")
    return _pair(whole, DAY, "d", HOUR, "h")


def _pair(whole: int, unit: int, name: str, part: int, part_name: str) -> str:
    rest = whole % unit // part
    return f"{whole // unit} {name}" + (f" {rest} {part_name}" if rest else "")


def format_latency(seconds: float) -> str:
    """Tell a latency to two digits or so: `0.82 ms`, `4.1 ms`, `123 ms`, `1.2 s`."""
    milliseconds = seconds * 1000
    for limit, digits in ((0.995, 2), (9.95, 1), (999.5, 0)):
        if milliseconds < limit:
            return f"{milliseconds:.{digits}f} ms"
    return f"{seconds:.1f} s"


def format_share(part: float) -> str:
    """Tell a share in percent, rounded down: what failed for a moment is not 100%."""
    return "100%" if part == 1 else f"{math.floor(part * 10_000) / 100:.2f}%"


def join_names(all_of_them: list[str], most: int = 3) -> str:
    """List names: `a`, `a and b`, `a, b and c`, `a, b, c and 4 more`."""
    told = all_of_them[:most]
    if len(all_of_them) > most:
        told.append(f"{len(all_of_them) - most} more")
    return " and ".join(filter(None, (", ".join(told[:-1]), told[-1])))


def format_rate(a_second: float) -> str:
    """Tell how often something comes: `12 a second`, `every 10 s`."""
    if a_second >= 1:
        return f"{a_second:.0f} a second"
    return f"every {format_duration(round(1 / a_second))}"


def format_clock(instant: Instant, now: Instant | None = None) -> str:
    """Tell the time of day in UTC, with the day where it is not the one of *now*."""
    moment = datetime.fromtimestamp(instant.wall, UTC)
    if now is None or moment.date() == datetime.fromtimestamp(now.wall, UTC).date():
        return f"{moment:%H:%M:%S}"
    return f"{moment:%d %b %H:%M:%S}"


# The picture's own units, stretched to where it stands; the line keeps off the edges.
HEIGHT = 32
MARGIN = 2


@dataclass(frozen=True, slots=True)
class Sparkline:
    """What is drawn, as paths of SVG: the line from zero up to the highest, and the failures.

    Attributes:
        highest: seconds; none where nothing was answered.

    """

    width: int
    height: int
    line: str
    failures: str
    highest: float | None

    @property
    def words(self) -> str:
        """The same for whoever does not see it."""
        if self.highest is None and not self.failures:
            return "no attempt"  # as with an interval of an hour
        answers = "no answer" if self.highest is None else f"up to {format_latency(self.highest)}"
        return f"{answers}, with failures" if self.failures else answers


def sparkline(slots: Sequence[Slot | None]) -> Sparkline:
    """Draw slots, oldest first; an outage interrupts the line, a slot that nothing fell in not."""
    answered = [slot.latency for slot in slots if slot and slot.latency is not None]
    highest = max(answered, default=None)
    return Sparkline(
        width=len(slots),
        height=HEIGHT,
        line=_line(slots, highest or 1),
        failures=_failures(slots),
        highest=highest,
    )


def _line(slots: Sequence[Slot | None], highest: float) -> str:
    path, pen = "", None
    for x, slot in enumerate(slots):
        if slot and slot.latency is None:
            pen = None
        elif slot and slot.latency is not None:
            y = round(HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * slot.latency / highest)
            # A line of no length is a dot, as an answer between two outages is.
            path += _step(x - pen[0], y - pen[1]) if pen else f"M{x + 0.5} {y}h0"
            pen = x, y
    return path


def _step(across: int, down: int) -> str:
    """Go on with the line, in few letters: a page has up to thirty lines."""
    return f"l{across}{down:+}" if down else f"h{across}"


def _failures(slots: Sequence[Slot | None]) -> str:
    path = ""
    for failed, places in groupby(range(len(slots)), lambda place: _failed(slots[place])):
        run = list(places)
        path += f"M{run[0]} {HEIGHT // 2}h{len(run)}" if failed else ""
    return path


def _failed(slot: Slot | None) -> bool:
    return slot is not None and slot.failed

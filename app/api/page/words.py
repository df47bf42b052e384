"""Amounts as a person reads them."""

import math
from datetime import UTC, datetime

from app.health import Instant


MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def duration(seconds: float) -> str:
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


def latency(seconds: float) -> str:
    """Tell a latency to two digits or so: `0.82 ms`, `4.1 ms`, `123 ms`, `1.2 s`."""
    milliseconds = seconds * 1000
    for limit, digits in ((0.995, 2), (9.95, 1), (999.5, 0)):
        if milliseconds < limit:
            return f"{milliseconds:.{digits}f} ms"
    return f"{seconds:.1f} s"


def share(part: float) -> str:
    """Tell a share in percent, rounded down: what failed for a moment is not 100%."""
    return "100%" if part == 1 else f"{math.floor(part * 10_000) / 100:.2f}%"


def names(all_of_them: list[str], most: int = 3) -> str:
    """List names: `a`, `a and b`, `a, b and c`, `a, b, c and 4 more`."""
    told = all_of_them[:most]
    if len(all_of_them) > most:
        told.append(f"{len(all_of_them) - most} more")
    return " and ".join(filter(None, (", ".join(told[:-1]), told[-1])))


def rate(a_second: float) -> str:
    """Tell how often something comes: `12 a second`, `every 10 s`."""
    if a_second >= 1:
        return f"{a_second:.0f} a second"
    return f"every {duration(round(1 / a_second))}"


def clock(instant: Instant, now: Instant | None = None) -> str:
    """Tell the time of day in UTC, with the day where it is not the one of *now*."""
    moment = datetime.fromtimestamp(instant.wall, UTC)
    if now is None or moment.date() == datetime.fromtimestamp(now.wall, UTC).date():
        return f"{moment:%H:%M:%S}"
    return f"{moment:%d %b %H:%M:%S}"

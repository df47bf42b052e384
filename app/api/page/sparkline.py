"""Ten minutes of latency, drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from app.api.page.words import latency
from app.health import Slot


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
        answers = "no answer" if self.highest is None else f"up to {latency(self.highest)}"
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

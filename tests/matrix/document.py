"""What the last run saw, as `docs/reliability.md` has it."""

import math
from collections.abc import Sequence

from tests.matrix.storm import Lie
from tests.matrix.trial import Outcome
from tests.service import ROOT


FILE = ROOT / "docs" / "reliability.md"

# Figures are rounded up to these, so that they change when something has changed.
HALF = 0.5
STEPS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0)

TEXT = """\
# What happens when something breaks

`make faults` writes this page when all that is on it holds, and fails otherwise. It breaks real
servers (Debian's PostgreSQL, PgBouncer and Redis) and an HTTP service of the tests, themselves or
by a proxy before them, in each of these ways, and asks all the time what the service says.

Checks run every 0.2 s with a timeout of 0.4 s, and sessions are renewed after 0.5 s. So a fault has
to be told within 1.1 s, or 1.6 s where an open session can't see it (marked with a star), and its
repair within 1.1 s. With the defaults that is 2.5 s, and 15 s more for what has a star.

- **red** is the time from the beginning of the fault to the first 503 of `/health/ready`; a row
  without one must not turn red, as the dependency can serve;
- **green** is the time from the end of the repair to the first 200;
- **live** is the slowest answer of `/health/live` meanwhile; its code is always 200.

Figures are rounded up: times to half a second, answers to 10, 50, 100, 250 and 500 ms, which tell
more of the machine than of the service. What tells of the service: during every fault 99 of 100
answers of each probe, asked over 32 connections, come within twice the time that the same answers
of a healthy service take in the same second, and 5 ms.

| dependency | fault | reason | red | green | live |
| --- | --- | --- | --- | --- | --- |
{rows}

57P03 comes from real servers: one that waits for a session before it shuts down, and a standby that
lets nobody in.

Over {faults} more faults, random in kind and length and on three dependencies at once, the longest
stretch in which an answer contradicted the truth was {lie} s, and none was longer than the bound.
Nothing was left behind: no task, thread, descriptor, socket or session on a server.
"""


def write(outcomes: Sequence[Outcome], lies: Sequence[Lie], faults: int) -> None:
    """Write the page."""
    rows = "\n".join(map(_row, outcomes))
    longest = _half(max(lie.seconds for lie in lies))
    FILE.write_text(TEXT.format(rows=rows, faults=faults, lie=longest))


def _row(outcome: Outcome) -> str:
    row = outcome.row
    red = f"{_half(outcome.red)} s{' *' if row.unseen else ''}" if outcome.red else "never"
    green = f"{_half(outcome.green)} s" if outcome.green and row.reason else ""
    live = next((f"{step * 1000:.0f} ms" for step in STEPS if outcome.live <= step), "more")
    reason = f"`{row.reason}`" if row.reason else ""
    return f"| {row.check} | {row.name} | {reason} | {red} | {green} | {live} |"


def _half(seconds: float) -> float:
    return math.ceil(seconds / HALF) * HALF
